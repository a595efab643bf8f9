/**
 * Recursive common table expressions: the anchor's rows, then again and again the rows that the recursive part makes of those
 * of the round before, until there are none. https://learn.microsoft.com/sql/t-sql/queries/with-common-table-expression-transact-sql
 */
import type { CommonTable, QueryBody, TableSource } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import type { Frame } from "../expressions/compiled.ts";
import { PAUSE, type Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Plan } from "./plan.ts";

/** The rows of the last round, while the recursive part runs. */
export function recursionRows(run: Run, key: object): Row[] {
  return (run.cache.get(key) as Row[] | undefined) ?? [];
}

export function recursivePlan(anchor: Plan, step: Plan, key: object, limit: number): Plan {
  return {
    columns: anchor.columns,
    reach: Math.max(anchor.reach, step.reach),
    *open(outer: Frame | null, run: Run): Iterable<Row> {
      let round: Row[] = [];
      for (const row of anchor.open(outer, run)) {
        if (row !== PAUSE) round.push(row);
        yield row;
      }
      for (let depth = 0; round.length > 0; depth++) {
        if (limit > 0 && depth > limit)
          throw new SqlError(
            530,
            `The statement terminated. The maximum recursion ${limit} has been exhausted before statement completion.`,
            16,
            1,
          );
        run.cache.set(key, round);
        const next: Row[] = [];
        for (const row of step.open(outer, run)) {
          if (row !== PAUSE) next.push(row);
          yield row;
        }
        round = next;
      }
      run.cache.delete(key);
    },
  };
}

/** Whether a UNION ALL's right side refers to the expression itself. */
export function refersTo(body: QueryBody, table: CommonTable): boolean {
  const wanted = table.name.toLowerCase();
  const inSource = (source: TableSource): boolean => {
    switch (source.kind) {
      case "table":
        return source.name.parts.length === 1 && source.name.parts[0]!.toLowerCase() === wanted;
      case "join":
      case "apply":
        return inSource(source.left) || inSource(source.right);
      case "pivot":
      case "unpivot":
        return inSource(source.source);
      case "derived":
        return inBody(source.query.body);
      default:
        return false;
    }
  };
  const inBody = (part: QueryBody): boolean => {
    if (part.kind === "select") return part.from.some(inSource);
    if (part.kind === "set") return inBody(part.left) || inBody(part.right);
    return inBody(part.query.body);
  };
  return inBody(body);
}
