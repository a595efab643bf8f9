/** Dates and times of the wire (MS-TDS 2.2.5.5.1.7 and .8) as text, written at `at` of `to`; each answers where the next byte goes. */
import { POWERS_OF_TEN, writePadded, writePair } from "./numbers.ts";

const DASH = 0x2d;
const COLON = 0x3a;
const POINT = 0x2e;
const T = 0x54;
const PLUS = 0x2b;

/** Days between 0001-01-01, from which date, datetime2 and datetimeoffset count, and 1900-01-01, where datetime begins. */
export const DAYS_TO_1900 = 693_595;
/** The last day of datetime2, 9999-12-31. */
export const LAST_DAY = 3_652_058;

/** Dates that were written lately, by their number of days: tables hold few days at a time. */
const CACHED = 1024;
const cachedDays = new Int32Array(CACHED).fill(-1);
const cachedTexts = new Uint8Array(CACHED * 16);

/** `2026-11-21`, of a number of days since 0001-01-01. */
export function writeDate(to: Uint8Array, at: number, days: number): number {
  const slot = days & (CACHED - 1);
  const from = slot << 4;
  if (cachedDays[slot] !== days) {
    composeDate(cachedTexts, from, days);
    cachedDays[slot] = days;
  }
  for (let i = 0; i < 10; i++) to[at + i] = cachedTexts[from + i]!;
  return at + 10;
}

function composeDate(to: Uint8Array, at: number, days: number): void {
  // The days from 0000-03-01 on, in eras of 400 years: http://howardhinnant.github.io/date_algorithms.html (civil_from_days).
  const shifted = days + 306;
  const era = Math.floor(shifted / 146_097);
  const day = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (day - Math.floor(day / 1_460) + Math.floor(day / 36_524) - Math.floor(day / 146_096)) / 365,
  );
  const dayOfYear = day - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const march = Math.floor((5 * dayOfYear + 2) / 153);
  const month = march < 10 ? march + 3 : march - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  writePadded(to, at, year, 4);
  to[at + 4] = DASH;
  writePair(to, at + 5, month);
  to[at + 7] = DASH;
  writePair(to, at + 8, dayOfYear - Math.floor((153 * march + 2) / 5) + 1);
}

/** `10:11:12`, of seconds since midnight. */
function writeClock(to: Uint8Array, at: number, seconds: number): number {
  const whole = seconds | 0;
  const hours = (whole / 3_600) | 0;
  const rest = whole - hours * 3_600;
  const minutes = (rest / 60) | 0;
  writePair(to, at, hours);
  to[at + 2] = COLON;
  writePair(to, at + 3, minutes);
  to[at + 5] = COLON;
  return writePair(to, at + 6, rest - minutes * 60);
}

/** `10:11:12.1234567`, of seconds since midnight and a fraction of `scale` digits. */
export function writeTimeOfDay(to: Uint8Array, at: number, seconds: number, fraction: number, scale: number): number {
  const end = writeClock(to, at, seconds);
  if (scale === 0) return end;
  to[end] = POINT;
  return writePadded(to, end + 1, fraction, scale);
}

/** A value of time, or the time of day that begins one of datetime2 and datetimeoffset: 10^-scale seconds. -1: 24 hours or more. */
export function writeTime(to: Uint8Array, at: number, from: DataView, p: number, scale: number): number {
  const power = POWERS_OF_TEN[scale]!;
  const units = readTime(from, p, scale);
  if (units >= 86_400 * power) return -1;
  const seconds = Math.floor(units / power);
  return writeTimeOfDay(to, at, seconds, units - seconds * power, scale);
}

/** In 10^-scale seconds. */
export function readTime(from: DataView, p: number, scale: number): number {
  if (scale < 3) return from.getUint16(p, true) + from.getUint8(p + 2) * 65_536;
  const low = from.getUint32(p, true);
  return scale < 5 ? low : low + from.getUint8(p + 4) * 4_294_967_296;
}

export function timeBytes(scale: number): number {
  return scale < 3 ? 3 : scale < 5 ? 4 : 5;
}

export function readDays(from: DataView, p: number): number {
  return from.getUint16(p, true) + from.getUint8(p + 2) * 65_536;
}

/** -1: its time is of 24 hours or more. */
export function writeDateTime2(to: Uint8Array, at: number, from: DataView, p: number, scale: number): number {
  const end = writeDate(to, at, readDays(from, p + timeBytes(scale)));
  to[end] = T;
  return writeTime(to, end + 1, from, p, scale);
}

/** The wire has the time in UTC and the offset; what is written is the local time with its offset. */
export function writeDateTimeOffset(to: Uint8Array, at: number, from: DataView, p: number, scale: number): number {
  const behind = p + timeBytes(scale);
  const offset = from.getInt16(behind + 3, true);
  const power = POWERS_OF_TEN[scale]!;
  const units = readTime(from, p, scale);
  const utc = Math.floor(units / power);
  let days = readDays(from, behind);
  let seconds = utc + offset * 60;
  if (seconds < 0) {
    seconds += 86_400;
    days--;
  } else if (seconds >= 86_400) {
    seconds -= 86_400;
    days++;
  }
  let end = writeDate(to, at, days);
  to[end] = T;
  end = writeTimeOfDay(to, end + 1, seconds, units - utc * power, scale);
  const minutes = Math.abs(offset);
  to[end] = offset < 0 ? DASH : PLUS;
  writePair(to, end + 1, Math.floor(minutes / 60));
  to[end + 3] = COLON;
  return writePair(to, end + 4, minutes % 60);
}

/** 1/300 s are shown in milliseconds, rounded to .000, .003 and .007. */
export function milliseconds(ticks: number): number {
  return Math.floor((ticks * 10 + 1) / 3);
}

/** `2026-11-21T10:11:12.123`, of days since 1900 and 1/300 s since midnight. */
export function writeDateTime(to: Uint8Array, at: number, days: number, ticks: number): number {
  const end = writeDate(to, at, days + DAYS_TO_1900);
  to[end] = T;
  const ms = milliseconds(ticks);
  const seconds = Math.floor(ms / 1_000);
  return writeTimeOfDay(to, end + 1, seconds, ms - seconds * 1_000, 3);
}

/** `2026-11-21T10:11:00`, of days since 1900 and minutes since midnight. */
export function writeSmallDateTime(to: Uint8Array, at: number, days: number, minutes: number): number {
  const end = writeDate(to, at, days + DAYS_TO_1900);
  to[end] = T;
  return writeClock(to, end + 1, minutes * 60);
}

/** Milliseconds since 1970, as if the server's clock were UTC. */
export function dateTimeEpoch(days: number, ticks: number): number {
  return (days - 25_567) * 86_400_000 + milliseconds(ticks);
}
