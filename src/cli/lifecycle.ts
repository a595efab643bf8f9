/**
 * How a long-running command lives and ends:
 *
 *   running ── SIGINT or SIGTERM ──> draining ── all parts have ended ──> exit 0
 *      │                                │── another signal ──> exit at once (130 or 143)
 *      │                                └── still busy after the grace period ──> exit 1: what was not settled comes again
 *      └── a part fails for good ──> the others drain ──> exit 1
 */
import { DStreamError, describeError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Under the 10 seconds that Docker gives a container between SIGTERM and SIGKILL. */
const GRACE_MS = 9_500;

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export type Part = (signal: AbortSignal) => Promise<void>;

/** Runs the parts until they end, drains on a signal, and resolves with the exit code. */
export async function runUntilSignal(parts: Part[], logger: Logger): Promise<number> {
  const stop = new AbortController();
  let failed = false;
  const onSignal = (signal: "SIGINT" | "SIGTERM"): void => {
    if (stop.signal.aborted) process.exit(EXIT_CODES[signal]);
    logger.info({ signal }, "stopping: finishing what is in flight (a second signal ends at once)");
    drain();
  };
  const drain = (): void => {
    stop.abort();
    setTimeout(() => {
      logger.error("gave up waiting for what is in flight: it was not settled and will be read or delivered again");
      process.exit(1);
    }, GRACE_MS).unref();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  await Promise.all(
    parts.map(async (part) => {
      try {
        await part(stop.signal);
      } catch (error) {
        failed = true;
        logFailure(logger, error);
        if (!stop.signal.aborted) drain();
      }
    }),
  );
  logger.info("stopped");
  return failed ? 1 : 0;
}

function logFailure(logger: Logger, error: unknown): void {
  const advice = error instanceof DStreamError ? error.advice : undefined;
  const code = error instanceof DStreamError ? error.code : undefined;
  logger.fatal(
    { code, advice, ...(code === undefined && error instanceof Error ? { stack: error.stack } : {}) },
    describeError(error),
  );
}
