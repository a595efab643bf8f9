/** `dstream run` with providers that fail at every stage, and a dstream that is killed. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { appears, counting, gone, keeping, place, READY, type Sides, script } from "../providers/task-place.ts";

const failures: [what: string, sides: Sides, said: RegExp][] = [
  [
    "an input that prints garbage",
    { input: "echo garbage; sleep 60", output: keeping },
    /Input|input provider .*prints what is no JSON: "garbage"/i,
  ],
  [
    "an input that prints half a line and ends",
    { input: `read -r e\n${READY}\nprintf '{"n":1}\\n{"n":'`, output: keeping },
    /input provider .*in the middle of a line, after 5 bytes/,
  ],
  [
    "an input whose first line does not end",
    { input: `read -r e\nprintf '{"status'`, output: keeping },
    /input provider .*in the middle of its first line/,
  ],
  [
    "an input that prints a line of 100 MB",
    { input: `read -r e\n${READY}\nhead -c 100000000 /dev/zero | tr '\\0' x\nsleep 60`, output: keeping },
    /a line of more than 67108864 bytes/,
  ],
  [
    "an input that prints a line of 100 MB before anything else",
    { input: `head -c 100000000 /dev/zero | tr '\\0' x\nsleep 60`, output: keeping },
    /a line of more than 67108864 bytes/,
  ],
  [
    "an input that prints nothing",
    { input: `provider_path = "./silent.sh"\nhandshake_timeout = "300ms"`, output: keeping },
    /has printed nothing within 0.3 s/,
  ],
  [
    "an input that exits at once",
    { input: "echo why >&2; exit 7", output: keeping },
    /input provider input.sh ended before it was ready \(exit code 7\)[\s\S]*why/,
  ],
  [
    "an input that exits at once, with 0",
    { input: "exit 0", output: keeping },
    /input provider input.sh ended before it was ready \(exit code 0\)/,
  ],
  [
    "an input that is not ready",
    { input: `read -r e\necho '{"status":"error","message":"no such database"}'; exit 1`, output: keeping },
    /is not ready: no such database/,
  ],
  [
    "an input that fails when it is ready",
    { input: `read -r e\n${READY}\nexit 5`, output: keeping },
    /input provider input.sh has failed \(exit code 5\)/,
  ],
  [
    "an input that fails in the middle",
    { input: `read -r e\n${READY}\necho '{"n":1}'\necho 'ERROR disk full' >&2\nkill -9 $$`, output: keeping },
    /has failed \(ended by SIGKILL\)[\s\S]*disk full/,
  ],
  [
    "an output that exits at once",
    { input: counting(0), output: "echo why >&2; exit 7" },
    /output provider output.sh ended before it was ready \(exit code 7\)[\s\S]*why/,
  ],
  [
    "an output that is not ready",
    { input: counting(0), output: `read -r e\necho '{"status":"error","message":"no such queue"}'; exit 1` },
    /is not ready: no such queue/,
  ],
  [
    "an output that ends in the middle",
    { input: counting(0), output: `read -r e\n${READY}\nread -r line\nexit 0` },
    /output provider output.sh has ended while the input provider runs \(exit code 0\)/,
  ],
  [
    "an output that is killed in the middle",
    { input: counting(0), output: `read -r e\n${READY}\nread -r line\nkill -9 $$` },
    /has ended while the input provider runs \(ended by SIGKILL\)/,
  ],
  [
    "an output that fails at the end",
    { input: counting(1), output: `read -r e\n${READY}\ncat >/dev/null\necho 'ERROR not flushed' >&2\nexit 2` },
    /has failed at the end \(exit code 2\)[\s\S]*not flushed/,
  ],
  [
    "an output that does not end",
    { input: counting(1), output: `read -r e\n${READY}\nsleep 60`, rest: 'grace = "500ms"' },
    /was killed: it was not done 500 ms after/,
  ],
  [
    "an output that acknowledges more than there was",
    {
      input: counting(1),
      output: `read -r e\necho '{"status":"ready","acks":true}'\nread -r line\necho '{"acked":9}'\nsleep 60`,
      rest: 'grace = "2s"',
    },
    /9 lines are acknowledged, and 1 were written/,
  ],
  [
    "a provider that is not there",
    { input: 'provider_path = "./nowhere"', output: keeping },
    /There is no provider .*nowhere/,
  ],
  [
    "a provider that dstream does not bring",
    { input: 'provider = "countr"', output: keeping },
    /Did you mean \\?"counter/,
  ],
  ["an output as an input", { input: 'provider = "console"', output: keeping }, /no input provider/],
];

describe("what goes wrong is told, the other side is stopped, and the exit code is 1", { concurrency: 2 }, () => {
  for (const [what, sides, said] of failures)
    test(what, async (t) => {
      const work = place(t, sides);
      script(work, "silent.sh", "sleep 60");
      const { code, stderr } = await work.run("run it");
      assert.equal(code, 1, stderr);
      assert.match(stderr, said);
    });
});

test("no provider survives dstream, which is killed at any moment; they are told to end first", async (t) => {
  for (const wait of [0, 30, 100, 300, 800]) {
    // A shell says so where a command of its is ended, and nobody reads its standard error any more.
    const told = `exec 2>/dev/null\ntrap 'echo told >> told; exit 0' TERM`;
    const deaf = wait === 800 ? "trap '' TERM" : "";
    const input = `echo $$ > input.pid\n${told}\nread -r e\n${READY}\nwhile :; do sleep 0.05; done`;
    const output = `echo $$ > output.pid\n${deaf}\nread -r e\n${READY}\nwhile :; do sleep 0.05; done`;
    const work = place(t, { input, output });
    const running = work.start("run it");
    await Promise.race([appears(work.path("output.pid")), running.exit()]);
    await sleep(wait);
    running.process.kill("SIGKILL");
    await running.exit();
    const pids = ["input.pid", "output.pid"].filter((name) => existsSync(work.path(name)));
    for (const name of pids) await gone(Number(await appears(work.path(name))));
    if (wait === 800) assert.equal(readFileSync(work.path("told"), "utf8"), "told\n");
  }
});
