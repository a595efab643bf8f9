/**
 * Filling a change table with as many changes as one likes, in no time and little memory, for benchmarks: the rows are a series
 * (engine/series.ts) that repeats a few patterns, as capture would have made them of those values, and so are their entries of
 * cdc.lsn_time_mapping. To every statement they are rows like any other.
 */
import { lsnFromBuffer, type Row } from "../engine/database.ts";
import { type OwnColumn, Series } from "../engine/series.ts";
import type { ResultColumn } from "../engine/session.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import type { TimeZone } from "../engine/time-zone.ts";
import { convertValue } from "../engine/types/conversion.ts";
import type { Value } from "../engine/values.ts";
import { changeRows } from "./captured-row.ts";
import { CdcDatabase } from "./cdc-database.ts";
import type { ChangeStep } from "./change-steps.ts";
import { FillNumbering } from "./fill-numbering.ts";
import type { CaptureInstance } from "./instances.ts";
import { transactionIdBytes } from "./lsn-time-mapping.ts";
import { toDatetime } from "./server-time.ts";

export type FilledOperation = "insert" | "update" | "delete";

export interface Fill {
  /** An update is one change, and two rows of the change table. */
  changes: number;
  /** All in one by default. */
  changesPerTransaction?: number;
  /** What the changes do, in turn: inserts by default. An update gives a row the next one's values, but for its keys. */
  operations?: readonly FilledOperation[];
  /** When the first and the last transaction were committed, the others in even steps between: now, by default. */
  commitTimes?: { from: Date; to: Date };
}

export interface Filled {
  /** Rows that the change table now has more. */
  rows: number;
  transactions: number;
  /** __$start_lsn of the first and the last transaction. */
  firstLsn: Buffer;
  lastLsn: Buffer;
}

/** What a query gave: columns of the source table by their names. */
export interface FillValues {
  columns: readonly ResultColumn[];
  rows: readonly (readonly Value[])[];
}

/** `values`: what the changes repeat; up to MOST_VALUES rows of the source table where there are none. */
export function fillChangeTable(database: Database, captureInstance: string, fill: Fill, values?: FillValues): Filled {
  const { engine } = database;
  const cdc = CdcDatabase.of(database);
  captureEverything(cdc);
  const instance = cdc.instances().find(({ name }) => name.toLowerCase() === captureInstance.toLowerCase());
  const source = instance && database.tables.get(instance.sourceObjectId);
  if (!instance || !source || !cdc.tables)
    throw new Error(`${database.name} has no capture instance ${captureInstance}`);
  const changesPerTransaction = Math.min(fill.changes, fill.changesPerTransaction ?? fill.changes);
  for (const count of [fill.changes, changesPerTransaction])
    if (!Number.isInteger(count) || count < 1) throw new RangeError("a change table is filled with 1 change or more");
  const rows = values ? rowsOfValues(source, values) : rowsOfSource(database, source);
  const pattern = changePattern(instance, source, rows, fill.operations ?? ["insert"]);
  const numbering = new FillNumbering(
    {
      changes: fill.changes,
      changesPerTransaction,
      rowsOfChanges: pattern.map((rows) => rows.length),
      recordBytes: 100 + 16 * source.columns.length,
    },
    database.lsn,
  );
  const firstLsn = numbering.commitLsn(0);
  const lastLsn = numbering.commitLsn(numbering.transactions - 1);
  const changeSeries = seriesOfChanges(instance.changeTable, pattern.flat(), numbering);
  const now = engine.now();
  const mappingSeries = seriesOfMapping(database, numbering, fill.commitTimes ?? { from: now, to: now });
  engine.journal?.begin();
  const seq = engine.versions.nextCommit();
  instance.changeTable.addSeries(changeSeries, seq);
  cdc.tables.lsnTimeMapping.addSeries(mappingSeries, seq);
  database.lsn.advance(lsnFromBuffer(lastLsn));
  engine.journal?.definitionsChanged();
  engine.journal?.end();
  return { rows: numbering.rows, transactions: numbering.transactions, firstLsn, lastLsn };
}

/** What is in the log has lower LSNs, and may not come after rows that have higher ones. */
function captureEverything(cdc: CdcDatabase): void {
  do {
    const taken = cdc.run();
    if (taken === 0 && cdc.database.log.length > 0)
      throw new Error("the log holds transactions that capture cannot read now (a table is being enabled)");
  } while (cdc.database.log.length > 0);
}

