/** NEXT VALUE FOR: one number a row and sequence. https://learn.microsoft.com/sql/t-sql/functions/next-value-for-transact-sql */
import type { Expr } from "../../sql/ast.ts";
import { invalidObject } from "../errors.ts";
import { type Sequence, takeNumber } from "../sequences.ts";
import { SqlError } from "../session.ts";
import type { Database } from "../storage.ts";
import type { Value } from "../values.ts";
import type { Compiled } from "./compiled.ts";
import type { Compiler } from "./compiler.ts";
import type { Scope } from "./scope.ts";

/** Why the function may not stand in a place. */
export const SEQUENCE_ERRORS = {
  11719:
    "NEXT VALUE FOR function is not allowed in check constraints, default objects, computed columns, views, user-defined functions, user-defined aggregates, user-defined table types, sub-queries, common table expressions, derived tables or return statements.",
  11720:
    "NEXT VALUE FOR function is not allowed in the TOP, OVER, OUTPUT, ON, WHERE, GROUP BY, HAVING, or ORDER BY clauses.",
  11721:
    "NEXT VALUE FOR function cannot be used directly in a statement that uses a DISTINCT, UNION, UNION ALL, EXCEPT or INTERSECT operator.",
  11723:
    "NEXT VALUE FOR function cannot be used directly in a statement that contains an ORDER BY clause unless the OVER clause is specified.",
  11739: "NEXT VALUE FOR function cannot be used if ROWCOUNT option has been set, or the query contains TOP or OFFSET.",
  11741: "NEXT VALUE FOR function cannot be used within CASE, CHOOSE, COALESCE, IIF, ISNULL and NULLIF.",
};

export type SequenceError = keyof typeof SEQUENCE_ERRORS;

export function nextValue(expr: Expr & { kind: "next_value" }, scope: Scope, compiler: Compiler): Compiled {
  const { parts } = expr.sequence;
  const found = findSequence(parts, compiler);
  if (!found) throw invalidObject(parts.join("."));
  const { sequence, database } = found;
  compiler.require("UPDATE", database, sequence);
  const refused = compiler.nesting > 0 ? 11719 : scope.noSequences;
  // An order that OVER gives is as good as the statement's.
  if (refused !== undefined && !(refused === 11723 && expr.over))
    throw new SqlError(refused, SEQUENCE_ERRORS[refused], refused === 11739 || refused === 11741 ? 16 : 15, 1);
  const { type } = sequence;
  if (expr.over) {
    if (expr.over.partitionBy.length > 0)
      throw new SqlError(11716, "NEXT VALUE FOR function does not support the PARTITION BY clause.", 15, 1);
    if (expr.over.orderBy.length === 0)
      throw new SqlError(11718, "NEXT VALUE FOR function does not support an empty OVER clause.", 15, 1);
    const name = { parts: ["NEXT VALUE FOR"] };
    const { index, slot } = scope.window!({ kind: "call", name, args: [], over: expr.over }, sequence);
    return { type, nullable: true, evaluate: (frame) => frame.rows[slot]![index]! };
  }
  compiler.numbersRows = true;
  return {
    type,
    nullable: true,
    evaluate: ({ run }) => {
      const last = run.cache.get(sequence) as { row: number; value: Value } | undefined;
      if (last?.row === run.row) return last.value;
      const value = takeNumber(sequence);
      run.cache.set(sequence, { row: run.row, value });
      return value;
    },
  };
}

export function findSequence(
  parts: string[],
  { session, database: current }: Pick<Compiler, "session" | "database">,
): { sequence: Sequence; database: Database } | undefined {
  const database = parts.length === 3 && parts[0] !== "" ? session.engine.database(parts[0]!) : current;
  if (!database) return undefined;
  const name = parts[parts.length - 1]!;
  const written = parts.length > 1 ? parts[parts.length - 2]! : "";
  for (const schema of written !== "" ? [written] : [session.principalIn(database).defaultSchema, "dbo"]) {
    const synonym = database.findSynonym(schema, name);
    if (synonym) return findSequence(synonym.target, { session, database });
    const sequence = database.findSequence(schema, name);
    if (sequence) return { sequence, database };
  }
  return undefined;
}
