/** `dstream run` with providers of every kind: good ones, older ones, and those that fail at every stage. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Workplace } from "../cli/dstream.ts";
import { appears, counting, gone, keeping, kept, place, READY, script } from "./task-place.ts";

test("everything that an input prints reaches the output, which finishes before dstream ends", async (t) => {
  const work = place(t, { input: counting(3), output: keeping });
  const { code, stderr } = await work.run("run it");
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    kept(work)
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line).value),
    [1, 2, 3],
  );
  assert.ok(existsSync(work.path("finished")));
  assert.match(stderr, /The output provider does not acknowledge/);
});

test("dstream's own console output prints the messages on standard output, and nothing else is there", async (t) => {
  const input = `read -r envelope\n${READY}\nprintf '{"a":1}\\n{"acked":7}\\nünïcødé\\n'`;
  const { code, stdout } = await place(t, { input, output: 'provider = "console"' }).run("run it");
  assert.equal(code, 0);
  // With a blank before it, it is no acknowledgement.
  assert.equal(stdout, '{"a":1}\n {"acked":7}\nünïcødé\n');
});

test("where nothing may be written, as in a container with a file system of its own to read, it runs all the same", {
  skip: process.platform === "linux" ? false : "Linux alone has names for sockets that are in no folder",
}, async (t) => {
  const { code, stdout, stderr } = await place(
    t,
    { input: counting(2), output: 'provider = "console"' },
    { TMPDIR: "/nowhere" },
  ).run("run it");
  assert.equal(code, 0, stderr);
  assert.equal(stdout.trimEnd().split("\n").length, 2);
});

test("a config reaches its provider with its types, nested blocks as objects, repeated ones as lists", async (t) => {
  const work = new Workplace(t, null, { SECRET: 'p"w' });
  script(work, "input.sh", `cat > envelope.json\n${READY}`);
  work.configure(`
locals { tables = ["a", "b"] }
task "other" {
  input { provider_path = env("NOT_SET") }
  output { provider = "console" }
}
task "it" {
  input {
    provider_path = "./input.sh"
    handshake = false
    config {
      text = "{{ env "SECRET" }}"
      number = 1.5
      whole = 3
      flag = true
      nothing = null
      tables = local.tables
      object = { a = { b = [1, "x"] } }
      lock { type = "none" }
      each { n = 1 }
      each { n = 2 }
    }
  }
  output { provider = "console" }
}
`);
  await work.run("run it");
  assert.deepEqual(JSON.parse(readFileSync(work.path("envelope.json"), "utf8")), {
    command: "run",
    config: {
      text: 'p"w',
      number: 1.5,
      whole: 3,
      flag: true,
      nothing: null,
      tables: ["a", "b"],
      object: { a: { b: [1, "x"] } },
      lock: { type: "none" },
      each: [{ n: 1 }, { n: 2 }],
    },
  });
});

describe("older providers, which know no handshake", () => {
  test("an input whose first line is a message", async (t) => {
    const work = place(t, { input: `read -r envelope\necho '{"n":1}'\necho '{"n":2}'`, output: keeping });
    const { code, stderr } = await work.run("run it");
    assert.equal(code, 0, stderr);
    assert.equal(kept(work), '{"n":1}\n{"n":2}\n');
  });

  test("an output that prints nothing, and an input that reads its configuration to the end", async (t) => {
    const work = place(t, {
      input: `provider_path = "./older.sh"\nhandshake = false`,
      output: `provider_path = "./keep.sh"\nhandshake = false`,
    });
    script(work, "older.sh", `cat > envelope.json\nsleep 0.3\necho '{"n":1}'`);
    script(work, "keep.sh", `read -r envelope\nwhile read -r line; do echo "$line" >> kept.jsonl; done`);
    const { code, stderr } = await work.run("run it");
    assert.equal(code, 0, stderr);
    assert.equal(kept(work), '{"n":1}\n');
  });

  test("an output that prints nothing is taken for one when its time is up", async (t) => {
    const work = place(t, {
      input: counting(2),
      output: `provider_path = "./keep.sh"\nhandshake_timeout = "300ms"`,
    });
    script(work, "keep.sh", `read -r envelope\ncat > kept.jsonl`);
    const { code, stderr } = await work.run("run it");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /taken for an older provider/);
    assert.equal(kept(work).split("\n").length, 3);
  });

  test("what an output prints is passed on", async (t) => {
    const work = place(t, {
      input: counting(1),
      output: `provider_path = "./echo.sh"\nhandshake = false`,
    });
    script(work, "echo.sh", `read -r envelope\nread -r line\necho "got a line"`);
    assert.equal((await work.run("run it")).stdout, "got a line\n");
  });
});

test("a provider without the right to be executed is told how to get it", async (t) => {
  const work = place(t, { input: 'provider_path = "./plain.sh"', output: keeping });
  writeFileSync(work.path("plain.sh"), "#!/bin/sh\n");
  const { code, stderr } = await work.run("run it");
  assert.equal(code, 1);
  assert.match(stderr, /chmod \+x .*may not be executed/);
});

test("on SIGTERM the input is told to end, and what it still prints is delivered", async (t) => {
  const input = `read -r envelope\n${READY}\ntrap 'echo "{\\"last\\":true}"; exit 0' TERM\necho '{"n":1}'\necho up > up\nwhile :; do sleep 0.1; done`;
  const work = place(t, { input, output: keeping });
  const running = work.start("run it");
  await appears(work.path("up"));
  running.process.kill("SIGTERM");
  assert.equal(await running.exit(), 0, running.stderr);
  assert.equal(kept(work), '{"n":1}\n{"last":true}\n');
  assert.ok(existsSync(work.path("finished")));
});

test("a provider that does not end is killed when its grace is over, with what it has started", async (t) => {
  const input = `trap '' TERM\nread -r envelope\n${READY}\n(trap '' TERM; while :; do sleep 1; done) &\necho $! > child\nwait`;
  const work = place(t, { input, output: keeping, rest: 'grace = "500ms"' });
  const running = work.start("run it");
  const child = Number(await appears(work.path("child")));
  running.process.kill("SIGTERM");
  assert.equal(await running.exit(), 1, running.stderr);
  assert.match(running.stderr, /was killed: it had not ended after 500 ms/);
  await gone(child);
});

test("with a restart block a failed task is started again, both providers, and then goes on", async (t) => {
  const input = `read -r e\n${READY}\necho started >> inputs\nsleep 0.2\necho '{"n":1}'`;
  const output = `read -r e\necho started >> outputs\n[ $(wc -l < outputs) -lt 3 ] && exit 9\n${READY}\ncat > kept.jsonl`;
  const work = place(t, { input, output, rest: 'restart {\nmax = 5\nmin_wait = "10ms"\n}' });
  const { code, stderr } = await work.run("run it");
  assert.equal(code, 0, stderr);
  assert.equal(readFileSync(work.path("outputs"), "utf8"), "started\nstarted\nstarted\n");
  assert.equal(kept(work), '{"n":1}\n');
  assert.equal(stderr.match(/is started again/g)?.length, 2);
});

test("a task that goes on failing ends after so many restarts", async (t) => {
  const work = place(t, {
    input: "echo x >> starts; exit 1",
    output: keeping,
    rest: 'restart {\nmax = 2\nmin_wait = "10ms"\n}',
  });
  assert.equal((await work.run("run it")).code, 1);
  assert.equal(readFileSync(work.path("starts"), "utf8"), "x\nx\nx\n");
});

test("a provider's standard error is logged under its name, with the level that it names", async (t) => {
  const input = `read -r e\n${READY}\necho 'WARN slow' >&2\necho '{"level":"error","msg":"broken"}' >&2\necho plain >&2`;
  const { stderr } = await place(t, { input, output: keeping }).run("run it");
  const lines = stderr.split("\n").filter((line) => line.includes('"provider":"input.sh"'));
  assert.deepEqual(
    lines.map((line) => [JSON.parse(line).level, JSON.parse(line).msg]),
    [
      ["warn", "WARN slow"],
      ["error", '{"level":"error","msg":"broken"}'],
      ["info", "plain"],
    ],
  );
});

test("list names the tasks, whatever is not set; a task that is not there is told with those that are", async (t) => {
  const work = new Workplace(
    t,
    `task "a" {\ninput {\nprovider = "counter"\nconfig { x = env("NOT_SET") }\n}\noutput { provider = "console" }\n}\ntask "long-name" {\ninput { provider_ref = "ghcr.io/acme/in:v1" }\noutput { provider = "nats" }\n}`,
  );
  const listed = await work.run("list");
  assert.equal(listed.stdout, "a          counter → console\nlong-name  ghcr.io/acme/in:v1 → nats\n");
  const { code, stderr } = await work.run("run long-nam");
  assert.equal(code, 1);
  assert.match(stderr, /there is no task "long-nam"\n.*Did you mean "long-name"/);
});

test("a level of the environment that is none is told, and one in capitals is taken", async (t) => {
  const sides = { input: counting(1), output: 'provider = "console"' };
  const wrong = await place(t, sides, { DSTREAM_LOG_LEVEL: "loud" }).run("run it");
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /DSTREAM_LOG_LEVEL is no log level/);
  const right = await place(t, sides, { DSTREAM_LOG_LEVEL: "WARN" }).run("run it");
  assert.equal(right.code, 0, right.stderr);
  assert.doesNotMatch(right.stderr, /"level":"info"/);
});

test("what is wrong with a task is told with its line", async (t) => {
  const work = new Workplace(
    t,
    `task "it" {\n  type = "providers"\n  input {\n    provider = "counter"\n    provider_path = "./x"\n    conf = 1\n  }\n}`,
  );
  const { code, stderr } = await work.run("run it");
  assert.equal(code, 1);
  assert.match(stderr, /dstream\.hcl:1:1: there is no output block/);
  assert.match(stderr, /dstream\.hcl:3:3: input names 2 providers: provider and provider_path/);
  assert.match(stderr, /dstream\.hcl:6:5: unknown key conf in input/);
});
