/**
 * A transaction: the rows that it locked and changed, how to undo that, and what it writes to the log.
 *
 *   active ──commit──▶ committed
 *     │ error under XACT_ABORT or in TRY ──▶ doomed (only ROLLBACK is allowed)
 *     └──rollback──▶ rolled back
 *
 * Whoever waits for one of its rows waits for `ended`. Everything here happens without yielding, so that a commit is seen
 * whole or not at all. Only changes of tables that CDC tracks are logged.
 */
import type { LoggedTransaction, LogRecord, Row } from "./database.ts";
import { lockTimeout } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Database } from "./storage.ts";
import { type Entry, PENDING, type Snapshot, type Table } from "./table.ts";
import type { Session } from "./user-session.ts";
import type { VersionStore } from "./versions.ts";

export type Isolation = "read uncommitted" | "read committed" | "repeatable read" | "snapshot" | "serializable";

interface RowUndo {
  table: Table;
  entry: Entry;
  /** The version before; undefined when the entry was new. */
  row: Row | null | undefined;
  seq: number;
}

type Undo = RowUndo | (() => void);

interface LogPart {
  beginLsn: bigint;
  records: LogRecord[];
  ddl: LoggedTransaction["ddl"];
}

/** Where a statement or a savepoint began. */
export interface Mark {
  undo: number;
  /** Row locks, and what ends with the transaction. */
  locked: number;
  ends: number;
  log: Map<Database, { records: number; ddl: number }>;
}

export class Transaction {
  readonly id: bigint;
  /** null: the system's own. */
  readonly session: Session | null;
  readonly name: string;
  readonly isolation: Isolation;
  readonly beginTime: Date;
  state: "active" | "committed" | "rolled back" = "active";
  doomed = false;
  /** A statement in it may have changed something that is no row. */
  changesDefinitions = false;
  /** Set by the session while this statement's changes are numbered for the log. */
  command = 0;
  /** A SNAPSHOT transaction's view, from its first read on. */
  snapshot: Snapshot | null = null;
  /** Run when it ends, in order: locks, application locks. */
  readonly onEnd: (() => void)[] = [];
  readonly savepoints = new Map<string, Mark>();
  readonly #versions: VersionStore;
  readonly #journal: Journal | undefined;
  readonly #undo: Undo[] = [];
  readonly #locked: Entry[] = [];
  readonly #log = new Map<Database, LogPart>();
  #ended: Promise<void> | null = null;
  #resolveEnded: (() => void) | null = null;

  constructor(
    versions: VersionStore,
    options: { id: bigint; session: Session | null; name: string; isolation: Isolation; beginTime: Date },
    journal?: Journal,
  ) {
    this.#versions = versions;
    this.#journal = journal;
    this.id = options.id;
    this.session = options.session;
    this.name = options.name;
    this.isolation = options.isolation;
    this.beginTime = options.beginTime;
  }

  /** How much there is to undo: the cheaper one becomes the victim of a deadlock. */
  get weight(): number {
    return this.#undo.length;
  }

  get hasChanges(): boolean {
    return this.#undo.length > 0;
  }

