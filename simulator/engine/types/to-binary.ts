/** Conversions to bytes, and to uniqueidentifier. */
import { encodeText } from "../codepages.ts";
import { collationOf } from "../collations.ts";
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";
import type { Decimal, SqlType, Temporal } from "../values.ts";
import { trimBlanks } from "./comparison.ts";
import type { ConversionOptions, Converter } from "./conversion-rules.ts";
import { DAYS_1900 } from "./temporal.ts";
import { isApproximate, isBinary, isDecimal, isInteger, isMax, isText, isUnicode } from "./types.ts";

export function toBinary(from: SqlType, to: SqlType, { style, collation }: ConversionOptions): Converter {
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

export function toGuid(from: SqlType): Converter {
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
