import assert from "node:assert/strict";
import { test } from "node:test";
import { afterTransaction, comparePositions } from "../../../src/change/position.ts";
import { GapError, HistoryError, SourceError } from "../../../src/errors.ts";
import { parseConnectionString } from "../../../src/sources/sqlserver/connection-string.ts";
import { brief, firstTable, maximum, never, parse, readerFromStart, readOnce, readToEnd, World } from "./world.ts";

test("inserts, updates and deletes come in commit order, with exact metadata", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'Ada', N'Lovelace'), (2, N'Alan', N'Turing')");
  await world.sql("UPDATE Persons SET FirstName = N'Augusta' WHERE ID = 1");
  await world.sql("DELETE FROM Persons WHERE ID = 2");
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const reader = await readerFromStart(source, table);
  const upTo = await maximum(source);
  const batch = await readOnce(reader, upTo);
  assert.deepEqual(brief(batch.messages), [
    "Insert 1 Ada Lovelace",
    "Insert 2 Alan Turing",
    "Update 1 Augusta Lovelace",
    "Delete 2 Alan Turing",
  ]);
  assert.deepEqual(batch.position, afterTransaction(upTo));
  assert.equal(batch.more, false);
  assert.equal(batch.commitTime, (await source.maximum(never))!.commitTime);
  assert.ok(batch.messages.every(({ key }) => key === "dbo.Persons"));
  const rows = await world.sql(
    "SELECT CONVERT(varchar(20), __$start_lsn, 2), __$command_id, CONVERT(varchar(20), __$seqval, 2), __$operation " +
      "FROM cdc.dbo_Persons_CT WHERE __$operation <> 3 ORDER BY __$start_lsn, __$command_id, __$seqval",
  );
  assert.deepEqual(
    batch.messages.map(parse).map(({ metadata: m }) => [m.LSN, m.CommandID, m.Seq, m.OperationID]),
    rows.map(([lsn, command, seqval, operation]) => [
      String(lsn).toLowerCase(),
      Number(command),
      String(seqval).toLowerCase(),
      Number(operation),
    ]),
  );
  assert.deepEqual((await readOnce(reader, upTo)).messages, [], "nothing twice");
});

test("a batch of one row at a time, resumed by a new reader each time, loses and repeats nothing inside a transaction", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql(
    "BEGIN TRAN; INSERT INTO Persons SELECT value, N'n', N'n' FROM GENERATE_SERIES(1, 20); UPDATE Persons SET LastName = N'x'; " +
      "UPDATE Persons SET ID = ID + 1; DELETE FROM Persons WHERE ID % 2 = 0; COMMIT",
  );
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const upTo = await maximum(source);
  const whole = await readToEnd(await readerFromStart(source, table), upTo);
  const [[changes]] = (await world.sql("SELECT COUNT(*) FROM cdc.dbo_Persons_CT WHERE __$operation <> 3")) as [
    [number],
  ];
  assert.equal(whole.messages.length, changes);
  assert.ok(changes > 50);
  let checkpoint = { position: await source.start(table, never), commitTime: null as string | null };
  const ids: string[] = [];
  for (let more = true; more; ) {
    const batch = await readOnce(source.reader(table, checkpoint), upTo, 1);
    assert.ok(batch.messages.length <= 1);
    ids.push(...batch.messages.map(({ id }) => id));
    ({ more } = batch);
    checkpoint = { position: batch.position, commitTime: batch.commitTime };
  }
  assert.deepEqual(
    ids,
    whole.messages.map(({ id }) => id),
  );
  assert.equal(new Set(ids).size, ids.length);
});

test("with before = true every update carries its old row, wherever a batch is cut", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL), (2, N'b', NULL), (3, N'c', NULL)");
  await world.sql("UPDATE Persons SET FirstName = FirstName + N'!'");
  await world.sql("UPDATE Persons SET ID = 4 WHERE ID = 3");
  const source = world.source(["Persons"], { tableOptions: () => ({ start: { at: "low_watermark" }, before: true }) });
  const table = await firstTable(source);
  const upTo = await maximum(source);
  for (const rows of [1, 2, 3, 4, 100]) {
    const { messages, batches } = await readToEnd(await readerFromStart(source, table), upTo, rows);
    assert.deepEqual(
      messages.map(parse).map(({ metadata, before }) => [metadata.OperationType, before?.["FirstName"]]),
      [
        ...Array(3).fill(["Insert", undefined]),
        ["Update", "a"],
        ["Update", "b"],
        ["Update", "c"],
        ["Delete", undefined],
        ["Insert", undefined],
      ],
    );
    assert.ok(batches.every((batch) => batch.messages.length <= rows));
  }
});

