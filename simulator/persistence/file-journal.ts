/**
 * Writes what is committed to the data file, each commit in one transaction of the file, before it is acknowledged.
 *
 * Rows are written as the commit tells of them. Definitions are not told of one by one: when one may have changed, all are
 * described anew (catalog/definitions.ts) and those whose text is another are written. A table whose rows were all rewritten (ALTER
 * TABLE), or that is new, is written whole. Objects that a transaction which is still open has changed wait for its end.
 */
import { definitionsOf, objectIdOf } from "../catalog/definitions.ts";
import type { Engine } from "../engine/engine.ts";
import type { Journal } from "../engine/journal.ts";
import type { Database } from "../engine/storage.ts";
import { committedRow, type Entry, type Table } from "../engine/table.ts";
import type { Transaction } from "../engine/transactions.ts";
import { encode } from "./codec.ts";
import type { DataFile } from "./data-file.ts";

/** What begins empty with every start. */
const TEMPDB = 2;

/** What the file has of a database. */
class Written {
  readonly database: Database;
  readonly definitions = new Map<string, string>();
  /** By object id: which table, and after how many rewrites. */
  readonly tables = new Map<number, { table: Table; rewrites: number }>();
  /** Objects that transactions have changed, whether they have ended or not. */
  readonly claims = new Map<number, Transaction>();
  lastLogged = -1n;
  logged = 0;

  constructor(database: Database) {
    this.database = database;
    database.hooks.onDdl.push(({ objectId, transaction }) => this.claims.set(objectId, transaction));
  }

  claimed(objectId: number | undefined): boolean {
    return objectId !== undefined && this.claims.get(objectId)?.state === "active";
  }
}

export class FileJournal implements Journal {
  /** The file was empty. */
  readonly fresh: boolean;
  readonly #engine: Engine;
  readonly #file: DataFile;
  readonly #written = new Map<number, Written>();
  readonly #counters = new Map<string, string>();
  #rows = new Map<Table, Set<Entry>>();
  #dirty = true;
  #depth = 0;
  #failure: Error | null = null;

  /** `fresh`: the file is empty. Otherwise the engine has just been read from it. */
  constructor(engine: Engine, file: DataFile, fresh: boolean) {
    this.fresh = fresh;
    this.#engine = engine;
    this.#file = file;
    if (!fresh) for (const database of this.#databases()) this.#know(database);
    this.settle();
  }

  begin(): void {
    if (this.#failure) throw this.#failure;
    this.#depth++;
  }

  row(table: Table, entry: Entry): void {
    if (table.temporary || table.database.id === TEMPDB) return;
    let entries = this.#rows.get(table);
    if (!entries) this.#rows.set(table, (entries = new Set()));
    entries.add(entry);
  }

  definitionsChanged(): void {
    this.#dirty = true;
  }

  end(): void {
    if (--this.#depth === 0 && (this.#rows.size > 0 || this.#dirty || this.#logMoved())) this.#flush();
  }

  settle(): void {
    if (this.#depth === 0 && (this.#dirty || this.#countersMoved())) this.#flush();
  }

  close(): void {
    if (!this.#failure) this.settle();
    this.#failure = new Error("the simulator is closed");
    this.#file.close();
  }

  #databases(): Database[] {
    return [...this.#engine.databases.values()].filter(({ id }) => id !== TEMPDB);
  }

  #flush(): void {
    if (this.#failure) throw this.#failure;
    const rows = this.#rows;
    this.#rows = new Map();
    try {
      this.#file.transaction(() => {
        const rewritten = this.#dirty ? this.#writeDefinitions() : new Set<Table>();
        this.#dirty = false;
        for (const [table, entries] of rows) if (!rewritten.has(table)) this.#writeRows(table, entries);
        for (const written of this.#written.values()) this.#writeLog(written);
        this.#writeCounters();
      });
    } catch (error) {
      // Memory is ahead of the file: nothing may be acknowledged any more.
      this.#failure = new Error(`${this.#file.path} could not be written: ${(error as Error).message}`, {
        cause: error,
      });
      throw this.#failure;
    }
  }

  // ---------------------------------------------------------------- rows

  #writeRows(table: Table, entries: Iterable<Entry>): void {
    const { database, objectId } = table;
    const written = this.#written.get(database.id);
    // Of a table that is gone, or whose making is not committed: written whole when it is.
    if (written?.tables.get(objectId)?.table !== table) return;
    for (const entry of entries) {
      const row = committedRow(entry);
      if (row === null)
        this.#file.run(
          "DELETE FROM rows WHERE database = ? AND object = ? AND entry = ?",
          database.id,
          objectId,
          entry.id,
        );
      else this.#writeRow(table, entry.id, row);
    }
  }

