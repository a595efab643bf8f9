/**
 * PIVOT and UNPIVOT, in the terms of other queries: aggregates of CASE, and APPLY over the columns.
 * https://learn.microsoft.com/sql/t-sql/queries/from-using-pivot-and-unpivot
 */
import type { Expr, Query, SelectCore, SelectItem, TableSource } from "../../sql/ast.ts";
import { invalidColumn } from "../errors.ts";
import type { SourceColumn } from "../expressions/scope.ts";
import { SqlError } from "../session.ts";

/** `SELECT * FROM source`: its columns are what the operators work on. */
export function allOf(source: TableSource): Query {
  return queryOf({ kind: "select", distinct: false, items: [{ kind: "star" }], from: [source], groupBy: [] });
}

/** What is neither aggregated nor pivoted is grouped by. */
export function pivoted(pivot: TableSource & { kind: "pivot" }, columns: readonly SourceColumn[]): Query {
  const { aggregate, column, source } = pivot;
  if (aggregate.kind !== "call" || aggregate.args.length !== 1)
    throw new SqlError(102, "Incorrect syntax near '*'.", 15, 1);
  const operand = aggregate.args[0]!;
  const used = [column, ...(operand.kind === "column" ? [operand.parts[operand.parts.length - 1]!] : [])];
  for (const name of used) if (!columns.some((known) => same(known.name, name))) throw invalidColumn(name);
  const kept = columns.filter(({ name }) => !used.some((other) => same(other, name))).map(({ name }) => name);
  for (const value of pivot.values)
    if (kept.some((name) => same(name, value)))
      throw new SqlError(
        265,
        `The column name "${value}" specified in the PIVOT operator conflicts with the existing column name in the PIVOT argument.`,
        16,
        1,
      );
  return queryOf({
    kind: "select",
    distinct: false,
    items: [
      ...kept.map((name): SelectItem => ({ kind: "expr", expr: named(name) })),
      ...pivot.values.map((value): SelectItem => {
        const right = { kind: "literal", type: "nstring", text: value } as const;
        const when = { kind: "compare", op: "=", left: named(column), right } as const;
        const then = operand;
        const chosen: Expr = { kind: "case", whens: [{ when, then }] };
        return { kind: "expr", expr: { ...aggregate, args: [chosen] }, alias: value };
      }),
    ],
    from: [source],
    groupBy: kept.map(named),
  });
}

/** A row for each of the columns that is not NULL. */
export function unpivoted(unpivot: TableSource & { kind: "unpivot" }, columns: readonly SourceColumn[]): Query {
  const { source, value, name } = unpivot;
  const listed = unpivot.columns.map((wanted) => {
    const found = columns.find((known) => same(known.name, wanted));
    if (!found) throw invalidColumn(wanted);
    return found;
  });
  const type = JSON.stringify(listed[0]!.type);
  for (const column of listed)
    if (JSON.stringify(column.type) !== type)
      throw new SqlError(
        8167,
        `The type of column "${column.name}" conflicts with the type of other columns specified in the UNPIVOT list.`,
        16,
        1,
      );
  const rows = listed.map((column): Expr[] => [
    named(column.name),
    {
      kind: "cast",
      operand: { kind: "literal", type: "nstring", text: column.name },
      type: { name: "sysname", args: [] },
      try: false,
    },
  ]);
  const alias = "unpivot columns";
  const kept = columns.filter((column) => !listed.includes(column as (typeof listed)[number]));
  return queryOf({
    kind: "select",
    distinct: false,
    items: [
      ...kept.map((column): SelectItem => ({ kind: "expr", expr: named(column.name) })),
      { kind: "expr", expr: { kind: "column", parts: [alias, value] } },
      { kind: "expr", expr: { kind: "column", parts: [alias, name] } },
    ],
    from: [
      { kind: "apply", outer: false, left: source, right: { kind: "values", rows, alias, columns: [value, name] } },
    ],
    where: { kind: "is_null", operand: { kind: "column", parts: [alias, value] }, not: true },
    groupBy: [],
  });
}

function queryOf(body: SelectCore): Query {
  return { ctes: [], body, orderBy: [], options: [] };
}

function named(name: string): Expr {
  return { kind: "column", parts: [name] };
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
