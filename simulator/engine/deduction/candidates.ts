/**
 * Chooses the type of a parameter among those that would do: the third step of
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-undeclared-parameters-transact-sql#parameter-selection-algorithm
 */
import type { Expr } from "../../sql/ast.ts";
import { unsupported } from "../errors.ts";
import { binary, unary } from "../expressions/arithmetic.ts";
import { compileCall, compileDateCall } from "../expressions/calls.ts";
import type { Compiled } from "../expressions/compiled.ts";
import { SqlError } from "../session.ts";
import { converter } from "../types/conversion.ts";
import { INT, isDecimal, isText, NULL_TYPE, rank, typeText, unify } from "../types/types.ts";
import type { SqlType } from "../values.ts";
import type { ParameterUses, Use } from "./uses.ts";

/** Without CLR types, which the simulator has not. */
const CANDIDATES: SqlType[] = [
  { id: "bit" },
  { id: "tinyint" },
  { id: "smallint" },
  { id: "int" },
  { id: "bigint" },
  { id: "smallmoney" },
  { id: "money" },
  { id: "float" },
  { id: "real" },
  { id: "numeric", precision: 38, scale: 19 },
  { id: "varchar", length: 8000 },
  { id: "varchar", length: -1 },
  { id: "nvarchar", length: 4000 },
  { id: "nvarchar", length: -1 },
  { id: "varbinary", length: 8000 },
  { id: "varbinary", length: -1 },
  { id: "date" },
  { id: "time", scale: 7 },
  { id: "smalldatetime" },
  { id: "datetime" },
  { id: "datetime2", scale: 7 },
  { id: "datetimeoffset", scale: 7 },
  { id: "sql_variant" },
  { id: "xml" },
];

/** One conversion of a worse kind weighs more than any number of better ones. */
const WEIGHTS = { length: 1, variable: 100, null: 10_000, other: 1_000_000 };

export function deduce(expr: Expr, { name, target, compiler }: Use, uses: ParameterUses): SqlType {
  if (expr.kind === "variable" && target?.simple) return target.type;
  const fitting: { type: SqlType; cost: number }[] = [];
  for (const type of CANDIDATES) {
    const cost = costOf(type);
    if (cost !== undefined) fitting.push({ type, cost });
  }
  const least = Math.min(...fitting.map(({ cost }) => cost));
  const ties = fitting.filter(({ cost }) => cost === least).map(({ type }) => type);
  // Of similar ones the smaller, of the others that of the highest precedence.
  const [best, ...rest] = ties
    .filter((type) => type.length !== -1 || !ties.some((other) => other.id === type.id && other.length !== -1))
    .sort((a, b) => rank(a) - rank(b));
  if (!best)
    throw new SqlError(
      11507,
      `The parameter type for '${name}' cannot be deduced because no type would make the query valid.`,
      16,
      1,
    );
  const foreign = rest.find((type) => !becomes(type, best));
  if (foreign)
    throw new SqlError(
      11506,
      `The parameter type for '${name}' cannot be uniquely deduced; two possibilities are '${typeText(best)}' and '${typeText(foreign)}'.`,
      16,
      1,
    );
  return best;

  /** The conversions that the expression needs if the parameter is of this type; undefined: it is not valid then. */
  function costOf(type: SqlType): number | undefined {
    let cost = 0;
    const parameter: Compiled = { type, nullable: true, evaluate: () => null };
    try {
      const result = derive(expr).type;
      if (!target) return cost;
      if (target.compared) {
        const common = unify(result, target.type);
        if (common.id === "xml" || !becomes(result, common) || !becomes(target.type, common)) return undefined;
      } else if (!becomes(result, target.type)) return undefined;
      return cost + conversion(result, target.type);
    } catch (error) {
      if (error instanceof SqlError && error.number !== 40510) return undefined;
      throw error;
    }

    /** An operand becomes what its operator computes with; of its length it keeps what it has. */
    function operand(from: Compiled, to: SqlType): void {
      const weight = conversion(from.type, to);
      if (weight !== WEIGHTS.length) cost += weight;
    }

    function derive(part: Expr): Compiled {
      if (part.kind === "variable" && part.name === name) return parameter;
      const known = uses.known.get(part);
      if (known) return known;
      switch (part.kind) {
        case "unary":
          return unary(part.op, derive(part.operand));
        case "collate":
          return isText(type) ? derive(part.operand) : refuseCollate();
        case "binary": {
          const left = derive(part.left);
          const right = derive(part.right);
          const made = binary(part.op, left, right);
          operand(left, made.type);
          operand(right, made.type);
          return made;
        }
        case "case":
          return common([...part.whens.map(({ then }) => then), ...(part.else ? [part.else] : [])].map(derive));
        case "iif":
          return common([derive(part.then), derive(part.else)]);
        case "call": {
          const args = part.args.map(derive);
          const called = part.name.parts[0]!.toLowerCase();
          if (called === "coalesce") return common(args);
          naturally(called, part.args);
          const made = compileCall(part.name, args, compiler);
          if (called === "isnull" || called === "nullif") operand(args[1]!, args[0]!.type);
          return made;
        }
        case "datecall":
          naturally(part.name.toLowerCase(), part.args);
          return compileDateCall(part.name, part.part, part.args.map(derive), compiler);
        default:
          throw unsupported(`an undeclared parameter in ${part.kind}`);
      }
    }

    /** What the function expects of the argument that the parameter is in. */
    function naturally(called: string, args: Expr[]): void {
      const expected = EXPECTED[called];
      if (!expected) throw unsupported(`an undeclared parameter in ${called.toUpperCase()}`);
      const place = args.findIndex((arg) => !uses.known.has(arg));
      const kind = expected[Math.min(place, expected.length - 1)]!;
      const given = derive(args[place]!).type;
      if (kind === "int") cost += conversion(given, INT);
      else if (kind === "text" && !isText(given)) cost += WEIGHTS.other;
      else if (kind === "date" && !DATES.has(given.id)) cost += WEIGHTS.other;
    }

    function common(results: Compiled[]): Compiled {
      const made = results.reduce((found, { type: next }) => unify(found, next), NULL_TYPE);
      for (const result of results) operand(result, made);
      return { type: made, nullable: true, evaluate: () => null };
    }
  }
}

