import { setTimeout as sleep } from "node:timers/promises";
import { runInput } from "dstream/provider";
import { z } from "zod";

/** The time, again and again. */
await runInput({
  config: z.object({ every_ms: z.number().min(1).default(1000), count: z.number().default(Infinity) }),
  async *read({ config, signal }) {
    for (let n = 1; n <= config.count && !signal.aborted; n++) {
      yield { n, time: new Date().toISOString() };
      await sleep(config.every_ms, undefined, { signal }).catch(() => {});
    }
  },
  // Here a position may be saved: this message is delivered.
  delivered: ({ n }, { log }) => log("debug", `${n} is delivered`),
});
