/**
 * One connection's session: what lasts from request to request (database, options, transaction, temporary tables, prepared
 * statements, application locks) and how a request begins and ends. statements/ runs what is in it.
 */
import type { ParsedBatches } from "./batches.ts";
import type { Cursor } from "./cursors/cursor.ts";
import type { Column } from "./database.ts";
import type { Engine, ServerLogin } from "./engine.ts";
import { Cancelled, noCorresponding } from "./errors.ts";
import { languageOf } from "./languages.ts";
import type { LockMode, LockOwner } from "./locks.ts";
import { refuse } from "./locks.ts";
import type { Principal } from "./principals.ts";
import { KeptPlans } from "./query/kept-plans.ts";
import { Activation } from "./run.ts";
import {
  type BulkLoad,
  type Login,
  messageOf,
  type ResultSink,
  type RpcParameter,
  SqlError,
  type SqlSession,
} from "./session.ts";
import { defaultOptions, type SessionOptions } from "./session-options.ts";
import { type AnnouncedLoad, insertLoad } from "./statements/bulk-load.ts";
import { BatchAborted, Executor, ScopeAborted } from "./statements/executor.ts";
import { callByRpc, type Prepared } from "./statements/remote-calls.ts";
import type { Database, Procedure } from "./storage.ts";
import type { Snapshot, Table } from "./table.ts";
import type { Isolation, Transaction } from "./transactions.ts";

/** The isolation levels of MS-TDS 2.2.6.9; 0 leaves it as it is. */
const ISOLATIONS: Record<number, Isolation> = {
  1: "read uncommitted",
  2: "read committed",
  3: "repeatable read",
  4: "serializable",
  5: "snapshot",
};

const DEADLOCK = 1205;

export class Session implements SqlSession {
  readonly engine: Engine;
  readonly spid: number;
  readonly login: ServerLogin;
  readonly application: string;
  readonly host: string;
  readonly clientInterface: string;
  readonly loginTime: Date;
  readonly encrypted: boolean;
  options: SessionOptions;
  isolation: Isolation = "read committed";
  currentTransaction: Transaction | null = null;
  /** @@TRANCOUNT */
  transactionCount = 0;
  /** CONTEXT_INFO() */
  contextInfo: Buffer | null = null;
  /** SESSION_CONTEXT(), by lower-case key. */
  readonly keptPlans = new KeptPlans();
  readonly sessionContext = new Map<string, unknown>();
  currentDatabase: Database;
  /** @@ROWCOUNT */
  rowCount = 0;
  /** @@ERROR */
  lastError = 0;
  /** @@IDENTITY */
  lastIdentity: bigint | null = null;
  /** @@FETCH_STATUS */
  fetchStatus = 0;
  /** @@CURSOR_ROWS */
  cursorRows = 0;
  /** Errors that CATCH blocks are handling, the innermost last. */
  readonly caught: SqlError[] = [];
  /** How many TRY blocks are being run. */
  tries = 0;
  /** #t, by lower-case name. */
  readonly temporaryTables = new Map<string, Table>();
  /** CREATE PROCEDURE #p, by lower-case name. */
  readonly temporaryProcedures = new Map<string, Procedure>();
  /** SET IDENTITY_INSERT … ON */
  identityInsert: Table | null = null;
  /** What INSERT BULK announced; only the very next request can be its rows. */
  announcedLoad: AnnouncedLoad | null = null;
  /** GLOBAL ones, by lower-case name. */
  readonly cursors = new Map<string, Cursor>();
  /** Those of sp_cursoropen, by handle; the handles begin where SQL Server's do. */
  readonly clientCursors = new Map<number, Cursor>();
  nextCursor = 180_150_003;
  /** All that may be open: a rollback closes those whose rows are not settled. */
  readonly openCursors = new Set<Cursor>();
  readonly prepared = new Map<number, Prepared>();
  nextHandle = 1;
  /** The text of the batch, or of the call, that runs or ran last. */
  requestText = "";
  onKill: (() => void) | undefined;
  /** Of the request that runs: KILL aborts it. */
  #running: AbortController | null = null;
  #closed = false;
  /** SCOPE_IDENTITY() of batches: it goes on from one to the next. */
  #identity: bigint | null = null;
  readonly #login: Database;
  /** What the language that the login asked for sets. */
  readonly #language: Partial<SessionOptions>;
  /** Names of application locks that the session holds. */
  readonly #applicationLocks = new Set<string>();
  readonly #batches: ParsedBatches;

