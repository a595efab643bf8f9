/** The simulator as its users meet it: over the wire, with their own driver. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Connection, Request } from "tedious";
import { SqlServerSimulator } from "../../simulator/index.ts";

async function connect(simulator: SqlServerSimulator, encrypt: boolean): Promise<Connection> {
  const connection = new Connection({
    server: "127.0.0.1",
    authentication: { type: "default", options: { userName: "sa", password: simulator.password } },
    options: { port: simulator.port, database: "TestDB", encrypt, trustServerCertificate: true },
  });
  await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
  return connection;
}

function execute(connection: Connection, sql: string): Promise<unknown[][]> {
  return new Promise((resolve, reject) => {
    const rows: unknown[][] = [];
    const request = new Request(sql, (error) => (error ? reject(error) : resolve(rows)));
    request.on("row", (columns: { value: unknown }[]) => rows.push(columns.map(({ value }) => value)));
    connection.execSql(request);
  });
}

for (const encrypt of [false, true])
  test(`a driver enables CDC and reads its change ${encrypt ? "over TLS" : "in the clear"}`, async (t) => {
    const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate" });
    t.after(() => simulator.close());
    const connection = await connect(simulator, encrypt);
    await execute(connection, "CREATE TABLE t (id int NOT NULL PRIMARY KEY, name nvarchar(20))");
    await execute(connection, "EXEC sys.sp_cdc_enable_db");
    await execute(connection, "EXEC sys.sp_cdc_enable_table N'dbo', N't', @role_name = NULL");
    await execute(connection, "INSERT INTO t VALUES (1, N'ünïcødé')");
    const rows = await execute(connection, "SELECT [__$operation], id, name FROM cdc.dbo_t_CT");
    assert.deepEqual(rows, [[2, 1, "ünïcødé"]]);
    connection.close();
    await once(connection, "end");
  });

test("the connection string names host, port, login and database, and is escaped", async (t) => {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], password: "p@ss:w/rd?" });
  t.after(() => simulator.close());
  const url = new URL(simulator.connectionString);
  assert.equal(url.protocol, "sqlserver:");
  assert.equal(decodeURIComponent(url.password), "p@ss:w/rd?");
  assert.equal(Number(url.port), simulator.port);
  assert.equal(url.searchParams.get("database"), "TestDB");
  assert.equal(url.searchParams.get("encrypt"), "false");
  assert.match(
    simulator.connectionStringFor("Other", { encrypt: true }),
    /database=Other&encrypt=true&trustServerCertificate=true/,
  );
});

test("query gives columns, rows and messages, and throws what the server raises", async (t) => {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"] });
  t.after(() => simulator.close());
  const { columns, rows, messages } = await simulator.query("PRINT 'hello'; SELECT 1 AS one, N'a' AS letter");
  assert.deepEqual(
    columns.map(({ name }) => name),
    ["one", "letter"],
  );
  assert.deepEqual(rows, [[1, "a"]]);
  assert.deepEqual(
    messages.map(({ message }) => message),
    ["hello"],
  );
  await assert.rejects(simulator.query("SELECT * FROM nothing"), { number: 208 });
});

test("capture is stopped, run by hand, and started again", async (t) => {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate" });
  t.after(() => simulator.close());
  const count = async () => (await simulator.query("SELECT COUNT(*) FROM cdc.dbo_t_CT")).rows[0]![0];
  await simulator.query("CREATE TABLE t (id int PRIMARY KEY)");
  await simulator.query("EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_table 'dbo', 't', @role_name = NULL");
  const cdc = simulator.cdc("TestDB");
  cdc.stop();
  await simulator.query("INSERT INTO t VALUES (1)");
  await simulator.query("INSERT INTO t VALUES (2)");
  assert.equal(await count(), 0);
  assert.equal(cdc.run(), 2);
  assert.equal(await count(), 2);
  cdc.start();
  await simulator.query("INSERT INTO t VALUES (3)");
  assert.equal(await count(), 3);
});

test("a restored database tells another recovery fork, and its sessions go on in it", async (t) => {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate" });
  t.after(() => simulator.close());
  const connection = await connect(simulator, false);
  await execute(connection, "CREATE TABLE t (id int PRIMARY KEY)");
  await execute(connection, "INSERT INTO t VALUES (1)");
  const fork = "SELECT recovery_fork_guid FROM sys.database_recovery_status WHERE database_id = DB_ID()";
  const before = await execute(connection, fork);
  const snapshot = simulator.snapshot("TestDB");
  await execute(connection, "INSERT INTO t VALUES (2)");
  simulator.restore(snapshot);
  assert.deepEqual(await execute(connection, "SELECT id FROM t"), [[1]]);
  assert.notDeepEqual(await execute(connection, fork), before);
  connection.close();
  await once(connection, "end");
});

test("the clock and the time zone are the test's", async (t) => {
  const clock = () => new Date("2026-11-21T10:11:12.123Z");
  const simulator = await SqlServerSimulator.start({ clock, timeZone: "Asia/Kolkata" });
  t.after(() => simulator.close());
  const { rows } = await simulator.query(
    "SELECT CONVERT(varchar(40), SYSDATETIMEOFFSET(), 121), CONVERT(varchar(30), GETDATE(), 126)",
  );
  assert.deepEqual(rows, [["2026-11-21 15:41:12.1230000 +05:30", "2026-11-21T15:41:12.123"]]);
});

test("sys.dm_exec_connections says which connections are encrypted as a whole", async (t) => {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"] });
  t.after(() => simulator.close());
  for (const encrypt of [false, true]) {
    const connection = await connect(simulator, encrypt);
    const asked = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID";
    assert.deepEqual(await execute(connection, asked), [[encrypt ? "TRUE" : "FALSE"]]);
    connection.close();
  }
});
