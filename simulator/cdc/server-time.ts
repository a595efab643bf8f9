/** datetime values in the server's local time, as cdc.lsn_time_mapping and the catalogue hold them. */
import type { Engine } from "../engine/engine.ts";
import { fitTemporal, fromDate, normalise } from "../engine/types/temporal.ts";
import { DATETIME } from "../engine/types/types.ts";
import type { Temporal } from "../engine/values.ts";

export function toDatetime(engine: Engine, instant: Date): Temporal {
  return fitTemporal(fromDate(instant, engine.timeZone.offsetAt(instant.getTime())), DATETIME)!;
}

/** `minutes` before a datetime, in local time as it stands. */
export function minutesBefore(datetime: Temporal, minutes: number): Temporal {
  return normalise(datetime.days, datetime.ticks - minutes * 600_000_000);
}

export function compareTimes(a: Temporal, b: Temporal): number {
  return a.days - b.days || a.ticks - b.ticks;
}

/** As DATEDIFF(second, …) counts: boundaries of seconds crossed. */
export function secondsBetween(from: Temporal, to: Temporal): number {
  const second = ({ days, ticks }: Temporal) => days * 86_400 + Math.floor(ticks / 10_000_000);
  return second(to) - second(from);
}
