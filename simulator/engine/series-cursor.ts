/** Reading an index whose rows are partly entries in pages, partly numbered rows of series, in one order. */
import type { Row } from "./database.ts";
import type { Cursor, Item, OrderedPages, Probe } from "./ordered-pages.ts";
import type { NumberedRows, Part, Stretch } from "./series.ts";

export interface MixedIndex<T extends Item> {
  readonly pages: OrderedPages<T>;
  readonly compare: (a: Row, b: Row) => number;
  /** The columns that it orders by. */
  readonly columns: readonly number[];
  /** As they are now. */
  parts(): readonly Part[];
  /** Rises whenever rows of a part became entries. */
  extractions(): number;
}

/** What is left of a part, and its next row. */
interface Place {
  readonly part: Part;
  from: number;
  to: number;
  next: Item;
}

/**
 * Items and stretches for which the probe is 0, in order. `extract`: makes entries of rows of a part, `from` and `to` within it;
 * given, the cursor gives items only.
 */
export function mixedCursor<T extends Item>(
  index: MixedIndex<T>,
  probe: Probe,
  descending: boolean,
  extract?: (part: Part, from: number, to: number) => void,
): () => T | Stretch | undefined {
  const { pages, compare, columns } = index;
  const itemOf = ({ rows, firstId }: Part, row: number): Item => ({
    keyRow: rows.rowWith(columns, row),
    id: firstId + row,
  });
  const order = (a: Item, b: Item) => {
    const ascending = compare(a.keyRow, b.keyRow) || a.id - b.id;
    return descending ? -ascending : ascending;
  };
  let known = -1;
  let last: Item | undefined;
  let items: Cursor<T>;
  let head: T | undefined;
  let places: Place[] = [];

  const locate = () => {
    known = index.extractions();
    items = pages.cursor(probe, descending, last);
    head = items();
    places = [];
    for (const part of index.parts()) {
      const { rows } = part;
      let from = firstWhere(part.from, part.to, (row) => probe(rows.rowWith(columns, row)) >= 0);
      let to = firstWhere(from, part.to, (row) => probe(rows.rowWith(columns, row)) > 0);
      if (last) {
        const done = last;
        if (descending) to = firstWhere(from, to, (row) => order(itemOf(part, row), done) <= 0);
        else from = firstWhere(from, to, (row) => order(itemOf(part, row), done) > 0);
      }
      if (from < to) places.push({ part, from, to, next: itemOf(part, descending ? to - 1 : from) });
    }
    places.sort((a, b) => order(a.next, b.next));
  };

  return () => {
    for (;;) {
      if (known !== index.extractions()) locate();
      const place = places[0];
      if (!place || (head && order(head, place.next) < 0)) {
        const item = head;
        if (!item) return undefined;
        last = item;
        head = items();
        return item;
      }
      const { part, from, to } = place;
      if (extract) {
        // A piece at a time: who reads on may stop soon.
        extract(part, descending ? Math.max(from, to - PIECE) : from, descending ? to : Math.min(to, from + PIECE));
        continue;
      }
      let bound: Item | undefined = head;
      const rival = places[1]?.next;
      if (rival && (!bound || order(rival, bound) < 0)) bound = rival;
      const limit = bound;
      let stretch = { rows: part.rows, from, to };
      if (limit && descending) {
        stretch = { ...stretch, from: firstWhere(from, to, (row) => order(itemOf(part, row), limit) < 0) };
        place.to = stretch.from;
      } else if (limit) {
        stretch = { ...stretch, to: firstWhere(from, to, (row) => order(itemOf(part, row), limit) > 0) };
        place.from = stretch.to;
      }
      last = itemOf(part, descending ? stretch.from : stretch.to - 1);
      if (!limit || place.from >= place.to) places.shift();
      else {
        place.next = itemOf(part, descending ? place.to - 1 : place.from);
        places.sort((a, b) => order(a.next, b.next));
      }
      return stretch;
    }
  };
}

const PIECE = 512;

/** The first number for which `holds`, once true, stays true; `to` where there is none. */
export function firstWhere(from: number, to: number, holds: (row: number) => boolean): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The part's rows for which the probe is 0, in the order of an index that the series does not follow. */
export function sortedPart(part: Part, probe: Probe, compare: (a: Row, b: Row) => number): Part {
  const rows: Row[] = [];
  for (let number = part.from; number < part.to; number++) {
    const row = part.rows.row(number);
    if (probe(row) === 0) rows.push(row);
  }
  rows.sort(compare);
  const sorted: NumberedRows = { row: (number) => rows[number]!, rowWith: (_, number) => rows[number]! };
  return { ...part, rows: sorted, from: 0, to: rows.length };
}
