/**
 * A cursor: a query whose rows are taken in portions, from where it stands.
 *
 *   declared ──open──▶ open (before the first row … on a buffer of fetched rows … behind the last) ──close──▶ declared
 *
 * - static: the rows as they were when it was opened.
 * - keyset: which rows there are is settled when it is opened; each fetch sees their values of now, or that they are gone.
 * - dynamic: each fetch sees the rows of now. Where the row that it stood on is gone, it stands between those around it.
 *
 * The latter two know each row by the stored rows that it comes from. A query whose rows are no stored rows (DISTINCT, GROUP
 * BY, UNION …) makes a static cursor, one that must be sorted a keyset cursor instead of a dynamic one.
 * https://learn.microsoft.com/sql/relational-databases/native-client-odbc-cursors/implementation/cursor-types
 * https://learn.microsoft.com/previous-versions/sql/sql-server-2008-r2/ms190641(v=sql.105) (implicit conversions)
 */
import type { Query } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { Compiler } from "../expressions/compiler.ts";
import type { SourceColumn } from "../expressions/scope.ts";
import type { Origin, Plan } from "../query/plan.ts";
import { compileQuery } from "../query/query.ts";
import { Activation, Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Executor } from "../statements/executor.ts";
import { deliver } from "../statements/queries.ts";
import type { Database } from "../storage.ts";
import type { Entry, Table } from "../table.ts";
import type { Session } from "../user-session.ts";
import { comesInOrder, withoutConditions } from "./queries.ts";

export type CursorKind = "static" | "keyset" | "dynamic";
export type FetchType = "next" | "prior" | "first" | "last" | "absolute" | "relative" | "refresh" | "prior alone";

export interface CursorOptions {
  kind: CursorKind;
  scroll: boolean;
  readOnly: boolean;
  /** What a positioned change does about rows that others have changed since they were fetched. */
  concurrency: "optimistic" | "scroll locks";
  /** FOR UPDATE OF: the columns that may be; null for all. */
  columns: string[] | null;
}

/** A row of the result, with the stored rows that it comes from. */
interface CursorRow {
  values: Row;
  entries: (Entry | null)[];
  /** The versions that were read. */
  versions: (Row | null)[];
}

/** A fetched row; `missing`: a keyset's row that is gone. */
export interface Fetched {
  values: Row;
  missing: boolean;
}

interface Opened {
  plan: Plan;
  kind: CursorKind;
  rows: CursorRow[];
  /** Of a keyset cursor: its rows whatever their values are now. */
  refresh: Plan | null;
  schemaVersion: number;
  /** What the rows were read of. */
  stamp: string;
  /** The buffer: the place of its first row and their number. Before the first row: 0 and 0; behind the last: all and 0. */
  first: number;
  size: number;
  buffer: CursorRow[];
}

export class Cursor {
  readonly options: CursorOptions;
  readonly query: Query;
  readonly #activation: Activation;
  readonly #database: Database;
  #opened: Opened | null = null;
  /** Which row of the buffer a positioned change means. */
  position = 0;

  /** Variables of the query have the values for good that they have now. */
  constructor(query: Query, options: CursorOptions, { session, activation }: Pick<Executor, "session" | "activation">) {
    this.query = query;
    this.options = options;
    this.#database = session.currentDatabase;
    this.#activation = new Activation(null, activation.procedure);
    for (const [name, { type, value }] of activation.variables) this.#activation.variables.set(name, { type, value });
    for (const [name, table] of activation.tableVariables) this.#activation.tableVariables.set(name, table);
  }

  /** An open one of rows that are there already: a procedure's. */
  static of(columns: SourceColumn[], rows: Row[], executor: Executor): Cursor {
    const query: Query = {
      ctes: [],
      body: { kind: "select", distinct: false, items: [], from: [], groupBy: [] },
      orderBy: [],
      options: [],
    };
    const options: CursorOptions = {
      kind: "static",
      scroll: true,
      readOnly: true,
      concurrency: "optimistic",
      columns: null,
    };
    const cursor = new Cursor(query, options, executor);
    const plan: Plan = { columns, reach: 0, open: () => rows };
    const held = rows.map((values): CursorRow => ({ values, entries: [], versions: [] }));
    const { session } = executor;
    const state = {
      refresh: null,
      schemaVersion: session.engine.schemaVersion,
      stamp: "",
      first: 0,
      size: 0,
      buffer: [],
    };
    cursor.#opened = { plan, kind: "static", rows: held, ...state };
    session.openCursors.add(cursor);
    return cursor;
  }

