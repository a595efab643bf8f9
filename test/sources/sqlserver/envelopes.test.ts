import assert from "node:assert/strict";
import { test } from "node:test";
import { envelopeLine } from "../../../src/change/formats/provider-envelope.ts";
import { firstTable, maximum, readerFromStart, readOnce, World } from "./world.ts";

test("a table's changes as the envelope of the seed: one line, with change type, commit time in UTC and LSN in parts", async () => {
  let now = Date.parse("2025-09-28T20:00:00Z");
  await using world = await World.open({ clock: () => new Date(now) });
  await world.sql("CREATE TABLE dbo.customers (id int NOT NULL PRIMARY KEY, name nvarchar(50), email nvarchar(100))");
  await world.capture("customers");
  await world.sql("INSERT INTO customers VALUES (123, N'John Doe', N'john@example.com')");
  now += 1_500;
  await world.sql("UPDATE customers SET name = N'Jane Doe'");
  await world.sql("DELETE FROM customers");
  const source = world.source(["customers"], { format: "envelope" });
  const table = await firstTable(source);
  const { changes } = await readOnce(await readerFromStart(source, table), await maximum(source));
  const line = envelopeLine(changes.bodies, changes.count, { table, server: "localhost", pollInterval: "5s" });
  assert.equal(line.indexOf("\n"), line.length - 1, "one line, with its end");
  const envelope = JSON.parse(line.toString()) as Record<string, unknown> & { changes: Record<string, unknown>[] };
  assert.deepEqual(Object.keys(envelope), ["table_name", "server_name", "changes", "metadata"]);
  assert.deepEqual(
    [envelope["table_name"], envelope["server_name"], envelope["metadata"]],
    ["dbo.customers", "localhost", { batch_size: 3, poll_interval: "5s" }],
  );
  const [inserted, updated, deleted] = envelope.changes;
  assert.match(String(inserted!["lsn"]), /^[\da-f]{8}:[\da-f]{8}:[\da-f]{4}$/);
  assert.deepEqual(inserted, {
    table_name: "dbo.customers",
    change_type: "insert",
    data: { id: 123, name: "John Doe", email: "john@example.com" },
    timestamp: "2025-09-28T20:00:00Z",
    lsn: inserted!["lsn"],
  });
  assert.deepEqual(
    [updated!["change_type"], updated!["timestamp"], updated!["data"]],
    ["update", "2025-09-28T20:00:01.500Z", { id: 123, name: "Jane Doe", email: "john@example.com" }],
  );
  assert.equal(deleted!["change_type"], "delete");
});
