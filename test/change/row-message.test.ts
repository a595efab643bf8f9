import assert from "node:assert/strict";
import { test } from "node:test";
import { originOf } from "../../src/change/message-id.ts";
import { RowMessageEncoder } from "./row-encoder.ts";

const options = {
  table: { schema: "dbo", table: "Persons" },
  destination: "server.database.persons.events",
  ingestQueue: "ingest-queue",
  origin: originOf({ server: "server", database: "Database", recoveryFork: null, captureInstance: "dbo_Persons" }),
};
const position = { startLsn: "0000003600000b200003", commandId: 1, seqval: "0000003600000b200002", operation: 2 };
const time = "2026-11-21T10:11:12.123Z";

test("an insert is one line with the members that readers know, in their order", () => {
  const encoder = new RowMessageEncoder({ ...options, keyColumns: null });
  const message = encoder.encode(position, time, '{"ID":180,"FirstName":"Diana"}', null, []);
  assert.equal(
    message.body.toString(),
    '{"data":{"ID":180,"FirstName":"Diana"},"metadata":{"Destination":"server.database.persons.events",' +
      '"IngestQueue":"ingest-queue","LSN":"0000003600000b200003","OperationID":2,"OperationType":"Insert",' +
      '"TableName":"Persons","Schema":"dbo","CommandID":1,"Seq":"0000003600000b200002",' +
      '"CommitTime":"2026-11-21T10:11:12.123Z"}}',
  );
  assert.deepEqual(message.properties, {
    Destination: "server.database.persons.events",
    TableName: "Persons",
    OperationType: "Insert",
    LSN: "0000003600000b200003",
  });
  assert.equal(message.key, "dbo.Persons");
});

test("an update can carry the old row as its third member", () => {
  const encoder = new RowMessageEncoder({ ...options, keyColumns: null });
  const message = encoder.encode({ ...position, operation: 4 }, null, '{"ID":2}', '{"ID":1}', []);
  const parsed = JSON.parse(message.body.toString());
  assert.deepEqual(Object.keys(parsed), ["data", "metadata", "before"]);
  assert.equal(parsed.metadata.OperationType, "Update");
  assert.equal(parsed.metadata.CommitTime, null);
});

test("ordered by key, rows of one key share their ordering key, which stays short and plain", () => {
  const encoder = new RowMessageEncoder({ ...options, keyColumns: ["ID"] });
  const keyOf = (value: string) => encoder.encode(position, time, `{"ID":${value}}`, null, [value]).key;
  assert.equal(keyOf("180"), "dbo.Persons/180");
  assert.notEqual(keyOf("1"), keyOf('"1"'));
  const long = `"${"ü".repeat(450)}"`;
  assert.match(keyOf(long), /^dbo\.Persons\/#[\w-]{22}$/);
  assert.equal(keyOf(long), keyOf(long));
  assert.notEqual(keyOf(long), keyOf(`"${"ü".repeat(449)}"`));
});
