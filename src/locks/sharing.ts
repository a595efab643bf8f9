/**
 * Divides what is worked on by one process at a time (tables among ingesters, partitions among routers) among all members of a group,
 * evenly. They find each other in the lock store: each holds, besides the locks of its tables, one that stands for itself,
 * `<server>/<database>/.ingesters/<group>/<number>`. Nobody decides for others, and nothing hangs on everybody seeing the same: a
 * table's lock alone says who works on it.
 *
 * In every round one question to the store tells who is there. Of T tables and M members each is to have T / M; the T mod M who are
 * there the longest have one more: so somebody who comes takes no more from others than he must. All shares together are T, and what
 * one gives up another is short of.
 *
 *     short   fewer than its share: as many tables as are missing and have no owner are asked for, each member beginning at another
 *             place among them; rounds come four times as often
 *     even    just its share, or all that is free: nothing to do. None is a share as well: a spare stands by
 *     over    more than its share, since somebody came: the latest are handed over, once what is in flight of them is saved
 *
 * Who leaves gives up its own lock first, so that the others may take its tables as they are released. Of who was killed all
 * locks end with their leases; the next round is at that time. Ingesters with other tables in their configuration are another
 * group: what they have is theirs, and is taken when it becomes free.
 */
import { unlessAborted } from "../abort.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Lock, LockOwner, LockStore } from "./lock.ts";

export interface SharingParts {
  locks: LockStore;
  /** Calls until the lock store answers; rejects once the signal aborts. */
  lockStore: { ride<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> };
  /** Questions to the lock store at once. */
  requests: { during<T>(amount: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> };
  /** `<server>/<database>/`: what the names of all its locks begin with. */
  prefix: string;
  /** Members of one group divide the same things among themselves. */
  group: string;
  /** What members and things are called, for locks and logs. */
  words: { members: string; things: string };
  /** Resolves after `ms`, or as soon as the signal aborts. */
  clock: { wait(ms: number, signal: AbortSignal): Promise<void> };
  logger: Logger;
  /** Between two rounds. */
  roundMs: number;
}

export interface Owned {
  readonly lock: Lock;
  /** Another member is to have it: what is in flight is brought to its end, then the lock is released. */
  readonly handOver: AbortSignal;
}

interface Holding {
  owned: Owned;
  leaving: AbortController;
}

interface Members {
  count: number;
  /** How many of them were there before this one. */
  rank: number;
}

const SHORTEST_ROUND_MS = 100;
/** Behind the end of a lease, so that the store sees it ended as well. */
const AFTER_LEASE_MS = 50;

export class Sharing {
  #parts: SharingParts;
  #tables = new Set<string>();
  #waiting = new Map<string, (owned: Owned) => void>();
  /** In the order in which they were acquired. */
  #held = new Map<string, Holding>();
  /** Being asked for. */
  #asked = new Set<string>();
  /** `since`: as the store last told it. */
  #self: { lock: Lock; number: number; since: number } | null = null;
  #awaitedLease = 0;
  #said = "";
  #nudged = new AbortController();

  constructor(parts: SharingParts) {
    this.#parts = parts;
  }

  /** The table counts from now on, whoever has it. */
  add(lockName: string): void {
    this.#tables.add(lockName);
    this.#nudged.abort();
  }

