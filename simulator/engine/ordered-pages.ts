/**
 * A sorted collection of rows, the body of every index: a list of pages of up to 512 items each. Finding is a binary search
 * over pages and then inside one; appending at the end is O(1); a million rows are some four thousand pages, so that making
 * room for a page is one short memmove. Items are ordered by the key of `keyRow` and then by `id`, so equal keys are no
 * problem.
 */
import type { Row } from "./database.ts";

export interface Item {
  /** A row that holds the item's key columns. Its key never changes while the item is in an index. */
  keyRow: Row;
  readonly id: number;
}

/** Where a key lies relative to what is looked for: below 0 before it, 0 within, above 0 behind. */
export type Probe = (row: Row) => number;

const PAGE = 512;

export class OrderedPages<T extends Item> {
  readonly #compareKeys: (a: Row, b: Row) => number;
  #pages: T[][] = [[]];
  #size = 0;
  /** Rises with every insertion and removal: a cursor that finds it changed takes its place anew. */
  version = 0;

  constructor(compareKeys: (a: Row, b: Row) => number) {
    this.#compareKeys = compareKeys;
  }

  get size(): number {
    return this.#size;
  }

  /** False when the very item (same key, same id) is there already. */
  insert(item: T): boolean {
    const last = this.#pages[this.#pages.length - 1]!;
    let pageIndex = this.#pages.length - 1;
    let at = last.length;
    if (this.#size > 0 && this.#compare(last.length > 0 ? last[last.length - 1]! : item, item) >= 0) {
      pageIndex = this.#pageOf(item);
      const page = this.#pages[pageIndex]!;
      at = this.#lowerBound(page, item);
      if (at < page.length && this.#compare(page[at]!, item) === 0) return false;
    }
    const page = this.#pages[pageIndex]!;
    if (at === page.length) page.push(item);
    else page.splice(at, 0, item);
    this.#size++;
    this.version++;
    if (page.length > PAGE) this.#split(pageIndex, at === page.length - 1);
    return true;
  }

  remove(item: T): boolean {
    const pageIndex = this.#pageOf(item);
    const page = this.#pages[pageIndex]!;
    const at = this.#lowerBound(page, item);
    if (at >= page.length || this.#compare(page[at]!, item) !== 0) return false;
    page.splice(at, 1);
    if (page.length === 0 && this.#pages.length > 1) this.#pages.splice(pageIndex, 1);
    this.#size--;
    this.version++;
    return true;
  }

  clear(): void {
    this.#pages = [[]];
    this.#size = 0;
    this.version++;
  }

  /**
   * Items for which the probe is 0, in order. The probe must be monotonous over the index. Insertions and removals while
   * the cursor stands still are allowed: it goes on behind the item that it gave last. `behind`: it begins behind this one.
   */
  cursor(probe: Probe, descending = false, behind?: Item): Cursor<T> {
    return descending ? this.#backward(probe, behind) : this.#forward(probe, behind);
  }

  #forward(probe: Probe, behind?: Item): Cursor<T> {
    let pageIndex = this.#searchPage((item) => probe(item.keyRow) < 0);
    let at = partition(this.#pages[pageIndex]!, (item) => probe(item.keyRow) < 0);
    let version = behind ? -1 : this.version;
    let last = behind;
    return () => {
      if (version !== this.version && last !== undefined) {
        const from = last;
        pageIndex = this.#searchPage((item) => this.#compare(item, from) <= 0);
        at = partition(this.#pages[pageIndex]!, (item) => this.#compare(item, from) <= 0);
        version = this.version;
      } else if (version !== this.version) {
        pageIndex = this.#searchPage((item) => probe(item.keyRow) < 0);
        at = partition(this.#pages[pageIndex]!, (item) => probe(item.keyRow) < 0);
        version = this.version;
      }
      let page = this.#pages[pageIndex]!;
      while (at >= page.length) {
        if (pageIndex + 1 >= this.#pages.length) return undefined;
        page = this.#pages[++pageIndex]!;
        at = 0;
      }
      const item = page[at]!;
      if (probe(item.keyRow) !== 0) return undefined;
      at++;
      last = item;
      return item;
    };
  }

  #backward(probe: Probe, behind?: Item): Cursor<T> {
    // `at` is the place behind the next item to give.
    let pageIndex = this.#searchPage((item) => probe(item.keyRow) <= 0);
    let at = partition(this.#pages[pageIndex]!, (item) => probe(item.keyRow) <= 0);
    let version = behind ? -1 : this.version;
    let last = behind;
    return () => {
      if (version !== this.version) {
        const from = last;
        const before = (item: T) => (from === undefined ? probe(item.keyRow) <= 0 : this.#compare(item, from) < 0);
        pageIndex = this.#searchPage(before);
        at = partition(this.#pages[pageIndex]!, before);
        version = this.version;
      }
      while (at === 0) {
        if (pageIndex === 0) return undefined;
        at = this.#pages[--pageIndex]!.length;
      }
      const item = this.#pages[pageIndex]![at - 1]!;
      if (probe(item.keyRow) !== 0) return undefined;
      at--;
      last = item;
      return item;
    };
  }

  #compare(a: Item, b: Item): number {
    return this.#compareKeys(a.keyRow, b.keyRow) || a.id - b.id;
  }

  /** The page in which the item is, or belongs. */
  #pageOf(item: T): number {
    return this.#searchPage((other) => this.#compare(other, item) <= 0);
  }

  /** The last page that begins with an item for which `before` holds; page 0 if there is none. */
  #searchPage(before: (item: T) => boolean): number {
    const pages = this.#pages;
    let low = 0;
    let high = pages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const page = pages[middle]!;
      if (page.length > 0 && before(page[0]!)) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #lowerBound(page: T[], item: T): number {
    return partition(page, (other) => this.#compare(other, item) < 0);
  }

  #split(pageIndex: number, appended: boolean): void {
    const page = this.#pages[pageIndex]!;
    const moved = page.splice(appended ? page.length - 1 : page.length >>> 1);
    this.#pages.splice(pageIndex + 1, 0, moved);
  }
}

/** Gives the next item, undefined at the end. */
export type Cursor<T> = () => T | undefined;

function partition<T>(items: T[], before: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (before(items[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}