test("old rows whose updates were deleted from the change table hide none of the changes behind them", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL), (2, N'b', NULL), (3, N'c', NULL)");
  await world.sql("UPDATE Persons SET FirstName = N'x'");
  await world.sql("DELETE FROM cdc.dbo_Persons_CT WHERE __$operation = 4");
  await world.sql("UPDATE Persons SET LastName = N'y' WHERE ID = 2");
  const source = world.source(["Persons"], { tableOptions: () => ({ start: { at: "low_watermark" }, before: true }) });
  const table = await firstTable(source);
  for (const rows of [1, 2, 3, 4, 100]) {
    const { messages } = await readToEnd(await readerFromStart(source, table), await maximum(source), rows);
    assert.deepEqual(
      brief(messages),
      ["Insert 1 a ", "Insert 2 b ", "Insert 3 c ", "Update 2 x y"],
      `${rows} at a time`,
    );
  }
});

test("a batch ends before it is too large, but for a message that is so by itself", async () => {
  await using world = await World.open();
  await world.sql("CREATE TABLE dbo.Notes (id int NOT NULL PRIMARY KEY, text nvarchar(max) NULL)");
  await world.capture("Notes");
  for (const [id, size] of [100, 3_000, 200, 9_000, 50].entries())
    await world.sql(`INSERT INTO Notes VALUES (${id}, REPLICATE(CONVERT(nvarchar(max), N'x'), ${size}))`);
  const source = world.source(["Notes"]);
  const reader = await readerFromStart(source, await firstTable(source));
  const { messages, batches } = await readToEnd(reader, await maximum(source), 100, 5_000);
  assert.deepEqual(
    messages.map(parse).map(({ data }) => data["id"]),
    [0, 1, 2, 3, 4],
  );
  assert.deepEqual(
    batches.map((batch) => batch.messages.map(parse).map(({ data }) => data["id"])).filter((ids) => ids.length > 0),
    [[0, 1, 2], [3], [4]],
  );
  for (const { changes } of batches) assert.ok(changes.bytes <= 5_000 || changes.count === 1);
});

test("nothing above the polled maximum is read", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const source = world.source(["Persons"]);
  const reader = await readerFromStart(source, await firstTable(source));
  const polled = await maximum(source);
  await world.sql("INSERT INTO Persons VALUES (2, N'b', NULL)");
  assert.deepEqual(brief((await readOnce(reader, polled)).messages), ["Insert 1 a "]);
  assert.deepEqual(brief((await readOnce(reader, await maximum(source))).messages), ["Insert 2 b "]);
});

test("a checkpoint older than the low watermark stops the table with both LSNs and the ways out", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const old = { position: afterTransaction(await maximum(source)), commitTime: null };
  await world.sql("INSERT INTO Persons VALUES (2, N'b', NULL)");
  await world.sql("INSERT INTO Persons VALUES (3, N'c', NULL)");
  const low = await maximum(source);
  await world.cdc.runCleanup({ lowWatermark: BigInt(`0x${low}`) });
  const reader = source.reader(table, old);
  await assert.rejects(readOnce(reader, low), (error: GapError) => {
    assert.ok(error instanceof GapError);
    assert.equal(error.checkpointLsn, old.position.startLsn);
    assert.equal(error.lowWatermark, low);
    assert.match(error.advice!, /on_gap = "skip"/);
    return true;
  });
  assert.deepEqual(
    await source.changed([{ table, after: old.position }], low, never),
    [table],
    "a gap counts as a change",
  );
  assert.deepEqual(await reader.skipGap(never), { from: old.position.startLsn, to: low });
  assert.deepEqual(brief((await readOnce(reader, low)).messages), ["Insert 3 c "]);
});

test("a clean-up that raises the low watermark in the middle of a read is found before anything is used", async () => {
  await using world = await World.open();
  await world.persons();
  for (let id = 1; id <= 3; id++) await world.sql(`INSERT INTO Persons VALUES (${id}, N'a', NULL)`);
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const upTo = await maximum(source);
  const reader = await readerFromStart(source, table);
  // Whatever of the three is gone already, the answer must not pass for the whole.
  await world.cdc.runCleanup({
    lowWatermark: BigInt(`0x${upTo}`),
    raised: async () => {
      await assert.rejects(readOnce(reader, upTo), GapError);
    },
  });
});

test("a checkpoint above the maximum is another history", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const snapshot = world.simulator.snapshot("TestDB");
  await world.sql("INSERT INTO Persons VALUES (2, N'b', NULL)");
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const { checkpoint } = await readToEnd(await readerFromStart(source, table), await maximum(source));
  world.simulator.restore(snapshot);
  const reader = source.reader(table, checkpoint);
  await assert.rejects(readOnce(reader, await maximum(source)), (error: HistoryError) => {
    assert.ok(error instanceof HistoryError);
    assert.match(error.message, /restored, or failed over/);
    assert.match(error.advice!, /dstream checkpoints rewind Persons/);
    return true;
  });
});

