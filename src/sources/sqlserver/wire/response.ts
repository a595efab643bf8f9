/**
 * Reads a response (MS-TDS 2.2.7) as its bytes come: the rows of one result set go to their handler as they lie on the wire,
 * small sets become JavaScript values, and the tokens that tell of errors, messages, the environment and the end are kept for
 * whoever has to hear of them.
 *
 * The bytes not yet read lie in one buffer, from `#at` to `#end`, so that a row is always in one piece. A token that is not all
 * there is looked at again when there is more.
 */
import { ImpossibleValue } from "../rows/row-sink.ts";
import { MalformedResponse } from "./malformed.ts";
import { plainValue } from "./plain-values.ts";
import { MetadataReader, NOT_ENOUGH, readColumns, readTypeInfo, TYPE, type WireColumn } from "./types.ts";

const TOKEN = {
  returnStatus: 0x79,
  columnMetadata: 0x81,
  tableName: 0xa4,
  columnInfo: 0xa5,
  order: 0xa9,
  error: 0xaa,
  info: 0xab,
  returnValue: 0xac,
  row: 0xd1,
  nbcRow: 0xd2,
  environment: 0xe3,
  done: 0xfd,
  doneProc: 0xfe,
  doneInProc: 0xff,
} as const;

export interface ResultSet {
  columns: readonly WireColumn[];
  rows: unknown[][];
}

export interface RowHandler {
  /** The set has begun; `answered` are those before it. */
  begin(columns: readonly WireColumn[], answered: readonly ResultSet[]): void;
  /**
   * A row whose token byte is at `p - 1`. Answers where it ends, -1 where its bytes are not all there by `end`. May throw
   * ImpossibleValue.
   */
  row(s: Buffer, sv: DataView, p: number, end: number, nbc: boolean): number;
  /** No further row is wanted: those that still come are passed over. */
  readonly enough: boolean;
}

/** Of a DONE's status. */
const MORE = 0x01;
/** Types of one byte of length whose values may be shorter than the column's. */
const VARYING: ReadonlySet<number> = new Set([TYPE.decimaln, TYPE.numericn]);
const FIRST_SIZE = 128 * 1024;
/** A row of this size or more, in pieces, is looked at again only when half as much more has come. */
const LARGE = 64 * 1024;

export class ResponseReader {
  readonly sets: ResultSet[] = [];
  readonly #streams: number;
  readonly #rows: RowHandler;
  readonly #tokens: Buffer[] = [];
  #bytes: Buffer;
  #view: DataView;
  #at = 0;
  #end = 0;
  /** What offset in the response `#bytes` begins at. */
  #base = 0;
  /** Bytes that have to be there before the token at `#at` is tried again. */
  #wanted = 1;
  /** Between the metadata of a set and its DONE: rows may come. */
  #open = false;
  /** The last token was a DONE after which no more follows (2.2.7.6). */
  #ended = false;
  /** There was an ERROR: whatever comes or does not come after it, the request has failed. */
  #failed = false;

  /** `streams`: which result set, counted from 0, goes to `rows`. `input`: of an earlier reader that is done, to be used again. */
  constructor(streams: number, rows: RowHandler, input: Buffer = Buffer.allocUnsafeSlow(FIRST_SIZE)) {
    this.#streams = streams;
    this.#rows = rows;
    this.#bytes = input;
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  }

  /** What bytes are kept in until they are read; it may have grown for a large row. */
  get input(): Buffer {
    return this.#bytes;
  }

