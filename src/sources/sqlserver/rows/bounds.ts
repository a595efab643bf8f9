/** What the values of each type can be: anything else is not a response of SQL Server's. */
import { POWERS_OF_TEN } from "./numbers.ts";
import { ImpossibleValue } from "./row-sink.ts";
import { LAST_DAY, readDays, readTime, timeBytes } from "./times.ts";

export function impossible(column: string, expected: string): ImpossibleValue {
  return new ImpossibleValue(column, expected);
}

export function finite(column: string, value: number): number {
  if (!Number.isFinite(value)) throw impossible(column, "a finite number");
  return value;
}

export function checkDays(column: string, days: number): number {
  if (days > LAST_DAY) throw impossible(column, "a day up to 9999-12-31");
  return days;
}

export function beyondDay(column: string): ImpossibleValue {
  return impossible(column, "a time below 24 hours");
}

/** MS-TDS 2.2.5.5.1.8: 14 hours at most. */
export function checkOffset(column: string, minutes: number): number {
  if (minutes < -840 || minutes > 840) throw impossible(column, "an offset of at most 14 hours");
  return minutes;
}

/** A datetimeoffset at `p`: days and time are of UTC, and both they and the local ones are in the years 1 to 9999. */
export function checkLocal(column: string, from: DataView, p: number, scale: number): void {
  const power = POWERS_OF_TEN[scale]!;
  const behind = p + timeBytes(scale);
  const units = readTime(from, p, scale);
  if (units >= 86_400 * power) throw beyondDay(column);
  const days = checkDays(column, readDays(from, behind));
  const minutes = checkOffset(column, from.getInt16(behind + 3, true));
  if (days !== 0 && days !== LAST_DAY) return;
  const second = days * 86_400 + Math.floor(units / power) + minutes * 60;
  if (second < 0 || second >= (LAST_DAY + 1) * 86_400)
    throw impossible(column, "a local day from 0001-01-01 to 9999-12-31");
}

/** From 1753-01-01 to 9999-12-31. */
export function checkDateTime(column: string, days: number, ticks: number): void {
  if (days < -53_690 || days > 2_958_463) throw impossible(column, "a day from 1753 to 9999");
  if (ticks >= 25_920_000) throw beyondDay(column);
}

export function checkMinutes(column: string, minutes: number): void {
  if (minutes >= 1_440) throw beyondDay(column);
}
