/** Random columns of every type, and random values of them: what SQL Server could send, with its edges more often than not. */
import {
  byteLength,
  type Chunks,
  collation,
  DECIMAL_LENGTHS,
  decimal,
  fixed,
  LATIN1,
  max,
  shortLength,
  textPointer,
  u16,
  u32,
  udt,
  type Value,
  variant,
  type WireType,
  xml,
  xmlOfSchema,
} from "../wire/token-writer.ts";
import type { Random } from "./random.ts";

export interface RandomColumn {
  type: WireType;
  /** Not NULL. */
  value(random: Random): Value;
  nullable: boolean;
}

type Maker = (random: Random) => Omit<RandomColumn, "nullable"> & { nullable?: boolean };

/** LCIDs and sort ids of MS-LCID and of SQL Server's SQL_ collations: 1252, 1250, 1251, 1254, 1256, 1258, 437, 850, UTF-8. */
export const COLLATIONS: Readonly<Record<number, Buffer>> = {
  1252: LATIN1,
  1250: collation(0x0405),
  1251: collation(0x0419),
  1254: collation(0x041f),
  1256: collation(0x0401),
  1258: collation(0x042a),
  437: collation(0x0409, 30),
  850: collation(0x0409, 40),
  65001: collation(0x0409, 0, 0x40),
};
const PAGES = Object.values(COLLATIONS);
const UTF8 = COLLATIONS[65001]!;

const integers =
  (token: number, size: number): Maker =>
  () => ({
    type: fixed(token),
    value: (random) => integer(random, size),
    nullable: false,
  });

export const KINDS: Readonly<Record<string, Maker>> = {
  NULL: () => ({ type: fixed(0x1f), value: () => Buffer.alloc(0), nullable: false }),
  "bit NOT NULL": integers(0x32, 1),
  "tinyint NOT NULL": integers(0x30, 1),
  "smallint NOT NULL": integers(0x34, 2),
  "int NOT NULL": integers(0x38, 4),
  "bigint NOT NULL": integers(0x7f, 8),
  "real NOT NULL": () => ({ type: fixed(0x3b), value: single, nullable: false }),
  "float NOT NULL": () => ({ type: fixed(0x3e), value: double, nullable: false }),
  "money NOT NULL": integers(0x3c, 8),
  "smallmoney NOT NULL": integers(0x7a, 4),
  "datetime NOT NULL": () => ({ type: fixed(0x3d), value: dateTime, nullable: false }),
  "smalldatetime NOT NULL": () => ({ type: fixed(0x3a), value: smallDateTime, nullable: false }),
  bit: () => ({ type: byteLength(0x68, 1), value: (random) => integer(random, 1) }),
  tinyint: () => ({ type: byteLength(0x26, 1), value: (random) => integer(random, 1) }),
  smallint: () => ({ type: byteLength(0x26, 2), value: (random) => integer(random, 2) }),
  int: () => ({ type: byteLength(0x26, 4), value: (random) => integer(random, 4) }),
  bigint: () => ({ type: byteLength(0x26, 8), value: (random) => integer(random, 8) }),
  real: () => ({ type: byteLength(0x6d, 4), value: single }),
  float: () => ({ type: byteLength(0x6d, 8), value: double }),
  money: () => ({ type: byteLength(0x6e, 8), value: (random) => integer(random, 8) }),
  smallmoney: () => ({ type: byteLength(0x6e, 4), value: (random) => integer(random, 4) }),
  datetime: () => ({ type: byteLength(0x6f, 8), value: dateTime }),
  smalldatetime: () => ({ type: byteLength(0x6f, 4), value: smallDateTime }),
  decimal: (random) => {
    const precision = random.between(1, 38);
    return {
      type: decimal(precision, random.between(0, precision), random.pick([0x6a, 0x6c])),
      value: (again) => decimalValue(again, precision),
    };
  },
  date: () => ({ type: byteLength(0x28), value: (random) => days(random) }),
  time: (random) => {
    const scale = random.below(8);
    return { type: byteLength(0x29, scale), value: (again) => time(again, scale) };
  },
  datetime2: (random) => {
    const scale = random.below(8);
    return { type: byteLength(0x2a, scale), value: (again) => Buffer.concat([time(again, scale), days(again)]) };
  },
  datetimeoffset: (random) => {
    const scale = random.below(8);
    return { type: byteLength(0x2b, scale), value: (again) => dateTimeOffset(again, scale) };
  },
  uniqueidentifier: () => ({ type: byteLength(0x24, 16), value: (random) => random.bytes(16) }),
  nchar: (random) => unicode(random, 0xef),
  nvarchar: (random) => unicode(random, 0xe7),
  "nvarchar(max)": () => ({
    type: max(0xe7, LATIN1),
    value: (random) => inChunks(random, utf16(random, long(random))),
  }),
  ntext: () => ({ type: textPointer(0x63, LATIN1), value: (random) => utf16(random, long(random)) }),
  xml: (random) => ({
    type: random.pick([xml, xmlOfSchema()]),
    value: (again) => inChunks(again, utf16(again, long(again))),
  }),
  char: (random) => codePage(random, 0xaf),
  varchar: (random) => codePage(random, 0xa7),
  "varchar(max)": (random) => {
    const page = random.pick(PAGES);
    return { type: max(0xa7, page), value: (again) => inChunks(again, encoded(again, page, long(again))) };
  },
  text: (random) => {
    const page = random.pick(PAGES);
    return { type: textPointer(0x23, page), value: (again) => encoded(again, page, long(again)) };
  },
  binary: (random) => binary(random, 0xad),
  varbinary: (random) => binary(random, 0xa5),
  "varbinary(max)": () => ({ type: max(0xa5), value: (random) => inChunks(random, random.bytes(long(random))) }),
  image: () => ({ type: textPointer(0x22, null), value: (random) => random.bytes(long(random)) }),
  "a CLR type": () => ({ type: udt, value: (random) => inChunks(random, random.bytes(long(random))) }),
  sql_variant: () => ({ type: variant, value: variantValue }),
};
const ALL = Object.values(KINDS);

