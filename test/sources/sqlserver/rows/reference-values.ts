/**
 * One value of the wire as JSON text, slowly and straight from MS-TDS 2.2.5.5 and formats.md: big integers, Date, JSON.stringify. Shares no
 * code with the compiled decoder, which is held against it. Throws Broken where the bytes are no value of the type.
 */
import iconv from "iconv-lite";
import { Collation } from "tedious/lib/collation.js";
import type { ValueOptions } from "../../../../src/change/values.ts";
import { charactersOf } from "./code-page-tables.ts";

/** Not what MS-TDS allows. */
export class Broken extends Error {}

export function must(condition: boolean, what: string): void {
  if (!condition) throw new Broken(what);
}

/** What a column's TYPE_INFO says, of types that are not NULL-able variants of others: bit, int, real, datetime … by name. */
export interface ReferenceType {
  kind:
    | "bit"
    | "integer"
    | "decimal"
    | "money"
    | "float"
    | "date"
    | "time"
    | "datetime2"
    | "datetimeoffset"
    | "datetime"
    | "guid"
    | "unicode"
    | "code page"
    | "binary"
    | "variant"
    | "nothing";
  scale: number;
  collation: Buffer | null;
}

/** The JSON text of a value that is not NULL. */
export function referenceText(type: ReferenceType, bytes: Buffer, options: ValueOptions): string {
  const { json, isString } = textOf(type, bytes, options);
  return options.values === "string" && !isString ? `"${json}"` : json;
}

interface Text {
  json: string;
  isString: boolean;
}

function plain(json: string): Text {
  return { json, isString: false };
}

function quoted(content: string): Text {
  return { json: JSON.stringify(content), isString: true };
}

function textOf(type: ReferenceType, bytes: Buffer, options: ValueOptions): Text {
  switch (type.kind) {
    case "nothing":
      throw new Broken("a value of the type NULL");
    case "bit":
      must(bytes.length === 1, "a bit is a byte");
      return plain(String(bytes[0] !== 0));
    case "integer": {
      must([1, 2, 4, 8].includes(bytes.length), "an integer of 1, 2, 4 or 8 bytes");
      // tinyint is unsigned, the others are two's complement.
      const bits = bytes.length * 8;
      const digits = String(bits === 8 ? unsigned(bytes) : BigInt.asIntN(bits, unsigned(bytes)));
      return bits === 64 && options.bigints === "string" ? quoted(digits) : plain(digits);
    }
    case "decimal":
      must([5, 9, 13, 17].includes(bytes.length), "a decimal of 5, 9, 13 or 17 bytes");
      return digitsOf(bytes[0] === 0 ? -unsigned(bytes.subarray(1)) : unsigned(bytes.subarray(1)), type.scale, options);
    case "money":
      return digitsOf(moneyOf(bytes), 4, options);
    case "float":
      return plain(floatText(bytes));
    case "date":
      must(bytes.length === 3, "a date of 3 bytes");
      return quoted(dateText(unsigned(bytes)));
    case "time":
    case "datetime2":
    case "datetimeoffset":
      return quoted(scaledText(type.kind, type.scale, bytes));
    case "datetime":
      return quoted(dateTimeText(bytes));
    case "guid":
      must(bytes.length === 16, "a GUID of 16 bytes");
      return quoted(guidText(bytes));
    case "unicode":
      must(bytes.length % 2 === 0, "an even number of bytes of UTF-16");
      return quoted(bytes.toString("utf16le"));
    case "code page":
      return quoted(decoded(type.collation!, bytes));
    case "binary":
      return quoted(bytes.toString(options.binary === "hex" ? "hex" : "base64"));
    case "variant":
      return variantText(bytes, options);
  }
}

