/** Where a table without a checkpoint begins. */
import {
  afterTransaction,
  beforeTransaction,
  formatLsnWithColons,
  type Lsn,
  type Position,
} from "../../change/position.ts";
import type { Start } from "../../config/units.ts";
import { SourceError } from "../../errors.ts";
import { fullName } from "../../ingester/checkpoint.ts";
import type { SourceTable } from "../../ingester/source.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { SqlConnection } from "./connection.ts";
import { lsnOrNull } from "./lsn.ts";
import { readServerTime } from "./server-time.ts";

/** datetime counts in 1/300 s: a time a little earlier is never rounded past the one that was asked for. */
const ROUNDING_MS = 4;
const CLOCK_CHANGE_MS = 3_600_000;

export async function startPosition(
  connection: SqlConnection,
  table: SourceTable,
  start: Start,
  lowWatermark: Lsn,
  logger: Logger,
  signal: AbortSignal,
): Promise<Position> {
  const doing = `looking for the start of ${fullName(table)}`;
  switch (start.at) {
    case "low_watermark":
      return beforeTransaction(lowWatermark);
    case "now": {
      const maximum = await maximumLsn(connection, doing, signal);
      return maximum === null ? beforeTransaction(lowWatermark) : afterTransaction(maximum);
    }
    case "lsn": {
      const maximum = await maximumLsn(connection, doing, signal);
      if (start.lsn >= lowWatermark && (maximum === null || start.lsn <= maximum)) return beforeTransaction(start.lsn);
      const range = `from ${formatLsnWithColons(lowWatermark)} to ${maximum === null ? "(none)" : formatLsnWithColons(maximum)}`;
      throw new SourceError(
        "table",
        `${fullName(table)} cannot start at LSN ${formatLsnWithColons(start.lsn)}: CDC holds ${range}.`,
        {
          advice: 'Set `start` to an LSN in that range, to "low_watermark" or to "now".',
        },
      );
    }
    case "time": {
      const found = await firstSince(connection, start.time, doing, signal);
      if (found === null) return afterTransaction((await maximumLsn(connection, doing, signal)) ?? lowWatermark);
      if (found >= lowWatermark) return beforeTransaction(found);
      logger.warn(
        { table: fullName(table), lsn: lowWatermark, time: start.time.toISOString() },
        "CDC holds nothing of this table as old as the start time: it starts at the low watermark.",
      );
      return beforeTransaction(lowWatermark);
    }
  }
}

async function maximumLsn(connection: SqlConnection, doing: string, signal: AbortSignal): Promise<Lsn | null> {
  const { sets } = await connection.query("SELECT sys.fn_cdc_get_max_lsn()", [], signal, { doing });
  return lsnOrNull(sets[0]!.rows[0]![0]);
}

/**
 * The first LSN committed at the time or later; null: there is none yet. Times older than all map to the first.
 *
 * lsn_time_mapping holds local times, which go back by an hour in autumn: what was committed after the wanted time may bear
 * a smaller one. So the smallest local time that can still come counts, and up to an hour too much is read rather than a
 * change too little: around that hour where the server can name its zone, always where it cannot and is not at UTC.
 * fn_cdc_map_time_to_lsn goes by the times alone, so the table is asked.
 */
export async function firstSince(
  connection: SqlConnection,
  time: Date,
  doing: string,
  signal: AbortSignal,
): Promise<Lsn | null> {
  const { zone, offset } = await readServerTime(connection, signal);
  const utc = (ms: number) => new Date(time.getTime() - ROUNDING_MS + ms).toISOString().slice(0, 23);
  const { sets } =
    zone === null
      ? await connection.query(
          firstSinceQuery("CONVERT(datetime2(3), @local, 126)"),
          [{ name: "local", type: "nvarchar", value: utc(offset * 60_000 - (offset === 0 ? 0 : CLOCK_CHANGE_MS)) }],
          signal,
          { doing },
        )
      : await connection.query(
          `DECLARE @at datetime2(3) = ${localOf("@utc")}, @then datetime2(3) = DATEADD(hour, -1, ${localOf("@later")}); ` +
            firstSinceQuery("CASE WHEN @then < @at THEN @then ELSE @at END"),
          [
            { name: "utc", type: "nvarchar", value: utc(0) },
            { name: "later", type: "nvarchar", value: utc(CLOCK_CHANGE_MS) },
            { name: "zone", type: "nvarchar", value: zone },
          ],
          signal,
          { doing },
        );
  return lsnOrNull(sets[0]!.rows[0]![0]);
}

function firstSinceQuery(local: string): string {
  return `SELECT MIN(start_lsn) FROM cdc.lsn_time_mapping WHERE tran_end_time >= CONVERT(datetime, ${local})`;
}

function localOf(utc: string): string {
  return `CONVERT(datetime2(3), CONVERT(datetime2(3), ${utc}, 126) AT TIME ZONE N'UTC' AT TIME ZONE @zone)`;
}
