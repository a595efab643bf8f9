import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import type { TableOptions } from "../../../src/sources/sqlserver/table-options.ts";
import { brief, firstTable, maximum, never, parse, readerFromStart, readOnce, readToEnd, World } from "./world.ts";

/** Persons with rows in one instance, then a second one that has a further column, with rows in both. */
async function worldWithTwo(
  options: { between?: (world: World) => Promise<void>; clock?: () => Date } = {},
): Promise<World> {
  const world = await World.open(options.clock ? { clock: options.clock } : {});
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL), (2, N'b', NULL)");
  await options.between?.(world);
  await world.sql("ALTER TABLE Persons ADD Age int NULL");
  await world.capture("Persons", ", @capture_instance = N'dbo_Persons_v2'");
  await world.sql("INSERT INTO Persons VALUES (3, N'c', NULL, 33)");
  await world.sql("UPDATE Persons SET Age = 11 WHERE ID = 1");
  return world;
}

function recorder() {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { lines, logger };
}

const expected = ["Insert 1 a ", "Insert 2 b ", "Insert 3 c  33", "Update 1 a  11"];

test("the older instance is read up to the newer's start, then the newer one, and the new column is logged", async () => {
  await using world = await worldWithTwo();
  const { lines, logger } = recorder();
  const source = world.source(["Persons"], { logger });
  const { messages } = await readToEnd(await readerFromStart(source, await firstTable(source)), await maximum(source));
  assert.deepEqual(brief(messages), expected);
  const switched = lines.find(({ to }) => to === "dbo_Persons_v2");
  assert.deepEqual(switched?.["added"], ["Age"]);
  assert.deepEqual(switched?.["removed"], []);
});

test("a column that only one of the two has can be masked, left out and chosen before the switch as after it", async () => {
  await using world = await worldWithTwo();
  const start = { at: "low_watermark" as const };
  const dataWith = async (columns: Pick<TableOptions, "columnsMask" | "columnsExclude" | "columnsInclude">) => {
    const source = world.source(["Persons"], { tableOptions: () => ({ start, before: false, ...columns }) });
    const reader = await readerFromStart(source, await firstTable(source));
    const { messages } = await readToEnd(reader, await maximum(source));
    return messages.map((message) => Object.values(parse(message).data).join(" "));
  };
  assert.deepEqual(await dataWith({ columnsMask: ["age"] }), ["1 a ", "2 b ", "3 c  ****", "1 a  ****"]);
  assert.deepEqual(await dataWith({ columnsExclude: ["age"] }), ["1 a ", "2 b ", "3 c ", "1 a "]);
  assert.deepEqual(await dataWith({ columnsInclude: ["id", "age"] }), ["1", "2", "3 33", "1 11"]);
});

test("killed after every single row, the switch loses and repeats nothing", async () => {
  await using world = await worldWithTwo();
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const upTo = await maximum(source);
  const seen: string[] = [];
  let checkpoint = { position: await source.start(table, never), commitTime: null as string | null };
  for (let more = true; more; ) {
    const batch = await readOnce(source.reader(table, checkpoint), upTo, 1);
    seen.push(...brief(batch.messages));
    checkpoint = { position: batch.position, commitTime: batch.commitTime };
    ({ more } = batch);
  }
  assert.deepEqual(seen, expected);
});

test("an instance that appears between two reads is found by the next", async () => {
  await using world = await World.open();
  await world.persons();
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const reader = await readerFromStart(source, table);
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const first = await readToEnd(reader, await maximum(source));
  assert.deepEqual(brief(first.messages), ["Insert 1 a "]);
  await world.sql("ALTER TABLE Persons ADD Age int NULL");
  await world.capture("Persons", ", @capture_instance = N'dbo_Persons_v2'");
  const upTo = await maximum(source);
  assert.deepEqual(await source.changed([{ table, after: first.checkpoint.position }], upTo, never), [table]);
  await world.sql("INSERT INTO Persons VALUES (2, N'b', NULL, 22)");
  const second = await readToEnd(reader, await maximum(source));
  assert.deepEqual(
    second.messages.map(parse).map(({ data }) => data),
    [{ ID: 2, FirstName: "b", LastName: null, Age: 22 }],
  );
});

test("a transaction that was begun in the older instance is finished there", async () => {
  await using world = await World.open();
  await world.persons();
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const reader = await readerFromStart(source, table);
  await world.sql(
    "BEGIN TRAN; INSERT INTO Persons VALUES (1, N'a', NULL); INSERT INTO Persons VALUES (2, N'b', NULL); COMMIT",
  );
  const first = await readOnce(reader, await maximum(source), 1);
  assert.deepEqual(brief(first.messages), ["Insert 1 a "]);
  await world.sql("ALTER TABLE Persons ADD Age int NULL");
  await world.capture("Persons", ", @capture_instance = N'dbo_Persons_v2'");
  await world.sql("INSERT INTO Persons VALUES (3, N'c', NULL, 33)");
  const upTo = await maximum(source);
  const { messages } = await readToEnd(reader, upTo);
  assert.deepEqual(brief(messages), ["Insert 2 b ", "Insert 3 c  33"]);
  const restarted = source.reader(table, { position: first.position, commitTime: first.commitTime });
  assert.deepEqual(brief((await readToEnd(restarted, upTo)).messages), ["Insert 2 b ", "Insert 3 c  33"]);
});

test("the older instance can be dropped once it was read", async () => {
  await using world = await worldWithTwo();
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const reader = await readerFromStart(source, table);
  await readToEnd(reader, await maximum(source));
  await world.sql(
    "EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'Persons', @capture_instance = N'dbo_Persons'",
  );
  await world.sql("INSERT INTO Persons VALUES (4, N'd', NULL, 44)");
  const { messages } = await readToEnd(reader, await maximum(source));
  assert.deepEqual(brief(messages), ["Insert 4 d  44"]);
});

test("what cleanup took from the newer instance alone is read from the older one, which still has it", async () => {
  // No two transactions commit at one time: cleanup would keep the changes of both.
  let now = Date.parse("2026-11-21T10:00:00Z");
  await using world = await worldWithTwo({ clock: () => new Date((now += 100)) });
  const source = world.source(["Persons"]);
  const reader = await readerFromStart(source, await firstTable(source));
  await readToEnd(reader, await maximum(source));
  await world.sql("INSERT INTO Persons VALUES (4, N'd', NULL, 44)");
  await world.sql("INSERT INTO Persons VALUES (5, N'e', NULL, 55)");
  await world.sql(
    "DECLARE @low binary(10) = sys.fn_cdc_get_max_lsn(); " +
      "EXEC sys.sp_cdc_cleanup_change_table @capture_instance = N'dbo_Persons_v2', @low_water_mark = @low",
  );
  const { messages } = await readToEnd(reader, await maximum(source));
  assert.deepEqual(brief(messages), ["Insert 4 d ", "Insert 5 e  55"]);
});
