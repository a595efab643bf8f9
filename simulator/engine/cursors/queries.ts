/** What cursors make of their queries. */
import type { Query } from "../../sql/ast.ts";
import type { Plan } from "../query/plan.ts";

/** The same rows whatever their values are: how a keyset cursor sees those that its query would no longer find. */
export function withoutConditions(query: Query): Query {
  const { body } = query;
  if (body.kind !== "select") return query;
  const { where: _where, top: _top, ...core } = body;
  return { ctes: query.ctes, body: core, orderBy: [], options: query.options };
}

/** Whether an index gives the rows in the order that is asked for, so that they need not be sorted first. */
export function comesInOrder({ orderBy, body }: Query, plan: Plan): boolean {
  if (orderBy.length === 0) return true;
  if (body.kind !== "select" || plan.origins?.length !== 1) return false;
  const { table } = plan.origins[0]!;
  const wanted = orderBy.map(({ expr, descending }) => ({
    column: expr.kind === "column" ? table.columnIndex(expr.parts.at(-1)!) : -1,
    descending,
  }));
  return table.indexes.some(({ columns }) =>
    [false, true].some((reversed) =>
      wanted.every(
        ({ column, descending }, i) =>
          columns[i]?.column === column && (columns[i]!.descending !== reversed) === descending,
      ),
    ),
  );
}
