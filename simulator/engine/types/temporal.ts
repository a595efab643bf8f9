/** Dates and times: the calendar, rounding to what a type keeps, reading text, writing text in the styles of CONVERT. */
import { type SqlType, Temporal } from "../values.ts";

export const TICKS_PER_DAY = 864_000_000_000;
const TICKS_PER_MINUTE = 600_000_000;
/** Days from 0001-01-01 to 1970-01-01 and to 1900-01-01. */
export const EPOCH = 719_162;
export const DAYS_1900 = 693_595;
export const DAYS_1753 = daysFromCivil(1753, 1, 1);
export const MAX_DAYS = daysFromCivil(9999, 12, 31);

export interface Civil {
  year: number;
  month: number;
  day: number;
}

/** The proleptic Gregorian calendar; days since 0001-01-01. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 306;
}

export function civilFromDays(days: number): Civil {
  const z = days + 306;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Moves whole days out of the ticks. */
export function normalise(days: number, ticks: number, offset = 0): Temporal {
  const carry = Math.floor(ticks / TICKS_PER_DAY);
  return new Temporal(days + carry, ticks - carry * TICKS_PER_DAY, offset);
}

/** What the type keeps of a value: its precision, rounded half up. Undefined where it is out of the type's range. */
export function fitTemporal(value: Temporal, type: SqlType): Temporal | undefined {
  switch (type.id) {
    case "date":
      return inRange(new Temporal(value.days, 0), 0);
    case "time": {
      const rounded = roundTicks(value.ticks, type.scale ?? 7);
      // Rounding up the last moment of the day wraps to midnight.
      return new Temporal(0, rounded >= TICKS_PER_DAY ? 0 : rounded);
    }
    case "datetime": {
      const units = Math.round((value.ticks * 3) / 100_000);
      const days = value.days + Math.floor(units / 25_920_000);
      const ticks = Math.round(((units % 25_920_000) * 100_000) / 3);
      return inRange(new Temporal(days, ticks), DAYS_1753);
    }
    case "smalldatetime": {
      // From 29.999 s on it rounds up to the next minute.
      const minutes = Math.floor((value.ticks + 300_010_000) / TICKS_PER_MINUTE);
      const rounded = normalise(value.days, minutes * TICKS_PER_MINUTE);
      return rounded.days >= DAYS_1900 && rounded.days <= DAYS_1900 + 65_535 ? rounded : undefined;
    }
    default:
      return inRange(normalise(value.days, roundTicks(value.ticks, type.scale ?? 7), value.offset), 0);
  }
}

function inRange(value: Temporal, least: number): Temporal | undefined {
  return value.days >= least && value.days <= MAX_DAYS ? value : undefined;
}

function roundTicks(ticks: number, scale: number): number {
  const unit = 10 ** (7 - scale);
  return Math.floor((ticks + unit / 2) / unit) * unit;
}

/** A datetimeoffset's local date and time; any other value as it is. */
export function local(value: Temporal): Temporal {
  return value.offset === 0 ? value : normalise(value.days, value.ticks + value.offset * TICKS_PER_MINUTE);
}

/** The instant whose local date and time these are. */
export function withOffset(days: number, ticks: number, offset: number): Temporal {
  return normalise(days, ticks - offset * TICKS_PER_MINUTE, offset);
}

/** A Date's instant as days and ticks; `offset` minutes are added. */
export function fromDate(date: Date, offset = 0): Temporal {
  const milliseconds = date.getTime() + offset * 60_000;
  const days = Math.floor(milliseconds / 86_400_000);
  return new Temporal(days + EPOCH, (milliseconds - days * 86_400_000) * 10_000);
}

/** Milliseconds since 1970, as if the value were UTC. */
export function toMilliseconds(value: Temporal): number {
  return (value.days - EPOCH) * 86_400_000 + value.ticks / 10_000;
}

// ---------------------------------------------------------------- text

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
export const MONTH_NAMES = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
export const DAY_NAMES = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

export type Parsed = { value: Temporal; hasDate: boolean; hasOffset: boolean; digits: number } | "syntax" | "range";

const TIME =
  /(?:^|[ T])(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:[.:](\d{1,9}))?)?)?\s*(am|pm)?\s*(z|[+-]\d{1,2}:\d{2})?$/i;

