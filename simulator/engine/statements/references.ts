/** Foreign keys, looked at when a statement has made its changes. */
import type { Row } from "../database.ts";
import { SqlError } from "../session.ts";
import { type Entry, PENDING, type Range, type Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { hashKeyOf } from "../types/comparison.ts";
import type { Value } from "../values.ts";
import { type Changed, RowBusy } from "./changes.ts";

type ForeignKey = Table["foreignKeys"][number];

export function constraintOf(key: ForeignKey) {
  if (key.constraint.kind !== "foreign_key") throw new Error(`${key.name} is no foreign key`);
  return key.constraint;
}

/** Whether another table's foreign key names this one: such a table is neither dropped nor truncated. */
export function isReferenced(table: Table): boolean {
  const name = table.name.toLowerCase();
  const names = (key: ForeignKey) => constraintOf(key).references.parts.at(-1)!.toLowerCase() === name;
  return [...table.database.tables.values()].some((other) => other !== table && other.foreignKeys.some(names));
}

export function referencedTable(table: Table, key: ForeignKey): Table | undefined {
  const { references } = constraintOf(key);
  const { parts } = references;
  return table.database.findTable(
    parts.length > 1 ? parts[parts.length - 2]! || "dbo" : "dbo",
    parts[parts.length - 1]!,
  );
}

export function referencedColumns(parent: Table, key: ForeignKey): number[] {
  const { referenced } = constraintOf(key);
  if (referenced.length > 0) return referenced.map((name) => parent.columnIndex(name));
  return parent.indexes.find((index) => index.primaryKey)?.columns.map(({ column }) => column) ?? [];
}

/** Rows written to a child table have their parents. */
export function checkReferences(table: Table, transaction: Transaction, { written }: Changed): void {
  for (const key of table.foreignKeys) {
    const parent = referencedTable(table, key);
    if (!parent || key.disabled) continue;
    const columns = constraintOf(key).columns.map((name) => table.columnIndex(name));
    const wanted = referencedColumns(parent, key);
    for (const { before, after } of written) {
      const values = columns.map((column) => after[column]!);
      if (values.some((value) => value === null) || (before && sameValues(table, columns, before, after))) continue;
      if (!exists(parent, wanted, values, transaction))
        throw conflict("FOREIGN KEY", key, parent, wanted, before ? "UPDATE" : "INSERT");
    }
  }
}

/** All rows that a child table has, when a key is added or enabled again. The parent is locked. */
export function checkPresentRows(table: Table, key: ForeignKey, transaction: Transaction): void {
  const parent = referencedTable(table, key);
  if (!parent) return;
  const columns = constraintOf(key).columns.map((name) => table.columnIndex(name));
  const wanted = referencedColumns(parent, key);
  for (const row of table.rows({ seq: Number.MAX_SAFE_INTEGER, transaction })) {
    const values = columns.map((column) => row[column]!);
    if (values.every((value) => value !== null) && !exists(parent, wanted, values, transaction))
      throw conflict("FOREIGN KEY", key, parent, wanted, "ALTER TABLE");
  }
}

/** Rows that are gone from a parent table, or have another key now, had no children. */
export function checkReferenced(table: Table, transaction: Transaction, { written, deleted }: Changed): void {
  if (deleted.length === 0 && written.every(({ before }) => before === null)) return;
  for (const child of table.database.tables.values())
    for (const key of child.foreignKeys) {
      if (key.disabled || referencedTable(child, key) !== table) continue;
      const wanted = referencedColumns(table, key);
      const columns = constraintOf(key).columns.map((name) => child.columnIndex(name));
      const check = (row: Row, statement: string) => {
        const values = wanted.map((column) => row[column]!);
        if (values.some((value) => value === null) || exists(table, wanted, values, transaction)) return;
        if (exists(child, columns, values, transaction)) throw conflict("REFERENCE", key, child, columns, statement);
      };
      for (const row of deleted) check(row, "DELETE");
      for (const { before, after } of written)
        if (before && !sameValues(table, wanted, before, after)) check(before, "UPDATE");
    }
}

export function sameValues(table: Table, columns: number[], a: Row, b: Row): boolean {
  return columns.every((column) => equal(table, column, a[column]!, b[column]!));
}

function equal(table: Table, column: number, a: Value, b: Value): boolean {
  if (a === null || b === null) return a === b;
  const { type } = table.columns[column]!;
  const keyOf = hashKeyOf(type, type.collation ?? table.database.collation);
  return keyOf(a) === keyOf(b);
}

/** Whether a row has the values, as this transaction sees it now; what others have not committed is waited for. */
function exists(table: Table, columns: number[], values: Value[], transaction: Transaction): boolean {
  for (const _ of rowsWith(table, columns, values, transaction)) return true;
  return false;
}

/** The rows that have the values, as this transaction sees them now. */
export function* rowsWith(
  table: Table,
  columns: number[],
  values: Value[],
  transaction: Transaction,
): Generator<Entry> {
  const range: Range = {};
  const index = table.indexes.find((candidate) =>
    columns.every((column, i) => candidate.columns[i]?.column === column),
  );
  if (index) {
    range.index = index;
    range.prefix = values;
  }
  const fits = (row: Row | null) =>
    row !== null && columns.every((column, i) => equal(table, column, row[column]!, values[i]!));
  const next = table.cursor(range);
  // All are found before the first is changed: a change moves entries about.
  const found = new Set<Entry>();
  for (let item = next(); item; item = next()) {
    const { entry } = item;
    const foreign = entry.seq === PENDING && entry.owner !== transaction;
    if (foreign && (fits(entry.row) || fits(entry.older?.row ?? null))) throw new RowBusy(entry.owner!);
    if (!foreign && fits(entry.row)) found.add(entry);
  }
  yield* found;
}

function conflict(kind: string, key: ForeignKey, table: Table, columns: number[], statement: string): SqlError {
  const column = columns.length === 1 ? `, column '${table.columns[columns[0]!]!.name}'` : "";
  return new SqlError(
    547,
    `The ${statement} statement conflicted with the ${kind} constraint "${key.name}". The conflict occurred in database "${table.database.name}", table "${table.qualifiedName}"${column}.`,
    16,
    0,
  );
}
