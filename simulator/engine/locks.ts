/**
 * Waiting for one another: locks on tables and on names (sp_getapplock), waits for rows, and deadlocks.
 *
 * Row locks are the entries' `owner` (table.ts); who finds one taken waits for that transaction's end. Locks on tables are
 * taken by writers (IX), and by readers under REPEATABLE READ, SERIALIZABLE and the hints that ask for their locks (S or X
 * on the whole table: coarser than SQL Server's key ranges, and as safe). A wait that would close a circle of sessions ends
 * with error 1205 for the session with the lowest DEADLOCK_PRIORITY, then the one with the least to undo.
 * https://learn.microsoft.com/sql/relational-databases/sql-server-deadlocks-guide
 */
import { Cancelled, deadlockVictim, lockTimeout } from "./errors.ts";
import type { Transaction } from "./transactions.ts";
import type { Session } from "./user-session.ts";

export type LockMode = "IS" | "IX" | "S" | "U" | "SIX" | "X";

/** https://learn.microsoft.com/sql/relational-databases/sql-server-transaction-locking-and-row-versioning-guide#lock_compatibility */
const COMPATIBLE: Record<LockMode, readonly LockMode[]> = {
  IS: ["IS", "S", "U", "IX", "SIX"],
  S: ["IS", "S", "U"],
  U: ["IS", "S"],
  IX: ["IS", "IX"],
  SIX: ["IS"],
  X: [],
};

/** Who holds a lock: a session, or a transaction until it ends. */
export type LockOwner = Session | Transaction;

interface Grant {
  owner: LockOwner;
  session: Session;
  mode: LockMode;
  count: number;
}

interface Waiter {
  session: Session;
  owner: LockOwner;
  mode: LockMode;
  /** Called when something on the resource changed. */
  wake: () => void;
}

interface Resource {
  grants: Grant[];
  waiters: Waiter[];
}

export type LockResult = "granted" | "granted after waiting" | "timeout" | "cancelled" | "deadlock";

/** A session that waits: for whom, and how to end its wait. */
interface Wait {
  blockers: () => Session[];
  kill: () => void;
}

export class Waits {
  readonly #waiting = new Map<Session, Wait>();

  /**
   * Waits until `changed` resolves. `milliseconds` below 0: for ever. The blockers are asked for each time a circle is
   * looked for, by this session or by another.
   */
  async wait(
    session: Session,
    blockers: () => Session[],
    changed: Promise<void>,
    milliseconds: number,
    signal: AbortSignal,
  ): Promise<"changed" | "timeout" | "cancelled" | "deadlock"> {
    if (signal.aborted) return "cancelled";
    if (milliseconds === 0) return "timeout";
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    let kill: () => void = () => {};
    const ended = new Promise<"timeout" | "cancelled" | "deadlock">((resolve) => {
      kill = () => resolve("deadlock");
      abort = () => resolve("cancelled");
      signal.addEventListener("abort", abort, { once: true });
      if (milliseconds > 0) timer = setTimeout(() => resolve("timeout"), Math.min(milliseconds, 2 ** 31 - 1));
    });
    this.#waiting.set(session, { blockers, kill });
    try {
      this.#breakCircle(session);
      return await Promise.race([changed.then(() => "changed" as const), ended]);
    } finally {
      this.#waiting.delete(session);
      clearTimeout(timer);
      if (abort) signal.removeEventListener("abort", abort);
    }
  }

  /** Sessions that wait, each with those that it waits for: blocking_session_id. */
  blockersOf(session: Session): Session[] {
    return this.#waiting.get(session)?.blockers() ?? [];
  }

  #breakCircle(from: Session): void {
    const path: Session[] = [];
    const seen = new Set<Session>();
    const search = (session: Session): boolean => {
      if (session === from && path.length > 0) return true;
      if (seen.has(session)) return false;
      seen.add(session);
      path.push(session);
      for (const blocker of this.#waiting.get(session)?.blockers() ?? []) if (search(blocker)) return true;
      path.pop();
      return false;
    };
    if (!search(from)) return;
    const victim = path.reduce((best, other) => (cost(other) < cost(best) ? other : best), from);
    this.#waiting.get(victim)?.kill();
  }
}

/** Compares first by priority, then by what there is to undo. */
function cost(session: Session): number {
  return session.options.deadlockPriority * 1e12 + (session.currentTransaction?.weight ?? 0);
}

export class LockSpace {
  readonly #waits: Waits;
  readonly #resources = new Map<unknown, Resource>();

  constructor(waits: Waits) {
    this.#waits = waits;
  }

