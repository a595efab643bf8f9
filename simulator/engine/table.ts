/**
 * A table's rows: versions in ordered indexes.
 *
 * Every row is an `Entry`. `row` is its newest version; `seq` is the commit sequence number under which that became visible,
 * or PENDING while `owner`, the transaction that holds the row's lock, has not ended. Older committed versions hang behind it
 * as long as a snapshot can still see them. A deleted row is one whose newest version is null.
 *
 * The clustered index (or, in a heap, the order of insertion) holds the entries themselves. Every other index holds an item
 * per entry and key that some version of it has; a reader takes an item only if the version that it sees has the item's key.
 * A change of a clustered key is the end of one entry and the beginning of another.
 *
 * Besides entries a table may have rows of series (series.ts), which exist only while they are read. They are in no index's
 * pages; a cursor merges them in. A row of a series becomes an entry before anybody locks or changes it.
 */

import type { Column, Index, Row, TableSchema } from "./database.ts";
import { type Comparer, probeOf, rowOrder } from "./index-order.ts";
import { type Cursor, type Item, OrderedPages } from "./ordered-pages.ts";
import { piecesOf, type RowBlock, rowsOfPieces } from "./row-block.ts";
import type { Series, Stretch } from "./series.ts";
import { mixedCursor } from "./series-cursor.ts";
import { SeriesRows } from "./series-rows.ts";
import type { Database } from "./storage.ts";
import type { Transaction } from "./transactions.ts";
import { compareNullable, comparerOf } from "./types/comparison.ts";
import type { Value } from "./values.ts";

export const PENDING = Number.POSITIVE_INFINITY;

export interface Version {
  row: Row | null;
  seq: number;
  older: Version | null;
}

export class Entry implements Item, Version {
  readonly id: number;
  keyRow: Row;
  row: Row | null;
  seq = PENDING;
  owner: Transaction | null = null;
  older: Version | null = null;
  constructor(id: number, row: Row) {
    this.id = id;
    this.keyRow = row;
    this.row = row;
  }
}

/** What a statement sees: all that was committed up to `seq`, and what its own transaction did. `dirty`: NOLOCK. */
export interface Snapshot {
  readonly seq: number;
  readonly transaction: Transaction | null;
  readonly dirty?: boolean;
}

export function visible(entry: Entry, snapshot: Snapshot): Row | null {
  if (entry.seq <= snapshot.seq || snapshot.dirty) return entry.row;
  if (entry.seq === PENDING && entry.owner === snapshot.transaction && entry.owner !== null) return entry.row;
  for (let version = entry.older; version; version = version.older) if (version.seq <= snapshot.seq) return version.row;
  return null;
}

/** The newest version that is committed; null where there is none. */
export function committedRow(entry: Entry): Row | null {
  for (let version: Version | null = entry; version; version = version.older)
    if (version.seq !== PENDING) return version.row;
  return null;
}

interface IndexItem extends Item {
  readonly entry: Entry;
}

/** Part of an index: those whose leading columns equal `prefix`, and whose next column lies between the bounds. */
export interface Range {
  /** The clustered index (or the heap) where absent. */
  index?: Index;
  prefix?: Value[];
  /** Bounds of the column behind the prefix, in that column's order of values whatever the index's direction. */
  from?: { value: Value; inclusive: boolean };
  to?: { value: Value; inclusive: boolean };
  descending?: boolean;
}

/** An entry; `row` is the key that an item of a non-clustered index stands for, null in the clustered one. */
export interface Found {
  entry: Entry;
  row: Row | null;
}

interface StoredIndex {
  definition: Index;
  /** One for each key column, ascending or descending as the index has it. */
  comparers: Comparer[];
  items: OrderedPages<IndexItem>;
}

