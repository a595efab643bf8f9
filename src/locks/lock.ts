/**
 * Exclusive ownership of a table (or any other name) by one process, with a fencing token that grows with every owner.
 * Locks expire: a killed owner's lock is free after its lease. Nobody ever breaks another's living lease.
 */

/** A whole number above zero that grows with every new owner of a name. */
export type FencingToken = number;

export interface LockStore {
  readonly type: string;
  /**
   * Null: somebody else has it, try again later. Throws only when the store itself cannot be asked.
   * Names are `<server>/<database>/<schema>.<table>`.
   */
  acquire(name: string, signal: AbortSignal): Promise<Lock | null>;
  /** Who has it now, as far as the store knows; null: nobody. */
  owner(name: string): Promise<LockOwner | null>;
  /** Everybody who has a lock whose name begins so, by its name; one question, however many there are. */
  owners(prefix: string): Promise<Map<string, LockOwner>>;
  /** Releases every lock of this store. */
  close(): Promise<void>;
}

export interface Lock {
  readonly name: string;
  readonly token: FencingToken;
  /**
   * Aborts when ownership can no longer be vouched for: the lease could not be renewed in time, by the monotonic or the wall
   * clock, whichever is ahead. It aborts before the lease ends, so that work stops before another owner can begin.
   */
  readonly lost: AbortSignal;
  /** Frees it at once for the next owner. Safe to call twice and after loss. */
  release(): Promise<void>;
}

export interface LockOwner {
  host: string;
  pid: number;
  since: Date;
  token: FencingToken;
  /** When the lease ends unless it is renewed. */
  expires: Date;
}
