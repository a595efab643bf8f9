/**
 * The code that reads one value of a column and writes it as JSON (formats.md, "Values"). Variables of the generated function
 * that it uses: `s`, `sv` the bytes read, `p` where, `end`; `d`, `dv` the bytes written, `o` where; `n`, `q` are free for use.
 */
import type { ValueOptions } from "../../../change/values.ts";
import { codePageOf } from "../wire/collation.ts";
import { TYPE, type WireColumn } from "../wire/types.ts";
import { decodeWith, singleByteTable, UTF8 } from "./code-pages.ts";
import { LONGEST_DECIMAL, LONGEST_DOUBLE } from "./numbers.ts";
import type { Constants } from "./row-code.ts";

export interface ValueCode {
  /** Reads what comes before the value; returns -1 where that is not there. */
  readonly open: string;
  /** A condition, after `open`; null: never. */
  readonly isNull: string | null;
  /** Sees that the whole value is there (else returns -1) and that it can be one; afterwards `p` is at its first byte. */
  readonly enough: string;
  /** Writes it from `o` on. */
  readonly write: string;
  /** Leaves `p` behind the value. */
  readonly skip: string;
  /** What it writes is a JSON string. */
  readonly string: boolean;
  /** Bytes that it writes at most; what may be more asks for room in `write`. */
  readonly room: number;
}

/** Text of up to so many bytes on the wire has its room reserved for each row; longer text asks when it comes. */
const SHORT = 512;

export function valueCode(column: WireColumn, options: ValueOptions, constants: Constants): ValueCode {
  const content = contentOf(column, options, constants);
  switch (column.framing) {
    case "fixed":
      return {
        ...content,
        open: "",
        isNull: column.size === 0 ? "true" : null,
        enough: `if (p + ${column.size} > end) return -1;`,
        skip: `p += ${column.size};`,
      };
    case "byte": {
      const lengths = DECIMALS.has(column.type)
        ? `(n !== 5 && n !== 9 && n !== 13 && n !== 17) || n > ${column.size}`
        : `n !== ${column.size}`;
      return {
        ...content,
        open: "if (p >= end) return -1;\nn = s[p++];",
        isNull: "n === 0",
        enough: `if (${lengths}) throw impossible(${label(column)}, "a length of ${column.size} instead of " + n);
if (p + n > end) return -1;`,
        skip: "p += n;",
      };
    }
    case "short":
      return {
        ...content,
        open: "if (p + 2 > end) return -1;\nn = sv.getUint16(p, true); p += 2;",
        isNull: "n === 65535",
        enough: `if (n > ${column.size}) throw impossible(${label(column)}, "at most ${column.size} bytes instead of " + n);
if (p + n > end) return -1;`,
        skip: "p += n;",
      };
    case "plp":
      // From the chunks: one stays where it is, more are put together in the sink.
      return {
        ...content,
        open: "if (p + 8 > end) return -1;",
        isNull: "sv.getUint32(p, true) === 4294967295 && sv.getUint32(p + 4, true) === 4294967295 && ((p += 8), true)",
        enough: `q = sink.chunks(${label(column)}, s, sv, p, end);
if (q < 0) return -1;
const after = q; n = sink.chunkLength;`,
        write: `{ const s = sink.chunkBytes, sv = sink.chunkView; p = sink.chunkAt;\n${content.write}\n}`,
        skip: "p = after;",
      };
    case "pointer":
      return {
        ...content,
        open: "if (p >= end) return -1;\nn = s[p++];",
        isNull: "n === 0",
        enough: `p += n + 8;
if (p + 4 > end) return -1;
n = sv.getUint32(p, true); p += 4;
if (n > 2147483647) throw impossible(${label(column)}, "at most 2147483647 bytes");
if (p + n > end) return -1;`,
        skip: "p += n;",
      };
    case "variant":
      return {
        ...content,
        open: "if (p + 4 > end) return -1;\nn = sv.getUint32(p, true); p += 4;",
        isNull: "n === 0",
        enough: `if (n < 2 || n > 8100) throw impossible(${label(column)}, "2 to 8100 bytes instead of " + n);
if (p + n > end) return -1;`,
        skip: "p += n;",
      };
  }
}

const DECIMALS: ReadonlySet<number> = new Set([TYPE.decimaln, TYPE.numericn]);

function label(column: WireColumn): string {
  return JSON.stringify(column.name);
}

type Content = Pick<ValueCode, "write" | "string" | "room">;

