/**
 * A simulator that is killed (SIGKILL) in the middle of a workload, again and again: what was acknowledged is there, what was not
 * committed is not, and the change table still replays to the source table.
 */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Connection } from "tedious";
import { SqlServerSimulator } from "../../../simulator/index.ts";
import { ask, connected, newConnection } from "../tds/clients.ts";
import { folder } from "./folder.ts";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
const ROUNDS = 3;

async function startChild(t: TestContext, file: string): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(CHILD, [file], { execArgv: ["--disable-warning=ExperimentalWarning"] });
  t.after(() => child.kill("SIGKILL"));
  const [port] = (await once(child, "message")) as [number];
  return { child, port };
}

async function connect(port: number): Promise<Connection> {
  const connection = newConnection(port, { requestTimeout: 0 }, { password: "Simulator!1" });
  await connected(connection);
  return connection;
}

/** Fails the test on an error of the server; false once the connection is gone. */
async function did(connection: Connection, sql: string): Promise<boolean> {
  const { error } = await ask(connection, sql);
  if (!error) return true;
  if (error.number === undefined) return false;
  throw new Error(`${sql}: ${error.message}`);
}

/** What the clients were told: by writer, the number of the last transaction that was acknowledged. */
type Acknowledged = Map<number, number>;

/** One transaction after the other until the server is gone: two rows that belong together, a change and a deletion. */
async function write(port: number, writer: number, from: number, acknowledged: Acknowledged): Promise<void> {
  const connection = await connect(port);
  for (let n = from; ; n++) {
    const work = `BEGIN TRAN;
      INSERT a (writer, n, text) VALUES (${writer}, ${n}, N'first ${n}'); INSERT b VALUES (${writer}, ${n});
      UPDATE a SET text = N'second ${n}' WHERE writer = ${writer} AND n = ${n};
      DELETE a WHERE writer = ${writer} AND n = ${n - 10}; DELETE b WHERE writer = ${writer} AND n = ${n - 10}`;
    if (!(await did(connection, work)) || !(await did(connection, "COMMIT"))) break;
    acknowledged.set(writer, n);
  }
  connection.close();
}

/** Definitions beside the rows: columns come and tables go, each with a number. An earlier run's tables go first. */
async function define(port: number, from: number, acknowledged: Acknowledged): Promise<void> {
  const connection = await connect(port);
  for (const [name] of (await ask(connection, "SELECT name FROM sys.tables WHERE name LIKE 'made[_]%'")).rows)
    await did(connection, `DROP TABLE ${name}`);
  for (let n = from; ; n++) {
    const drop = `IF OBJECT_ID('made_${n - 1}') IS NOT NULL DROP TABLE made_${n - 1}`;
    const made = [`CREATE TABLE made_${n} (id int PRIMARY KEY)`, `INSERT made_${n} VALUES (${n})`, drop];
    const altered = `ALTER TABLE wide ADD c${n} int NOT NULL DEFAULT ${n}`;
    let gone = false;
    for (const sql of [...made, altered]) if (!gone) gone = !(await did(connection, sql));
    if (gone) break;
    acknowledged.set(0, n);
  }
  connection.close();
}

test("every acknowledged commit survives a kill, and nothing else does", async (t) => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9));
  t.diagnostic(`SEED=${seed}`);
  let random = seed;
  const next = (below: number) => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    return random % below;
  };
  const file = join(folder(t), "killed.db");
  const acknowledged: Acknowledged = new Map();
  let { child, port } = await startChild(t, file);
  const setUp = await connect(port);
  for (const sql of [
    "CREATE TABLE a (id int IDENTITY PRIMARY KEY, writer int, n int, text nvarchar(50))",
    "CREATE TABLE b (writer int, n int, PRIMARY KEY (writer, n))",
    "CREATE TABLE wide (id int PRIMARY KEY); INSERT wide VALUES (1), (2)",
    "EXEC sys.sp_cdc_enable_db",
    "EXEC sys.sp_cdc_enable_table N'dbo', N'a', @role_name = NULL",
  ])
    assert.ok(await did(setUp, sql));
  setUp.close();

  for (let round = 1; round <= ROUNDS; round++) {
    const last = (writer: number) => acknowledged.get(writer) ?? 0;
    const first = [0, 1, 2, 3].map((writer) => last(writer) + 100);
    const work = [1, 2, 3].map((writer) => write(port, writer, first[writer]!, acknowledged));
    work.push(define(port, first[0]!, acknowledged));
    const target = last(1) + 105 + next(20);
    // Each has had its first by then: verify looks for what may stand behind the last of this round.
    while (last(1) < target || first.some((n, writer) => last(writer) < n))
      await new Promise((resolve) => setTimeout(resolve, 1 + next(3)));
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    await Promise.all(work);
    await verify(file, acknowledged);
    if (round < ROUNDS) ({ child, port } = await startChild(t, file));
  }
});