/** Reads a date, a time, or both. `order` is SET DATEFORMAT's, for dates that are written with separators. */
export function parseTemporal(text: string, order = "mdy"): Parsed {
  const trimmed = text.trim();
  if (trimmed === "") return { value: new Temporal(DAYS_1900, 0), hasDate: false, hasOffset: false, digits: 0 };
  const zoned = /^(.*\d) +([+-]\d{1,2}:\d{2})$/.exec(trimmed);
  // A date with an offset alone is its midnight there.
  if (zoned && !zoned[1]!.includes(":")) {
    const date = parseDate(zoned[1]!.trim(), order);
    const offset = parseOffset(zoned[2]!);
    if (typeof date === "string") return date;
    return offset === undefined
      ? "range"
      : { value: withOffset(date, 0, offset), hasDate: true, hasOffset: true, digits: 0 };
  }
  const found = TIME.exec(trimmed);
  // A bare number is a date (20240131), not an hour.
  const isTime = found !== null && (found[2] !== undefined || found[5] !== undefined);
  const datePart = isTime ? trimmed.slice(0, found.index).trim() : trimmed;
  let days = DAYS_1900;
  if (datePart !== "") {
    const date = parseDate(datePart, order);
    if (typeof date === "string") return date;
    days = date;
  }
  if (!isTime) return { value: new Temporal(days, 0), hasDate: true, hasOffset: false, digits: 0 };
  let hour = Number(found[1]);
  const minute = Number(found[2] ?? 0);
  const second = Number(found[3] ?? 0);
  if (found[5]) {
    if (hour < 1 || hour > 12) return hour > 23 ? "range" : "syntax";
    hour = (hour % 12) + (found[5].toLowerCase() === "pm" ? 12 : 0);
  }
  if (hour > 23 || minute > 59 || second > 59) return "range";
  const fraction = found[4] ?? "";
  // hh:mm:ss:mmm counts milliseconds, hh:mm:ss.f a decimal fraction.
  const colon = /:\d{1,2}:\d{1,2}:\d/.test(found[0]);
  if (fraction.length > 7) return "syntax";
  const ticks = colon ? Number(fraction) * 10_000 : Number(fraction.padEnd(7, "0"));
  const sinceMidnight = ((hour * 60 + minute) * 60 + second) * 10_000_000 + ticks;
  const zone = found[6];
  if (zone === undefined) {
    return {
      value: new Temporal(days, sinceMidnight),
      hasDate: datePart !== "",
      hasOffset: false,
      digits: fraction.length,
    };
  }
  const offset = /z/i.test(zone) ? 0 : parseOffset(zone);
  if (offset === undefined) return "range";
  return {
    value: withOffset(days, sinceMidnight, offset),
    hasDate: datePart !== "",
    hasOffset: true,
    digits: fraction.length,
  };
}

/** "+05:30" in minutes; undefined when it is none, or beyond 14 hours. */
export function parseOffset(text: string): number | undefined {
  const found = /^([+-])(\d{1,2}):(\d{2})$/.exec(text.trim());
  if (!found) return undefined;
  const minutes = Number(found[2]) * 60 + Number(found[3]);
  if (minutes > 14 * 60 || Number(found[3]) > 59) return undefined;
  return found[1] === "-" ? -minutes : minutes;
}

function parseDate(text: string, order: string): number | "syntax" | "range" {
  let found = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$/.exec(text);
  if (found) return valid(Number(found[1]), Number(found[2]), Number(found[3]));
  found = /^(\d{4})(\d{2})(\d{2})$/.exec(text);
  if (found) return valid(Number(found[1]), Number(found[2]), Number(found[3]));
  found = /^(\d{2})(\d{2})(\d{2})$/.exec(text);
  if (found) return valid(century(found[1]!), Number(found[2]), Number(found[3]));
  found = /^(\d{4})$/.exec(text);
  if (found) return valid(Number(found[1]), 1, 1);
  found = /^(\d{1,2})[-/.](\d{1,2})[-/.](\d{2}|\d{4})$/.exec(text);
  if (found) {
    const parts: Record<string, string> = {};
    const places = order === "ymd" || order === "ydm" ? (found[3]!.length === 4 ? "mdy" : order) : order;
    [...places].forEach((part, i) => {
      parts[part] = found![i + 1]!;
    });
    return valid(century(parts["y"]!), Number(parts["m"]), Number(parts["d"]));
  }
  found = /^([a-z]{3,9})\.?[ -]*(\d{1,2})(?:,\s*|\s+|-)(\d{4}|\d{2})$/i.exec(text);
  if (found) return named(found[1]!, found[2]!, found[3]!);
  found = /^(\d{1,2})[ -]*([a-z]{3,9})\.?,?[ -]*(\d{4}|\d{2})$/i.exec(text);
  if (found) return named(found[2]!, found[1]!, found[3]!);
  found = /^(\d{4})[ -]*([a-z]{3,9})[ -]*(\d{1,2})$/i.exec(text);
  if (found) return named(found[2]!, found[3]!, found[1]!);
  return "syntax";
}

