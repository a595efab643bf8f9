/**
 * TYPE_INFO of a column (MS-TDS 2.2.5.6): how its values lie in ROW and NBCROW tokens. The numbers of the types are those of
 * MS-TDS 2.2.5.4.
 */
import { MalformedResponse } from "./malformed.ts";

export const TYPE = {
  null: 0x1f,
  tinyint: 0x30,
  bit: 0x32,
  smallint: 0x34,
  int: 0x38,
  smalldatetime: 0x3a,
  real: 0x3b,
  money: 0x3c,
  datetime: 0x3d,
  float: 0x3e,
  smallmoney: 0x7a,
  bigint: 0x7f,
  guid: 0x24,
  intn: 0x26,
  date: 0x28,
  time: 0x29,
  datetime2: 0x2a,
  datetimeoffset: 0x2b,
  bitn: 0x68,
  decimaln: 0x6a,
  numericn: 0x6c,
  floatn: 0x6d,
  moneyn: 0x6e,
  datetimen: 0x6f,
  image: 0x22,
  text: 0x23,
  variant: 0x62,
  ntext: 0x63,
  bigvarbinary: 0xa5,
  bigvarchar: 0xa7,
  bigbinary: 0xad,
  bigchar: 0xaf,
  nvarchar: 0xe7,
  nchar: 0xef,
  udt: 0xf0,
  xml: 0xf1,
} as const;

/**
 * - "fixed": `size` bytes, never NULL;
 * - "byte": one byte of length, 0 for NULL;
 * - "short": two bytes of length, 0xFFFF for NULL;
 * - "plp": PARTLENTYPE, in chunks (2.2.5.2.3);
 * - "pointer": a text pointer, a timestamp and four bytes of length; a pointer of no bytes is NULL;
 * - "variant": four bytes of length, 0 for NULL.
 */
export type Framing = "fixed" | "byte" | "short" | "plp" | "pointer" | "variant";

export interface WireColumn {
  readonly name: string;
  readonly nullable: boolean;
  readonly type: number;
  readonly framing: Framing;
  /** Bytes of a value: exactly, of "fixed"; at most, of others; 0 where there is no bound. */
  readonly size: number;
  /** Digits behind the point, of decimals and of seconds. */
  readonly scale: number;
  /** The five bytes of MS-TDS 2.2.5.1.2, of character types: the code page is their matter. */
  readonly collation: Uint8Array | null;
}

const FIXED: Readonly<Record<number, number>> = {
  [TYPE.null]: 0,
  [TYPE.tinyint]: 1,
  [TYPE.bit]: 1,
  [TYPE.smallint]: 2,
  [TYPE.int]: 4,
  [TYPE.smalldatetime]: 4,
  [TYPE.real]: 4,
  [TYPE.smallmoney]: 4,
  [TYPE.money]: 8,
  [TYPE.datetime]: 8,
  [TYPE.float]: 8,
  [TYPE.bigint]: 8,
};
/** Types with a byte of length, and the lengths that there are (2.2.5.4.2). */
const BYTE: Readonly<Record<number, readonly number[]>> = {
  [TYPE.guid]: [16],
  [TYPE.intn]: [1, 2, 4, 8],
  [TYPE.bitn]: [1],
  [TYPE.floatn]: [4, 8],
  [TYPE.moneyn]: [4, 8],
  [TYPE.datetimen]: [4, 8],
  [TYPE.decimaln]: [5, 9, 13, 17],
  [TYPE.numericn]: [5, 9, 13, 17],
};
/** Bytes of a value that is not of a max type. */
const LONGEST = 8000;
const MAX = 0xffff;
const MAY_BE_MAX: ReadonlySet<number> = new Set([TYPE.bigvarbinary, TYPE.bigvarchar, TYPE.nvarchar]);

/** Reads metadata, a field after the other; `NotEnough` is thrown where the bytes end before the field does. */
export class MetadataReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #base: number;
  at: number;

  /** `base`: what offset the first byte of `bytes` has in the response. */
  constructor(bytes: Buffer, at: number, end: number, base: number) {
    this.#bytes = bytes;
    this.#end = end;
    this.#base = base;
    this.at = at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }
  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }
  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }
  /** A copy. */
  bytes(length: number): Buffer {
    const at = this.#take(length);
    return Buffer.from(this.#bytes.subarray(at, at + length));
  }
  skip(length: number): void {
    this.#take(length);
  }
  /** B_VARCHAR: one byte of length in characters. */
  text8(): string {
    return this.#text(this.u8());
  }
  /** US_VARCHAR. */
  text16(): string {
    return this.#text(this.u16());
  }

  malformed(expected: string, before = 0): MalformedResponse {
    return new MalformedResponse(this.#base + this.at - before, expected);
  }

  #text(characters: number): string {
    const at = this.#take(characters * 2);
    return this.#bytes.toString("utf16le", at, at + characters * 2);
  }

  #take(length: number): number {
    const at = this.at;
    if (at + length > this.#end) throw NOT_ENOUGH;
    this.at += length;
    return at;
  }
}

