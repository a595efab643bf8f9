/** `dstream provider push` and `pull`: providers in a registry. */
import { homedir } from "node:os";
import { join } from "node:path";
import { platformOf, pullProvider } from "../providers/oci/pull.ts";
import { pushProvider } from "../providers/oci/push.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";

/** `files`: paths, each with `=os/architecture` behind it, or for this machine. */
export async function push(ref: string, files: readonly string[]): Promise<number> {
  const here = platformOf(process.platform, process.arch);
  const parts = files.map((file) => {
    const [, path = file, platform = here] = /^(.*)=([^=/]+\/[^=/]+)$/.exec(file) ?? [];
    return { path, platform };
  });
  const digest = await pushProvider(ref, parts, { env: process.env, signal: untilInterrupted() });
  process.stdout.write(`${ref} ${digest}\n`);
  return 0;
}

export async function pull(ref: string): Promise<number> {
  const { path } = await pulled(ref, createLogger("warn"));
  process.stdout.write(`${path}\n`);
  return 0;
}

export async function pulled(ref: string, logger: Logger): Promise<{ path: string }> {
  const { env } = process;
  const cacheDir = env["DSTREAM_CACHE_DIR"] ?? join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "dstream");
  return await pullProvider(ref, { cacheDir, env, signal: untilInterrupted(), logger });
}

function untilInterrupted(): AbortSignal {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort()).once("SIGTERM", () => stop.abort());
  return stop.signal;
}
