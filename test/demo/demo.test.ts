/** `dstream demo`, as a newcomer starts it. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

interface Demo {
  process: ChildProcess;
  stdout: string;
  stderr: string;
  /** Its own folder for temporary files. */
  temporary: string;
  ended: Promise<number | null>;
}

/** In a process group of its own, as a shell does it. */
function startDemo(t: TestContext, ...args: string[]): Demo {
  const temporary = mkdtempSync(join(tmpdir(), "dstream-demo-test-"));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, "demo", ...args], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const ended = once(child, "close").then(([code]) => code as number | null);
  const demo: Demo = { process: child, stdout: "", stderr: "", temporary, ended };
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    demo.stdout += text;
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    demo.stderr += text;
  });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, "SIGKILL");
    await ended;
    rmSync(temporary, { recursive: true, force: true });
  });
  return demo;
}

function lastLine({ stdout }: Demo): string | undefined {
  return stdout.trimEnd().split("\n").at(-1);
}

test("every change arrives once, in order and as it was", async (t) => {
  const demo = startDemo(t, "--changes", "2000", "--rate", "5000");
  assert.equal(await demo.ended, 0, demo.stdout + demo.stderr);
  assert.equal(lastLine(demo), "committed=2000 delivered=2000 lost=0 duplicated=0 reordered=0");
  assert.match(demo.stdout, /^SQL Server simulator on 127\.0\.0\.1:\d+, database TestDB, CDC on for dbo\.Persons/);
  assert.match(demo.stdout, /^The received changes, applied in order to empty tables, give the source tables\.$/m);
  assert.equal(demo.stderr, "", "nothing that a newcomer would have to understand");
  assert.deepEqual(readdirSync(demo.temporary), []);
});

test("killed three times, too", async (t) => {
  const demo = startDemo(t, "--changes", "2000", "--kill", "3", "--seed", "7");
  assert.equal(await demo.ended, 0, demo.stdout + demo.stderr);
  assert.match(
    lastLine(demo)!,
    /^committed=2000 delivered=2000 lost=0 duplicated=0 reordered=0 kills=3 repeats=\d+$/,
    demo.stdout,
  );
  assert.equal(demo.stdout.match(/SIGKILL to the (ingester|router) \(pid \d+\)/g)?.length, 3);
  assert.deepEqual(readdirSync(demo.temporary), []);
});

test("Ctrl-C leaves no process and no file behind", async (t) => {
  const demo = startDemo(t, "--changes", "100000");
  while (!demo.stdout.includes(" delivered, ") || !demo.stdout.includes(".persons.events"))
    await once(demo.process.stdout!, "data");
  const children = [...demo.stdout.matchAll(/^dstream (?:ingester|router) .*\(pid (\d+)/gm)].map(([, pid]) =>
    Number(pid),
  );
  assert.equal(children.length, 2);
  const { stdout: commands } = await promisify(execFile)("ps", ["-ww", "-o", "args=", "-p", children.join(",")]);
  assert.match(commands, /main\.ts ingester --config [\s\S]*main\.ts router --config /, "both run");
  assert.doesNotMatch(commands, /sqlserver:|Simulator!1/, "no secret for others to see");
  // A terminal sends it to every process of the group.
  process.kill(-demo.process.pid!, "SIGINT");
  assert.equal(await demo.ended, 1);
  assert.equal(demo.stderr, "Interrupted.\n");
  for (const pid of children) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  assert.deepEqual(readdirSync(demo.temporary), []);
});
