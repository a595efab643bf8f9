/** Dates and times as TDS counts them, and as text for clients that are older than the types. */
import { type SqlType, Temporal } from "../engine/values.ts";

/** From 0001-01-01 to 1900-01-01, where datetime and smalldatetime begin. */
export const DAYS_TO_1900 = 693_595;
const TICKS_A_MINUTE = 600_000_000;
export const TICKS_A_DAY = 864_000_000_000;
const UNIX_DAYS = 719_162;

/** 1/300 s since midnight: what datetime keeps. */
export function datetimeTicks(ticks: number): number {
  return Math.round((ticks * 3) / 100_000);
}

export function datetimeFromTicks(days: number, threeHundredths: number): Temporal {
  return new Temporal(days + DAYS_TO_1900, Math.round((threeHundredths * 100_000) / 3));
}

export function smalldatetimeMinutes(ticks: number): number {
  return Math.round(ticks / TICKS_A_MINUTE);
}

export function smalldatetimeFromMinutes(days: number, minutes: number): Temporal {
  return new Temporal(days + DAYS_TO_1900, minutes * TICKS_A_MINUTE);
}

/** Bytes of a time of that scale (MS-TDS 2.2.5.5.1.8). */
export function timeBytes(scale: number): number {
  return scale <= 2 ? 3 : scale <= 4 ? 4 : 5;
}

export const POWERS_OF_TEN = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000] as const;

/** As CONVERT with style 121 shows it. */
export function temporalText(type: SqlType, value: Temporal): string {
  const offset = type.id === "datetimeoffset" ? value.offset : 0;
  let days = value.days;
  let ticks = value.ticks + offset * TICKS_A_MINUTE;
  if (ticks < 0) {
    ticks += TICKS_A_DAY;
    days--;
  } else if (ticks >= TICKS_A_DAY) {
    ticks -= TICKS_A_DAY;
    days++;
  }
  const date = new Date((days - UNIX_DAYS) * 86_400_000);
  const day = `${pad(date.getUTCFullYear(), 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
  if (type.id === "date") return day;
  const time = timeText(ticks, type.scale ?? 7);
  if (type.id === "time") return time;
  if (type.id !== "datetimeoffset") return `${day} ${time}`;
  const minutes = Math.abs(offset);
  return `${day} ${time} ${offset < 0 ? "-" : "+"}${pad(Math.floor(minutes / 60), 2)}:${pad(minutes % 60, 2)}`;
}

function timeText(ticks: number, scale: number): string {
  const seconds = Math.floor(ticks / 10_000_000);
  const clock = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map((part) => pad(part, 2));
  const fraction = pad(ticks % 10_000_000, 7).slice(0, scale);
  return clock.join(":") + (scale > 0 ? `.${fraction}` : "");
}

function pad(value: number, width: number): string {
  return value.toString().padStart(width, "0");
}
