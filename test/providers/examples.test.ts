/** The examples of docs/providers.md, as they stand there. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { isOnPath, missingServer, temporaryFolder } from "../support/server.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const EXAMPLES = fileURLToPath(new URL("../../docs/examples/providers", import.meta.url));
const PAGE = readFileSync(new URL("../../docs/providers.md", import.meta.url), "utf8");

function dstream(task: string, env: Record<string, string> = {}) {
  const args = ["--disable-warning=ExperimentalWarning", MAIN, "run", task];
  // In a checkout, dstream/provider is its source.
  const own = { ...process.env, NODE_OPTIONS: "--conditions=dstream-source", ...env };
  return run(process.execPath, args, { cwd: EXAMPLES, env: own });
}

if (!isOnPath("python3"))
  missingServer("the examples in TypeScript and Python", "there is no python3: apt-get install python3");
else
  test("the examples in TypeScript and Python bring the time to a file, with acknowledgements", async () => {
    const folder = temporaryFolder("examples");
    try {
      const { stderr } = await dstream("clock-to-file", { KEEP: join(folder, "kept.jsonl") });
      const lines = readFileSync(join(folder, "kept.jsonl"), "utf8").trimEnd().split("\n");
      assert.deepEqual(
        lines.map((line) => JSON.parse(line).n),
        [1, 2, 3, 4, 5],
      );
      assert.match(stderr, /both providers are ready, and acknowledge/);
      assert.match(stderr, /DEBUG 5 is delivered|"count":5/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

test("the example in shell", async () => {
  const { stderr } = await dstream("counter-to-mail");
  assert.match(stderr, /To: ops@example.com, \{\\"value\\":2/);
});

test("the page shows the examples as they are", () => {
  for (const name of ["clock.ts", "keep.py", "mail.sh", "dstream.hcl"])
    assert.ok(PAGE.includes(readFileSync(join(EXAMPLES, name), "utf8")), `docs/providers.md shows another ${name}`);
});
