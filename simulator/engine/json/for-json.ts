/** FOR JSON. https://learn.microsoft.com/sql/relational-databases/json/format-query-results-as-json-with-for-json-sql-server */
import type { Query } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { type Formatter, type Level, levelsOf, rootOf } from "../query/for-clause.ts";
import type { Plan } from "../query/plan.ts";
import { SqlError } from "../session.ts";
import type { Value } from "../values.ts";
import { jsonWriter, quoted } from "./write.ts";

/** A property: a column's value, or an object of further ones. */
type Property = { key: string; column: number } | { key: string; properties: Property[] };

type Write = (column: number, value: Value) => string;

export function jsonFormatter(plan: Plan, { mode, options }: NonNullable<Query["forClause"]>): Formatter {
  const root = rootOf(options, "root");
  const nulls = options.includes("INCLUDE_NULL_VALUES");
  const bare = options.includes("WITHOUT_ARRAY_WRAPPER");
  for (const option of options)
    if (option !== "INCLUDE_NULL_VALUES" && option !== "WITHOUT_ARRAY_WRAPPER" && !option.startsWith("ROOT"))
      throw unsupported(`FOR JSON … ${option}`);
  if (bare && root !== undefined)
    throw new SqlError(
      13620,
      "ROOT option and WITHOUT_ARRAY_WRAPPER option cannot be used together in FOR JSON. Remove one of these options.",
      16,
      1,
    );
  if (plan.columns.some(({ name }) => name === ""))
    throw new SqlError(
      13605,
      "Column expressions and data sources without names or aliases cannot be formatted as JSON text using FOR JSON clause. Add alias to the unnamed column or table.",
      16,
      1,
    );
  const writers = plan.columns.map(jsonWriter);
  const write: Write = (column, value) => writers[column]!(value);
  const objects = mode === "AUTO" ? autoObjects(plan, write, nulls) : pathObjects(plan, write, nulls);
  return {
    column: {
      name: "JSON_F52E2B61-18A1-11d1-B105-00805F49916B",
      type: { id: "nvarchar", length: -1 },
      // Without its array it may be no JSON: it is text to what is around it.
      ...(bare ? {} : { json: true as const }),
    },
    text(rows) {
      if (rows.length === 0 && root === undefined) return null;
      const list = objects(rows);
      if (bare) return list;
      return root === undefined ? `[${list}]` : `{${quoted(root)}:[${list}]}`;
    },
  };
}

// ---------------------------------------------------------------- PATH

/** Dots in the names make objects. */
function pathObjects(plan: Plan, write: Write, nulls: boolean): (rows: Row[]) => string {
  const properties: Property[] = [];
  for (const [i, { name }] of plan.columns.entries()) place(properties, name, name.split("."), i);
  return (rows) => rows.map((row) => object(properties, row, write, nulls) ?? "{}").join(",");
}

function place(into: Property[], name: string, keys: string[], column: number): void {
  const [key = "", ...rest] = keys;
  const last = into[into.length - 1];
  // Only neighbours come into one object.
  if (rest.length > 0 && last?.key === key && "properties" in last) {
    place(last.properties, name, rest, column);
    return;
  }
  if (into.some((other) => other.key === key))
    throw new SqlError(
      13601,
      `Property '${name}' cannot be generated in JSON output due to a conflict with another column name or alias. Use different names and aliases for each column in SELECT list.`,
      16,
      1,
    );
  if (rest.length === 0) into.push({ key, column });
  else {
    const made: Property = { key, properties: [] };
    into.push(made);
    place(made.properties, name, rest, column);
  }
}

/** undefined: all in it is NULL and left out. */
function object(properties: Property[], row: Row, write: Write, nulls: boolean): string | undefined {
  const parts: string[] = [];
  for (const property of properties) {
    if ("properties" in property) {
      const inner = object(property.properties, row, write, nulls);
      if (inner !== undefined) parts.push(`${quoted(property.key)}:${inner}`);
      continue;
    }
    const value = row[property.column]!;
    if (value !== null || nulls) parts.push(`${quoted(property.key)}:${write(property.column, value)}`);
  }
  return parts.length === 0 ? undefined : `{${parts.join(",")}}`;
}

// ---------------------------------------------------------------- AUTO

/** The second table's rows are in an array of the first's, the third's in one of the second's. */
function autoObjects(plan: Plan, write: Write, nulls: boolean): (rows: Row[]) => string {
  const levels = levelsOf(plan);
  if (levels.length === 0)
    throw new SqlError(
      13600,
      "FOR JSON AUTO requires at least one table for generating JSON objects. Use FOR JSON PATH or add a FROM clause with a table name.",
      16,
      1,
    );
  const members = (level: Level, row: Row): string[] =>
    level.columns.flatMap((column) => {
      const value = row[column]!;
      return value === null && !nulls ? [] : [`${quoted(plan.columns[column]!.name)}:${write(column, value)}`];
    });
  const list = (rows: Row[], depth: number): string => {
    const level = levels[depth]!;
    const next = levels[depth + 1];
    if (!next) return rows.map((row) => `{${members(level, row).join(",")}}`).join(",");
    return runs(rows, (row) => JSON.stringify(level.columns.map((column) => write(column, row[column]!))))
      .map((group) => {
        const inner = `${quoted(next.name)}:[${list(group, depth + 1)}]`;
        return `{${[...members(level, group[0]!), inner].join(",")}}`;
      })
      .join(",");
  };
  return (rows) => list(rows, 0);
}

/** Neighbours that are alike. */
export function runs(rows: Row[], keyOf: (row: Row) => string): Row[][] {
  const groups: Row[][] = [];
  let last: string | undefined;
  for (const row of rows) {
    const key = keyOf(row);
    if (key === last) groups[groups.length - 1]!.push(row);
    else groups.push([row]);
    last = key;
  }
  return groups;
}