export class Table implements TableSchema {
  readonly database: Database;
  readonly objectId: number;
  schema: string;
  name: string;
  createDate: Date;
  modifyDate: Date;
  columns: Column[];
  indexes: Index[] = [];
  checks: TableSchema["checks"] = [];
  foreignKeys: TableSchema["foreignKeys"] = [];
  msShipped = false;
  trackedByCdc = false;
  /** Committed rows. */
  rowCount = 0;
  /** The sessions' own (#t): not in the catalogue of user tables. */
  temporary = false;
  /**
   * The view whose rows these are, while an INSTEAD OF trigger of it takes the place of what a statement does to them; `required`:
   * the columns that allow no NULL.
   */
  standsFor: { objectId: number; database: Database; required: readonly number[] } | null = null;
  /** Rises with every change of columns, indexes or constraints: compiled statements hold it. */
  #schemaVersion = 0;
  /** How often all rows were written anew, beside any transaction's own changes. */
  rewrites = 0;
  /** The highest column_id that was ever given. */
  lastColumnId = 0;
  #nextEntry = 1;
  #clustered: { definition: Index | null; comparers: Comparer[]; entries: OrderedPages<Entry> };
  #others: StoredIndex[] = [];
  readonly #series = new SeriesRows();

  constructor(
    database: Database,
    schema: Pick<TableSchema, "objectId" | "schema" | "name" | "createDate" | "columns">,
  ) {
    this.database = database;
    this.objectId = schema.objectId;
    this.schema = schema.schema;
    this.name = schema.name;
    this.createDate = schema.createDate;
    this.modifyDate = schema.createDate;
    this.columns = schema.columns;
    this.#clustered = { definition: null, comparers: [], entries: new OrderedPages<Entry>(() => 0) };
  }

  /** "dbo.Persons" */
  get qualifiedName(): string {
    return `${this.schema}.${this.name}`;
  }

  get clusteredIndex(): Index | null {
    return this.#clustered.definition;
  }

  /** -1 where there is none. Names compare without case. */
  columnIndex(name: string): number {
    const wanted = name.toLowerCase();
    return this.columns.findIndex((column) => column.name === name || column.name.toLowerCase() === wanted);
  }

  // ---------------------------------------------------------------- reading

  /** Visible rows of a range, in index order. */
  rows(snapshot: Snapshot, range: Range = {}): Generator<Row> {
    return rowsOfPieces(this.pieces(snapshot, range));
  }

  /** The same, rows of series in blocks where that can be. */
  *pieces(snapshot: Snapshot, range: Range = {}): Generator<Row | RowBlock> {
    const next = this.reader(range, snapshot);
    for (let found = next(); found; found = next()) {
      if ("rows" in found) {
        const descending = range.descending === true;
        yield* piecesOf(found, this.columns.length, descending);
        continue;
      }
      const row = visible(found.entry, snapshot);
      if (row !== null && (found.row === null || this.sameKey(range.index!, row, found.row))) yield row;
    }
  }

  /** Visible entries of a range with the row that the snapshot sees. */
  *entries(snapshot: Snapshot, range: Range = {}): Generator<{ entry: Entry; row: Row }> {
    const next = this.cursor(range);
    for (let found = next(); found; found = next()) {
      const row = visible(found.entry, snapshot);
      if (row !== null && (found.row === null || this.sameKey(range.index!, row, found.row)))
        yield { entry: found.entry, row };
    }
  }

