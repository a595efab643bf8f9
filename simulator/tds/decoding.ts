/** Values as they come from the client: TYPE_INFO and values to the forms of values.ts. */
import { decodeText } from "../engine/codepages.ts";
import { type Collation, collationFromBytes } from "../engine/collations.ts";
import { Decimal, type SqlType, Temporal, type TypeId, type Value, Variant } from "../engine/values.ts";
import { type ByteReader, ProtocolError } from "./bytes.ts";
import { datetimeFromTicks, POWERS_OF_TEN, smalldatetimeFromMinutes, timeBytes } from "./temporal.ts";
import { fixedTypeOf, MAX_LENGTH, PLP_NULL, PLP_UNKNOWN_LENGTH, TYPE, USHORT_NULL } from "./types.ts";

/** A type that is known but not served; the request is refused, the connection stays. */
export class UnservedType extends Error {
  readonly token: number;
  constructor(token: number, what: string) {
    super(what);
    this.token = token;
  }
}

export interface TypedValue {
  type: SqlType;
  value: Value;
}

/** A TYPE_INFO, and how the values behind it are read. */
export interface WireType {
  readonly token: number;
  readonly type: SqlType;
  readonly read: (from: ByteReader) => Value;
}

/** Reads a TYPE_INFO and the value behind it, as parameters of an RPC have them. */
export function readTypedValue(from: ByteReader): TypedValue {
  const { type, read } = readTypeInfo(from);
  return { type, value: read(from) };
}

/** Reads a TYPE_INFO (2.2.5.6). */
export function readTypeInfo(from: ByteReader): WireType {
  const token = from.u8();
  const fixed = fixedTypeOf(token);
  if (fixed) return { token, type: { id: fixed }, read: (value) => readFixed(value, fixed) };
  switch (token) {
    case TYPE.null:
      return { token, type: { id: "null" }, read: () => null };
    case TYPE.intN:
    case TYPE.bitN:
    case TYPE.floatN:
    case TYPE.moneyN:
    case TYPE.datetimeN:
      return nullableFixed(from, token);
    case TYPE.decimal:
    case TYPE.numeric:
    case TYPE.decimalN:
    case TYPE.numericN:
      return decimalColumn(from, token);
    case TYPE.guid:
      from.u8();
      return {
        token,
        type: { id: "uniqueidentifier" },
        read: (value) => (value.u8() === 0 ? null : readGuid(value)),
      };
    case TYPE.dateN:
      return {
        token,
        type: { id: "date" },
        read: (value) => (value.u8() === 0 ? null : new Temporal(value.uint(3), 0)),
      };
    case TYPE.timeN:
    case TYPE.datetime2N:
    case TYPE.datetimeoffsetN:
      return temporalColumn(from, token);
    case TYPE.sqlVariant:
      from.u32();
      return { token, type: { id: "sql_variant" }, read: readVariant };
    case TYPE.char:
    case TYPE.varchar:
    case TYPE.binary:
    case TYPE.varbinary:
      return oldString(from, token);
    case TYPE.bigChar:
    case TYPE.bigVarchar:
    case TYPE.nchar:
    case TYPE.nvarchar:
    case TYPE.bigBinary:
    case TYPE.bigVarbinary:
      return stringColumn(from, token);
    case TYPE.text:
    case TYPE.ntext:
    case TYPE.image:
      return longString(from, token);
    case TYPE.xml:
      return xmlColumn(from);
    case TYPE.udt:
      throw new UnservedType(token, "CLR user-defined types are not served");
    default:
      throw new ProtocolError(`a value has type 0x${token.toString(16)}, which TDS has not`);
  }
}

function readFixed(from: ByteReader, id: TypeId): Value {
  switch (id) {
    case "bit":
      return from.u8() !== 0;
    case "tinyint":
      return from.u8();
    case "smallint":
      return from.i16();
    case "int":
      return from.i32();
    case "bigint":
      return from.i64();
    case "real":
      return from.f32();
    case "float":
      return from.f64();
    case "smallmoney":
      return new Decimal(BigInt(from.i32()), 4);
    case "money": {
      const high = BigInt(from.i32());
      return new Decimal((high << 32n) | BigInt(from.u32()), 4);
    }
    case "smalldatetime": {
      const days = from.u16();
      return smalldatetimeFromMinutes(days, from.u16());
    }
    default: {
      const days = from.i32();
      return datetimeFromTicks(days, from.u32());
    }
  }
}

