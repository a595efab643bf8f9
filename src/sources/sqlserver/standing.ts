/**
 * How far a table's checkpoint is behind, and how long until clean-up passes it: for `dstream status`, asked of the database alone.
 * Changes are counted by the same index as they are read by, whole transactions at a time, and no further than MOST_COUNTED.
 */
import type { Lsn } from "../../change/position.ts";
import { type Checkpoint, fullName } from "../../ingester/checkpoint.ts";
import type { CapturedTable } from "./capture-instance.ts";
import { isBetweenTransactions } from "./change-query.ts";
import type { Parameter, SqlConnection } from "./connection.ts";
import { lsnBefore, lsnBytes, lsnOrNull } from "./lsn.ts";

export interface Standing {
  /** The largest LSN that the capture job has committed; null while there is none. */
  maximum: Lsn | null;
  /** Of the table's capture instances, the lowest; null: CDC is off for it, or has not processed it yet. */
  lowWatermark: Lsn | null;
  /** Whether changes between checkpoint and low watermark are gone. */
  gap: boolean;
  /** Changes behind the checkpoint; of a transaction that was read in part, all. Null without a checkpoint or table. */
  changes: number | null;
  /** There are more than were counted. */
  more: boolean;
  /** From the commit of the first change that is not acknowledged to now; 0 where there is none. Null where nothing is known. */
  lagSeconds: number | null;
  /** Until clean-up may remove the first change that is not acknowledged, or, without one, what comes next. Null: unknown. */
  cleanupSeconds: number | null;
}

/** Counting is a seek and a scan of what it finds: no status is worth reading a hundred million rows. */
export const MOST_COUNTED = 1_000_000;

/** Minutes, of the clean-up job; null where the login may not see it. sp_cdc_help_jobs needs db_owner; cdc_jobs in msdb a grant. */
export async function readRetention(connection: SqlConnection, signal: AbortSignal): Promise<number | null> {
  try {
    const { sets } = await connection.query("EXEC sys.sp_cdc_help_jobs", [], signal, {
      doing: "asking for the clean-up job's retention",
    });
    const cleanup = sets[0]?.rows.find((row) => row[1] === "cleanup");
    // job_id, job_type, job_name, maxtrans, maxscans, continuous, pollinginterval, retention, threshold
    return cleanup === undefined ? null : Number(cleanup[7]);
  } catch (error) {
    if ((error as { scope?: string }).scope !== "table") throw error;
    return null;
  }
}

export async function readStanding(
  connection: SqlConnection,
  table: CapturedTable | undefined,
  checkpoint: Checkpoint | null,
  retentionMinutes: number | null,
  signal: AbortSignal,
): Promise<Standing> {
  const done = checkpoint === null ? null : lastDone(checkpoint);
  // The newer instance of two has the same changes again.
  const instance = table?.instances[0];
  const parameters: Parameter[] = [{ name: "done", type: "binary10", value: done === null ? null : lsnBytes(done) }];
  const count =
    instance === undefined
      ? "SELECT NULL, NULL WHERE 1 = 0"
      : `SELECT COUNT(*), MIN(c.[__$start_lsn]) FROM (SELECT TOP (${MOST_COUNTED + 1}) [__$start_lsn] FROM ${instance.changeTable} ` +
        "WHERE [__$start_lsn] > @done AND [__$start_lsn] <= @max AND [__$operation] <> 3 ORDER BY [__$start_lsn]) AS c";
  const sql = [
    "DECLARE @max binary(10) = sys.fn_cdc_get_max_lsn();",
    "SELECT @max, GETDATE(), (SELECT tran_end_time FROM cdc.lsn_time_mapping WHERE start_lsn = @done);",
    `${count};`,
    "SELECT object_id, start_lsn FROM cdc.change_tables;",
  ].join("\n");
  const doing = table === undefined ? "asking for the maximum LSN" : `looking how far ${fullName(table)} is`;
  const { sets } = await connection.query(sql, parameters, signal, { doing });
  const [maximum, now, doneAt] = sets[0]!.rows[0] as [unknown, Date, Date | null];
  const [counted, first] = (sets[1]!.rows[0] ?? [null, null]) as [number | null, unknown];
  const starts = sets[2]!.rows
    .filter(([id]) => table?.instances.some(({ objectId }) => objectId === id))
    .flatMap(([, start]) => lsnOrNull(start) ?? []);
  const lowWatermark = starts.sort()[0] ?? null;
  const firstLsn = lsnOrNull(first);
  const firstAt = firstLsn === null ? null : await commitTime(connection, firstLsn, signal);
  const lagSeconds = checkpoint === null ? null : firstAt === null ? 0 : secondsBetween(firstAt, now);
  // What is acknowledged may go; what comes next is as old as the checkpoint at least.
  const oldest = firstAt ?? doneAt;
  return {
    maximum: lsnOrNull(maximum),
    lowWatermark,
    gap: done !== null && lowWatermark !== null && checkpoint!.position.startLsn < lowWatermark,
    changes: checkpoint === null || counted === null ? null : Math.min(counted, MOST_COUNTED),
    more: counted !== null && counted > MOST_COUNTED,
    lagSeconds,
    cleanupSeconds:
      retentionMinutes === null || oldest === null ? null : retentionMinutes * 60 - secondsBetween(oldest, now),
  };
}

/** The LSN up to which every transaction is acknowledged as a whole. */
function lastDone({ position }: Checkpoint): Lsn {
  const whole = isBetweenTransactions(position) && position.commandId >= 0;
  return whole ? position.startLsn : lsnBefore(position.startLsn);
}

async function commitTime(connection: SqlConnection, lsn: Lsn, signal: AbortSignal): Promise<Date | null> {
  const sql = "SELECT tran_end_time FROM cdc.lsn_time_mapping WHERE start_lsn = @lsn";
  const parameters: Parameter[] = [{ name: "lsn", type: "binary10", value: lsnBytes(lsn) }];
  const { sets } = await connection.query(sql, parameters, signal, { doing: "asking for a commit time" });
  return (sets[0]!.rows[0]?.[0] as Date | null | undefined) ?? null;
}

/** Both are the server's local time. */
function secondsBetween(from: Date, to: Date): number {
  return Math.max(0, Math.round((to.getTime() - from.getTime()) / 1000));
}
