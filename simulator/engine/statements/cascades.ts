/**
 * Foreign keys with ON DELETE and ON UPDATE actions: what becomes of the rows that referred to those that are gone, or have another
 * key now. They are part of the statement, level by level; the parents' changes come first in the log.
 * https://learn.microsoft.com/sql/relational-databases/tables/primary-and-foreign-key-constraints#cascading-referential-integrity
 */
import type { ReferentialAction } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { newFrame } from "../expressions/compiled.ts";
import type { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Database } from "../storage.ts";
import type { Entry, Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { type Changed, nothing, RowBusy } from "./changes.ts";
import {
  checkReferenced,
  checkReferences,
  constraintOf,
  referencedColumns,
  referencedTable,
  rowsWith,
  sameValues,
} from "./references.ts";
import { writerOf } from "./row-writer.ts";

type ForeignKey = Table["foreignKeys"][number];

/** A table that a statement reaches through foreign keys, and what becomes of its rows. */
export interface Cascaded {
  table: Table;
  changed: Changed;
  /** The columns of the keys that were set. */
  updated: Set<number>;
}

/** Carries on what was done to `table`, and checks what it comes to. */
export function cascade(table: Table, transaction: Transaction, changed: Changed, run: Run): Map<Table, Cascaded> {
  const all = new Map<Table, Cascaded>();
  const waiting: { table: Table; changed: Changed }[] = [{ table, changed }];
  for (let next = waiting.shift(); next; next = waiting.shift())
    for (const { child, key } of keysTo(next.table)) {
      const found = follow(child, key, next.table, transaction, next.changed, run);
      if (found.written.length + found.deleted.length === 0) continue;
      waiting.push({ table: child, changed: found });
      let known = all.get(child);
      if (!known) all.set(child, (known = { table: child, changed: nothing(), updated: new Set() }));
      known.changed.written.push(...found.written);
      known.changed.deleted.push(...found.deleted);
      if (found.written.length > 0)
        for (const name of constraintOf(key).columns) known.updated.add(child.columnIndex(name));
    }
  for (const { table: child, changed: made } of all.values()) {
    checkReferences(child, transaction, made);
    checkReferenced(child, transaction, made);
  }
  return all;
}

function keysTo(table: Table): { child: Table; key: ForeignKey }[] {
  return [...table.database.tables.values()].flatMap((child) =>
    child.foreignKeys
      .filter((key) => !key.disabled && actionsOf(key).some(acts) && referencedTable(child, key) === table)
      .map((key) => ({ child, key })),
  );
}

function actionsOf(key: ForeignKey): (ReferentialAction | undefined)[] {
  const { onDelete, onUpdate } = constraintOf(key);
  return [onDelete, onUpdate];
}

function acts(action: ReferentialAction | undefined): boolean {
  return action !== undefined && action !== "no action";
}

function follow(
  child: Table,
  key: ForeignKey,
  parent: Table,
  transaction: Transaction,
  { written, deleted }: Changed,
  run: Run,
): Changed {
  const { onDelete, onUpdate, columns: names } = constraintOf(key);
  const wanted = referencedColumns(parent, key);
  const columns = names.map((name) => child.columnIndex(name));
  const made = nothing();
  const act = (action: ReferentialAction, old: Row, now: Row | null) => {
    const values = wanted.map((column) => old[column]!);
    if (values.some((value) => value === null)) return;
    for (const entry of rowsWith(child, columns, values, transaction))
      actOn(child, entry, action, columns, now && wanted.map((column) => now[column]!), transaction, made, run);
  };
  if (acts(onDelete)) for (const row of deleted) act(onDelete!, row, null);
  if (acts(onUpdate))
    for (const { before, after } of written)
      if (before && !sameValues(parent, wanted, before, after)) act(onUpdate!, before, after);
  return made;
}

function actOn(
  child: Table,
  entry: Entry,
  action: ReferentialAction,
  columns: number[],
  key: Row | null,
  transaction: Transaction,
  made: Changed,
  run: Run,
): void {
  if (!transaction.lock(entry)) throw new RowBusy(entry.owner!);
  const before = entry.row!;
  if (action === "cascade" && key === null) {
    transaction.delete(child, entry);
    made.deleted.push(before);
    return;
  }
  const writer = writerOf(child, run.session);
  const frame = newFrame(0, null, run);
  const after = [...before];
  columns.forEach((column, i) => {
    after[column] = action === "cascade" ? key![i]! : action === "set null" ? null : writer.defaultOf(column, frame);
  });
  writer.finish(after, run, "UPDATE");
  made.written.push({ entry: transaction.update(child, entry, after), before, after });
}

/** Errors 1761 and 1785: of a key that could not act, or would on two ways. */
export function checkActions(table: Table, name: string, key: ForeignKey): void {
  const constraint = constraintOf(key);
  for (const [action, what] of [
    [constraint.onDelete, "DELETE"],
    [constraint.onUpdate, "UPDATE"],
  ] as const) {
    if (!acts(action)) continue;
    const nullable = constraint.columns.every((column) => table.columns[table.columnIndex(column)]!.nullable);
    if (action === "set null" && !nullable)
      throw new SqlError(
        1761,
        `Cannot create the foreign key "${name}" with the SET NULL referential action, because one or more referencing columns are not nullable.`,
        16,
        0,
      );
    if (branches(table.database, what, table, key))
      throw new SqlError(
        1785,
        `Introducing FOREIGN KEY constraint '${name}' on table '${table.name}' may cause cycles or multiple cascade paths. Specify ON DELETE NO ACTION or ON UPDATE NO ACTION, or modify other FOREIGN KEY constraints.`,
        16,
        0,
      );
  }
}

/** Whether, with the new key, a table could be reached from another on two ways. */
function branches(database: Database, what: "DELETE" | "UPDATE", table: Table, added: ForeignKey): boolean {
  const childrenOf = (parent: Table): Table[] =>
    [...database.tables.values()].flatMap((child) => {
      const keys = child === table ? [...child.foreignKeys.filter((key) => key !== added), added] : child.foreignKeys;
      return keys
        .filter((key) => acts(actionsOf(key)[what === "DELETE" ? 0 : 1]) && referencedTable(child, key) === parent)
        .map(() => child);
    });
  const meetsAgain = (at: Table, seen: Set<Table>): boolean =>
    childrenOf(at).some((child) => seen.has(child) || meetsAgain(child, seen.add(child)));
  return [...database.tables.values()].some((root) => meetsAgain(root, new Set([root])));
}
