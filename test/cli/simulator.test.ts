/** `dstream simulator` as somebody meets it who has no SQL Server. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { test } from "node:test";
import { Connection, Request } from "tedious";
import { parseConnectionString, toTediousConfig } from "../../src/sources/sqlserver/connection-string.ts";
import { type Running, Workplace } from "./dstream.ts";

/** What it prints at start. */
async function greeting(simulator: Running): Promise<string[]> {
  await simulator.until(() => /^ {2}URL .*\n/m.test(simulator.stdout), "the URL");
  return simulator.stdout.split("\n");
}

function after(lines: string[], name: string): string {
  const line = lines.find((each) => each.startsWith(`  ${name} `));
  assert.ok(line, `no line of ${name} in ${lines.join("\n")}`);
  return line.slice(name.length + 2).trim();
}

async function query(connectionString: string, sql: string): Promise<unknown[][]> {
  const connection = new Connection(toTediousConfig(parseConnectionString(connectionString)));
  await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
  try {
    return await new Promise((resolve, reject) => {
      const rows: unknown[][] = [];
      const request = new Request(sql, (error) => (error ? reject(error) : resolve(rows)));
      request.on("row", (columns: { value: unknown }[]) => rows.push(columns.map(({ value }) => value)));
      connection.execSqlBatch(request);
    });
  } finally {
    connection.close();
  }
}

test("it says how to connect in every way, each of them right, and ends cleanly on SIGTERM and SIGINT", async (t) => {
  const place = new Workplace(t, null);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const simulator = place.start("simulator --port 0");
    const lines = await greeting(simulator);
    assert.match(
      lines[0]!,
      /^SQL Server simulator on 127\.0\.0\.1:\d+, database TestDB \(its data is gone when it ends\)$/,
    );
    const port = /:(\d+),/.exec(lines[0]!)![1]!;
    assert.equal(after(lines, "sqlcmd"), `sqlcmd -S 127.0.0.1,${port} -d TestDB -U sa -P 'Simulator!1' -C`);
    assert.equal(
      after(lines, "JDBC"),
      `jdbc:sqlserver://127.0.0.1:${port};databaseName=TestDB;user=sa;password=Simulator!1;trustServerCertificate=true`,
    );
    for (const name of ["connection string", "URL"])
      assert.deepEqual(await query(after(lines, name), "SELECT DB_NAME()"), [["TestDB"]]);
    assert.equal(await simulator.end(signal), 0, signal);
  }
});

test("a password from the environment is the one, and is not printed", async (t) => {
  const place = new Workplace(t, null);
  const simulator = place.start("simulator --port 0", { DSTREAM_SIMULATOR_PASSWORD: "My secret;1" });
  const lines = await greeting(simulator);
  assert.doesNotMatch(lines.join("\n"), /secret/);
  const port = /:(\d+),/.exec(lines[0]!)![1]!;
  const connect = (password: string) =>
    query(
      `Server=127.0.0.1,${port};Database=TestDB;User ID=sa;Password="${password}";TrustServerCertificate=true`,
      "SELECT 1",
    );
  assert.deepEqual(await connect("My secret;1"), [[1]]);
  await assert.rejects(connect("Simulator!1"), /Login failed for user 'sa'/);
});

test("databases, a script of GO batches, a time zone and a data folder: with the folder it goes on, and runs no script again", async (t) => {
  const place = new Workplace(t, null);
  writeFileSync(
    place.path("init.sql"),
    "\uFEFFCREATE TABLE t (id int IDENTITY PRIMARY KEY);\nGO\nINSERT t DEFAULT VALUES\nGO 3\nPRINT 'made';\nUSE Second;\nGO\nCREATE TABLE second (id int)\n",
  );
  const command =
    "simulator --port 0 --database First Second --init init.sql --data kept/ --time-zone Asia/Kolkata --server-name DEV --capture-interval immediate";
  const simulator = place.start(command);
  const lines = await greeting(simulator);
  assert.match(lines[0]!, /databases First, Second \(its data is in kept\/\)/);
  assert.match(simulator.stderr, /^made$/m);
  const url = after(lines, "URL");
  const both = "SELECT COUNT(*), IIF(OBJECT_ID('Second.dbo.second') IS NULL, 'missing', 'there') FROM t";
  assert.deepEqual(await query(url, both), [[3, "there"]]);
  assert.deepEqual(await query(url, "SELECT @@SERVERNAME, DATEPART(TZOFFSET, SYSDATETIMEOFFSET())"), [["DEV", 330]]);
  await query(url, "INSERT t DEFAULT VALUES");
  await simulator.kill();

  const again = place.start(command);
  const [count] = (await query(after(await greeting(again), "URL"), "SELECT COUNT(*) FROM t"))[0]!;
  assert.equal(count, 4);
  assert.equal(await again.end(), 0);
});

test("a script that fails is told of with its file and line", async (t) => {
  const place = new Workplace(t, null);
  writeFileSync(place.path("wrong.sql"), "CREATE TABLE t (id int)\nGO\n\nSELECT 1\nSELECT * FROM nothing\n");
  const failed = await place.run("simulator --port 0 --init wrong.sql --data kept.db");
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /^wrong\.sql:5: error 208: Invalid object name 'nothing'\./);
  assert.match(failed.stderr, /^The data file now has a part of it: remove kept\.db/m);
  const missing = await place.run("simulator --port 0 --init missing.sql");
  assert.match(missing.stderr, /^missing\.sql \(--init\) cannot be read/);
});

test("what cannot be is said in a line that names the way out", async (t) => {
  const place = new Workplace(t, null);
  const taken = createServer().listen(0, "127.0.0.1");
  t.after(() => taken.close());
  await new Promise((resolve) => taken.once("listening", resolve));
  const { port } = taken.address() as { port: number };
  for (const [options, said] of [
    [`--port ${port}`, new RegExp(`^port ${port} of 127\\.0\\.0\\.1 is taken: .* choose another with --port`)],
    ["--port 99999", /Ports go up to 65535/],
    ["--port 0 --host 203.0.113.5", /^this machine has no address 203\.0\.113\.5 to listen on \(--host\)/],
    ["--port 0 --time-zone Nowhere", /^there is no time zone Nowhere \(--time-zone\): Europe\/Berlin/],
    ["--encryption maybe", /Allowed choices are off, required, strict, not_supported/],
    ["--prot 1433", /unknown option '--prot'\n\(Did you mean --port\?\)/],
    ["--capture-interval soon", /It is no whole number/],
  ] as const) {
    const { code, stdout, stderr } = await place.run(`simulator ${options}`);
    assert.equal(code, 1, options);
    assert.equal(stdout, "", options);
    assert.match(stderr, said);
    assert.doesNotMatch(stderr, /^ +at /m, "no stack");
  }
});
