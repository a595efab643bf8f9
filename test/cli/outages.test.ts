/** What dstream depends on goes away and comes back. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import {
  CARS,
  capture,
  configuration,
  PERSONS,
  signedInAs,
  startBareServer,
  startServer,
  Workplace,
  workplaceOf,
} from "./dstream.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

test("the ingester waits for a server that is not there yet, says so once, and goes on when it comes", async (t) => {
  const port = await freePort();
  const place = new Workplace(t, configuration({ tables: ["Persons"] }), {
    DSTREAM_DB_CONNECTION_STRING: `sqlserver://sa:Simulator!1@127.0.0.1:${port}?database=TestDB&encrypt=false`,
  });
  const running = place.start("server");
  const waiting = await running.says(/^waiting for the database: .*127\.0\.0\.1:\d+.*ECONNREFUSED/);
  assert.match(waiting["advice"] as string, /whether SQL Server runs/);
  const server = await startBareServer(t, port);
  for (const sql of [PERSONS, CARS, "EXEC sys.sp_cdc_enable_db", capture("Persons")]) await server.query(sql);
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await running.shows(1);
  assert.equal(await running.end(), 0);
  assert.equal(running.said(/^waiting for the database/).length, 1);
  assert.equal(running.said(/^the database is back/).length, 1);
  assert.ok(!running.stderr.includes("Simulator!1"));
});

test("SIGTERM while it waits for a server ends it well", async (t) => {
  const place = new Workplace(t, configuration(), {
    DSTREAM_DB_CONNECTION_STRING: "sqlserver://sa:S3cret@127.0.0.1:1?database=TestDB",
  });
  const running = place.start("ingester");
  await running.says(/^waiting for the database/);
  assert.equal(await running.end(), 0);
});

test("a wrong password and CDC that is off end the ingester, with what to do and without a stack", async (t) => {
  const server = await startBareServer(t);
  const place = workplaceOf(t, server);
  const [password, off] = [
    place.start("ingester", signedInAs(server, "sa", "Wr0ng&Secret")),
    workplaceOf(t, server).start("ingester"),
  ];
  assert.deepEqual(await Promise.all([password.exit(), off.exit()]), [1, 1]);
  const [login] = password.said(/Login failed for user 'sa'/);
  assert.equal(login!.level, "fatal");
  assert.match(login!["advice"] as string, /user and password/);
  assert.ok(!password.stderr.includes("Wr0ng"));
  const [cdc] = off.said(/cdc\.change_tables/);
  assert.equal(cdc!.level, "fatal");
  assert.match(cdc!["advice"] as string, /dstream check/);
  for (const { stderr } of [password, off]) assert.ok(!/\n +at |"stack"/.test(stderr), stderr);
});

test("the connection to the database is lost in the middle and comes back: nothing lost, nothing doubled", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { ingester: "max_batch_rows = 5" });
  const running = place.start("server");
  const insert = (from: number, to: number) =>
    Promise.all(
      Array.from({ length: to - from }, (_, i) => [
        server.query(`INSERT INTO Persons VALUES (${from + i}, N'Ana', N'Sato')`),
        server.query(`INSERT INTO Cars VALUES (${from + i}, N'Volvo')`),
      ]).flat(),
    );
  await insert(0, 100);
  await running.shows(1);
  await server.server.refuse(true);
  for (const connection of server.server.connections) connection.destroy();
  await running.says(/^waiting for the database/);
  await insert(100, 200);
  await server.server.refuse(false);
  await running.says(/^the database is back after \d+ s/);
  await running.shows(400);
  assert.equal(await running.end(), 0);
  for (const [table, key] of [
    ["Persons", "ID"],
    ["Cars", "CarID"],
  ]) {
    const keys = running.changes
      .filter(({ metadata }) => metadata["TableName"] === table)
      .map(({ data }) => data[key!] as number);
    assert.equal(keys.length, 200, table);
    assert.equal(new Set(keys).size, 200, table);
  }
  assert.equal(running.said(/^waiting for the database/).length, 1);
  assert.equal(running.said(/^the database is back/).length, 1);
});

test("an embedded queue that another process keeps locked is waited for, at the start and in the middle", async (t) => {
  const servers = [await startServer(t), await startServer(t)] as const;
  const [early, late] = [workplaceOf(t, servers[0]), workplaceOf(t, servers[1])];
  const lock = (place: Workplace) => {
    mkdirSync(place.path(".dstream"), { recursive: true });
    const file = new DatabaseSync(place.path(".dstream", "queue.db"), { timeout: 5_000 });
    file.exec("BEGIN IMMEDIATE");
    return file;
  };
  const files = [lock(early)];
  const starting = early.start("server");
  const midway = late.start("ingester");
  await midway.says(/dbo\.Cars has no checkpoint yet/);
  files.push(lock(late));
  for (const server of servers)
    await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato'), (2, N'Zoë', N'Novák')");
  await Promise.all([
    starting.says(/^waiting for the ingest queue: .*locked/),
    midway.says(/^waiting for the ingest queue: .*locked/),
  ]);
  for (const file of files) file.close();
  await Promise.all([starting.says(/^the ingest queue is back/), midway.says(/^the ingest queue is back/)]);
  const router = late.start("router");
  for (const running of [starting, router])
    assert.deepEqual(
      (await running.shows(2)).map(({ data }) => data["ID"]),
      [1, 2],
    );
  assert.deepEqual(await Promise.all([starting.end(), midway.end(), router.end()]), [0, 0, 0]);
  for (const part of ["ingester", "router"])
    assert.equal(starting.said(/^waiting for the ingest queue/).filter((line) => line["part"] === part).length, 1);
  assert.equal(midway.said(/^waiting for the ingest queue/).length, 1);
  assert.equal(router.changes.length, 2);
});

test("SIGTERM while a queue that is locked is waited for ends it within its time", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server);
  mkdirSync(place.path(".dstream"), { recursive: true });
  const file = new DatabaseSync(place.path(".dstream", "queue.db"));
  file.exec("BEGIN IMMEDIATE");
  t.after(() => file.close());
  const running = place.start("server");
  await running.says(/^dstream server starts/);
  // It ends itself with 1 when that takes nearly ten seconds.
  assert.equal(await running.end(), 0);
});
