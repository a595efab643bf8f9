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
  /**
   * Where values can be written in one go, as TDS has them without their length: the bytes of a binary, an int as four bytes,
   * little-endian. The value of row `first + i` goes to `bytes` at `base + at[i]`, for i below `count`.
   */
  write?(first: number, count: number, bytes: Uint8Array, base: number, at: Int32Array): void;
}

export interface NumberedRows {
  /** Made anew each time. */
  row(number: number): Row;
}

export class Series implements NumberedRows {
  readonly length: number;
  /** Row n looks like pattern n modulo their number. Own columns hold any value. */
  readonly patterns: readonly Row[];
  /** By column. */
  readonly own: ReadonlyMap<number, OwnColumn>;
  readonly #own: readonly (readonly [number, OwnColumn])[];
  /** Lists of columns by which the rows ascend, no two of them equal in all. */
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

  row(number: number): Row {
    const row = this.patterns[number % this.patterns.length]!.slice();
    for (const [column, own] of this.#own) row[column] = own.value(number);
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
