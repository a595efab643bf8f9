/**
 * What INSERT, UPDATE, DELETE and MERGE have in common: they run in a transaction (their own where none is open), find their
 * rows in a snapshot, then lock and change them. A row that another transaction holds is waited for, and then the statement
 * begins anew with a new snapshot, keeping the locks it has; so it never works on a row that changed since it was read.
 */

import type { Statement, Target } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import type { LockMode } from "../locks.ts";
import { refuse } from "../locks.ts";
import { findObject, requireSnapshots } from "../query/sources.ts";
import { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { TriggerEvent } from "../storage.ts";
import type { Entry, Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { firedBy, runTriggers } from "../triggers/firing.ts";
import { convertValue } from "../types/conversion.ts";
import type { Value } from "../values.ts";
import { type Cascaded, cascade } from "./cascades.ts";
import type { Executor } from "./executor.ts";
import { filterOf } from "./index-filter.ts";
import type { OutputClause } from "./output.ts";
import { checkReferenced, checkReferences } from "./references.ts";
import { writableVariable } from "./table-variables.ts";

/** Another transaction holds the row. */
export class RowBusy extends Error {
  readonly owner: Transaction;
  constructor(owner: Transaction) {
    super("row is locked");
    this.owner = owner;
  }
}

/** The row is not what it was in the snapshot. */
class RowChanged extends Error {}

/** While the statement waited for a lock, DDL of another session made what was compiled for it wrong: it is compiled anew. */
export class SchemaChanged extends Error {}

/** Runs in the session's transaction, or in one of its own; undoes what it did if it fails. */
export async function inTransaction<T>(
  executor: Executor,
  work: (transaction: Transaction) => Promise<T>,
  separate = false,
): Promise<T> {
  const { session, sink } = executor;
  if (!session.currentTransaction && session.options.implicitTransactions) session.begin("", sink);
  const open = separate ? null : session.currentTransaction;
  if (open?.doomed)
    throw new SqlError(
      3930,
      "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
      16,
      1,
    );
  const transaction = open ?? session.engine.beginTransaction(session, "", session.isolation);
  const mark = transaction.mark();
  try {
    const result = await work(transaction);
    if (!open) transaction.commit(session.engine.now());
    return result;
  } catch (error) {
    if (transaction.state === "active") {
      if (open) transaction.rollbackTo(mark);
      else transaction.rollback();
    }
    throw error;
  }
}

/** For what was compiled: throws SchemaChanged if that is out of date by the time the locks are there. */
export async function lockTables(
  executor: Executor,
  transaction: Transaction,
  locks: Iterable<[Table, LockMode]>,
  compiled: number,
): Promise<void> {
  for (const [table, mode] of locks) await executor.session.lock(table, transaction, mode, executor.signal);
  if (executor.session.engine.schemaVersion !== compiled) throw new SchemaChanged();
}

/** What a statement changed: for the checks at its end and for the client. */
export interface Changed {
  count: number;
  /** New versions of rows, each where it is stored. */
  written: { entry: Entry; before: Row | null; after: Row }[];
  deleted: Row[];
}

export function nothing(): Changed {
  return { count: 0, written: [], deleted: [] };
}

/**
 * Runs a statement that changes `table`, as often as other transactions make necessary. `unchecked`: its foreign keys are
 * not looked at.
 */
export async function change<T extends Changed>(
  executor: Executor,
  table: Table,
  locks: Map<Table, LockMode>,
  work: (run: Run, transaction: Transaction) => Promise<T>,
  { unchecked = false, events = [], updated, output = null }: ChangeOptions = {},
): Promise<T> {
  const { session } = executor;
  const compiled = session.engine.schemaVersion;
  // What a table variable holds is not undone with the transaction.
  const separate = table.temporary && table.name.startsWith("@");
  const fired = firedBy(executor, table, events);
  if (fired && output?.visible)
    throw new SqlError(
      334,
      `The target table '${table.name}' of the DML statement cannot have any enabled triggers if the statement contains an OUTPUT clause without INTO clause.`,
      16,
      1,
    );
  const insteadOf = fired?.insteadOf != null;
  let cascaded: Cascaded[] = [];
  return inTransaction(
    executor,
    async (transaction) => {
      await lockTables(executor, transaction, table.temporary ? locks : [...locks, [table, "IX"]], compiled);
      const result = await attempt(transaction);
      if (fired) await runTriggers(executor, transaction, table, fired, result, updated ?? allColumns(table));
      for (const each of cascaded) await fireCascaded(executor, transaction, each);
      return result;
    },
    separate,
  );

  async function attempt(transaction: Transaction): Promise<T> {
    for (;;) {
      const mark = transaction.mark();
      const snapshot = session.openSnapshot(transaction);
      transaction.command++;
      let busy: Transaction | null = null;
      try {
        const run = new Run(session, executor.activation, snapshot, executor.signal);
        run.insteadOf = insteadOf;
        const identity = table.columns.find((column) => column.identity)?.identity;
        const number = identity?.next;
        const result = await work(run, transaction);
        if (insteadOf) {
          transaction.rollbackTo(mark);
          // What is not inserted takes no number.
          if (identity) identity.next = number!;
          transaction.command--;
          return result;
        }
        checkUnique(table, transaction, result, run);
        if (!unchecked) checkReferences(table, transaction, result);
        cascaded = table.temporary ? [] : [...cascade(table, transaction, result, run).values()];
        for (const { table: child, changed } of cascaded) checkUnique(child, transaction, changed, run);
        checkReferenced(table, transaction, result);
        if (result.written.length + result.deleted.length === 0) transaction.command--;
        return result;
      } catch (error) {
        transaction.rollbackTo(mark);
        transaction.command--;
        if (error instanceof RowBusy) busy = error.owner;
        else if (!(error instanceof RowChanged)) throw error;
        else if (transaction.isolation === "snapshot") throw updateConflict(table);
      } finally {
        session.closeSnapshot(snapshot);
      }
      if (busy) await waitFor(executor, busy);
      if (session.engine.schemaVersion !== compiled) throw new SchemaChanged();
    }
  }
}

/** The triggers of a table that foreign keys led to run after those of the statement's own. */
async function fireCascaded(executor: Executor, transaction: Transaction, reached: Cascaded): Promise<void> {
  const { table, changed, updated } = reached;
  const events: TriggerEvent[] = [];
  if (changed.written.length > 0) events.push("update");
  if (changed.deleted.length > 0) events.push("delete");
  const fired = firedBy(executor, table, events);
  if (fired) await runTriggers(executor, transaction, table, { ...fired, insteadOf: null }, changed, updated);
}

export interface ChangeOptions {
  unchecked?: boolean;
  /** Whose triggers the statement fires. */
  events?: TriggerEvent[];
  /** The columns that it assigns; all where absent. */
  updated?: Set<number>;
  output?: OutputClause | null;
}

function allColumns(table: Table): Set<number> {
  return new Set(table.columns.keys());
}

/** A statement's work on rows, compiled: it yields where it has run for a while. */
export interface Prepared {
  table: Table;
  locks: Map<Table, LockMode>;
  work(run: Run, transaction: Transaction): Generator<void, Changed>;
  output: OutputClause | null;
  /** Of an UPDATE: the columns that it assigns. */
  updated?: Set<number>;
}

/** Runs what was prepared, and gives others their turn. */
export async function carryOut(
  executor: Executor,
  { table, locks, work, output, updated }: Prepared,
  command: "insert" | "update" | "delete",
): Promise<void> {
  const { count } = await change(
    executor,
    table,
    locks,
    async (run, transaction) => {
      const steps = work(run, transaction);
      for (;;) {
        const step = steps.next();
        if (step.done) return step.value;
        await run.breathe();
      }
    },
    { events: [command], output, ...(updated ? { updated } : {}) },
  );
  if (output) await output.send();
  finish(executor, count, command, output?.visible === true);
}

async function waitFor(executor: Executor, owner: Transaction): Promise<void> {
  const { session, signal } = executor;
  const { waits } = session.engine;
  const blockers = () => (owner.state === "active" && owner.session ? [owner.session] : []);
  refuse(await waits.wait(session, blockers, owner.ended, session.options.lockTimeout, signal), session);
}

function updateConflict(table: Table): SqlError {
  return new SqlError(
    3960,
    `Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table '${table.qualifiedName}' directly or indirectly in database '${table.database.name}' to update, delete, or insert the row that has been modified or deleted by another transaction. Retry the transaction or change the isolation level for the update/delete statement.`,
    16,
    2,
  );
}

/** Takes a row that the statement read as `seen`. */
export function take(transaction: Transaction, entry: Entry, seen: Row): void {
  if (!transaction.lock(entry)) throw new RowBusy(entry.owner!);
  if (entry.row !== seen) throw new RowChanged();
}

/** After the statement: no two rows have the same key of a unique index. */
export function checkUnique(table: Table, transaction: Transaction, { written }: Changed, run: Run): void {
  for (const index of table.indexes) {
    if (!index.unique) continue;
    const covers = filterOf(index, table, run.session);
    for (const { entry, before, after } of written) {
      if (entry.row !== after || !covers(after, run)) continue;
      if (before !== null && table.sameKey(index, before, after) && covers(before, run)) continue;
      const prefix = index.columns.map(({ column }) => after[column]!);
      const next = table.cursor({ index, prefix });
      for (let found = next(); found; found = next()) {
        const other = found.entry;
        if (other === entry) continue;
        const foreign = other.owner !== null && other.owner !== transaction;
        if (foreign && other.seq === Number.POSITIVE_INFINITY) throw new RowBusy(other.owner!);
        if (other.row === null || !table.sameKey(index, other.row, after) || !covers(other.row, run)) continue;
        throw duplicate(table, index, prefix);
      }
    }
  }
}

function duplicate(table: Table, index: Table["indexes"][number], key: Value[]): SqlError {
  const shown = key.map((value, i) => shownKey(value, table, index.columns[i]!.column)).join(", ");
  if (index.primaryKey || index.uniqueConstraint) {
    const kind = index.primaryKey ? "PRIMARY KEY" : "UNIQUE KEY";
    return new SqlError(
      2627,
      `Violation of ${kind} constraint '${index.name}'. Cannot insert duplicate key in object '${table.qualifiedName}'. The duplicate key value is (${shown}).`,
      14,
      1,
    );
  }
  return new SqlError(
    2601,
    `Cannot insert duplicate key row in object '${table.qualifiedName}' with unique index '${index.name}'. The duplicate key value is (${shown}).`,
    14,
    1,
  );
}

export function duplicateKey(table: Table, index: Table["indexes"][number], row: Row): SqlError {
  return duplicate(
    table,
    index,
    index.columns.map(({ column }) => row[column]!),
  );
}

function shownKey(value: Value, table: Table, column: number): string {
  if (value === null) return "<NULL>";
  const { type } = table.columns[column]!;
  if (Buffer.isBuffer(value)) return `0x${value.toString("hex")}`;
  return String(convertValue(value, type, { id: "nvarchar", length: 4000 }, { style: 121 })).trimEnd();
}

/** The table that a statement names as its target, with the right to write to it. */
export function targetTable(executor: Executor, target: Target, permission: string): Table {
  if (target.kind === "table_variable") return writableVariable(executor, target.name);
  const compiler = executor.compiler();
  const found = findObject(target.name.parts, compiler);
  refuseSystem(found);
  if (found.kind !== "table") throw unsupported(`${permission} through the view ${target.name.parts.join(".")}`);
  if (!found.table.temporary) {
    compiler.require(permission, found.database, found.table);
    requireSnapshots(compiler, found.database);
  }
  return found.table;
}

export function refuseSystem(found: ReturnType<typeof findObject>): void {
  if (found.kind === "system") throw new SqlError(259, "Ad hoc updates to system catalogs are not allowed.", 16, 1);
}

/** Tells the client how many rows there were. */
export function finish(
  executor: Executor,
  count: number,
  command: "insert" | "update" | "delete" | "merge",
  select: boolean,
): void {
  const { session, sink } = executor;
  session.rowCount = count;
  sink.statementDone(session.options.nocount ? { select } : { rowCount: count, command, select });
}

export type Kind<K extends Statement["kind"]> = Statement & { kind: K };
