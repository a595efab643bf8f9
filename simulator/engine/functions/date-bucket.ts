/** DATE_BUCKET */
import { cast } from "../expressions/arithmetic.ts";
import type { Compiled } from "../expressions/compiled.ts";
import { SqlError } from "../session.ts";
import { civilFromDays, DAYS_1900, local, TICKS_PER_DAY } from "../types/temporal.ts";
import { Temporal } from "../values.ts";
import { strict } from "./builtin.ts";
import { add, type Part, UNIT_TICKS } from "./date-parts.ts";
import { temporal } from "./dates.ts";

/** https://learn.microsoft.com/sql/t-sql/functions/date-bucket-transact-sql: buckets count from the origin, 1900-01-01. */
export function dateBucket(part: Part, args: Compiled[], dateFormat: string): Compiled {
  const [width, date, origin] = args;
  if (!width || !date || args.length > 3)
    throw new SqlError(189, "The date_bucket function requires 3 to 4 arguments.", 15, 1);
  const operand = temporal(date, { id: "datetime2", scale: 7 }, dateFormat);
  const { type } = operand;
  const from = origin ? cast(temporal(origin, type, dateFormat), type) : undefined;
  const months = { year: 12, quarter: 3, month: 1 }[part as string];
  const unit = { week: TICKS_PER_DAY * 7, day: TICKS_PER_DAY }[part as string] ?? UNIT_TICKS[part];
  if ((months === undefined && unit === undefined) || part === "microsecond")
    throw new SqlError(
      9810,
      `The datepart ${part} is not supported by date function date_bucket for data type ${type.id}.`,
      16,
      1,
    );
  return strict([cast(width, { id: "int" }), operand, ...(from ? [from] : [])], type, ([count, given, start]) => {
    if ((count as number) <= 0)
      throw new SqlError(
        9834,
        "Invalid bucket width value passed to date_bucket function. Only positive values are allowed.",
        16,
        1,
      );
    const value = given as Temporal;
    const begin = (start as Temporal | undefined) ?? new Temporal(DAYS_1900, 0, value.offset);
    if (months !== undefined) {
      const width = months * (count as number);
      let bucket = Math.floor(monthsBetween(begin, value) / width) * width;
      // The day of the month may not have come yet.
      while (later(add("month", bucket, begin, type), value)) bucket -= width;
      return add("month", bucket, begin, type);
    }
    const step = BigInt(unit!) * BigInt(count as number);
    const place = (at: Temporal) => BigInt(at.days) * BigInt(TICKS_PER_DAY) + BigInt(at.ticks);
    const apart = place(value) - place(begin);
    const rest = ((apart % step) + step) % step;
    const floor = place(value) - rest;
    const days = Number(floor / BigInt(TICKS_PER_DAY));
    return new Temporal(days, Number(floor - BigInt(days) * BigInt(TICKS_PER_DAY)), value.offset);
  });
}

function monthsBetween(from: Temporal, to: Temporal): number {
  const [a, b] = [civilFromDays(local(from).days), civilFromDays(local(to).days)];
  return (b.year - a.year) * 12 + b.month - a.month;
}

function later(a: Temporal, b: Temporal): boolean {
  return a.days > b.days || (a.days === b.days && a.ticks > b.ticks);
}