  get ended(): Promise<void> {
    this.#ended ??=
      this.state === "active" ? new Promise((resolve) => (this.#resolveEnded = resolve)) : Promise.resolve();
    return this.#ended;
  }

  // ---------------------------------------------------------------- changes

  /** False when another transaction holds the row: wait for its end and look again. */
  lock(entry: Entry): boolean {
    if (entry.owner === this) return true;
    if (entry.owner !== null) return false;
    entry.owner = this;
    this.#locked.push(entry);
    return true;
  }

  insert(table: Table, row: Row): Entry {
    if (table.trackedByCdc) for (const check of table.database.hooks.beforeTrackedWrite) check(table, row, null);
    const entry = table.attach(row, this);
    this.#locked.push(entry);
    this.#undo.push({ table, entry, row: undefined, seq: PENDING });
    if (table.trackedByCdc) this.#record(table, "insert", null, row, false);
    return entry;
  }

  /** The row must be locked. */
  delete(table: Table, entry: Entry): void {
    const before = entry.row;
    this.#change(table, entry, null);
    if (table.trackedByCdc) this.#record(table, "delete", before, null, false);
  }

  /** The row must be locked. Resolves to the entry that now holds the row. */
  update(table: Table, entry: Entry, row: Row): Entry {
    const before = entry.row!;
    if (table.trackedByCdc) for (const check of table.database.hooks.beforeTrackedWrite) check(table, row, before);
    let result = entry;
    if (table.movesClusteredKey(before, row)) {
      this.#change(table, entry, null);
      result = table.attach(row, this);
      this.#locked.push(result);
      this.#undo.push({ table, entry: result, row: undefined, seq: PENDING });
    } else {
      this.#change(table, entry, row);
      table.index(entry, row);
    }
    if (table.trackedByCdc) {
      const keyChanged = table.indexes.some((index) => index.unique && !table.sameKey(index, before, row));
      this.#record(table, "update", before, row, keyChanged);
    }
    return result;
  }

  /** For changes that are no rows (DDL): how to undo them. */
  onRollback(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** A DDL statement on a tracked table, for cdc.ddl_history. */
  logDdl(table: Table, command: string, time: Date): void {
    const part = this.#part(table.database);
    part.ddl.push({ lsn: table.database.lsn.append(200), objectId: table.objectId, command, time });
  }

  #change(table: Table, entry: Entry, row: Row | null): void {
    this.#undo.push({ table, entry, row: entry.row, seq: entry.seq });
    if (entry.seq !== PENDING) entry.older = { row: entry.row, seq: entry.seq, older: entry.older };
    entry.row = row;
    entry.seq = PENDING;
  }

  #part(database: Database): LogPart {
    let part = this.#log.get(database);
    if (!part) {
      part = { beginLsn: database.lsn.append(124), records: [], ddl: [] };
      this.#log.set(database, part);
    }
    return part;
  }

  #record(table: Table, kind: LogRecord["kind"], before: Row | null, after: Row | null, keyChanged: boolean): void {
    const part = this.#part(table.database);
    const lsn = table.database.lsn.append(100 + 16 * table.columns.length);
    const record: LogRecord = { lsn, objectId: table.objectId, kind, before, after, keyChanged, command: this.command };
    if (keyChanged) record.insertLsn = table.database.lsn.append(100 + 16 * table.columns.length);
    part.records.push(record);
  }

  // ---------------------------------------------------------------- marks

