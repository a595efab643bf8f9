/**
 * Defaults, checks and computed columns as SQL Server keeps and shows them, which is not as they were written: `getDate()` is
 * `(getdate())`, `5` is `((5))`, `a BETWEEN 1 AND 2` is `([a]>=(1) AND [a]<=(2))`. The examples of
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-default-constraints-transact-sql and its neighbours, and
 * what SQL Server's scripting shows of them.
 */
import type { Cond, Expr, TypeName } from "./ast.ts";

/** Without a text of ours: what is inside stays as written. */
class AsWritten extends Error {}

/** `source` is used where the expression has parts that are not known here. */
export function storedExpression(expr: Expr, source: string): string {
  return attempt(() => `(${expression(expr, 0)})`, source);
}

export function storedCondition(condition: Cond, source: string): string {
  return attempt(() => `(${conditionText(condition)})`, source);
}

function attempt(write: () => string, source: string): string {
  try {
    return write();
  } catch (error) {
    if (!(error instanceof AsWritten)) throw error;
    return source.startsWith("(") && source.endsWith(")") ? source : `(${source})`;
  }
}

const STRENGTH: Record<string, number> = { "+": 1, "-": 1, "&": 1, "|": 1, "^": 1, "*": 2, "/": 2, "%": 2 };
/** Words that are calls of something else. */
const NAMES: Record<string, string> = {
  current_timestamp: "getdate()",
  current_user: "user_name()",
  session_user: "user_name()",
  user: "user_name()",
  system_user: "suser_sname()",
};

/** `strength`: of the operator around it. */
function expression(expr: Expr, strength: number): string {
  switch (expr.kind) {
    case "literal":
      return literal(expr);
    case "column":
      return expr.parts.map(quoted).join(".");
    case "unary":
      if (expr.op === "-" && expr.operand.kind === "literal") return `(-${number(expr.operand)})`;
      return `${expr.op}${expression(expr.operand, 3)}`;
    case "binary": {
      const own = STRENGTH[expr.op]!;
      const text = `${expression(expr.left, own)}${expr.op}${expression(expr.right, own + 1)}`;
      return own < strength ? `(${text})` : text;
    }
    case "collate":
      return `${expression(expr.operand, 3)} COLLATE ${expr.collation}`;
    case "call": {
      if (expr.over || expr.withinGroup || expr.star || expr.distinct) throw new AsWritten();
      const { parts } = expr.name;
      const name = parts.length === 1 ? parts[0]!.toLowerCase() : parts.map(quoted).join(".");
      return NAMES[name] ?? `${name}(${expr.args.map((arg) => expression(arg, 0)).join(",")})`;
    }
    case "cast":
      return `${expr.try ? "TRY_CAST" : "CONVERT"}(${converted(expr.type, expr.operand, expr.try)})`;
    case "convert": {
      const style = expr.style ? `,${expression(expr.style, 0)}` : "";
      return `${expr.try ? "TRY_CONVERT" : "CONVERT"}(${type(expr.type)},${expression(expr.operand, 0)}${style})`;
    }
    case "datecall":
      return `${expr.name.toLowerCase()}(${[expr.part, ...expr.args.map((arg) => expression(arg, 0))].join(",")})`;
    case "case":
      return caseText(expr);
    case "iif":
      return `case when ${conditionText(expr.test)} then ${expression(expr.then, 0)} else ${expression(expr.else, 0)} end`;
    case "next_value":
      if (expr.over) throw new AsWritten();
      return `NEXT VALUE FOR ${expr.sequence.parts.map(quoted).join(".")}`;
    default:
      throw new AsWritten();
  }
}

function literal(expr: Expr & { kind: "literal" }): string {
  switch (expr.type) {
    case "null":
      return "NULL";
    case "string":
      return `'${expr.text.replaceAll("'", "''")}'`;
    case "nstring":
      return `N'${expr.text.replaceAll("'", "''")}'`;
    case "binary":
      return expr.text;
    default:
      return `(${number(expr)})`;
  }
}

/** An integer beyond int's range shows that it is a decimal. */
function number(expr: Expr & { kind: "literal" }): string {
  if (expr.type === "money") return `$${expr.text}`;
  return expr.type === "decimal" && /^\d+$/.test(expr.text) ? `${expr.text}.` : expr.text;
}

function converted(to: TypeName, operand: Expr, tries: boolean): string {
  return tries ? `${expression(operand, 0)} AS ${type(to)}` : `${type(to)},${expression(operand, 0)}`;
}

function type({ schema, name, args }: TypeName): string {
  const list = args.length === 0 ? "" : `(${args.map((n) => (n < 0 ? "max" : n)).join(",")})`;
  return `${schema === undefined ? "" : `${quoted(schema)}.`}${quoted(name.toLowerCase())}${list}`;
}

function quoted(name: string): string {
  return `[${name.replaceAll("]", "]]")}]`;
}

function caseText({ operand, whens, else: otherwise }: Expr & { kind: "case" }): string {
  const head = operand ? ` ${expression(operand, 0)}` : "";
  const branches = whens.map(({ when, then }) => {
    const test = operand ? expression(when as Expr, 0) : conditionText(when as Cond);
    return ` when ${test} then ${expression(then, 0)}`;
  });
  return `case${head}${branches.join("")}${otherwise ? ` else ${expression(otherwise, 0)}` : ""} end`;
}

function conditionText(condition: Cond, within?: "and" | "not"): string {
  switch (condition.kind) {
    case "and":
      return `${conditionText(condition.left, "and")} AND ${conditionText(condition.right, "and")}`;
    case "or": {
      const text = `${conditionText(condition.left)} OR ${conditionText(condition.right)}`;
      return within ? `(${text})` : text;
    }
    case "not":
      return `NOT ${conditionText(condition.operand, "not")}`;
    case "compare":
      return `${expression(condition.left, 0)}${condition.op}${expression(condition.right, 0)}`;
    case "is_null":
      return `${expression(condition.operand, 0)} IS ${condition.not ? "NOT " : ""}NULL`;
    case "like": {
      const escaping = condition.escape ? ` escape ${expression(condition.escape, 0)}` : "";
      const pattern = `${expression(condition.operand, 0)} like ${expression(condition.pattern, 0)}${escaping}`;
      return condition.not ? `NOT ${pattern}` : pattern;
    }
    case "between": {
      const [operand, low, high] = [condition.operand, condition.low, condition.high].map((one) => expression(one, 0));
      if (condition.not) return grouped(`${operand}<${low} OR ${operand}>${high}`, within);
      return `${operand}>=${low} AND ${operand}<=${high}`;
    }
    case "in_list": {
      const operand = expression(condition.operand, 0);
      const values = condition.list.map((one) => expression(one, 0)).reverse();
      if (condition.not) return `NOT (${values.map((value) => `${operand}=${value}`).join(" OR ")})`;
      return grouped(values.map((value) => `${operand}=${value}`).join(" OR "), values.length > 1 ? within : undefined);
    }
    default:
      throw new AsWritten();
  }
}

function grouped(text: string, within: string | undefined): string {
  return within ? `(${text})` : text;
}
