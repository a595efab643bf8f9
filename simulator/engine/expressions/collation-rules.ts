/** Which collation an expression of several has: https://learn.microsoft.com/sql/t-sql/statements/collation-precedence-transact-sql */
import { SqlError } from "../session.ts";
import type { CollationLabel, Compiled } from "./compiled.ts";

const STRENGTH = { default: 0, implicit: 1, explicit: 2 };

/** Error 468 where two columns' collations differ and nothing decides. */
export function mixCollations(a: Compiled, b: Compiled, operation: string): CollationLabel | undefined {
  const x = a.collation;
  const y = b.collation;
  if (!x || !y) return x ?? y;
  if (x.name === y.name) return STRENGTH[x.label] >= STRENGTH[y.label] ? x : y;
  if (x.label === y.label && x.label !== "default")
    throw new SqlError(
      468,
      `Cannot resolve the collation conflict between "${x.name}" and "${y.name}" in the ${operation} operation.`,
      16,
      9,
    );
  return STRENGTH[x.label] >= STRENGTH[y.label] ? x : y;
}
