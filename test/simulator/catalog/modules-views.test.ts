/** What the catalogue says of views and routines. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SqlServerSimulator } from "../../../simulator/index.ts";

let server: SqlServerSimulator;
before(async () => {
  server = await SqlServerSimulator.start({ databases: ["TestDB"] });
});
after(() => server.close());

// https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-views-transact-sql
// https://learn.microsoft.com/sql/relational-databases/system-information-schema-views/views-transact-sql
test("sys.views and INFORMATION_SCHEMA.VIEWS tell of WITH CHECK OPTION, and IS_UPDATABLE always is NO", async () => {
  await server.query("CREATE TABLE t (id int)");
  await server.query("CREATE VIEW plain AS SELECT id FROM t");
  await server.query("CREATE VIEW checked AS SELECT id FROM t WHERE id > 0 WITH CHECK OPTION");
  const { rows } = await server.query("SELECT name, with_check_option FROM sys.views ORDER BY name", "TestDB");
  assert.deepEqual(rows, [
    ["checked", true],
    ["plain", false],
  ]);
  const schema = "SELECT TABLE_NAME, CHECK_OPTION, IS_UPDATABLE FROM INFORMATION_SCHEMA.VIEWS ORDER BY TABLE_NAME";
  assert.deepEqual((await server.query(schema, "TestDB")).rows, [
    ["checked", "CASCADE", "NO"],
    ["plain", "NONE", "NO"],
  ]);
});

// https://learn.microsoft.com/sql/relational-databases/system-information-schema-views/routines-transact-sql
test("INFORMATION_SCHEMA.ROUTINES describes what functions return, and what routines may do", async () => {
  await server.query("CREATE PROCEDURE act AS SELECT 1");
  await server.query("CREATE FUNCTION dbo.name_of(@id int) RETURNS nvarchar(20) AS BEGIN RETURN N'x' END");
  await server.query(
    "CREATE FUNCTION dbo.price(@id int) RETURNS decimal(10, 2) WITH RETURNS NULL ON NULL INPUT AS BEGIN RETURN 1 END",
  );
  await server.query("CREATE FUNCTION dbo.all_of() RETURNS TABLE AS RETURN SELECT 1 AS one");
  const query = `SELECT ROUTINE_NAME, ROUTINE_TYPE, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, ROUTINE_BODY,
    IS_DETERMINISTIC, SQL_DATA_ACCESS, IS_NULL_CALL, SCHEMA_LEVEL_ROUTINE, ROUTINE_DEFINITION FROM INFORMATION_SCHEMA.ROUTINES ORDER BY 1`;
  const { rows } = await server.query(query, "TestDB");
  assert.deepEqual(
    rows.map((row) => row.slice(0, -1)),
    [
      ["act", "PROCEDURE", null, null, null, null, "SQL", "NO", "MODIFIES", null, "YES"],
      ["all_of", "FUNCTION", "table", null, null, null, "SQL", "NO", "READS", "YES", "YES"],
      ["name_of", "FUNCTION", "nvarchar", 20, null, null, "SQL", "NO", "READS", "YES", "YES"],
      ["price", "FUNCTION", "decimal", null, 10, 2, "SQL", "NO", "READS", "NO", "YES"],
    ],
  );
  assert.equal(rows[0]!.at(-1), "CREATE PROCEDURE act AS SELECT 1");
});
