/**
 * https://learn.microsoft.com/sql/relational-databases/system-functions/sys-fn-listextendedproperty-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-addextendedproperty-transact-sql
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Variant } from "../../../simulator/engine/values.ts";
import { type SqlError, SqlServerSimulator } from "../../../simulator/index.ts";

let simulator: SqlServerSimulator;
beforeEach(async () => {
  simulator = await SqlServerSimulator.start({ databases: ["TestDB"], seed: 1 });
  await simulator.query("CREATE TABLE T1 (id int, name char(20)); CREATE TABLE T2 (id int)");
  await simulator.query(
    "EXEC sp_addextendedproperty 'caption', 'Employee ID', 'schema', dbo, 'table', 'T1', 'column', id",
  );
  await simulator.query(
    "EXEC sp_addextendedproperty 'caption', N'Ämployee Name', 'schema', dbo, 'table', 'T1', 'column', name",
  );
  await simulator.query(
    "EXEC sys.sp_addextendedproperty @name = N'MS_Description', @value = N'All', @level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'T1'",
  );
});
afterEach(() => simulator.close());

async function rows(sql: string): Promise<unknown[][]> {
  const { rows: found } = await simulator.query(sql);
  return found.map((row) => row.map((value) => (value instanceof Variant ? value.value : value)));
}

function error(sql: string): Promise<number> {
  return simulator.query(sql).then(
    () => assert.fail(`no error: ${sql}`),
    (raised: SqlError) => raised.number,
  );
}

test("properties of all columns of a table, of one, and of all tables are listed", async () => {
  const columns = "fn_listextendedproperty (NULL, 'schema', 'dbo', 'table', 'T1', 'column', default)";
  assert.deepEqual(await rows(`SELECT objtype, objname, name, value FROM ${columns}`), [
    ["COLUMN", "id", "caption", "Employee ID"],
    ["COLUMN", "name", "caption", "Ämployee Name"],
  ]);
  const one = "TestDB.sys.fn_listextendedproperty ('caption', 'SCHEMA', 'dbo', 'TABLE', 'T1', 'COLUMN', 'id')";
  assert.deepEqual(await rows(`SELECT value FROM ${one}`), [["Employee ID"]]);
  const tables = "fn_listextendedproperty (NULL, 'schema', 'dbo', 'table', default, NULL, NULL)";
  assert.deepEqual(await rows(`SELECT * FROM ${tables}`), [["TABLE", "T1", "MS_Description", "All"]]);
  const database = "fn_listextendedproperty(default, default, default, default, default, default, default)";
  assert.deepEqual(await rows(`SELECT * FROM ${database}`), []);
});

test("sys.extended_properties has them by object and column", async () => {
  const query = `SELECT class_desc, OBJECT_NAME(major_id), COL_NAME(major_id, minor_id), name, CAST(value AS nvarchar(50))
    FROM sys.extended_properties WHERE class = 1 AND name = 'caption' ORDER BY minor_id`;
  assert.deepEqual(await rows(query), [
    ["OBJECT_OR_COLUMN", "T1", "id", "caption", "Employee ID"],
    ["OBJECT_OR_COLUMN", "T1", "name", "caption", "Ämployee Name"],
  ]);
});

test("a property is updated, dropped, and gone with its column or its transaction", async () => {
  const place = "'schema', dbo, 'table', 'T1', 'column'";
  await simulator.query(`EXEC sp_updateextendedproperty 'caption', 'Id', ${place}, id`);
  await simulator.query(`BEGIN TRAN; EXEC sp_dropextendedproperty 'caption', ${place}, id; ROLLBACK`);
  await simulator.query("ALTER TABLE T1 DROP COLUMN name");
  assert.deepEqual(await rows("SELECT value FROM sys.extended_properties WHERE name = 'caption'"), [["Id"]]);
  await simulator.query(`EXEC sp_dropextendedproperty 'caption', ${place}, id`);
  assert.deepEqual(await rows("SELECT value FROM sys.extended_properties WHERE name = 'caption'"), []);
});

test("what is there already, is not there, or names nothing is refused with SQL Server's numbers", async () => {
  const id = "'schema', dbo, 'table', 'T1', 'column', id";
  assert.equal(await error(`EXEC sp_addextendedproperty 'caption', 'x', ${id}`), 15233);
  assert.equal(await error(`EXEC sp_updateextendedproperty 'other', 'x', ${id}`), 15217);
  assert.equal(await error(`EXEC sp_dropextendedproperty 'other', ${id}`), 15217);
  assert.equal(await error("EXEC sp_addextendedproperty 'a', 'x', 'schema', dbo, 'table', 'None'"), 15135);
  assert.equal(await error("EXEC sp_addextendedproperty 'a', 'x', 'schema', dbo, 'table'"), 15600);
});
