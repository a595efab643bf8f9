/**
 * Values from one type to another, as CAST, CONVERT and SQL Server itself do it: what is allowed, how it rounds, and with which
 * error it fails. A converter is made once per statement and then called per value; NULL never reaches it.
 * https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql
 */
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";
import { type SqlType, type Value, Variant } from "../values.ts";
import type { ConversionOptions, Converter } from "./conversion-rules.ts";
import { toBinary, toGuid } from "./to-binary.ts";
import { toBit, toDecimal, toFloat, toInteger, toMoney } from "./to-numbers.ts";
import { toTemporal } from "./to-temporal.ts";
import { toText } from "./to-text.ts";
import { toXml } from "./to-xml.ts";
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

export { guidFromBytes, guidToBytes } from "./to-binary.ts";
export { textFitter, textWidth } from "./to-text.ts";

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
  if (to.id === "xml") return toXml(from, options);
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
