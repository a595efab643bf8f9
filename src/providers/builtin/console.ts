/** Prints what comes, on the standard output of whoever started dstream. */
import { z } from "zod";
import type { OutputProvider } from "../sdk/output.ts";

const config = z.strictObject({
  format: z.enum(["lines", "pretty"]).prefault("lines").describe("`lines`: as it came. `pretty`: indented."),
});

export const console: OutputProvider<typeof config> = {
  config,
  open: ({ config: { format } }) => ({
    async deliver(batch) {
      const lines = batch.lines().map((line) => (format === "pretty" ? pretty(line) : line));
      // With a blank before it, what looks like an acknowledgement of ours is the same JSON, and none.
      const text = lines.map((line) => `${line.startsWith('{"acked"') ? " " : ""}${line}\n`).join("");
      await new Promise<void>((resolve, reject) =>
        process.stdout.write(text, (error) => (error ? reject(error) : resolve())),
      );
    },
  }),
};

function pretty(line: string): string {
  try {
    return JSON.stringify(JSON.parse(line), null, 2);
  } catch {
    return line;
  }
}