  #writeRow({ database, objectId }: Table, entry: number, row: readonly unknown[]): void {
    this.#file.run("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", database.id, objectId, entry, encode(row));
  }

  #writeAllRows(table: Table): void {
    this.#file.run("DELETE FROM rows WHERE database = ? AND object = ?", table.database.id, table.objectId);
    for (const [entry, row] of table.committedRows()) this.#writeRow(table, entry, row);
  }

  // ---------------------------------------------------------------- definitions

  /** Gives the tables that were written whole. */
  #writeDefinitions(): Set<Table> {
    const rewritten = new Set<Table>();
    const databases = this.#databases();
    for (const [id, written] of this.#written) if (!databases.includes(written.database)) this.#dropDatabase(id);
    for (const database of databases) this.#writeDatabase(database, rewritten);
    const { logins, configuration } = this.#engine;
    this.#writeCounter("server", encode({ logins, configuration }));
    return rewritten;
  }

  #dropDatabase(id: number): void {
    for (const table of ["definitions", "rows", "log"]) this.#file.run(`DELETE FROM ${table} WHERE database = ?`, id);
    this.#written.delete(id);
  }

  #writeDatabase(database: Database, rewritten: Set<Table>): void {
    let written = this.#written.get(database.id);
    if (!written) this.#written.set(database.id, (written = new Written(database)));
    const definitions = definitionsOf(database);
    for (const [key, definition] of definitions) {
      const objectId = objectIdOf(key);
      if (written.claimed(objectId)) continue;
      const text = encode(definition);
      if (written.definitions.get(key) !== text) {
        this.#file.run("INSERT OR REPLACE INTO definitions VALUES (?, ?, ?)", database.id, key, text);
        written.definitions.set(key, text);
      }
      const table = key.startsWith("tables:") ? database.tables.get(objectId!) : undefined;
      if (table) this.#writeTable(written, table, rewritten);
    }
    for (const key of written.definitions.keys()) {
      const objectId = objectIdOf(key);
      if (definitions.has(key) || written.claimed(objectId)) continue;
      this.#file.run("DELETE FROM definitions WHERE database = ? AND key = ?", database.id, key);
      written.definitions.delete(key);
      if (!key.startsWith("tables:")) continue;
      this.#file.run("DELETE FROM rows WHERE database = ? AND object = ?", database.id, objectId!);
      written.tables.delete(objectId!);
    }
  }

  #writeTable(written: Written, table: Table, rewritten: Set<Table>): void {
    const known = written.tables.get(table.objectId);
    const { rewrites } = table;
    if (known?.table === table && known.rewrites === rewrites) return;
    this.#writeAllRows(table);
    rewritten.add(table);
    written.tables.set(table.objectId, { table, rewrites });
  }

  /** The file has the database as it is. */
  #know(database: Database): void {
    const written = new Written(database);
    this.#written.set(database.id, written);
    for (const [key, definition] of definitionsOf(database)) written.definitions.set(key, encode(definition));
    for (const table of database.tables.values())
      written.tables.set(table.objectId, { table, rewrites: table.rewrites });
    written.logged = database.log.length;
    written.lastLogged = database.log.at(-1)?.commitLsn ?? -1n;
  }

  // ---------------------------------------------------------------- log and counters

  /** Capture takes transactions from the log's beginning, commits add them at its end. */
  #writeLog(written: Written): void {
    const { database } = written;
    const { log } = database;
    if (log.length === 0 && written.logged === 0) return;
    const first = log[0]?.commitLsn;
    if (first === undefined) this.#file.run("DELETE FROM log WHERE database = ?", database.id);
    else this.#file.run("DELETE FROM log WHERE database = ? AND lsn < ?", database.id, lsnText(first));
    let at = log.length;
    while (at > 0 && log[at - 1]!.commitLsn > written.lastLogged) at--;
    for (const transaction of log.slice(at))
      this.#file.run(
        "INSERT INTO log VALUES (?, ?, ?)",
        database.id,
        lsnText(transaction.commitLsn),
        encode(transaction),
      );
    written.lastLogged = log.at(-1)?.commitLsn ?? written.lastLogged;
    written.logged = log.length;
  }

  #logMoved(): boolean {
    for (const { database, logged, lastLogged } of this.#written.values()) {
      const { log } = database;
      if (log.length !== logged || (log.length > 0 && log.at(-1)!.commitLsn !== lastLogged)) return true;
    }
    return false;
  }

  /** What is given out for good, though the transaction that asked is undone or is none. */
  *#givenOut(): Generator<[key: string, text: string]> {
    yield ["random", String(this.#engine.counters.random)];
    for (const database of this.#databases()) {
      for (const { objectId, next, last } of database.sequences.values())
        yield [`sequence:${database.id}:${objectId}`, encode({ next, last })];
      for (const table of database.tables.values())
        for (const { columnId, identity } of table.columns)
          if (identity) yield [`identity:${database.id}:${table.objectId}:${columnId}`, identity.next.toString()];
    }
  }

  #countersMoved(): boolean {
    for (const [key, text] of this.#givenOut()) if (this.#counters.get(key) !== text) return true;
    return false;
  }

  #writeCounters(): void {
    this.#writeCounter("engine", encode(this.#engine.counters));
    for (const { id, lsn } of this.#databases()) this.#writeCounter(`lsn:${id}`, lsnText(lsn.current));
    for (const [key, text] of this.#givenOut()) this.#writeCounter(key, text);
  }

  #writeCounter(key: string, text: string): void {
    if (this.#counters.get(key) === text) return;
    this.#file.run("INSERT OR REPLACE INTO counters VALUES (?, ?)", key, text);
    this.#counters.set(key, text);
  }
}

/** Of one length, so that texts sort as numbers do. */
export function lsnText(lsn: bigint): string {
  return lsn.toString(16).padStart(20, "0");
}
