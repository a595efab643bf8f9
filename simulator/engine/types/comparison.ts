/**
 * Comparing values of one type: for =, <, ORDER BY, indexes; and keys for hashing, equal exactly when the values compare
 * equal. NULLs are the caller's matter, except in `compareNullable`, where NULL comes first.
 *
 * Character data: trailing blanks do not count (https://learn.microsoft.com/sql/t-sql/language-elements/string-comparison-assignment),
 * and the collation says whether case and accents do. The order of different strings is ICU's for the language, which
 * differs from SQL Server's in the weights of punctuation.
 * Uniqueidentifier: the last six bytes weigh most (https://learn.microsoft.com/sql/connect/ado-net/sql/compare-guid-uniqueidentifier-values).
 */
import { type Collation, collationOf } from "../collations.ts";
import { Decimal, type SqlType, Temporal, type Value, type Variant } from "../values.ts";

export type Comparer = (a: NonNullable<Value>, b: NonNullable<Value>) => number;
export type HashKey = string | number | bigint | boolean;

const TEXT = new Set(["char", "varchar", "text", "nchar", "nvarchar", "ntext", "xml"]);

export function isText(type: SqlType): boolean {
  return TEXT.has(type.id);
}

/** Of values that were both converted to `type`. */
export function comparerOf(type: SqlType, collation: string | undefined = type.collation): Comparer {
  switch (type.id) {
    case "bit":
    case "tinyint":
    case "smallint":
    case "int":
    case "bigint":
    case "float":
    case "real":
      return (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    case "decimal":
    case "numeric":
    case "money":
    case "smallmoney":
      return (a, b) => compareDecimals(a as Decimal, b as Decimal);
    case "date":
    case "time":
    case "datetime":
    case "smalldatetime":
    case "datetime2":
    case "datetimeoffset":
      return (a, b) => (a as Temporal).days - (b as Temporal).days || (a as Temporal).ticks - (b as Temporal).ticks;
    case "uniqueidentifier":
      return (a, b) => compareText(guidOrder(a as string), guidOrder(b as string));
    case "binary":
    case "varbinary":
    case "image":
    case "timestamp":
      return (a, b) => compareBinary(a as Buffer, b as Buffer);
    case "sql_variant":
      return (a, b) => compareVariants(a as Variant, b as Variant);
    case "null":
      return () => 0;
    default:
      return textComparer(collationOf(collation));
  }
}

/** NULL first, as ORDER BY and indexes have it. */
export function compareNullable(comparer: Comparer): (a: Value, b: Value) => number {
  return (a, b) => {
    if (a === null) return b === null ? 0 : -1;
    if (b === null) return 1;
    return comparer(a, b);
  };
}

/** A primitive that is the same for equal values of the type, and only for them. */
export function hashKeyOf(
  type: SqlType,
  collation: string | undefined = type.collation,
): (value: NonNullable<Value>) => HashKey {
  switch (type.id) {
    case "bit":
    case "tinyint":
    case "smallint":
    case "int":
    case "bigint":
    case "uniqueidentifier":
      return (value) => value as HashKey;
    case "float":
    case "real":
      return (value) => (value === 0 ? 0 : (value as number));
    case "decimal":
    case "numeric":
    case "money":
    case "smallmoney":
      return (value) => {
        const text = (value as Decimal).toString();
        return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
      };
    case "date":
    case "time":
    case "datetime":
    case "smalldatetime":
    case "datetime2":
    case "datetimeoffset":
      return (value) => `${(value as Temporal).days}:${(value as Temporal).ticks}`;
    case "binary":
    case "varbinary":
    case "image":
    case "timestamp":
      return (value) => trimZeros(value as Buffer).toString("latin1");
    case "sql_variant":
      return (value) => {
        const variant = value as Variant;
        const key = variant.value === null ? "" : hashKeyOf(variant.type)(variant.value);
        return `${variantFamily(variant.type)}:${typeof key}:${key}`;
      };
    case "null":
      return () => 0;
    default: {
      const fold = foldOf(collationOf(collation));
      return (value) => fold(value as string);
    }
  }
}

export function compareDecimals(a: Decimal, b: Decimal): number {
  let left = a.unscaled;
  let right = b.unscaled;
  if (a.scale < b.scale) left *= 10n ** BigInt(b.scale - a.scale);
  else if (b.scale < a.scale) right *= 10n ** BigInt(a.scale - b.scale);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The shorter one counts as if filled up with zeros: `0x01 = 0x0100` is true. */
function compareBinary(a: Buffer, b: Buffer): number {
  if (a.length === b.length) return a.compare(b);
  return trimZeros(a).compare(trimZeros(b));
}

function trimZeros(bytes: Buffer): Buffer {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return length === bytes.length ? bytes : bytes.subarray(0, length);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Bytes 10-15, 8-9, 6-7, 4-5, 0-3 of the binary form, each group as written out except the first three, which swap. */
function guidOrder(guid: string): string {
  const reverse = (text: string) => text.replace(/(..)/g, "$1,").split(",").reverse().join("");
  return (
    guid.slice(24) +
    guid.slice(19, 23) +
    reverse(guid.slice(14, 18)) +
    reverse(guid.slice(9, 13)) +
    reverse(guid.slice(0, 8))
  );
}

const folds = new Map<string, (text: string) => string>();

/** What of a string counts under a collation. */
export function foldOf(collation: Collation): (text: string) => string {
  const known = folds.get(collation.name);
  if (known) return known;
  const made = makeFold(collation);
  folds.set(collation.name, made);
  return made;
}

function makeFold(collation: Collation): (text: string) => string {
  const fold = foldCharacters(collation);
  return (text) => fold(trimBlanks(text));
}

/** The same without cutting off trailing blanks, for LIKE. */
export function foldCharacters(collation: Collation): (text: string) => string {
  if (collation.binary) return (text) => text;
  const width = collation.widthSensitive ? (text: string) => text : foldWidth;
  const accents = collation.accentSensitive
    ? (text: string) => text
    : (text: string) => text.normalize("NFD").replace(/\p{Mn}+/gu, "");
  const cases = collation.caseSensitive ? (text: string) => text : (text: string) => text.toUpperCase().toLowerCase();
  return (text) => {
    if (isAscii(text)) return collation.caseSensitive ? text : text.toLowerCase();
    return cases(accents(width(text)));
  };
}

/** Full-width ASCII and half-width katakana to their usual forms. */
function foldWidth(text: string): string {
  return text.replace(/[\uff01-\uff5e\uff61-\uff9f]+/g, (run) => run.normalize("NFKC"));
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

export function trimBlanks(text: string): string {
  let length = text.length;
  while (length > 0 && text.charCodeAt(length - 1) === 32) length--;
  return length === text.length ? text : text.slice(0, length);
}

const comparers = new Map<string, Comparer>();

function textComparer(collation: Collation): Comparer {
  const known = comparers.get(collation.name);
  if (known) return known;
  const fold = foldOf(collation);
  const order = new Intl.Collator("en", { sensitivity: "variant", caseFirst: "lower" });
  const made: Comparer = collation.binary
    ? (a, b) => compareText(fold(a as string), fold(b as string))
    : (a, b) => {
        if (a === b) return 0;
        const left = fold(a as string);
        const right = fold(b as string);
        return left === right ? 0 : order.compare(left, right) || compareText(left, right);
      };
  comparers.set(collation.name, made);
  return made;
}

/** https://learn.microsoft.com/sql/t-sql/data-types/sql-variant-transact-sql#comparing-sql_variant-values */
const FAMILIES: Partial<Record<SqlType["id"], number>> = {
  sql_variant: 9,
  datetimeoffset: 8,
  datetime2: 8,
  datetime: 8,
  smalldatetime: 8,
  date: 8,
  time: 8,
  float: 7,
  real: 7,
  decimal: 6,
  numeric: 6,
  money: 6,
  smallmoney: 6,
  bigint: 6,
  int: 6,
  smallint: 6,
  tinyint: 6,
  bit: 6,
  nvarchar: 4,
  nchar: 4,
  varchar: 4,
  char: 4,
  varbinary: 3,
  binary: 3,
  uniqueidentifier: 2,
};

function variantFamily(type: SqlType): number {
  return FAMILIES[type.id] ?? 0;
}

function compareVariants(a: Variant, b: Variant): number {
  const family = variantFamily(a.type);
  const other = variantFamily(b.type);
  if (family !== other) return family - other;
  if (a.value === null || b.value === null) return (a.value === null ? 0 : 1) - (b.value === null ? 0 : 1);
  if (family === 6) return compareDecimals(exact(a.value), exact(b.value));
  if (a.value instanceof Temporal && b.value instanceof Temporal && a.type.id !== b.type.id)
    return a.value.days - b.value.days || a.value.ticks - b.value.ticks;
  return comparerOf(a.type)(a.value, b.value);
}

function exact(value: NonNullable<Value>): Decimal {
  if (value instanceof Decimal) return value;
  return new Decimal(BigInt(value as number | bigint | boolean), 0);
}
