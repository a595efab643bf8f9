/** `dstream ingester`, `dstream router` and `dstream server`: run until told to stop. */
import { type Part, runUntilSignal } from "./lifecycle.ts";
import { type CommonOptions, configure, makeIngester, makeRouter, type Patience } from "./wiring.ts";

export async function run(halves: readonly ("ingester" | "router")[], options: CommonOptions): Promise<number> {
  const { config, logger } = await configure(options);
  await using stack = new AsyncDisposableStack();
  const parts = halves.map((half): Part => {
    const log = halves.length > 1 ? logger.child({ part: half }) : logger;
    const make = half === "ingester" ? makeIngester : makeRouter;
    return async (signal) => {
      const patience: Patience = { logger: log, signal };
      const part = await make(config, patience, stack).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      await part?.run(signal);
    };
  });
  const running = runUntilSignal(parts, logger);
  // Said when signals are heard.
  logger.info({ config: config.file }, `dstream ${halves.length > 1 ? "server" : halves[0]} starts`);
  return await running;
}