test("LSNs that were given again to other transactions are told by their commit times", async () => {
  let now = Date.parse("2026-11-21T10:00:00Z");
  await using world = await World.open({ clock: () => new Date((now += 1_000)) });
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const snapshot = world.simulator.snapshot("TestDB");
  await world.sql("INSERT INTO Persons VALUES (2, N'b', NULL)");
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const { checkpoint } = await readToEnd(await readerFromStart(source, table), await maximum(source));
  world.simulator.restore(snapshot);
  now += 3_600_000;
  for (let id = 3; id < 9; id++) await world.sql(`INSERT INTO Persons VALUES (${id}, N'other', NULL)`);
  const upTo = await maximum(source);
  assert.ok(upTo > checkpoint.position.startLsn, "the maximum alone does not tell");
  await assert.rejects(readOnce(source.reader(table, checkpoint), upTo), (error: HistoryError) => {
    assert.ok(error instanceof HistoryError);
    assert.ok(error.message.includes(checkpoint.commitTime!));
    return true;
  });
});

test("the same change has the same id for every process, and another one after a restore gave its LSN again", async () => {
  await using world = await World.open();
  await world.persons();
  const snapshot = world.simulator.snapshot("TestDB");
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const read = async () => {
    const source = world.source(["Persons"]);
    const { messages } = await readToEnd(
      await readerFromStart(source, await firstTable(source)),
      await maximum(source),
    );
    return messages.map(({ id }) => id);
  };
  const first = await read();
  assert.deepEqual(await read(), first);
  world.simulator.restore(snapshot);
  await world.sql("INSERT INTO Persons VALUES (1, N'b', NULL)");
  assert.notDeepEqual(await read(), first);
});

test("a table whose capture was switched off stops with advice, and the others go on", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("CREATE TABLE dbo.Cars (id int NOT NULL PRIMARY KEY)");
  await world.capture("Cars");
  const source = world.source(["Persons", "Cars"]);
  const tables = await source.tables();
  const persons = tables.find(({ table }) => table === "Persons")!;
  const cars = tables.find(({ table }) => table === "Cars")!;
  const reader = await readerFromStart(source, persons);
  const after = await source.start(cars, never);
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL); INSERT INTO Cars VALUES (1)");
  const upTo = await maximum(source);
  await world.sql(
    "EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'Persons', @capture_instance = N'all'",
  );
  await assert.rejects(readOnce(reader, upTo), (error: SourceError) => {
    assert.ok(error instanceof SourceError);
    assert.equal(error.scope, "table");
    assert.match(error.advice!, /sp_cdc_enable_table/);
    return true;
  });
  await source.changed(
    [
      { table: persons, after },
      { table: cars, after },
    ],
    upTo,
    never,
  );
  assert.ok((await source.changed([{ table: cars, after }], upTo, never)).includes(cars));
});

test("an instance that the capture job has not reached is waited for", async () => {
  await using world = await World.open();
  world.cdc.stop();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const reader = await readerFromStart(source, table);
  const waiting = await readOnce(reader, "ffffffff000000000000");
  assert.deepEqual([waiting.messages, waiting.more], [[], false]);
  world.cdc.run();
  assert.deepEqual(brief((await readToEnd(reader, await maximum(source))).messages), ["Insert 1 a "]);
});

test("an instance without a start LSN is waited for", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const from = { position: await source.start(table, never), commitTime: null };
  await world.sql("UPDATE cdc.change_tables SET start_lsn = NULL");
  const fresh = world.source(["Persons"]);
  const waiting = await readOnce(fresh.reader(table, from), await maximum(fresh));
  assert.deepEqual([waiting.messages, waiting.more, waiting.position], [[], false, from.position]);
  await assert.rejects(fresh.start(table, never), (error: SourceError) => error.scope === "unavailable");
});

test("positions never run backwards when an older maximum is read to", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const source = world.source(["Persons"]);
  const older = await maximum(source);
  await world.sql("INSERT INTO Persons VALUES (2, N'b', NULL)");
  const reader = await readerFromStart(source, await firstTable(source));
  const { checkpoint } = await readToEnd(reader, await maximum(source));
  const again = await readOnce(reader, older);
  assert.deepEqual(again.messages, []);
  assert.equal(comparePositions(again.position, checkpoint.position), 0);
});

test("a connection that has not seen the polled maximum is read as far as it has come, and asked again", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const source = world.source(["Persons"]);
  const reader = await readerFromStart(source, await firstTable(source));
  const seen = await maximum(source);
  const polledElsewhere = "ffffffff000000000000";
  const behind = await readOnce(reader, polledElsewhere);
  assert.deepEqual(brief(behind.messages), ["Insert 1 a "]);
  assert.deepEqual([behind.position, behind.more], [afterTransaction(seen), true]);
  await world.sql("INSERT INTO Persons VALUES (2, N'b', NULL)");
  assert.deepEqual(brief((await readOnce(reader, polledElsewhere)).messages), ["Insert 2 b "]);
});

test("a reader says over TLS what it says without", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const target = parseConnectionString(world.simulator.connectionStringFor("TestDB", { encrypt: true }));
  const source = world.source(["Persons"], { target });
  const { messages } = await readToEnd(await readerFromStart(source, await firstTable(source)), await maximum(source));
  assert.deepEqual(brief(messages), ["Insert 1 a "]);
});