export function columnOf(kind: string, random: Random): RandomColumn {
  return { nullable: true, ...KINDS[kind]!(random) };
}

export function anyColumn(random: Random): RandomColumn {
  return { nullable: true, ...random.pick(ALL)(random) };
}

// ---------------------------------------------------------------- values

function integer(random: Random, size: number): Buffer {
  const bytes = random.bytes(size);
  const edge = random.below(10);
  if (edge === 0) return bytes.fill(0);
  if (edge === 1) return bytes.fill(0xff);
  // The least and the most.
  if (edge === 2) return Buffer.concat([Buffer.alloc(size - 1), Buffer.of(0x80)]);
  if (edge === 3) return Buffer.concat([Buffer.alloc(size - 1, 0xff), Buffer.of(0x7f)]);
  // As the upper half of money or the sign would have it.
  if (edge < 6 && size > 1) return bytes.fill(random.pick([0, 0xff]), random.between(1, size - 1));
  if (edge === 6) return littleEndian(random.edgy(256n ** BigInt(size)), size);
  return bytes;
}

function littleEndian(value: bigint, size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, byte) => Number((value >> BigInt(8 * byte)) & 255n)));
}

function single(random: Random): Buffer {
  const bytes = Buffer.alloc(4);
  const edge = random.below(8);
  if (edge === 0) bytes.writeUInt32LE(random.pick([0, 0x80000000, 1, 0x007fffff, 0x00800000, 0x7f7fffff]));
  else if (edge === 1) bytes.writeUInt32LE(random.below(255) << 23);
  else if (edge === 2) bytes.writeUInt32LE(random.below(2 ** 23));
  else if (edge === 3) bytes.writeFloatLE(random.between(-1_000_000, 1_000_000) / 10 ** random.below(9));
  else bytes.writeUInt32LE(random.bits());
  return Number.isFinite(bytes.readFloatLE()) ? bytes : Buffer.alloc(4);
}

