/** Faults on demand, as a client that nobody here wrote (tedious) meets them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { type Connection, Request } from "tedious";
import { SERVER_ERRORS, type ServerErrorNumber, SqlError } from "../../../simulator/index.ts";
import { ask } from "../tds/clients.ts";
import { world } from "./world.ts";

const LOST = /^(ESOCKET|ECONNRESET|ECLOSE)$/;

/** Resolves when the client has noticed that its connection is gone. */
async function ended(connection: Connection): Promise<void> {
  if (!connection.closed) await once(connection, "end");
}

test("the third statement becomes a deadlock victim: its transaction is gone, the connection stays", async (t) => {
  const { simulator, connect } = await world(t);
  const connection = await connect();
  simulator.faults.failStatements({ error: 1205, after: 2 });
  const { error } = await ask(connection, "BEGIN TRAN; INSERT t VALUES (1, N'a'); INSERT t VALUES (2, N'b'); COMMIT");
  assert.equal(error!.number, 1205);
  assert.equal(error!.class, 13);
  assert.match(error!.message, /^Transaction \(Process ID \d+\) was deadlocked on lock resources .* Rerun the trans/);
  assert.deepEqual((await ask(connection, "SELECT @@TRANCOUNT, COUNT(*) FROM t")).rows, [[0, 0]]);
});

test("CATCH sees a deadlock as an uncommittable transaction", async (t) => {
  const { simulator, connect } = await world(t);
  const connection = await connect();
  simulator.faults.failStatements({ error: 1205, when: ({ kind }) => kind === "update" });
  const { rows } = await ask(
    connection,
    "BEGIN TRY BEGIN TRAN; UPDATE t SET name = N'x'; COMMIT END TRY BEGIN CATCH SELECT ERROR_NUMBER(), XACT_STATE(); ROLLBACK END CATCH",
  );
  assert.deepEqual(rows, [[1205, -1]]);
});

test("a predicate chooses statements by text, application and kind, also those of sp_executesql", async (t) => {
  const { simulator, connect } = await world(t);
  const mine = await connect({ appName: "reader" });
  const other = await connect({ appName: "writer" });
  simulator.faults.failStatements({
    error: 49918,
    times: 2,
    when: ({ application, text }) => application === "reader" && text.includes("FROM t"),
  });
  const numbers: (number | undefined)[] = [];
  for (const [connection, text] of [
    [other, "SELECT * FROM t"],
    [mine, "SELECT 1"],
    [mine, "SELECT id FROM t"],
    [mine, "SELECT name FROM t"],
    [mine, "SELECT name FROM t"],
  ] as const)
    numbers.push((await ask(connection, text, "sql")).error?.number);
  assert.deepEqual(numbers, [undefined, undefined, 49918, 49918, undefined]);
});

/** https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues (severities), 20 and more end the session. */
const EXPECTED: [number: ServerErrorNumber, severity: number, closes: boolean, text: RegExp][] = [
  [10928, 20, true, /^Resource ID: 1\. The request limit for the database is 90 and has been reached\./],
  [10929, 20, true, /^Resource ID: 1\. The request minimum guarantee is 0, maximum limit is 90 and/],
  [
    40197,
    17,
    true,
    /^The service has encountered an error processing your request\. Please try again\. Error code 40166\.$/,
  ],
  [
    40501,
    20,
    true,
    /^The service is currently busy\. Retry the request after 10 seconds\. Incident ID: [0-9A-F-]{36}\. Code:/,
  ],
  [
    40613,
    17,
    true,
    /^Database 'TestDB' on server 'SIMULATOR' is not currently available\. Please retry the connection later\./,
  ],
  [49918, 16, false, /^Cannot process request\. Not enough resources to process request\./],
  [49919, 16, false, /^Cannot process create or update request\. Too many create or update operations in progress/],
  [49920, 16, false, /^Cannot process request\. Too many operations in progress for subscription/],
];

for (const [number, severity, closes, text] of EXPECTED)
  test(`error ${number} comes with its text and severity, and ${closes ? "ends" : "leaves"} the connection`, async (t) => {
    const { simulator, connect } = await world(t);
    const connection = await connect();
    simulator.faults.failStatements({ error: number });
    const { error } = await ask(connection, "SELECT 1");
    assert.equal(error!.number, number);
    assert.equal(error!.class, severity);
    assert.match(error!.message, text);
    if (closes) await ended(connection);
    else assert.deepEqual((await ask(connection, "SELECT 1")).rows, [[1]]);
    assert.deepEqual((await ask(await connect(), "SELECT 2")).rows, [[2]]);
  });

