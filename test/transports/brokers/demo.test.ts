/** The whole way over each messaging system that is installed, killed now and then: the demo's verdict. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brokers } from "../../support/brokers.ts";
import { missingServer } from "../../support/server.ts";

const MAIN = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));

for (const [type, broker] of Object.entries(brokers)) {
  const name = `over ${type}, 5,000 changes and 6 SIGKILLs: nothing lost, doubled or out of order`;
  const lack = broker.missing();
  if (lack !== null) missingServer(name, lack);
  else
    test(name, async () => {
      const args = [
        "--disable-warning=ExperimentalWarning",
        MAIN,
        "demo",
        "--queue",
        type,
        "--changes",
        "5000",
        "--kill",
        "6",
      ];
      const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 200_000 });
      assert.match(
        stdout.trimEnd().split("\n").at(-1)!,
        /^committed=5000 delivered=5000 lost=0 duplicated=0 reordered=0 kills=6 repeats=\d+$/,
        stdout,
      );
      assert.equal(stderr, "");
    });
}
