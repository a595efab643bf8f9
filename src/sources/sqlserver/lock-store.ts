/**
 * Locks in a table of the source database, so that no other service is needed: a row for each, with its lease by the server's clock
 * and the token, which every owner raises by one. A killed owner's locks are free at once for its own machine where that can tell that it
 * has ended (Linux), else after the lease.
 *
 * sp_getapplock would free a lock with its session, but a successor had to wait for the lease all the same: the server may end a
 * session whose client has not heard of it. So the row alone decides.
 */
import { randomUUID } from "node:crypto";
import { SourceError, TransportError } from "../../errors.ts";
import { type LeasedLock, LeaseKeeper, type Moment, now, type Renewal } from "../../locks/leased.ts";
import type { Lock, LockOwner, LockStore } from "../../locks/lock.ts";
import { hasEnded, onceEach, type ProcessIdentity, thisProcess } from "../../process-identity.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { type Parameter, SqlConnection } from "./connection.ts";
import type { SqlServerTarget } from "./connection-string.ts";
import { quoteName, quoteText } from "./quote.ts";

export interface SqlServerLockOptions {
  target: SqlServerTarget;
  logger: Logger;
  /** `cdc_locks`, or `schema.table`. */
  table?: string;
  leaseMs?: number;
}

interface AskOptions {
  /** Where the table is missing there are no rows; else it is made. */
  none?: boolean;
  connection?: SqlConnection;
  onSend?: () => void;
}

/** Two processes made the same table or row at once: the second try finds it. */
const RACES = new Set([2714, 2627, 2601]);
const MISSING_TABLE = 208;
const MOST_TRIES = 5;
/** Rows that one statement renews: its text has one of these lengths, filled up with NULL, so that few plans do. */
const LENGTHS = [1, 8, 64, 256];
/** Of names: what the database has may take two for one. */
const NAMES = "Latin1_General_BIN2";
const NEVER = new AbortController().signal;
const OWNER = "token, host, pid, realm, started, since, until, owner, name";
const LIVING = "owner IS NOT NULL AND until > SYSUTCDATETIME()";

export class SqlServerLockStore implements LockStore {
  readonly type = "sqlserver";
  readonly #connection: SqlConnection;
  /** Its own: a renewal waits behind no other question. */
  readonly #renewals: SqlConnection;
  readonly #table: string;
  readonly #name: string;
  readonly #leaseMs: number;
  readonly #self: ProcessIdentity = thisProcess();
  /** Each by the number of its ownership. */
  readonly #locks: LeaseKeeper<string>;

