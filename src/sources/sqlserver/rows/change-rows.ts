/**
 * The rows of a change table as they come over the wire, encoded into one run of messages, up to a limit. Rows of operation 3
 * become the `before` of the row of operation 4 that follows.
 */
import {
  BODIES_START,
  BODIES_TAIL,
  EncodedRun,
  POSITION_BYTES,
  type RowLabels,
  readPosition,
  rowOverhead,
} from "../../../change/encoded-run.ts";
import { rowKey } from "../../../change/ordering-key.ts";
import type { Position } from "../../../change/position.ts";
import type { ResultSet, RowHandler } from "../wire/response.ts";
import type { WireColumn } from "../wire/types.ts";
import { checkOffset } from "./bounds.ts";
import type { BufferPool } from "./buffer-pool.ts";
import type { CompiledRows } from "./compiled-rows.ts";
import type { RowCode } from "./row-code.ts";
import { RowSink } from "./row-sink.ts";
import { dateTimeEpoch } from "./times.ts";

const COMMA = 0x2c;

export interface RowLimit {
  maxRows: number;
  /** Of the messages, as messageSize counts; exceeded by a single one alone. */
  maxBytes: number;
}

export class ChangeRows implements RowHandler {
  enough = false;
  /** Rows of the result that were read, those of operation 3 among them. */
  read = 0;
  readonly #compiled: CompiledRows;
  readonly #labels: RowLabels;
  readonly #limit: RowLimit;
  readonly #pool: BufferPool;
  readonly #overhead: number;
  /** Minutes east of UTC of the server's clock: of the first result set, in this column of its only row. */
  readonly #clockColumn: number;
  readonly #sink: RowSink;
  readonly #keys: string[][] | null;
  #code: RowCode | null = null;
  #count = 0;
  #size = 0;
  #ends: Uint32Array;
  #positions: Buffer;
  #days = 0;
  #ticks = -1;

  constructor(compiled: CompiledRows, labels: RowLabels, limit: RowLimit, pool: BufferPool, clockColumn: number) {
    this.#compiled = compiled;
    this.#labels = labels;
    this.#limit = limit;
    this.#pool = pool;
    this.#clockColumn = clockColumn;
    this.#overhead = rowOverhead(labels);
    this.#keys = labels.keyColumns === null ? null : [];
    const { bytes, ends, positions } = pool.take();
    this.#ends = ends;
    this.#positions = positions;
    this.#sink = new RowSink(bytes, BODIES_START, labels.keyColumns?.length ?? 0);
  }

  begin(columns: readonly WireColumn[], answered: readonly ResultSet[]): void {
    const clockOffset = answered[0]?.rows[0]?.[this.#clockColumn] as number | null | undefined;
    this.#sink.clockOffset = checkOffset("of the server's clock", clockOffset ?? 0);
    this.#code = this.#compiled.codeFor(columns);
  }

  row(s: Buffer, sv: DataView, p: number, end: number, nbc: boolean): number {
    const code = this.#code!;
    const sink = this.#sink;
    const next = nbc ? code.nbcRow(s, sv, p, end, sink) : code.row(s, sv, p, end, sink);
    if (next < 0) return next;
    this.read++;
    if (sink.operation === 3) sink.holdBefore(s);
    else this.#accept(s, sink);
    return next;
  }

  get count(): number {
    return this.#count;
  }

  /** Of the last message; null without one. */
  get last(): { position: Position; commitTime: Date | null } | null {
    if (this.#count === 0) return null;
    const commitTime = this.#ticks < 0 ? null : new Date(dateTimeEpoch(this.#days, this.#ticks));
    return { position: readPosition(this.#positions, this.#count - 1), commitTime };
  }

  /** The messages; once. */
  run(): EncodedRun {
    const buffers = { bytes: this.#sink.bytes, ends: this.#ends, positions: this.#positions };
    const rows = { ...buffers, count: this.#count, keys: this.#keys, size: this.#size };
    return new EncodedRun(rows, this.#labels, () => this.#pool.giveBack(buffers));
  }

  #accept(s: Buffer, sink: RowSink): void {
    const count = this.#count;
    const key = this.#keys === null ? null : this.#readKey(sink);
    const size = sink.end - sink.at + this.#overhead + (key === null ? 0 : rowKey(this.#labels.table, key).length);
    if (count > 0 && (count >= this.#limit.maxRows || this.#size + size > this.#limit.maxBytes)) {
      this.enough = true;
      return;
    }
    if (count === this.#ends.length) this.#growIndex();
    this.#ends[count] = sink.end;
    if (key !== null) this.#keys!.push(key);
    this.#putPosition(s, sink, count * POSITION_BYTES);
    this.#days = sink.days;
    this.#ticks = sink.ticks;
    this.#size += size;
    this.#count = count + 1;
    if (sink.end + BODIES_TAIL > sink.bytes.length) sink.grow(sink.end, BODIES_TAIL);
    sink.bytes[sink.end] = COMMA;
    sink.at = sink.end + 1;
    sink.dropBefore();
  }

  #putPosition(s: Buffer, sink: RowSink, at: number): void {
    const positions = this.#positions;
    const { lsnAt, seqvalAt, command } = sink;
    for (let i = 0; i < 10; i++) {
      positions[at + i] = s[lsnAt + i]!;
      positions[at + 14 + i] = s[seqvalAt + i]!;
    }
    positions[at + 10] = command >> 24;
    positions[at + 11] = command >> 16;
    positions[at + 12] = command >> 8;
    positions[at + 13] = command;
    positions[at + 24] = sink.operation;
  }

  #readKey(sink: RowSink): string[] {
    const bytes = Buffer.from(sink.bytes.buffer, sink.bytes.byteOffset, sink.end);
    const values: string[] = [];
    for (let i = 0; i < sink.keys.length; i += 2) {
      const from = sink.keys[i]!;
      const to = sink.keys[i + 1]!;
      values.push(to < from ? "null" : bytes.toString("utf8", from, to));
    }
    return values;
  }

  #growIndex(): void {
    const ends = new Uint32Array(this.#ends.length * 2);
    ends.set(this.#ends);
    this.#ends = ends;
    const positions = Buffer.allocUnsafeSlow(this.#positions.length * 2);
    this.#positions.copy(positions);
    this.#positions = positions;
  }
}