  /** Tokens of kinds ERROR, INFO, ENVCHANGE, RETURNSTATUS and DONE, as they came. */
  get tokens(): Buffer {
    return Buffer.concat(this.#tokens);
  }

  /** Bytes of tokens, in pieces of any size; `read` reads what has come. */
  append(from: Buffer, start: number, to: number): void {
    const length = to - start;
    if (this.#end + length > this.#bytes.length) this.#makeRoom(length);
    from.copy(this.#bytes, this.#end, start, to);
    this.#end += length;
  }

  /** Throws MalformedResponse where the bytes are no response. */
  read(): void {
    while (this.#end - this.#at >= this.#wanted) {
      const next = this.#token(this.#bytes[this.#at]!);
      if (next < 0) {
        const there = this.#end - this.#at;
        this.#wanted = there + (there < LARGE ? 1 : there >> 1);
        return;
      }
      this.#at = next;
      this.#wanted = 1;
    }
  }

  /** The response is over. Throws MalformedResponse where a token is not. */
  finish(): void {
    this.#wanted = 1;
    this.read();
    if (this.#at < this.#end) throw this.#malformed(this.#end, "the rest of a token instead of the response's end");
    if (!this.#ended && !this.#failed)
      throw this.#malformed(this.#end, "a last DONE token instead of the response's end");
  }

  #makeRoom(length: number): void {
    const there = this.#end - this.#at;
    const enough = there + length <= this.#bytes.length;
    const bytes = enough ? this.#bytes : Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, there + length));
    this.#bytes.copy(bytes, 0, this.#at, this.#end);
    this.#base += this.#at;
    this.#at = 0;
    this.#end = there;
    if (enough) return;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Where the token at `#at` ends, or the last of a run of rows; -1: not all of it is there. */
  #token(type: number): number {
    this.#ended = false;
    switch (type) {
      case TOKEN.row:
      case TOKEN.nbcRow:
        return this.#rowRun();
      case TOKEN.columnMetadata:
        return this.#columns();
      case TOKEN.done:
      case TOKEN.doneProc:
      case TOKEN.doneInProc:
        return this.#done();
      case TOKEN.returnStatus:
        return this.#keep(5);
      case TOKEN.error:
        this.#failed = true;
        return this.#keep(this.#shortLength());
      case TOKEN.info:
      case TOKEN.environment:
        return this.#keep(this.#shortLength());
      case TOKEN.order:
      case TOKEN.tableName:
      case TOKEN.columnInfo:
        return this.#pass(this.#shortLength());
      case TOKEN.returnValue:
        return this.#returnValue();
      default:
        throw this.#malformed(this.#at, `a token instead of 0x${type.toString(16).padStart(2, "0")}`);
    }
  }

  /** Token byte, two bytes of length, and so many more; 0: not even the length is there. */
  #shortLength(): number {
    return this.#end - this.#at < 3 ? 0 : 3 + this.#view.getUint16(this.#at + 1, true);
  }

  #pass(length: number): number {
    return length > 0 && this.#at + length <= this.#end ? this.#at + length : -1;
  }

  #keep(length: number): number {
    const next = this.#pass(length);
    if (next > 0) this.#tokens.push(Buffer.from(this.#bytes.subarray(this.#at, next)));
    return next;
  }

  #done(): number {
    const next = this.#keep(13);
    if (next > 0) {
      this.#open = false;
      this.#ended = (this.#bytes[this.#at + 1]! & MORE) === 0;
    }
    return next;
  }

  #metadata<T>(read: (from: MetadataReader) => T): { value: T; end: number } | null {
    const from = new MetadataReader(this.#bytes, this.#at + 1, this.#end, this.#base);
    try {
      return { value: read(from), end: from.at };
    } catch (error) {
      if (error === NOT_ENOUGH) return null;
      throw error;
    }
  }

