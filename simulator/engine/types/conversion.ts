/**
 * Values from one type to another, as CAST, CONVERT and SQL Server itself do it: what is allowed, how it rounds, and with which
 * error it fails. A converter is made once per statement and then called per value; NULL never reaches it.
 * https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
 */
import { decodeText, encodeText } from "../codepages.ts";
import { collationOf } from "../collations.ts";
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";
import { Decimal, type SqlType, Temporal, type Value, Variant } from "../values.ts";
import { trimBlanks } from "./comparison.ts";
import { fits, fromFloat, parseDecimal, power, rescale, round, toNumber, truncate } from "./decimals.ts";
import {
  DAYS_1900,
  defaultStyle,
  fitTemporal,
  formatTemporal,
  local,
  normalise,
  parseTemporal,
  TICKS_PER_DAY,
} from "./temporal.ts";
import {
  asDecimal,
  isApproximate,
  isBinary,
  isDecimal,
  isInteger,
  isMax,
  isMoney,
  isNumber,
  isTemporal,
  isText,
  isUnicode,
} from "./types.ts";

export interface ConversionOptions {
  /** CONVERT's third argument. */
  style?: number;
  /** SET DATEFORMAT */
  dateFormat?: string;
  /** The database's, for character types without one. */
  collation?: string;
  /** An assignment or a mixed expression rather than CAST or CONVERT: some pairs are refused then. */
  implicit?: boolean;
}

type Present = NonNullable<Value>;
export type Converter = (value: Present) => Value;