function contentOf(column: WireColumn, options: ValueOptions, constants: Constants): Content {
  const { type, size, scale } = column;
  switch (type) {
    case TYPE.null:
      return { write: "", string: false, room: 0 };
    case TYPE.bit:
    case TYPE.bitn:
      return {
        write:
          "if (s[p] === 0) { dv.setInt32(o, 0x736c6166, true); d[o + 4] = 0x65; o += 5; } else { dv.setInt32(o, 0x65757274, true); o += 4; }",
        string: false,
        room: 7,
      };
    case TYPE.tinyint:
    case TYPE.smallint:
    case TYPE.int:
    case TYPE.bigint:
    case TYPE.intn:
      if (size === 8) return inQuotes("o = writeInt64(d, o, sv, p);", options.bigints, 20);
      return {
        write: `o = writeInt(d, o, ${size === 1 ? "s[p]" : size === 2 ? "sv.getInt16(p, true)" : "sv.getInt32(p, true)"});`,
        string: false,
        room: 13,
      };
    case TYPE.decimaln:
    case TYPE.numericn:
      return inQuotes(`o = writeDecimal(d, o, sv, p, n, ${scale});`, options.decimals, LONGEST_DECIMAL);
    case TYPE.money:
    case TYPE.smallmoney:
    case TYPE.moneyn:
      return inQuotes(`o = writeMoney(d, o, sv, p, ${size});`, options.decimals, 24);
    case TYPE.real:
    case TYPE.float:
    case TYPE.floatn:
      return {
        write:
          size === 8
            ? `o = writeFloat(d, o, sv, p);\nif (o < 0) throw impossible(${label(column)}, "a finite number");`
            : `o = writeAscii(d, o, singleText(finite(${label(column)}, sv.getFloat32(p, true))));`,
        string: false,
        room: LONGEST_DOUBLE + 2,
      };
    case TYPE.date:
      return string(`o = writeDate(d, o, checkDays(${label(column)}, readDays(sv, p)));`, 10);
    case TYPE.time:
      return string(`o = writeTime(d, o, sv, p, ${scale});\nif (o < 0) throw beyondDay(${label(column)});`, 16);
    case TYPE.datetime2:
      return string(
        `checkDays(${label(column)}, readDays(sv, p + ${size - 3}));
o = writeDateTime2(d, o, sv, p, ${scale});
if (o < 0) throw beyondDay(${label(column)});`,
        27,
      );
    case TYPE.datetimeoffset:
      return string(
        `checkLocal(${label(column)}, sv, p, ${scale});\no = writeDateTimeOffset(d, o, sv, p, ${scale});`,
        33,
      );
    case TYPE.datetime:
    case TYPE.smalldatetime:
    case TYPE.datetimen:
      if (size === 4)
        return string(
          `checkMinutes(${label(column)}, sv.getUint16(p + 2, true));
o = writeSmallDateTime(d, o, sv.getUint16(p, true), sv.getUint16(p + 2, true));`,
          19,
        );
      return string(
        `checkDateTime(${label(column)}, sv.getInt32(p, true), sv.getUint32(p + 4, true));
o = writeDateTime(d, o, sv.getInt32(p, true), sv.getUint32(p + 4, true));`,
        23,
      );
    case TYPE.guid:
      return string("o = writeGuid(dv, o, s, p);", 36);
    case TYPE.nchar:
    case TYPE.nvarchar:
    case TYPE.ntext:
    case TYPE.xml:
      return text(
        column,
        3,
        `if (n & 1) throw impossible(${label(column)}, "an even length");\no = writeUtf16(d, dv, o, s, sv, p, p + n);`,
      );
    case TYPE.bigchar:
    case TYPE.bigvarchar:
    case TYPE.text:
      return text(column, 6, codePageCode(column, constants));
    case TYPE.bigbinary:
    case TYPE.bigvarbinary:
    case TYPE.image:
    case TYPE.udt:
      return text(column, 2, `o = ${options.binary === "hex" ? "writeHex(dv" : "writeBase64(d"}, o, s, p, p + n);`, 4);
    case TYPE.variant:
      return {
        // At most 8,016 bytes, each of them up to six in JSON.
        write: `if (d.length - o < 50000 + ROOM) { sink.grow(o, 50000 + ROOM); d = sink.bytes; dv = sink.view; }
o = writeVariant(d, dv, o, s, sv, p, n, ${constants.add(options)}, ${label(column)});`,
        // A variant sees itself to being a string where all values are to be.
        string: true,
        room: 0,
      };
    default:
      throw new Error(`No values of type 0x${type.toString(16)} are known.`);
  }
}

function string(write: string, room: number): Content {
  return { write: `d[o++] = 34;\n${write}\nd[o++] = 34;`, string: true, room: room + 2 };
}

function inQuotes(write: string, form: "string" | "number", room: number): Content {
  return form === "string" ? string(write, room) : { write, string: false, room: room + 2 };
}

/** `growth`: bytes of JSON that a byte of the wire becomes at most. */
function text(column: WireColumn, growth: number, write: string, more = 0): Content {
  const bounded = column.framing === "short" && column.size <= SHORT;
  if (bounded) return string(write, column.size * growth + more);
  const ask = `if (d.length - o < n * ${growth} + ${more + 2} + ROOM) { sink.grow(o, n * ${growth} + ${more + 2} + ROOM); d = sink.bytes; dv = sink.view; }\n`;
  const { write: written } = string(write, 0);
  return { write: ask + written, string: true, room: 0 };
}

function codePageCode(column: WireColumn, constants: Constants): string {
  const codePage = codePageOf(column.collation!, column.name);
  if (codePage === UTF8) return "o = writeUtf8(d, dv, o, s, sv, p, p + n);";
  const table = singleByteTable(codePage);
  if (table) return `o = writeSingleByte(d, dv, o, s, sv, p, p + n, ${constants.add(table)});`;
  return `o = writeString(d, dv, o, ${constants.add((bytes: Buffer) => decodeWith(codePage, bytes))}(Buffer.from(s.subarray(p, p + n))));`;
}
