import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { beforeTransaction } from "../../../src/change/position.ts";
import { SqlServerCheckpointStore } from "../../../src/sources/sqlserver/checkpoint-store.ts";
import { brief, firstTable, maximum, readToEnd, World } from "./world.ts";

let world: World;
before(async () => {
  world = await World.open();
});
after(() => world[Symbol.asyncDispose]());

// In the file of a contract, stores of one story share a table; the next story has the next one.
import { checkpointContract } from "../../ingester/checkpoint-contract.ts";

let opened = 0;
checkpointContract(
  "sqlserver",
  () => new SqlServerCheckpointStore(world.target, `dbo.offsets_${Math.floor(opened++ / 2)}`),
);

async function withStore(table: string, run: (store: SqlServerCheckpointStore) => Promise<void>): Promise<void> {
  const store = new SqlServerCheckpointStore(world.target, table);
  try {
    await run(store);
  } finally {
    await store.close();
  }
}

const persons = { schema: "dbo", table: "Persons" };
const lsn = "0000003600000b200003";

test("a table of the first version is upgraded in place and continued from: its transaction is read again as a whole", async () => {
  await world.sql(
    "CREATE TABLE cdc_offsets (table_name NVARCHAR(255) PRIMARY KEY, last_lsn VARBINARY(10), updated_at DATETIME DEFAULT GETDATE()); " +
      `INSERT INTO cdc_offsets (table_name, last_lsn) VALUES (N'Persons', 0x${lsn})`,
  );
  await withStore("cdc_offsets", async (store) => {
    const listed = (await store.list()).map(({ table, position, token }) => ({ table, position, token }));
    assert.deepEqual(
      listed,
      [{ table: persons, position: beforeTransaction(lsn), token: 0 }],
      "looking upgrades nothing",
    );
    await store.prepare();
    const { token, checkpoint } = await store.claim(persons, 1);
    assert.deepEqual(checkpoint, { position: beforeTransaction(lsn), commitTime: null });
    const position = { startLsn: lsn, commandId: 2, seqval: lsn, operation: 4 };
    await store.save(persons, { position, commitTime: null }, token);
    assert.deepEqual((await store.load(persons))!.position, position);
  });
});

test("when the first version writes again, what only this one knew no longer counts", async () => {
  const later = "0000003700000b200003";
  await world.sql(
    `MERGE INTO cdc_offsets AS target USING (VALUES (N'Persons', 0x${later}, GETDATE())) AS source (table_name, last_lsn, updated_at) ` +
      "ON target.table_name = source.table_name WHEN MATCHED THEN UPDATE SET last_lsn = source.last_lsn, updated_at = source.updated_at " +
      "WHEN NOT MATCHED THEN INSERT (table_name, last_lsn, updated_at) VALUES (source.table_name, source.last_lsn, source.updated_at);",
  );
  await withStore("cdc_offsets", async (store) => {
    assert.deepEqual((await store.load(persons))!.position, beforeTransaction(later));
  });
});

test("the first version's zero is no checkpoint", async () => {
  await world.sql("INSERT INTO cdc_offsets (table_name, last_lsn) VALUES (N'Cars', 0x00000000000000000000)");
  await withStore("cdc_offsets", async (store) => {
    assert.equal(await store.load({ schema: "dbo", table: "Cars" }), null);
  });
});

test("a checkpoint of the first version is read on from, with its transaction repeated", async () => {
  await world.persons();
  await world.sql(
    "BEGIN TRAN; INSERT INTO Persons VALUES (1, N'a', NULL); INSERT INTO Persons VALUES (2, N'b', NULL); COMMIT",
  );
  await world.sql(
    "UPDATE cdc_offsets SET last_lsn = sys.fn_cdc_get_max_lsn(), saved_lsn = NULL WHERE table_name = N'Persons'",
  );
  await world.sql("INSERT INTO Persons VALUES (3, N'c', NULL)");
  await withStore("cdc_offsets", async (store) => {
    const { checkpoint } = await store.claim(persons, 1);
    const source = world.source(["Persons"]);
    const { messages } = await readToEnd(source.reader(await firstTable(source), checkpoint!), await maximum(source));
    assert.deepEqual(brief(messages), ["Insert 1 a ", "Insert 2 b ", "Insert 3 c "]);
  });
});

test("the table can live in another schema", async () => {
  await world.sql("CREATE SCHEMA ops");
  await withStore("ops.positions", async (store) => {
    await store.prepare();
    await store.claim(persons, 5);
    assert.deepEqual(
      (await world.sql("SELECT table_name, fencing_token FROM ops.positions")).map(([name, token]) => [
        name,
        Number(token),
      ]),
      [["Persons", 5]],
    );
  });
});