/** More bytes have to come before this can be read. */
export const NOT_ENOUGH = new Error("not enough bytes yet");

export function readTypeInfo(from: MetadataReader): Omit<WireColumn, "name" | "nullable"> {
  const type = from.u8();
  const fixed = FIXED[type];
  if (fixed !== undefined) return { type, framing: "fixed", size: fixed, scale: 0, collation: null };
  const lengths = BYTE[type];
  if (lengths !== undefined) {
    const size = from.u8();
    if (!lengths.includes(size)) throw from.malformed(`a length of ${lengths.join(", ")} instead of ${size}`, 1);
    if (type !== TYPE.decimaln && type !== TYPE.numericn) {
      return { type, framing: "byte", size, scale: 0, collation: null };
    }
    const precision = from.u8();
    const scale = from.u8();
    if (!isDecimal(precision, scale))
      throw from.malformed(`a precision up to 38 and a scale up to that instead of ${precision} and ${scale}`, 2);
    return { type, framing: "byte", size, scale, collation: null };
  }
  switch (type) {
    case TYPE.date:
      return { type, framing: "byte", size: 3, scale: 0, collation: null };
    case TYPE.time:
    case TYPE.datetime2:
    case TYPE.datetimeoffset: {
      const scale = from.u8();
      if (scale > 7) throw from.malformed("a scale of 0 to 7", 1);
      const time = scale < 3 ? 3 : scale < 5 ? 4 : 5;
      const more = type === TYPE.time ? 0 : type === TYPE.datetime2 ? 3 : 5;
      return { type, framing: "byte", size: time + more, scale, collation: null };
    }
    case TYPE.bigbinary:
    case TYPE.bigvarbinary:
      return { type, ...sized(type, from), scale: 0, collation: null };
    case TYPE.bigchar:
    case TYPE.bigvarchar:
    case TYPE.nchar:
    case TYPE.nvarchar: {
      const length = sized(type, from);
      return { type, ...length, scale: 0, collation: from.bytes(5) };
    }
    case TYPE.text:
    case TYPE.ntext:
    case TYPE.image: {
      from.skip(4);
      const collation = type === TYPE.image ? null : from.bytes(5);
      for (let parts = from.u8(); parts > 0; parts--) from.text16();
      return { type, framing: "pointer", size: 0, scale: 0, collation };
    }
    case TYPE.variant:
      from.skip(4);
      return { type, framing: "variant", size: 0, scale: 0, collation: null };
    case TYPE.xml:
      if (from.u8() !== 0) {
        from.text8();
        from.text8();
        from.text16();
      }
      return { type, framing: "plp", size: 0, scale: 0, collation: null };
    case TYPE.udt:
      from.skip(2);
      for (let name = 0; name < 3; name++) from.text8();
      from.text16();
      return { type, framing: "plp", size: 0, scale: 0, collation: null };
    default:
      throw from.malformed(`a data type of MS-TDS 2.2.5.4 instead of 0x${type.toString(16).padStart(2, "0")}`, 1);
  }
}

function sized(type: number, from: MetadataReader): { framing: Framing; size: number } {
  const length = from.u16();
  if (length === MAX && MAY_BE_MAX.has(type)) return { framing: "plp", size: 0 };
  if (length > LONGEST) throw from.malformed(`a length of at most ${LONGEST} instead of ${length}`, 2);
  return { framing: "short", size: length };
}

export function isDecimal(precision: number, scale: number): boolean {
  return precision >= 1 && precision <= 38 && scale <= precision;
}

/** COLMETADATA (2.2.7.4) behind its token byte. */
export function readColumns(from: MetadataReader): WireColumn[] {
  const count = from.u16();
  if (count === 0xffff) return [];
  const columns: WireColumn[] = [];
  for (let i = 0; i < count; i++) {
    from.skip(4);
    const nullable = (from.u16() & 1) !== 0;
    const type = readTypeInfo(from);
    columns.push({ name: from.text8(), nullable, ...type });
  }
  return columns;
}
