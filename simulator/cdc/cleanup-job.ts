/**
 * The cleanup of change tables: first the low watermark is raised, in one transaction, then what lies below it is deleted, up to
 * `threshold` rows a transaction, from each change table and from cdc.lsn_time_mapping.
 * https://learn.microsoft.com/sql/relational-databases/track-changes/administer-and-monitor-change-data-capture-sql-server
 */
import { lsnFromBuffer, lsnToBuffer } from "../engine/database.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import type { SystemTransaction } from "../engine/transactions.ts";
import type { Temporal } from "../engine/values.ts";
import { type CdcTables, CHANGE_TABLE, captureInstances, cdcTables } from "./instances.ts";
import { END_TIME, entryOf, latestEntry, lsnOfTime, smallestWithTimeOf } from "./lsn-time-mapping.ts";
import { minutesBefore } from "./server-time.ts";

export interface CleanupSettings {
  /** Minutes. */
  retention: number;
  /** Rows a transaction. */
  threshold: number;
}

export interface CleanupRequest extends CleanupSettings {
  /** Instead of what retention says. */
  lowWatermark?: bigint;
  /** Only this one's, as sys.sp_cdc_cleanup_change_table does. */
  captureInstance?: string;
  /** Awaited between raising the watermark and deleting. */
  raised?: () => Promise<void>;
}

/** Resolves to the number of rows deleted from change tables. */
export async function cleanUp(database: Database, request: CleanupRequest): Promise<number> {
  const tables = cdcTables(database);
  if (!tables) return 0;
  const watermark = request.lowWatermark ?? watermarkOf(database, tables, request.retention);
  if (watermark !== null) raise(database, tables, watermark, request.captureInstance);
  await request.raised?.();
  let deleted = 0;
  for (const instance of instancesOf(database, tables)) {
    if (request.captureInstance !== undefined && instance.name !== request.captureInstance) continue;
    if (instance.startLsn !== null)
      deleted += await deleteBelow(database, instance.changeTable, instance.startLsn, request.threshold);
  }
  await cleanMapping(database, tables, request.threshold);
  return deleted;
}

function instancesOf(database: Database, tables: CdcTables) {
  return database.systemTransaction((system) => captureInstances(database, tables, system.snapshot));
}

/** The newest commit less the retention time, as the LSN of an entry; null when nothing is that old. */
function watermarkOf(database: Database, tables: CdcTables, retention: number): bigint | null {
  const mapping = tables.lsnTimeMapping;
  return database.systemTransaction(({ snapshot }) => {
    const latest = latestEntry(mapping, snapshot);
    if (!latest) return null;
    const time = minutesBefore(latest[END_TIME] as Temporal, retention);
    const lsn = lsnOfTime(mapping, snapshot, "largest less than or equal", time);
    return lsn === null ? null : smallestWithTimeOf(mapping, snapshot, entryOf(mapping, snapshot, lsn)!);
  });
}

/** Instances whose watermark is higher already keep theirs. */
function raise(database: Database, tables: CdcTables, watermark: bigint, captureInstance: string | undefined): void {
  database.systemTransaction((system) => {
    for (const { entry, row } of tables.changeTables.entries(system.snapshot)) {
      if (captureInstance !== undefined && row[CHANGE_TABLE.captureInstance] !== captureInstance) continue;
      const current = row[CHANGE_TABLE.startLsn];
      if (!Buffer.isBuffer(current) || lsnFromBuffer(current) >= watermark) continue;
      const raised = [...row];
      raised[CHANGE_TABLE.startLsn] = lsnToBuffer(watermark);
      system.update(tables.changeTables, entry, raised);
    }
  });
}

/** Both kinds of table are clustered on an LSN. */
async function deleteBelow(database: Database, table: Table, watermark: bigint, threshold: number): Promise<number> {
  const range = { index: table.clusteredIndex!, to: { value: lsnToBuffer(watermark), inclusive: false } };
  let deleted = 0;
  for (;;) {
    const batch = database.systemTransaction((system) => deleteSome(system, table, range, threshold));
    deleted += batch;
    if (batch < threshold) return deleted;
    await new Promise(setImmediate);
  }
}

function deleteSome(
  system: SystemTransaction,
  table: Table,
  range: Parameters<Table["entries"]>[1],
  limit: number,
): number {
  const entries = [];
  for (const { entry } of table.entries(system.snapshot, range)) {
    entries.push(entry);
    if (entries.length === limit) break;
  }
  for (const entry of entries) system.delete(table, entry);
  return entries.length;
}

/** Entries below every instance's watermark; the one that is the watermark stays. */
async function cleanMapping(database: Database, tables: CdcTables, threshold: number): Promise<void> {
  let lowest: bigint | null = null;
  for (const { startLsn } of instancesOf(database, tables)) {
    if (startLsn === null) return;
    if (lowest === null || startLsn < lowest) lowest = startLsn;
  }
  if (lowest !== null) await deleteBelow(database, tables.lsnTimeMapping, lowest, threshold);
}
