/**
 * The simulated server: its databases, logins and sessions, the system objects that are in every database, its clock and
 * its randomness. It knows nothing of the wire; tds/ gives it logins and requests (session.ts).
 */
import { randomFillSync } from "node:crypto";
import { ParsedBatches } from "./batches.ts";
import { DEFAULT_COLLATION, findCollation } from "./collations.ts";
import type { Journal } from "./journal.ts";
import { LockSpace, Waits } from "./locks.ts";
import { mulberry32 } from "./random.ts";
import type { SystemFunction, SystemProcedure, SystemTableFunction, SystemView } from "./registry.ts";
import { type Login, type SqlEngine, SqlError } from "./session.ts";
import { Database } from "./storage.ts";
import { SystemObjects } from "./system-objects.ts";
import type { Snapshot } from "./table.ts";
import { TimeZone } from "./time-zone.ts";
import { type Isolation, Transaction } from "./transactions.ts";
import { Session } from "./user-session.ts";
import { VersionStore } from "./versions.ts";

export interface EngineOptions {
  /** What time it is. */
  clock?: () => Date;
  /** Makes NEWID, RAND and the like repeatable. */
  seed?: number;
  /** @@SERVERNAME. */
  serverName?: string;
  /** The server's time zone: an IANA name, or minutes east of UTC. UTC by default. */
  timeZone?: string | number;
  /** ProductVersion, e.g. "16.0.4175.1". */
  version?: string;
  collation?: string;
  /** All of them sysadmins. By default sa with an empty password. */
  logins?: { user: string; password: string }[];
}

/** What system views, procedures and functions may use. */
export interface EngineContext {
  readonly engine: Engine;
  /** The one in which the object was named: the session's, or that of a three-part name. */
  readonly database: Database;
  readonly session: Session;
  /** What the running statement sees. */
  readonly snapshot: Snapshot;
  /** The time of the running statement, the same throughout it. */
  now(): Date;
}

export interface ServerLogin {
  name: string;
  password: string;
  principalId: number;
  sysadmin: boolean;
  createDate: Date;
}

export class Engine implements SqlEngine {
  readonly serverName: string;
  readonly version: string;
  readonly collation: string;
  readonly timeZone: TimeZone;
  readonly startTime: Date;
  /** @@CONNECTIONS: how many there have been. */
  connections = 0;
  /** By lower-case name. */
  readonly databases = new Map<string, Database>();
  readonly logins = new Map<string, ServerLogin>();
  readonly sessions = new Map<number, Session>();
  /** What sp_configure chose, by the option's name, and what RECONFIGURE or a start put in use of it. */
  readonly configuration = new Map<string, number>();
  readonly configurationInUse = new Map<string, number>();
  readonly systemObjects = new SystemObjects<EngineContext>();
  readonly versions = new VersionStore();
  readonly waits = new Waits();
  readonly locks = new LockSpace(this.waits);
  readonly batches = new ParsedBatches();
  /** Rises with every DDL: compiled statements are made anew. */
  schemaVersion = 0;
  /**
   * Called before each statement that a client sent; throwing an SqlError makes it fail so (fault injection), a promise
   * holds it up.
   */
  beforeStatement: ((session: Session, kind: string) => void | Promise<void>) | undefined;
  /** Likewise before a login is looked at. */
  beforeLogin: ((login: Login) => void | Promise<void>) | undefined;
  /** Called after a database was made, so that others can add to it. */
  readonly onDatabaseCreated: ((database: Database) => void)[] = [];
  /** Called before a database goes. */
  readonly onDatabaseDropped: ((database: Database) => void)[] = [];
  /** Keeps what is committed; set before the first session is opened. */
  journal: Journal | undefined;
  /** What is counted over all databases, and the state of the random numbers where they have a seed. */
  readonly counters = { transaction: 1000n, database: 5, login: 256, rowVersion: 2000n, random: 0 };
  #sequentialId: Buffer | undefined;
  readonly #clock: () => Date;
  readonly #seeded: boolean;

  constructor(options: EngineOptions = {}) {
    this.#clock = options.clock ?? (() => new Date());
    this.#seeded = options.seed !== undefined;
    this.counters.random = (options.seed ?? 0) >>> 0;
    this.serverName = options.serverName ?? "SIMULATOR";
    this.version = options.version ?? "16.0.4175.1";
    this.collation = findCollation(options.collation ?? DEFAULT_COLLATION)?.name ?? DEFAULT_COLLATION;
    this.timeZone = new TimeZone(options.timeZone ?? 0);
    this.startTime = this.now();
    for (const { user, password } of options.logins ?? [{ user: "sa", password: "" }])
      this.addLogin(user, password, true);
    for (const [id, name] of ["master", "tempdb", "model", "msdb"].entries())
      this.databases.set(name, new Database(this, name, id + 1, this.collation, this.startTime));
  }

  now(): Date {
    return this.#clock();
  }

  /** From 0 up to 1; repeatable where a seed was given. */
  random(): number {
    return this.#seeded ? mulberry32(this.counters) : Math.random();
  }

  randomBytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    if (!this.#seeded) return randomFillSync(bytes);
    for (let i = 0; i < length; i++) bytes[i] = Math.floor(this.random() * 256);
    return bytes;
  }

  /** Puts in use what sp_configure chose. */
  reconfigure(): void {
    for (const [name, value] of this.configuration) this.configurationInUse.set(name, value);
  }

  addLogin(name: string, password: string, sysadmin: boolean): ServerLogin {
    const principalId = name.toLowerCase() === "sa" ? 1 : this.counters.login++;
    const login: ServerLogin = { name, password, principalId, sysadmin, createDate: this.now() };
    this.logins.set(name.toLowerCase(), login);
    return login;
  }

  // ---------------------------------------------------------------- databases

  database(name: string): Database | undefined {
    return this.databases.get(name.toLowerCase());
  }

  databaseById(id: number): Database | undefined {
    for (const database of this.databases.values()) if (database.id === id) return database;
    return undefined;
  }

  /** Error 1801 if there is one of that name. */
  createDatabase(name: string, collation: string = this.collation): Database {
    if (this.database(name))
      throw new SqlError(1801, `Database '${name}' already exists. Choose a different database name.`, 16, 3);
    const found = findCollation(collation);
    if (!found) throw new SqlError(448, `Invalid collation '${collation}'.`, 16, 1);
    const database = new Database(this, name, this.counters.database++, found.name, this.now());
    this.databases.set(name.toLowerCase(), database);
    this.schemaVersion++;
    for (const created of this.onDatabaseCreated) created(database);
    return database;
  }

  /** Takes in a database that was read back. */
  adoptDatabase(database: Database): void {
    this.databases.set(database.name.toLowerCase(), database);
    this.schemaVersion++;
    for (const created of this.onDatabaseCreated) created(database);
  }

  dropDatabase(database: Database): void {
    for (const dropped of this.onDatabaseDropped) dropped(database);
    this.databases.delete(database.name.toLowerCase());
    this.schemaVersion++;
  }

  // ---------------------------------------------------------------- system objects

  registerView(view: SystemView<EngineContext>): void {
    this.systemObjects.registerView(view);
  }
  registerProcedure(procedure: SystemProcedure<EngineContext>): void {
    this.systemObjects.registerProcedure(procedure);
  }
  registerFunction(fn: SystemFunction<EngineContext>): void {
    this.systemObjects.registerFunction(fn);
  }
  registerTableFunction(fn: SystemTableFunction<EngineContext>): void {
    this.systemObjects.registerTableFunction(fn);
  }

  // ---------------------------------------------------------------- sessions and transactions

  async login(login: Login): Promise<Session> {
    await this.beforeLogin?.(login);
    const known = this.logins.get(login.user.toLowerCase());
    if (!known || known.password !== login.password)
      throw new SqlError(18456, `Login failed for user '${login.user}'.`, 14, 1);
    const database = this.database(login.database || "master");
    if (!database || !Session.mayUse(database, known) || Session.singleUserOf(database))
      throw new SqlError(
        4060,
        `Cannot open database "${login.database}" requested by the login. The login failed.`,
        11,
        1,
      );
    if (login.newPassword !== undefined) {
      known.password = login.newPassword;
      this.journal?.definitionsChanged();
      this.journal?.settle();
    }
    return this.openSession(known, database, login);
  }

  /** A session without a password: for what runs inside the server. */
  openSession(login: ServerLogin, database: Database, from?: Login): Session {
    this.connections++;
    let spid = 51;
    while (this.sessions.has(spid)) spid++;
    const session = new Session(this, spid, login, database, from);
    this.sessions.set(spid, session);
    return session;
  }

  beginTransaction(session: Session | null, name: string, isolation: Isolation): Transaction {
    const id = this.counters.transaction++;
    return new Transaction(this.versions, { id, session, name, isolation, beginTime: this.now() }, this.journal);
  }

  /** Ids for transactions that are not run but only told of; gives the first. */
  reserveTransactionIds(count: number): bigint {
    const first = this.counters.transaction;
    this.counters.transaction += BigInt(count);
    return first;
  }

  /** NEWSEQUENTIALID(): each greater than the one before, as long as the server runs. In the stored form. */
  nextSequentialId(): Buffer {
    if (!this.#sequentialId) {
      this.#sequentialId = this.randomBytes(16);
      // Version 1, variant 1, and room to count.
      this.#sequentialId[7] = (this.#sequentialId[7]! & 0x0f) | 0x10;
      this.#sequentialId[8] = (this.#sequentialId[8]! & 0x3f) | 0x80;
      this.#sequentialId[3] = this.#sequentialId[3]! & 0x7f;
    }
    this.#sequentialId.writeUInt32LE(this.#sequentialId.readUInt32LE(0) + 1, 0);
    return Buffer.from(this.#sequentialId);
  }

  /** @@DBTS: the next value of a rowversion column. */
  nextRowVersion(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(++this.counters.rowVersion);
    return bytes;
  }

  get rowVersion(): bigint {
    return this.counters.rowVersion;
  }
}
