/**
 * Locks in a key-value bucket of NATS JetStream. The bucket's time to live is the lease: the server forgets what is not renewed, by
 * its own clock. A killed owner's locks are free at once for its own machine where that can tell that it has ended (Linux). Writing is
 * compare-and-set by revision; the token is the revision at which the lock was taken, a number that the bucket never gives twice.
 */
import { randomUUID } from "node:crypto";
import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { TransportError } from "../errors.ts";
import { readBucket } from "../nats/bucket.ts";
import { NatsLink, type NatsOptions } from "../nats/link.ts";
import { hasEnded, onceEach, type ProcessIdentity, thisProcess } from "../process-identity.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type LeasedLock, LeaseKeeper, type Moment, now, type Renewal } from "./leased.ts";
import type { Lock, LockOwner, LockStore } from "./lock.ts";

export interface NatsLockOptions {
  link: NatsLink;
  logger: Logger;
  bucket?: string;
  /** Of a bucket that is made here; an existing one's time to live is the lease. */
  leaseMs?: number;
  replicas?: number;
}

/** What stands in the bucket. */
interface Entry extends ProcessIdentity {
  name: string;
  /** Of the store that took it: of several in one process too. */
  instance: string;
  since: number;
  /** Null in the first revision, which is the token itself. */
  token: number | null;
}

interface Handle {
  revision: number;
  entry: Entry;
}

export async function openNatsLocks(options: NatsOptions, logger: Logger): Promise<NatsLockStore> {
  const link = new NatsLink(options);
  try {
    return await NatsLockStore.open({ link, logger, ownsLink: true });
  } catch (error) {
    await link.close();
    throw error;
  }
}

export class NatsLockStore implements LockStore {
  readonly type = "nats";
  readonly #link: NatsLink;
  readonly #ownsLink: boolean;
  readonly #bucket: string;
  readonly #leaseMs: number;
  readonly #instance = randomUUID();
  /** Locks that are ours, by name; null while one is being taken. */
  readonly #held = new Map<string, LeasedLock<Handle> | null>();
  readonly #locks: LeaseKeeper<Handle>;

