/** A short run of the chaos harness over each messaging system and lock store that it is to hold for. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brokers } from "../../support/brokers.ts";
import { missingServer } from "../../support/server.ts";

const RUN = fileURLToPath(new URL("../run.ts", import.meta.url));

for (const [queue, locks, lack] of [
  ["embedded", "embedded", null],
  ["kafka", "azure_blob", brokers.kafka!.missing()],
  ["nats", "nats", brokers.nats!.missing()],
  ["servicebus", "azure_blob", null],
] as const) {
  const name = `chaos over ${queue} with ${locks} locks: 10 kills and what else happens, and nothing lost or out of order`;
  if (lack !== null) missingServer(name, lack);
  else
    test(name, async (t) => {
      const args = ["--kills", "10", "--instances", "2", "--queue", queue, "--locks", locks];
      const run = promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", RUN, ...args], {
        timeout: 300_000,
      });
      const { stdout } = await run.catch((error: { stdout: string; stderr: string }) =>
        assert.fail(error.stdout + error.stderr),
      );
      const last = stdout.trimEnd().split("\n").at(-1)!;
      t.diagnostic(last);
      assert.match(
        last,
        /^committed=(\d+) delivered=\1 lost=0 duplicated=0 reordered=0 kills=10 repeats=\d+ seed=\d+$/,
        stdout,
      );
    });
}
