/** Conversions to dates and times. */
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";
import { type SqlType, Temporal } from "../values.ts";
import { type ConversionOptions, type Converter, overflow } from "./conversion-rules.ts";
import { DAYS_1900, fitTemporal, isHijri, local, normalise, parseTemporal, TICKS_PER_DAY } from "./temporal.ts";
import { toFloat } from "./to-numbers.ts";
import { isBinary, isNumber, isTemporal, isText } from "./types.ts";

export function toTemporal(from: SqlType, to: SqlType, options: ConversionOptions): Converter {
  const outOfRange = (): SqlError =>
    new SqlError(
      242,
      `The conversion of a ${from.id} data type to a ${to.id} data type resulted in an out-of-range value.`,
      16,
      3,
    );
  if (isTemporal(from)) {
    return (value) => {
      let source = value as Temporal;
      if (from.id === "datetimeoffset" && to.id !== "datetimeoffset") source = local(source);
      if (from.id === "time") source = new Temporal(DAYS_1900, source.ticks, 0);
      const fitted = fitTemporal(source, to);
      if (!fitted) throw outOfRange();
      return fitted;
    };
  }
  if (isText(from)) {
    if (isHijri(options.style)) throw unsupported(`style ${options.style}, of the Hijri calendar`);
    const order = styleOrder(options.style) ?? options.dateFormat;
    const old = to.id === "datetime" || to.id === "smalldatetime";
    return (value) => {
      const parsed = parseTemporal(value as string, order);
      const wrong =
        parsed === "syntax" ||
        (parsed !== "range" &&
          old &&
          (parsed.digits > 3 || (parsed.hasOffset && !/z$/i.test((value as string).trim()))));
      if (wrong) {
        if (to.id === "smalldatetime")
          throw new SqlError(
            295,
            "Conversion failed when converting character string to smalldatetime data type.",
            16,
            3,
          );
        throw new SqlError(241, "Conversion failed when converting date and/or time from character string.", 16, 1);
      }
      if (parsed === "range") {
        if (old) throw outOfRange();
        throw new SqlError(241, "Conversion failed when converting date and/or time from character string.", 16, 1);
      }
      const source = to.id === "datetimeoffset" ? parsed.value : local(parsed.value);
      const fitted = fitTemporal(source, to);
      if (!fitted) {
        throw old
          ? outOfRange()
          : new SqlError(241, "Conversion failed when converting date and/or time from character string.", 16, 1);
      }
      return fitted;
    };
  }
  if (isNumber(from)) {
    const asFloat = toFloat(from, { id: "float" });
    return (value) => {
      const days = asFloat(value) as number;
      const whole = Math.floor(days);
      const moved = normalise(DAYS_1900 + whole, Math.round((days - whole) * TICKS_PER_DAY));
      const fitted = fitTemporal(moved, to);
      if (!fitted) throw overflow(to);
      return fitted;
    };
  }
  if (isBinary(from) && to.id === "datetime") {
    return (value) => {
      const bytes = Buffer.alloc(8);
      const source = (value as Buffer).subarray(-8);
      source.copy(bytes, 8 - source.length);
      const fitted = fitTemporal(
        new Temporal(DAYS_1900 + bytes.readInt32BE(0), (bytes.readUInt32BE(4) * 100_000) / 3),
        to,
      );
      if (!fitted) throw overflow(to);
      return fitted;
    };
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

/** Styles that say in which order a written date has its parts. */
function styleOrder(style: number | undefined): string | undefined {
  if (style === undefined) return undefined;
  if ([1, 101, 10, 110, 22].includes(style)) return "mdy";
  if ([3, 4, 5, 103, 104, 105].includes(style)) return "dmy";
  if ([2, 11, 102, 111].includes(style)) return "ymd";
  return undefined;
}
