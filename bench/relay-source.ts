/** An input provider that does nothing but write: `--messages` lines of 500 bytes. Ends once all are acknowledged. */
import { readSync, writeSync } from "node:fs";

const messages = Number(process.argv[2]);
const PER_WRITE = 2_000;
const line = `{"data":"${"x".repeat(488)}"}\n`;
const block = Buffer.from(line.repeat(PER_WRITE));
const input = Buffer.alloc(64 * 1024);

function write(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

let text = "";
function readMore(): void {
  const length = readSync(0, input);
  if (length === 0) process.exit(1);
  text += input.toString("latin1", 0, length);
}

while (!text.includes("\n")) readMore();
text = "";
write(Buffer.from('{"status":"ready","acks":true}\n'));
for (let left = messages; left > 0; left -= PER_WRITE)
  write(block.subarray(0, Math.min(left, PER_WRITE) * line.length));
while (!text.includes(`{"acked":${messages}}`)) {
  readMore();
  text = text.slice(-100_000);
}