  constructor({ target, logger, table = "cdc_locks", leaseMs = 15_000 }: SqlServerLockOptions) {
    // A renewal has to fail in time.
    const times = { answer: leaseMs / 4, stall: leaseMs / 4, cancel: 1_000 };
    this.#connection = new SqlConnection({ ...target, applicationIntent: "ReadWrite" }, times);
    this.#renewals = new SqlConnection({ ...target, applicationIntent: "ReadWrite" }, times);
    const parts = table.split(".");
    const name = parts.pop()!;
    this.#table = `${quoteName(parts.join(".") || "dbo")}.${quoteName(name)}`;
    this.#name = table;
    this.#leaseMs = leaseMs;
    this.#locks = new LeaseKeeper<string>({
      leaseMs,
      logger,
      renewAll: (locks) => this.#renewAll(locks),
      free: (lock) => this.#free(lock),
    });
  }

  async acquire(name: string, signal: AbortSignal): Promise<Lock | null> {
    if (signal.aborted) return null;
    const lease = randomUUID();
    let taken = await this.#take(name, lease, null);
    if (taken === null) {
      const [owner] = await this.#owners("name = @name", [text("name", name)]);
      if (owner === undefined || !hasEnded(owner.identity)) return null;
      taken = await this.#take(name, lease, owner.lease);
    }
    return taken === null ? null : await this.#locks.keep(name, taken.token, lease, taken.at, signal);
  }

  async owner(name: string): Promise<LockOwner | null> {
    const [found] = await this.#owners(`name = @name AND ${LIVING}`, [text("name", name)]);
    return found === undefined || hasEnded(found.identity) ? null : found.owner;
  }

  async owners(prefix: string): Promise<Map<string, LockOwner>> {
    const found = await this.#owners(`LEFT(name, ${prefix.length}) = @prefix AND ${LIVING}`, [text("prefix", prefix)]);
    const ended = onceEach();
    return new Map(found.filter(({ identity }) => !ended(identity)).map(({ name, owner }) => [name, owner]));
  }

  async close(): Promise<void> {
    await this.#locks.close();
    await Promise.all([this.#connection.close(), this.#renewals.close()]);
  }

  /**
   * Null: somebody has it. `at`: when it was asked for; while that waited behind others its lease had not begun. `dead`: an
   * ownership that is over before its lease.
   */
  async #take(name: string, lease: string, dead: string | null): Promise<{ token: number; at: Moment } | null> {
    let at = now();
    const { host, pid, realm, started } = this.#self;
    const until = `DATEADD(millisecond, ${this.#leaseMs}, SYSUTCDATETIME())`;
    const rows = await this.#query(
      `UPDATE ${this.#table} SET token = token + 1, owner = @lease, host = @host, pid = @pid, realm = @realm, started = @started, ` +
        `since = SYSUTCDATETIME(), until = ${until} OUTPUT inserted.token ` +
        "WHERE name = @name AND (owner IS NULL OR until <= SYSUTCDATETIME() OR owner = @dead); " +
        `IF @@ROWCOUNT = 0 AND NOT EXISTS (SELECT name FROM ${this.#table} WHERE name = @name) ` +
        `INSERT INTO ${this.#table} (name, token, owner, host, pid, realm, started, since, until) OUTPUT inserted.token ` +
        `VALUES (@name, 1, @lease, @host, @pid, @realm, @started, SYSUTCDATETIME(), ${until});`,
      [
        text("name", name),
        text("lease", lease),
        text("dead", dead),
        text("host", host.slice(0, 255)),
        { name: "pid", type: "int", value: pid },
        text("realm", realm.slice(0, 255)),
        { name: "started", type: "bigint", value: started },
      ],
      `locking ${name} in`,
      {
        onSend: () => {
          at = now();
        },
      },
    );
    return rows[0] === undefined ? null : { token: Number(rows[0][0]), at };
  }

  async #owners(
    where: string,
    parameters: Parameter[],
  ): Promise<{ name: string; lease: string; identity: ProcessIdentity; owner: LockOwner }[]> {
    const sql = `SELECT ${OWNER} FROM ${this.#table} WHERE ${where};`;
    const rows = await this.#query(sql, parameters, "looking for owners in", { none: true });
    return rows.map(([token, host, pid, realm, started, since, until, lease, name]) => ({
      name: String(name),
      lease: String(lease),
      identity: { host: String(host), pid: Number(pid), realm: String(realm), started: Number(started) },
      owner: {
        host: String(host),
        pid: Number(pid),
        since: since as Date,
        token: Number(token),
        expires: until as Date,
      },
    }));
  }

  /** All in one statement, however many there are. */
  async #renewAll(living: readonly LeasedLock<string>[]): Promise<Renewal<string>> {
    const renewed = new Map<LeasedLock<string>, Moment>();
    const most = LENGTHS.at(-1)!;
    for (let from = 0; from < living.length; from += most) {
      const part = living.slice(from, from + most).filter((lock) => this.#locks.has(lock));
      const at = now();
      const ours = await this.#renewPart(part);
      for (const lock of part) if (ours.has(lock.handle)) renewed.set(lock, at);
    }
    return { renewed, lost: living.filter((lock) => !renewed.has(lock) && this.#locks.has(lock)) };
  }

  async #renewPart(part: readonly LeasedLock<string>[]): Promise<Set<string>> {
    if (part.length === 0) return new Set();
    const length = LENGTHS.find((length) => length >= part.length)!;
    const values: string[] = [];
    const parameters: Parameter[] = [];
    for (let index = 0; index < length; index++) {
      values.push(`(@name${index}, @lease${index})`);
      parameters.push(
        text(`name${index}`, part[index]?.name ?? null),
        text(`lease${index}`, part[index]?.handle ?? null),
      );
    }
    const rows = await this.#query(
      `UPDATE t SET until = DATEADD(millisecond, ${this.#leaseMs}, SYSUTCDATETIME()) OUTPUT inserted.owner FROM ${this.#table} AS t ` +
        `JOIN (VALUES ${values.join(", ")}) AS v (name, lease) ` +
        `ON t.name = v.name COLLATE ${NAMES} AND t.owner = v.lease;`,
      parameters,
      "renewing locks in",
      { connection: this.#renewals },
    );
    return new Set(rows.map(([owner]) => String(owner)));
  }

  async #free(lock: LeasedLock<string>): Promise<void> {
    await this.#query(
      `UPDATE ${this.#table} SET owner = NULL WHERE name = @name AND owner = @lease;`,
      [text("name", lock.name), text("lease", lock.handle)],
      `freeing ${lock.name} in`,
      { none: true },
    );
  }

  async #make(): Promise<void> {
    await this.#connection.query(
      `IF OBJECT_ID(${quoteText(this.#table)}) IS NULL CREATE TABLE ${this.#table} (` +
        `name nvarchar(440) COLLATE ${NAMES} NOT NULL PRIMARY KEY, token bigint NOT NULL, owner nvarchar(36) NULL, ` +
        "host nvarchar(255) NOT NULL, pid int NOT NULL, realm nvarchar(255) NOT NULL, started bigint NOT NULL, " +
        "since datetime2(3) NOT NULL, until datetime2(3) NOT NULL);",
      [],
      NEVER,
      { doing: `making the lock table ${this.#name}` },
    );
  }

  /** The rows of all result sets. */
  async #query(
    sql: string,
    parameters: Parameter[],
    doing: string,
    { none = false, connection = this.#connection, onSend }: AskOptions = {},
  ): Promise<unknown[][]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const options = { doing: `${doing} the lock table ${this.#name}`, ...(onSend && { onSend }) };
        const { sets } = await connection.query(sql, parameters, NEVER, options);
        return sets.flatMap(({ rows }) => rows);
      } catch (error) {
        const number = error instanceof SourceError ? (error.number ?? 0) : 0;
        if (number === MISSING_TABLE && none) return [];
        if (number === MISSING_TABLE && attempt < MOST_TRIES)
          await this.#make().catch((cause) => this.#unlessRace(cause));
        else if (!RACES.has(number) || attempt === MOST_TRIES) throw this.#told(error);
      }
    }
  }

  #unlessRace(error: unknown): void {
    if (!(error instanceof SourceError) || !RACES.has(error.number ?? 0)) throw this.#told(error);
  }

  /** A table that cannot be written to is waited for in vain. */
  #told(error: unknown): unknown {
    if (!(error instanceof SourceError) || error.scope !== "table") return error;
    const advice =
      `The login needs SELECT, INSERT and UPDATE on ${this.#table}, and CREATE TABLE to make it; or keep locks elsewhere: ` +
      'locks { type = "azure_blob" }, "nats" or "embedded".';
    return new TransportError("rejected", error.message, { advice, cause: error });
  }
}

function text(name: string, value: string | null): Parameter {
  return { name, type: "nvarchar", value };
}
