/**
 * Values as they go to the client: TYPE_INFO (MS-TDS 2.2.5.6) once a column, then values (2.2.5.5). An encoder is chosen
 * once a column, so that a row asks nothing about types.
 */
import { encodeText } from "../engine/codepages.ts";
import { type Collation, collationOf } from "../engine/collations.ts";
import { type Decimal, type SqlType, type Temporal, type TypeId, type Value, Variant } from "../engine/values.ts";
import type { ByteWriter } from "./bytes.ts";
import type { Dialect } from "./dialect.ts";
import {
  DAYS_TO_1900,
  datetimeTicks,
  POWERS_OF_TEN,
  smalldatetimeMinutes,
  temporalText,
  timeBytes,
} from "./temporal.ts";
import { decimalBytes, FIXED_TYPES, MAX_LENGTH, PLP_NULL, TYPE } from "./types.ts";

export interface Encoder {
  typeInfo(to: ByteWriter): void;
  /** A value that is not null, with its length where it has one. */
  value(to: ByteWriter, value: Value): void;
  null(to: ByteWriter): void;
  /** Bytes of a NULL in a ROW. */
  readonly nullSize: number;
  /** COLMETADATA has a table name between type and column name (text, ntext, image). */
  readonly tableName: boolean;
}

type Write = (to: ByteWriter, value: Value) => void;

/** `nullable` decides between INT4TYPE and INTN and their like. */
export function encoderOf(type: SqlType, nullable: boolean, defaultCollation: string, dialect: Dialect): Encoder {
  const known = downlevel(type, defaultCollation, dialect);
  if (known !== type) {
    const encoder = encoderOf(known, nullable, defaultCollation, dialect);
    if (!isTemporal(type)) return encoder;
    return { ...encoder, value: (to, value) => encoder.value(to, temporalText(type, value as Temporal)) };
  }
  const fixed = FIXED_TYPES[type.id === "null" ? "int" : type.id];
  if (fixed) return fixedEncoder(type.id === "null" ? "int" : type.id, fixed, nullable);
  switch (type.id) {
    case "decimal":
    case "numeric":
      return decimalEncoder(type);
    case "date":
      return byteLength([TYPE.dateN], 3, writeDate);
    case "time":
    case "datetime2":
    case "datetimeoffset":
      return temporalEncoder(type.id, type.scale ?? 7);
    case "uniqueidentifier":
      return byteLength([TYPE.guid, 16], 16, writeGuid);
    case "sql_variant":
      return variantEncoder(defaultCollation, dialect);
    default:
      return stringEncoder(type, defaultCollation);
  }
}

/** What a client of an older TDS version gets instead: 2.2.5.4.3 and "down-level" notes of the types. */
function downlevel(type: SqlType, defaultCollation: string, dialect: Dialect): SqlType {
  // Without UTF8_SUPPORT, SQL Server 2022 sends such columns as nvarchar with their own collation (measured:
  // https://github.com/hugr-lab/mssql-extension/issues/225). What nvarchar(n) cannot declare is taken to be max here.
  if (!dialect.utf8 && (type.id === "char" || type.id === "varchar")) {
    if (collationOf(type.collation ?? defaultCollation).utf8) {
      const { length = 8000 } = type;
      return downlevel({ ...type, id: "nvarchar", length: length > 4000 ? -1 : length }, defaultCollation, dialect);
    }
  }
  if (!dialect.temporalTypes && isTemporal(type)) {
    const scale = type.scale ?? 7;
    const fraction = scale > 0 ? scale + 1 : 0;
    const length = { date: 10, time: 8 + fraction, datetime2: 19 + fraction, datetimeoffset: 26 + fraction }[type.id];
    return { id: "nvarchar", length };
  }
  if (dialect.atLeast72) return type;
  if (type.id === "xml" || (type.id === "nvarchar" && type.length === -1)) return { ...type, id: "ntext" };
  if (type.id === "varchar" && type.length === -1) return { ...type, id: "text" };
  if (type.id === "varbinary" && type.length === -1) return { ...type, id: "image" };
  return type;
}

