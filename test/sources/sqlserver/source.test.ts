import assert from "node:assert/strict";
import { test } from "node:test";
import { afterTransaction, beforeTransaction } from "../../../src/change/position.ts";
import type { Start } from "../../../src/config/units.ts";
import type { SourceError } from "../../../src/errors.ts";
import { brief, firstTable, maximum, never, parse, readerFromStart, readToEnd, World } from "./world.ts";

async function shop(): Promise<World> {
  const world = await World.open();
  await world.persons();
  await world.sql("CREATE TABLE dbo.Cars (id int NOT NULL PRIMARY KEY); EXEC(N'CREATE SCHEMA sales')");
  await world.sql(
    "CREATE TABLE sales.Orders (id int NOT NULL, line int NOT NULL, note nvarchar(10) NULL, PRIMARY KEY (id, line))",
  );
  await world.capture("Cars");
  await world.sql(
    "EXEC sys.sp_cdc_enable_table @source_schema = N'sales', @source_name = N'Orders', @role_name = NULL",
  );
  await world.sql("CREATE TABLE dbo.Uncaptured (id int NOT NULL PRIMARY KEY)");
  return world;
}

const names = (tables: { schema: string; table: string }[]) => tables.map(({ schema, table }) => `${schema}.${table}`);

test("tables are named alone, with their schema, or by a pattern, each once", async () => {
  await using world = await shop();
  assert.deepEqual(names(await world.source(["Persons", "sales.*"]).tables()), ["dbo.Persons", "sales.Orders"]);
  assert.deepEqual(names(await world.source(["*.*", "dbo.Cars"]).tables()).sort(), [
    "dbo.Cars",
    "dbo.Persons",
    "sales.Orders",
  ]);
  const [orders] = await world.source(["SALES.orders"]).tables();
  assert.equal(orders!.lockName, "127.0.0.1/TestDB/sales.Orders".replace("127.0.0.1", orders!.lockName.split("/")[0]!));
  assert.match(orders!.destination, /\.testdb\.sales\.orders\.events$/);
});

test("a table that is not captured is refused with the statement that captures it, a misspelt one with the right name", async () => {
  await using world = await shop();
  await assert.rejects(world.source(["Uncaptured"]).tables(), (error: SourceError) =>
    /sp_cdc_enable_table .*N'Uncaptured'/.test(error.advice!),
  );
  await assert.rejects(world.source(["Person"]).tables(), /Did you mean dbo\.Persons\?/);
});

test("a table that is not captured stops alone when it is read, and begins once CDC is on for it", async () => {
  await using world = await shop();
  const source = world.source(["Persons", "uncaptured"]);
  const tables = await source.tables();
  assert.deepEqual(names(tables), ["dbo.Persons", "dbo.uncaptured"]);
  const uncaptured = tables[1]!;
  await assert.rejects(source.start(uncaptured, never), (error: SourceError) => {
    assert.equal(error.scope, "table");
    assert.match(error.advice!, /@source_name = N'uncaptured'/);
    return true;
  });
  await world.capture("Uncaptured");
  await source.start(uncaptured, never);
});

test("one query tells which tables have changes after their positions", async () => {
  await using world = await shop();
  const source = world.source(["*.*"]);
  const tables = await source.tables();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const before = await maximum(source);
  await world.sql("INSERT INTO sales.Orders VALUES (1, 1, NULL)");
  const upTo = await maximum(source);
  const asked = tables.map((table) => ({ table, after: afterTransaction(before) }));
  assert.deepEqual(names(await source.changed(asked, upTo, never)), ["sales.Orders"]);
  assert.deepEqual(names(await source.changed(asked, before, never)), []);
  const inside = tables.map((table) => ({ table, after: beforeTransaction(before) }));
  assert.deepEqual(names(await source.changed(inside, before, never)), ["dbo.Persons"]);
  assert.deepEqual(names(await source.changed(asked.slice(0, 1), upTo, never)), []);
});

test("a maximum is null before anything was captured, and comes with its commit time after", async () => {
  await using world = await World.open({ clock: () => new Date("2026-11-21T10:11:12.123Z") });
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const source = world.source(["Persons"]);
  const found = await source.maximum(never);
  assert.match(found!.lsn, /^[0-9a-f]{20}$/);
  assert.equal(found!.commitTime, "2026-11-21T10:11:12.123");
  assert.equal(await source.commitTime(found!.lsn, never), found!.commitTime);
  assert.equal(await source.commitTime("ffffffffffffffffffff", never), null);
});

