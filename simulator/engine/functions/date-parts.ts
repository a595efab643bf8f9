/** Dates and times by their parts: what DATEPART, DATEADD, DATEDIFF and their kin reckon with. */
import { SqlError } from "../session.ts";
import {
  civilFromDays,
  DAY_NAMES,
  daysFromCivil,
  daysInMonth,
  fitTemporal,
  local,
  MONTH_NAMES,
  normalise,
  TICKS_PER_DAY,
  withOffset,
} from "../types/temporal.ts";
import { type SqlType, Temporal } from "../values.ts";

export type Part =
  | "year"
  | "quarter"
  | "month"
  | "dayofyear"
  | "day"
  | "week"
  | "weekday"
  | "hour"
  | "minute"
  | "second"
  | "millisecond"
  | "microsecond"
  | "nanosecond"
  | "tzoffset"
  | "iso_week";

const PARTS: Record<string, Part> = {};
for (const [part, names] of Object.entries({
  year: "year yy yyyy",
  quarter: "quarter qq q",
  month: "month mm m",
  dayofyear: "dayofyear dy y",
  day: "day dd d",
  week: "week wk ww",
  weekday: "weekday dw w",
  hour: "hour hh",
  minute: "minute mi n",
  second: "second ss s",
  millisecond: "millisecond ms",
  microsecond: "microsecond mcs",
  nanosecond: "nanosecond ns",
  tzoffset: "tzoffset tz",
  iso_week: "iso_week isowk isoww",
}))
  for (const name of names.split(" ")) PARTS[name] = part as Part;

export function datePart(name: string, fn: string): Part {
  const part = PARTS[name.toLowerCase()];
  if (!part) throw new SqlError(155, `'${name}' is not a recognized ${fn.toLowerCase()} option.`, 15, 1);
  return part;
}

function timeParts(ticks: number): { hour: number; minute: number; second: number; fraction: number } {
  const seconds = Math.floor(ticks / 10_000_000);
  return {
    hour: Math.floor(seconds / 3600),
    minute: Math.floor(seconds / 60) % 60,
    second: seconds % 60,
    fraction: ticks % 10_000_000,
  };
}

/** From 1, counted from the first day of the week (SET DATEFIRST). 0001-01-01 was a Monday. */
function weekday(days: number, dateFirst: number): number {
  const monday = ((days % 7) + 7) % 7;
  return ((monday + 1 - dateFirst + 7) % 7) + 1;
}

function isoWeek(days: number): number {
  const thursday = days - (((days % 7) + 7) % 7) + 3;
  const { year } = civilFromDays(thursday);
  return Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1;
}

export function partOf(part: Part, value: Temporal, dateFirst: number): number {
  const shown = local(value);
  const { year, month, day } = civilFromDays(shown.days);
  const { hour, minute, second, fraction } = timeParts(shown.ticks);
  switch (part) {
    case "year":
      return year;
    case "quarter":
      return Math.ceil(month / 3);
    case "month":
      return month;
    case "dayofyear":
      return shown.days - daysFromCivil(year, 1, 1) + 1;
    case "day":
      return day;
    case "week": {
      const first = daysFromCivil(year, 1, 1);
      return Math.floor((shown.days - first + weekday(first, dateFirst) - 1) / 7) + 1;
    }
    case "weekday":
      return weekday(shown.days, dateFirst);
    case "hour":
      return hour;
    case "minute":
      return minute;
    case "second":
      return second;
    case "millisecond":
      return Math.floor(fraction / 10_000);
    case "microsecond":
      return Math.floor(fraction / 10);
    case "nanosecond":
      return fraction * 100;
    case "tzoffset":
      return value.offset;
    case "iso_week":
      return isoWeek(shown.days);
  }
}

