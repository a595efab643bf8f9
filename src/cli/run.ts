/** `dstream ingester`, `dstream router` and `dstream server`: run until told to stop. */
import { type Part, runUntilSignal } from "./lifecycle.ts";
import { type CommonOptions, configure, makeIngester, makeRouter } from "./wiring.ts";

export async function run(halves: readonly ("ingester" | "router")[], options: CommonOptions): Promise<number> {
  const { config, logger } = await configure(options);
  await using stack = new AsyncDisposableStack();
  const parts: Part[] = [];
  for (const half of halves) {
    const log = halves.length > 1 ? logger.child({ part: half }) : logger;
    const part = half === "ingester" ? await makeIngester(config, log, stack) : await makeRouter(config, log, stack);
    parts.push((signal) => part.run(signal));
  }
  logger.info({ config: config.file }, `dstream ${halves.length > 1 ? "server" : halves[0]} starts`);
  return await runUntilSignal(parts, logger);
}