  /**
   * All entries of a range, visible or not, in index order; `row` is the key that an item of a non-clustered index stands
   * for (the visible version must have it), null in the clustered one. The object that is given is the same each time.
   */
  cursor(range: Range): () => Found | undefined {
    if (this.hasSeries) {
      if (!this.followedBySeries(range.index))
        this.#series.extractWhere(probeOf(range.index!, this.#stored(range.index!).comparers, range), this.#put);
      return this.#mixed(range, null) as () => Found | undefined;
    }
    const { index } = range;
    if (!index || index === this.#clustered.definition) {
      const probe = probeOf(this.#clustered.definition, this.#clustered.comparers, range);
      const next: Cursor<Entry> = this.#clustered.entries.cursor(probe, range.descending);
      const found: Found = { entry: undefined as unknown as Entry, row: null };
      return () => {
        const entry = next();
        if (!entry) return undefined;
        found.entry = entry;
        return found;
      };
    }
    const stored = this.#stored(index);
    const next = stored.items.cursor(probeOf(index, stored.comparers, range), range.descending);
    const found: Found = { entry: undefined as unknown as Entry, row: null };
    return () => {
      const item = next();
      if (!item) return undefined;
      found.entry = item.entry;
      found.row = item.keyRow;
      return found;
    };
  }

  /** As `cursor`, for those who only read: rows of series that the snapshot sees come as stretches. */
  reader(range: Range, snapshot: Snapshot): () => Found | Stretch | undefined {
    return this.hasSeries ? this.#mixed(range, snapshot) : this.cursor(range);
  }

  /** `snapshot` null: for entries only. */
  #mixed(range: Range, snapshot: Snapshot | null): () => Found | Stretch | undefined {
    const index = range.index ?? this.#clustered.definition;
    const clustered = index === this.#clustered.definition;
    const { comparers, pages } = clustered
      ? { comparers: this.#clustered.comparers, pages: this.#clustered.entries as OrderedPages<Entry | IndexItem> }
      : { comparers: this.#stored(index!).comparers, pages: this.#stored(index!).items };
    const probe = probeOf(index, comparers, range);
    const compare = rowOrder(index, comparers);
    const series = this.#series;
    const follow = series.follow(index);
    const next = mixedCursor(
      {
        pages,
        compare,
        columns: index?.columns.map(({ column }) => column) ?? [],
        parts: () => (follow ? series.seen(snapshot) : series.sorted(snapshot, probe, compare)),
        extractions: () => series.extractions,
      },
      probe,
      range.descending === true,
      snapshot ? undefined : (part, from, to) => series.extract(part, from, to, this.#put),
    );
    const found: Found = { entry: undefined as unknown as Entry, row: null };
    return () => {
      const item = next();
      if (!item || "rows" in item) return item;
      found.entry = clustered ? (item as Entry) : (item as IndexItem).entry;
      found.row = clustered ? null : item.keyRow;
      return found;
    };
  }

  sameKey(index: Index, a: Row, b: Row): boolean {
    if (a === b) return true;
    const comparers = index === this.#clustered.definition ? this.#clustered.comparers : this.#stored(index).comparers;
    return comparers.every((compare, i) => compare(a[index.columns[i]!.column]!, b[index.columns[i]!.column]!) === 0);
  }

  #stored(index: Index): StoredIndex {
    const stored = this.#others.find((other) => other.definition === index);
    if (!stored) throw new Error(`${this.qualifiedName} has no index ${index.name}`);
    return stored;
  }

  // ---------------------------------------------------------------- writing (called by Transaction only)

  /** Puts a new entry into all indexes. */
  attach(row: Row, owner: Transaction): Entry {
    const entry = new Entry(this.#nextEntry++, row);
    entry.owner = owner;
    this.#clustered.entries.insert(entry);
    this.index(entry, row);
    return entry;
  }

  /** A committed row that is read back, under the number that its entry had. */
  load(id: number, row: Row): void {
    const entry = new Entry(id, row);
    entry.seq = 0;
    this.#nextEntry = Math.max(this.#nextEntry, id + 1);
    this.#clustered.entries.insert(entry);
    this.index(entry, row);
    this.rowCount++;
  }

  /** Takes an entry out of all indexes, with the keys of the given rows. */
  detach(entry: Entry, rows: Row[]): void {
    this.#clustered.entries.remove(entry);
    for (const stored of this.#others)
      for (const row of rows) stored.items.remove({ keyRow: row, id: entry.id, entry });
  }

  /** Makes the non-clustered indexes know the key that `row` has. */
  index(entry: Entry, row: Row): void {
    for (const stored of this.#others) stored.items.insert({ keyRow: row, id: entry.id, entry });
  }

  /** Forgets the keys of `row`, unless a version that is left has them. */
  unindex(entry: Entry, row: Row): void {
    for (const stored of this.#others) {
      let needed = false;
      for (let version: Version | null = entry; version && !needed; version = version.older)
        needed = version.row !== null && this.sameKey(stored.definition, version.row, row);
      if (!needed) stored.items.remove({ keyRow: row, id: entry.id, entry });
    }
  }

  /** Whether a row with another clustered key is another entry. */
  movesClusteredKey(before: Row, after: Row): boolean {
    return this.#clustered.definition !== null && !this.sameKey(this.#clustered.definition, before, after);
  }

  // ---------------------------------------------------------------- rows of series

  /** Adds all rows of a series, visible from the commit `seq` on. Its keys must be new to the table. */
  addSeries(series: Series, seq: number): void {
    if (!series.follows(this.#clustered.definition))
      throw new Error(`the rows are not in the order of ${this.qualifiedName}`);
    this.#series.add(series, this.#nextEntry, seq);
    this.#nextEntry += series.length;
    this.rewrites++;
    this.rowCount += series.length;
  }

  get hasSeries(): boolean {
    return !this.#series.empty;
  }

  /** Every committed row with the number of its entry, in no order. */
  *committedRows(): Generator<[entry: number, row: Row]> {
    const next = this.#clustered.entries.cursor(() => 0);
    for (let entry = next(); entry; entry = next()) {
      const row = committedRow(entry);
      if (row) yield [entry.id, row];
    }
    yield* this.#series.all();
  }

  /** Whether an index can be read without sorting what the table has of series. */
  followedBySeries(index: Index | null | undefined): boolean {
    return this.#series.follow(index ?? this.#clustered.definition);
  }

  /** A row of a series as an entry. */
  readonly #put = (id: number, row: Row, seq: number): void => {
    const entry = new Entry(id, row);
    entry.seq = seq;
    this.#clustered.entries.insert(entry);
    this.index(entry, row);
  };

  // ---------------------------------------------------------------- structure

  /** Adds an index and fills it from the rows. Uniqueness is the caller's to check first (`duplicate`). */
  addIndex(index: Index): void {
    this.indexes = [...this.indexes, index].sort((a, b) => a.indexId - b.indexId);
    this.#structureChanged();
    if (index.clustered) this.rebuild();
    else this.#addStored(index);
  }

  dropIndex(index: Index): void {
    this.indexes = this.indexes.filter((other) => other !== index);
    this.#structureChanged();
    if (index.clustered) this.rebuild();
    else this.#others = this.#others.filter((other) => other.definition !== index);
  }

  /**
   * Sorts everything anew: after the clustered index, or columns, changed. `convert` gives each row's new form; it is applied
   * to every version.
   */
  rebuild(convert?: (row: Row) => Row): void {
    this.#series.extractWhere(() => 0, this.#put);
    const entries: Entry[] = [];
    const next = this.#clustered.entries.cursor(() => 0);
    for (let entry = next(); entry; entry = next()) entries.push(entry);
    // A conversion that fails must find everything as it was.
    const made = new Map<Version, Row>();
    const keys = new Map<Entry, Row>();
    for (const entry of convert ? entries : []) {
      for (let version: Version | null = entry; version; version = version.older)
        if (version.row) made.set(version, convert!(version.row));
      keys.set(entry, made.get(entry) ?? convert!(entry.keyRow));
    }
    if (convert) this.rewrites++;
    for (const [version, row] of made) version.row = row;
    for (const [entry, row] of keys) entry.keyRow = row;
    const clustered = this.indexes.find((index) => index.clustered) ?? null;
    const comparers = clustered ? this.#comparers(clustered) : [];
    this.#clustered = { definition: clustered, comparers, entries: new OrderedPages(rowOrder(clustered, comparers)) };
    for (const entry of entries) this.#clustered.entries.insert(entry);
    this.#others = [];
    for (const index of this.indexes) if (!index.clustered) this.#addStored(index);
    this.#structureChanged();
  }

  /** Raised by whoever changes the definition: what was compiled for this table is no longer right. */
  get schemaVersion(): number {
    return this.#schemaVersion;
  }

  set schemaVersion(version: number) {
    this.#schemaVersion = version;
    if (!this.temporary) this.database.engine.schemaVersion++;
  }

  #structureChanged(): void {
    this.schemaVersion++;
  }

  #addStored(index: Index): void {
    const comparers = this.#comparers(index);
    const stored: StoredIndex = { definition: index, comparers, items: new OrderedPages(rowOrder(index, comparers)) };
    this.#others.push(stored);
    const next = this.#clustered.entries.cursor(() => 0);
    for (let entry = next(); entry; entry = next())
      for (let version: Version | null = entry; version; version = version.older)
        if (version.row) stored.items.insert({ keyRow: version.row, id: entry.id, entry });
  }

  #comparers(index: Index): Comparer[] {
    return index.columns.map(({ column, descending }) => {
      const { type } = this.columns[column]!;
      const compare = compareNullable(comparerOf(type, type.collation ?? this.database.collation));
      return descending ? (a, b) => compare(b, a) : compare;
    });
  }
}