test("logins fail as often as was asked, each with the error that the driver retries", async (t) => {
  const { simulator, connect } = await world(t);
  simulator.faults.failLogins({ error: 40613, times: 1 });
  await assert.rejects(connect(), /Database 'TestDB' on server 'SIMULATOR' is not currently available/);
  simulator.faults.failLogins({ error: 4060 });
  // SQL Server sends 18456 behind 4060, and tedious shows the last.
  await assert.rejects(connect(), /Login failed for user 'sa'/);
  simulator.faults.failLogins({
    error: new SqlError(18401, "Login failed for user 'sa'. Reason: Server is in script upgrade mode.", 14),
  });
  await assert.rejects(connect(), /script upgrade mode/);
  await connect();
});

test("tedious' own retries come through two transient errors at login", async (t) => {
  const { simulator, connect } = await world(t);
  simulator.faults.failLogins({ error: 40613, times: 2 });
  await connect({ maxRetriesOnTransientErrors: 2, connectionRetryInterval: 1 });
});

test("an error that SQL Server cannot catch goes through TRY, ends the batch and undoes the transaction", async (t) => {
  const { simulator, connect } = await world(t);
  const connection = await connect();
  simulator.faults.failStatements({ error: 40501, after: 2 });
  const { error, rows } = await ask(
    connection,
    "BEGIN TRY BEGIN TRAN; INSERT t VALUES (1, N'a'); SELECT 1 END TRY BEGIN CATCH SELECT N'caught' END CATCH; COMMIT",
  );
  assert.equal(error!.number, 40501);
  assert.deepEqual(rows, []);
  await ended(connection);
  assert.deepEqual((await simulator.query("SELECT COUNT(*) FROM t")).rows, [[0]]);
});

const NUMBERS =
  "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT i FROM n OPTION (MAXRECURSION 0)";

test("KILL ends a result in its middle with error 596 and the connection with it; others go on", async (t) => {
  const { connect } = await world(t);
  const victim = await connect();
  const killer = await connect();
  const spid = (await ask(victim, "SELECT @@SPID")).rows[0]![0];
  await ask(victim, "BEGIN TRAN; INSERT t VALUES (1, N'a')");
  const { promise, resolve } = Promise.withResolvers<(Error & { number?: number }) | null | undefined>();
  const request = new Request(`${NUMBERS}; WAITFOR DELAY '01:00'`, (error) => resolve(error));
  let rows = 0;
  request.on("row", () => {
    if (rows++ === 0) void ask(killer, `KILL ${spid}`);
  });
  victim.execSqlBatch(request);
  assert.equal((await promise)!.number, 596);
  await ended(victim);
  assert.deepEqual((await ask(killer, "SELECT COUNT(*) FROM t")).rows, [[0]]);
  assert.equal((await ask(killer, `KILL ${spid}`)).error!.number, 6106);
});

test("an idle session that is killed loses its connection without a word", async (t) => {
  const { simulator, connect } = await world(t);
  const victim = await connect();
  const gone = ended(victim);
  assert.equal(simulator.faults.kill((await ask(victim, "SELECT @@SPID")).rows[0]![0] as number), true);
  await gone;
  assert.equal(simulator.faults.kill(12345), false);
});

test("a client that reads nothing is killed as well", async (t) => {
  const { simulator, connect } = await world(t);
  const victim = await connect();
  const spid = (await ask(victim, "SELECT @@SPID")).rows[0]![0] as number;
  simulator.faults.network({ stallAfter: 2000 }, { spid });
  const answer = ask(victim, NUMBERS);
  while (!simulator.engine.sessions.get(spid)!.busy) await new Promise(setImmediate);
  for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
  simulator.faults.kill(spid);
  assert.match((await answer).error!.code!, LOST);
});

