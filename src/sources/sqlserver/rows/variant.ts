/**
 * A sql_variant as its base type: a byte of type, a byte that counts the property bytes, these, and the value, whose length is
 * what is left (MS-TDS 2.2.5.5.4).
 */
import { singleText, type ValueOptions } from "../../../change/values.ts";
import { codePageOf } from "../wire/collation.ts";
import { isDecimal, TYPE } from "../wire/types.ts";
import { beyondDay, checkDateTime, checkDays, checkLocal, checkMinutes, finite, impossible } from "./bounds.ts";
import { writeBase64, writeGuid, writeHex } from "./bytes.ts";
import { decodeWith, singleByteTable, UTF8 } from "./code-pages.ts";
import { writeAscii, writeDecimal, writeFloat, writeInt, writeInt64, writeMoney } from "./numbers.ts";
import { writeSingleByte, writeString, writeUtf8, writeUtf16 } from "./text.ts";
import {
  readDays,
  timeBytes,
  writeDate,
  writeDateTime,
  writeDateTime2,
  writeDateTimeOffset,
  writeSmallDateTime,
  writeTime,
} from "./times.ts";

const QUOTE = 0x22;

/** Bytes of the value; -1 where they vary. */
const LENGTHS: Readonly<Record<number, number>> = {
  [TYPE.bit]: 1,
  [TYPE.tinyint]: 1,
  [TYPE.smallint]: 2,
  [TYPE.int]: 4,
  [TYPE.bigint]: 8,
  [TYPE.real]: 4,
  [TYPE.float]: 8,
  [TYPE.smallmoney]: 4,
  [TYPE.money]: 8,
  [TYPE.smalldatetime]: 4,
  [TYPE.datetime]: 8,
  [TYPE.guid]: 16,
  [TYPE.date]: 3,
};
const PROPERTIES: Readonly<Record<number, number>> = {
  [TYPE.time]: 1,
  [TYPE.datetime2]: 1,
  [TYPE.datetimeoffset]: 1,
  [TYPE.decimaln]: 2,
  [TYPE.numericn]: 2,
  [TYPE.bigbinary]: 2,
  [TYPE.bigvarbinary]: 2,
  [TYPE.bigchar]: 7,
  [TYPE.bigvarchar]: 7,
  [TYPE.nchar]: 7,
  [TYPE.nvarchar]: 7,
};

/** Writes the variant of `length` bytes at `p` as JSON; answers where the next byte goes. */
export function writeVariant(
  to: Uint8Array,
  tv: DataView,
  at: number,
  from: Uint8Array,
  view: DataView,
  p: number,
  length: number,
  options: ValueOptions,
  column: string,
): number {
  const type = from[p]!;
  const properties = from[p + 1]!;
  const value = p + 2 + properties;
  const size = length - 2 - properties;
  const wanted = LENGTHS[type];
  if (properties !== (PROPERTIES[type] ?? 0) || size < 0 || (wanted !== undefined && size !== wanted))
    throw impossible(column, `a sql_variant of type 0x${type.toString(16)} with its properties and length`);
  const inQuotes = isString(type, options);
  let end = at;
  if (inQuotes) to[end++] = QUOTE;
  end = writeBase(to, tv, end, from, view, type, p + 2, value, size, options, column);
  if (inQuotes) to[end++] = QUOTE;
  return end;
}

function isString(type: number, options: ValueOptions): boolean {
  if (options.values === "string") return true;
  switch (type) {
    case TYPE.bit:
    case TYPE.tinyint:
    case TYPE.smallint:
    case TYPE.int:
    case TYPE.real:
    case TYPE.float:
      return false;
    case TYPE.bigint:
      return options.bigints === "string";
    case TYPE.decimaln:
    case TYPE.numericn:
    case TYPE.money:
    case TYPE.smallmoney:
      return options.decimals === "string";
    default:
      return true;
  }
}