  get isOpen(): boolean {
    return this.#opened !== null;
  }

  get columns(): SourceColumn[] {
    return this.#open().plan.columns;
  }

  /** What it has become. */
  get kind(): CursorKind {
    return this.#open().kind;
  }

  get updatable(): boolean {
    return !this.options.readOnly && this.kind !== "static";
  }

  /** The tables that its rows come from. */
  get origins(): Origin[] {
    return this.#open().plan.origins ?? [];
  }

  /** -1 for a dynamic cursor, which cannot know. */
  get rowCount(): number {
    const { kind, rows } = this.#open();
    return kind === "dynamic" ? -1 : rows.length;
  }

  /** The place of the buffer's first row, from 1; 0 where there is none. */
  get rowNumber(): number {
    const { first, size } = this.#open();
    return size === 0 ? 0 : first + 1;
  }

  get bufferSize(): number {
    return this.#open().size;
  }

  async open(executor: Executor): Promise<void> {
    if (this.#opened) throw new SqlError(16905, "The cursor is already open.", 16, 1);
    const { session } = executor;
    const compiler = new Compiler(session, this.#activation, this.#database);
    const plan = compileQuery(this.query, null, compiler, { traced: true });
    const opened: Opened = {
      plan,
      kind: plan.origins?.length ? this.options.kind : "static",
      rows: await this.#read(executor, plan),
      refresh: null,
      schemaVersion: session.engine.schemaVersion,
      stamp: stampOf(session),
      first: 0,
      size: 0,
      buffer: [],
    };
    const keys = new Set(opened.rows.map(keyOf));
    if (keys.size < opened.rows.length) opened.kind = "static";
    if (opened.kind === "dynamic" && !comesInOrder(this.query, plan)) opened.kind = "keyset";
    if (opened.kind === "keyset")
      opened.refresh = compileQuery(withoutConditions(this.query), null, compiler, { traced: true });
    if (this.options.concurrency === "scroll locks" && session.currentTransaction)
      for (const { table } of plan.origins ?? [])
        await session.lock(table, session.currentTransaction, "U", executor.signal);
    this.#opened = opened;
    session.openCursors.add(this);
  }

  close(): void {
    this.#open();
    this.#opened = null;
  }

  /** `count`: how many rows; `n`: of ABSOLUTE and RELATIVE. */
  async fetch(executor: Executor, type: FetchType, count: number, n = 0): Promise<Fetched[]> {
    const opened = this.#open();
    if (opened.kind !== "static" && opened.schemaVersion !== executor.session.engine.schemaVersion)
      throw new SqlError(
        16943,
        "Could not complete cursor operation because the table schema changed after the cursor was declared.",
        16,
        4,
      );
    const missing = await this.#refresh(executor, opened);
    const { rows } = opened;
    const wanted = type === "refresh" ? opened.size : type === "prior alone" ? Math.min(count, opened.first) : count;
    const start = startOf(type, wanted, n, opened);
    opened.first = Math.max(0, Math.min(start, rows.length));
    opened.buffer = start < 0 ? [] : rows.slice(start, start + wanted);
    opened.size = opened.buffer.length;
    this.position = 0;
    return opened.buffer.map((row) => ({ values: row.values, missing: missing.has(row) }));
  }

  /**
   * The stored row of a table that a positioned change is about, which `changed` is to be told of. `own`: it was changed through
   * the cursor just now.
   */
  current(table: Table, own = false): { entry: Entry; changed(entry: Entry): void } {
    const { buffer, plan } = this.#open();
    if (!this.updatable) throw new SqlError(16929, "The cursor is READ ONLY.", 16, 1);
    const row = buffer[this.position];
    if (!row) throw new SqlError(16931, "There are no rows in the current fetch buffer.", 16, 1);
    const place = plan.origins!.findIndex((origin) => origin.table === table);
    if (place < 0)
      throw new SqlError(
        16933,
        "The cursor does not include the table being modified or the table is not updatable through the cursor.",
        16,
        1,
      );
    const entry = row.entries[place];
    if (!entry?.row) throw new SqlError(16930, "The requested row is not in the fetch buffer.", 16, 1);
    if (!own && entry.row !== row.versions[place])
      throw new SqlError(
        16934,
        "Optimistic concurrency check failed. The row was modified outside of this cursor.",
        16,
        1,
      );
    const changed = (now: Entry) => {
      if (now === entry) row.versions[place] = now.row;
    };
    return { entry, changed };
  }

  #open(): Opened {
    if (!this.#opened) throw new SqlError(16917, "Cursor is not open.", 16, 1);
    return this.#opened;
  }

  async #read(executor: Executor, plan: Plan): Promise<CursorRow[]> {
    const { session, signal } = executor;
    const places = plan.origins?.map(({ place }) => place) ?? [];
    const width = plan.columns.length;
    const rows: CursorRow[] = [];
    const snapshot = session.openSnapshot(session.currentTransaction);
    try {
      const run = new Run(session, this.#activation, snapshot, signal, this.#database);
      await deliver(executor, plan, run, (row) => {
        const entries = places.map((place) => (row[place] ?? null) as unknown as Entry | null);
        const versions = entries.map((entry) => entry?.row ?? null);
        rows.push({ values: row.length > width ? row.slice(0, width) : row, entries, versions });
      });
    } finally {
      session.closeSnapshot(snapshot);
    }
    return rows;
  }

  /** Brings the rows up to date where anything has changed; tells which of a keyset are gone. */
  async #refresh(executor: Executor, opened: Opened): Promise<Set<CursorRow>> {
    const missing = new Set<CursorRow>();
    if (opened.kind === "static") return missing;
    const stamp = stampOf(executor.session);
    if (opened.kind === "dynamic") {
      if (stamp === opened.stamp) return missing;
      const before = opened.rows;
      opened.rows = await this.#read(executor, opened.plan);
      reposition(opened, before);
    } else {
      if (stamp !== opened.stamp) {
        const now = new Map((await this.#read(executor, opened.refresh!)).map((row) => [keyOf(row), row]));
        for (const row of opened.rows) {
          const found = now.get(keyOf(row));
          if (found) Object.assign(row, found);
          else row.versions = row.versions.map(() => null);
        }
      }
      for (const row of opened.rows) if (row.versions.every((version) => version === null)) missing.add(row);
    }
    opened.stamp = stamp;
    return missing;
  }
}

function keyOf({ entries }: CursorRow): string {
  return entries.map((entry) => entry?.id ?? "").join(",");
}

/** Another one when data that the session sees may be other data. */
function stampOf({ engine, currentTransaction }: Session): string {
  return `${engine.versions.sequence} ${currentTransaction?.id ?? ""} ${currentTransaction?.weight ?? ""}`;
}

/** Where a dynamic cursor stands in the new rows: behind the last row of its buffer, or where that was. */
function reposition(opened: Opened, before: CursorRow[]): void {
  const { first, size, rows } = opened;
  if (size === 0) {
    if (first > 0) opened.first = rows.length;
    return;
  }
  const places = new Map(rows.map((row, i) => [keyOf(row), i]));
  const placeOf = (row: CursorRow | undefined) => (row ? places.get(keyOf(row)) : undefined);
  const last = placeOf(before[first + size - 1]);
  const following = before.slice(first + size).find((row) => placeOf(row) !== undefined);
  const preceding = before.slice(0, first + size).findLast((row) => placeOf(row) !== undefined);
  const next = last !== undefined ? last + 1 : (placeOf(following) ?? (placeOf(preceding) ?? -1) + 1);
  opened.first = Math.min(placeOf(before[first]) ?? next, next);
  opened.size = next - opened.first;
}

/**
 * Where a buffer begins that would begin before the first row: there, if it would still have rows.
 * https://learn.microsoft.com/sql/odbc/reference/syntax/sqlfetchscroll-function#cursor-positioning-rules
 */
function startOf(type: FetchType, count: number, n: number, { first, size, rows }: Opened): number {
  const total = rows.length;
  switch (type) {
    case "next":
      return first + size;
    case "prior":
    // The rows before the buffer and no others, however few they are.
    case "prior alone":
      return first === 0 ? -1 : Math.max(0, first - count);
    case "first":
      return 0;
    case "last":
      return Math.max(0, total - count);
    case "absolute":
      if (n >= 0) return n - 1;
      return total + n < 0 && -n <= count ? 0 : total + n;
    case "relative":
      // Before the first row stands a place of its own.
      if (size === 0 && first === 0) return n - 1;
      return first > 0 && first + n < 0 && -n <= count ? 0 : first + n;
    case "refresh":
      return first;
  }
}
