/**
 * Many rows of a result in one piece: rows of a series, with their columns chosen, and others added that are the same in all of
 * them. Where a query's rows come so (query/blocks.ts), the wire can copy bytes that were encoded once for each pattern.
 */
import type { Row } from "./database.ts";
import { Series, type Stretch } from "./series.ts";
import type { Value } from "./values.ts";

/** A column of the series, by its place there, or a value that all rows of the block have. */
export type BlockColumn = number | { readonly value: Value };

/** Some of a series' patterns: only rows of these are in the block. */
export class Picks {
  /** In ascending order. */
  readonly positions: Int32Array;
  /** How many picked ones there are before a position, and, last, in all. */
  readonly #before: Int32Array;
  #key: string | undefined;

  constructor(patterns: number, picked: (position: number) => boolean) {
    this.#before = new Int32Array(patterns + 1);
    const positions: number[] = [];
    for (let position = 0; position < patterns; position++) {
      if (picked(position)) positions.push(position);
      this.#before[position + 1] = positions.length;
    }
    this.positions = Int32Array.from(positions);
  }

  /** The same text for the same positions. */
  get key(): string {
    this.#key ??= this.positions.join();
    return this.#key;
  }

  /** How many picked rows of the series come before this one. */
  before(row: number): number {
    const patterns = this.#before.length - 1;
    const round = Math.floor(row / patterns);
    return round * this.positions.length + this.#before[row - round * patterns]!;
  }

  /** The other way round. */
  row(before: number): number {
    const round = Math.floor(before / this.positions.length);
    return round * (this.#before.length - 1) + this.positions[before - round * this.positions.length]!;
  }

  has(position: number): boolean {
    return this.#before[position + 1]! > this.#before[position]!;
  }
}

export class RowBlock {
  readonly series: Series;
  /** Row numbers of the series, `to` excluded. */
  readonly from: number;
  readonly to: number;
  readonly columns: readonly BlockColumn[];
  /** null: all. */
  readonly picks: Picks | null;

  constructor(series: Series, from: number, to: number, columns: readonly BlockColumn[], picks: Picks | null = null) {
    this.series = series;
    this.from = from;
    this.to = to;
    this.columns = columns;
    this.picks = picks;
  }

  get length(): number {
    return this.picks ? this.picks.before(this.to) - this.picks.before(this.from) : this.to - this.from;
  }

  /** The row number in the series of the block's i-th row. */
  number(i: number): number {
    return this.picks ? this.picks.row(this.picks.before(this.from) + i) : this.from + i;
  }

  /** The i-th row. */
  row(i: number): Row {
    return this.rowOf(this.series.row(this.number(i)));
  }

  *rows(): Generator<Row> {
    const { length } = this;
    for (let i = 0; i < length; i++) yield this.row(i);
  }

  /** What a row of the series, or a pattern, is in this block. */
  rowOf(row: Row): Row {
    return this.columns.map((column) => (typeof column === "number" ? row[column]! : column.value));
  }

  /** Rows from the i-th to the one before the j-th. */
  slice(i: number, j: number): RowBlock {
    const { length } = this;
    const from = i === 0 ? this.from : i < length ? this.number(i) : this.to;
    const to = j < length ? this.number(j) : this.to;
    return this.between(from, Math.max(from, to));
  }

  /** Those with row numbers in this range, which lies inside the block's. */
  between(from: number, to: number): RowBlock {
    return new RowBlock(this.series, from, to, this.columns, this.picks);
  }

  withColumns(columns: readonly BlockColumn[]): RowBlock {
    return new RowBlock(this.series, this.from, this.to, columns, this.picks);
  }

  /** Only rows of patterns for which this holds, too. */
  pick(wanted: (position: number) => boolean): RowBlock {
    const { picks } = this;
    const both = new Picks(
      this.series.patterns.length,
      (position) => (picks === null || picks.has(position)) && wanted(position),
    );
    return new RowBlock(this.series, this.from, this.to, this.columns, both);
  }
}

export function* rowsOfPieces(pieces: Iterable<Row | RowBlock>): Generator<Row> {
  for (const piece of pieces) {
    if (piece instanceof RowBlock) yield* piece.rows();
    else yield piece;
  }
}

/** A stretch of a table of so many columns in one piece; null where its rows have to be had one by one. */
export function blockOf({ rows, from, to }: Stretch, columns: number, descending: boolean): RowBlock | null {
  if (descending || !(rows instanceof Series) || !rows.writable) return null;
  return new RowBlock(rows, from, to, [...Array(columns).keys()]);
}

export function* piecesOf(stretch: Stretch, columns: number, descending: boolean): Generator<Row | RowBlock> {
  const block = blockOf(stretch, columns, descending);
  if (block) yield block;
  else yield* rowsOf(stretch, descending);
}

export function* rowsOf({ rows, from, to }: Stretch, descending: boolean): Generator<Row> {
  if (descending) for (let number = to - 1; number >= from; number--) yield rows.row(number);
  else for (let number = from; number < to; number++) yield rows.row(number);
}