function nullableFixed(info: ByteReader, token: number): WireType {
  const size = info.u8();
  const id = fixedTypeOf(token, size);
  if (!id) throw new ProtocolError(`type 0x${token.toString(16)} has no variant of ${size} bytes`);
  const read = (from: ByteReader): Value => {
    const length = from.u8();
    if (length === 0) return null;
    // A client may send a value shorter than the type: int 1 in an INTN(8).
    const sent = length === size ? id : fixedTypeOf(token, length);
    if (!sent) throw new ProtocolError(`type 0x${token.toString(16)} has no variant of ${length} bytes`);
    const value = readFixed(from, sent);
    return id === "bigint" ? BigInt(value as number | bigint) : value;
  };
  return { token, type: { id }, read };
}

function decimalColumn(info: ByteReader, token: number): WireType {
  info.u8();
  const precision = info.u8();
  const scale = info.u8();
  if (precision < 1 || precision > 38 || scale > precision) {
    throw new ProtocolError(`a decimal parameter has precision ${precision} and scale ${scale}`);
  }
  const id = token === TYPE.decimal || token === TYPE.decimalN ? "decimal" : "numeric";
  const read = (from: ByteReader): Value => {
    const length = from.u8();
    return length === 0 ? null : readDecimal(from, length, scale);
  };
  return { token, type: { id, precision, scale }, read };
}

function readDecimal(from: ByteReader, length: number, scale: number): Decimal {
  const positive = from.u8() !== 0;
  const digits = Buffer.from(from.raw(length - 1)).reverse();
  const magnitude = length > 1 ? BigInt(`0x${digits.toString("hex")}`) : 0n;
  return new Decimal(positive ? magnitude : -magnitude, scale);
}

function temporalColumn(info: ByteReader, token: number): WireType {
  const scale = info.u8();
  if (scale > 7) throw new ProtocolError(`a time parameter has scale ${scale}; 7 is the most`);
  const id = token === TYPE.timeN ? "time" : token === TYPE.datetime2N ? "datetime2" : "datetimeoffset";
  return { token, type: { id, scale }, read: (from) => (from.u8() === 0 ? null : readTemporal(from, id, scale)) };
}

function readTemporal(from: ByteReader, id: "time" | "datetime2" | "datetimeoffset", scale: number): Temporal {
  const ticks = from.uint(timeBytes(scale)) * POWERS_OF_TEN[7 - scale]!;
  if (id === "time") return new Temporal(0, ticks);
  const days = from.uint(3);
  return new Temporal(days, ticks, id === "datetimeoffset" ? from.i16() : 0);
}

