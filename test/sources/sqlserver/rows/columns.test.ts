import assert from "node:assert/strict";
import { test } from "node:test";
import type { SourceError } from "../../../../src/errors.ts";
import type { CapturedColumn, CaptureInstance } from "../../../../src/sources/sqlserver/capture-instance.ts";
import { isExact } from "../../../../src/sources/sqlserver/rows/code-pages.ts";
import { chosenColumns, rowFields, selectExpression } from "../../../../src/sources/sqlserver/rows/columns.ts";
import { UPPER_HALVES } from "./code-page-tables.ts";

const table = { schema: "dbo", table: "T" };

function column(name: string, type: string, more: Partial<CapturedColumn> = {}): CapturedColumn {
  const ordinary = { maxLength: 8, scale: 0, ordinal: 1, computed: false, codePage: null, sourceNullable: true };
  return { name, type, ...ordinary, ...more };
}

const columns = [
  column("id", "int", { sourceNullable: false }),
  column("note", "nvarchar", { ordinal: 2, maxLength: -1 }),
  column("old", "ntext", { ordinal: 3, maxLength: 16 }),
  column("flag", "bit", { ordinal: 4, sourceNullable: false }),
  column("total", "int", { ordinal: 5, computed: true }),
];

const instance: CaptureInstance = {
  name: "dbo_T",
  objectId: 1,
  changeTable: "[cdc].[dbo_T_CT]",
  startLsn: "00000000000000000001",
  roleName: null,
  columns,
  clusteredKey: ["__$start_lsn", "__$command_id", "__$seqval", "__$operation"],
  commandId: "nullable",
};

test("columns can be chosen, whatever the case of their names; a name that is none is refused with those that are", () => {
  const names = (choice: { include?: string[]; exclude?: string[]; mask?: string[] }) =>
    chosenColumns(table, instance, [], choice).map(({ name }) => name);
  assert.deepEqual(names({}), ["id", "note", "old", "flag"], "computed columns are not captured");
  assert.deepEqual(names({ include: ["ID", "Flag"] }), ["id", "flag"]);
  assert.deepEqual(names({ exclude: ["NOTE", "old"] }), ["id", "flag"]);
  assert.deepEqual(names({ include: ["id", "note"], exclude: ["note"] }), ["id"]);
  assert.deepEqual(names({ mask: ["Note"] }), ["id", "note", "old", "flag"], "a masked column is sent");
  for (const choice of [{ include: ["nte"] }, { exclude: ["nte"] }, { mask: ["nte"] }])
    assert.throws(
      () => names(choice),
      (error: SourceError) => error.message.includes("nte") && error.advice!.includes("id, note, old"),
    );
});

test("which columns are masked, which make up the key and in what order, and when NULL means that nothing is held", () => {
  const fields = rowFields(chosenColumns(table, instance, [], {}), ["flag", "id"], { mask: ["NOTE"] });
  assert.deepEqual(
    fields.map(({ name, masked, key, unknown, ordinal }) => [name, masked, key, unknown, ordinal]),
    [
      ["id", false, 1, "never", 1],
      ["note", true, -1, "unmarked before", 2],
      ["old", false, -1, "delete and before", 3],
      ["flag", false, 0, "delete", 4],
    ],
  );
  const unknown = (type: string, more: Partial<CapturedColumn> = {}) =>
    rowFields([column("c", type, more)], [], {})[0]!.unknown;
  for (const type of ["text", "ntext", "image"]) assert.equal(unknown(type), "delete and before");
  for (const type of ["varchar", "nvarchar", "varbinary"]) {
    assert.equal(unknown(type, { maxLength: -1 }), "unmarked before");
    assert.equal(unknown(type), "never");
  }
  for (const type of ["xml", "clr"]) assert.equal(unknown(type), "unmarked before");
  assert.equal(unknown("bit"), "never", "a bit that may be NULL can have been");
  assert.equal(unknown("bit", { sourceNullable: null }), "never", "nor is it known of a column that was dropped");
});

test("text of a code page that all agree on comes as it is, other text as UTF-16, CLR types as their bytes", () => {
  const expression = (type: string, maxLength: number, codePage: number | null = null) =>
    selectExpression(column("a]b", type, { maxLength, codePage }), "c");
  assert.equal(expression("varchar", 100, 1252), "c.[a]]b]");
  assert.equal(expression("text", 16, 65001), "c.[a]]b]");
  assert.equal(expression("varchar", 100, 932), "CONVERT(nvarchar(100), c.[a]]b])");
  assert.equal(expression("char", 4000, 1253), "CONVERT(nvarchar(4000), c.[a]]b])");
  assert.equal(expression("varchar", 8000, 932), "CONVERT(nvarchar(max), c.[a]]b])");
  assert.equal(expression("varchar", -1, 932), "CONVERT(nvarchar(max), c.[a]]b])");
  assert.equal(expression("text", 16, 932), "CONVERT(nvarchar(max), c.[a]]b])");
  assert.equal(expression("varchar", 100, null), "CONVERT(nvarchar(100), c.[a]]b])", "not known: the server knows");
  assert.equal(expression("nvarchar", 100), "c.[a]]b]");
  assert.equal(expression("clr", -1), "CONVERT(varbinary(max), c.[a]]b])");
});

test("the code pages that all agree on are those of which there is a table, and UTF-8", () => {
  const pages = [437, 850, 874, 932, 936, 949, 950, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258, 65001];
  assert.deepEqual(
    pages.filter(isExact),
    pages.filter((page) => page === 65001 || page in UPPER_HALVES),
  );
});

test("a type from a newer server is refused by name, with a way out", () => {
  assert.throws(
    () => selectExpression(column("v", "vector"), "c"),
    (error: SourceError) =>
      error.scope === "table" && error.message.includes("vector") && /columns_exclude/.test(error.advice!),
  );
});
