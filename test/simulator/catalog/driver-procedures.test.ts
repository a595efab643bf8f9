/** The catalogue procedures behind JDBC's DatabaseMetaData and ODBC's catalogue functions. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SqlServerSimulator, type Value } from "../../../simulator/index.ts";

let server: SqlServerSimulator;
before(async () => {
  server = await SqlServerSimulator.start({ databases: ["TestDB"] });
  await server.query("CREATE SCHEMA sales");
  await server.query(
    `CREATE TABLE customers (id int IDENTITY PRIMARY KEY, name nvarchar(50) NOT NULL DEFAULT N'x', born date, at time(3),
       changed datetime2(4), zoned datetimeoffset, version rowversion, CONSTRAINT UQ_name UNIQUE (name))`,
  );
  await server.query(
    `CREATE TABLE sales.orders (id int, line smallint, customer int CONSTRAINT FK_customer REFERENCES customers (id),
       CONSTRAINT PK_orders PRIMARY KEY (id, line))`,
  );
  await server.query("CREATE VIEW names AS SELECT id, UPPER(name) AS shout FROM customers");
  await server.query(
    "CREATE PROCEDURE total @a int, @b decimal(10,2) = 5, @sum decimal(12,2) OUTPUT AS SET @sum = @a + @b",
  );
});
after(() => server.close());

/** The rows of a call, some columns of them. */
async function rows(call: string, ...columns: string[]): Promise<Value[][]> {
  const result = await server.query(`EXEC ${call}`, "TestDB");
  const places = columns.map((name) => result.columns.findIndex((column) => column.name === name));
  assert.ok(!places.includes(-1), result.columns.map(({ name }) => name).join(", "));
  return result.rows.map((row) => places.map((place) => row[place]!));
}

