/**
 * Locks in one SQLite file, for several processes of one machine.
 *
 * A lock is `owned` from acquire until it is `released` or `lost`; from both there is no way back.
 * - owned → owned: renewed at a third of its lease, together with all others of this store.
 * - owned → lost: at five sixths of its lease without a renewal, by the monotonic or the wall clock, whichever is ahead (the former
 *   stands still while a machine is suspended, the latter may step back); or when the file says that another has it.
 * - owned → released: free at once for the next owner. Its token stays in the file, so that the next one is larger.
 *
 * A process that was stopped (SIGSTOP) and goes on finds its locks lost when the event loop first turns, and before that
 * whenever `lost` is read: reading it looks at both clocks. Another owner begins no earlier than a sixth of a lease after
 * that. A killed owner's locks are free at once where the system can tell that it has ended (Linux), else after the lease.
 */
import { randomInt } from "node:crypto";
import type { SQLOutputValue } from "node:sqlite";
import { hasEnded, type ProcessIdentity, thisProcess } from "../process-identity.ts";
import { type FileSchema, SqliteFile } from "../sqlite/file.ts";
import type { Logger } from "../telemetry/logger.ts";
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
  #logger: Logger;
  #leaseMs: number;
  #self: ProcessIdentity = thisProcess();
  #locks = new Set<EmbeddedLock>();
  #renewal: NodeJS.Timeout;
  #watch: NodeJS.Timeout;
  #failing = false;

  private constructor(file: SqliteFile, logger: Logger, leaseMs: number) {
    this.#file = file;
    this.#logger = logger;
    this.#leaseMs = leaseMs;
    this.#renewal = setInterval(() => void this.#renew(), leaseMs / 3);
    this.#watch = setInterval(() => this.#check(), leaseMs / 15);
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
    const lock = new EmbeddedLock(name, taken.token, lease, this.#leaseMs, () => this.#release(lock));
    lock.renewed(taken.at);
    this.#locks.add(lock);
    if (!signal.aborted) return lock;
    await lock.release();
    return null;
  }

  async owner(name: string): Promise<LockOwner | null> {
    return await this.#file.read(() => this.#livingOwner(this.#row(name)));
  }

  async owners(prefix: string): Promise<Map<string, LockOwner>> {
    const beginning = "SELECT * FROM lock WHERE substr(name, 1, length(?)) = ? AND lease IS NOT NULL";
    return await this.#file.read(() => {
      const owners = new Map<string, LockOwner>();
      for (const row of this.#file.statement(beginning).all(prefix, prefix)) {
        const owner = this.#livingOwner(row);
        if (owner !== null) owners.set(String(row["name"]), owner);
      }
      return owners;
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal);
    clearInterval(this.#watch);
    await Promise.allSettled([...this.#locks].map((lock) => lock.release()));
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

  async #release(lock: EmbeddedLock): Promise<void> {
    if (!this.#locks.delete(lock)) return;
    const free = "UPDATE lock SET lease = NULL, until = 0 WHERE name = ? AND lease = ?";
    await this.#file.write(() => void this.#file.statement(free).run(lock.name, lock.lease));
  }

  /** Loss is told before anything is renewed: what was lost by the clock stays lost, even if nobody has taken it. */
  #check(): void {
    for (const lock of this.#locks) lock.checkClocks();
  }

  async #renew(): Promise<void> {
    this.#check();
    const living = [...this.#locks].filter((lock) => !lock.over);
    if (living.length === 0) return;
    try {
      const renewed = await this.#file.write(() => this.#renewAll(living));
      for (const [lock, at] of renewed) lock.renewed(at);
      for (const lock of living) {
        if (!renewed.has(lock) && this.#locks.has(lock)) lock.lose("another owner has it");
      }
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#logger.warn({ error }, "cannot renew the locks; trying again until their leases end");
      this.#failing = true;
    }
  }

  /** Those that are still ours; a lock that was released or lost while this waited for the file is not touched. */
  #renewAll(living: readonly EmbeddedLock[]): Map<EmbeddedLock, Moment> {
    const renew = this.#file.statement("UPDATE lock SET until = ? WHERE name = ? AND lease = ?");
    const renewed = new Map<EmbeddedLock, Moment>();
    for (const lock of living) {
      const at = now();
      if (!this.#locks.has(lock) || lock.lost.aborted) continue;
      if (renew.run(at.wall + this.#leaseMs, lock.name, lock.lease).changes > 0) renewed.set(lock, at);
    }
    return renewed;
  }

  #row(name: string): Row | undefined {
    return this.#file.statement("SELECT * FROM lock WHERE name = ?").get(name);
  }

  #livingOwner(row: Row | undefined): LockOwner | null {
    if (row === undefined || row["lease"] === null || Number(row["until"]) <= Date.now()) return null;
    if (hasEnded(row as unknown as ProcessIdentity)) return null;
    return {
      host: String(row["host"]),
      pid: Number(row["pid"]),
      since: new Date(Number(row["since"])),
      token: Number(row["token"]),
      expires: new Date(Number(row["until"])),
    };
  }
}

/** The same instant on both clocks, in ms. */
interface Moment {
  wall: number;
  monotonic: number;
}

function now(): Moment {
  return { wall: Date.now(), monotonic: performance.now() };
}

class EmbeddedLock implements Lock {
  readonly name: string;
  readonly token: FencingToken;
  readonly lease: number;
  readonly release: () => Promise<void>;
  #vouchedMs: number;
  #renewed: Moment = now();
  #losing = new AbortController();

  constructor(name: string, token: FencingToken, lease: number, leaseMs: number, release: () => Promise<void>) {
    this.name = name;
    this.token = token;
    this.lease = lease;
    this.release = release;
    this.#vouchedMs = (leaseMs * 5) / 6;
  }

  get lost(): AbortSignal {
    this.checkClocks();
    return this.#losing.signal;
  }

  get over(): boolean {
    return this.#losing.signal.aborted;
  }

  renewed(at: Moment): void {
    this.#renewed = at;
    this.checkClocks();
  }

  checkClocks(): void {
    const { wall, monotonic } = now();
    const passed = Math.max(wall - this.#renewed.wall, monotonic - this.#renewed.monotonic);
    if (passed >= this.#vouchedMs) this.lose("its lease could not be renewed in time");
  }

  lose(why: string): void {
    if (!this.over) this.#losing.abort(new Error(`The lock on ${this.name} is lost: ${why}.`));
  }
}