function isTemporal(type: SqlType): type is SqlType & { id: "date" | "time" | "datetime2" | "datetimeoffset" } {
  return type.id === "date" || type.id === "time" || type.id === "datetime2" || type.id === "datetimeoffset";
}

const FIXED_WRITERS: Partial<Record<TypeId, Write>> = {
  bit: (to, value) => to.u8(value ? 1 : 0),
  tinyint: (to, value) => to.u8(value as number),
  smallint: (to, value) => to.u16(value as number),
  int: (to, value) => to.u32(value as number),
  bigint: (to, value) => to.i64(value as bigint),
  real: (to, value) => to.f32(value as number),
  float: (to, value) => to.f64(value as number),
  smallmoney: (to, value) => to.u32(Number(rescaled(value as Decimal, 4))),
  money: (to, value) => {
    // The higher half comes first (2.2.5.5.1.2).
    const units = rescaled(value as Decimal, 4);
    if (units >= 0n && units <= MOST_EXACT) {
      const number = Number(units);
      to.u32(Math.floor(number / 0x1_0000_0000));
      to.u32(number >>> 0);
      return;
    }
    to.u32(Number(BigInt.asIntN(32, units >> 32n)));
    to.u32(Number(BigInt.asIntN(32, units)));
  },
  smalldatetime: (to, value) => {
    const { days, ticks } = value as Temporal;
    to.u16(days - DAYS_TO_1900);
    to.u16(smalldatetimeMinutes(ticks));
  },
  datetime: (to, value) => {
    const { days, ticks } = value as Temporal;
    to.u32(days - DAYS_TO_1900);
    to.u32(datetimeTicks(ticks));
  },
};

function fixedEncoder(id: TypeId, type: { fixed: number; nullable: number; size: number }, nullable: boolean): Encoder {
  const write = FIXED_WRITERS[id]!;
  if (nullable) return byteLength([type.nullable, type.size], type.size, write);
  return {
    typeInfo: (to) => to.u8(type.fixed),
    value: write,
    null: () => {
      throw new Error(`NULL in a column of type ${id} that was described as NOT NULL`);
    },
    nullSize: 0,
    tableName: false,
  };
}

/** One byte of length, 0 for NULL. */
function byteLength(typeInfo: number[], size: number, write: Write): Encoder {
  const info = Buffer.from(typeInfo);
  return {
    typeInfo: (to) => to.raw(info),
    value: (to, value) => {
      to.u8(size);
      write(to, value);
    },
    null: (to) => to.u8(0),
    nullSize: 1,
    tableName: false,
  };
}

function decimalEncoder(type: SqlType): Encoder {
  const precision = type.precision ?? 18;
  const scale = type.scale ?? 0;
  const size = decimalBytes(precision);
  const token = type.id === "decimal" ? TYPE.decimalN : TYPE.numericN;
  return byteLength([token, size, precision, scale], size, (to, value) => {
    writeDecimal(to, rescaled(value as Decimal, scale), size);
  });
}

/** Up to here a number does as well as a bigint, and faster. */
const MOST_EXACT = BigInt(Number.MAX_SAFE_INTEGER);

function writeDecimal(to: ByteWriter, unscaled: bigint, size: number): void {
  to.u8(unscaled < 0n ? 0 : 1);
  let rest = unscaled < 0n ? -unscaled : unscaled;
  if (rest <= MOST_EXACT && (size > 5 || rest <= 0xffff_ffffn)) {
    to.uint(Number(rest), Math.min(8, size - 1));
    if (size > 9) to.zeros(size - 9);
    return;
  }
  for (let written = 1; written < size; written += 4) {
    to.u32(Number(rest & 0xffff_ffffn));
    rest >>= 32n;
  }
  if (rest !== 0n) throw new Error(`${unscaled} does not fit into a decimal of ${size - 1} bytes`);
}

