/**
 * Locks as leases of blobs in Azure Storage: a blob `<name>.lock` for each, whose metadata tells the owner and holds the token, which
 * every owner raises by one. The service ends what is not renewed, by its own clock; nobody ever breaks a lease
 * (https://learn.microsoft.com/rest/api/storageservices/lease-blob).
 *
 * Killed between taking the lease and writing the token, an owner leaves a lease that ends, and the former token: the next owner raises
 * that one, and no work was done under it.
 */
import { randomUUID } from "node:crypto";
import type { ContainerClient } from "@azure/storage-blob";
import { askingBlobs as asking, openContainer, statusOf } from "../azure/blob-storage.ts";
import { hasEnded, onceEach, type ProcessIdentity, thisProcess } from "../process-identity.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type LeasedLock, LeaseKeeper, type Moment, now, type Renewal } from "./leased.ts";
import type { Lock, LockOwner, LockStore } from "./lock.ts";

export interface AzureBlobLockOptions {
  /** Of a storage account; or its address, `https://<account>.blob.core.windows.net`: then a managed identity signs in. */
  connectionString: string;
  containerName: string;
  logger: Logger;
  /** Azure takes 15 to 60 seconds. */
  leaseSeconds?: number;
}

/** In a blob's metadata: names are identifiers, values ASCII. */
interface Ownership {
  token: string;
  since: string;
  host: string;
  pid: string;
  realm: string;
  started: string;
}

export class AzureBlobLockStore implements LockStore {
  readonly type = "azure_blob";
  readonly #container: ContainerClient;
  readonly #leaseSeconds: number;
  /** Each by the id of its lease. */
  readonly #locks: LeaseKeeper<string>;

