/** https://learn.microsoft.com/sql/t-sql/functions/date-and-time-data-types-and-functions-transact-sql */
import { cast } from "../expressions/arithmetic.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { SqlError } from "../session.ts";
import { TimeZone } from "../time-zone.ts";
import {
  civilFromDays,
  DAY_NAMES,
  daysFromCivil,
  daysInMonth,
  fitTemporal,
  fromDate,
  local,
  MONTH_NAMES,
  normalise,
  parseOffset,
  parseTemporal,
  TICKS_PER_DAY,
  toMilliseconds,
  withOffset,
} from "../types/temporal.ts";
import { isNumber, isTemporal, isText } from "../types/types.ts";
import { type SqlType, Temporal, type Value } from "../values.ts";
import { type Builtins, builtin, int, strict, text } from "./builtin.ts";
import { dateBucket } from "./date-bucket.ts";

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

/** A datetime's time of day counts in the milliseconds that it is shown with. */
function shownMilliseconds(arg: Compiled): Compiled {
  if (arg.type.id !== "datetime") return arg;
  return strict([arg], arg.type, ([value]) => {
    const { days, ticks } = value as Temporal;
    return normalise(days, Math.round(ticks / 10_000) * 10_000);
  });
}

/** A date from whatever is given: text is read as `readAs`, numbers as datetime. */
export function temporal(arg: Compiled, readAs: SqlType, dateFormat: string): Compiled {
  if (isTemporal(arg.type)) return arg;
  if (isNumber(arg.type)) return cast(arg, { id: "datetime" });
  return cast(arg, readAs, dateFormat);
}

