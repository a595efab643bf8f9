import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "dstream-pack-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("the packed tarball, installed without dev dependencies in an empty folder, runs the demo and gives away the simulator with its types", async () => {
  // prepack builds dist/.
  await run("npm", ["pack", "--pack-destination", folder], { cwd: root });
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz"));
  assert.ok(tarball, "npm pack left no tarball");
  await run("npm", ["init", "--yes"], { cwd: folder });
  await run("npm", ["install", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error", `./${tarball}`], {
    cwd: folder,
  });

  const bin = join(folder, "node_modules", ".bin", "dstream");
  const { stdout, stderr } = await run(bin, ["demo", "--changes", "1000", "--rate", "5000"], {
    cwd: folder,
    timeout: 120_000,
  });
  assert.equal(stdout.trimEnd().split("\n").at(-1), "committed=1000 delivered=1000 lost=0 duplicated=0 reordered=0");
  assert.equal(stderr, "", "a newcomer sees no warnings");

  await importSimulator();
  await runProvider(bin);
});

/** A provider in TypeScript, written with `dstream/provider`, in a task. */
async function runProvider(bin: string): Promise<void> {
  await writeFile(
    join(folder, "two.mts"),
    `import { runInput } from "dstream/provider";
    import { z } from "zod";
    await runInput({
      config: z.object({ text: z.string() }),
      async *read({ config }) {
        yield { n: 1, text: config.text };
        yield { n: 2, text: config.text };
      },
    });`,
  );
  await writeFile(
    join(folder, "dstream.hcl"),
    `task "two" {
      input {
        provider_path = "./two.mts"
        config { text = "hello" }
      }
      output { provider = "console" }
    }`,
  );
  const { stdout } = await run(bin, ["run", "two"], { cwd: folder, timeout: 60_000 });
  assert.equal(stdout, '{"n":1,"text":"hello"}\n{"n":2,"text":"hello"}\n');
}

/** `dstream/simulator` is there to import, with its types. */
async function importSimulator(): Promise<void> {
  const program = join(folder, "program.mts");
  await writeFile(
    program,
    `import { type SimulatorOptions, SERVER_ERRORS, SqlServerSimulator } from "dstream/simulator";
    const options: SimulatorOptions = { databases: ["Mine"] };
    const simulator: SqlServerSimulator = await SqlServerSimulator.start(options);
    simulator.faults.failStatements({ error: 1205, after: 1 });
    // @ts-expect-error: no error that it knows
    const unknown: keyof typeof SERVER_ERRORS = 1;
    console.log((await simulator.query("SELECT DB_NAME()")).rows[0]![0], typeof unknown);
    await simulator.close();`,
  );
  const types = ["--types", "node", "--typeRoots", join(root, "node_modules", "@types")];
  const compiler = join(root, "node_modules", ".bin", "tsc");
  const options = ["--strict", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2024"];
  await run(compiler, [...options, ...types, program], { cwd: folder });
  const { stdout } = await run(process.execPath, [join(folder, "program.mjs")], { cwd: folder });
  assert.equal(stdout, "Mine number\n");
}
