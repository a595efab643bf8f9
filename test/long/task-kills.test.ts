/**
 * `dstream run` from SQL Server to a file, with the output provider killed fifty times: with acknowledgements nothing is lost, and what
 * comes twice is recognisable; without them something is.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { seededRandom } from "../../src/demo/random.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const simulator = await SqlServerSimulator.start({ captureInterval: 20, databases: ["shop"] });
after(() => simulator.close());
const query = (sql: string) => simulator.query(sql, "shop");
await query("EXEC sys.sp_cdc_enable_db");

const seed = Number(process.env["TEST_SEED"] ?? Date.now() % 100_000);
const random = seededRandom(seed);

interface Run {
  process: ChildProcess;
  folder: string;
  log(): string;
}

async function start(t: TestContext, table: string, rest: { input?: string; output: string }): Promise<Run> {
  await query(`CREATE TABLE dbo.${table} (id int NOT NULL PRIMARY KEY, filler nvarchar(200))`);
  await query(`EXEC sys.sp_cdc_enable_table @source_schema=N'dbo', @source_name=N'${table}', @role_name=NULL`);
  const folder = mkdtempSync(join(tmpdir(), "dstream-task-"));
  writeFileSync(
    join(folder, "dstream.hcl"),
    `task "it" {
  input {
    provider = "mssql"
    ${rest.input ?? ""}
    config {
      db_connection_string = "${simulator.connectionStringFor("shop")}"
      poll_interval = "20ms"
      max_poll_interval = "100ms"
      max_batch_rows = 50
      tables = ["dbo.${table}"]
      output = "rows"
      lock_config { type = "none" }
    }
  }
  output {
    ${rest.output}
  }
  restart {
    max = 1000
    min_wait = "10ms"
    max_wait = "20ms"
  }
}
`,
  );
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, "run", "it"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  });
  return { process: child, folder, log: () => text };
}

/** Of those that dstream has started, by their command lines: Linux tells them. */
function outputProvider(parent: number, name: string): number | null {
  for (const pid of readdirSync("/proc").filter((each) => /^\d+$/.test(each))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const status = readFileSync(`/proc/${pid}/stat`, "utf8");
      const ppid = Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]);
      if (ppid === parent && command[0] !== "/bin/sh" && command.includes(name)) return Number(pid);
    } catch {
      // It has ended meanwhile.
    }
  }
  return null;
}

interface Row {
  data: { id: number };
  metadata: { LSN: string; Seq: string };
}

/** Whole lines: half a line at the end is one that is still written. */
function rows(path: string): Row[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, "utf8");
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}

/** `moment`: when, once there is one, the output provider is killed. */
async function workload(
  table: string,
  kills: number,
  run: Run,
  name: string,
  moment: () => Promise<unknown>,
): Promise<number> {
  let id = 0;
  let killed = 0;
  let working = true;
  const writing = (async () => {
    while (working) {
      const values = Array.from({ length: 40 }, () => `(${++id}, N'${"x".repeat(150)}')`);
      await query(`INSERT INTO dbo.${table} VALUES ${values.join(",")}`);
      await sleep(25);
    }
  })();
  while (killed < kills) {
    const pid = outputProvider(run.process.pid!, name);
    if (pid !== null) {
      await moment();
      try {
        process.kill(pid, "SIGKILL");
        killed++;
      } catch {
        // It has ended by itself.
      }
    }
    await sleep(20);
  }
  working = false;
  await writing;
  return id;
}

test(`an output provider that is killed fifty times loses nothing where it acknowledges (seed ${seed})`, async (t) => {
  const run = await start(t, "kept", { output: 'provider = "file"\nconfig { path = "kept.jsonl" }' });
  // Anywhere between its start and well into its work.
  const written = await workload("kept", 50, run, "file", () => sleep(random.next() * 900));
  const file = join(run.folder, "kept.jsonl");
  const distinct = () => new Set(rows(file).map(({ data }) => data.id)).size;
  for (let last = -1; distinct() < written; await sleep(200)) {
    assert.ok(run.process.exitCode === null, run.log());
    if (distinct() !== last) last = distinct();
  }
  run.process.kill("SIGTERM");
  await once(run.process, "exit");
  const found = rows(file);
  const firsts = [...new Map(found.map((row) => [row.data.id, row])).keys()];
  assert.deepEqual(
    firsts,
    Array.from({ length: written }, (_, n) => n + 1),
    "all of them, first seen in order",
  );
  const repeats = found.length - firsts.length;
  const positions = new Set(found.map(({ metadata }) => `${metadata.LSN}/${metadata.Seq}`));
  assert.equal(positions.size, written, "a repeat has its first one's position");
  t.diagnostic(`written=${written} delivered=${firsts.length} lost=0 repeats=${repeats} kills=50 seed=${seed}`);
});

test(`the same without acknowledgements loses something (seed ${seed})`, async (t) => {
  const script = join(import.meta.dirname, "slow-output.ts");
  const run = await start(t, "dropped", { output: `provider_path = "${script}"` });
  const file = join(run.folder, "kept.jsonl");
  // While it works: it takes longer for a message than there is until the next, so that others wait in its pipe.
  const atWork = async () => {
    const before = rows(file).length;
    while (rows(file).length < before + 50) await sleep(20);
  };
  const written = await workload("dropped", 5, run, script, atWork);
  // Until nothing more comes.
  for (let last = -1, quiet = 0; quiet < 15; await sleep(200)) {
    const count = rows(file).length;
    quiet = count === last ? quiet + 1 : 0;
    last = count;
  }
  const found = new Set(rows(file).map(({ data }) => data.id)).size;
  t.diagnostic(`written=${written} delivered=${found} lost=${written - found} kills=5 seed=${seed}`);
  assert.ok(found < written, "what was in the pipe is gone with the output that was to take it");
  assert.match(run.log(), /does not acknowledge: what is under way is lost/);
});