function refuseCollate(): never {
  throw new SqlError(447, "Expression type is invalid for COLLATE clause.", 16, 0);
}

const DATES = new Set<SqlType["id"]>(["date", "time", "smalldatetime", "datetime", "datetime2", "datetimeoffset"]);

type Expected = "text" | "int" | "date" | "any";

/** The kinds of arguments; the last is that of all further ones. */
const EXPECTED: Record<string, Expected[]> = {
  isnull: ["any"],
  nullif: ["any"],
  len: ["text"],
  upper: ["text"],
  lower: ["text"],
  ltrim: ["text"],
  rtrim: ["text"],
  trim: ["text"],
  reverse: ["text"],
  replace: ["text"],
  concat: ["text"],
  concat_ws: ["text"],
  left: ["text", "int"],
  right: ["text", "int"],
  substring: ["text", "int"],
  charindex: ["text", "text", "int"],
  patindex: ["text"],
  replicate: ["text", "int"],
  stuff: ["text", "int", "int", "text"],
  space: ["int"],
  dateadd: ["int", "date"],
  datediff: ["date"],
  datediff_big: ["date"],
  datepart: ["date"],
  datename: ["date"],
  year: ["date"],
  month: ["date"],
  day: ["date"],
};

function becomes(from: SqlType, to: SqlType): boolean {
  try {
    converter(from, to, { implicit: true });
    return true;
  } catch (error) {
    if (error instanceof SqlError) return false;
    throw error;
  }
}

const FIXED: Partial<Record<SqlType["id"], SqlType["id"]>> = {
  char: "varchar",
  nchar: "nvarchar",
  binary: "varbinary",
};

function conversion(from: SqlType, to: SqlType): number {
  if (from.id === to.id || (isDecimal(from) && isDecimal(to)))
    return from.length === to.length && from.precision === to.precision && from.scale === to.scale ? 0 : WEIGHTS.length;
  if (FIXED[from.id] === to.id || FIXED[to.id] === from.id) return WEIGHTS.variable;
  if (from.id === "null" || to.id === "null")
    return from.id === "int" || to.id === "int" ? WEIGHTS.null : WEIGHTS.other;
  return WEIGHTS.other;
}