function double(random: Random): Buffer {
  const bytes = random.bytes(8);
  const edge = random.below(8);
  if (edge === 0)
    bytes.writeDoubleLE(random.pick([0, -0, 5e-324, 2.2250738585072014e-308, -1.7976931348623157e308, 1e21, 1e-7]));
  else if (edge === 1) bytes.writeDoubleLE(random.between(-1_000_000, 1_000_000) / 10 ** random.below(12));
  else if (edge === 2) bytes.writeDoubleLE(2 ** random.between(-1074, 1023));
  return Number.isFinite(bytes.readDoubleLE()) ? bytes : Buffer.alloc(8);
}

/** 1753-01-01 to 9999-12-31, in days from 1900 and 1/300 s. */
function dateTime(random: Random): Buffer {
  const day = random.chance(0.2)
    ? random.pick([-53_690, -1, 0, 2_958_463, 36_583])
    : random.between(-53_690, 2_958_463);
  const ticks = random.chance(0.2) ? random.pick([0, 1, 2, 3, 25_919_999]) : random.below(25_920_000);
  return Buffer.concat([u32(day >>> 0), u32(ticks)]);
}

function smallDateTime(random: Random): Buffer {
  return Buffer.concat([
    u16(random.pick([0, 65_535, random.below(65_536)])),
    u16(random.pick([0, 1_439, random.below(1_440)])),
  ]);
}

function decimalValue(random: Random, precision: number): Buffer {
  const number = random.edgy(10n ** BigInt(precision));
  return Buffer.concat([Buffer.of(random.below(2)), littleEndian(number, DECIMAL_LENGTHS(precision) - 1)]);
}

const LAST_DAY = 3_652_058;

function dayNumber(random: Random): number {
  return random.chance(0.2)
    ? random.pick([0, 1, 58, 59, 365, LAST_DAY, LAST_DAY - 1, 730_119])
    : random.below(LAST_DAY + 1);
}

function days(random: Random, day = dayNumber(random)): Buffer {
  return littleEndian(BigInt(day), 3);
}

function time(random: Random, scale: number): Buffer {
  return timeBytes(random.edgy(86_400n * 10n ** BigInt(scale)), scale);
}

function timeBytes(units: bigint, scale: number): Buffer {
  return littleEndian(units, scale < 3 ? 3 : scale < 5 ? 4 : 5);
}

/** Whose local time is inside the years 1 to 9999 as well, as SQL Server sees to it. */
function dateTimeOffset(random: Random, scale: number): Buffer {
  const perDay = 86_400n * 10n ** BigInt(scale);
  const offset = random.chance(0.3) ? random.pick([-840, 840, 0, -1, 1, -330, 345]) : random.between(-840, 840);
  const shift = BigInt(offset) * 60n * 10n ** BigInt(scale);
  const utc = BigInt(dayNumber(random)) * perDay + random.edgy(perDay);
  const local = utc + shift;
  const kept = local < 0n ? -shift : local >= BigInt(LAST_DAY + 1) * perDay ? utc - shift : utc;
  const zone = Buffer.alloc(2);
  zone.writeInt16LE(offset);
  return Buffer.concat([timeBytes(kept % perDay, scale), littleEndian(kept / perDay, 3), zone]);
}

function long(random: Random): number {
  return random.chance(0.02) ? random.below(20_000) : random.chance(0.2) ? random.below(3) : random.below(80);
}

/** Text of so many units or a little more: plain, escaped, from all planes, and broken pairs. */
export function utf16(random: Random, units: number): Buffer {
  const text: number[] = [];
  while (text.length < units) {
    const choice = random.below(12);
    if (choice < 5) text.push(random.between(0x20, 0x7e));
    else if (choice === 5) text.push(random.pick([0x22, 0x5c, 8, 9, 10, 12, 13, 0, 0x1f, 0x7f, 0x2028, 0xfeff]));
    else if (choice === 6) text.push(random.between(0x80, 0x7ff));
    else if (choice === 7) text.push(random.between(0x800, 0xd7ff));
    else if (choice === 8) text.push(random.between(0xe000, 0xffff));
    else if (choice < 11) text.push(random.between(0xd800, 0xdbff), random.between(0xdc00, 0xdfff));
    else text.push(random.between(0xd800, 0xdfff));
  }
  return Buffer.concat(text.map(u16));
}

