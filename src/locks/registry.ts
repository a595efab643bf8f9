/** Every lock store by its type. To add one: a file, and a line here (and in config/types.ts, which names it to users). */
import { DStreamError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { LockStore } from "./lock.ts";

export interface LockSettings {
  type: string;
  /** Of the file, for those that keep one. */
  path?: string;
  /** A secret. */
  connectionString?: string | undefined;
  containerName?: string;
}

type Open = (settings: LockSettings, logger: Logger) => Promise<LockStore>;

/** Loaded when first named, so that what is not used costs no start-up time. */
const stores: Readonly<Record<string, Open>> = {
  embedded: async ({ path }, logger) =>
    (await import("./embedded.ts")).EmbeddedLockStore.open({ path: path ?? ".dstream/locks.db", logger }),
  azure_blob: async ({ connectionString, containerName }, logger) =>
    (await import("./azure-blob.ts")).AzureBlobLockStore.open({
      connectionString: connectionString!,
      containerName: containerName!,
      logger,
    }),
  nats: async ({ connectionString }, logger) =>
    (await import("./nats.ts")).openNatsLocks({ connectionString: connectionString! }, logger),
  none: async () => new (await import("./none.ts")).NoLockStore(),
};

/** Throws where the store cannot be asked. */
export async function openLockStore(settings: LockSettings, logger: Logger): Promise<LockStore> {
  const open = stores[settings.type];
  if (open === undefined) throw new UnknownLockStore(settings.type);
  return await open(settings, logger);
}

class UnknownLockStore extends DStreamError {
  readonly code = "DSTREAM_UNKNOWN_LOCK_STORE";
  constructor(type: string) {
    super(`There is no lock store of type "${type}".`, { advice: `Use one of ${Object.keys(stores).join(", ")}.` });
  }
}