function named(month: string, day: string, year: string): number | "syntax" | "range" {
  const lower = month.toLowerCase();
  const index = MONTHS.findIndex((name, i) => lower === name || lower === MONTH_NAMES[i]!.toLowerCase());
  return index < 0 ? "syntax" : valid(century(year), index + 1, Number(day));
}

/** Two-digit years up to 49 are of this century: the default "two digit year cutoff" of 2049. */
function century(year: string): number {
  const number = Number(year);
  return year.length > 2 ? number : number < 50 ? 2000 + number : 1900 + number;
}

function valid(year: number, month: number, day: number): number | "range" {
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return "range";
  return daysFromCivil(year, month, day);
}

interface Parts {
  yyyy: string;
  yy: string;
  mm: string;
  mon: string;
  dd: string;
  /** 24 hours */
  hh: string;
  mi: string;
  ss: string;
  /** The fraction's digits, as many as the type has. */
  fraction: string;
  /** Milliseconds of a datetime. */
  mmm: string;
  /** " 1:02AM" without seconds, with them and the fraction if asked. */
  clock12(withSeconds: boolean): string;
  offset: string;
}

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n);
}

function parts(value: Temporal, type: SqlType): Parts {
  const shown = local(value);
  const { year, month, day } = civilFromDays(shown.days);
  const seconds = Math.floor(shown.ticks / 10_000_000);
  const hour = Math.floor(seconds / 3600);
  const minute = Math.floor(seconds / 60) % 60;
  const second = seconds % 60;
  const digits = type.id === "datetime" ? 3 : type.id === "smalldatetime" || type.id === "date" ? 0 : (type.scale ?? 7);
  const sub = Math.round(shown.ticks % 10_000_000);
  // A datetime's 1/300 s is shown rounded to milliseconds: .000, .003, .007.
  const fraction =
    type.id === "datetime"
      ? String(Math.round(sub / 10_000)).padStart(3, "0")
      : String(sub).padStart(7, "0").slice(0, digits);
  const hour12 = hour % 12 === 0 ? 12 : hour % 12;
  const mmm = type.id === "smalldatetime" || type.id === "date" ? "000" : fraction;
  const absolute = Math.abs(value.offset);
  return {
    yyyy: String(year).padStart(4, "0"),
    yy: two(year % 100),
    mm: two(month),
    mon: MONTH_NAMES[month - 1]!.slice(0, 3),
    dd: two(day),
    hh: two(hour),
    mi: two(minute),
    ss: two(second),
    fraction,
    mmm,
    clock12: (withSeconds) => {
      const clock = `${String(hour12).padStart(2, " ")}:${two(minute)}`;
      const rest = withSeconds
        ? `:${two(second)}${mmm === "" ? "" : (type.id === "datetime" || type.id === "smalldatetime" ? ":" : ".") + mmm}`
        : "";
      return clock + rest + (hour < 12 ? "AM" : "PM");
    },
    offset: `${value.offset < 0 ? "-" : "+"}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`,
  };
}

/** What a style shows: of a date alone or a time alone, only that part. */
type Style = { date?: (p: Parts) => string; time?: (p: Parts) => string; join?: string; offset?: (p: Parts) => string };

const plainOffset = (p: Parts) => ` ${p.offset}`;
const fractional = (separator: string) => (p: Parts) =>
  `${p.hh}:${p.mi}:${p.ss}${p.mmm === "" ? "" : separator + p.mmm}`;