  /** Takes the lock, or says why not. The owner releases it, or (a transaction) its end does. */
  async acquire(
    key: unknown,
    owner: LockOwner,
    session: Session,
    mode: LockMode,
    milliseconds: number,
    signal: AbortSignal,
  ): Promise<LockResult> {
    if (this.tryAcquire(key, owner, session, mode)) return "granted";
    const resource = this.#resource(key);
    const deadline = performance.now() + milliseconds;
    const waiter: Waiter = { session, owner, mode, wake: () => {} };
    resource.waiters.push(waiter);
    for (;;) {
      const changed = new Promise<void>((resolve) => (waiter.wake = resolve));
      const left = milliseconds < 0 ? -1 : Math.max(0, Math.ceil(deadline - performance.now()));
      const outcome = await this.#waits.wait(session, () => this.#blockers(resource, waiter), changed, left, signal);
      const granted = outcome === "changed" && this.#grantable(resource, waiter);
      if (outcome === "changed" && !granted) continue;
      resource.waiters.splice(resource.waiters.indexOf(waiter), 1);
      if (granted) this.#grant(resource, key, owner, session, mode);
      this.#changed(key, resource);
      return outcome === "changed" ? "granted after waiting" : outcome;
    }
  }

  /** Without waiting. */
  tryAcquire(key: unknown, owner: LockOwner, session: Session, mode: LockMode): boolean {
    const resource = this.#resource(key);
    if (!this.#grantable(resource, { session, owner, mode })) return false;
    this.#grant(resource, key, owner, session, mode);
    return true;
  }

  /** One less; false where the owner does not hold it. */
  release(key: unknown, owner: LockOwner): boolean {
    const resource = this.#resources.get(key);
    const grant = resource?.grants.find((held) => held.owner === owner);
    if (!resource || !grant) return false;
    if (--grant.count === 0) {
      resource.grants.splice(resource.grants.indexOf(grant), 1);
      this.#changed(key, resource);
    }
    return true;
  }

  /** However often it was taken. */
  releaseAll(key: unknown, owner: LockOwner): void {
    const grant = this.#resources.get(key)?.grants.find((held) => held.owner === owner);
    if (grant) grant.count = 1;
    this.release(key, owner);
  }

  heldBy(key: unknown, owner: LockOwner): LockMode | undefined {
    return this.#resources.get(key)?.grants.find((grant) => grant.owner === owner)?.mode;
  }

  /** Whether it could be had now. */
  available(key: unknown, owner: LockOwner, session: Session, mode: LockMode): boolean {
    const resource = this.#resources.get(key);
    return !resource || this.#grantable(resource, { session, owner, mode });
  }

  #resource(key: unknown): Resource {
    let resource = this.#resources.get(key);
    if (!resource) this.#resources.set(key, (resource = { grants: [], waiters: [] }));
    return resource;
  }

  /** Those who hold it in a way that does not go with the mode, and those who came before and wait for the like. */
  #blockers(resource: Resource, wanted: Pick<Waiter, "session" | "owner" | "mode">): Session[] {
    const mode = strongest(resource.grants.find((grant) => grant.owner === wanted.owner)?.mode, wanted.mode);
    const blockers: Session[] = [];
    for (const grant of resource.grants)
      if (grant.session !== wanted.session && !COMPATIBLE[mode].includes(grant.mode)) blockers.push(grant.session);
    // Who holds a lock already and wants a stronger one does not queue behind those who wait for its end.
    if (!resource.grants.some((grant) => grant.session === wanted.session))
      for (const waiter of resource.waiters) {
        if (waiter === wanted) break;
        if (waiter.session !== wanted.session && !COMPATIBLE[mode].includes(waiter.mode)) blockers.push(waiter.session);
      }
    return blockers;
  }

  #grantable(resource: Resource, wanted: Pick<Waiter, "session" | "owner" | "mode">): boolean {
    return this.#blockers(resource, wanted).length === 0;
  }

  #grant(resource: Resource, key: unknown, owner: LockOwner, session: Session, mode: LockMode): void {
    const held = resource.grants.find((grant) => grant.owner === owner);
    if (held) {
      held.mode = strongest(held.mode, mode);
      held.count++;
      return;
    }
    resource.grants.push({ owner, session, mode, count: 1 });
    if ("onEnd" in owner) owner.onEnd.push(() => this.releaseAll(key, owner));
  }

  #changed(key: unknown, resource: Resource): void {
    if (resource.grants.length === 0 && resource.waiters.length === 0) this.#resources.delete(key);
    for (const waiter of resource.waiters) waiter.wake();
  }
}

const STRENGTH: LockMode[] = ["IS", "S", "U", "IX", "SIX", "X"];

function strongest(held: LockMode | undefined, wanted: LockMode): LockMode {
  if (!held) return wanted;
  if ((held === "S" && wanted === "IX") || (held === "IX" && wanted === "S")) return "SIX";
  if ((held === "U" && wanted === "IX") || (held === "IX" && wanted === "U")) return "X";
  return STRENGTH.indexOf(held) >= STRENGTH.indexOf(wanted) ? held : wanted;
}

/** Turns a wait that failed into what the statement ends with. */
export function refuse(result: LockResult | "changed", session: Session): void {
  if (result === "timeout") throw lockTimeout();
  if (result === "deadlock") throw deadlockVictim(session.spid);
  if (result === "cancelled") throw new Cancelled();
}