  mark(): Mark {
    const log = new Map<Database, { records: number; ddl: number }>();
    for (const [database, part] of this.#log) log.set(database, { records: part.records.length, ddl: part.ddl.length });
    return { undo: this.#undo.length, locked: this.#locked.length, ends: this.onEnd.length, log };
  }

  /**
   * To a savepoint: undoes what came after it, and "releases any locks that are acquired beyond the savepoint, with the exception of
   * escalations and conversions". https://learn.microsoft.com/sql/t-sql/language-elements/rollback-transaction-transact-sql
   */
  rollbackToSavepoint(mark: Mark): void {
    this.rollbackTo(mark);
    for (const entry of this.#locked.splice(mark.locked)) entry.owner = null;
    for (const end of this.onEnd.splice(mark.ends)) end();
    // Who waits for one of those rows looks again.
    this.#resolveEnded?.();
    this.#resolveEnded = null;
    this.#ended = null;
  }

  /** Undoes what came after the mark. Locks stay. */
  rollbackTo(mark: Mark): void {
    while (this.#undo.length > mark.undo) undoOne(this.#undo.pop()!);
    for (const [database, part] of this.#log) {
      const at = mark.log.get(database);
      part.records.length = at?.records ?? 0;
      part.ddl.length = at?.ddl ?? 0;
    }
  }

  // ---------------------------------------------------------------- end

  /** Makes all changes visible at once and appends them to the logs; with a journal, durable as well. */
  commit(now: Date): void {
    this.#journal?.begin();
    try {
      this.#commit(now);
    } finally {
      this.#journal?.end();
    }
  }

  #commit(now: Date): void {
    if (this.changesDefinitions) this.#journal?.definitionsChanged();
    const seq = this.#versions.nextCommit();
    for (const undo of this.#undo) {
      if (typeof undo === "function") {
        this.#journal?.definitionsChanged();
        continue;
      }
      const { table, entry } = undo;
      this.#journal?.row(table, entry);
      if (entry.seq === PENDING) {
        entry.seq = seq;
        const was = committedBefore(entry);
        table.rowCount += (entry.row === null ? 0 : 1) - (was ? 1 : 0);
        // An entry that was born and died in this transaction has no version that says which keys to forget.
        if (entry.row === null) this.#versions.discard(table, entry, entry.keyRow, seq);
      }
      if (undo.row) this.#versions.discard(table, entry, undo.row, seq);
    }
    const logged: { database: Database; transaction: LoggedTransaction }[] = [];
    for (const [database, { beginLsn, records, ddl }] of this.#log) {
      if (records.length === 0 && ddl.length === 0) continue;
      const commitLsn = database.lsn.append(84);
      database.lsn.flush();
      const times = { beginTime: this.beginTime, commitTime: now };
      logged.push({ database, transaction: { beginLsn, commitLsn, ...times, transactionId: this.id, records, ddl } });
    }
    this.#end("committed");
    for (const { database, transaction } of logged) database.appendLog(transaction);
  }

  rollback(): void {
    while (this.#undo.length > 0) undoOne(this.#undo.pop()!);
    if (this.changesDefinitions) this.#journal?.definitionsChanged();
    this.#end("rolled back");
  }

  #end(state: "committed" | "rolled back"): void {
    this.state = state;
    for (const entry of this.#locked) entry.owner = null;
    this.#locked.length = 0;
    if (this.snapshot) this.#versions.release(this.snapshot);
    this.snapshot = null;
    this.#versions.collect();
    for (const end of this.onEnd) end();
    this.#resolveEnded?.();
  }
}

function committedBefore(entry: Entry): boolean {
  return entry.older !== null && entry.older.row !== null;
}

function undoOne(undo: Undo): void {
  if (typeof undo === "function") {
    undo();
    return;
  }
  const { table, entry, row, seq } = undo;
  const undone = entry.row;
  if (row === undefined) {
    table.detach(entry, [entry.keyRow]);
    if (undone && undone !== entry.keyRow) table.detach(entry, [undone]);
    return;
  }
  entry.row = row;
  entry.seq = seq;
  if (seq !== PENDING) entry.older = entry.older!.older;
  if (undone) table.unindex(entry, undone);
}

/**
 * What capture, cleanup and the catalogue write with: a transaction of the system's own that runs without waiting and becomes
 * visible in one go. A row that a user's transaction holds makes it fail (error 1222) and undoes it all.
 */
export class SystemTransaction {
  readonly #transaction: Transaction;
  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }
  insert(table: Table, row: Row): Entry {
    return this.#transaction.insert(table, row);
  }
  update(table: Table, entry: Entry, row: Row): Entry {
    this.#lock(entry);
    return this.#transaction.update(table, entry, row);
  }
  delete(table: Table, entry: Entry): void {
    this.#lock(entry);
    this.#transaction.delete(table, entry);
  }
  /** What it sees: everything committed, and its own changes. */
  get snapshot(): Snapshot {
    return { seq: Number.MAX_SAFE_INTEGER, transaction: this.#transaction };
  }
  onRollback(undo: () => void): void {
    this.#transaction.onRollback(undo);
  }
  #lock(entry: Entry): void {
    if (!this.#transaction.lock(entry)) throw lockTimeout();
  }
}