for (const version of ["13.0.5026.0", "16.0.4175.1"])
  test(`a start time near a change of the clocks leaves out nothing that was committed since (server ${version})`, async () => {
    let now = Date.parse("2026-10-24T12:00:00Z");
    await using world = await World.open({ timeZone: "Europe/Berlin", version, clock: () => new Date(now) });
    await world.persons();
    // Berlin's clocks go from 03:00 back to 02:00 at 01:00Z: they show 02:50, 02:05, 02:55, 03:10.
    const commits = ["00:50", "01:05", "01:55", "02:10"].map((clock) => Date.parse(`2026-10-25T${clock}:00Z`));
    for (const time of commits) {
      now = time;
      await world.sql(`INSERT INTO Persons VALUES (${commits.indexOf(time)}, NULL, NULL)`);
    }
    const since = async (ms: number) => {
      const start: Start = { at: "time", time: new Date(ms) };
      const source = world.source(["Persons"], { tableOptions: () => ({ start, before: false }) });
      const reader = await readerFromStart(source, await firstTable(source));
      const { messages } = await readToEnd(reader, await maximum(source));
      return messages.map(parse).map(({ data }) => data["ID"]);
    };
    for (const [index, time] of commits.entries()) {
      const wanted = [0, 1, 2, 3].slice(index);
      for (const seconds of [0, 30, 330])
        assert.deepEqual((await since(time - seconds * 1_000)).slice(-wanted.length), wanted);
    }
    const later = await since(Date.parse("2026-10-25T02:09:00Z"));
    if (version.startsWith("16")) assert.deepEqual(later, [3], "no hour too much where the zone is known");
  });

test("a table without checkpoint starts at the low watermark, now, at an LSN or at a time", async () => {
  let now = Date.parse("2026-11-21T10:00:00Z");
  await using world = await World.open({ clock: () => new Date(now) });
  await world.persons();
  const lsns: string[] = [];
  const probe = world.source(["Persons"]);
  for (const id of [1, 2, 3]) {
    now += 60_000;
    await world.sql(`INSERT INTO Persons VALUES (${id}, N'a', NULL)`);
    lsns.push(await maximum(probe));
  }
  const from = async (start: Start) => {
    const source = world.source(["Persons"], { tableOptions: () => ({ start, before: false }) });
    const { messages } = await readToEnd(await readerFromStart(source, await firstTable(source)), lsns[2]!);
    return messages.map(parse).map(({ data }) => data["ID"]);
  };
  assert.deepEqual(await from({ at: "low_watermark" }), [1, 2, 3]);
  assert.deepEqual(await from({ at: "now" }), []);
  assert.deepEqual(await from({ at: "lsn", lsn: lsns[1]! }), [2, 3]);
  assert.deepEqual(await from({ at: "time", time: new Date("2026-11-21T10:02:00Z") }), [2, 3]);
  assert.deepEqual(await from({ at: "time", time: new Date("2026-11-21T10:02:30Z") }), [3]);
  assert.deepEqual(await from({ at: "time", time: new Date("2020-01-01T00:00:00Z") }), [1, 2, 3]);
  assert.deepEqual(await from({ at: "time", time: new Date("2030-01-01T00:00:00Z") }), []);
  await assert.rejects(
    from({ at: "lsn", lsn: "ffffffffffffffffffff" }),
    (error: SourceError) => error.scope === "table",
  );
});

test('ordering = "key": a row\'s messages share a key, another row has another', async () => {
  await using world = await shop();
  await world.sql("INSERT INTO sales.Orders VALUES (1, 1, NULL), (1, 2, NULL)");
  await world.sql("UPDATE sales.Orders SET note = N'x' WHERE line = 2");
  const source = world.source(["sales.Orders"], { ordering: "key" });
  const { messages } = await readToEnd(await readerFromStart(source, await firstTable(source)), await maximum(source));
  assert.deepEqual(
    messages.map(({ key }) => key),
    ["sales.Orders/1,1", "sales.Orders/1,2", "sales.Orders/1,2"],
  );
});

test("columns can be left out of the messages; a name that is none stops the table", async () => {
  await using world = await shop();
  await world.sql("INSERT INTO Persons VALUES (1, N'Ada', N'Lovelace')");
  const read = async (columnsExclude: string[]) => {
    const tableOptions = () => ({ start: { at: "low_watermark" as const }, before: false, columnsExclude });
    const source = world.source(["Persons"], { tableOptions });
    return brief(
      (await readToEnd(await readerFromStart(source, await firstTable(source)), await maximum(source))).messages,
    );
  };
  assert.deepEqual(await read(["lastname"]), ["Insert 1 Ada"]);
  await assert.rejects(
    read(["SurName"]),
    (error: SourceError) => error.scope === "table" && /SurName/.test(error.message),
  );
});

test("instance names that collide across schemas are told apart by their tables", async () => {
  await using world = await World.open();
  await world.sql("EXEC(N'CREATE SCHEMA a')");
  await world.sql("EXEC(N'CREATE SCHEMA a_b')");
  await world.sql("CREATE TABLE a.b_c (id int NOT NULL PRIMARY KEY); CREATE TABLE a_b.c (id int NOT NULL PRIMARY KEY)");
  await world.sql("EXEC sys.sp_cdc_enable_table @source_schema = N'a', @source_name = N'b_c', @role_name = NULL");
  await world.sql(
    "EXEC sys.sp_cdc_enable_table @source_schema = N'a_b', @source_name = N'c', @role_name = NULL, @capture_instance = N'second'",
  );
  await world.sql("INSERT INTO a_b.c VALUES (7)");
  const source = world.source(["a_b.c"]);
  const { messages } = await readToEnd(await readerFromStart(source, await firstTable(source)), await maximum(source));
  assert.deepEqual(brief(messages), ["Insert 7"]);
});