export function dateCall(fn: string, partName: string, args: Compiled[], compiler: Compiler): Compiled {
  const { dateFormat, dateFirst } = compiler.session.options;
  const name = fn.toLowerCase();
  const part = datePart(partName, fn);
  const needs = (count: number) => {
    if (args.length !== count)
      throw new SqlError(174, `The ${name} function requires ${count + 1} argument(s).`, 15, 1);
  };
  switch (name) {
    case "datepart": {
      needs(1);
      const operand = temporal(args[0]!, { id: "datetimeoffset", scale: 7 }, dateFormat);
      return strict([shownMilliseconds(operand)], { id: "int" }, ([value]) =>
        partOf(part, value as Temporal, dateFirst),
      );
    }
    case "datename": {
      needs(1);
      const operand = temporal(args[0]!, { id: "datetimeoffset", scale: 7 }, dateFormat);
      return strict([shownMilliseconds(operand)], { id: "nvarchar", length: 30 }, ([value]) =>
        nameOf(part, value as Temporal, dateFirst),
      );
    }
    case "dateadd": {
      needs(2);
      const operand =
        args[1]!.type.id === "null"
          ? cast(args[1]!, { id: "datetime" })
          : temporal(args[1]!, { id: "datetime" }, dateFormat);
      const { type } = operand;
      return strict([int(args[0]!), operand], type, ([count, value]) =>
        add(part, count as number, value as Temporal, type),
      );
    }
    case "datediff":
    case "datediff_big": {
      needs(2);
      const [from, to] = args.map((arg) =>
        shownMilliseconds(temporal(arg, { id: "datetimeoffset", scale: 7 }, dateFormat)),
      );
      const big = name === "datediff_big";
      return strict([from!, to!], { id: big ? "bigint" : "int" }, ([a, b]) => {
        const difference = boundaries(part, a as Temporal, b as Temporal);
        if (big) return difference;
        if (difference > 2147483647n || difference < -2147483648n)
          throw new SqlError(
            535,
            "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.",
            16,
            0,
          );
        return Number(difference);
      });
    }
    case "datetrunc": {
      needs(1);
      const operand = temporal(args[0]!, { id: "datetime2", scale: 7 }, dateFormat);
      return strict([operand], operand.type, ([value]) => truncated(part, value as Temporal, operand.type, dateFirst));
    }
    case "date_bucket":
      return dateBucket(part, args, dateFormat);
    default:
      throw new SqlError(195, `'${fn}' is not a recognized built-in function name.`, 15, 10);
  }
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

function partOf(part: Part, value: Temporal, dateFirst: number): number {
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

function nameOf(part: Part, value: Temporal, dateFirst: number): string {
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
function boundaries(part: Part, a: Temporal, b: Temporal): bigint {
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

function truncated(part: Part, value: Temporal, type: SqlType, dateFirst: number): Temporal {
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

// ---------------------------------------------------------------- now

function now(type: SqlType, read: (frame: Frame) => Temporal): Compiled {
  return { type, nullable: false, constant: true, evaluate: (frame) => fitTemporal(read(frame), type)! };
}

function localNow(frame: Frame): Temporal {
  const date = frame.run.now();
  return fromDate(date, frame.run.engine.timeZone.offsetAt(date.getTime()));
}

function utcNow(frame: Frame): Temporal {
  return fromDate(frame.run.now());
}

const DATETIME: SqlType = { id: "datetime" };
const DATETIME2: SqlType = { id: "datetime2", scale: 7 };
const DATETIMEOFFSET: SqlType = { id: "datetimeoffset", scale: 7 };

function fromParts(
  count: number,
  type: (args: Compiled[]) => SqlType,
  make: (parts: number[]) => Temporal | undefined,
) {
  return builtin(count, count, (args) => {
    const result = type(args);
    return strict(args.map(int), result, (values) => {
      const made = make(values as number[]);
      const fitted = made && fitTemporal(made, result);
      if (!fitted)
        throw new SqlError(
          289,
          `Cannot construct data type ${result.id}, some of the arguments have values which are not valid.`,
          16,
          1,
        );
      return fitted;
    });
  });
}

function date(year: number, month: number, day: number): number | undefined {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  return daysFromCivil(year, month, day);
}

function clock(hour: number, minute: number, second: number, fraction: number, precision: number): number | undefined {
  if (
    hour < 0 ||
    hour > 23 ||
    minute < 0 ||
    minute > 59 ||
    second < 0 ||
    second > 59 ||
    fraction < 0 ||
    fraction >= 10 ** precision
  )
    return undefined;
  return ((hour * 60 + minute) * 60 + second) * 10_000_000 + fraction * 10 ** (7 - precision);
}

function scaled(id: SqlType["id"], at: number) {
  return (args: Compiled[]): SqlType => ({ id, scale: Number(args[at]!.literal ?? 7) });
}

export const dateFunctions: Builtins = {
  getdate: builtin(0, 0, () => now(DATETIME, localNow)),
  current_timestamp: builtin(0, 0, () => now(DATETIME, localNow)),
  getutcdate: builtin(0, 0, () => now(DATETIME, utcNow)),
  sysdatetime: builtin(0, 0, () => now(DATETIME2, localNow)),
  sysutcdatetime: builtin(0, 0, () => now(DATETIME2, utcNow)),
  sysdatetimeoffset: builtin(0, 0, () =>
    now(DATETIMEOFFSET, (frame) => {
      const utc = utcNow(frame);
      return new Temporal(utc.days, utc.ticks, frame.run.engine.timeZone.offsetAt(frame.run.now().getTime()));
    }),
  ),
  current_timezone: builtin(0, 0, (_args, compiler) => {
    const { id } = compiler.session.engine.timeZone;
    return strict([], { id: "varchar", length: 64 }, () => (id === "UTC" ? "(UTC) Coordinated Universal Time" : id));
  }),
  current_timezone_id: builtin(0, 0, (_args, compiler) => {
    const { id } = compiler.session.engine.timeZone;
    return strict([], { id: "varchar", length: 64 }, () => id);
  }),
  year: builtin(1, 1, ([arg], compiler) => dateCall("datepart", "year", [arg!], compiler)),
  month: builtin(1, 1, ([arg], compiler) => dateCall("datepart", "month", [arg!], compiler)),
  day: builtin(1, 1, ([arg], compiler) => dateCall("datepart", "day", [arg!], compiler)),
  eomonth: builtin(1, 2, ([arg, months], compiler) => {
    const operand = temporal(arg!, { id: "date" }, compiler.session.options.dateFormat);
    return strict(months ? [operand, int(months)] : [operand], { id: "date" }, ([value, count = 0]) => {
      const { year, month } = civilFromDays(local(value as Temporal).days);
      const total = year * 12 + month - 1 + (count as number);
      const y = Math.floor(total / 12);
      if (y < 1 || y > 9999) throw new SqlError(517, "Adding a value to a 'date' column caused an overflow.", 16, 1);
      return new Temporal(daysFromCivil(y, (total % 12) + 1, daysInMonth(y, (total % 12) + 1)), 0);
    });
  }),
  datefromparts: fromParts(
    3,
    () => ({ id: "date" }),
    ([y, m, d]) => {
      const days = date(y!, m!, d!);
      return days === undefined ? undefined : new Temporal(days, 0);
    },
  ),
  datetimefromparts: fromParts(
    7,
    () => DATETIME,
    ([y, m, d, h, mi, s, ms]) => {
      const days = date(y!, m!, d!);
      const ticks = clock(h!, mi!, s!, ms!, 3);
      return days === undefined || ticks === undefined ? undefined : new Temporal(days, ticks);
    },
  ),
  smalldatetimefromparts: fromParts(
    5,
    () => ({ id: "smalldatetime" }),
    ([y, m, d, h, mi]) => {
      const days = date(y!, m!, d!);
      const ticks = clock(h!, mi!, 0, 0, 0);
      return days === undefined || ticks === undefined ? undefined : new Temporal(days, ticks);
    },
  ),
  datetime2fromparts: fromParts(8, scaled("datetime2", 7), ([y, m, d, h, mi, s, f, p]) => {
    const days = date(y!, m!, d!);
    const ticks = clock(h!, mi!, s!, f!, p!);
    return days === undefined || ticks === undefined ? undefined : new Temporal(days, ticks);
  }),
  datetimeoffsetfromparts: fromParts(10, scaled("datetimeoffset", 9), ([y, m, d, h, mi, s, f, oh, om, p]) => {
    const days = date(y!, m!, d!);
    const ticks = clock(h!, mi!, s!, f!, p!);
    return days === undefined || ticks === undefined ? undefined : withOffset(days, ticks, oh! * 60 + om!);
  }),
  timefromparts: fromParts(5, scaled("time", 4), ([h, mi, s, f, p]) => {
    const ticks = clock(h!, mi!, s!, f!, p!);
    return ticks === undefined ? undefined : new Temporal(0, ticks);
  }),
  todatetimeoffset: builtin(2, 2, ([value, zone], compiler) => {
    const operand = temporal(value!, DATETIME2, compiler.session.options.dateFormat);
    const type: SqlType = { id: "datetimeoffset", scale: scaleOf(operand.type) };
    return strict([operand, zone!], type, ([given, offset]) => {
      const shown = local(given as Temporal);
      return withOffset(shown.days, shown.ticks, offsetOf(offset!, "todatetimeoffset"));
    });
  }),
  switchoffset: builtin(2, 2, ([value, zone]) => {
    const operand =
      isTemporal(value!.type) && value!.type.id === "datetimeoffset" ? value! : cast(value!, DATETIMEOFFSET);
    return strict([operand, zone!], operand.type, ([given, offset]) => {
      const { days, ticks } = given as Temporal;
      return new Temporal(days, ticks, offsetOf(offset!, "switchoffset"));
    });
  }),
  "at time zone": builtin(2, 2, ([value, zone], compiler) => {
    const operand = temporal(value!, DATETIME2, compiler.session.options.dateFormat);
    const type: SqlType = { id: "datetimeoffset", scale: scaleOf(operand.type) };
    const zones = new Map<string, TimeZone>();
    return strict([operand, text(zone!)], type, ([given, name]) => {
      let found = zones.get(name as string);
      if (!found) zones.set(name as string, (found = TimeZone.named(name as string)));
      const source = given as Temporal;
      if (operand.type.id === "datetimeoffset")
        return new Temporal(source.days, source.ticks, found.offsetAt(toMilliseconds(source)));
      return withOffset(source.days, source.ticks, found.offsetOfLocal(toMilliseconds(source)));
    });
  }),
  isdate: builtin(1, 1, ([arg], compiler) => {
    if (arg!.type.id === "datetime" || arg!.type.id === "smalldatetime") return strict([arg!], { id: "int" }, () => 1);
    if (!isText(arg!.type)) return strict([], { id: "int" }, () => 0);
    const { dateFormat } = compiler.session.options;
    return {
      type: { id: "int" },
      nullable: false,
      evaluate: (frame) => {
        const value = arg!.evaluate(frame) as string | null;
        if (value === null || value.trim() === "") return 0;
        const parsed = parseTemporal(value, dateFormat);
        return typeof parsed !== "string" && parsed.digits <= 3 && fitTemporal(parsed.value, DATETIME) ? 1 : 0;
      },
    };
  }),
};

function scaleOf(type: SqlType): number {
  if (type.scale !== undefined) return type.scale;
  return type.id === "datetime" ? 3 : 0;
}

function offsetOf(value: Value, fn: string): number {
  const minutes = typeof value === "string" ? parseOffset(value) : Number(value);
  if (minutes === undefined || Number.isNaN(minutes) || Math.abs(minutes) > 840)
    throw new SqlError(9812, `The timezone provided to builtin function ${fn} is invalid.`, 16, 0);
  return minutes;
}
