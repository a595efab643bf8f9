/** The claim that matters most: whatever is killed, whenever, nothing is lost, doubled or out of order. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

test("20,000 changes and 20 SIGKILLs", async () => {
  const args = ["--disable-warning=ExperimentalWarning", MAIN, "demo", "--changes", "20000", "--kill", "20"];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 300_000 });
  assert.match(
    stdout.trimEnd().split("\n").at(-1)!,
    /^committed=20000 delivered=20000 lost=0 duplicated=0 reordered=0 kills=20 repeats=[1-9]\d*$/,
    stdout,
  );
  assert.equal(stderr, "");
});