function readGuid(from: ByteReader): string {
  const bytes = Buffer.from(from.raw(16));
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  const hex = bytes.toString("hex").toUpperCase();
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** 2.2.5.5.4. */
function readVariant(from: ByteReader): Variant | null {
  const length = from.u32();
  if (length === 0) return null;
  const end = from.at + length;
  const token = from.u8();
  const properties = from.u8();
  const rest = () => end - from.at;
  const fixed = fixedTypeOf(token);
  if (fixed) return new Variant({ id: fixed }, readFixed(from, fixed));
  switch (token) {
    case TYPE.guid:
      return new Variant({ id: "uniqueidentifier" }, readGuid(from));
    case TYPE.dateN:
      return new Variant({ id: "date" }, new Temporal(from.uint(3), 0));
    case TYPE.timeN:
    case TYPE.datetime2N:
    case TYPE.datetimeoffsetN: {
      const scale = Math.min(from.u8(), 7);
      const id = token === TYPE.timeN ? "time" : token === TYPE.datetime2N ? "datetime2" : "datetimeoffset";
      return new Variant({ id, scale }, readTemporal(from, id, scale));
    }
    case TYPE.decimalN:
    case TYPE.numericN: {
      const precision = from.u8();
      const scale = from.u8();
      const id = token === TYPE.decimalN ? "decimal" : "numeric";
      return new Variant({ id, precision, scale }, readDecimal(from, rest(), scale));
    }
    case TYPE.bigBinary:
    case TYPE.bigVarbinary: {
      const type: SqlType = { id: token === TYPE.bigBinary ? "binary" : "varbinary", length: from.u16() };
      return new Variant(type, Buffer.from(from.raw(rest())));
    }
    case TYPE.bigChar:
    case TYPE.bigVarchar:
    case TYPE.nchar:
    case TYPE.nvarchar: {
      const collation = collationFromBytes(from.raw(5));
      const type = stringType(token, from.u16(), collation);
      return new Variant(type, stringValue(type, from.raw(rest()), collation));
    }
    default:
      throw new ProtocolError(`a sql_variant has base type 0x${token.toString(16)} with ${properties} property bytes`);
  }
}

/** The types of before TDS 7.0: one byte of length, 0 for NULL, no collation. */
function oldString(info: ByteReader, token: number): WireType {
  const length = info.u8();
  const binary = token === TYPE.binary || token === TYPE.varbinary;
  const id =
    token === TYPE.binary
      ? "binary"
      : token === TYPE.varbinary
        ? "varbinary"
        : token === TYPE.char
          ? "char"
          : "varchar";
  const read = (from: ByteReader): Value => {
    const bytes = from.raw(from.u8());
    if (bytes.length === 0) return null;
    return binary ? Buffer.from(bytes) : bytes.toString("latin1");
  };
  return { token, type: { id, length }, read };
}

function stringColumn(info: ByteReader, token: number): WireType {
  const size = info.u16();
  const binary = token === TYPE.bigBinary || token === TYPE.bigVarbinary;
  const collation = binary ? null : collationFromBytes(info.raw(5));
  const type = stringType(token, size, collation);
  const take = size === MAX_LENGTH ? readPlp : readShort;
  const read = (from: ByteReader): Value => {
    const bytes = take(from);
    return bytes === null ? null : stringValue(type, bytes, collation);
  };
  return { token, type, read };
}

function readShort(from: ByteReader): Buffer | null {
  const length = from.u16();
  return length === USHORT_NULL ? null : from.raw(length);
}

/** 2.2.5.2.3. */
function readPlp(from: ByteReader): Buffer | null {
  const total = from.u64();
  if (total === PLP_NULL) return null;
  const chunks: Buffer[] = [];
  for (let length = from.u32(); length > 0; length = from.u32()) chunks.push(from.raw(length));
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  if (total !== PLP_UNKNOWN_LENGTH && BigInt(bytes.length) !== total) {
    throw new ProtocolError(`a value of ${total} bytes came with ${bytes.length}`);
  }
  return bytes;
}

function longString(info: ByteReader, token: number): WireType {
  info.u32();
  const collation = token === TYPE.image ? null : collationFromBytes(info.raw(5));
  const id = token === TYPE.text ? "text" : token === TYPE.ntext ? "ntext" : "image";
  const type: SqlType = collation ? { id, collation: collation.name } : { id };
  const read = (from: ByteReader): Value => {
    const length = from.i32();
    return length < 0 ? null : stringValue(type, from.raw(length), collation);
  };
  return { token, type, read };
}

function xmlColumn(info: ByteReader): WireType {
  if (info.u8() !== 0) {
    info.bVarchar();
    info.bVarchar();
    info.usVarchar();
  }
  const read = (from: ByteReader): Value => {
    const bytes = readPlp(from);
    if (bytes === null) return null;
    // A byte order mark is not part of the text.
    const text = bytes.toString("utf16le");
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  };
  return { token: TYPE.xml, type: { id: "xml" }, read };
}

function stringType(token: number, size: number, collation: Collation | null): SqlType {
  const max = size === MAX_LENGTH;
  const named = collation ? { collation: collation.name } : {};
  switch (token) {
    case TYPE.bigChar:
      return { id: "char", length: size, ...named };
    case TYPE.bigVarchar:
      return { id: "varchar", length: max ? -1 : size, ...named };
    case TYPE.nchar:
      return { id: "nchar", length: size / 2, ...named };
    case TYPE.nvarchar:
      return { id: "nvarchar", length: max ? -1 : size / 2, ...named };
    case TYPE.bigBinary:
      return { id: "binary", length: size };
    default:
      return { id: "varbinary", length: max ? -1 : size };
  }
}

function stringValue(type: SqlType, bytes: Buffer, collation: Collation | null): Value {
  switch (type.id) {
    case "char":
    case "varchar":
    case "text":
      return decodeText(bytes, collation!);
    case "nchar":
    case "nvarchar":
    case "ntext":
      return bytes.toString("utf16le");
    default:
      return Buffer.from(bytes);
  }
}
