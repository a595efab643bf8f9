/** Logs what comes, a line each: to see what would be delivered. */
import { z } from "zod";
import type { OutputProvider } from "../sdk/output.ts";

const config = z.strictObject({
  level: z.enum(["debug", "info", "warn", "error"]).prefault("info").describe("The level of each line."),
  max_length: z.int().min(1).prefault(2_000).describe("Longer lines are cut, in UTF-16 units."),
});

export const log: OutputProvider<typeof config> = {
  config,
  open: ({ config: { level, max_length: longest }, log: say }) => ({
    async deliver(batch) {
      for (const line of batch.lines()) say(level, line.length > longest ? `${line.slice(0, longest)}…` : line);
    },
  }),
};