  #columns(): number {
    const read = this.#metadata(readColumns);
    if (read === null) return -1;
    const columns = read.value;
    this.#open = columns.length > 0;
    if (!this.#open) return read.end;
    if (this.sets.length === this.#streams)
      this.#possible(this.#at, "the metadata", () => this.#rows.begin(columns, this.sets));
    this.sets.push({ columns, rows: [] });
    return read.end;
  }

  /** As many rows as are there, without a look at anything else in between. */
  #rowRun(): number {
    const set = this.sets.at(-1);
    if (set === undefined || !this.#open) throw this.#malformed(this.#at, "a COLMETADATA token before rows");
    const streamed = this.sets.length - 1 === this.#streams;
    const { columns } = set;
    const bytes = this.#bytes;
    const view = this.#view;
    const end = this.#end;
    const rows = this.#rows;
    let at = this.#at;
    try {
      while (at < end) {
        const type = bytes[at]!;
        if (type !== TOKEN.row && type !== TOKEN.nbcRow) break;
        const nbc = type === TOKEN.nbcRow;
        const next =
          streamed && !rows.enough
            ? rows.row(bytes, view, at + 1, end, nbc)
            : this.#plainRow(columns, at + 1, nbc, streamed ? null : set.rows);
        if (next < 0) break;
        at = next;
      }
    } catch (error) {
      throw this.#located(error, at, "the row");
    }
    return at === this.#at ? -1 : at;
  }

  #possible(at: number, where: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      throw this.#located(error, at, where);
    }
  }

  #located(error: unknown, at: number, where: string): unknown {
    if (!(error instanceof ImpossibleValue)) return error;
    return this.#malformed(at, `${error.expected} in column ${error.column} of ${where} that begins there`);
  }

  /** A row whose values become JavaScript's, or are passed over where `rows` is null. */
  #plainRow(columns: readonly WireColumn[], from: number, nbc: boolean, rows: unknown[][] | null): number {
    const values: unknown[] = [];
    let p = from;
    if (nbc) {
      p += (columns.length + 7) >> 3;
      if (p > this.#end) return -1;
    }
    for (const [index, column] of columns.entries()) {
      if (nbc && (this.#bytes[from + (index >> 3)]! & (1 << (index & 7))) !== 0) {
        values.push(null);
        continue;
      }
      const place = this.#value(column, p);
      if (place === null) return -1;
      p = place.end;
      if (rows === null) continue;
      const value = place.from < 0 ? null : plainValue(column, this.#bytes.subarray(place.from, place.end));
      if (value === undefined) throw new ImpossibleValue(column.name, "a type of the queries of a reader");
      values.push(value);
    }
    rows?.push(values);
    return p;
  }

  /** Where a value lies (`from` -1: NULL); null: it is not all there. */
  #value(column: WireColumn, p: number): { from: number; end: number } | null {
    const view = this.#view;
    const there = this.#end - p;
    switch (column.framing) {
      case "fixed":
        return this.#span(column.size === 0 ? -1 : p, column.size, p);
      case "byte": {
        if (there < 1) return null;
        const length = this.#bytes[p]!;
        if (length > column.size || (length !== column.size && length !== 0 && !VARYING.has(column.type)))
          throw new ImpossibleValue(column.name, `a length of ${column.size} instead of ${length}`);
        return this.#span(length === 0 ? -1 : p + 1, length, p + 1);
      }
      case "short": {
        if (there < 2) return null;
        const length = view.getUint16(p, true);
        if (length === 0xffff) return { from: -1, end: p + 2 };
        if (length > column.size)
          throw new ImpossibleValue(column.name, `at most ${column.size} bytes instead of ${length}`);
        return this.#span(p + 2, length, p + 2);
      }
      case "variant": {
        if (there < 4) return null;
        const length = view.getUint32(p, true);
        return this.#span(length === 0 ? -1 : p + 4, length, p + 4);
      }
      case "pointer": {
        if (there < 1) return null;
        const pointer = this.#bytes[p]!;
        if (pointer === 0) return { from: -1, end: p + 1 };
        const at = p + 1 + pointer + 8;
        if (at + 4 > this.#end) return null;
        return this.#span(at + 4, view.getUint32(at, true), at + 4);
      }
      case "plp":
        return this.#chunks(p);
    }
  }

  #span(from: number, length: number, start: number): { from: number; end: number } | null {
    return start + length <= this.#end ? { from, end: start + length } : null;
  }

  #chunks(p: number): { from: number; end: number } | null {
    if (p + 8 > this.#end) return null;
    if (this.#view.getUint32(p, true) === 0xffffffff && this.#view.getUint32(p + 4, true) === 0xffffffff)
      return { from: -1, end: p + 8 };
    for (let at = p + 8; at + 4 <= this.#end; ) {
      const length = this.#view.getUint32(at, true);
      at += 4 + length;
      if (length === 0) return { from: p + 8, end: at };
    }
    return null;
  }

  /** 2.2.7.18: none of our requests has output parameters, so its value is of no interest. */
  #returnValue(): number {
    const read = this.#metadata((from) => {
      from.skip(2);
      from.text8();
      from.skip(1 + 4 + 2);
      return readTypeInfo(from);
    });
    if (read === null) return -1;
    return this.#value({ name: "", nullable: true, ...read.value }, read.end)?.end ?? -1;
  }

  #malformed(at: number, expected: string): MalformedResponse {
    return new MalformedResponse(this.#base + at, expected);
  }
}