// https://learn.microsoft.com/sql/relational-databases/native-client-odbc-date-time/metadata-catalog
test("sp_columns_100 measures dates and times as ODBC does", async () => {
  const call = "sp_columns_100 @table_name = N'customers', @column_name = N'%', @ODBCVer = 3";
  const columns = ["COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "PRECISION", "LENGTH", "SCALE", "COLUMN_DEF"];
  assert.deepEqual(await rows(call, ...columns), [
    ["id", 4, "int identity", 10, 4, 0, null],
    ["name", -9, "nvarchar", 50, 100, null, "(N'x')"],
    ["born", 91, "date", 10, 6, 0, null],
    ["at", -154, "time", 12, 10, 3, null],
    ["changed", 93, "datetime2", 24, 16, 4, null],
    ["zoned", -155, "datetimeoffset", 34, 20, 7, null],
    ["version", -2, "timestamp", 8, 8, null, null],
  ]);
});

// https://learn.microsoft.com/sql/odbc/reference/appendixes/column-size
test("floats have digits for ODBC 2 and bits for ODBC 3", async () => {
  await server.query("CREATE TABLE floats (f float, r real)");
  assert.deepEqual(await rows("sp_columns_100 N'floats'", "PRECISION", "RADIX"), [
    [15, 10],
    [7, 10],
  ]);
  assert.deepEqual(await rows("sp_columns_100 N'floats', @ODBCVer = 3", "PRECISION", "RADIX"), [
    [53, 2],
    [24, 2],
  ]);
  assert.deepEqual(await rows("sp_datatype_info_100 7, @ODBCVer = 3", "PRECISION", "NUM_PREC_RADIX"), [[24, 2]]);
});

test("what tools ask for before they clean or compare a schema is there, if empty", async () => {
  const asked = ["assemblies", "service_queues", "fulltext_catalogs", "partition_functions", "symmetric_keys"];
  for (const name of asked) assert.deepEqual((await server.query(`SELECT * FROM sys.${name}`)).rows, [], name);
  const stats = "SELECT name, stats_id FROM sys.stats WHERE object_id = OBJECT_ID('sales.orders')";
  assert.deepEqual((await server.query(stats)).rows, [["PK_orders", 1]]);
  const collections = "SELECT name FROM sys.xml_schema_collections";
  assert.deepEqual((await server.query(collections)).rows, [["sys"]]);
});

test("patterns have wildcards and brackets; a backslash is a backslash", async () => {
  await server.query("CREATE TABLE [a_\\%b] (x int); CREATE TABLE [ab\\cb] (x int)");
  assert.deepEqual(await rows("sp_columns N'a[_]\\[%]b'", "TABLE_NAME"), [["a_\\%b"]]);
  assert.deepEqual(await rows("sp_tables N'a_\\_b'", "TABLE_NAME"), [["a_\\%b"], ["ab\\cb"]]);
});

test("views have columns as tables do", async () => {
  const expected = [
    ["id", "int"],
    ["shout", "nvarchar"],
  ];
  assert.deepEqual(await rows("sp_columns N'names'", "COLUMN_NAME", "TYPE_NAME"), expected);
  for (const query of [
    "SELECT name, TYPE_NAME(user_type_id) FROM sys.columns WHERE object_id = OBJECT_ID('names') ORDER BY column_id",
    "SELECT COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'names' ORDER BY ORDINAL_POSITION",
  ])
    assert.deepEqual((await server.query(query)).rows, expected, query);
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-fkeys-transact-sql
test("sp_fkeys finds foreign keys from either end", async () => {
  const columns = [
    "PKTABLE_NAME",
    "PKCOLUMN_NAME",
    "FKTABLE_OWNER",
    "FKTABLE_NAME",
    "FKCOLUMN_NAME",
    "UPDATE_RULE",
    "FK_NAME",
  ];
  const expected = [["customers", "id", "sales", "orders", "customer", 1, "FK_customer"]];
  assert.deepEqual(await rows("sp_fkeys @pktable_name = N'customers'", ...columns), expected);
  assert.deepEqual(await rows("sp_fkeys @fktable_name = N'orders', @fktable_owner = N'sales'", ...columns), expected);
  assert.deepEqual(await rows("sp_fkeys @pktable_name = N'orders'", ...columns), []);
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-special-columns-transact-sql
test("sp_special_columns tells the columns that identify a row, and those that change with it", async () => {
  assert.deepEqual(await rows("sp_special_columns N'orders', N'sales', @scope = 'C'", "SCOPE", "COLUMN_NAME"), [
    [0, "id"],
    [0, "line"],
  ]);
  assert.deepEqual(await rows("sp_special_columns_100 N'customers', @col_type = 'V'", "SCOPE", "COLUMN_NAME"), [
    [null, "version"],
  ]);
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-sproc-columns-transact-sql
test("sp_stored_procedures and sp_sproc_columns describe what can be called", async () => {
  assert.deepEqual(await rows("sp_stored_procedures N'tot%', N'dbo'", "PROCEDURE_NAME", "PROCEDURE_TYPE"), [
    ["total;1", 2],
  ]);
  const columns = ["COLUMN_NAME", "COLUMN_TYPE", "TYPE_NAME", "PRECISION", "SCALE", "NULLABLE", "ORDINAL_POSITION"];
  assert.deepEqual(await rows("sp_sproc_columns_100 N'total', @ODBCVer = 3", ...columns), [
    ["@RETURN_VALUE", 5, "int", 10, 0, 0, 0],
    ["@a", 1, "int", 10, 0, 1, 1],
    ["@b", 1, "decimal", 10, 2, 1, 2],
    ["@sum", 2, "decimal", 12, 2, 1, 3],
  ]);
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-datatype-info-transact-sql
test("sp_datatype_info lists the types in the order of their codes", async () => {
  const columns = ["TYPE_NAME", "DATA_TYPE", "PRECISION", "LITERAL_PREFIX", "CREATE_PARAMS", "AUTO_INCREMENT"];
  assert.deepEqual(await rows("sp_datatype_info 3", ...columns), [
    ["decimal", 3, 38, null, "precision,scale", 0],
    ["money", 3, 19, "$", null, 0],
    ["smallmoney", 3, 10, "$", null, 0],
    ["decimal() identity", 3, 38, null, "precision", 1],
  ]);
  // What a driver of ODBC 3.8 says its version is: https://learn.microsoft.com/sql/odbc/reference/develop-app/c-data-types-in-odbc
  for (const version of [3, 4])
    assert.deepEqual((await rows(`sp_datatype_info_100 93, ${version}`, "TYPE_NAME")).map(([name]) => name).sort(), [
      "datetime",
      "datetime2",
      "smalldatetime",
    ]);
  const codes = (await rows("sp_datatype_info_100 @ODBCVer = 3", "DATA_TYPE")).map(([code]) => code as number);
  assert.deepEqual(
    codes,
    codes.toSorted((a, b) => a - b),
  );
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-table-privileges-transact-sql
test("sp_table_privileges has what the owner may, and what was granted", async () => {
  await server.query("CREATE ROLE readers; GRANT SELECT ON customers TO readers");
  const granted = await rows("sp_table_privileges N'cust%'", "GRANTEE", "PRIVILEGE", "IS_GRANTABLE");
  assert.equal(granted.filter(([grantee]) => grantee === "dbo").length, 5);
  assert.deepEqual(granted.at(-1), ["readers", "SELECT", "NO"]);
});

test("expressions are kept as SQL Server writes them", async () => {
  await server.query(
    `CREATE TABLE kept (a int DEFAULT -1, b bigint DEFAULT 3147483648, c nvarchar(9) DEFAULT N'it''s', d datetime DEFAULT GetDate(),
       e int DEFAULT ((NULL)), sum_ AS a * (b + 1), text_ AS CAST(a AS varchar(10)),
       CHECK (a BETWEEN 1 AND 2 OR c LIKE 'x%' AND (b > 0 OR b IS NULL)))`,
  );
  const definitions = async (view: string) =>
    (await server.query(`SELECT definition FROM sys.${view} WHERE parent_object_id = OBJECT_ID('kept')`)).rows.flat();
  assert.deepEqual(await definitions("default_constraints"), [
    "((-1))",
    "((3147483648.))",
    "(N'it''s')",
    "(getdate())",
    "(NULL)",
  ]);
  assert.deepEqual(await definitions("check_constraints"), [
    "([a]>=(1) AND [a]<=(2) OR [c] like 'x%' AND ([b]>(0) OR [b] IS NULL))",
  ]);
  const computed = "SELECT definition FROM sys.computed_columns WHERE object_id = OBJECT_ID('kept')";
  assert.deepEqual((await server.query(computed)).rows, [["([a]*([b]+(1)))"], ["(CONVERT([varchar](10),[a]))"]]);
});
