/**
 * One scan of the log: up to a number of transactions, whole ones, in commit order. Their change rows, the entries of
 * cdc.lsn_time_mapping and what DDL did become visible together or not at all, as the capture process "opens and commits its
 * own transaction on each scan cycle":
 * https://learn.microsoft.com/sql/relational-databases/track-changes/about-change-data-capture-sql-server
 *
 * Command ids count through a transaction. Each delete and insert has its own; the rows that one UPDATE changed share one, so
 * that a MERGE's share one as long as it neither inserts nor deletes between: command ids never contradict sequence values. A key
 * change of one row is a delete and an insert with one seqval and two command ids, and where a table has two capture instances
 * each numbers the change for itself.
 */
import { type LoggedTransaction, lsnToBuffer, type Row } from "../engine/database.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import type { SystemTransaction } from "../engine/transactions.ts";
import { hashKeyOf } from "../engine/types/comparison.ts";
import { changeRows } from "./captured-row.ts";
import { type ChangeStep, changeSteps, type KeyOf } from "./change-steps.ts";
import { applyDdl } from "./ddl-capture.ts";
import { type CaptureInstance, type CdcTables, captureInstances, enablingCommit } from "./instances.ts";
import type { Layouts } from "./layouts.ts";
import { entryOf, transactionIdBytes } from "./lsn-time-mapping.ts";
import { toDatetime } from "./server-time.ts";

export interface ScanInput {
  database: Database;
  tables: CdcTables;
  layouts: Layouts;
  /** By change table: low endpoints that have no entry in cdc.lsn_time_mapping yet. */
  newInstances: Map<number, bigint>;
  maxTransactions: number;
}

export interface ScanResult {
  /** Taken from the log, captured or not. */
  transactions: number;
  /** Those that left change rows. */
  captured: number;
  commands: number;
  records: number;
  schemaChanges: number;
  first: LoggedTransaction | undefined;
  last: LoggedTransaction | undefined;
  firstCaptured: LoggedTransaction | undefined;
  lastCaptured: LoggedTransaction | undefined;
}

export function scanLog(input: ScanInput): ScanResult {
  const { database, tables, layouts, newInstances } = input;
  const transactions = upToDdl(database.log, input.maxTransactions);
  const result: ScanResult = {
    transactions: transactions.length,
    captured: 0,
    commands: 0,
    records: 0,
    schemaChanges: 0,
    first: transactions[0],
    last: transactions.at(-1),
    firstCaptured: undefined,
    lastCaptured: undefined,
  };
  database.systemTransaction((system) => {
    const instances = captureInstances(database, tables, system.snapshot);
    const capture = new TransactionCapture(input, instances, system);
    for (const transaction of transactions) {
      const commands = capture.write(transaction);
      result.records += transaction.records.length;
      result.commands += commands;
      if (commands === 0) continue;
      result.captured++;
      result.firstCaptured ??= transaction;
      result.lastCaptured = transaction;
    }
    // Last, because a change table's new columns are not undone with the transaction.
    for (const transaction of transactions)
      for (const ddl of transaction.ddl)
        result.schemaChanges += applyDdl({ database, tables, layouts, system, instances, ddl });
    const next = database.log[transactions.length]?.commitLsn;
    const reached: number[] = [];
    for (const [objectId, lsn] of newInstances) {
      if (next !== undefined && next <= lsn) continue;
      reached.push(objectId);
      const instance = instances.find((candidate) => candidate.objectId === objectId);
      if (instance) mapLowEndpoint(input, system, lsn, instance);
    }
    // In the same commit, so that a restart finds each transaction either in the log or in the change tables.
    if (reached.length > 0 || result.schemaChanges > 0) database.engine.journal?.definitionsChanged();
    for (const objectId of reached) newInstances.delete(objectId);
    database.log.splice(0, transactions.length);
  });
  const last = transactions.at(-1);
  if (last) layouts.forget(last.commitLsn);
  return result;
}

/** A transaction with DDL ends its scan, so that what comes after it meets the changed tables. */
function upToDdl(log: readonly LoggedTransaction[], maximum: number): LoggedTransaction[] {
  const transactions: LoggedTransaction[] = [];
  for (const transaction of log) {
    if (transactions.length === maximum) break;
    transactions.push(transaction);
    if (transaction.ddl.length > 0) break;
  }
  return transactions;
}

