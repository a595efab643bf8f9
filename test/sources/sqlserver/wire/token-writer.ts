/**
 * Writes tokens and packets as MS-TDS describes them, for tests of what reads them. Knows nothing of values: a value is its
 * bytes, and the type of its column says how they are framed.
 */

/** A value of a max type: its chunks, and the length that is stated before them; null: not known (0xFFFFFFFFFFFFFFFE). */
export interface Chunks {
  chunks: Buffer[];
  stated: bigint | null;
}

/** Bytes of a value as MS-TDS 2.2.5.5 has them, without their framing. */
export type Value = Buffer | Chunks | null;

/** TYPE_INFO (2.2.5.6), and how a value lies in a ROW (2.2.5.2.3). */
export interface WireType {
  info: Buffer;
  frame(value: Value): Buffer;
}

export interface WireColumn {
  name: string;
  type: WireType;
}

/** Collations (2.2.5.1.2): 20 bits of LCID, 8 of flags, 4 of version, then a sort id. */
export const LATIN1 = collation(0x0409);

export function collation(lcid: number, sortId = 0, flags = 0): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32LE(((lcid & 0xfffff) | (flags << 20)) >>> 0);
  bytes[4] = sortId;
  return bytes;
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** B_VARCHAR. */
export function text8(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text, "utf16le")]);
}

/** US_VARCHAR. */
export function text16(text: string): Buffer {
  return Buffer.concat([u16(text.length), Buffer.from(text, "utf16le")]);
}

// ---------------------------------------------------------------- types

/** FIXEDLENTYPE (2.2.5.4.1): a value is its bytes. */
export function fixed(type: number): WireType {
  return { info: Buffer.of(type), frame: (value) => whole(value) };
}

/** BYTELEN_TYPE (2.2.5.4.2): a byte of length before the value, 0 for NULL; `more`: what TYPE_INFO has behind the type. */
export function byteLength(type: number, ...more: number[]): WireType {
  return {
    info: Buffer.of(type, ...more),
    frame: (value) => (value === null ? Buffer.of(0) : Buffer.concat([Buffer.of(whole(value).length), whole(value)])),
  };
}

export const DECIMAL_LENGTHS = (precision: number): number =>
  precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17;

export function decimal(precision: number, scale: number, type = 0x6a): WireType {
  return byteLength(type, DECIMAL_LENGTHS(precision), precision, scale);
}

/** USHORTLEN_TYPE: two bytes of length, 0xFFFF for NULL. With a length of 0xFFFF in TYPE_INFO: PLP (2.2.5.2.3). */
export function shortLength(type: number, size: number, withCollation: Buffer | null = null): WireType {
  const info = Buffer.concat([Buffer.of(type), u16(size), withCollation ?? Buffer.alloc(0)]);
  return {
    info,
    frame: (value) => (value === null ? u16(0xffff) : Buffer.concat([u16(whole(value).length), whole(value)])),
  };
}

export function max(type: number, withCollation: Buffer | null = null): WireType {
  const info = Buffer.concat([Buffer.of(type), u16(0xffff), withCollation ?? Buffer.alloc(0)]);
  return { info, frame: framePlp };
}

/** 2.2.5.5.3; without a schema. */
export const xml: WireType = { info: Buffer.of(0xf1, 0), frame: framePlp };

export function xmlOfSchema(): WireType {
  const info = Buffer.concat([Buffer.of(0xf1, 1), text8("db"), text8("dbo"), text16("Collection")]);
  return { info, frame: framePlp };
}

/** 2.2.5.5.2. */
export const udt: WireType = {
  info: Buffer.concat([
    Buffer.of(0xf0),
    u16(0xffff),
    text8("db"),
    text8("sys"),
    text8("geography"),
    text16("Microsoft.SqlServer.Types.SqlGeography"),
  ]),
  frame: framePlp,
};

/** LONGLEN_TYPE: text (0x23), ntext (0x63), image (0x22), with a table's name of several parts in the metadata. */
export function textPointer(type: number, withCollation: Buffer | null): WireType {
  const info = Buffer.concat([
    Buffer.of(type),
    u32(0x7fffffff),
    withCollation ?? Buffer.alloc(0),
    Buffer.of(2),
    text16("cdc"),
    text16("dbo_T_CT"),
  ]);
  return {
    info,
    frame: (value) =>
      value === null
        ? Buffer.of(0)
        : Buffer.concat([
            Buffer.of(16),
            Buffer.from("textpointertextp"),
            Buffer.from("timestam"),
            u32(whole(value).length),
            whole(value),
          ]),
  };
}

