/** An input provider of the SDK for tests: numbers. What is delivered stands in a file; on standard error, what is read and how busy it is. */
import { openSync, writeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { z } from "zod";
import { runInput } from "../../src/providers/sdk/input.ts";

let read = 0;
let before = performance.eventLoopUtilization();
setInterval(() => {
  const { utilization } = performance.eventLoopUtilization(before);
  before = performance.eventLoopUtilization();
  process.stderr.write(`read ${read} busy ${Math.round(utilization * 100)}\n`);
}, 200).unref();

let file: number | undefined;

await runInput({
  config: z.object({ count: z.number(), file: z.string(), unsaved: z.number().optional() }),
  async *read({ config }) {
    try {
      for (let n = 1; n <= config.count; n++) {
        yield n;
        read = n;
      }
    } finally {
      process.stderr.write("cleaned up\n");
    }
  },
  delivered(n, { config }) {
    if (n === config.unsaved) throw new Error(`The disk is full at ${n}.`);
    file ??= openSync(config.file, "a");
    writeSync(file, `${n}\n`);
  },
});