function rescaled(value: Decimal, scale: number): bigint {
  if (value.scale === scale) return value.unscaled;
  if (value.scale < scale) return value.unscaled * 10n ** BigInt(scale - value.scale);
  const divisor = 10n ** BigInt(value.scale - scale);
  if (value.unscaled % divisor !== 0n) throw new Error(`${value} has more than the ${scale} decimals of its column`);
  return value.unscaled / divisor;
}

function temporalEncoder(id: "time" | "datetime2" | "datetimeoffset", scale: number): Encoder {
  const { token, size, write } = TEMPORAL[id](scale);
  return byteLength([token, scale], size, write);
}

const writeDate: Write = (to, value) => to.u24((value as Temporal).days);

interface TemporalLayout {
  token: number;
  size: number;
  write: Write;
}

/** By scale: the time in units of 10^-scale s, the days, the minutes of the offset (2.2.5.5.1.8 and 2.2.5.5.1.9). */
const TEMPORAL = {
  time: (scale: number): TemporalLayout => ({ token: TYPE.timeN, size: timeBytes(scale), write: timeWriter(scale) }),
  datetime2: (scale: number): TemporalLayout => {
    const writeTime = timeWriter(scale);
    const write: Write = (to, value) => {
      writeTime(to, value);
      writeDate(to, value);
    };
    return { token: TYPE.datetime2N, size: timeBytes(scale) + 3, write };
  },
  datetimeoffset: (scale: number): TemporalLayout => {
    const writeTime = timeWriter(scale);
    const write: Write = (to, value) => {
      writeTime(to, value);
      writeDate(to, value);
      to.u16((value as Temporal).offset);
    };
    return { token: TYPE.datetimeoffsetN, size: timeBytes(scale) + 5, write };
  },
};

function timeWriter(scale: number): Write {
  const divisor = POWERS_OF_TEN[7 - scale]!;
  const size = timeBytes(scale);
  return (to, value) => to.uint(Math.floor((value as Temporal).ticks / divisor), size);
}

/** The first three groups are little-endian (2.2.5.5.1.7). */
const GUID_ORDER = [6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34];

const writeGuid: Write = (to, value) => {
  const text = value as string;
  const at = to.reserve(16);
  for (let i = 0; i < 16; i++) {
    const from = GUID_ORDER[i]!;
    to.bytes[at + i] = (hexDigit(text.charCodeAt(from)) << 4) | hexDigit(text.charCodeAt(from + 1));
  }
  to.length = at + 16;
};

function hexDigit(code: number): number {
  return code <= 57 ? code - 48 : (code & 0x5f) - 55;
}

function stringEncoder(type: SqlType, defaultCollation: string): Encoder {
  const collation = collationOf(type.collation ?? defaultCollation);
  const narrow = (value: Value) => encodeText(value as string, collation);
  const wide = (value: Value) => Buffer.from(value as string, "utf16le");
  const binary = (value: Value) => value as Buffer;
  const max = type.length === -1;
  switch (type.id) {
    case "char":
      return narrowEncoder(TYPE.bigChar, type.length ?? 1, collation);
    case "varchar":
      return max
        ? plpEncoder(TYPE.bigVarchar, collation.bytes, narrow)
        : narrowEncoder(TYPE.bigVarchar, type.length ?? 8000, collation);
    case "nchar":
      return wideEncoder(TYPE.nchar, type.length ?? 1, collation.bytes);
    case "nvarchar":
      return max
        ? plpEncoder(TYPE.nvarchar, collation.bytes, wide)
        : wideEncoder(TYPE.nvarchar, type.length ?? 4000, collation.bytes);
    case "binary":
      return shortEncoder(TYPE.bigBinary, type.length ?? 1, null, binary);
    case "timestamp":
      return shortEncoder(TYPE.bigBinary, 8, null, binary);
    case "varbinary":
      return max
        ? plpEncoder(TYPE.bigVarbinary, null, binary)
        : shortEncoder(TYPE.bigVarbinary, type.length ?? 8000, null, binary);
    case "xml":
      return { ...plpEncoder(TYPE.xml, null, wide), typeInfo: (to) => to.raw(Buffer.of(TYPE.xml, 0)) };
    case "text":
      return textEncoder(TYPE.text, 0x7fff_ffff, collation.bytes, narrow);
    case "ntext":
      return textEncoder(TYPE.ntext, 0x7fff_fffe, collation.bytes, wide);
    case "image":
      return textEncoder(TYPE.image, 0x7fff_ffff, null, binary);
    default:
      throw new Error(`no encoding for type ${type.id}`);
  }
}

