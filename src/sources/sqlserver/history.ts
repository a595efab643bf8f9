/** Whether the database's history is still the one that was read, and the ways out where it is not (design.md, promise 2). */
import { formatLsnWithColons, type Lsn, type Position } from "../../change/position.ts";
import { GapError, HistoryError, SourceError } from "../../errors.ts";
import { type Checkpoint, checkpointKey, fullName, type TableName } from "../../ingester/checkpoint.ts";
import type { SqlConnection } from "./connection.ts";
import { lsnBytes } from "./lsn.ts";
import { localText } from "./server-time.ts";

const mappingQuery = `SELECT m.tran_end_time, (SELECT MIN(start_lsn) FROM cdc.lsn_time_mapping)
FROM (SELECT 1 AS one) AS o LEFT JOIN cdc.lsn_time_mapping AS m ON m.start_lsn = @lsn`;

/**
 * Holds the checkpoint's LSN against the commit time that was stored with it. Below what lsn_time_mapping still holds there is
 * nothing to compare; whether changes are gone there is the low watermark's matter.
 */
export async function checkHistory(
  connection: SqlConnection,
  table: TableName,
  { position, commitTime }: Checkpoint,
  signal: AbortSignal,
): Promise<void> {
  if (commitTime === null) return;
  const lsn = position.startLsn;
  const doing = `holding the checkpoint of ${fullName(table)} against the database's history`;
  const parameters = [{ name: "lsn", type: "binary10" as const, value: lsnBytes(lsn) }];
  const { sets } = await connection.query(mappingQuery, parameters, signal, { doing });
  const [time, oldest] = sets[0]!.rows[0] as [Date | null, Buffer | null];
  if (oldest === null || oldest.toString("hex") > lsn) return;
  const found = time === null ? null : localText(time);
  if (found === commitTime) return;
  const now = found === null ? "no transaction with that LSN" : `the commit time ${found}`;
  throw new HistoryError(
    `The history of the database is not the one that was read: the checkpoint of ${fullName(table)} at LSN ` +
      `${formatLsnWithColons(lsn)} was committed at ${commitTime} (the server's time), but the database has ${now}. ` +
      "It was restored, or failed over and lost transactions.",
    { advice: historyAdvice(table) },
  );
}

/**
 * A maximum below the checkpoint. On a database that takes writes, that LSN has been undone; a read-only one may be a
 * secondary that is behind.
 */
export function behindCheckpoint(table: TableName, position: Position, maximum: Lsn, readOnly: boolean): Error {
  const message =
    `The checkpoint of ${fullName(table)} is at LSN ${formatLsnWithColons(position.startLsn)}, but the database's maximum LSN ` +
    `is ${formatLsnWithColons(maximum)}`;
  if (readOnly)
    return new SourceError(
      "unavailable",
      `${message}: the database is read-only, perhaps a secondary that is behind.`,
      {
        advice: "It is waited for. If the database was restored, see `dstream checkpoints rewind`.",
      },
    );
  return new HistoryError(`${message}: it was restored, or failed over and lost transactions.`, {
    advice: historyAdvice(table),
  });
}

export function gapError(table: TableName, checkpoint: Lsn, lowWatermark: Lsn): GapError {
  return new GapError(
    fullName(table),
    checkpoint,
    lowWatermark,
    `CDC's clean-up removed them before they were read. To go on with what is left, set on_gap = "skip", or run: ` +
      `dstream checkpoints rewind ${checkpointKey(table)} --lsn ${lowWatermark}. To have more time, raise the retention: ` +
      "EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = <minutes>.",
  );
}

function historyAdvice(table: TableName): string {
  return (
    "Consumers may hold changes that the database no longer has. Decide from where to go on, and say so: " +
    `dstream checkpoints rewind ${checkpointKey(table)} --time <a time before the two histories part>, or --lsn <LSN>.`
  );
}
