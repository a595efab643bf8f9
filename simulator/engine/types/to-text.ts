/** Conversions to text: how values are written, and how text is cut, padded and brought into a code page. */
import { decodeText, encodeText } from "../codepages.ts";
import { collationOf } from "../collations.ts";
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";
import type { Decimal, SqlType, Temporal } from "../values.ts";
import { type ConversionOptions, type Converter, overflow, type Present } from "./conversion-rules.ts";
import { rescale } from "./decimals.ts";
import { defaultStyle, formatTemporal, isHijri } from "./temporal.ts";
import {
  isApproximate,
  isBinary,
  isDecimal,
  isInteger,
  isMoney,
  isNumber,
  isTemporal,
  isText,
  isUnicode,
} from "./types.ts";

export function toText(from: SqlType, to: SqlType, options: ConversionOptions): Converter {
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
    if (isHijri(style)) throw unsupported(`style ${style}, of the Hijri calendar`);
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
