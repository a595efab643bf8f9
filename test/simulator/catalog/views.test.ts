/** What system views hold: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/catalog-views-transact-sql */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineContext } from "../../../simulator/engine/engine.ts";
import type { SystemView } from "../../../simulator/engine/registry.ts";
import { Decimal, type SqlType, Temporal, type Value, Variant } from "../../../simulator/engine/values.ts";
import { column, createTable, type Fixture, fixture, Work } from "../cdc/engine-fixture.ts";

const INT = { id: "int" } as const;

async function furnished(): Promise<Fixture> {
  const f = fixture();
  const orders = createTable(f.database, "orders", [
    { ...column("id", 1, INT, false), identity: { seed: 1n, increment: 1n, next: 2n } },
    { ...column("email", 2, { id: "varchar", length: 50 }), masked: "email()" },
    {
      ...column("total", 3, { id: "decimal", precision: 12, scale: 4 }, false),
      default: { name: "DF_total", text: "((0))", definition: undefined },
    },
    { ...column("double", 4, INT), computed: { text: "([id]*(2))", persisted: false, definition: {} as never } },
    column("note", 5, { id: "nvarchar", length: -1 }),
    column("at", 6, { id: "datetime2", scale: 3 }),
  ]);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", { source_schema: "dbo", source_name: "orders", role_name: "readers" });
  const work = new Work(f);
  work.statement().insert(orders, 1, "a@b", new Decimal(0n, 4), 2, "n", null);
  work.transaction.commit(f.engine.now());
  f.cdc.stop();
  return f;
}

function fits(value: Value, type: SqlType): boolean {
  switch (type.id) {
    case "bit":
      return typeof value === "boolean";
    case "tinyint":
      return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255;
    case "smallint":
      return Number.isInteger(value) && Math.abs(value as number) <= 32_768;
    case "int":
      return Number.isInteger(value) && Math.abs(value as number) <= 2_147_483_648;
    case "real":
    case "float":
      return typeof value === "number";
    case "bigint":
      return typeof value === "bigint";
    case "decimal":
      return value instanceof Decimal;
    case "sql_variant":
      return value instanceof Variant;
    case "datetime":
    case "datetimeoffset":
      return value instanceof Temporal;
    case "binary":
      return Buffer.isBuffer(value) && value.length === type.length;
    case "varbinary":
      return Buffer.isBuffer(value) && (type.length === -1 || value.length <= type.length!);
    case "char":
    case "nchar":
      return typeof value === "string" && value.length === type.length;
    case "uniqueidentifier":
      return typeof value === "string" && /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/.test(value);
    default:
      return typeof value === "string" && (type.length === -1 || value.length <= (type.length ?? 1));
  }
}

test("every system view gives values of its columns' types, and NULL only where the column allows it", async () => {
  const f = await furnished();
  const msdb = f.engine.database("msdb")!;
  const views = [...f.engine.systemObjects.views.values(), ...msdb.systemObjects.views.values()];
  assert.ok(views.length > 60);
  for (const view of views)
    for (const row of view.rows(f.context)) {
      assert.equal(row.length, view.columns.length, view.name);
      for (const [i, { name, type, nullable }] of view.columns.entries()) {
        const value = row[i]!;
        const where = `${view.schema}.${view.name}.${name} = ${String(value)}`;
        if (value === null) assert.ok(nullable, where);
        else assert.ok(fits(value, type), where);
      }
    }
});

function rows(f: Fixture, name: string, schema = "sys"): Record<string, Value>[] {
  const view = f.engine.systemObjects.view(schema, name) as SystemView<EngineContext>;
  return [...view.rows(f.context)].map((row) => Object.fromEntries(view.columns.map((one, i) => [one.name, row[i]!])));
}

test("sys.databases and sys.tables say what CDC tracks", async () => {
  const f = await furnished();
  const databases = new Map(rows(f, "databases").map((row) => [row["name"], row]));
  assert.equal(databases.get("TestDB")!["is_cdc_enabled"], true);
  assert.equal(databases.get("master")!["is_cdc_enabled"], false);
  assert.equal(databases.get("TestDB")!["state_desc"], "ONLINE");
  const tables = new Map(rows(f, "tables").map((row) => [row["name"], row]));
  assert.equal(tables.get("orders")!["is_tracked_by_cdc"], true);
  assert.equal(tables.get("orders")!["is_ms_shipped"], false);
  assert.equal(tables.get("dbo_orders_CT")!["is_ms_shipped"], true);
});