/** Reads the file with a simulator of this process, which captures what is left in the log. */
async function verify(file: string, acknowledged: Acknowledged): Promise<void> {
  const simulator = await SqlServerSimulator.start({ file, captureInterval: "immediate" });
  const rows = async (sql: string) => (await simulator.query(sql, "TestDB")).rows;
  try {
    for (const [writer, last] of acknowledged) {
      if (writer === 0) continue;
      const there = new Set((await rows(`SELECT n FROM b WHERE writer = ${writer}`)).map(([n]) => n as number));
      // The one after the last may have been committed without the client's hearing of it.
      const newest = there.has(last + 1) ? last + 1 : last;
      assert.ok(
        Math.max(...there) === newest,
        `writer ${writer}: ${Math.max(...there)} is there, ${last} was acknowledged`,
      );
    }
    assert.deepEqual(
      await rows("SELECT writer, n FROM a ORDER BY writer, n"),
      await rows("SELECT writer, n FROM b ORDER BY writer, n"),
    );
    assert.deepEqual(await rows("SELECT COUNT(*) FROM a WHERE text NOT LIKE 'second%'"), [[0]]);
    await verifyDefinitions(simulator, acknowledged.get(0));
    await replay(rows);
    const { rows: identity } = await simulator.query(
      "INSERT a (writer) VALUES (99); SELECT SCOPE_IDENTITY()",
      "TestDB",
    );
    const highest = (await rows("SELECT MAX(id) FROM a WHERE writer <> 99"))[0]![0] as number;
    assert.ok(Number(String(identity[0]![0])) > highest);
    await simulator.query("DELETE a WHERE writer = 99", "TestDB");
  } finally {
    await simulator.close();
  }
}

async function verifyDefinitions(simulator: SqlServerSimulator, last: number | undefined): Promise<void> {
  if (last === undefined) return;
  const { rows } = await simulator.query(
    "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('wide') AND name <> 'id'",
    "TestDB",
  );
  const columns = rows.map(([name]) => Number(String(name).slice(1)));
  assert.ok(columns.includes(last) && Math.max(...columns) <= last + 1, `columns ${columns}, acknowledged ${last}`);
  const { rows: wide } = await simulator.query("SELECT * FROM wide", "TestDB");
  assert.deepEqual(
    wide,
    [1, 2].map((id) => [id, ...columns]),
  );
  const { rows: made } = await simulator.query("SELECT name FROM sys.tables WHERE name LIKE 'made[_]%'", "TestDB");
  const tables = made.map(([name]) => Number(String(name).slice(5)));
  assert.ok(
    tables.every((n) => n >= last && n <= last + 1) && tables.length > 0,
    `tables ${tables}, acknowledged ${last}`,
  );
}

/** The change table, played in order onto an empty table, is the source table. */
async function replay(rows: (sql: string) => Promise<(readonly unknown[])[]>): Promise<void> {
  const changes = await rows(
    "SELECT [__$operation], id, writer, n, text FROM cdc.dbo_a_CT ORDER BY [__$start_lsn], [__$command_id], [__$seqval], [__$operation]",
  );
  const played = new Map<unknown, readonly unknown[]>();
  for (const [operation, id, ...values] of changes) {
    if (operation === 1) assert.ok(played.delete(id), `a deletion of ${id}, which is not there`);
    else if (operation === 2) {
      assert.ok(!played.has(id), `a second insert of ${id}`);
      played.set(id, values);
    } else if (operation === 3) assert.deepEqual(played.get(id), values);
    else played.set(id, values);
  }
  const source = await rows("SELECT id, writer, n, text FROM a");
  assert.deepEqual(played, new Map(source.map(([id, ...values]) => [id, values])));
}
