/** An older output provider: no acknowledgements. It takes its time for each message, as one of a slow system does. */
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

let first = true;
for await (const line of createInterface({ input: process.stdin })) {
  if (first) process.stdout.write('{"status":"ready"}\n');
  else {
    appendFileSync("kept.jsonl", `${line}\n`);
    await sleep(1);
  }
  first = false;
}