  /** Resolves when the table is this member's; it stays so until the lock is released. Rejects when the signal aborts. */
  async own(lockName: string, signal: AbortSignal): Promise<Owned> {
    const { promise, resolve } = Promise.withResolvers<Owned>();
    this.#waiting.set(lockName, resolve);
    try {
      return await unlessAborted(promise, signal);
    } catch (error) {
      // Given just as nobody waits any more.
      if (this.#waiting.get(lockName) !== resolve) void promise.then(({ lock }) => lock.release()).catch(() => {});
      throw error;
    } finally {
      if (this.#waiting.get(lockName) === resolve) this.#waiting.delete(lockName);
    }
  }

  /** Rounds until `stopping` aborts; then the others are told, for which there is time until `deadline`. */
  async run(stopping: AbortSignal, deadline: AbortSignal): Promise<void> {
    stopping.addEventListener("abort", () => this.#nudged.abort(), { once: true });
    try {
      while (!stopping.aborted) {
        const pause = await this.#round(stopping);
        this.#nudged = new AbortController();
        if (!stopping.aborted) await this.#parts.clock.wait(pause, this.#nudged.signal);
      }
    } catch (error) {
      if (!stopping.aborted) throw error;
    } finally {
      await this.#leave(deadline);
    }
  }

  /** Answers how long to wait for the next one. */
  async #round(stopping: AbortSignal): Promise<number> {
    const { locks, lockStore, prefix, roundMs } = this.#parts;
    const owners = await lockStore.ride(() => locks.owners(prefix), stopping);
    const members = await this.#join(owners, stopping);
    const share = shareOf(this.#tables.size, members);
    this.#say(members, share);
    const missing = share - this.#held.size - this.#asked.size;
    if (missing < 0) this.#handOver(-missing);
    if (missing > 0) for (const name of this.#free(owners, members).slice(0, missing)) this.#ask(name, stopping);
    const short = share > this.#held.size;
    return Math.min(short ? Math.max(roundMs / 4, SHORTEST_ROUND_MS) : roundMs, this.#nextLeaseEnd(owners));
  }

  /** Makes sure of this member's own lock, and answers who is there. */
  async #join(owners: ReadonlyMap<string, LockOwner>, stopping: AbortSignal): Promise<Members> {
    if (this.#self?.lock.lost.aborted) {
      await this.#self.lock.release().catch(() => {});
      this.#self = null;
    }
    for (let number = 0; this.#self === null; number++) {
      const name = this.#memberName(number);
      if (owners.has(name)) continue;
      const lock = await this.#acquire(name, stopping);
      // Nobody is told yet: it came just now.
      if (lock !== null) this.#self = { lock, number, since: Number.POSITIVE_INFINITY };
    }
    const own = this.#memberName(this.#self.number);
    const beginning = this.#memberName("");
    const since = owners.get(own)?.since.getTime() ?? this.#self.since;
    this.#self.since = since;
    const others = [...owners].filter(([name]) => name.startsWith(beginning) && name !== own);
    const older = others.filter(([name, owner]) => {
      const difference = owner.since.getTime() - since;
      return difference < 0 || (difference === 0 && name < own);
    });
    return { count: others.length + 1, rank: older.length };
  }

  #memberName(number: number | ""): string {
    const { prefix, group, words } = this.#parts;
    return `${prefix}.${words.members}/${group}/${number}`;
  }

  /** Tables that nobody has and that are waited for here, in the order in which this member asks for them. */
  #free(owners: ReadonlyMap<string, LockOwner>, { count, rank }: Members): string[] {
    const free = [...this.#waiting.keys()].filter((name) => !owners.has(name) && !this.#asked.has(name)).sort();
    const first = Math.floor((free.length * rank) / count);
    return [...free.slice(first), ...free.slice(0, first)];
  }

  #ask(name: string, stopping: AbortSignal): void {
    this.#asked.add(name);
    const asking = async () => {
      const lock = await this.#acquire(name, stopping);
      if (lock !== null) await this.#give(name, lock, stopping);
    };
    asking()
      .catch((error: unknown) => {
        if (!stopping.aborted) this.#parts.logger.warn({ error, lock: name }, "a lock could not be asked for");
      })
      .finally(() => this.#asked.delete(name));
  }

  #acquire(name: string, stopping: AbortSignal): Promise<Lock | null> {
    const { locks, lockStore, requests } = this.#parts;
    const ask = () =>
      requests.during(1, stopping, async () => {
        const lock = await locks.acquire(name, stopping);
        // Nobody waits for the answer any more.
        if (stopping.aborted) await lock?.release();
        return lock;
      });
    return lockStore.ride(ask, stopping);
  }

  async #give(name: string, lock: Lock, stopping: AbortSignal): Promise<void> {
    const receive = this.#waiting.get(name);
    if (receive === undefined || stopping.aborted) return await lock.release();
    this.#waiting.delete(name);
    const leaving = new AbortController();
    const release = async () => {
      if (this.#held.get(name) === holding) this.#held.delete(name);
      await lock.release();
    };
    const owned: Owned = { lock: released(lock, release), handOver: leaving.signal };
    const holding: Holding = { owned, leaving };
    this.#held.set(name, holding);
    receive(owned);
  }

  #handOver(surplus: number): void {
    const latest = [...this.#held].reverse();
    // Those that are being handed over since an earlier round are part of the surplus.
    for (const [name, { leaving }] of latest.slice(0, surplus)) {
      if (leaving.signal.aborted) continue;
      this.#parts.logger.debug({ lock: name }, "handed over to another");
      leaving.abort(new HandedOver());
    }
  }

  #say({ count }: Members, share: number): void {
    const all = this.#tables.size;
    const { members, things } = this.#parts.words;
    const part = share === 0 ? "this one stands by" : share === 1 ? "1 is this one's" : `${share} are this one's`;
    const text = `${count} ${members} share ${all} ${things}: ${part}`;
    if (text === this.#said || (count === 1 && this.#said === "")) return;
    this.#said = text;
    this.#parts.logger.info(
      count === 1 ? `this one is the only one of the ${members} now: all ${all} ${things} are its` : text,
    );
  }

  /** Until the first lease of another ends, if it is not renewed; each such time is waited for once. */
  #nextLeaseEnd(owners: ReadonlyMap<string, LockOwner>): number {
    const now = Date.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [name, { expires }] of owners) {
      const at = expires.getTime();
      if (at > this.#awaitedLease && !this.#held.has(name) && name !== this.#self?.lock.name) next = Math.min(next, at);
    }
    if (next === Number.POSITIVE_INFINITY) return next;
    const pause = next - now + AFTER_LEASE_MS;
    if (pause <= this.#parts.roundMs) this.#awaitedLease = next;
    return Math.max(pause, SHORTEST_ROUND_MS);
  }

  async #leave(deadline: AbortSignal): Promise<void> {
    if (this.#self === null) return;
    await unlessAborted(this.#self.lock.release(), deadline).catch((error: unknown) =>
      this.#parts.logger.debug({ error }, "the others were not told: they find out when this one's lease ends"),
    );
  }
}

/** The reason of `handOver`. */
export class HandedOver extends Error {}

function shareOf(tables: number, { count, rank }: Members): number {
  return Math.floor(tables / count) + (rank < tables % count ? 1 : 0);
}

function released(lock: Lock, release: () => Promise<void>): Lock {
  return {
    name: lock.name,
    token: lock.token,
    get lost() {
      return lock.lost;
    },
    release,
  };
}
