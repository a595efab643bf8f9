/**
 * Defaults, checks, computed columns and index filters as catalogue views show them: not as they were written but decoded from
 * what the server made of them. There is no full list of the rules; these are what sys.check_constraints
 * (https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-check-constraints-transact-sql) shows of
 * AdventureWorks' constraints, what tools that read it expect (Debezium's samples of defaults: `((2147483647))`,
 * `((3147483648.))`, `((1.2345000000000000e+003))`, `('aaa')`, `(0x0102)`), and IN as it comes back:
 * https://dba.stackexchange.com/questions/212047/what-is-this-expression-changing-process
 */
import type { Cond, Expr, TypeName } from "./ast.ts";

/** What is not decoded here stays as it was written. */
class AsWritten extends Error {}

/** `source` is the text that the tree was parsed from. */
export function definitionOfExpression(expr: Expr, source: string): string {
  return enclosed(() => expression(expr), source);
}

export function definitionOfCondition(cond: Cond, source: string): string {
  return enclosed(() => condition(cond), source);
}

function enclosed(decode: () => string, source: string): string {
  try {
    return `(${decode()})`;
  } catch (error) {
    if (!(error instanceof AsWritten)) throw error;
    return `(${source})`;
  }
}

function bracketed(name: string): string {
  return `[${name.replaceAll("]", "]]")}]`;
}

const MAX_INT = 2_147_483_647n;

function literal({ type, text }: Expr & { kind: "literal" }, sign = ""): string {
  switch (type) {
    case "string":
      return `'${text.replaceAll("'", "''")}'`;
    case "nstring":
      return `N'${text.replaceAll("'", "''")}'`;
    case "null":
      return "NULL";
    case "binary":
      return text;
    case "money":
      return `($${sign}${text})`;
    case "float": {
      const [mantissa, exponent] = Number(text).toExponential(16).split("e") as [string, string];
      return `(${sign}${mantissa}e${exponent[0]}${exponent.slice(1).padStart(3, "0")})`;
    }
    default:
      return `(${sign}${text}${/^\d+$/.test(text) && BigInt(text) > MAX_INT ? "." : ""})`;
  }
}

function expression(expr: Expr): string {
  switch (expr.kind) {
    case "literal":
      return literal(expr);
    case "column":
      return expr.parts.map(bracketed).join(".");
    case "unary":
      if (expr.op === "-" && expr.operand.kind === "literal") return literal(expr.operand, "-");
      return `${expr.op}${operand(expr.operand)}`;
    case "binary":
      return `${operand(expr.left)}${expr.op}${operand(expr.right)}`;
    case "collate":
      return `${operand(expr.operand)} COLLATE ${expr.collation}`;
    case "call":
      return call(expr);
    case "datecall":
      return `${expr.name.toLowerCase()}(${[expr.part, ...expr.args.map(expression)].join(",")})`;
    case "cast":
    case "convert": {
      const style = expr.kind === "convert" && expr.style ? [expression(expr.style)] : [];
      const name = expr.try ? "TRY_CONVERT" : "CONVERT";
      return `${name}(${[typeText(expr.type), expression(expr.operand), ...style].join(",")})`;
    }
    case "case": {
      const tested = expr.operand ? ` ${expression(expr.operand)}` : "";
      const whens = expr.whens.map(({ when, then }) => ` when ${either(when)} then ${expression(then)}`);
      return `case${tested}${whens.join("")}${expr.else ? ` else ${expression(expr.else)}` : ""} end`;
    }
    case "iif":
      return `case when ${condition(expr.test)} then ${expression(expr.then)} else ${expression(expr.else)} end`;
    case "next_value":
      return `NEXT VALUE FOR ${expr.sequence.parts.map(bracketed).join(".")}`;
    default:
      throw new AsWritten();
  }
}

/** A calculation within another one is in parentheses, whatever comes first. */
function operand(expr: Expr): string {
  return expr.kind === "binary" ? `(${expression(expr)})` : expression(expr);
}

const SAME_AS: Record<string, string> = { current_timestamp: "getdate", current_user: "user_name", user: "user_name" };

function call({ name, args, star, over, withinGroup, distinct }: Expr & { kind: "call" }): string {
  if (star || over || withinGroup || distinct) throw new AsWritten();
  const { parts } = name;
  const own = parts[0]!.toLowerCase();
  const shown = parts.length > 1 ? parts.map(bracketed).join(".") : (SAME_AS[own] ?? own);
  return `${shown}(${args.map(expression).join(",")})`;
}

function typeText({ name, schema, args }: TypeName): string {
  const size = args.length > 0 ? `(${args.map((arg) => (arg === -1 ? "max" : arg)).join(",")})` : "";
  return `${schema === undefined ? "" : `${bracketed(schema)}.`}${bracketed(name.toLowerCase())}${size}`;
}

function either(when: Cond | Expr): string {
  return isCondition(when) ? condition(when) : expression(when);
}

const CONDITIONS = ["and", "or", "not", "compare", "is_null", "is_distinct", "like", "between", "in_list"];

function isCondition(tree: Cond | Expr): tree is Cond {
  return CONDITIONS.includes(tree.kind);
}

function condition(cond: Cond): string {
  switch (cond.kind) {
    case "and":
      return [cond.left, cond.right].map((side) => grouped(side, "or")).join(" AND ");
    case "or":
      return `${condition(cond.left)} OR ${condition(cond.right)}`;
    case "not":
      return `NOT ${grouped(cond.operand, "and", "or")}`;
    case "compare":
      return `${expression(cond.left)}${cond.op}${expression(cond.right)}`;
    case "is_null":
      return `${expression(cond.operand)} IS ${cond.not ? "NOT " : ""}NULL`;
    case "like": {
      const ending = cond.escape ? ` escape ${expression(cond.escape)}` : "";
      return `${cond.not ? "NOT " : ""}${expression(cond.operand)} like ${expression(cond.pattern)}${ending}`;
    }
    case "between": {
      const tested = expression(cond.operand);
      const both = `${tested}>=${expression(cond.low)} AND ${tested}<=${expression(cond.high)}`;
      return cond.not ? `NOT (${both})` : both;
    }
    case "in_list": {
      const tested = expression(cond.operand);
      // The last one first.
      const any = cond.list.map((value) => `${tested}=${expression(value)}`).reverse();
      return cond.not ? `NOT (${any.join(" OR ")})` : any.join(" OR ");
    }
    default:
      throw new AsWritten();
  }
}

function grouped(cond: Cond, ...kinds: Cond["kind"][]): string {
  const alternatives = cond.kind === "in_list" && !cond.not && cond.list.length > 1;
  const range = cond.kind === "between" && !cond.not && kinds.includes("and");
  return kinds.includes(cond.kind) || alternatives || range ? `(${condition(cond)})` : condition(cond);
}