export function unsigned(bytes: Buffer): bigint {
  return bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function digitsOf(value: bigint, scale: number, options: ValueOptions): Text {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const point = digits.length - scale;
  const text = (value < 0n ? "-" : "") + digits.slice(0, point) + (scale > 0 ? `.${digits.slice(point)}` : "");
  return options.decimals === "string" ? quoted(text) : plain(text);
}

/** 2.2.5.5.1.4: 4 bytes, or two halves of which the upper comes first. */
function moneyOf(bytes: Buffer): bigint {
  must(bytes.length === 4 || bytes.length === 8, "money of 4 or 8 bytes");
  if (bytes.length === 4) return BigInt.asIntN(32, unsigned(bytes));
  return BigInt.asIntN(64, unsigned(bytes.subarray(0, 4)) * 2n ** 32n + unsigned(bytes.subarray(4)));
}

function floatText(bytes: Buffer): string {
  must(bytes.length === 4 || bytes.length === 8, "a float of 4 or 8 bytes");
  const value = bytes.length === 8 ? bytes.readDoubleLE() : bytes.readFloatLE();
  must(Number.isFinite(value), "a finite number");
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  return JSON.stringify(bytes.length === 8 ? value : shortestSingle(value));
}

/** The decimal of the fewest digits that reads back as the same single, and of those the nearest to it; of two the larger. */
function shortestSingle(single: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const nearest = single.toExponential(digits - 1);
    const [mantissa, exponent] = nearest.split("e") as [string, string];
    const units = BigInt(mantissa.replace(".", ""));
    const found = [units, units + 1n, units - 1n]
      .map((each) => Number(`${each}e${Number(exponent) - digits + 1}`))
      .filter((each) => Math.fround(each) === single)
      .sort((a, b) => Math.abs(a - single) - Math.abs(b - single));
    if (found[0] !== undefined) return found[0];
  }
  throw new Error(`No nine digits read back as ${single}.`);
}

const DAY = 86_400_000;
const FROM_YEAR_1 = Date.UTC(2001, 0, 1) - 730_485 * DAY;
const FROM_1900 = Date.UTC(1900, 0, 1);

/** Days since 0001-01-01. */
function dateText(days: bigint): string {
  const text = new Date(FROM_YEAR_1 + Number(days) * DAY).toISOString();
  must(/^(?!0000)\d{4}-/.test(text), "a day from 0001-01-01 to 9999-12-31");
  return text.slice(0, 10);
}

/** Units of 10^-scale seconds since midnight. */
function clockText(units: bigint, scale: number): string {
  const second = 10n ** BigInt(scale);
  const text = new Date(Number(units / second) * 1000).toISOString().slice(11, 19);
  return scale === 0 ? text : `${text}.${String(units % second).padStart(scale, "0")}`;
}

/** 2.2.5.5.1.8. */
function scaledText(kind: "time" | "datetime2" | "datetimeoffset", scale: number, bytes: Buffer): string {
  must(scale <= 7, "a scale of 0 to 7");
  const length = scale < 3 ? 3 : scale < 5 ? 4 : 5;
  must(bytes.length === length + { time: 0, datetime2: 3, datetimeoffset: 5 }[kind], "a time of its scale's length");
  const units = unsigned(bytes.subarray(0, length));
  const perDay = 86_400n * 10n ** BigInt(scale);
  must(units < perDay, "a time below 24 hours");
  if (kind === "time") return clockText(units, scale);
  const days = unsigned(bytes.subarray(length, length + 3));
  const utc = dateText(days);
  if (kind === "datetime2") return `${utc}T${clockText(units, scale)}`;
  const offset = bytes.readInt16LE(length + 3);
  must(Math.abs(offset) <= 840, "an offset of at most 14 hours");
  // Days and time are of UTC, shown is the local time.
  const local = days * perDay + units + BigInt(offset) * 60n * 10n ** BigInt(scale);
  must(local >= 0n, "a local day from 0001-01-01 on");
  const zone = new Date(Math.abs(offset) * 60_000).toISOString().slice(11, 16);
  return `${dateText(local / perDay)}T${clockText(local % perDay, scale)}${offset < 0 ? "-" : "+"}${zone}`;
}

/** Milliseconds since 1970 of the 4 and 4 bytes of a datetime, as if they were UTC. */
export function dateTimeOf(bytes: Buffer): number {
  const days = bytes.readInt32LE(0);
  const ticks = bytes.readUInt32LE(4);
  must(ticks < 300 * 86_400, "a time below 24 hours");
  const midnight = FROM_1900 + days * DAY;
  must(midnight >= Date.UTC(1753, 0, 1) && midnight <= Date.UTC(9999, 11, 31), "a day from 1753 to 9999");
  // Three ticks are ten milliseconds; of the two between, SQL Server shows 3 and 7.
  return midnight + Math.floor(ticks / 3) * 10 + [0, 3, 7][ticks % 3]!;
}

