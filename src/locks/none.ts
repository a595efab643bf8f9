/**
 * No locking: whoever asks is the owner. For a single ingester that something else (a supervisor, a StatefulSet of one)
 * keeps single.
 *
 * The token is always 1. It need not grow here: an owner's token is one more than the larger of the lock's and the
 * checkpoint's, so the checkpoint makes it grow, and of two ingesters that were started by mistake the earlier one is fenced off at
 * its next checkpoint. A clock would be worse: it may step back, and then the newer owner would be the one fenced off.
 */
import { thisProcess } from "../process-identity.ts";
import type { FencingToken, Lock, LockOwner, LockStore } from "./lock.ts";

const TOKEN: FencingToken = 1;
/** As far as a Date goes: this lock does not expire. */
const NEVER = new Date(8.64e15);

export class NoLockStore implements LockStore {
  readonly type = "none";
  #since = new Map<string, Date>();

  async acquire(name: string): Promise<Lock> {
    this.#since.set(name, new Date());
    const release = async () => void this.#since.delete(name);
    return { name, token: TOKEN, lost: new AbortController().signal, release };
  }

  /** Knows this process only. */
  async owner(name: string): Promise<LockOwner | null> {
    const since = this.#since.get(name);
    if (since === undefined) return null;
    const { host, pid } = thisProcess();
    return { host, pid, since, token: TOKEN, expires: NEVER };
  }

  async owners(prefix: string): Promise<Map<string, LockOwner>> {
    const owners = new Map<string, LockOwner>();
    for (const name of this.#since.keys()) {
      if (name.startsWith(prefix)) owners.set(name, (await this.owner(name))!);
    }
    return owners;
  }

  async close(): Promise<void> {
    this.#since.clear();
  }
}