/**
 * When capture comes to the LSN at which an instance was enabled, the transaction that enabled it gets an entry: from then on
 * sys.fn_cdc_get_max_lsn has reached the instance. It is a transaction's entry, not one of idleness: Debezium, which
 * reads on from `WHERE tran_id <> 0x00`, finds it on SQL Server before anything has changed (shouldSendHeartbeatsWhenNoRecordsAreSent
 * in its SnapshotIT).
 */
function mapLowEndpoint(
  { database, tables }: ScanInput,
  system: SystemTransaction,
  lsn: bigint,
  { createDate }: CaptureInstance,
): void {
  const commit = enablingCommit(lsn);
  if (createDate === null || entryOf(tables.lsnTimeMapping, system.snapshot, commit)) return;
  const transactionId = transactionIdBytes(database.engine.reserveTransactionIds(1));
  system.insert(tables.lsnTimeMapping, [lsnToBuffer(commit), createDate, createDate, transactionId, lsnToBuffer(lsn)]);
}

class TransactionCapture {
  readonly #input: ScanInput;
  readonly #system: SystemTransaction;
  readonly #bySource = new Map<number, CaptureInstance[]>();
  readonly #keys: KeyOf;

  constructor(input: ScanInput, instances: CaptureInstance[], system: SystemTransaction) {
    this.#input = input;
    this.#system = system;
    for (const instance of instances) {
      const list = this.#bySource.get(instance.sourceObjectId) ?? [];
      list.push(instance);
      this.#bySource.set(instance.sourceObjectId, list);
    }
    this.#keys = (objectId, row, lsn) => {
      const table = input.database.tables.get(objectId);
      return table && primaryKeyText(table, row, input.layouts, lsn);
    };
  }

  /** Writes a transaction's change rows; returns the number of its commands. */
  write(transaction: LoggedTransaction): number {
    let commands = 0;
    let statement = -1;
    const updates = new Map<CaptureInstance, number>();
    for (const step of changeSteps(transaction.records, this.#keys)) {
      if (step.statement !== statement || step.kind !== "update") updates.clear();
      statement = step.statement;
      for (const instance of this.#bySource.get(step.objectId) ?? []) {
        if (instance.startLsn === null || transaction.commitLsn < instance.startLsn) continue;
        const known = step.kind === "update" ? updates.get(instance) : undefined;
        const command = known ?? commands + 1;
        if (!this.#writeRows(instance, step, transaction.commitLsn, command)) continue;
        if (known === undefined) commands++;
        if (step.kind === "update") updates.set(instance, command);
      }
    }
    if (commands > 0) this.#map(transaction);
    return commands;
  }

  #writeRows(instance: CaptureInstance, step: ChangeStep, commitLsn: bigint, command: number): boolean {
    const table = this.#input.database.tables.get(step.objectId);
    if (!table) return false;
    const rows = changeRows(instance, this.#input.layouts.at(table, step.lsn), step, commitLsn, command);
    for (const row of rows) this.#system.insert(instance.changeTable, row);
    return rows.length > 0;
  }

  #map(transaction: LoggedTransaction): void {
    const { engine } = this.#input.database;
    const entry: Row = [
      lsnToBuffer(transaction.commitLsn),
      toDatetime(engine, transaction.beginTime),
      toDatetime(engine, transaction.commitTime),
      transactionIdBytes(transaction.transactionId),
      lsnToBuffer(transaction.beginLsn),
    ];
    this.#system.insert(this.#input.tables.lsnTimeMapping, entry);
  }
}

function primaryKeyText(table: Table, row: Row, layouts: Layouts, lsn: bigint): string | undefined {
  const index = table.indexes.find((candidate) => candidate.primaryKey);
  if (!index) return undefined;
  const layout = layouts.at(table, lsn);
  const parts = index.columns.map(({ column }) => {
    const { columnId, type } = table.columns[column]!;
    const at = layout.findIndex((past) => past.columnId === columnId);
    const value = row[at];
    return value === null || value === undefined
      ? null
      : String(hashKeyOf(type, type.collation ?? table.database.collation)(value));
  });
  return JSON.stringify(parts);
}
