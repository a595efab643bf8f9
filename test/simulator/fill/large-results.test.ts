/** Results of millions of rows, which a client reads slowly, or gives up. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { Connection, Request } from "tedious";
import { DrainingClient } from "../../../bench/drain.ts";
import { SqlServerSimulator } from "../../../simulator/index.ts";

const CHANGES = 1_000_000;
const SQL = "SELECT * FROM cdc.dbo_T_CT";

async function filled(t: TestContext): Promise<SqlServerSimulator> {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate" });
  t.after(() => simulator.close());
  await simulator.query(
    "CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY, name nvarchar(40)); INSERT dbo.T VALUES (1, N'a'), (2, NULL)",
  );
  await simulator.query("EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_table N'dbo', N'T', @role_name = NULL");
  await simulator.fillChangeTable("TestDB", "dbo_T", { changes: CHANGES });
  return simulator;
}

test("a query of a million rows is cancelled in the middle, and the connection goes on", async (t) => {
  const simulator = await filled(t);
  const connection = new Connection({
    server: "127.0.0.1",
    authentication: { type: "default", options: { userName: "sa", password: simulator.password } },
    options: { port: simulator.port, database: "TestDB", encrypt: false },
  });
  await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
  let rows = 0;
  const cancelled = new Promise<Error | null | undefined>((resolve) => {
    const request = new Request(SQL, (error) => resolve(error));
    request.on("row", () => {
      if (++rows === 1000) connection.cancel();
    });
    connection.execSqlBatch(request);
  });
  assert.equal(((await cancelled) as { code?: string }).code, "ECANCEL");
  assert.ok(rows < CHANGES);
  const values: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    const request = new Request("SELECT 1 AS one", (error) => (error ? reject(error) : resolve()));
    request.on("row", ([column]) => values.push(column.value));
    connection.execSqlBatch(request);
  });
  assert.deepEqual(values, [1]);
  connection.close();
  await once(connection, "end");
});

test("while a client does not read, the server does not pile up its rows, and answers others", async (t) => {
  const simulator = await filled(t);
  const slow = await DrainingClient.connect(simulator.port, "sa", simulator.password, "TestDB");
  const answer = slow.drain(SQL);
  slow.pause();
  const before = process.memoryUsage();
  const { rows } = await simulator.query("SELECT COUNT(*) FROM cdc.dbo_T_CT");
  assert.deepEqual(rows, [[CHANGES]]);
  const after = process.memoryUsage();
  assert.ok(after.external + after.arrayBuffers - before.external - before.arrayBuffers < 20_000_000);
  slow.resume();
  assert.equal((await answer).rows, CHANGES);
  slow.close();
});

test("a client that goes away in the middle leaves nothing behind", async (t) => {
  const simulator = await filled(t);
  const client = await DrainingClient.connect(simulator.port, "sa", simulator.password, "TestDB");
  const sessions = simulator.engine.sessions.size;
  const answer = assert.rejects(client.drain(SQL), /closed the connection/);
  client.close();
  await answer;
  while (simulator.engine.sessions.size >= sessions) await new Promise((resolve) => setImmediate(resolve));
});
