/**
 * One SQLite file that several processes of a machine share: write-ahead log, one writer at a time, readers beside it.
 *
 * Every write goes through `write`. Writes that are asked for in the same moment run in one transaction, in the order in
 * which they were asked for, so that many senders share one fsync. node:sqlite is synchronous: a transaction never spans
 * an await, and is ended early (after about 25 ms) so that timers and sockets of this process are not starved.
 *
 * A write lock that another process holds is waited for in steps of a millisecond or an eighth of the wait so far, without
 * blocking this process; after a busy stretch the lock is left free for a moment, so that the others find a gap.
 */
import { EventEmitter } from "node:events";
import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pauseAfter, waitFor } from "../backoff.ts";
import { DStreamError } from "../errors.ts";

/**
 * What went wrong with a file.
 * - `busy`: other processes held the write lock for too long. `full`: no space. `io`: the disk failed. All worth a retry.
 * - `unusable`: damaged, not ours, from a newer dstream, or not permitted: somebody has to act.
 */
export class FileError extends DStreamError {
  readonly code = "DSTREAM_FILE";
  readonly kind: "busy" | "full" | "io" | "unusable";
  constructor(kind: FileError["kind"], message: string, options: { advice?: string; cause?: unknown } = {}) {
    super(message, options);
    this.kind = kind;
  }

  override get transient(): boolean {
    return this.kind !== "unusable";
  }
}

export interface FileSchema {
  /** In the words of an error: "the embedded queue". */
  what: string;
  /** Marks the file as holding this and nothing else: SQLite's application_id. */
  applicationId: number;
  version: number;
  /** Makes everything in an empty file. */
  create: string;
}

export interface WriteOptions {
  /** On disk, not only in the operating system's cache, when it resolves. Else a power cut may undo it, in order. */
  durable?: boolean;
  /** Tells those in this process who wait for this file (`onChange`). */
  announce?: boolean;
}

interface Job {
  work: () => unknown;
  durable: boolean;
  announce: boolean;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

const LONGEST_TRANSACTION_MS = 25;
/** Between two attempts to get the write lock. */
const LOCK_PAUSE_MS = { least: 1, most: 10 };
/**
 * The log is copied into the file and begun anew when it is longer than this. SQLite's own checkpoints only ever begin anew
 * when they happen to find nobody else at the file; with several busy processes the log would grow and grow.
 */
const LOG_PAGES = 4_096;
const LOG_BYTES = LOG_PAGES * 4_096;
/**
 * The file of the log is made short when it is longer than this, since it then holds far more than it needs. Otherwise it keeps
 * its length: to cut it and to let it grow again costs many times what copying does, and makes each commit in between dearer.
 */
const LONGEST_LOG_BYTES = 4 * LOG_BYTES;
/** How much of the file is log is told since SQLite 3.51 (https://www.sqlite.org/pragma.html#pragma_wal_checkpoint). */
const TELLS_LOG = process.versions["sqlite"]!.localeCompare("3.51", undefined, { numeric: true }) >= 0;
/** Another process was in the way of cutting it: not tried again before this. */
const LOG_RETRY_MS = 50;
/** Free pages are given back to the file system when there are more than this, a slice at a time. */
const SPARE_PAGES = 4_000;
const SHRINK_PAGES = 2_000;

/** Per path: those of this process that want to know when this process has written. */
const announcements = new EventEmitter().setMaxListeners(0);

export class SqliteFile {
  readonly path: string;
  #database: DatabaseSync;
  #what: string;
  #busyMs: number;
  #inode: number;
  #statements = new Map<string, StatementSync>();
  #jobs: Job[] = [];
  #pumping: Promise<void> | null = null;
  #durable = true;
  #heldSincePause = 0;
  #nextCut = 0;

  private constructor(path: string, database: DatabaseSync, what: string, busyMs: number) {
    this.path = path;
    this.#database = database;
    this.#what = what;
    this.#busyMs = busyMs;
    this.#inode = statSync(path).ino;
  }

  /** Opens the file, and makes it (and its folder) where it is missing. `busyMs`: how long a held write lock is waited for. */
  static async open(path: string, schema: FileSchema, options: { busyMs?: number } = {}): Promise<SqliteFile> {
    const absolute = resolve(path);
    const busyMs = options.busyMs ?? 10_000;
    const deadline = performance.now() + busyMs;
    for (;;) {
      let database: DatabaseSync | undefined;
      try {
        mkdirSync(dirname(absolute), { recursive: true });
        database = new DatabaseSync(absolute, { timeout: 100, defensive: true });
        prepareFile(database, absolute, schema);
        return new SqliteFile(absolute, database, schema.what, busyMs);
      } catch (error) {
        database?.close();
        if (!isBusy(error) || performance.now() > deadline) throw translate(error, `open ${schema.what} ${absolute}`);
        await waitFor(5 + Math.random() * 20);
      }
    }
  }