/** SSVARIANTTYPE (2.2.5.5.4): four bytes of length, 0 for NULL. */
export const variant: WireType = {
  info: Buffer.concat([Buffer.of(0x62), u32(8009)]),
  frame: (value) => (value === null ? u32(0) : Buffer.concat([u32(whole(value).length), whole(value)])),
};

function whole(value: Value): Buffer {
  if (value === null) throw new Error("A type that allows no NULL.");
  return Buffer.isBuffer(value) ? value : Buffer.concat(value.chunks);
}

function framePlp(value: Value): Buffer {
  if (value === null) return u64(0xffff_ffff_ffff_ffffn);
  const { chunks, stated } = Buffer.isBuffer(value)
    ? { chunks: value.length === 0 ? [] : [value], stated: BigInt(value.length) }
    : value;
  return Buffer.concat([
    u64(stated ?? 0xffff_ffff_ffff_fffen),
    ...chunks.flatMap((chunk) => [u32(chunk.length), chunk]),
    u32(0),
  ]);
}

// ---------------------------------------------------------------- tokens

export function columnMetadata(columns: readonly WireColumn[]): Buffer {
  return Buffer.concat([
    Buffer.of(0x81),
    u16(columns.length),
    // UserType (4), Flags (2): nullable.
    ...columns.flatMap(({ name, type }) => [u32(0), u16(1), type.info, text8(name)]),
  ]);
}

export function row(columns: readonly WireColumn[], values: readonly Value[]): Buffer {
  return Buffer.concat([Buffer.of(0xd1), ...columns.map(({ type }, index) => type.frame(values[index]!))]);
}

/** NBCROW: a bit for each NULL, which then has no bytes. */
export function nbcRow(columns: readonly WireColumn[], values: readonly Value[]): Buffer {
  const nulls = Buffer.alloc((columns.length + 7) >> 3);
  for (const [index, value] of values.entries()) if (value === null) nulls[index >> 3]! |= 1 << (index & 7);
  const there = columns.flatMap(({ type }, index) => (values[index] === null ? [] : [type.frame(values[index]!)]));
  return Buffer.concat([Buffer.of(0xd2), nulls, ...there]);
}

export const MORE = 0x01;
export const ERRORS = 0x02;
export const COUNT = 0x10;
export const ATTENTION = 0x20;

/** DONE (0xFD), DONEPROC (0xFE), DONEINPROC (0xFF). */
export function done(status: number, count = 0, token = 0xfd): Buffer {
  return Buffer.concat([Buffer.of(token), u16(status), u16(0xc1), u64(BigInt(count))]);
}

export function doneInProc(count: number): Buffer {
  return done(MORE | COUNT, count, 0xff);
}

export function returnStatus(value = 0): Buffer {
  return Buffer.concat([Buffer.of(0x79), u32(value)]);
}

/** How the response to sp_executesql ends. */
export function endOfProcedure(): Buffer {
  return Buffer.concat([returnStatus(), done(0, 0, 0xfe)]);
}

function withLength(token: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(token), u16(body.length), body]);
}

function message(token: number, number: number, text: string, severity: number): Buffer {
  const what = [u32(number), Buffer.of(1, severity), text16(text), text8("server"), text8(""), u32(1)];
  return withLength(token, ...what);
}

export function error(number: number, text: string, severity = 16): Buffer {
  return message(0xaa, number, text, severity);
}

export function info(number: number, text: string): Buffer {
  return message(0xab, number, text, 0);
}

/** Of the database's name. */
export function databaseChange(to: string, from: string): Buffer {
  return withLength(0xe3, Buffer.of(1), text8(to), text8(from));
}

export function order(...columns: number[]): Buffer {
  return withLength(0xa9, ...columns.map(u16));
}

/** RETURNVALUE of an int. */
export function returnValue(name: string, value: number): Buffer {
  const type = [u32(0), u16(0), Buffer.of(0x26, 4)];
  return Buffer.concat([Buffer.of(0xac), u16(0), text8(name), Buffer.of(1), ...type, Buffer.of(4), u32(value)]);
}

// ---------------------------------------------------------------- packets

/** The packets (2.2.3) of one response, of at most `size` bytes each. */
export function packets(tokens: Buffer, size = 4096): Buffer {
  const parts: Buffer[] = [];
  const room = size - 8;
  for (let at = 0, id = 1; at === 0 || at < tokens.length; at += room, id++) {
    const payload = tokens.subarray(at, at + room);
    const header = Buffer.alloc(8);
    header[0] = 0x04;
    header[1] = at + room >= tokens.length ? 1 : 0;
    header.writeUInt16BE(8 + payload.length, 2);
    header.writeUInt16BE(51, 4);
    header[6] = id & 0xff;
    parts.push(header, payload);
  }
  return Buffer.concat(parts);
}
