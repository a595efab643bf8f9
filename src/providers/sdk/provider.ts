/** What input and output providers have in common: their configuration, how they say what is wrong, and how they are told to end. */
import type { z } from "zod";
import { DStreamError } from "../../errors.ts";

export interface Context<C> {
  config: C;
  /** Aborts when the provider is to end. */
  signal: AbortSignal;
  /** A line to standard error. */
  log(level: "debug" | "info" | "warn" | "error", message: string): void;
}

export class ProviderConfigError extends DStreamError {
  readonly code = "DSTREAM_CONFIG";
}

/** Throws ProviderConfigError, with everything that is wrong. Values are not shown: they may be secret. */
export function checked<T extends z.ZodType>(schema: T, config: unknown): z.output<T> {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const wrong = result.error.issues.map(({ path, message }) => `${path.join(".") || "config"}: ${message}`);
  throw new ProviderConfigError(`The configuration is wrong: ${wrong.join("; ")}.`);
}

export function log(level: string, message: string): void {
  process.stderr.write(`${level.toUpperCase()} ${message.replaceAll("\n", "\n  ")}\n`);
}

/** Aborts at SIGTERM and SIGINT. A second signal ends at once. */
export function untilSignal(): AbortController {
  const stop = new AbortController();
  for (const [signal, code] of [["SIGTERM", 143] as const, ["SIGINT", 130] as const])
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(code);
      stop.abort(new Error(signal));
    });
  return stop;
}