/** Bytes of a code page; for UTF-8 mostly well-formed. */
function encoded(random: Random, page: Buffer, length: number): Buffer {
  if (page !== UTF8)
    return random.chance(0.5) ? random.bytes(length) : (random.bytes(length).map((byte) => byte & 0x7f) as Buffer);
  const bytes = Buffer.from(utf16(random, length >> 2).toString("utf16le"), "utf8");
  if (bytes.length > 0 && random.chance(0.3)) bytes[random.below(bytes.length)] = random.below(256);
  return random.chance(0.1) ? random.bytes(length) : bytes;
}

function unicode(random: Random, token: number): Omit<RandomColumn, "nullable"> {
  const size = random.pick([1, 10, 100, 255, 256, 257, 4000]) * 2;
  const value = (again: Random) => utf16(again, again.below(Math.min(size / 2, 300))).subarray(0, size);
  return { type: shortLength(token, size, LATIN1), value };
}

function codePage(random: Random, token: number): Omit<RandomColumn, "nullable"> {
  const page = random.pick(PAGES);
  const size = random.pick([1, 10, 100, 512, 513, 8000]);
  const value = (again: Random) => encoded(again, page, again.below(Math.min(size, 300) + 1)).subarray(0, size);
  return { type: shortLength(token, size, page), value };
}

function binary(random: Random, token: number): Omit<RandomColumn, "nullable"> {
  const size = random.pick([1, 8, 100, 512, 513, 8000]);
  return { type: shortLength(token, size), value: (again) => again.bytes(again.below(Math.min(size, 300) + 1)) };
}

/** A max value's bytes, in chunks cut anywhere, with its length stated or not. */
function inChunks(random: Random, bytes: Buffer): Chunks {
  const chunks: Buffer[] = [];
  const largest = random.pick([1, 3, 7, 100, 8_000, 100_000]);
  for (let at = 0; at < bytes.length; ) {
    const length = Math.max(1, random.below(largest + 1), bytes.length > 2_000 ? 100 : 1);
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return { chunks, stated: random.chance(0.5) ? BigInt(bytes.length) : null };
}

function variantValue(random: Random): Buffer {
  const scale = random.below(8);
  const precision = random.between(1, 38);
  const page = random.pick(PAGES);
  const length = random.below(60);
  const size = u16(8000);
  const made = (token: number, properties: Buffer, value: Buffer) =>
    Buffer.concat([Buffer.of(token, properties.length), properties, value]);
  const none = Buffer.alloc(0);
  return random.pick([
    () => made(random.pick([0x30, 0x32]), none, integer(random, 1)),
    () => made(0x34, none, integer(random, 2)),
    () => made(random.pick([0x38, 0x7a]), none, integer(random, 4)),
    () => made(random.pick([0x3c, 0x7f]), none, integer(random, 8)),
    () => made(0x3b, none, single(random)),
    () => made(0x3e, none, double(random)),
    () => made(0x3a, none, smallDateTime(random)),
    () => made(0x3d, none, dateTime(random)),
    () => made(0x24, none, random.bytes(16)),
    () => made(0x28, none, days(random)),
    () => made(0x29, Buffer.of(scale), time(random, scale)),
    () => made(0x2a, Buffer.of(scale), Buffer.concat([time(random, scale), days(random)])),
    () => made(0x2b, Buffer.of(scale), dateTimeOffset(random, scale)),
    () =>
      made(
        random.pick([0x6a, 0x6c]),
        Buffer.of(precision, random.between(0, precision)),
        decimalValue(random, precision),
      ),
    () => made(random.pick([0xa5, 0xad]), size, random.bytes(length)),
    () => made(random.pick([0xa7, 0xaf]), Buffer.concat([page, size]), encoded(random, page, length)),
    () => made(random.pick([0xe7, 0xef]), Buffer.concat([LATIN1, size]), utf16(random, length)),
  ])();
}
