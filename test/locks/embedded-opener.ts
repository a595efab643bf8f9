import { EmbeddedLockStore } from "../../src/locks/embedded.ts";
import { silent } from "../../src/telemetry/logger.ts";

export const open = (options: { path: string; leaseMs: number }) =>
  EmbeddedLockStore.open({ ...options, logger: silent });