const INTEGER_RANGE: Record<string, readonly [bigint, bigint]> = {
  tinyint: [0n, 255n],
  smallint: [-32768n, 32767n],
  int: [-2147483648n, 2147483647n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
};
const MONEY_LIMIT: Record<string, bigint> = { money: 2n ** 63n, smallmoney: 2n ** 31n };

/** Undefined where nothing needs doing. */
export function converter(from: SqlType, to: SqlType, options: ConversionOptions = {}): Converter | undefined {
  if (from.id === "null" || same(from, to)) return undefined;
  refuseImpossible(from, to, options);
  if (to.id === "sql_variant") return (value) => (value instanceof Variant ? value : new Variant(from, value));
  if (from.id === "sql_variant") {
    return (value) => {
      const variant = value as Variant;
      if (variant.value === null) return null;
      const inner = converter(variant.type, to, { ...options, implicit: false });
      return inner ? inner(variant.value) : variant.value;
    };
  }
  if (to.id === "bit") return toBit(from);
  if (isInteger(to)) return toInteger(from, to);
  if (isDecimal(to)) return toDecimal(from, to);
  if (isMoney(to)) return toMoney(from, to);
  if (isApproximate(to)) return toFloat(from, to);
  if (isTemporal(to)) return toTemporal(from, to, options);
  if (isText(to)) return toText(from, to, options);
  if (isBinary(to)) return toBinary(from, to, options);
  if (to.id === "uniqueidentifier") return toGuid(from);
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

/** Converts one value. */
export function convertValue(value: Value, from: SqlType, to: SqlType, options: ConversionOptions = {}): Value {
  if (value === null) return null;
  const convert = converter(from, to, options);
  return convert ? convert(value) : value;
}

function same(from: SqlType, to: SqlType): boolean {
  if (from.id !== to.id) return false;
  if (isText(to) && to.length !== undefined && from.length !== undefined) {
    const fixed = to.id === "char" || to.id === "nchar";
    if (fixed) return from.length === to.length && from.collation === to.collation;
    const roomy = to.length === -1 || (from.length !== -1 && from.length <= to.length);
    // Another code page can lose characters, or make them longer.
    return roomy && (isUnicode(to) || from.collation === to.collation);
  }
  if (to.id === "varbinary") return to.length === -1 || (from.length !== -1 && from.length! <= to.length!);
  return from.length === to.length && from.precision === to.precision && from.scale === to.scale;
}

function refuseImpossible(from: SqlType, to: SqlType, { implicit }: ConversionOptions): void {
  const explicitOnly =
    (isTemporal(from) && from.id !== "datetime" && from.id !== "smalldatetime" && (isBinary(to) || isNumber(to))) ||
    (isTemporal(to) && to.id !== "datetime" && to.id !== "smalldatetime" && isNumber(from));
  const clash =
    explicitOnly && (isNumber(to) || isNumber(from))
      ? true
      : (from.id === "uniqueidentifier" && (isNumber(to) || isTemporal(to))) ||
        (to.id === "uniqueidentifier" && (isNumber(from) || isTemporal(from))) ||
        (from.id === "xml" && !isText(to) && !isBinary(to)) ||
        (to.id === "xml" && !isText(from) && !isBinary(from)) ||
        (from.id === "date" && to.id === "time") ||
        (from.id === "time" && to.id === "date") ||
        ((from.id === "text" || from.id === "ntext") && !isText(to)) ||
        (from.id === "image" && !isBinary(to)) ||
        (to.id === "image" && !isBinary(from) && !isText(from));
  if (clash) {
    if (implicit) throw new SqlError(206, `Operand type clash: ${from.id} is incompatible with ${to.id}`, 16, 2);
    throw new SqlError(529, `Explicit conversion from data type ${from.id} to ${to.id} is not allowed.`, 16, 2);
  }
  if (!implicit) return;
  const needsConvert =
    (isTemporal(from) && isNumber(to)) ||
    (isText(from) && isBinary(to)) ||
    (isBinary(from) && from.id !== "timestamp" && isApproximate(to)) ||
    (isTemporal(from) && isBinary(to)) ||
    (from.id === "sql_variant" && to.id !== "sql_variant");
  if (needsConvert)
    throw new SqlError(
      257,
      `Implicit conversion from data type ${from.id} to ${to.id} is not allowed. Use the CONVERT function to run this query.`,
      16,
      3,
    );
}

/** The name in "Error converting data type x to y": decimal is called numeric. */
function spoken(type: SqlType): string {
  return type.id === "decimal" ? "numeric" : type.id;
}

function overflow(to: SqlType, from?: SqlType): SqlError {
  const what = from ? `${spoken(from)} to data type ${spoken(to)}` : `expression to data type ${spoken(to)}`;
  return new SqlError(8115, `Arithmetic overflow error converting ${what}.`, 16, from ? 8 : 2);
}

// ---------------------------------------------------------------- numbers

function toBit(from: SqlType): Converter {
  if (isText(from)) {
    return (value) => {
      const text = (value as string).trim().toLowerCase();
      if (text === "true") return true;
      if (text === "false" || text === "") return false;
      if (!/^[+-]?\d+$/.test(text))
        throw new SqlError(
          245,
          `Conversion failed when converting the ${from.id} value '${value as string}' to data type bit.`,
          16,
          1,
        );
      return BigInt(text) !== 0n;
    };
  }
  if (isBinary(from))
    return (value) => (value as Buffer).length > 0 && (value as Buffer)[(value as Buffer).length - 1] !== 0;
  return (value) => (value instanceof Decimal ? value.unscaled !== 0n : Number(value) !== 0);
}

function toInteger(from: SqlType, to: SqlType): Converter {
  const [least, most] = INTEGER_RANGE[to.id]!;
  const make = (value: bigint): Value => (to.id === "bigint" ? value : Number(value));
  const checked = (value: bigint, shown: Present): Value => {
    if (value >= least && value <= most) return make(value);
    if (to.id === "tinyint" || to.id === "smallint") {
      if (isInteger(from))
        throw new SqlError(220, `Arithmetic overflow error for data type ${to.id}, value = ${String(shown)}.`, 16, 2);
      throw overflow(to, from);
    }
    throw isInteger(from) ? overflow(to) : overflow(to, from);
  };
  if (from.id === "bit") return (value) => make(value ? 1n : 0n);
  if (isInteger(from)) {
    if (to.id === "bigint") return (value) => BigInt(value as number | bigint);
    const low = Number(least);
    const high = Number(most);
    return (value) => {
      const number = Number(value);
      return number >= low && number <= high ? number : checked(BigInt(value as number | bigint), value);
    };
  }
  if (isMoney(from)) return (value) => checked(round(value as Decimal), value);
  if (isDecimal(from)) return (value) => checked(truncate(value as Decimal), value);
  if (isApproximate(from)) {
    return (value) => {
      const number = Math.trunc(value as number);
      if (!Number.isFinite(number)) throw overflow(to);
      return checked(BigInt(number), value);
    };
  }
  if (isText(from)) {
    return (value) => {
      const text = (value as string).trim();
      if (text === "") return make(0n);
      if (!/^[+-]?\s*\d+$/.test(text)) {
        if (to.id === "bigint") throw new SqlError(8114, `Error converting data type ${from.id} to bigint.`, 16, 5);
        throw new SqlError(
          245,
          `Conversion failed when converting the ${from.id} value '${trimBlanks(value as string)}' to data type ${to.id}.`,
          16,
          1,
        );
      }
      const number = BigInt(text.replace(/[+\s]/g, ""));
      if (number >= least && number <= most) return make(number);
      if (to.id === "int")
        throw new SqlError(248, `The conversion of the ${from.id} value '${text}' overflowed an int column.`, 16, 1);
      if (to.id === "bigint") throw overflow(to, from);
      throw new SqlError(
        244,
        `The conversion of the ${from.id} value '${text}' overflowed an ${to.id === "tinyint" ? "INT1" : "INT2"} column. Use a larger integer column.`,
        16,
        1,
      );
    };
  }
  if (isBinary(from)) {
    const bytes = to.id === "bigint" ? 8 : to.id === "int" ? 4 : to.id === "smallint" ? 2 : 1;
    return (value) => {
      const tail = Buffer.alloc(bytes);
      const source = (value as Buffer).subarray(Math.max(0, (value as Buffer).length - bytes));
      source.copy(tail, bytes - source.length);
      if (to.id === "bigint") return tail.readBigInt64BE();
      return to.id === "tinyint" ? tail[0]! : tail.readIntBE(0, bytes);
    };
  }
  if (from.id === "datetime" || from.id === "smalldatetime") {
    return (value) => checked(BigInt(Math.round(daysSince1900(value as Temporal))), value);
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

function daysSince1900(value: Temporal): number {
  return value.days - DAYS_1900 + value.ticks / TICKS_PER_DAY;
}

/** Any number as an exact one of the scale. */
function exactOf(from: SqlType, scale: number): ((value: Present) => Decimal) | undefined {
  if (isDecimal(from) || isMoney(from)) return (value) => rescale(value as Decimal, scale);
  if (from.id === "bigint") return (value) => new Decimal((value as bigint) * power(scale), scale);
  if (isInteger(from)) return (value) => new Decimal(BigInt(Number(value)) * power(scale), scale);
  if (isApproximate(from)) return (value) => fromFloat(value as number, scale);
  if (from.id === "datetime" || from.id === "smalldatetime")
    return (value) => fromFloat(daysSince1900(value as Temporal), scale);
  return undefined;
}

function toDecimal(from: SqlType, to: SqlType): Converter {
  const { precision, scale } = asDecimal(to);
  const finish = (value: Decimal): Decimal => {
    if (!fits(value, precision)) throw overflow(to, from);
    return value;
  };
  const exact = exactOf(from, scale);
  if (exact) return (value) => finish(exact(value));
  if (isText(from)) {
    return (value) => {
      const parsed = parseDecimal(value as string);
      if (!parsed) throw new SqlError(8114, `Error converting data type ${from.id} to numeric.`, 16, 5);
      return finish(rescale(parsed, scale));
    };
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

function toMoney(from: SqlType, to: SqlType): Converter {
  const limit = MONEY_LIMIT[to.id]!;
  const finish = (value: Decimal): Decimal => {
    if (value.unscaled >= limit || value.unscaled < -limit) throw overflow(to, from);
    return value;
  };
  const exact = exactOf(from, 4);
  if (exact) return (value) => finish(exact(value));
  if (isText(from)) {
    return (value) => {
      const text = (value as string).trim();
      const parsed =
        text === "" ? new Decimal(0n, 0) : parseDecimal(text.replace(/^([+-]?)\s*[$£€¥]\s*/, "$1").replace(/,/g, ""));
      if (!parsed)
        throw new SqlError(235, "Cannot convert a char value to money. The char value has incorrect syntax.", 16, 0);
      return finish(rescale(parsed, 4));
    };
  }
  if (isBinary(from)) {
    const asBigint = toInteger(from, { id: "bigint" });
    return (value) => new Decimal(asBigint(value) as bigint, 4);
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

function toFloat(from: SqlType, to: SqlType): Converter {
  const finish = (number: number): number => {
    const result = to.id === "real" ? Math.fround(number) : number;
    if (!Number.isFinite(result)) throw overflow(to);
    return result;
  };
  if (isDecimal(from) || isMoney(from)) return (value) => finish(toNumber(value as Decimal));
  if (isNumber(from)) return (value) => finish(Number(value));
  if (isText(from)) {
    return (value) => {
      const text = (value as string).trim();
      if (text === "") return 0;
      if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d*)?$/i.test(text))
        throw new SqlError(8114, `Error converting data type ${from.id} to ${to.id}.`, 16, 5);
      return finish(Number(text.replace(/e[+-]?$/i, "")));
    };
  }
  if (from.id === "datetime" || from.id === "smalldatetime") return (value) => finish(daysSince1900(value as Temporal));
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

// ---------------------------------------------------------------- dates and times

function toTemporal(from: SqlType, to: SqlType, options: ConversionOptions): Converter {
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

// ---------------------------------------------------------------- text

function toText(from: SqlType, to: SqlType, options: ConversionOptions): Converter {
  const fit = textFitter(to, options.collation);
  if (isText(from)) {
    return (value) => fit(value as string);
  }
  const write = writer(from, to, options);
  const limit = to.length === undefined || to.length === -1 ? Number.POSITIVE_INFINITY : to.length;
  return (value) => {
    const text = write(value);
    if (text.length > limit) return fit(tooLong(text, from, to));
    return fit(text);
  };
}

/** What becomes of a value whose text is longer than there is room for. */
function tooLong(text: string, from: SqlType, to: SqlType): string {
  if (isInteger(from) && from.id !== "bigint" && !isUnicode(to)) return "*";
  if (from.id === "uniqueidentifier")
    throw new SqlError(8170, "Insufficient result space to convert uniqueidentifier value to char.", 16, 2);
  if (isMoney(from))
    throw new SqlError(234, `There is insufficient result space to convert a money value to ${to.id}.`, 16, 2);
  if (isNumber(from)) throw isInteger(from) ? overflow(to) : overflow(to, from);
  return text;
}

/** Cuts or pads a string to a type, and loses what its code page lacks. */
export function textFitter(to: SqlType, defaultCollation: string | undefined): (text: string) => string {
  const { length = -1 } = to;
  const fixed = to.id === "char" || to.id === "nchar";
  if (isUnicode(to)) {
    if (length === -1) return (text) => text;
    if (fixed) return (text) => (text.length >= length ? text.slice(0, length) : text.padEnd(length, " "));
    return (text) => (text.length > length ? text.slice(0, length) : text);
  }
  const collation = collationOf(to.collation ?? defaultCollation);
  const multibyte = collation.codePage === 65001 || (collation.codePage >= 932 && collation.codePage <= 950);
  const width = (text: string) => (multibyte ? encodeText(text, collation).length : text.length);
  return (text) => {
    let result = text;
    if (!isAscii(text)) result = decodeText(encodeText(text, collation), collation);
    if (length === -1) return result;
    if (result.length > length) result = result.slice(0, length);
    while (multibyte && width(result) > length) result = result.slice(0, -1);
    return fixed ? result + " ".repeat(Math.max(0, length - width(result))) : result;
  };
}

/** How many characters (or, in a multi-byte code page, bytes) a string takes of a column's length. */
export function textWidth(text: string, type: SqlType, defaultCollation: string | undefined): number {
  if (isUnicode(type) || isAscii(text)) return text.length;
  return encodeText(text, collationOf(type.collation ?? defaultCollation)).length;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

function writer(from: SqlType, to: SqlType, { style, collation }: ConversionOptions): (value: Present) => string {
  if (from.id === "bit") return (value) => (value ? "1" : "0");
  if (isInteger(from)) return (value) => String(value);
  if (isDecimal(from)) return (value) => (value as Decimal).toString();
  if (isMoney(from)) return (value) => moneyText(value as Decimal, style ?? 0);
  if (isApproximate(from)) return (value) => floatText(value as number, style ?? 0, from.id === "real");
  if (isTemporal(from)) {
    const chosen = style ?? defaultStyle(from);
    return (value) => {
      const text = formatTemporal(value as Temporal, from, chosen);
      if (text === undefined)
        throw new SqlError(
          281,
          `${chosen} is not a valid style number when converting from ${from.id} to a character string.`,
          16,
          1,
        );
      return text;
    };
  }
  if (from.id === "uniqueidentifier") return (value) => value as string;
  if (isBinary(from)) {
    if (style === 1) return (value) => `0x${(value as Buffer).toString("hex").toUpperCase()}`;
    if (style === 2) return (value) => (value as Buffer).toString("hex").toUpperCase();
    if (isUnicode(to))
      return (value) => {
        const bytes = value as Buffer;
        return (bytes.length % 2 ? Buffer.concat([bytes, Buffer.alloc(1)]) : bytes).toString("utf16le");
      };
    const page = collationOf(to.collation ?? collation);
    return (value) => decodeText(value as Buffer, page);
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

function moneyText(value: Decimal, style: number): string {
  const text = (style === 2 || style === 126 ? value : rescale(value, 2)).toString();
  if (style !== 1) return text;
  const [integral = "", fraction = ""] = text.split(".");
  return `${integral.replace(/(\d)(?=(\d{3})+$)/g, "$1,")}.${fraction}`;
}

/** 0: up to 6 digits, scientific where that is shorter; 1: 8 digits, 2: 16, 3: 17, always scientific. */
function floatText(value: number, style: number, single: boolean): string {
  if (style === 3 || style === 126) return scientific(value, single ? 9 : 17);
  if (style === 1 || style === 2) return scientific(value, style === 1 ? 8 : 16);
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(6));
  const exponent = Math.floor(Math.log10(Math.abs(rounded)));
  if (exponent >= 6 || exponent < -4) {
    const [mantissa = "", power = "0"] = rounded.toExponential().split("e");
    const size = Math.abs(Number(power));
    return `${mantissa}e${power.startsWith("-") ? "-" : "+"}${String(size).padStart(3, "0")}`;
  }
  return String(rounded);
}

function scientific(value: number, digits: number): string {
  const [mantissa = "", power = "0"] = value.toExponential(digits - 1).split("e");
  const size = Math.abs(Number(power));
  return `${mantissa}e${power.startsWith("-") ? "-" : "+"}${String(size).padStart(3, "0")}`;
}

// ---------------------------------------------------------------- binary

function toBinary(from: SqlType, to: SqlType, { style, collation }: ConversionOptions): Converter {
  const length = to.id === "timestamp" ? 8 : isMax(to) ? -1 : (to.length ?? -1);
  const fixed = to.id === "binary" || to.id === "timestamp";
  /** Numbers lose and gain bytes on the left, everything else on the right. */
  const fit = (bytes: Buffer, number: boolean): Buffer => {
    if (length === -1) return bytes;
    if (bytes.length > length) return number ? bytes.subarray(bytes.length - length) : bytes.subarray(0, length);
    if (!fixed || bytes.length === length) return bytes;
    const zeros = Buffer.alloc(length - bytes.length);
    return Buffer.concat(number ? [zeros, bytes] : [bytes, zeros]);
  };
  if (isBinary(from)) return (value) => fit(value as Buffer, false);
  if (isText(from)) {
    if (style === 1 || style === 2) {
      return (value) => {
        let text = trimBlanks(value as string);
        if (style === 1 ? !/^0x/i.test(text) : false) text = "?";
        else if (style === 1) text = text.slice(2);
        if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text))
          throw new SqlError(8114, `Error converting data type ${from.id} to ${to.id}.`, 16, 5);
        return fit(Buffer.from(text, "hex"), false);
      };
    }
    if (isUnicode(from)) return (value) => fit(Buffer.from(value as string, "utf16le"), false);
    const page = collationOf(from.collation ?? collation);
    return (value) => fit(encodeText(value as string, page), false);
  }
  if (from.id === "uniqueidentifier") return (value) => fit(guidToBytes(value as string), false);
  if (from.id === "bit" || from.id === "tinyint") return (value) => fit(Buffer.of(Number(value)), true);
  if (isInteger(from)) {
    const size = from.id === "bigint" ? 8 : from.id === "int" ? 4 : 2;
    return (value) => {
      const bytes = Buffer.alloc(size);
      if (from.id === "bigint") bytes.writeBigInt64BE(value as bigint);
      else bytes.writeIntBE(value as number, 0, size);
      return fit(bytes, true);
    };
  }
  if (from.id === "money") {
    return (value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE((value as Decimal).unscaled);
      return fit(bytes, true);
    };
  }
  if (isDecimal(from)) return (value) => fit(decimalBytes(value as Decimal, from), false);
  if (isApproximate(from)) {
    return (value) => {
      const bytes = Buffer.alloc(from.id === "real" ? 4 : 8);
      if (from.id === "real") bytes.writeFloatBE(value as number);
      else bytes.writeDoubleBE(value as number);
      return fit(bytes, true);
    };
  }
  if (from.id === "datetime") {
    return (value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeInt32BE((value as Temporal).days - DAYS_1900, 0);
      bytes.writeUInt32BE(Math.round(((value as Temporal).ticks * 3) / 100_000), 4);
      return fit(bytes, true);
    };
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

/** Precision, scale, a zero, the sign (1 for positive), then the digits little-endian in as many words as they need. */
function decimalBytes(value: Decimal, type: SqlType): Buffer {
  const head = [type.precision ?? 18, value.scale, 0, value.unscaled < 0n ? 0 : 1];
  const digits: number[] = [];
  let rest = value.unscaled < 0n ? -value.unscaled : value.unscaled;
  do {
    for (let i = 0; i < 4; i++) {
      digits.push(Number(rest & 255n));
      rest >>= 8n;
    }
  } while (rest > 0n);
  return Buffer.from([...head, ...digits]);
}

// ---------------------------------------------------------------- uniqueidentifier

function toGuid(from: SqlType): Converter {
  if (isText(from)) {
    return (value) => {
      const text = (value as string)
        .trim()
        .replace(/^\{(.*)\}$/, "$1")
        .slice(0, 36);
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text))
        throw new SqlError(
          8169,
          "Conversion failed when converting from a character string to uniqueidentifier.",
          16,
          2,
        );
      return text.toUpperCase();
    };
  }
  if (isBinary(from)) return (value) => guidFromBytes(value as Buffer);
  throw unsupported(`a conversion from ${from.id} to uniqueidentifier`);
}

/** The first three groups are stored little-endian. */
export function guidToBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replace(/-/g, ""), "hex");
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

export function guidFromBytes(source: Buffer): string {
  const bytes = Buffer.alloc(16);
  source.copy(bytes);
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  const hex = bytes.toString("hex").toUpperCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
