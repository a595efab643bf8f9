/**
 * Blocks of rows (engine/row-block.ts) as tokens: the rows of all patterns are encoded once, one behind the other, and then copied
 * as often as the block repeats them; what each row has of its own is written over the copies.
 */
import type { BlockColumn, RowBlock } from "../engine/row-block.ts";
import type { OwnBytes, Series } from "../engine/series.ts";
import type { Value } from "../engine/values.ts";
import { ByteWriter } from "./bytes.ts";
import type { RowWriter } from "./rows.ts";

/** Rows are copied in pieces of about this many bytes. */
const PIECE = 128 * 1024;
/** A template repeats short series of patterns until it has so many rows. */
const FEWEST_ROWS = 256;

interface Template {
  readonly block: RowBlock;
  readonly bytes: Buffer;
  /** Where each row begins, and, last, where the last one ends. */
  readonly starts: Int32Array;
  /** The rows' numbers in the series; each further copy of the template is `stride` rows on. */
  readonly numbers: Int32Array;
  readonly stride: number;
  readonly own: readonly Place<OwnBytes>[];
  readonly fixed: readonly Place<Fixed>[];
}

/** Where in each row of the template a column's bytes are. */
interface Place<T> {
  readonly what: T;
  readonly at: Int32Array;
}

interface Fixed {
  readonly column: number;
  readonly value: Value;
  readonly bytes: Buffer;
}

/** What was encoded last of a series stays: connectors ask for the same columns again and again. */
const MOST_KEPT = 8;
const kept = new WeakMap<Series, Map<string, Template>>();

export class BlockWriter {
  readonly #rows: RowWriter;
  /** What the encoders depend on. */
  readonly #encoding: string;
  readonly #scratch = new ByteWriter(1024);
  #template: Template | null = null;
  /** The block that was written last, and what it has other than the template in all of its rows. */
  #current: { block: RowBlock; changed: readonly Place<OwnBytes>[] } | null = null;
  #numbers = new Int32Array(FEWEST_ROWS);

  constructor(rows: RowWriter, encoding: string) {
    this.#rows = rows;
    this.#encoding = encoding;
  }

  /** Writes rows of the block, from its i-th on, as many as make a piece. Returns how many. */
  write(to: ByteWriter, block: RowBlock, i: number): number {
    const { template, changed } = this.#prepare(block);
    const { starts, bytes, own, stride } = template;
    const rowsOfTemplate = template.numbers.length;
    const begin = (block.picks ? block.picks.before(block.from) : block.from) + i;
    const end = begin + block.length - i;
    const full = to.length + PIECE;
    let at = begin;
    while (at < end && to.length < full) {
      const copy = Math.floor(at / rowsOfTemplate);
      const first = at - copy * rowsOfTemplate;
      let count = Math.min(end - at, rowsOfTemplate - first);
      const room = full - to.length;
      while (count > 1 && starts[first + count]! - starts[first]! > room) count = count >> 1;
      const start = starts[first]!;
      const length = starts[first + count]! - start;
      const base = to.reserve(length) - start;
      bytes.copy(to.bytes, to.length, start, start + length);
      to.length += length;
      const numbers = this.#numbersOf(template, first, count, copy * stride);
      const view = new DataView(to.bytes.buffer, to.bytes.byteOffset);
      for (const { what, at } of own) what.write(numbers, count, view, base, at.subarray(first));
      for (const { what, at } of changed) what.write(numbers, count, view, base, at.subarray(first));
      at += count;
    }
    return at - begin;
  }

  #numbersOf({ numbers }: Template, first: number, count: number, plus: number): Int32Array {
    if (this.#numbers.length < count) this.#numbers = new Int32Array(count);
    for (let i = 0; i < count; i++) this.#numbers[i] = numbers[first + i]! + plus;
    return this.#numbers;
  }

