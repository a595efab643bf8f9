/**
 * Locks in one SQLite file, for several processes of one machine. A freed lock's token stays in the file, so that the next one is
 * larger. A killed owner's locks are free at once where the system can tell that it has ended (Linux), else after the lease.
 */
import { randomInt } from "node:crypto";
import type { SQLOutputValue } from "node:sqlite";
import { hasEnded, onceEach, type ProcessIdentity, thisProcess } from "../process-identity.ts";
import { type FileSchema, SqliteFile } from "../sqlite/file.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type LeasedLock, LeaseKeeper, type Moment, now, type Renewal } from "./leased.ts";
import type { FencingToken, Lock, LockOwner, LockStore } from "./lock.ts";

export interface EmbeddedLockOptions {
  /** The file; made, with its folder, where it is missing. */
  path: string;
  logger: Logger;
  /** How long a lock outlives an owner that cannot be seen to have ended. */
  leaseMs?: number;
}

const lockSchema: FileSchema = {
  what: "the embedded lock store",
  applicationId: 0x6473_4c31,
  version: 1,
  // `lease` numbers the ownership, null while free; `since` and `until` in Unix ms.
  create: `
    CREATE TABLE lock (
      name TEXT PRIMARY KEY, token INTEGER NOT NULL, lease INTEGER, since INTEGER NOT NULL, until INTEGER NOT NULL,
      host TEXT NOT NULL, pid INTEGER NOT NULL, realm TEXT NOT NULL, started INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
};

type Row = Record<string, SQLOutputValue>;

export class EmbeddedLockStore implements LockStore {
  readonly type = "embedded";
  #file: SqliteFile;
  #leaseMs: number;
  #self: ProcessIdentity = thisProcess();
  /** Each by the number of its ownership. */
  #locks: LeaseKeeper<number>;

  private constructor(file: SqliteFile, logger: Logger, leaseMs: number) {
    this.#file = file;
    this.#leaseMs = leaseMs;
    this.#locks = new LeaseKeeper({
      leaseMs,
      logger,
      renewAll: (locks) => this.#file.write(() => this.#renew(locks)),
      free: (lock) => this.#free(lock),
    });
  }

  static async open(options: EmbeddedLockOptions): Promise<EmbeddedLockStore> {
    const leaseMs = options.leaseMs ?? 15_000;
    const file = await SqliteFile.open(options.path, lockSchema, { busyMs: leaseMs / 3 });
    return new EmbeddedLockStore(file, options.logger, leaseMs);
  }

  async acquire(name: string, signal: AbortSignal): Promise<Lock | null> {
    if (signal.aborted || (await this.owner(name)) !== null) return null;
    const lease = randomInt(1, 2 ** 48 - 1);
    const taken = await this.#file.write(() => this.#take(name, lease), { durable: true });
    if (taken === null) return null;
    return await this.#locks.keep(name, taken.token, lease, taken.at, signal);
  }

  async owner(name: string): Promise<LockOwner | null> {
    return await this.#file.read(() => this.#livingOwner(this.#row(name)));
  }

  async owners(prefix: string): Promise<Map<string, LockOwner>> {
    const beginning = "SELECT * FROM lock WHERE substr(name, 1, length(?)) = ? AND lease IS NOT NULL";
    return await this.#file.read(() => {
      const owners = new Map<string, LockOwner>();
      const ended = onceEach();
      for (const row of this.#file.statement(beginning).all(prefix, prefix)) {
        const owner = this.#livingOwner(row, ended);
        if (owner !== null) owners.set(String(row["name"]), owner);
      }
      return owners;
    });
  }

  async close(): Promise<void> {
    await this.#locks.close();
    await this.#file.close();
  }

  #take(name: string, lease: number): { token: FencingToken; at: Moment } | null {
    const row = this.#row(name);
    if (this.#livingOwner(row) !== null) return null;
    const token = Number(row?.["token"] ?? 0) + 1;
    const at = now();
    const { host, pid, realm, started } = this.#self;
    this.#file
      .statement(
        "INSERT INTO lock (name, token, lease, since, until, host, pid, realm, started) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) " +
          "ON CONFLICT (name) DO UPDATE SET token = excluded.token, lease = excluded.lease, since = excluded.since, " +
          "until = excluded.until, host = excluded.host, pid = excluded.pid, realm = excluded.realm, started = excluded.started",
      )
      .run(name, token, lease, at.wall, at.wall + this.#leaseMs, host, pid, realm, started);
    return { token, at };
  }

  async #free(lock: LeasedLock<number>): Promise<void> {
    const free = "UPDATE lock SET lease = NULL, until = 0 WHERE name = ? AND lease = ?";
    await this.#file.write(() => void this.#file.statement(free).run(lock.name, lock.handle));
  }

  /** A lock that was released or lost while this waited for the file is not touched. */
  #renew(living: readonly LeasedLock<number>[]): Renewal<number> {
    const renew = this.#file.statement("UPDATE lock SET until = ? WHERE name = ? AND lease = ?");
    const renewed = new Map<LeasedLock<number>, Moment>();
    const lost: LeasedLock<number>[] = [];
    for (const lock of living) {
      const at = now();
      if (!this.#locks.has(lock) || lock.lost.aborted) continue;
      if (renew.run(at.wall + this.#leaseMs, lock.name, lock.handle).changes > 0) renewed.set(lock, at);
      else lost.push(lock);
    }
    return { renewed, lost };
  }

  #row(name: string): Row | undefined {
    return this.#file.statement("SELECT * FROM lock WHERE name = ?").get(name);
  }

  #livingOwner(row: Row | undefined, ended = hasEnded): LockOwner | null {
    if (row === undefined || row["lease"] === null || Number(row["until"]) <= Date.now()) return null;
    if (ended(row as unknown as ProcessIdentity)) return null;
    return {
      host: String(row["host"]),
      pid: Number(row["pid"]),
      since: new Date(Number(row["since"])),
      token: Number(row["token"]),
      expires: new Date(Number(row["until"])),
    };
  }
}