/** USHORTLEN: two bytes of length, 0xFFFF for NULL. */
function shortEncoder(
  token: number,
  length: number,
  collation: Buffer | null,
  bytesOf: (value: Value) => Buffer,
): Encoder {
  return {
    ...USHORT_NULLS,
    typeInfo: (to) => shortTypeInfo(to, token, length, collation),
    value: (to, value) => {
      const bytes = bytesOf(value);
      checkLength(bytes.length, length);
      to.u16(bytes.length);
      to.raw(bytes);
    },
  };
}

/** As shortEncoder for text of a code page: all of them have ASCII as it is. */
function narrowEncoder(token: number, length: number, collation: Collation): Encoder {
  const other = shortEncoder(token, length, collation.bytes, (value) => encodeText(value as string, collation));
  return {
    ...other,
    value: (to, value) => {
      const text = value as string;
      const start = to.length;
      to.u16(text.length);
      if (to.ascii(text)) {
        checkLength(text.length, length);
        return;
      }
      to.length = start;
      other.value(to, value);
    },
  };
}

/** As shortEncoder for UTF-16, without a buffer in between. */
function wideEncoder(token: number, length: number, collation: Buffer): Encoder {
  return {
    ...USHORT_NULLS,
    typeInfo: (to) => shortTypeInfo(to, token, length * 2, collation),
    value: (to, value) => {
      const text = value as string;
      checkLength(text.length, length);
      to.u16(text.length * 2);
      to.utf16(text);
    },
  };
}

const USHORT_NULLS = { null: (to: ByteWriter) => to.u16(0xffff), nullSize: 2, tableName: false };

function shortTypeInfo(to: ByteWriter, token: number, length: number, collation: Buffer | null): void {
  to.u8(token);
  to.u16(length);
  if (collation) to.raw(collation);
}

function checkLength(actual: number, declared: number): void {
  if (actual > declared)
    throw new Error(`a value of ${actual} is longer than its column, which was described with ${declared}`);
}

/** Partially length-prefixed (2.2.5.2.3): the whole length, chunks, and a chunk of no length at the end. */
function plpEncoder(token: number, collation: Buffer | null, bytesOf: (value: Value) => Buffer): Encoder {
  return {
    typeInfo: (to) => shortTypeInfo(to, token, MAX_LENGTH, collation),
    value: (to, value) => {
      const bytes = bytesOf(value);
      to.u32(bytes.length);
      to.u32(0);
      if (bytes.length > 0) {
        to.u32(bytes.length);
        to.raw(bytes);
      }
      to.u32(0);
    },
    null: (to) => to.i64(PLP_NULL),
    nullSize: 8,
    tableName: false,
  };
}

/** SQL Server no longer gives real text pointers away; these are the placeholders that it sends. */
const TEXT_POINTER = Buffer.from("dummy textptr\0\0\0dummyTS\0", "latin1");

/** text, ntext, image: text pointer, timestamp, four bytes of length (2.2.7.19). */
function textEncoder(
  token: number,
  length: number,
  collation: Buffer | null,
  bytesOf: (value: Value) => Buffer,
): Encoder {
  return {
    typeInfo: (to) => {
      to.u8(token);
      to.u32(length);
      if (collation) to.raw(collation);
    },
    value: (to, value) => {
      const bytes = bytesOf(value);
      to.u8(16);
      to.raw(TEXT_POINTER);
      to.u32(bytes.length);
      to.raw(bytes);
    },
    null: (to) => to.u8(0),
    nullSize: 1,
    tableName: true,
  };
}

