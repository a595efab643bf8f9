/**
 * Reads a whole response slowly, straight from MS-TDS 2.2.3 (packets), 2.2.5.6 (TYPE_INFO) and 2.2.7 (tokens). Shares no code with
 * the reader that is held against it. Throws Broken where the bytes are no response.
 */
import { Broken, checkDecimal, must, type ReferenceType, unsigned } from "../rows/reference-values.ts";

export interface ReferenceColumn {
  name: string;
  type: ReferenceType;
  /** Null: NULL. */
  read(from: Cursor): Buffer | null;
  /** Bytes of a value of fixed size; 0: they vary. */
  size: number;
  /** The type's number. */
  token: number;
  /** A max type. */
  large: boolean;
}

export interface ReferenceSet {
  columns: ReferenceColumn[];
  rows: (Buffer | null)[][];
}

export interface ReferenceResponse {
  sets: ReferenceSet[];
  /** Tokens of errors, messages, the environment and the end, as they came. */
  kept: Buffer;
}

export class Cursor {
  readonly bytes: Buffer;
  at = 0;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
  take(length: number): Buffer {
    must(this.at + length <= this.bytes.length, `${length} bytes at ${this.at} of ${this.bytes.length}`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  number(bytes: number): number {
    return Number(unsigned(this.take(bytes)));
  }
  text8(): string {
    return this.take(this.number(1) * 2).toString("utf16le");
  }
  text16(): string {
    return this.take(this.number(2) * 2).toString("utf16le");
  }
  get over(): boolean {
    return this.at === this.bytes.length;
  }
}

/** The tokens of the first response in a stream, and what follows it; null: the response is not over. */
export function payloadOf(stream: Buffer): { tokens: Buffer; rest: Buffer } | null {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= stream.length; ) {
    const length = stream.readUInt16BE(at + 2);
    must(stream[at] === 0x04, "a packet of type 0x04");
    must(length >= 8, "a packet of its header at least");
    if (at + length > stream.length) return null;
    parts.push(stream.subarray(at + 8, at + length));
    const last = (stream[at + 1]! & 1) === 1;
    at += length;
    if (last) return { tokens: Buffer.concat(parts), rest: stream.subarray(at) };
  }
  return null;
}

export function readResponse(tokens: Buffer): ReferenceResponse {
  const from = new Cursor(tokens);
  const kept: Buffer[] = [];
  const sets: ReferenceSet[] = [];
  let open: ReferenceSet | null = null;
  let failed = false;
  let ended = false;
  while (!from.over) {
    const start = from.at;
    const token = from.number(1);
    ended = false;
    switch (token) {
      case 0x81: {
        const columns = readColumns(from);
        open = columns.length === 0 ? null : { columns, rows: [] };
        if (open) sets.push(open);
        break;
      }
      case 0xd1:
      case 0xd2: {
        must(open !== null, "metadata before rows");
        const { columns } = open!;
        const nulls = token === 0xd2 ? from.take(Math.ceil(columns.length / 8)) : null;
        const isNull = (index: number) => nulls !== null && ((nulls[index >> 3]! >> (index & 7)) & 1) === 1;
        open!.rows.push(columns.map((column, index) => (isNull(index) ? null : column.read(from))));
        break;
      }
      case 0xfd:
      case 0xfe:
      case 0xff:
        ended = (from.number(2) & 1) === 0;
        from.take(10);
        open = null;
        kept.push(tokens.subarray(start, from.at));
        break;
      case 0x79:
        from.take(4);
        kept.push(tokens.subarray(start, from.at));
        break;
      case 0xaa:
      case 0xab:
      case 0xe3:
        failed ||= token === 0xaa;
        from.take(from.number(2));
        kept.push(tokens.subarray(start, from.at));
        break;
      case 0xa4:
      case 0xa5:
      case 0xa9:
        from.take(from.number(2));
        break;
      case 0xac: {
        from.take(2);
        from.text8();
        from.take(1 + 4 + 2);
        readType(from).read(from);
        break;
      }
      default:
        throw new Broken(`a token instead of ${token}`);
    }
  }
  // 2.2.7.6: the last DONE says that no more follows.
  must(ended || failed, "a last DONE");
  return { sets, kept: Buffer.concat(kept) };
}

function readColumns(from: Cursor): ReferenceColumn[] {
  const count = from.number(2);
  if (count === 0xffff) return [];
  return Array.from({ length: count }, () => {
    from.take(6);
    const type = readType(from);
    return { ...type, name: from.text8() };
  });
}

type Kind = ReferenceType["kind"];
type TypeInfo = Omit<ReferenceColumn, "name">;

/** Types of fixed length, and their lengths. */
const FIXED: Readonly<Record<number, [Kind, number]>> = {
  31: ["nothing", 0],
  48: ["integer", 1],
  50: ["bit", 1],
  52: ["integer", 2],
  56: ["integer", 4],
  58: ["datetime", 4],
  59: ["float", 4],
  60: ["money", 8],
  61: ["datetime", 8],
  62: ["float", 8],
  122: ["money", 4],
  127: ["integer", 8],
};

/** Types with a byte of length, and the lengths that TYPE_INFO can give. */
const SIZED: Readonly<Record<number, [Kind, number[]]>> = {
  36: ["guid", [16]],
  38: ["integer", [1, 2, 4, 8]],
  104: ["bit", [1]],
  109: ["float", [4, 8]],
  110: ["money", [4, 8]],
  111: ["datetime", [4, 8]],
};

const SCALED: Readonly<Record<number, ["time" | "datetime2" | "datetimeoffset", number]>> = {
  41: ["time", 0],
  42: ["datetime2", 3],
  43: ["datetimeoffset", 5],
};

const SHORT: Readonly<Record<number, Kind>> = {
  165: "binary",
  167: "code page",
  173: "binary",
  175: "code page",
  231: "unicode",
  239: "unicode",
};
const MAY_BE_MAX = [0xa5, 0xa7, 0xe7];

const POINTER: Readonly<Record<number, Kind>> = { 34: "binary", 35: "code page", 99: "unicode" };

export function readType(from: Cursor): TypeInfo {
  const token = from.number(1);
  const made = (
    kind: Kind,
    read: TypeInfo["read"],
    more: Partial<TypeInfo> & { scale?: number; collation?: Buffer | null } = {},
  ) => {
    const { scale = 0, collation = null, ...rest } = more;
    return { type: { kind, scale, collation }, read, size: 0, token, large: false, ...rest };
  };
  const fixed = FIXED[token];
  if (fixed) return made(fixed[0], (row) => (token === 0x1f ? null : row.take(fixed[1])), { size: fixed[1] });
  const sized = SIZED[token];
  if (sized) {
    const size = from.number(1);
    must(sized[1].includes(size), "a length of the type");
    return made(sized[0], (row) => exactly(row, size), { size });
  }
  const scaled = SCALED[token];
  if (scaled) {
    const scale = from.number(1);
    must(scale <= 7, "a scale of 0 to 7");
    const size = (scale < 3 ? 3 : scale < 5 ? 4 : 5) + scaled[1];
    return made(scaled[0], (row) => exactly(row, size), { scale, size });
  }
  if (token === 0x28) return made("date", (row) => exactly(row, 3), { size: 3 });
  if (token === 0x6a || token === 0x6c) {
    const [size, precision, scale] = [from.number(1), from.number(1), from.number(1)];
    must([5, 9, 13, 17].includes(size), "a length of decimals");
    checkDecimal(precision, scale);
    return made("decimal", (row) => upTo(row, 1, size, 0), { scale });
  }
  const short = SHORT[token];
  if (short) {
    const size = from.number(2);
    const large = size === 0xffff;
    must(size <= 8000 || (large && MAY_BE_MAX.includes(token)), "a length of 8000 or max");
    const collation = short === "binary" ? null : Buffer.from(from.take(5));
    return made(short, large ? chunks : (row) => upTo(row, 2, size, 0xffff), { collation, large });
  }
  const pointer = POINTER[token];
  if (pointer) {
    from.take(4);
    const collation = pointer === "binary" ? null : Buffer.from(from.take(5));
    for (let parts = from.number(1); parts > 0; parts--) from.text16();
    return made(pointer, behindPointer, { collation, large: true });
  }
  switch (token) {
    case 0x62:
      from.take(4);
      return made("variant", variantBytes);
    case 0xf1:
      if (from.number(1) !== 0) {
        from.text8();
        from.text8();
        from.text16();
      }
      return made("unicode", chunks, { large: true });
    case 0xf0:
      from.take(2);
      for (let name = 0; name < 3; name++) from.text8();
      from.text16();
      return made("binary", chunks, { large: true });
    default:
      throw new Broken(`a type instead of ${token}`);
  }
}

/** A byte of length, 0 for NULL. */
function exactly(row: Cursor, size: number): Buffer | null {
  const length = row.number(1);
  if (length === 0) return null;
  must(length === size, "the column's length");
  return row.take(length);
}

function upTo(row: Cursor, lengthBytes: number, size: number, absent: number): Buffer | null {
  const length = row.number(lengthBytes);
  if (length === absent) return null;
  must(length <= size, "at most the column's length");
  return row.take(length);
}

/** PARTLENTYPE (2.2.5.2.3). */
function chunks(row: Cursor): Buffer | null {
  const total = unsigned(row.take(8));
  if (total === 2n ** 64n - 1n) return null;
  const parts: Buffer[] = [];
  for (let length = row.number(4); length > 0; length = row.number(4)) parts.push(row.take(length));
  const whole = Buffer.concat(parts);
  must(total === 2n ** 64n - 2n || total === BigInt(whole.length), "chunks of the stated length");
  return whole;
}

function behindPointer(row: Cursor): Buffer | null {
  const pointer = row.number(1);
  if (pointer === 0) return null;
  row.take(pointer + 8);
  return row.take(row.number(4));
}

function variantBytes(row: Cursor): Buffer | null {
  const length = row.number(4);
  return length === 0 ? null : row.take(length);
}

/** Values of small sets as JavaScript has them. */
export function plainRow({ columns }: ReferenceSet, row: (Buffer | null)[]): unknown[] {
  return columns.map((column, index) => {
    const bytes = row[index]!;
    if (bytes === null) return null;
    const { kind } = column.type;
    if (kind === "bit") return bytes[0] !== 0;
    if (kind === "integer") {
      if (bytes.length === 8) return String(bytes.readBigInt64LE());
      return bytes.length === 1 ? bytes[0] : bytes.readIntLE(0, bytes.length);
    }
    if (kind === "datetime" && bytes.length === 8) return bytes;
    if (kind === "binary" && !column.large) return bytes;
    if (kind === "unicode" && !column.large) return bytes.toString("utf16le");
    throw new Broken("a type of the queries of a reader");
  });
}
