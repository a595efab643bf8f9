/**
 * The server's clock. cdc.lsn_time_mapping holds the server's local time without an offset. Where the server can name its
 * time zone (SQL Server 2022 and later, Azure SQL:
 * https://learn.microsoft.com/sql/t-sql/functions/current-timezone-id-transact-sql), it is asked for the offset of each time
 * (AT TIME ZONE); elsewhere its present offset has to do, which is wrong for what was committed before the clocks changed.
 */

import { SourceError } from "../../errors.ts";
import type { SqlConnection } from "./connection.ts";

export interface ServerTime {
  /** Windows' name of the zone; null where the server cannot tell, or where it is UTC and needs no telling. */
  zone: string | null;
  /** Minutes east of UTC, now. */
  offset: number;
}

const UNKNOWN_FUNCTION = 195;

export async function readServerTime(connection: SqlConnection, signal: AbortSignal): Promise<ServerTime> {
  const doing = "asking for the server's time zone";
  const { sets } = await connection.query("SELECT DATEPART(TZOFFSET, SYSDATETIMEOFFSET())", [], signal, { doing });
  const offset = sets[0]!.rows[0]![0] as number;
  try {
    const { sets } = await connection.query("SELECT CURRENT_TIMEZONE_ID()", [], signal, { doing });
    const zone = sets[0]!.rows[0]![0] as string | null;
    return { zone: zone === "UTC" ? null : zone, offset };
  } catch (error) {
    if (error instanceof SourceError && error.number === UNKNOWN_FUNCTION) return { zone: null, offset };
    throw error;
  }
}

/** `2026-11-21T10:11:12.123`, as the server says it. The date was read as if it were UTC. */
export function localText(date: Date): string {
  return date.toISOString().slice(0, 23);
}

/** `2026-11-21T09:11:12.123Z` for local time 10:11:12.123 at +60 minutes. */
export function utcText(date: Date, offset: number): string {
  return (offset === 0 ? date : new Date(date.getTime() - offset * 60_000)).toISOString();
}