  /** Prepared once. */
  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }

  /** Runs `work` on what is committed now. It reads only, with one statement or without caring about what is between two. */
  async read<T>(work: () => T): Promise<T> {
    const deadline = performance.now() + this.#busyMs;
    for (;;) {
      try {
        this.#checkStillThere("read");
        return work();
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) throw translate(error, `read ${this.#what} ${this.path}`);
        await waitFor(1 + Math.random() * 4);
      }
    }
  }

  /**
   * Runs `work` in a transaction and resolves with what it returned, once that is committed. `work` may run more than once
   * (after a failed attempt was rolled back) and together with others; if it throws, nothing of it stays.
   */
  write<T>(work: () => T, options: WriteOptions = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({
        work,
        durable: options.durable ?? false,
        announce: options.announce ?? false,
        resolve: resolve as (value: unknown) => void,
        reject,
      });
      this.#pumping ??= this.#pump();
    });
  }

  /** Calls back after every announced write to this file by this process, whichever object made it. Returns its own end. */
  onChange(listener: () => void): () => void {
    announcements.on(this.path, listener);
    return () => announcements.off(this.path, listener);
  }

  /** A number that differs from an earlier one if another connection has committed since. Cheap: reads shared memory. */
  foreignChanges(): number {
    return this.#pragma("data_version");
  }

  /** Gives a slice of the free pages back to the file system. For idle moments; true if there is more to give. */
  async shrink(): Promise<boolean> {
    const free = this.#pragma("freelist_count");
    if (free < SPARE_PAGES || free * 2 < this.#pragma("page_count")) return false;
    await this.write(() => this.#database.exec(`PRAGMA incremental_vacuum(${SHRINK_PAGES})`));
    return true;
  }

  /** Waits for the writes that were asked for, then closes. */
  async close(): Promise<void> {
    while (this.#pumping !== null) await this.#pumping;
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  async #pump(): Promise<void> {
    while (this.#jobs.length > 0) {
      await nextTurn();
      try {
        await this.#begin();
      } catch (error) {
        for (const job of this.#jobs.splice(0)) job.reject(error);
        break;
      }
      const started = performance.now();
      this.#run(started);
      this.#cutLog();
      this.#heldSincePause += performance.now() - started;
      if (this.#heldSincePause > LONGEST_TRANSACTION_MS) {
        this.#heldSincePause = 0;
        await waitFor(1);
      }
    }
    this.#pumping = null;
  }

  /** As many of the waiting jobs as fit into one transaction. One that fails is found by running each in its own. */
  #run(started: number): void {
    const group: { job: Job; value: unknown }[] = [];
    try {
      do {
        const job = this.#jobs.shift()!;
        const entry = { job, value: undefined as unknown };
        group.push(entry);
        entry.value = job.work();
      } while (this.#jobs.length > 0 && performance.now() - started < LONGEST_TRANSACTION_MS);
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#rollback();
      if (group.length === 1) {
        group[0]!.job.reject(translate(error, `write to ${this.#what} ${this.path}`));
        return;
      }
      for (const { job } of group) this.#runAlone(job);
      return;
    }
    for (const { job, value } of group) job.resolve(value);
    if (group.some(({ job }) => job.announce)) announcements.emit(this.path);
  }

  #runAlone(job: Job): void {
    try {
      this.#setDurable(job.durable);
      this.#database.exec("BEGIN IMMEDIATE");
      const value = job.work();
      this.#database.exec("COMMIT");
      job.resolve(value);
      if (job.announce) announcements.emit(this.path);
    } catch (error) {
      this.#rollback();
      job.reject(translate(error, `write to ${this.#what} ${this.path}`));
    }
  }

  /** Does what it can without waiting; what it cannot, a later write of this or another process does. */
  #cutLog(): void {
    if (performance.now() < this.#nextCut) return;
    const size = statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (size < LOG_BYTES) return;
    try {
      const keep = TELLS_LOG && size < LONGEST_LOG_BYTES;
      if (keep && this.#pragma("wal_checkpoint(NOOP)", "log") < LOG_PAGES) return;
      this.#nextCut = performance.now() + LOG_RETRY_MS * (0.5 + Math.random());
      this.statement(`PRAGMA wal_checkpoint(${keep ? "RESTART" : "TRUNCATE"})`).get();
    } catch {
      // A full or failing disk: what was written stays in the log, and the next write says what is wrong.
    }
  }

  async #begin(): Promise<void> {
    const asked = performance.now();
    for (;;) {
      try {
        this.#checkStillThere("write to");
        this.#setDurable(this.#jobs.some((job) => job.durable));
        this.#database.exec("BEGIN IMMEDIATE");
        return;
      } catch (error) {
        const waited = performance.now() - asked;
        if (!isBusy(error) || waited > this.#busyMs) throw translate(error, `write to ${this.#what} ${this.path}`);
        await waitFor(pauseAfter(waited, LOCK_PAUSE_MS));
      }
    }
  }

  /** Outside of transactions only; SQLite ignores it inside. NORMAL keeps the file whole and the order of commits. */
  #setDurable(durable: boolean): void {
    if (durable === this.#durable) return;
    this.#database.exec(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
    this.#durable = durable;
  }

  /** What is written to a file that somebody has deleted would be acknowledged and lost; who reads it waits for nothing. */
  #checkStillThere(doing: string): void {
    let inode: number | undefined;
    try {
      inode = statSync(this.path).ino;
    } catch {
      inode = undefined;
    }
    if (inode === this.#inode) return;
    throw new FileError("unusable", `Cannot ${doing} ${this.#what} ${this.path}: the file was removed or replaced.`, {
      advice: "Restart every dstream process that uses it; what was in the removed file is gone with it.",
    });
  }

  #rollback(): void {
    if (!this.#database.isTransaction) return;
    try {
      this.#database.exec("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full or failing.
    }
  }

  #pragma(name: string, column = name): number {
    const row = this.statement(`PRAGMA ${name}`).get() as Record<string, SQLOutputValue>;
    return Number(row[column]);
  }
}

/** Sets the connection up, and the file where it is new. Two processes may do so at once: one waits, then finds it made. */
function prepareFile(database: DatabaseSync, path: string, schema: FileSchema): void {
  const pragma = (name: string) => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  const isNew = pragma("page_count") === 0;
  // Only an empty file takes this: pages of consumed messages can then be given back without rewriting the file.
  if (isNew) database.exec("PRAGMA auto_vacuum = INCREMENTAL");
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(
    "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16000; PRAGMA foreign_keys = OFF",
  );
  database.exec("BEGIN IMMEDIATE");
  try {
    const version = pragma("user_version");
    const application = pragma("application_id");
    if (version === 0 && application === 0 && pragma("schema_version") === 0) {
      database.exec(
        `${schema.create}; PRAGMA application_id = ${schema.applicationId}; PRAGMA user_version = ${schema.version}`,
      );
    } else if (application !== schema.applicationId) {
      throw new FileError("unusable", `Cannot open ${path}: it is a SQLite file, but not ${schema.what} of dstream.`, {
        advice: "Name another path in the configuration.",
      });
    } else if (version !== schema.version) {
      throw new FileError(
        "unusable",
        `Cannot open ${schema.what} ${path}: its format is version ${version}, this dstream knows version ${schema.version}.`,
        { advice: "Use the dstream version that wrote it, or name another path in the configuration." },
      );
    }
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
  database.exec("PRAGMA busy_timeout = 0");
}

/** SQLite's primary result codes, https://www.sqlite.org/rescode.html */
const PRIMARY = { perm: 3, busy: 5, locked: 6, readonly: 8, io: 10, corrupt: 11, full: 13, cantopen: 14, notadb: 26 };

function isBusy(error: unknown): boolean {
  const { errcode = 0 } = error as { errcode?: number };
  return (errcode & 0xff) === PRIMARY.busy || (errcode & 0xff) === PRIMARY.locked;
}

/** What SQLite or the file system said, as a FileError. Everything else is a mistake of ours and passes unchanged. */
function translate(error: unknown, doing: string): unknown {
  if (error instanceof FileError) return error;
  if (!(error instanceof Error)) return error;
  const { errcode, code } = error as Error & { errcode?: number; code?: string };
  const fault = (kind: FileError["kind"], what: string, advice: string) =>
    new FileError(kind, `Cannot ${doing}: ${what}.`, { advice, cause: error });
  if (code === "ENOSPC") return fault("full", "no space left on the disk", "Free some space on its disk.");
  if (code === "EACCES" || code === "EPERM" || code === "EROFS" || code === "ENOTDIR" || code === "EEXIST") {
    return fault("unusable", `the file system says ${code}`, "Name a path that this user may write to.");
  }
  if (errcode === undefined) return error;
  switch (errcode & 0xff) {
    case PRIMARY.busy:
    case PRIMARY.locked:
      return fault(
        "busy",
        "other processes keep it locked",
        "Look for a process that holds it, such as an open sqlite3.",
      );
    case PRIMARY.full:
      return fault("full", "no space left on the disk", "Free some space on its disk; dstream goes on by itself.");
    case PRIMARY.io:
      return fault("io", "the disk failed (an input/output error)", "Look at the disk and the system log.");
    case PRIMARY.corrupt:
      return fault("unusable", "the file is damaged", "Restore it, or move it away: dstream then makes a new one.");
    case PRIMARY.notadb:
      return fault("unusable", "it is not a SQLite file", "Name another path in the configuration.");
    case PRIMARY.perm:
    case PRIMARY.readonly:
    case PRIMARY.cantopen:
      return fault("unusable", "it cannot be opened for writing", "Name a path that this user may write to.");
    default:
      return error;
  }
}