/** SSVARIANT (2.2.5.5.4): length, base type, count of property bytes, properties, bytes. */
function variantEncoder(defaultCollation: string, dialect: Dialect): Encoder {
  return {
    typeInfo: (to) => {
      to.u8(TYPE.sqlVariant);
      to.u32(8009);
    },
    value: (to, value) => {
      if (!(value instanceof Variant)) throw new Error("a value of sql_variant came without its base type");
      if (value.value === null) {
        to.u32(0);
        return;
      }
      const at = to.reserve(4);
      to.length = at + 4;
      writeVariant(to, value.type, value.value, defaultCollation, dialect);
      to.patchU32(at, to.length - at - 4);
    },
    null: (to) => to.u32(0),
    nullSize: 4,
    tableName: false,
  };
}

const NO_PROPERTIES = Buffer.alloc(0);

interface VariantBase {
  token: number;
  properties: Buffer;
  write: Write;
}

function writeVariant(to: ByteWriter, type: SqlType, value: Value, defaultCollation: string, dialect: Dialect): void {
  if (!dialect.temporalTypes && isTemporal(type)) {
    const text = temporalText(type, value as Temporal);
    writeVariant(to, { id: "nvarchar", length: text.length }, text, defaultCollation, dialect);
    return;
  }
  const base = variantBase(type, value, defaultCollation);
  to.u8(base.token);
  to.u8(base.properties.length);
  to.raw(base.properties);
  base.write(to, value);
}

function variantBase(type: SqlType, value: Value, defaultCollation: string): VariantBase {
  const fixed = FIXED_TYPES[type.id];
  if (fixed) return { token: fixed.fixed, properties: NO_PROPERTIES, write: FIXED_WRITERS[type.id]! };
  const collation = collationOf(type.collation ?? defaultCollation);
  const sized = (token: number, length: number | undefined, bytes: Buffer, collationBytes: Buffer): VariantBase => {
    const maximum = length ?? bytes.length;
    const properties = Buffer.concat([collationBytes, Buffer.of(maximum & 0xff, maximum >> 8)]);
    return { token, properties, write: (to) => to.raw(bytes) };
  };
  const wideLength = type.length === undefined ? undefined : type.length * 2;
  switch (type.id) {
    case "decimal":
    case "numeric": {
      const [precision, scale] = [type.precision ?? 18, type.scale ?? 0];
      return {
        token: type.id === "decimal" ? TYPE.decimalN : TYPE.numericN,
        properties: Buffer.of(precision, scale),
        write: (to, given) => writeDecimal(to, rescaled(given as Decimal, scale), decimalBytes(precision)),
      };
    }
    case "date":
      return { token: TYPE.dateN, properties: NO_PROPERTIES, write: writeDate };
    case "time":
    case "datetime2":
    case "datetimeoffset": {
      const { token, write } = TEMPORAL[type.id](type.scale ?? 7);
      return { token, properties: Buffer.of(type.scale ?? 7), write };
    }
    case "uniqueidentifier":
      return { token: TYPE.guid, properties: NO_PROPERTIES, write: writeGuid };
    case "char":
      return sized(TYPE.bigChar, type.length, encodeText(value as string, collation), collation.bytes);
    case "varchar":
      return sized(TYPE.bigVarchar, type.length, encodeText(value as string, collation), collation.bytes);
    case "nchar":
      return sized(TYPE.nchar, wideLength, Buffer.from(value as string, "utf16le"), collation.bytes);
    case "nvarchar":
      return sized(TYPE.nvarchar, wideLength, Buffer.from(value as string, "utf16le"), collation.bytes);
    case "binary":
      return sized(TYPE.bigBinary, type.length, value as Buffer, NO_PROPERTIES);
    case "varbinary":
      return sized(TYPE.bigVarbinary, type.length, value as Buffer, NO_PROPERTIES);
    default:
      throw new Error(`sql_variant cannot hold a ${type.id}`);
  }
}