const MOST_VALUES = 1000;

function rowsOfSource(database: Database, source: Table): Row[] {
  return database.systemTransaction(({ snapshot }) => {
    const rows: Row[] = [];
    for (const row of source.rows(snapshot)) if (rows.push(row) === MOST_VALUES) break;
    return rows;
  });
}

/** As rows of the source table; columns that were not given are NULL. */
function rowsOfValues(source: Table, { columns, rows }: FillValues): Row[] {
  const given = columns.map(({ name, type }) => {
    const at = source.columnIndex(name);
    if (at < 0) throw new Error(`${source.qualifiedName} has no column ${name} to take values`);
    return { at, type };
  });
  return rows.map((values) => {
    const row = new Array<Value>(source.columns.length).fill(null);
    for (const [i, { at, type }] of given.entries()) row[at] = convertValue(values[i]!, type, source.columns[at]!.type);
    return row;
  });
}

/** The rows that capture makes of each change, until they repeat. */
function changePattern(
  instance: CaptureInstance,
  source: Table,
  values: readonly Row[],
  operations: readonly FilledOperation[],
): Row[][] {
  if (values.length === 0) throw new Error(`there are no values to fill ${instance.name} with`);
  const count = Math.ceil(values.length / operations.length) * operations.length;
  // An update that changed a key would be a delete and an insert.
  const keys = new Set(
    source.indexes.flatMap((index) => (index.unique ? index.columns.map(({ column }) => column) : [])),
  );
  const updated = (before: Row, to: Row) => to.map((value, column) => (keys.has(column) ? before[column]! : value));
  return Array.from({ length: count }, (_, i) => {
    const kind = operations[i % operations.length]!;
    const value = values[i % values.length]!;
    const step: ChangeStep = {
      objectId: source.objectId,
      kind,
      before: kind === "insert" ? null : value,
      after: kind === "delete" ? null : kind === "insert" ? value : updated(value, values[(i + 1) % values.length]!),
      lsn: 0n,
      statement: 0,
    };
    const rows = changeRows(instance, source.columns, step, 0n, 0);
    if (rows.length === 0) throw new Error("an update from one row of the values to the next changes nothing");
    return rows;
  });
}

function seriesOfChanges(table: Table, patterns: Row[], numbering: FillNumbering): Series {
  const [start, seqval, operation] = ["__$start_lsn", "__$seqval", "__$operation"].map((name) =>
    table.columnIndex(name),
  );
  const own = new Map<number, OwnColumn>([
    [start!, numbering.start],
    [seqval!, numbering.seqval],
  ]);
  const command = table.columnIndex("__$command_id");
  const orders = [[start!, seqval!, operation!]];
  if (command >= 0 && patterns[0]![command] !== null) {
    own.set(command, numbering.command);
    orders.push([start!, command, seqval!, operation!]);
  }
  return new Series({ length: numbering.rows, patterns, own, orders });
}

function seriesOfMapping(database: Database, numbering: FillNumbering, times: { from: Date; to: Date }): Series {
  const { engine } = database;
  const { transactions } = numbering;
  const from = times.from.getTime();
  const span = times.to.getTime() - from;
  if (!(span >= 0)) throw new RangeError("the last commit time is before the first");
  const firstId = engine.reserveTransactionIds(transactions);
  const time = (transaction: number) =>
    toDatetime(engine, new Date(from + Math.floor((span * transaction) / Math.max(1, transactions - 1))));
  const one = (value: OwnColumn["value"]): OwnColumn => ({ value, until: (transaction) => transaction + 1 });
  const own = new Map<number, OwnColumn>([
    [0, one((transaction) => numbering.commitLsn(transaction))],
    [1, one(time)],
    [2, one(time)],
    [3, one((transaction) => transactionIdBytes(firstId + BigInt(transaction)))],
    [4, one((transaction) => numbering.beginLsn(transaction))],
  ]);
  const orders = [[0]];
  // Where the clocks are set back, local times do not rise.
  if (sameOffset(engine.timeZone, from, from + span)) orders.push([2, 0]);
  return new Series({ length: transactions, patterns: [[null, null, null, null, null]], own, orders });
}

function sameOffset(zone: TimeZone, from: number, to: number): boolean {
  const offset = zone.offsetAt(to);
  for (let time = from; time < to; time += DAY) if (zone.offsetAt(time) !== offset) return false;
  return true;
}

const DAY = 86_400_000;