/** https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql#date-and-time-styles */
const STYLES: Record<number, Style> = {
  0: {
    date: (p) => `${p.mon} ${p.dd.replace(/^0/, " ")} ${p.yyyy}`,
    time: (p) => p.clock12(false),
    offset: plainOffset,
  },
  1: { date: (p) => `${p.mm}/${p.dd}/${p.yy}` },
  2: { date: (p) => `${p.yy}.${p.mm}.${p.dd}` },
  3: { date: (p) => `${p.dd}/${p.mm}/${p.yy}` },
  4: { date: (p) => `${p.dd}.${p.mm}.${p.yy}` },
  5: { date: (p) => `${p.dd}-${p.mm}-${p.yy}` },
  6: { date: (p) => `${p.dd} ${p.mon} ${p.yy}` },
  7: { date: (p) => `${p.mon} ${p.dd}, ${p.yy}` },
  8: { time: (p) => `${p.hh}:${p.mi}:${p.ss}` },
  9: {
    date: (p) => `${p.mon} ${p.dd.replace(/^0/, " ")} ${p.yyyy}`,
    time: (p) => p.clock12(true),
    offset: plainOffset,
  },
  10: { date: (p) => `${p.mm}-${p.dd}-${p.yy}` },
  11: { date: (p) => `${p.yy}/${p.mm}/${p.dd}` },
  12: { date: (p) => `${p.yy}${p.mm}${p.dd}` },
  13: { date: (p) => `${p.dd} ${p.mon} ${p.yyyy}`, time: fractional(":"), offset: plainOffset },
  14: { time: fractional(":") },
  20: { date: (p) => `${p.yyyy}-${p.mm}-${p.dd}`, time: (p) => `${p.hh}:${p.mi}:${p.ss}`, offset: plainOffset },
  21: { date: (p) => `${p.yyyy}-${p.mm}-${p.dd}`, time: fractional("."), offset: plainOffset },
  22: {
    date: (p) => `${p.mm}/${p.dd}/${p.yy}`,
    time: (p) => p.clock12(false).replace(/(AM|PM)$/, `:${p.ss} $1`),
    offset: plainOffset,
  },
  23: { date: (p) => `${p.yyyy}-${p.mm}-${p.dd}` },
  101: { date: (p) => `${p.mm}/${p.dd}/${p.yyyy}` },
  102: { date: (p) => `${p.yyyy}.${p.mm}.${p.dd}` },
  103: { date: (p) => `${p.dd}/${p.mm}/${p.yyyy}` },
  104: { date: (p) => `${p.dd}.${p.mm}.${p.yyyy}` },
  105: { date: (p) => `${p.dd}-${p.mm}-${p.yyyy}` },
  106: { date: (p) => `${p.dd} ${p.mon} ${p.yyyy}` },
  107: { date: (p) => `${p.mon} ${p.dd}, ${p.yyyy}` },
  110: { date: (p) => `${p.mm}-${p.dd}-${p.yyyy}` },
  111: { date: (p) => `${p.yyyy}/${p.mm}/${p.dd}` },
  112: { date: (p) => `${p.yyyy}${p.mm}${p.dd}` },
  126: { date: (p) => `${p.yyyy}-${p.mm}-${p.dd}`, time: fractional("."), join: "T", offset: (p) => p.offset },
};
for (const [alias, style] of [
  [24, 8],
  [25, 21],
  [100, 0],
  [108, 8],
  [109, 9],
  [113, 13],
  [114, 14],
  [120, 20],
  [121, 21],
] as const)
  STYLES[alias] = STYLES[style]!;

/** Dates of the Islamic calendar as SQL Server reckons it. */
export function isHijri(style: number | undefined): boolean {
  return style === 130 || style === 131;
}

/** Undefined where there is no such style. */
export function formatTemporal(value: Temporal, type: SqlType, style: number): string | undefined {
  if (style === 127) return formatZulu(value, type);
  const found = STYLES[style];
  if (!found) return undefined;
  const p = parts(value, type);
  // 126 leaves out a fraction of zero in datetime (yyyy-mm-ddThh:mi:ss).
  if (style === 126 && type.id === "datetime" && p.mmm === "000") p.mmm = "";
  if (style === 126 && type.id === "smalldatetime") p.mmm = "";
  const pieces: string[] = [];
  if (found.date && type.id !== "time") pieces.push(found.date(p));
  if (found.time && type.id !== "date") pieces.push(found.time(p));
  if (pieces.length === 0) return undefined;
  const text = pieces.join(found.join ?? " ");
  return type.id === "datetimeoffset" && found.offset && found.date && found.time ? text + found.offset(p) : text;
}

/** ISO 8601 with Z: of a datetimeoffset, its time in UTC. */
function formatZulu(value: Temporal, type: SqlType): string | undefined {
  const utc = type.id === "datetimeoffset" ? new Temporal(value.days, value.ticks) : value;
  const text = formatTemporal(utc, type.id === "datetimeoffset" ? { ...type, id: "datetime2" } : type, 126);
  return text !== undefined && type.id === "datetimeoffset" ? `${text}Z` : text;
}

/** As a plain CAST to text shows it: styles 0 for the two older types, 121 for the others. */
export function defaultStyle(type: SqlType): number {
  return type.id === "datetime" || type.id === "smalldatetime" ? 0 : 121;
}