test("a failover drops every connection, undoes what was open, and lets nobody in until it is over", async (t) => {
  const { simulator, connect } = await world(t);
  const connection = await connect();
  await ask(connection, "INSERT t VALUES (1, N'a'); BEGIN TRAN; INSERT t VALUES (2, N'b')");
  const gone = ended(connection);
  simulator.faults.failOver();
  await gone;
  await assert.rejects(connect(), /is not currently available/);
  await simulator.faults.heal();
  assert.deepEqual((await ask(await connect(), "SELECT id FROM t")).rows, [[1]]);
});

test("a connection that is cut in the answer to COMMIT leaves the client in doubt, and the change made", async (t) => {
  const { simulator, connect } = await world(t);
  const connection = await connect();
  await ask(connection, "BEGIN TRAN; INSERT t VALUES (1, N'a')");
  simulator.faults.network({ dropAfter: 0 });
  assert.match((await ask(connection, "COMMIT")).error!.code!, LOST);
  await simulator.faults.heal();
  assert.deepEqual((await ask(await connect(), "SELECT id FROM t")).rows, [[1]]);
});

test("a network that is cut after n bytes, slow, or in single bytes is that for open and new connections", async (t) => {
  const { simulator, connect } = await world(t);
  const open = await connect();
  for (const faults of [{ splitEvery: 1 }, { bytesPerSecond: 200_000 }]) {
    simulator.faults.network(faults);
    for (const connection of [open, await connect()])
      assert.deepEqual((await ask(connection, "SELECT N'ünïcødé'")).rows, [["ünïcødé"]]);
  }
  simulator.faults.network({ dropAfter: 500 });
  const { error, rows } = await ask(open, NUMBERS);
  assert.match(error!.code!, LOST);
  assert.ok(rows.length < 30_000);
});

test("refused connections: nobody listens until they are accepted again", async (t) => {
  const { simulator, connect } = await world(t);
  await simulator.faults.refuseConnections();
  await assert.rejects(connect(), /ECONNREFUSED|Failed to connect/);
  await simulator.faults.acceptConnections();
  await connect();
});

test("programs in other languages ask for faults in T-SQL", async (t) => {
  const { connect } = await world(t);
  const control = await connect();
  const victim = await connect();
  const spid = (await ask(victim, "SELECT @@SPID")).rows[0]![0];
  await ask(
    control,
    "EXEC simulator.fail_statements @number = 1205, @containing = N'INSERT t', @after = 1, @times = 2",
  );
  const numbers: (number | undefined)[] = [];
  for (let id = 1; id <= 4; id++) numbers.push((await ask(victim, `INSERT t VALUES (${id}, NULL)`)).error?.number);
  assert.deepEqual(numbers, [undefined, 1205, 1205, undefined]);

  await ask(control, "EXEC simulator.fail_statements @number = 49920, @close = 1");
  assert.equal((await ask(victim, "SELECT 1")).error!.number, 49920);
  await ended(victim);

  await ask(control, "EXEC simulator.fail_logins @number = 40613, @times = 1");
  await assert.rejects(connect(), /is not currently available/);

  const another = await connect();
  const gone = ended(another);
  await ask(control, "EXEC simulator.fail_over @number = 4060");
  await gone;
  await assert.rejects(connect(), /Login failed for user 'sa'/);
  await ask(control, "EXEC simulator.heal");
  await connect();

  await ask(control, "EXEC simulator.fail_statements @number = 1205, @times = 100");
  assert.equal((await ask(control, "EXEC simulator.heal")).error, null);
  assert.deepEqual((await ask(control, "SELECT COUNT(*) FROM t")).rows, [[2]]);
  await ask(control, `EXEC simulator.set_network @spid = ${spid}, @drop_after = 10, @seconds = 1`);

  const unknown = await ask(control, "EXEC simulator.fail_statements @number = 99999");
  assert.match(unknown.error!.message, new RegExp(`knows no error 99999 .* it knows ${Object.keys(SERVER_ERRORS)[0]}`));
});

test("only sysadmins make faults", async (t) => {
  const { simulator, connect } = await world(t);
  await simulator.query("CREATE LOGIN reader WITH PASSWORD = 'Reader!1'; CREATE USER reader FOR LOGIN reader");
  const connection = await connect({}, { userName: "reader", password: "Reader!1" });
  assert.equal((await ask(connection, "EXEC simulator.heal")).error!.number, 15247);
});
