/** https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-sql-modules-transact-sql and its neighbours */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Variant } from "../../../simulator/engine/values.ts";
import { SqlServerSimulator } from "../../../simulator/index.ts";

const VIEW = "CREATE VIEW dbo.v AS\n  SELECT 1 AS one";
const PROCEDURE = "CREATE PROCEDURE p @a int, @b nvarchar(20) OUTPUT AS SET @b = N'x'";
const FUNCTION = "CREATE FUNCTION dbo.f (@x decimal(9, 2)) RETURNS varchar(10) AS BEGIN RETURN 'x' END";

let simulator: SqlServerSimulator;
before(async () => {
  simulator = await SqlServerSimulator.start({ databases: ["TestDB"], seed: 1 });
  for (const sql of [VIEW, PROCEDURE, FUNCTION]) await simulator.query(sql);
});
after(() => simulator.close());

async function rows(sql: string): Promise<unknown[][]> {
  const { rows: found } = await simulator.query(sql);
  return found.map((row) => row.map((value) => (value instanceof Variant ? value.value : value)));
}

test("modules are shown as they were written", async () => {
  assert.deepEqual(
    await rows(
      "SELECT o.name, m.definition FROM sys.sql_modules m JOIN sys.objects o ON o.object_id = m.object_id ORDER BY o.name",
    ),
    [
      ["f", FUNCTION],
      ["p", PROCEDURE],
      ["v", VIEW],
    ],
  );
  assert.deepEqual(await rows("SELECT OBJECT_DEFINITION(OBJECT_ID('p')), OBJECT_DEFINITION(1)"), [[PROCEDURE, null]]);
  assert.deepEqual(await rows("SELECT VIEW_DEFINITION FROM INFORMATION_SCHEMA.VIEWS"), [[VIEW]]);
  assert.deepEqual(await rows("EXEC sp_helptext 'dbo.v'"), [["CREATE VIEW dbo.v AS\n"], ["  SELECT 1 AS one"]]);
});

test("parameters have their types, and a function's result is parameter 0", async () => {
  assert.deepEqual(
    await rows(
      "SELECT OBJECT_NAME(object_id), parameter_id, name, TYPE_NAME(user_type_id), max_length, is_output FROM sys.parameters ORDER BY 1, 2",
    ),
    [
      ["f", 0, "", "varchar", 10, true],
      ["f", 1, "@x", "decimal", 5, false],
      ["p", 1, "@a", "int", 4, false],
      ["p", 2, "@b", "nvarchar", 40, true],
    ],
  );
  assert.deepEqual(
    await rows(
      "SELECT PARAMETER_MODE, IS_RESULT, PARAMETER_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH FROM INFORMATION_SCHEMA.PARAMETERS WHERE SPECIFIC_NAME = 'p' ORDER BY ORDINAL_POSITION",
    ),
    [
      ["IN", "NO", "@a", "int", null],
      ["INOUT", "NO", "@b", "nvarchar", 20],
    ],
  );
});

test("INFORMATION_SCHEMA.SEQUENCES has a sequence's limits", async () => {
  await simulator.query("CREATE SEQUENCE dbo.s AS smallint START WITH 5 INCREMENT BY 2 MAXVALUE 99 CYCLE");
  assert.deepEqual(
    await rows(
      "SELECT SEQUENCE_SCHEMA, SEQUENCE_NAME, DATA_TYPE, START_VALUE, MINIMUM_VALUE, MAXIMUM_VALUE, INCREMENT, CYCLE_OPTION FROM INFORMATION_SCHEMA.SEQUENCES",
    ),
    [["dbo", "s", "smallint", 5, -32768, 99, 2, true]],
  );
});

test("system views are in sys.system_views", async () => {
  assert.deepEqual(
    await rows(
      "SELECT name FROM sys.system_views WHERE name IN ('dm_exec_sessions', 'dm_pdw_nodes_exec_sessions', 'databases') ORDER BY name",
    ),
    [["databases"], ["dm_exec_sessions"]],
  );
});

test("sp_helpindex tells a table's indexes in words, and says where there are none", async () => {
  await simulator.query(
    "CREATE TABLE t (a int PRIMARY KEY, b int, c int CONSTRAINT uq UNIQUE); CREATE INDEX ix ON t (b DESC, a)",
  );
  const described = await rows("EXEC sys.sp_helpindex @objname = N'[t]'");
  assert.deepEqual(
    described.map(([, description, keys]) => [description, keys]),
    [
      ["nonclustered located on PRIMARY", "b(-), a"],
      ["clustered, unique, primary key located on PRIMARY", "a"],
      ["nonclustered, unique, unique key located on PRIMARY", "c"],
    ],
  );
  await simulator.query("CREATE TABLE heap (a int)");
  const { messages } = await simulator.query("EXEC sp_helpindex heap");
  assert.deepEqual(
    messages.map(({ number }) => number),
    [15472],
  );
});

test("sys.syscomments has a module's text in parts of 4,000 characters, sys.master_files the files of all databases", async () => {
  const long = `CREATE VIEW long AS SELECT '${"x".repeat(5000)}' AS x`;
  await simulator.query(long);
  const parts = await rows("SELECT colid, text FROM syscomments WHERE id = OBJECT_ID('long') ORDER BY colid");
  assert.deepEqual(parts, [
    [1, long.slice(0, 4000)],
    [2, long.slice(4000)],
  ]);
  assert.deepEqual(
    await rows("SELECT name, type_desc FROM sys.master_files WHERE database_id = DB_ID() ORDER BY file_id"),
    [
      ["TestDB", "ROWS"],
      ["TestDB_log", "LOG"],
    ],
  );
});