  #prepare(block: RowBlock): { template: Template; changed: readonly Place<OwnBytes>[] } {
    if (this.#template && this.#current?.block === block)
      return { template: this.#template, changed: this.#current.changed };
    let changed = this.#template && this.#changed(this.#template, block);
    if (!changed) {
      this.#template = this.#templateOf(block);
      changed = this.#changed(this.#template, block)!;
    }
    this.#current = { block, changed };
    return { template: this.#template!, changed };
  }

  #templateOf(block: RowBlock): Template {
    let templates = kept.get(block.series);
    if (!templates) kept.set(block.series, (templates = new Map()));
    const columns = block.columns.map((column) => (typeof column === "number" ? column : null));
    const key = JSON.stringify([this.#encoding, columns, block.picks?.key]);
    let template = templates.get(key);
    if (!template || !this.#changed(template, block)) template = this.#encode(block);
    // The one that was used last stands last.
    templates.delete(key);
    templates.set(key, template);
    if (templates.size > MOST_KEPT) templates.delete(templates.keys().next().value!);
    return template;
  }

  /** What the block has that the template has not, byte by byte in its place; null where that cannot be. */
  #changed(template: Template, block: RowBlock): Place<OwnBytes>[] | null {
    const { block: known, fixed } = template;
    if (known.series !== block.series || known.picks?.key !== block.picks?.key) return null;
    if (!known.columns.every((column, i) => sameColumn(column, block.columns[i]!))) return null;
    const changed: Place<OwnBytes>[] = [];
    for (const { what, at } of fixed) {
      const { value } = block.columns[what.column] as { value: Value };
      if (value === what.value) continue;
      const bytes = this.#bytesOf(what.column, value);
      if (value === null || what.value === null || bytes.length !== what.bytes.length) return null;
      changed.push({ what: same(bytes), at });
    }
    return changed;
  }

  #bytesOf(column: number, value: Value): Buffer {
    const encoder = this.#rows.encoders[column]!;
    this.#scratch.length = 0;
    if (value === null) encoder.null(this.#scratch);
    else encoder.value(this.#scratch, value);
    return this.#scratch.toBuffer();
  }

  #encode(block: RowBlock): Template {
    const { series, picks } = block;
    const patterns = series.patterns.length;
    const positions = picks ? [...picks.positions] : [...series.patterns.keys()];
    const copies = Math.ceil(FEWEST_ROWS / positions.length);
    const numbers = Int32Array.from({ length: copies * positions.length }, (_, i) => {
      const copy = Math.floor(i / positions.length);
      return copy * patterns + positions[i - copy * positions.length]!;
    });
    const own: Place<OwnBytes>[] = [];
    const fixed: Place<Fixed>[] = [];
    const ends: number[] = [];
    const sizes: { size: number; at: Int32Array; column: number }[] = [];
    for (const [column, from] of block.columns.entries()) {
      const at = new Int32Array(numbers.length);
      if (typeof from !== "number") {
        const bytes = this.#bytesOf(column, from.value);
        fixed.push({ what: { column, value: from.value, bytes }, at });
        sizes.push({ size: bytes.length, at, column });
        continue;
      }
      const wire = series.own.get(from)?.wire;
      if (!wire) continue;
      own.push({ what: wire, at });
      sizes.push({ size: wire.size, at, column });
    }
    const starts = new Int32Array(numbers.length + 1);
    const to = new ByteWriter();
    for (const [i, number] of numbers.entries()) {
      this.#rows.write(to, block.rowOf(series.row(number % patterns)), ends);
      for (const { size, at, column } of sizes) at[i] = ends[column]! - size;
      starts[i + 1] = to.length;
    }
    return { block, bytes: to.toBuffer(), starts, numbers, stride: copies * patterns, own, fixed };
  }
}

function sameColumn(a: BlockColumn, b: BlockColumn): boolean {
  return a === b || (typeof a !== "number" && typeof b !== "number");
}

/** The same bytes for every row. */
function same(value: Buffer): OwnBytes {
  return {
    size: value.length,
    write: (_, count, to, base, at) => {
      for (let i = 0; i < count; i++) for (let k = 0; k < value.length; k++) to.setUint8(base + at[i]! + k, value[k]!);
    },
  };
}
