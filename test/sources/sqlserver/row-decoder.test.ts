import assert from "node:assert/strict";
import { test } from "node:test";
import { RowMessageEncoder } from "../../../src/change/formats/row-message.ts";
import { originOf } from "../../../src/change/message-id.ts";
import { defaultValueOptions } from "../../../src/change/values.ts";
import type { SourceError } from "../../../src/errors.ts";
import type { CapturedColumn, CaptureInstance } from "../../../src/sources/sqlserver/capture-instance.ts";
import { ChangeQuery } from "../../../src/sources/sqlserver/change-query.ts";
import { chosenColumns, RowDecoder, RowFields } from "../../../src/sources/sqlserver/row-decoder.ts";

const table = { schema: "dbo", table: "T" };

function column(ordinal: number, name: string, type: string, more: Partial<CapturedColumn> = {}): CapturedColumn {
  return { name, ordinal, type, maxLength: 8, scale: 0, computed: false, sourceNullable: true, ...more };
}

function instanceOf(columns: CapturedColumn[]): CaptureInstance {
  return {
    name: "dbo_T",
    objectId: 1,
    changeTable: "[cdc].[dbo_T_CT]",
    startLsn: "00000000000000000001",
    roleName: null,
    columns,
    clusteredKey: ["__$start_lsn", "__$command_id", "__$seqval", "__$operation"],
    commandId: "nullable",
  };
}

const columns = [
  column(1, "id", "int", { sourceNullable: false }),
  column(2, "note", "nvarchar", { maxLength: -1 }),
  column(3, "old", "ntext", { maxLength: 16 }),
  column(4, "flag", "bit", { sourceNullable: false }),
  column(5, "total", "int", { computed: true }),
];

/** Decodes rows of (operation, update mask, id, note, old, flag), all of one transaction. */
function decode(rows: [operation: number, mask: number, ...values: unknown[]][], clockOffset = 0) {
  const instance = instanceOf(columns);
  const fields = new RowFields(chosenColumns(table, instance, {}), [], defaultValueOptions);
  const query = new ChangeQuery({
    instance,
    columns: fields.columns,
    expressions: fields.expressions,
    before: true,
    zone: false,
  });
  const origin = originOf({ server: "s", database: "d", recoveryFork: null, captureInstance: "dbo_T" });
  const encoder = new RowMessageEncoder({ table, destination: "t", ingestQueue: "q", origin, keyColumns: null });
  const decoder = new RowDecoder(query.layout, fields, encoder, clockOffset);
  const lsn = Buffer.from("0000003600000b200003", "hex");
  const time = new Date("2026-11-21T10:11:12.123Z");
  return rows.map(([operation, mask, ...values]) => {
    const change = decoder.decode([lsn, 1, lsn, operation, time, Buffer.from([mask]), ...values]);
    return change && { ...change, body: JSON.parse(change.message.body.toString()) };
  });
}

test("an update brings its old row along, and the old row is no message of its own", () => {
  const [old, update] = decode([
    [3, 0b10, 1, "was", null, true],
    [4, 0b10, 1, "is", "x", true],
  ]);
  assert.equal(old, null);
  assert.deepEqual(update!.body.before, { id: 1, note: "was", flag: true });
  assert.deepEqual(update!.body.data, { id: 1, note: "is", old: "x", flag: true });
});

test("a large value that the update did not touch is unknown before it, not NULL; one that it changed was NULL", () => {
  const untouched = decode([
    [3, 0b1000, 1, null, null, true],
    [4, 0b1000, 1, "same", "x", false],
  ])[1]!;
  assert.deepEqual(untouched.body.before, { id: 1, flag: true });
  const changed = decode([
    [3, 0b0010, 1, null, null, true],
    [4, 0b0010, 1, "new", "x", true],
  ])[1]!;
  assert.deepEqual(changed.body.before, { id: 1, note: null, flag: true });
});

test("a delete leaves out what the change table does not hold", () => {
  const [deleted] = decode([[1, 0b1111, 1, null, null, null]]);
  assert.deepEqual(
    deleted!.body.data,
    { id: 1, note: null },
    "a max column of a delete is known; ntext and the bit are not",
  );
});

test("an insert's NULL is a NULL, and computed columns are not captured", () => {
  const [inserted] = decode([[2, 0b1111, 1, null, null, true]]);
  assert.deepEqual(inserted!.body.data, { id: 1, note: null, old: null, flag: true });
});

test("commit times are the server's local time, and UTC in the message", () => {
  const [change] = decode([[2, 0b1111, 1, "x", "x", true]], 120);
  assert.equal(change!.commitTime, "2026-11-21T10:11:12.123");
  assert.equal(change!.body.metadata.CommitTime, "2026-11-21T08:11:12.123Z");
});

test("columns can be chosen, whatever the case of their names; a name that is none is refused with those that are", () => {
  const instance = instanceOf(columns);
  const names = (choice: { include?: string[]; exclude?: string[] }) =>
    chosenColumns(table, instance, choice).map(({ name }) => name);
  assert.deepEqual(names({ include: ["ID", "Flag"] }), ["id", "flag"]);
  assert.deepEqual(names({ exclude: ["NOTE", "old"] }), ["id", "flag"]);
  assert.throws(
    () => names({ exclude: ["nte"] }),
    (error: SourceError) => error.message.includes("nte") && error.advice!.includes("id, note, old"),
  );
});