export function nameOf(part: Part, value: Temporal, dateFirst: number): string {
  const shown = local(value);
  if (part === "month") return MONTH_NAMES[civilFromDays(shown.days).month - 1]!;
  if (part === "weekday") return DAY_NAMES[((shown.days % 7) + 7) % 7]!;
  if (part === "tzoffset") {
    const absolute = Math.abs(value.offset);
    const two = (n: number) => String(n).padStart(2, "0");
    return `${value.offset < 0 ? "-" : "+"}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
  }
  return String(partOf(part, value, dateFirst));
}

/** 100 ns in a unit of fixed length. */
export const UNIT_TICKS: Partial<Record<Part, number>> = {
  hour: 36_000_000_000,
  minute: 600_000_000,
  second: 10_000_000,
  millisecond: 10_000,
  microsecond: 10,
};

export function add(part: Part, count: number, value: Temporal, type: SqlType): Temporal {
  const fail = (): never => {
    throw new SqlError(517, `Adding a value to a '${type.id}' column caused an overflow.`, 16, 1);
  };
  const shown = local(value);
  let { days, ticks } = shown;
  const months = part === "year" ? count * 12 : part === "quarter" ? count * 3 : part === "month" ? count : 0;
  if (months !== 0) {
    const civil = civilFromDays(days);
    const total = civil.year * 12 + civil.month - 1 + months;
    const year = Math.floor(total / 12);
    if (year < 1 || year > 9999) fail();
    const month = total - year * 12 + 1;
    days = daysFromCivil(year, month, Math.min(civil.day, daysInMonth(year, month)));
  } else if (part === "day" || part === "dayofyear" || part === "weekday") days += count;
  else if (part === "week") days += count * 7;
  else if (part === "nanosecond") ticks += Math.round(count / 100);
  else if (UNIT_TICKS[part] !== undefined) {
    const unit = UNIT_TICKS[part];
    // Whole days first: count × unit could leave the exact integers.
    const perDay = TICKS_PER_DAY / unit;
    const wholeDays = Math.trunc(count / perDay);
    days += wholeDays;
    ticks += (count - wholeDays * perDay) * unit;
  } else if (count !== 0)
    throw new SqlError(
      9810,
      `The datepart ${part} is not supported by date function dateadd for data type ${type.id}.`,
      16,
      1,
    );
  const moved = normalise(days, ticks);
  const back =
    value.offset === 0 && type.id !== "datetimeoffset" ? moved : withOffset(moved.days, moved.ticks, value.offset);
  return fitTemporal(back, type) ?? fail();
}

/** How many boundaries of the unit lie between the two. */
export function boundaries(part: Part, a: Temporal, b: Temporal): bigint {
  const from = a.offset === 0 ? a : new Temporal(a.days, a.ticks);
  const to = b.offset === 0 ? b : new Temporal(b.days, b.ticks);
  const x = civilFromDays(from.days);
  const y = civilFromDays(to.days);
  switch (part) {
    case "year":
      return BigInt(y.year - x.year);
    case "quarter":
      return BigInt((y.year - x.year) * 4 + Math.ceil(y.month / 3) - Math.ceil(x.month / 3));
    case "month":
      return BigInt((y.year - x.year) * 12 + y.month - x.month);
    case "day":
    case "dayofyear":
    case "weekday":
      return BigInt(to.days - from.days);
    // Weeks always begin on Sunday here, whatever DATEFIRST says.
    case "week":
      return BigInt(Math.floor((to.days + 1) / 7) - Math.floor((from.days + 1) / 7));
    case "nanosecond":
      return (BigInt(to.days - from.days) * BigInt(TICKS_PER_DAY) + BigInt(to.ticks - from.ticks)) * 100n;
    default: {
      const unit = UNIT_TICKS[part];
      if (unit === undefined)
        throw new SqlError(9806, `The datepart ${part} is not supported by date function datediff.`, 16, 1);
      const count = (value: Temporal) =>
        BigInt(value.days) * BigInt(TICKS_PER_DAY / unit) + BigInt(Math.floor(value.ticks / unit));
      return count(to) - count(from);
    }
  }
}

export function truncated(part: Part, value: Temporal, type: SqlType, dateFirst: number): Temporal {
  const shown = local(value);
  const { year, month } = civilFromDays(shown.days);
  const at = (days: number, ticks = 0) =>
    type.id === "datetimeoffset" ? withOffset(days, ticks, value.offset) : new Temporal(days, ticks);
  switch (part) {
    case "year":
      return at(daysFromCivil(year, 1, 1));
    case "quarter":
      return at(daysFromCivil(year, Math.floor((month - 1) / 3) * 3 + 1, 1));
    case "month":
      return at(daysFromCivil(year, month, 1));
    case "day":
    case "dayofyear":
      return at(shown.days);
    case "week":
      return at(shown.days - weekday(shown.days, dateFirst) + 1);
    case "iso_week":
      return at(shown.days - (((shown.days % 7) + 7) % 7));
    default: {
      const unit = UNIT_TICKS[part];
      if (unit === undefined)
        throw new SqlError(
          9810,
          `The datepart ${part} is not supported by date function datetrunc for data type ${type.id}.`,
          16,
          1,
        );
      return at(shown.days, Math.floor(shown.ticks / unit) * unit);
    }
  }
}
