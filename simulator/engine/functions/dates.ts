/** https://learn.microsoft.com/sql/t-sql/functions/date-and-time-data-types-and-functions-transact-sql */
import { cast } from "../expressions/arithmetic.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { SqlError } from "../session.ts";
import { TimeZone } from "../time-zone.ts";
import {
  civilFromDays,
  daysFromCivil,
  daysInMonth,
  fitTemporal,
  fromDate,
  local,
  normalise,
  parseOffset,
  parseTemporal,
  toMilliseconds,
  withOffset,
} from "../types/temporal.ts";
import { isNumber, isTemporal, isText } from "../types/types.ts";
import { type SqlType, Temporal, type Value } from "../values.ts";
import { type Builtins, builtin, int, strict, text } from "./builtin.ts";
import { dateBucket } from "./date-bucket.ts";
import { add, boundaries, datePart, nameOf, partOf, truncated } from "./date-parts.ts";

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
