/** Sorting, cutting and merging rows. */
import type { Row } from "../database.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { SourceColumn } from "../expressions/scope.ts";
import { PAUSE } from "../run.ts";
import { SqlError } from "../session.ts";
import { compareNullable, comparerOf, type HashKey } from "../types/comparison.ts";
import { Decimal, type Value } from "../values.ts";
import type { OrderColumn } from "./plan.ts";

export function compareRows(
  order: OrderColumn[],
  columns: SourceColumn[],
  collation: string,
): (a: Row, b: Row) => number {
  const comparers = order.map(({ column, descending }) => {
    const { type } = columns[column]!;
    const compare = compareNullable(comparerOf(type, type.collation ?? collation));
    return { column, compare: descending ? (a: Value, b: Value) => compare(b, a) : compare };
  });
  return (a, b) => {
    for (const { column, compare } of comparers) {
      const result = compare(a[column]!, b[column]!);
      if (result !== 0) return result;
    }
    return 0;
  };
}

/** All rows in order, or only the first `limit`: then no more than about twice as many are held. */
export function* sorted(rows: Iterable<Row>, compare: (a: Row, b: Row) => number, limit: number): Generator<Row> {
  let held: Row[] = [];
  const most = Number.isFinite(limit) ? Math.max(1000, limit * 2) : Number.POSITIVE_INFINITY;
  for (const row of rows) {
    if (row === PAUSE) {
      yield row;
      continue;
    }
    held.push(row);
    if (held.length >= most) {
      held.sort(compare);
      held = held.slice(0, limit);
    }
  }
  held.sort(compare);
  yield* Number.isFinite(limit) ? held.slice(0, limit) : held;
}

export function* slice(rows: Iterable<Row>, skip: number, take: number): Generator<Row> {
  if (take <= 0) return;
  let left = take;
  let over = skip;
  for (const row of rows) {
    if (row !== PAUSE && over > 0) {
      over--;
      continue;
    }
    yield row;
    if (row !== PAUSE && --left <= 0) return;
  }
}

/** Two sorted inputs as one. */
export function* merged(
  left: Iterable<Row>,
  right: Iterable<Row>,
  compare: (a: Row, b: Row) => number,
): Generator<Row> {
  const a = left[Symbol.iterator]();
  const b = right[Symbol.iterator]();
  try {
    let x = a.next();
    let y = b.next();
    while (!x.done || !y.done) {
      if (!x.done && x.value === PAUSE) {
        yield PAUSE;
        x = a.next();
      } else if (!y.done && y.value === PAUSE) {
        yield PAUSE;
        y = b.next();
      } else if (y.done || (!x.done && compare(x.value, y.value) <= 0)) {
        yield x.value as Row;
        x = a.next();
      } else {
        yield y.value;
        y = b.next();
      }
    }
  } finally {
    a.return?.();
    b.return?.();
  }
}

/** OFFSET and FETCH as numbers. */
export function countOf(
  offset: Compiled | undefined,
  fetch: Compiled | undefined,
  frame: Frame,
): { skip: number; take: number } {
  const skip = offset ? wholeNumber(offset.evaluate(frame)) : 0;
  const take = fetch ? wholeNumber(fetch.evaluate(frame)) : Number.POSITIVE_INFINITY;
  if (skip < 0) throw new SqlError(10742, "The offset specified in a OFFSET clause may not be negative.", 15, 1);
  if (fetch && take < 1)
    throw new SqlError(10744, "The number of rows provided for a FETCH clause must be greater then zero.", 15, 1);
  return { skip, take };
}

/** TOP (share) PERCENT of so many rows: fractions count as a row. Error 1031. */
export function percentOf(count: number, share: number): number {
  if (share < 0 || share > 100) throw new SqlError(1031, "Percent values must be between 0 and 100.", 15, 1);
  return Math.ceil((count * share) / 100);
}

export function wholeNumber(value: Value): number {
  if (value === null || typeof value === "string")
    throw new SqlError(
      1060,
      "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.",
      15,
      1,
    );
  return value instanceof Decimal ? Number(value.toString()) : Number(value);
}

/** One text for a whole row, the same for rows that are equal (NULLs are, here). */
export function rowKey(keys: ((value: NonNullable<Value>) => HashKey)[]): (row: Row) => string {
  return (row) => {
    let key = "";
    for (let i = 0; i < keys.length; i++) {
      const value = row[i]!;
      if (value === null) {
        key += "n";
        continue;
      }
      const part = String(keys[i]!(value));
      key += `${part.length}:${part}`;
    }
    return key;
  };
}