  constructor(engine: Engine, spid: number, login: ServerLogin, database: Database, from?: Login) {
    this.engine = engine;
    this.spid = spid;
    this.login = login;
    this.currentDatabase = database;
    this.#login = database;
    this.application = from?.application ?? "";
    this.host = from?.host ?? "";
    this.clientInterface = from?.clientInterface ?? "";
    this.loginTime = engine.now();
    this.encrypted = from?.encrypted === true;
    this.#language = languageOf(from?.language ?? "") ?? {};
    this.options = { ...defaultOptions(), ...this.#language };
    this.#batches = engine.batches;
  }

  /** Whether the login has a user in the database, or needs none. */
  static mayUse(database: Database, login: ServerLogin): boolean {
    return login.sysadmin || database.id <= 3 || database.principals.userOfLogin(login.name) !== undefined;
  }

  /** The one session that a database in SINGLE_USER mode has, if it is there. */
  static singleUserOf(database: Database): Session | undefined {
    if (!database.options.has("SINGLE_USER")) return undefined;
    return [...database.engine.sessions.values()].find((session) => session.currentDatabase === database);
  }

  get database(): string {
    return this.currentDatabase.name;
  }

  get collation(): string {
    return this.currentDatabase.collation;
  }

  get language(): string {
    return this.options.language;
  }

  /** Whether a request is being worked on. */
  get busy(): boolean {
    return this.#running !== null;
  }

  /** The user that the session is in a database: dbo for sysadmins. */
  principalIn(database: Database): Principal {
    const { principals } = database;
    if (this.login.sysadmin) return principals.find("dbo")!;
    return principals.userOfLogin(this.login.name) ?? principals.find("guest")!;
  }

  // ---------------------------------------------------------------- requests

  async batch(text: string, sink: ResultSink, signal: AbortSignal): Promise<void> {
    this.requestText = text;
    await this.#request(sink, signal, async (aborted) => {
      const statements = this.#batches.parse(text, this.options.quotedIdentifier);
      const activation = new Activation(null);
      activation.identity = this.#identity;
      try {
        await new Executor(this, activation, sink, aborted).run(statements);
      } finally {
        this.#identity = activation.identity;
      }
    });
  }

  async rpc(
    procedure: string | number,
    parameters: RpcParameter[],
    sink: ResultSink,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#request(sink, signal, (aborted) => callByRpc(this, procedure, parameters, sink, aborted));
  }

  async bulkLoad(load: BulkLoad, sink: ResultSink, signal: AbortSignal): Promise<void> {
    const announced = this.announcedLoad;
    await this.#request(sink, signal, async (aborted) => {
      await this.engine.beforeStatement?.(this, "insert_bulk");
      await insertLoad(new Executor(this, new Activation(null), sink, aborted), announced, load);
    });
  }

  async transaction(request: Parameters<SqlSession["transaction"]>[0], sink: ResultSink): Promise<void> {
    const what = request.kind === "begin" || request.kind === "save" ? `${request.kind}_transaction` : request.kind;
    this.requestText = `${what.replace("_", " ").toUpperCase()} ${request.name}`.trim();
    await this.#request(sink, new AbortController().signal, async () => {
      await this.engine.beforeStatement?.(this, what);
      switch (request.kind) {
        case "begin":
          this.#begin(request, sink);
          return;
        case "commit":
          this.commit(sink);
          break;
        case "rollback":
          this.rollback(request.name, sink);
          break;
        case "save":
          this.save(request.name);
          return;
      }
      if (request.begin) this.#begin(request.begin, sink);
    });
  }

  #begin({ name, isolation }: { name: string; isolation: number }, sink: ResultSink): void {
    this.isolation = ISOLATIONS[isolation] ?? this.isolation;
    this.begin(name, sink);
  }

  /** Runs a request; its errors go to the sink. */
  async #request(sink: ResultSink, signal: AbortSignal, work: (aborted: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#closed) return;
    const running = new AbortController();
    this.#running = running;
    const aborted = AbortSignal.any([signal, running.signal]);
    this.tries = 0;
    this.caught.length = 0;
    this.announcedLoad = null;
    try {
      await work(aborted);
      this.#refuseDoomed(sink);
    } catch (error) {
      if (error instanceof Cancelled) {
        if (this.options.xactAbort) this.#rollbackAll(sink);
      } else if (error instanceof SqlError) {
        if (error.number === DEADLOCK) this.#rollbackAll(sink);
        sink.message(messageOf(error));
        sink.statementDone({ error: true });
        this.lastError = error.number;
      } else if (!(error instanceof BatchAborted) && !(error instanceof ScopeAborted)) throw error;
    } finally {
      this.#running = null;
      this.#forgetCursors();
      if (this.#closed) this.#release();
      this.engine.journal?.settle();
    }
  }

  /** Local cursors end with the request. */
  #forgetCursors(): void {
    if (this.openCursors.size === 0) return;
    const held = new Set([...this.cursors.values(), ...this.clientCursors.values()]);
    for (const cursor of this.openCursors) if (!held.has(cursor) || !cursor.isOpen) this.openCursors.delete(cursor);
  }

  /** Of the kinds that see changes, or all. https://learn.microsoft.com/sql/t-sql/language-elements/rollback-transaction-transact-sql */
  #closeCursors(all: boolean): void {
    for (const cursor of this.openCursors) if (cursor.isOpen && (all || cursor.kind !== "static")) cursor.close();
  }

  /** Something that is no row may have changed, outside a transaction too. */
  definitionsChanged(): void {
    const { journal } = this.engine;
    if (this.currentTransaction) this.currentTransaction.changesDefinitions = true;
    else if (journal) {
      journal.definitionsChanged();
      journal.settle();
    }
  }

  #refuseDoomed(sink: ResultSink): void {
    if (!this.currentTransaction?.doomed) return;
    this.#rollbackAll(sink);
    throw new SqlError(
      3998,
      "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.",
      16,
      1,
    );
  }

  #rollbackAll(sink: ResultSink): void {
    if (this.currentTransaction) this.rollback("", sink);
  }

  async reset(keepTransaction: boolean): Promise<void> {
    if (!keepTransaction) this.#end();
    this.options = { ...defaultOptions(), ...this.#language };
    this.isolation = "read committed";
    this.currentDatabase = this.#login;
    this.contextInfo = null;
    this.sessionContext.clear();
    this.prepared.clear();
    this.cursors.clear();
    this.clientCursors.clear();
    this.openCursors.clear();
    this.identityInsert = null;
    this.rowCount = 0;
    this.lastError = 0;
    this.lastIdentity = null;
    this.#identity = null;
    this.temporaryTables.clear();
    this.temporaryProcedures.clear();
    this.#releaseApplicationLocks();
  }

  close(): void {
    this.#closed = true;
    if (this.#running) this.#running.abort();
    else this.#release();
  }

  /** KILL: the client is told, if it can be; the request ends, what it did is undone, the session is gone. */
  kill(): void {
    this.onKill?.();
    this.close();
  }

  #release(): void {
    this.#end();
    this.#releaseApplicationLocks();
    this.engine.sessions.delete(this.spid);
  }

  #end(): void {
    if (this.currentTransaction?.state === "active") this.currentTransaction.rollback();
    this.currentTransaction = null;
    this.transactionCount = 0;
  }

  // ---------------------------------------------------------------- transactions

  begin(name: string, sink: ResultSink): void {
    if (this.transactionCount++ > 0) return;
    this.currentTransaction = this.engine.beginTransaction(this, name, this.isolation);
    sink.environment({ kind: "begin_transaction", descriptor: this.currentTransaction.id });
  }

  commit(sink: ResultSink): void {
    const transaction = this.currentTransaction;
    if (!transaction) throw noCorresponding("COMMIT");
    if (transaction.doomed)
      throw new SqlError(
        3930,
        "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
        16,
        1,
      );
    if (--this.transactionCount > 0) return;
    this.currentTransaction = null;
    if (this.options.cursorCloseOnCommit) this.#closeCursors(true);
    transaction.commit(this.engine.now());
    sink.environment({ kind: "commit_transaction", descriptor: transaction.id });
  }

  /** A savepoint's name undoes what came after it; any other name, or none, all. */
  rollback(name: string, sink: ResultSink): void {
    const transaction = this.currentTransaction;
    if (!transaction) throw noCorresponding("ROLLBACK");
    const mark = name === "" ? undefined : transaction.savepoints.get(name.toLowerCase());
    if (mark) {
      if (transaction.doomed)
        throw new SqlError(
          3931,
          "The current transaction cannot be committed and cannot be rolled back to a savepoint. Roll back the entire transaction.",
          16,
          1,
        );
      transaction.rollbackToSavepoint(mark);
      return;
    }
    if (name !== "" && name.toLowerCase() !== transaction.name.toLowerCase())
      throw new SqlError(6401, `Cannot roll back ${name}. No transaction or savepoint of that name was found.`, 16, 1);
    this.currentTransaction = null;
    this.transactionCount = 0;
    this.#closeCursors(this.options.cursorCloseOnCommit);
    transaction.rollback();
    sink.environment({ kind: "rollback_transaction", descriptor: transaction.id });
  }

  save(name: string): void {
    const transaction = this.currentTransaction;
    if (!transaction)
      throw new SqlError(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.", 16, 0);
    transaction.savepoints.set(name.toLowerCase(), transaction.mark());
  }

  /** What a statement sees; to be released by `closeSnapshot`. */
  openSnapshot(transaction: Transaction | null): Snapshot {
    if (transaction?.isolation !== "snapshot" && this.isolation !== "snapshot")
      return this.engine.versions.open(transaction);
    if (!transaction) return this.engine.versions.open(null);
    transaction.snapshot ??= this.engine.versions.open(transaction);
    return transaction.snapshot;
  }

  closeSnapshot(snapshot: Snapshot): void {
    if (snapshot.transaction?.snapshot !== snapshot) this.engine.versions.release(snapshot);
  }

  /** Waits for a lock as long as SET LOCK_TIMEOUT says. */
  async lock(key: unknown, owner: LockOwner, mode: LockMode, signal: AbortSignal): Promise<void> {
    const { locks } = this.engine;
    if (locks.tryAcquire(key, owner, this, mode)) return;
    refuse(await locks.acquire(key, owner, this, mode, this.options.lockTimeout, signal), this);
  }

  // ---------------------------------------------------------------- application locks

  /** The key of a lock on a name; application locks are a database's own. */
  applicationLockKey(resource: string): string {
    return `${this.currentDatabase.id}:${resource}`;
  }

  noteApplicationLock(key: string): void {
    this.#applicationLocks.add(key);
  }

  applicationLockMode(resource: string, owner: string): string {
    const holder = this.#lockOwner(owner);
    const mode = holder ? this.engine.locks.heldBy(this.applicationLockKey(resource), holder) : undefined;
    const names: Partial<Record<LockMode, string>> = {
      S: "Shared",
      U: "Update",
      X: "Exclusive",
      IS: "IntentShared",
      IX: "IntentExclusive",
    };
    return mode === undefined ? "NoLock" : (names[mode] ?? "NoLock");
  }

  applicationLockAvailable(resource: string, mode: string, owner: string): boolean {
    const modes: Record<string, LockMode> = {
      shared: "S",
      update: "U",
      exclusive: "X",
      intentshared: "IS",
      intentexclusive: "IX",
    };
    const wanted = modes[mode.toLowerCase()];
    const holder = this.#lockOwner(owner);
    return (
      wanted !== undefined &&
      holder !== null &&
      this.engine.locks.available(this.applicationLockKey(resource), holder, this, wanted)
    );
  }

  #lockOwner(owner: string): LockOwner | null {
    return owner.toLowerCase() === "session" ? this : this.currentTransaction;
  }

  #releaseApplicationLocks(): void {
    for (const key of this.#applicationLocks) this.engine.locks.releaseAll(key, this);
    this.#applicationLocks.clear();
  }

  identityColumn(name: string): (Column["identity"] & object) | undefined {
    const parts = name.replace(/[[\]"]/g, "").split(".");
    const table = this.currentDatabase.findTable(
      parts.length > 1 ? parts[parts.length - 2]! : "dbo",
      parts[parts.length - 1]!,
    );
    return table?.columns.find((column) => column.identity)?.identity;
  }
}
