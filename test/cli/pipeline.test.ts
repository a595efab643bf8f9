/** From a row in SQL Server to a line on the console, over the embedded queue. */
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { test } from "node:test";
import { type Change, type Running, startServer, workplaceOf } from "./dstream.ts";

const HOST = hostname().split(".")[0]!.toLowerCase();

function said(changes: readonly Change[], table: string): [operation: unknown, data: Record<string, unknown>][] {
  return changes
    .filter(({ metadata }) => metadata["TableName"] === table)
    .map(({ data, metadata }) => [metadata["OperationType"], data]);
}

/** What the console shows, less what depends on the machine and the moment. */
function literal(running: Running): string[] {
  return running.stdout
    .trimEnd()
    .split("\n")
    .map((line) =>
      line
        .replace(/"CommandID":\d+/, '"CommandID":…')
        .replaceAll(/"(LSN|Seq)":"[0-9a-f]{20}"/g, '"$1":"…"')
        .replace(/"CommitTime":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/, '"CommitTime":"…"')
        .replace(`"Destination":"${HOST}.`, '"Destination":"server.'),
    );
}

const STORY = [
  "INSERT INTO Persons VALUES (180, N'Diana', N'Williams')",
  "UPDATE Persons SET FirstName = NULL WHERE ID = 180",
  "UPDATE Persons SET ID = 181 WHERE ID = 180",
  "BEGIN TRANSACTION; INSERT INTO Cars VALUES (1, N'Volvo'), (2, N'Škoda \"R\"'); DELETE FROM Persons WHERE ID = 181; COMMIT",
  "DELETE FROM Cars WHERE CarID = 1",
];

test("ingester and router, two processes, bring every kind of change to the console", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server);
  const ingester = place.start("ingester");
  const router = place.start("router");
  for (const sql of STORY) await server.query(sql);
  const changes = await router.shows(8);
  assert.deepEqual(said(changes, "Persons"), [
    ["Insert", { ID: 180, FirstName: "Diana", LastName: "Williams" }],
    ["Update", { ID: 180, FirstName: null, LastName: "Williams" }],
    ["Delete", { ID: 180, FirstName: null, LastName: "Williams" }],
    ["Insert", { ID: 181, FirstName: null, LastName: "Williams" }],
    ["Delete", { ID: 181, FirstName: null, LastName: "Williams" }],
  ]);
  assert.deepEqual(said(changes, "Cars"), [
    ["Insert", { CarID: 1, Brand: "Volvo" }],
    ["Insert", { CarID: 2, Brand: 'Škoda "R"' }],
    ["Delete", { CarID: 1, Brand: "Volvo" }],
  ]);
  const commit = ({ metadata }: Change) => metadata["LSN"];
  const [deleted, inserted] = [changes.findLast((c) => c.data["ID"] === 181)!, changes.find((c) => c.data["CarID"])!];
  assert.equal(commit(deleted), commit(inserted), "one transaction, one commit LSN");

  assert.deepEqual(await Promise.all([ingester.end(), router.end()]), [0, 0]);
  assert.equal(ingester.stdout, "");
  assert.equal(router.changes.length, 8);
});

test("a row message is exactly as it is documented", async (t) => {
  const server = await startServer(t);
  const running = workplaceOf(t, server, { tables: ["Persons"] }).start("server");
  await server.query("INSERT INTO Persons VALUES (180, N'Diana', N'Williams')");
  await running.shows(1);
  assert.equal(await running.end(), 0);
  assert.deepEqual(literal(running), [
    '{"data":{"ID":180,"FirstName":"Diana","LastName":"Williams"},' +
      '"metadata":{"Destination":"server.testdb.persons.events","IngestQueue":"ingest-queue",' +
      '"LSN":"…","OperationID":2,"OperationType":"Insert","TableName":"Persons",' +
      '"Schema":"dbo","CommandID":…,"Seq":"…","CommitTime":"…"}}',
  ]);
});

test("batches between ingester and router, values as strings and rows as they were before", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, {
    tables: ["Persons"],
    ingester: 'values = "string"\n  before = true\n  queue {\n    messages = "batch"\n  }',
  });
  const ingester = place.start("ingester");
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato'), (2, NULL, N'Novák')");
  await server.query("UPDATE Persons SET LastName = N'Ødegård' WHERE ID = 2");
  await server.query("DELETE FROM Persons WHERE ID = 1");
  const router = place.start("router");
  await router.shows(4);
  assert.deepEqual(await Promise.all([ingester.end(), router.end()]), [0, 0]);
  const tail =
    '"metadata":{"Destination":"server.testdb.persons.events","IngestQueue":"ingest-queue","LSN":"…",' +
    '"OperationID":$,"TableName":"Persons","Schema":"dbo","CommandID":…,"Seq":"…","CommitTime":"…"}';
  const line = (data: string, operation: string, before = "") =>
    `{"data":${data},${tail.replace("$", operation)}${before && `,"before":${before}`}}`;
  assert.deepEqual(literal(router), [
    line('{"ID":"1","FirstName":"Ana","LastName":"Sato"}', '2,"OperationType":"Insert"'),
    line('{"ID":"2","FirstName":null,"LastName":"Novák"}', '2,"OperationType":"Insert"'),
    line(
      '{"ID":"2","FirstName":null,"LastName":"Ødegård"}',
      '4,"OperationType":"Update"',
      '{"ID":"2","FirstName":null,"LastName":"Novák"}',
    ),
    line('{"ID":"1","FirstName":"Ana","LastName":"Sato"}', '1,"OperationType":"Delete"'),
  ]);
});

test("the logs are JSON lines with one vocabulary, and hold no secret", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const running = place.start("server --log-level trace");
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await running.shows(1);
  assert.equal(await running.end("SIGINT"), 0);
  for (const { level, time, pid, msg } of running.log) {
    assert.match(level, /^(trace|debug|info|warn|error)$/);
    assert.match(time as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal(pid, running.process.pid);
    assert.equal(typeof msg, "string");
  }
  const [start] = running.said(/has no checkpoint yet/);
  assert.equal(start!["table"], "dbo.Persons");
  assert.match(start!["lsn"] as string, /^[0-9a-f]{20}$/);
  assert.equal(start!["part"], "ingester");
  assert.equal(running.said(/tables? to read/)[0]!["count"], 1);
  assert.equal(running.said(/^1 change of 1 table/)[0]!["count"], 1);
  for (const secret of [server.password, encodeURIComponent(server.password), "sqlserver://"])
    assert.ok(!running.stderr.includes(secret), `${secret} in the log`);
});

test("the log level comes from the environment, and the flag goes before it", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server);
  const quiet = place.start("server", { DSTREAM_LOG_LEVEL: "warn" });
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await quiet.shows(1);
  assert.equal(await quiet.end(), 0);
  assert.equal(quiet.stderr, "");
  const loud = place.start("server --log-level info", { DSTREAM_LOG_LEVEL: "warn" });
  await loud.says(/tables to read/);
  assert.equal(await loud.end(), 0);
});
