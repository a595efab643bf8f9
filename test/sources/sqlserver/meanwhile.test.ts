/** What changes on the server while a table is being read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "tedious";
import { SqlConnection } from "../../../src/sources/sqlserver/connection.ts";
import { brief, firstTable, maximum, parse, readerFromStart, readOnce, readToEnd, World } from "./world.ts";

test("a column whose type is altered is sent whole and in its new form, by the reader that knew the old one", async () => {
  await using world = await World.open();
  await world.sql(
    "CREATE TABLE t (id int NOT NULL PRIMARY KEY, v varchar(5), d datetime2(0), e decimal(8,2), i int, b binary(2))",
  );
  await world.capture("t");
  await world.sql("INSERT INTO t VALUES (1, 'short', '2026-01-01 10:00:00', 1.25, 7, 0x0102)");
  const source = world.source(["t"]);
  const reader = await readerFromStart(source, await firstTable(source));
  const before = await readToEnd(reader, await maximum(source));
  assert.deepEqual(parse(before.messages[0]!).data, {
    id: 1,
    v: "short",
    d: "2026-01-01T10:00:00",
    e: "1.25",
    i: 7,
    b: "AQI=",
  });
  for (const altered of ["v varchar(20)", "d datetime2(7)", "e money", "i varchar(10)", "b varbinary(max)"])
    await world.sql(`ALTER TABLE t ALTER COLUMN ${altered}`);
  await world.sql(
    "INSERT INTO t VALUES (2, 'much longer', '2026-01-01 10:00:00.1234567', 1.2345, 'seven', 0x010203), (3, 'x', NULL, 1, '8', 0x)",
  );
  // One row a read: the answer is called off before its end.
  const after = await readToEnd(reader, await maximum(source), 1, 1);
  assert.deepEqual(
    after.messages.map((message) => parse(message).data),
    [
      { id: 2, v: "much longer", d: "2026-01-01T10:00:00.1234567", e: "1.2345", i: "seven", b: "AQID" },
      { id: 3, v: "x", d: null, e: "1.0000", i: "8", b: "" },
    ],
  );
});

test("changes that a restore undoes while they are read, on a connection that it breaks, are not sent", async (t) => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const source = world.source(["Persons"]);
  const table = await firstTable(source);
  const reader = await readerFromStart(source, table);
  const { checkpoint } = await readToEnd(reader, await maximum(source));
  const snapshot = world.simulator.snapshot("TestDB");
  await world.sql("INSERT INTO Persons VALUES (2, N'undone', NULL)");
  const upTo = await maximum(source);

  const query = SqlConnection.prototype.query;
  const reading = t.mock.method(
    SqlConnection.prototype,
    "query",
    async function (this: SqlConnection, ...args: Parameters<typeof query>) {
      const result = await query.apply(this, args);
      if (!args[0].includes("TOP (@rows)")) return result;
      reading.mock.restore();
      const connection = this.session as Connection;
      const ended = new Promise((resolve) => connection.once("end", resolve));
      connection.close();
      await ended;
      world.simulator.restore(snapshot);
      return result;
    },
  );
  const batch = await readOnce(source.reader(table, checkpoint), upTo);
  assert.deepEqual(brief(batch.messages), []);
  assert.deepEqual(batch.position, checkpoint.position);
});
