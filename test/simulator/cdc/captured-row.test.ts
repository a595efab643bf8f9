/** Which values a change table holds: https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaptureShape } from "../../../simulator/cdc/captured-row.ts";
import { changeRows } from "../../../simulator/cdc/captured-row.ts";
import type { Column, Row } from "../../../simulator/engine/database.ts";
import { column } from "./engine-fixture.ts";

const max = { id: "nvarchar", length: -1 } as const;
const layout: Column[] = [
  column("id", 1, { id: "int" }, false),
  column("note", 2, max),
  column("old", 3, { id: "ntext" }),
  { ...column("twice", 4, { id: "int" }), computed: { text: "([id]*2)", persisted: false, definition: {} as never } },
  column("version", 5, { id: "timestamp" }),
];
const shape: CaptureShape = {
  columns: layout.map(({ name, columnId, computed }) => ({ name, columnId, computed: computed !== undefined })),
  commandId: "current",
};
const before: Row = [1, "n", "o", 2, Buffer.from("0000000000000001", "hex")];

function told(
  kind: "insert" | "delete" | "update",
  from: Row | null,
  to: Row | null,
  over: Partial<CaptureShape> = {},
) {
  const step = { objectId: 1, kind, before: from, after: to, lsn: 7n, statement: 1 };
  return changeRows({ ...shape, ...over }, layout, step, 9n, 3);
}

test("a delete keeps max types and loses text, ntext and image; computed columns are never captured", () => {
  const [row] = told("delete", before, null);
  assert.deepEqual(row!.slice(3), [1, Buffer.from([0x1f]), 1, "n", null, null, before[4], 3]);
});

test("the values before an update hold a max column only if it changed", () => {
  const other = Buffer.from("0000000000000002", "hex");
  const [unchanged, after] = told("update", before, [1, "n", "o", 2, other]);
  assert.deepEqual(unchanged!.slice(3), [3, Buffer.from([0x10]), 1, null, null, null, before[4], 3]);
  assert.deepEqual(after!.slice(3), [4, Buffer.from([0x10]), 1, "n", "o", null, other, 3]);
  const [changed] = told("update", before, [1, "m", "o", 2, other]);
  assert.equal(changed![6], "n");
});

test("an update of columns that are not captured leaves no row", () => {
  assert.deepEqual(told("update", before, [1, "m", "o", 2, before[4]!], { columns: [shape.columns[0]!] }), []);
});

test("a column that the source no longer has is NULL", () => {
  const gone = [...shape.columns, { name: "gone", columnId: 9, computed: false }];
  const [row] = told("insert", null, before, { columns: gone });
  assert.equal(row![10], null);
});

test("old servers' change tables have no command id, upgraded ones a NULL", () => {
  assert.equal(told("insert", null, before, { commandId: "missing" })[0]!.length, 10);
  assert.equal(told("insert", null, before, { commandId: "null" })[0]![10], null);
});