function dateTimeText(bytes: Buffer): string {
  must(bytes.length === 4 || bytes.length === 8, "a datetime of 4 or 8 bytes");
  if (bytes.length === 8) return new Date(dateTimeOf(bytes)).toISOString().slice(0, 23);
  const minutes = bytes.readUInt16LE(2);
  must(minutes < 1_440, "a time below 24 hours");
  return new Date(FROM_1900 + bytes.readUInt16LE(0) * DAY + minutes * 60_000).toISOString().slice(0, 19);
}

/** MS-DTYP 2.3.4: a number of 32 bits, two of 16, and eight bytes. */
function guidText(bytes: Buffer): string {
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");
  const groups = [
    hex(bytes.readUInt32LE(0), 8),
    hex(bytes.readUInt16LE(4), 4),
    hex(bytes.readUInt16LE(6), 4),
    bytes.toString("hex", 8, 10),
    bytes.toString("hex", 10),
  ];
  return groups.join("-").toUpperCase();
}

function decoded(collation: Buffer, bytes: Buffer): string {
  const { codepage } = Collation.fromBuffer(collation);
  must(codepage !== undefined, "a collation that is known");
  if (codepage === "utf-8") return bytes.toString("utf8");
  const page = Number(codepage!.slice(2));
  const characters = charactersOf(page);
  if (characters) return [...bytes].map((byte) => characters[byte]!).join("");
  // Pages of which makers' tables differ: the Encoding Standard's, or for those of two bytes iconv-lite's.
  if (page === 874 || (page >= 1250 && page <= 1258)) return new TextDecoder(`windows-${page}`).decode(bytes);
  return iconv.decode(bytes, `cp${page}`, { stripBOM: false });
}

type Kind = ReferenceType["kind"];

/** Base type, its kind, the number of its property bytes, the bytes of its value (0: they vary). */
const BASES: Readonly<Record<number, [kind: Kind, properties: number, length: number]>> = {
  36: ["guid", 0, 16],
  40: ["date", 0, 3],
  48: ["integer", 0, 1],
  50: ["bit", 0, 1],
  52: ["integer", 0, 2],
  56: ["integer", 0, 4],
  58: ["datetime", 0, 4],
  59: ["float", 0, 4],
  60: ["money", 0, 8],
  61: ["datetime", 0, 8],
  62: ["float", 0, 8],
  122: ["money", 0, 4],
  127: ["integer", 0, 8],
  41: ["time", 1, 0],
  42: ["datetime2", 1, 0],
  43: ["datetimeoffset", 1, 0],
  165: ["binary", 2, 0],
  173: ["binary", 2, 0],
  106: ["decimal", 2, 0],
  108: ["decimal", 2, 0],
  167: ["code page", 7, 0],
  175: ["code page", 7, 0],
  231: ["unicode", 7, 0],
  239: ["unicode", 7, 0],
};

/** 2.2.5.5.4. */
function variantText(bytes: Buffer, options: ValueOptions): Text {
  must(bytes.length >= 2, "a base type and a count of properties");
  const base = BASES[bytes[0]!];
  must(base !== undefined, "a base type of sql_variant");
  const [kind, properties, length] = base!;
  must(bytes[1] === properties && bytes.length >= 2 + properties, "the properties of the base type");
  const of = bytes.subarray(2, 2 + properties);
  const value = bytes.subarray(2 + properties);
  must(length === 0 || value.length === length, "a value of the base type's length");
  if (kind === "decimal") checkDecimal(of[0]!, of[1]!);
  const scale = kind === "decimal" ? of[1]! : properties === 1 ? of[0]! : 0;
  return textOf({ kind, scale, collation: properties === 7 ? of.subarray(0, 5) : null }, value, options);
}

/** 2.2.5.5.1.6: a precision of 1 to 38, and a scale of 0 to the precision. */
export function checkDecimal(precision: number, scale: number): void {
  must(precision >= 1 && precision <= 38 && scale <= precision, "a precision up to 38, and a scale up to that");
}
