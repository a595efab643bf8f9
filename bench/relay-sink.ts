/**
 * An output provider that does nothing but count lines, and acknowledge every ten thousand of them. Writes how long that took, in seconds
 * from the first on, to the file that RELAY_SECONDS names: the start of processes is not the relay's.
 */
import { readSync, writeFileSync, writeSync } from "node:fs";

const input = Buffer.alloc(1024 * 1024);
let rest = readSync(0, input);
let start = input.indexOf(10) + 1;
writeSync(1, '{"status":"ready","acks":true}\n');
const EVERY = 10_000;
let lines = 0;
let acked = 0;
let began = 0;
for (;;) {
  if (lines === 0) began = performance.now();
  for (let at = input.indexOf(10, start); at >= 0 && at < rest; at = input.indexOf(10, at + 1)) lines++;
  // No more than a pipe holds in all: the input reads its acknowledgements when it has written everything.
  for (; lines - acked >= EVERY; acked += EVERY) writeSync(1, `{"acked":${acked + EVERY}}\n`);
  rest = readSync(0, input);
  start = 0;
  if (rest === 0) break;
}
writeFileSync(process.env["RELAY_SECONDS"]!, String((performance.now() - began) / 1000));