function writeBase(
  to: Uint8Array,
  tv: DataView,
  at: number,
  from: Uint8Array,
  view: DataView,
  type: number,
  properties: number,
  p: number,
  size: number,
  options: ValueOptions,
  column: string,
): number {
  switch (type) {
    case TYPE.bit:
      return writeAscii(to, at, from[p] === 0 ? "false" : "true");
    case TYPE.tinyint:
      return writeInt(to, at, from[p]!);
    case TYPE.smallint:
      return writeInt(to, at, view.getInt16(p, true));
    case TYPE.int:
      return writeInt(to, at, view.getInt32(p, true));
    case TYPE.bigint:
      return writeInt64(to, at, view, p);
    case TYPE.real:
      return writeAscii(to, at, singleText(finite(column, view.getFloat32(p, true))));
    case TYPE.float:
      finite(column, view.getFloat64(p, true));
      return writeFloat(to, at, view, p);
    case TYPE.money:
    case TYPE.smallmoney:
      return writeMoney(to, at, view, p, size);
    case TYPE.decimaln:
    case TYPE.numericn:
      if (
        (size !== 5 && size !== 9 && size !== 13 && size !== 17) ||
        !isDecimal(from[properties]!, from[properties + 1]!)
      )
        throw impossible(column, "a decimal's length, precision and scale");
      return writeDecimal(to, at, view, p, size, from[properties + 1]!);
    case TYPE.guid:
      return writeGuid(tv, at, from, p);
    case TYPE.smalldatetime:
      checkMinutes(column, view.getUint16(p + 2, true));
      return writeSmallDateTime(to, at, view.getUint16(p, true), view.getUint16(p + 2, true));
    case TYPE.datetime:
      checkDateTime(column, view.getInt32(p, true), view.getUint32(p + 4, true));
      return writeDateTime(to, at, view.getInt32(p, true), view.getUint32(p + 4, true));
    case TYPE.date:
      return writeDate(to, at, checkDays(column, readDays(view, p)));
    case TYPE.time:
    case TYPE.datetime2:
    case TYPE.datetimeoffset:
      return writeScaled(to, at, view, type, from[properties]!, p, size, column);
    case TYPE.bigbinary:
    case TYPE.bigvarbinary:
      return options.binary === "hex" ? writeHex(tv, at, from, p, p + size) : writeBase64(to, at, from, p, p + size);
    case TYPE.nchar:
    case TYPE.nvarchar:
      if (size & 1) throw impossible(column, "an even length");
      return writeUtf16(to, tv, at, from, view, p, p + size);
    case TYPE.bigchar:
    case TYPE.bigvarchar:
      return writeCodePage(
        to,
        tv,
        at,
        from,
        view,
        p,
        size,
        codePageOf(from.subarray(properties, properties + 5), column),
      );
    default:
      throw impossible(column, `a base type of sql_variant instead of 0x${type.toString(16)}`);
  }
}

function writeScaled(
  to: Uint8Array,
  at: number,
  view: DataView,
  type: number,
  scale: number,
  p: number,
  size: number,
  column: string,
): number {
  const more = type === TYPE.time ? 0 : type === TYPE.datetime2 ? 3 : 5;
  if (scale > 7 || size !== timeBytes(scale) + more) throw impossible(column, "a time's scale and length");
  if (type === TYPE.datetimeoffset) {
    checkLocal(column, view, p, scale);
    return writeDateTimeOffset(to, at, view, p, scale);
  }
  if (type === TYPE.datetime2) checkDays(column, readDays(view, p + timeBytes(scale)));
  const write = type === TYPE.time ? writeTime : writeDateTime2;
  const end = write(to, at, view, p, scale);
  if (end < 0) throw beyondDay(column);
  return end;
}

function writeCodePage(
  to: Uint8Array,
  tv: DataView,
  at: number,
  from: Uint8Array,
  view: DataView,
  p: number,
  size: number,
  codePage: number,
): number {
  if (codePage === UTF8) return writeUtf8(to, tv, at, from, view, p, p + size);
  const table = singleByteTable(codePage);
  if (table) return writeSingleByte(to, tv, at, from, view, p, p + size, table);
  return writeString(to, tv, at, decodeWith(codePage, Buffer.from(from.subarray(p, p + size))));
}