test("sys.columns measures types as SQL Server does", async () => {
  const f = await furnished();
  const orders = f.database.findTable("dbo", "orders")!;
  const measured = rows(f, "columns")
    .filter((row) => row["object_id"] === orders.objectId)
    .map((row) => [row["name"], row["max_length"], row["precision"], row["scale"], row["collation_name"] !== null]);
  assert.deepEqual(measured, [
    ["id", 4, 10, 0, false],
    ["email", 50, 0, 0, true],
    ["total", 9, 12, 4, false],
    ["double", 4, 10, 0, false],
    ["note", -1, 0, 0, true],
    ["at", 7, 23, 3, false],
  ]);
  assert.deepEqual(
    rows(f, "masked_columns").map((row) => [row["name"], row["masking_function"]]),
    [
      ["email", "email()"],
      ["email", "email()"],
    ],
    "a mask carries over to the change table",
  );
  assert.deepEqual(
    rows(f, "computed_columns").map((row) => row["definition"]),
    ["([id]*(2))"],
  );
  assert.deepEqual(
    rows(f, "identity_columns").map((row) => (row["last_value"] as Variant).value),
    [1n],
  );
});

test("a change table's clustered order is found in sys.index_columns", async () => {
  const f = await furnished();
  const table = f.database.findTable("cdc", "dbo_orders_CT")!;
  const names = new Map(table.columns.map(({ columnId, name }) => [columnId, name]));
  const key = rows(f, "index_columns")
    .filter((row) => row["object_id"] === table.objectId && row["index_id"] === 1)
    .sort((a, b) => (a["key_ordinal"] as number) - (b["key_ordinal"] as number));
  assert.deepEqual(
    key.map((row) => names.get(row["column_id"] as number)),
    ["__$start_lsn", "__$command_id", "__$seqval", "__$operation"],
  );
});

test("INFORMATION_SCHEMA describes columns and keys", async () => {
  const f = await furnished();
  const columns = rows(f, "COLUMNS", "INFORMATION_SCHEMA").filter((row) => row["TABLE_NAME"] === "orders");
  assert.deepEqual(
    columns.map((row) => [row["COLUMN_NAME"], row["DATA_TYPE"], row["IS_NULLABLE"], row["CHARACTER_MAXIMUM_LENGTH"]]),
    [
      ["id", "int", "NO", null],
      ["email", "varchar", "YES", 50],
      ["total", "decimal", "NO", null],
      ["double", "int", "YES", null],
      ["note", "nvarchar", "YES", -1],
      ["at", "datetime2", "YES", null],
    ],
  );
  const [key] = rows(f, "KEY_COLUMN_USAGE", "INFORMATION_SCHEMA");
  assert.deepEqual([key!["CONSTRAINT_NAME"], key!["COLUMN_NAME"], key!["ORDINAL_POSITION"]], ["PK_orders", "id", 1]);
});

test("the metadata procedures of drivers describe a table", async () => {
  const f = await furnished();
  const columns = await f.call("sp_columns_100", { table_name: "orders", table_owner: "dbo", odbcver: 3 });
  assert.deepEqual(
    columns.map((row) => [row["COLUMN_NAME"], row["DATA_TYPE"], row["TYPE_NAME"]]),
    [
      ["id", 4, "int identity"],
      ["email", 12, "varchar"],
      ["total", 3, "decimal"],
      ["double", 4, "int"],
      ["note", -9, "nvarchar"],
      ["at", 93, "datetime2"],
    ],
  );
  const keys = await f.call("sp_pkeys", { table_name: "orders" });
  assert.deepEqual(
    keys.map((row) => [row["COLUMN_NAME"], row["KEY_SEQ"], row["PK_NAME"]]),
    [["id", 1, "PK_orders"]],
  );
  const tables = await f.call("sp_tables", { table_name: "ord_rs", table_type: "'TABLE'" });
  assert.deepEqual(
    tables.map((row) => row["TABLE_NAME"]),
    ["orders"],
  );
});
