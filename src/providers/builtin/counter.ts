/** Counts: for a first look, and to see what a pipeline takes. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { duration } from "../../config/fields.ts";
import type { InputProvider } from "../sdk/input.ts";

const config = z.strictObject({
  interval: z
    .union([duration(), z.literal(0), z.literal("0s").transform(() => 0)])
    .prefault("1s")
    .describe('Between two messages; `"0s"` is as fast as they are taken.'),
  max_count: z.int().min(0).prefault(0).describe("So many, and then the end. 0: for ever."),
  start: z.int().min(0).prefault(1).describe("The first number."),
});

export const counter: InputProvider<typeof config, { value: number; timestamp: string }> = {
  config,
  async *read({ config: { interval, max_count: count, start }, signal }) {
    for (let value = start; (count === 0 || value < start + count) && !signal.aborted; value++) {
      yield { value, timestamp: new Date().toISOString() };
      if (interval > 0) await sleep(interval, undefined, { signal }).catch(() => {});
    }
  },
};
