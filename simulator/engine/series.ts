/**
 * Rows that are computed from their number instead of being held, so that a table can have millions of them in the memory of a
 * few hundred.
 *
 * A series repeats its patterns, which are whole rows, over and over; some columns of each row are its own. Everything is fixed
 * when the series is made: a row that somebody wants to change becomes an ordinary one first (Table.extract).
 */
import type { Index, Row } from "./database.ts";
import type { Value } from "./values.ts";

/** A column of which every row has a value of its own, none of them NULL. */
export interface OwnColumn {
  value(row: number): NonNullable<Value>;
  /** The first row behind `row` that may have another value. */
  until(row: number): number;
  /** Where values of many rows can be written in one go. */
  wire?: OwnBytes;
}

/** Values as TDS has them, without their length: a binary's bytes, an int as four bytes, little-endian. */
export interface OwnBytes {
  readonly size: number;
  /** The values of `count` rows, in ascending order: that of row `rows[i]` goes to `base + at[i]`. */
  write(rows: Int32Array, count: number, to: DataView, base: number, at: Int32Array): void;
}

export interface NumberedRows {
  /** Made anew each time. */
  row(number: number): Row;
  /** A row of which only these columns need be right. */
  rowWith(columns: readonly number[], number: number): Row;
}

export class Series implements NumberedRows {
  readonly length: number;
  /** Row n looks like pattern n modulo their number. Own columns hold any value. */
  readonly patterns: readonly Row[];
  /** By column. */
  readonly own: ReadonlyMap<number, OwnColumn>;
  readonly #own: readonly (readonly [number, OwnColumn])[];
  /** Lists of columns by which the rows ascend, no two of them equal in all. */
  #nulls: Set<number> | undefined;
  readonly #orders: readonly (readonly number[])[];

  constructor(definition: {
    length: number;
    patterns: readonly Row[];
    own: ReadonlyMap<number, OwnColumn>;
    orders: readonly (readonly number[])[];
  }) {
    this.length = definition.length;
    this.patterns = definition.patterns;
    this.own = definition.own;
    this.#own = [...definition.own];
    this.#orders = definition.orders;
  }

  /** Whether a row has NULL in this column. */
  mayBeNull(column: number): boolean {
    if (this.own.has(column)) return false;
    this.#nulls ??= new Set(this.patterns.flatMap((row) => row.flatMap((value, i) => (value === null ? [i] : []))));
    return this.#nulls.has(column);
  }

  /** Whether all its rows can be written to the wire from its patterns. */
  get writable(): boolean {
    return this.#own.every(([, { wire }]) => wire);
  }

  row(number: number): Row {
    const row = this.patterns[number % this.patterns.length]!.slice();
    for (const [column, own] of this.#own) row[column] = own.value(number);
    return row;
  }

  rowWith(columns: readonly number[], number: number): Row {
    const row: Row = [];
    const pattern = this.patterns[number % this.patterns.length]!;
    for (const column of columns) {
      const own = this.own.get(column);
      row[column] = own ? own.value(number) : pattern[column]!;
    }
    return row;
  }

  /** Whether its rows come in the order of an index. */
  follows(index: Index | null): boolean {
    if (!index) return true;
    return this.#orders.some((order) =>
      order.every((column, i) => index.columns[i]?.column === column && !index.columns[i].descending),
    );
  }
}

/** Rows of a series that are in a table. */
export interface Part {
  readonly rows: NumberedRows;
  /** Row numbers, `to` excluded. */
  readonly from: number;
  readonly to: number;
  /** The id of row 0: every row has one, as entries have. */
  readonly firstId: number;
  /** The commit that made them visible. */
  readonly seq: number;
}

/** Neighbours in the order of an index; in a descending one they are to be read from the last to the first. */
export interface Stretch {
  readonly rows: NumberedRows;
  readonly from: number;
  readonly to: number;
}