  private constructor(container: ContainerClient, leaseSeconds: number, logger: Logger) {
    this.#container = container;
    this.#leaseSeconds = leaseSeconds;
    this.#locks = new LeaseKeeper<string>({
      leaseMs: leaseSeconds * 1000,
      logger,
      renewAll: (locks) => this.#renewAll(locks),
      free: (lock) => this.#free(lock),
    });
  }

  /** Makes the container where it is missing. */
  static async open({
    connectionString,
    containerName,
    logger,
    leaseSeconds = 15,
  }: AzureBlobLockOptions): Promise<AzureBlobLockStore> {
    const container = await openContainer({ connectionString, containerName, whose: "the azure_blob locks" });
    return new AzureBlobLockStore(container, leaseSeconds, logger);
  }

  async acquire(name: string, signal: AbortSignal): Promise<Lock | null> {
    if (signal.aborted) return null;
    return await asking(this.#container, `locking ${name}`, async () => {
      const at = now();
      const lease = await this.#lease(name);
      if (lease === null) return null;
      const token = await this.#claim(name, lease);
      return await this.#locks.keep(name, token, lease, at, signal);
    });
  }

  async owner(name: string): Promise<LockOwner | null> {
    return await asking(this.#container, `looking who has ${name}`, async () => {
      try {
        const { leaseState, metadata } = await this.#blob(name).getProperties();
        return this.#ownerOf(leaseState, metadata);
      } catch (error) {
        if (statusOf(error) === 404) return null;
        throw error;
      }
    });
  }

  async owners(prefix: string): Promise<Map<string, LockOwner>> {
    return await asking(this.#container, `looking who has ${prefix}…`, async () => {
      const owners = new Map<string, LockOwner>();
      const ended = onceEach();
      const found = this.#container.listBlobsFlat({ prefix: encoded(prefix), includeMetadata: true });
      for await (const { name, properties, metadata } of found) {
        if (!name.endsWith(SUFFIX)) continue;
        const owner = this.#ownerOf(properties.leaseState, metadata, ended);
        if (owner !== null) owners.set(decoded(name.slice(0, -SUFFIX.length)), owner);
      }
      return owners;
    });
  }

  async close(): Promise<void> {
    await this.#locks.close();
  }

  /** The lease's id; null: somebody has it. */
  async #lease(name: string): Promise<string | null> {
    const blob = this.#blob(name);
    const lease = blob.getBlobLeaseClient(randomUUID());
    for (let made = false; ; made = true) {
      try {
        await lease.acquireLease(this.#leaseSeconds);
        return lease.leaseId;
      } catch (error) {
        // 409: there is a lease. 412: there is one that we did not name.
        if (statusOf(error) === 409 || statusOf(error) === 412)
          return (await this.#succeed(name)) ? await this.#lease(name) : null;
        if (statusOf(error) !== 404 || made) throw error;
        await this.#make(name);
      }
    }
  }

  /** Of a process of this machine that is no more the lease need not be waited for: its id stands in the blob. True: it was freed. */
  async #succeed(name: string): Promise<boolean> {
    const blob = this.#blob(name);
    const { metadata } = await blob.getProperties();
    const lease = metadata?.["lease"];
    if (lease === undefined || !hasEnded(identityOf(metadata!))) return false;
    try {
      await blob.getBlobLeaseClient(lease).releaseLease();
      return true;
    } catch (error) {
      if (statusOf(error) === 409 || statusOf(error) === 412) return false;
      throw error;
    }
  }

  async #make(name: string): Promise<void> {
    try {
      await this.#blob(name).upload("", 0, { conditions: { ifNoneMatch: "*" } });
    } catch (error) {
      // Somebody else has just made it.
      if (statusOf(error) !== 409 && statusOf(error) !== 412) throw error;
    }
  }

  async #claim(name: string, lease: string): Promise<number> {
    const blob = this.#blob(name);
    const conditions = { leaseId: lease };
    const { metadata } = await blob.getProperties();
    const token = Number(metadata?.["token"] ?? 0) + 1;
    const { host, pid, realm, started } = thisProcess();
    const ownership: Ownership = {
      token: String(token),
      since: new Date().toISOString(),
      host: encodeURIComponent(host),
      pid: String(pid),
      realm: encodeURIComponent(realm),
      started: String(started),
    };
    try {
      await blob.setMetadata({ ...ownership, lease }, { conditions });
    } catch (error) {
      await blob
        .getBlobLeaseClient(lease)
        .releaseLease()
        .catch(() => {});
      throw error;
    }
    return token;
  }

  async #renewAll(living: readonly LeasedLock<string>[]): Promise<Renewal<string>> {
    const renewed = new Map<LeasedLock<string>, Moment>();
    const lost: LeasedLock<string>[] = [];
    await asking(this.#container, "renewing locks", async () => {
      const outcomes = await Promise.allSettled(
        living.map(async (lock) => {
          const at = now();
          try {
            await this.#blob(lock.name).getBlobLeaseClient(lock.handle).renewLease();
            renewed.set(lock, at);
          } catch (error) {
            // 409: it is another's, or nobody's and was had by another meanwhile. 404: the blob is gone.
            if (![404, 409, 412].includes(statusOf(error) ?? 0)) throw error;
            lost.push(lock);
          }
        }),
      );
      // Those that could be renewed are, and the others are tried again.
      const failed = outcomes.find((outcome) => outcome.status === "rejected");
      if (failed !== undefined && renewed.size === 0) throw failed.reason;
    });
    return { renewed, lost };
  }

  async #free(lock: LeasedLock<string>): Promise<void> {
    await asking(this.#container, `freeing ${lock.name}`, async () => {
      try {
        await this.#blob(lock.name).getBlobLeaseClient(lock.handle).releaseLease();
      } catch (error) {
        if (![404, 409, 412].includes(statusOf(error) ?? 0)) throw error;
      }
    });
  }

  /** When a lease ends is not told by the service: at most its whole length from now. */
  #ownerOf(
    leaseState: string | undefined,
    metadata: Record<string, string> | undefined,
    ended = hasEnded,
  ): LockOwner | null {
    if (leaseState !== "leased" || metadata?.["token"] === undefined) return null;
    const identity = identityOf(metadata);
    if (ended(identity)) return null;
    const { host, pid } = identity;
    return {
      host,
      pid,
      since: new Date(metadata["since"] ?? 0),
      token: Number(metadata["token"]),
      expires: new Date(Math.ceil(Date.now() / 1000) * 1000 + this.#leaseSeconds * 1000),
    };
  }

  #blob(name: string) {
    return this.#container.getBlockBlobClient(encoded(name) + SUFFIX);
  }
}

const SUFFIX = ".lock";

/**
 * Blob names may hold nearly everything; a backslash (of `server\instance`) comes back as a slash, and a name has 1,024 characters at
 * most (https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata).
 */
function encoded(name: string): string {
  return name.replace(/[%\\]/g, encodeURIComponent);
}

function decoded(name: string): string {
  return name.replace(/%(25|5C)/g, decodeURIComponent);
}

function identityOf(metadata: Record<string, string>): ProcessIdentity {
  return {
    host: decodeURIComponent(metadata["host"] ?? ""),
    pid: Number(metadata["pid"]),
    realm: decodeURIComponent(metadata["realm"] ?? ""),
    started: Number(metadata["started"] ?? 0),
  };
}
