/** `dstream run` with providers of every kind: good ones, older ones, and those that fail at every stage. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Workplace } from "../cli/dstream.ts";

const READY = `echo '{"status":"ready"}'`;

interface Sides {
  input: string;
  output: string;
  rest?: string;
}

/** A folder with scripts and one task, "it". Sides are shell scripts, or the inside of a block where they hold `=`. */
function place(t: TestContext, { input, output, rest = "" }: Sides, env: Record<string, string> = {}): Workplace {
  const work = new Workplace(t, null, env);
  const side = (name: string, text: string) => {
    if (/^\s*provider\w* =/.test(text)) return text;
    script(work, `${name}.sh`, text);
    return `provider_path = "./${name}.sh"\nhandshake_timeout = "20s"`;
  };
  work.configure(
    `task "it" {\ninput {\n${side("input", input)}\n}\noutput {\n${side("output", output)}\n}\n${rest}\n}\n`,
  );
  return work;
}

function script(work: Workplace, name: string, text: string): void {
  writeFileSync(work.path(name), `#!/bin/sh\n${text}\n`);
  chmodSync(work.path(name), 0o755);
}

const keeping = `read -r envelope\n${READY}\ncat > kept.jsonl\nsleep 0.2\necho done > finished`;
const counting = (count: number) => `provider = "counter"\nconfig {\ninterval = "0s"\nmax_count = ${count}\n}`;
const kept = (work: Workplace) => readFileSync(work.path("kept.jsonl"), "utf8");

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(20);
  }
}

async function appears(path: string): Promise<string> {
  while (!existsSync(path) || readFileSync(path, "utf8").trim() === "") await sleep(20);
  return readFileSync(path, "utf8").trim();
}

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