  private constructor(link: NatsLink, ownsLink: boolean, bucket: string, leaseMs: number, logger: Logger) {
    this.#link = link;
    this.#ownsLink = ownsLink;
    this.#bucket = bucket;
    this.#leaseMs = leaseMs;
    this.#locks = new LeaseKeeper<Handle>({
      leaseMs,
      logger,
      renewAll: (locks) => this.#renewAll(locks),
      free: (lock) => this.#free(lock),
    });
  }

  /** `ownsLink`: it is closed with the store. */
  static async open(options: NatsLockOptions & { ownsLink: boolean }): Promise<NatsLockStore> {
    const { link, logger, ownsLink, bucket = "dstream-locks", leaseMs = 15_000, replicas = 1 } = options;
    const ttl = await link.ask(`making the bucket ${bucket}`, async ({ js }) => {
      const kvm = new Kvm(js);
      // Making a bucket that is there already opens it, whatever it was made with.
      const kv = await kvm.create(bucket, { ttl: leaseMs, replicas, history: 1, description: "dstream: leases" });
      return (await kv.status()).ttl;
    });
    if (ttl <= 0) {
      throw new TransportError(
        "rejected",
        `The bucket ${bucket} of NATS ${link.where} has no time to live: its locks would never end.`,
        {
          advice: `Delete it (nats kv del ${bucket}) while no ingester runs: it is made again as it has to be.`,
        },
      );
    }
    return new NatsLockStore(link, ownsLink, bucket, ttl, logger);
  }

  async acquire(name: string, signal: AbortSignal): Promise<Lock | null> {
    const held = this.#held.get(name);
    if (signal.aborted || held === null || held?.over === false) return null;
    this.#held.set(name, null);
    let lock: LeasedLock<Handle> | null = null;
    try {
      const at = now();
      const entry = { ...thisProcess(), name, instance: this.#instance, since: at.wall, token: null };
      const taken = await this.#ask(`locking ${name}`, (kv) => this.#take(kv, entry));
      if (taken === null) return null;
      lock = await this.#locks.keep(name, taken.entry.token ?? taken.revision, taken, at, signal);
      return lock;
    } finally {
      if (lock === null) this.#held.delete(name);
      else this.#held.set(name, lock);
    }
  }

  async owner(name: string): Promise<LockOwner | null> {
    return await this.#ask(`looking who has ${name}`, async (kv) => {
      const found = await read(kv, name);
      return found === null || hasEnded(found.entry) ? null : this.#ownerOf(found);
    });
  }

  async owners(prefix: string): Promise<Map<string, LockOwner>> {
    return await this.#link.ask(`looking who has ${prefix}…`, async (connected) => {
      const owners = new Map<string, LockOwner>();
      const ended = onceEach();
      for (const { value, revision, created } of await readBucket(connected, this.#bucket)) {
        const entry = parse(value);
        if (entry.name.startsWith(prefix) && !ended(entry))
          owners.set(entry.name, this.#ownerOf({ entry, revision, created }));
      }
      return owners;
    });
  }

  async close(): Promise<void> {
    await this.#locks.close();
    if (this.#ownsLink) await this.#link.close();
  }

  /** Null: somebody has it. */
  async #take(kv: KV, entry: Entry): Promise<Handle | null> {
    try {
      return { revision: await kv.create(keyOf(entry.name), JSON.stringify(entry)), entry };
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
    const found = await read(kv, entry.name);
    if (found === null) return null;
    // Ours, and we do not know: the answer to taking it was lost.
    if (found.entry.instance === this.#instance) return await this.#put(kv, entry.name, found);
    // Of a process of this machine that is no more: its lease need not be waited for.
    return hasEnded(found.entry) ? await this.#succeed(kv, entry, found.revision) : null;
  }

  async #succeed(kv: KV, entry: Entry, revision: number): Promise<Handle | null> {
    try {
      return { revision: await kv.update(keyOf(entry.name), JSON.stringify(entry), revision), entry };
    } catch (error) {
      if (!isTaken(error)) throw error;
      return null;
    }
  }

  /** Compare-and-set; null: it is not ours any more. */
  async #put(kv: KV, name: string, { revision, entry }: Handle): Promise<Handle | null> {
    const next = { ...entry, token: entry.token ?? revision };
    try {
      return { revision: await kv.update(keyOf(name), JSON.stringify(next), revision), entry: next };
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
    const found = await read(kv, name);
    // An answer was lost: what stands there is what was written last.
    const ours = found?.entry.instance === this.#instance && (found.entry.token ?? found.revision) === next.token;
    return ours && found.revision !== revision ? await this.#put(kv, name, found) : null;
  }

  async #renewAll(living: readonly LeasedLock<Handle>[]): Promise<Renewal<Handle>> {
    const renewed = new Map<LeasedLock<Handle>, Moment>();
    const lost: LeasedLock<Handle>[] = [];
    await this.#ask("renewing locks", async (kv) => {
      await Promise.all(
        living.map(async (lock) => {
          const at = now();
          const handle = await this.#put(kv, lock.name, lock.handle);
          if (handle === null) return void lost.push(lock);
          lock.handle = handle;
          renewed.set(lock, at);
          // Released meanwhile.
          if (!this.#locks.has(lock)) await this.#free(lock);
        }),
      );
    });
    return { renewed, lost };
  }

  async #free(lock: LeasedLock<Handle>): Promise<void> {
    if (this.#held.get(lock.name) === lock) this.#held.delete(lock.name);
    const { revision } = lock.handle;
    await this.#ask(`freeing ${lock.name}`, async (kv) => {
      await kv.delete(keyOf(lock.name), { previousSeq: revision }).catch((error: unknown) => {
        if (!isTaken(error)) throw error;
      });
    });
  }

  #ownerOf({ entry, revision, created }: Handle & { created: Date }): LockOwner {
    const { host, pid, since, token } = entry;
    const expires = new Date(created.getTime() + this.#leaseMs);
    return { host, pid, since: new Date(since), token: token ?? revision, expires };
  }

  async #ask<T>(doing: string, work: (kv: KV) => Promise<T>): Promise<T> {
    return await this.#link.ask(doing, async ({ js }) => await work(await new Kvm(js).open(this.#bucket)));
  }
}

async function read(kv: KV, name: string): Promise<(Handle & { created: Date }) | null> {
  const found = await kv.get(keyOf(name));
  if (found === null || found.operation !== "PUT") return null;
  return { entry: parse(found.value), revision: found.revision, created: found.created };
}

function parse(value: Uint8Array): Entry {
  return JSON.parse(Buffer.from(value).toString()) as Entry;
}

function isTaken(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  const { code } = error;
  return (
    code === JetStreamApiCodes.StreamWrongLastSequence || code === JetStreamApiCodes.StreamWrongLastSequenceUnknown
  );
}

/** Keys take few characters. */
function keyOf(name: string): string {
  return Buffer.from(name).toString("base64url");
}
