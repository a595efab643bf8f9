/**
 * sys.sp_cdc_cleanup_change_table: a watermark given by hand.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-cleanup-change-table-transact-sql
 * The order of its checks is that of SQL Server's own procedure, as sp_helptext shows it.
 */
import { lsnFromBuffer, lsnToBuffer } from "../engine/database.ts";
import type { EngineContext } from "../engine/engine.ts";
import type { Value } from "../engine/values.ts";
import { requireOwner } from "./access.ts";
import { CdcDatabase, CLEANUP_DEFAULTS } from "./cdc-database.ts";
import { cleanUp } from "./cleanup-job.ts";
import { cdcError } from "./errors.ts";
import { findInstance } from "./instances.ts";
import { entryOf, maximumLsn, smallestWithTimeOf } from "./lsn-time-mapping.ts";

/** Without a low water mark the instance keeps the one it has: only what lies below is deleted. */
export async function cleanUpChangeTable(context: EngineContext, args: Map<string, Value>): Promise<void> {
  requireOwner(context);
  const { database, snapshot } = context;
  const { tables } = CdcDatabase.of(database);
  if (!tables) throw cdcError(22910, database.name);
  const threshold = args.get("@threshold");
  if (typeof threshold === "bigint" && threshold <= 0n) throw cdcError(22850);
  const given = args.get("@low_water_mark");
  const lsn = Buffer.isBuffer(given) ? lsnFromBuffer(given) : null;
  const entry = lsn === null ? undefined : entryOf(tables.lsnTimeMapping, snapshot, lsn);
  if (lsn !== null && !entry) throw cdcError(22964, shown(lsn));

  const name = String(args.get("@capture_instance") ?? "").trimEnd();
  const instance = findInstance(database, tables, snapshot, name);
  if (!instance) throw cdcError(22920, name, database.name);
  if (lsn !== null && (instance.startLsn === null || lsn < instance.startLsn)) {
    const maximum = maximumLsn(tables.lsnTimeMapping, snapshot);
    throw cdcError(22957, shown(lsn), instance.name, shown(instance.startLsn), shown(maximum));
  }
  await cleanUp(database, {
    retention: CLEANUP_DEFAULTS.retention,
    threshold: Number(threshold ?? CLEANUP_DEFAULTS.threshold),
    captureInstance: instance.name,
    lowWatermark: entry ? smallestWithTimeOf(tables.lsnTimeMapping, snapshot, entry) : (instance.startLsn ?? 0n),
  });
}

function shown(lsn: bigint | null): string {
  return lsn === null ? "NULL" : `0x${lsnToBuffer(lsn).toString("hex").toUpperCase()}`;
}
