/** Time as the ingester sees it: a seam, so that tests of polling need no sleeping. */
import { waitFor } from "../backoff.ts";

export interface Clock {
  /** Milliseconds that never run backwards, from any origin. */
  now(): number;
  /** Resolves after `ms`, or as soon as the signal aborts. Never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = { now: () => performance.now(), wait: waitFor };
