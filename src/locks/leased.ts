/**
 * Locks that end unless they are renewed: what the lock stores with leases have in common.
 *
 * A lock is `owned` from acquire until it is `released` or `lost`; from both there is no way back.
 * - owned → owned: renewed at a third of its lease, together with all others of its store.
 * - owned → lost: at five sixths of its lease without a renewal, by the monotonic or the wall clock, whichever is ahead (the former
 *   stands still while a machine is suspended, the latter may step back); or when the store says that another has it.
 * - owned → released: free at once for the next owner.
 *
 * A process that was stopped (SIGSTOP) and goes on finds its locks lost when the event loop first turns, and before that
 * whenever `lost` is read: reading it looks at both clocks. Another owner begins no earlier than a sixth of a lease after that.
 */
import type { Logger } from "../telemetry/logger.ts";
import type { FencingToken, Lock } from "./lock.ts";

/** The same instant on both clocks, in ms. */
export interface Moment {
  wall: number;
  monotonic: number;
}

export function now(): Moment {
  return { wall: Date.now(), monotonic: performance.now() };
}

export class LeasedLock<H> implements Lock {
  readonly name: string;
  readonly token: FencingToken;
  /** What the store knows the ownership by. */
  handle: H;
  readonly release: () => Promise<void>;
  #vouchedMs: number;
  #renewed: Moment;
  #losing = new AbortController();

  /** `at`: before the store was asked for it. */
  constructor(
    name: string,
    token: FencingToken,
    handle: H,
    at: Moment,
    leaseMs: number,
    release: (lock: LeasedLock<H>) => Promise<void>,
  ) {
    this.name = name;
    this.token = token;
    this.handle = handle;
    this.release = () => release(this);
    this.#vouchedMs = (leaseMs * 5) / 6;
    this.#renewed = at;
    this.checkClocks();
  }

  get lost(): AbortSignal {
    this.checkClocks();
    return this.#losing.signal;
  }

  get over(): boolean {
    return this.#losing.signal.aborted;
  }

  /** `at`: before the store was asked. */
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

/** What a renewal found: those that are ours still, and since when; those that are not. Others are tried again. */
export interface Renewal<H> {
  renewed: ReadonlyMap<LeasedLock<H>, Moment>;
  lost: readonly LeasedLock<H>[];
}

/** The locks of one store in this process, renewed in time. */
export class LeaseKeeper<H> {
  readonly #leaseMs: number;
  readonly #logger: Logger;
  readonly #renewAll: (locks: readonly LeasedLock<H>[]) => Promise<Renewal<H>>;
  readonly #free: (lock: LeasedLock<H>) => Promise<void>;
  readonly #locks = new Set<LeasedLock<H>>();
  readonly #renewal: NodeJS.Timeout;
  readonly #watch: NodeJS.Timeout;
  #failing = false;

  /** `renewAll` rejects where the store cannot be asked. `free` is called once for each lock, lost ones too. */
  constructor(options: {
    leaseMs: number;
    logger: Logger;
    renewAll: (locks: readonly LeasedLock<H>[]) => Promise<Renewal<H>>;
    free: (lock: LeasedLock<H>) => Promise<void>;
  }) {
    this.#leaseMs = options.leaseMs;
    this.#logger = options.logger;
    this.#renewAll = options.renewAll;
    this.#free = options.free;
    this.#renewal = setInterval(() => void this.#renew(), this.#leaseMs / 3);
    this.#watch = setInterval(() => this.#check(), this.#leaseMs / 15);
  }

  /** Takes over what the store has just given. Null, and freed again, where the signal has aborted by now. */
  async keep(
    name: string,
    token: FencingToken,
    handle: H,
    at: Moment,
    signal: AbortSignal,
  ): Promise<LeasedLock<H> | null> {
    const lock = new LeasedLock<H>(name, token, handle, at, this.#leaseMs, (each) => this.#release(each));
    this.#locks.add(lock);
    if (!signal.aborted) return lock;
    await lock.release();
    return null;
  }

  /** Whether it was not released meanwhile. */
  has(lock: LeasedLock<H>): boolean {
    return this.#locks.has(lock);
  }

  /** Releases all. */
  async close(): Promise<void> {
    clearInterval(this.#renewal);
    clearInterval(this.#watch);
    await Promise.allSettled([...this.#locks].map((lock) => lock.release()));
  }

  async #release(lock: LeasedLock<H>): Promise<void> {
    if (this.#locks.delete(lock)) await this.#free(lock);
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
      const { renewed, lost } = await this.#renewAll(living);
      for (const [lock, at] of renewed) lock.renewed(at);
      for (const lock of lost) if (this.#locks.has(lock)) lock.lose("another owner has it");
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#logger.warn({ error }, "cannot renew the locks; trying again until their leases end");
      this.#failing = true;
    }
  }
}
