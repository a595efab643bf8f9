/**
 * Who may read what was captured: db_owner, or members of the gating role with SELECT on all captured columns.
 * https://learn.microsoft.com/sql/relational-databases/system-functions/cdc-fn-cdc-get-all-changes-capture-instance-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-get-captured-columns-transact-sql
 */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Client } from "../engine/client.ts";
import { sqlFixture } from "./sql-fixture.ts";

const ALL = "SELECT id FROM cdc.fn_cdc_get_all_changes_people(@from, @to, N'all')";
const NET = "SELECT id FROM cdc.fn_cdc_get_net_changes_people(@from, @to, N'all')";

let owner: Client;
let reader: Client;
let range: string;

beforeEach(async (t) => {
  const { sql, another, cdc } = await sqlFixture();
  owner = sql;
  await sql.run(`CREATE TABLE dbo.people (id int PRIMARY KEY, name nvarchar(20), salary int);
    CREATE LOGIN reader WITH PASSWORD = N''; CREATE USER reader FOR LOGIN reader;
    EXEC sys.sp_cdc_enable_db;
    EXEC sys.sp_cdc_enable_table N'dbo', N'people', @capture_instance = N'people', @role_name = N'readers',
      @captured_column_list = N'id, name';
    INSERT people VALUES (1, N'Ann', 1000)`);
  const [[from, to]] = (await sql.rows("SELECT sys.fn_cdc_get_min_lsn(N'people'), sys.fn_cdc_get_max_lsn()")) as [
    string[],
  ];
  range = `DECLARE @from binary(10) = ${from}, @to binary(10) = ${to};`;
  reader = await another("reader");
  (t as { after(done: () => void): void }).after(() => cdc.stop());
});

test("outside the gating role the function itself is denied", async () => {
  await owner.run("GRANT SELECT ON dbo.people TO reader");
  for (const [statement, name] of [
    [ALL, "fn_cdc_get_all_changes_people"],
    [NET, "fn_cdc_get_net_changes_people"],
  ] as const) {
    const [error] = (await reader.attempt(range + statement)).errors;
    assert.equal(
      error!.message,
      `The SELECT permission was denied on the object '${name}', database 'TestDB', schema 'cdc'.`,
    );
  }
});

test("without SELECT on a captured column a placeholder is denied", async () => {
  await owner.run("ALTER ROLE readers ADD MEMBER reader; GRANT SELECT ON dbo.people (id) TO reader");
  for (const [statement, kind] of [
    [ALL, "all"],
    [NET, "net"],
  ] as const) {
    const [error] = (await reader.attempt(range + statement)).errors;
    assert.equal(
      error!.message,
      `The SELECT permission was denied on the object 'fn_cdc_get_${kind}_changes_...', database 'TestDB', schema 'cdc'.`,
    );
  }
});

test("a member who may SELECT the captured columns reads, though no others, and not the change table itself", async () => {
  await owner.run("ALTER ROLE readers ADD MEMBER reader; GRANT SELECT ON dbo.people (id, name) TO reader");
  assert.deepEqual(await reader.rows(range + ALL), [[1]]);
  assert.deepEqual(await reader.rows(range + NET), [[1]]);
  assert.equal(await reader.error("SELECT id FROM cdc.people_CT"), 229);
  assert.equal((await reader.rows("EXEC sys.sp_cdc_help_change_data_capture")).length, 1);
  assert.equal((await reader.rows("EXEC sys.sp_cdc_get_captured_columns N'people'")).length, 2);
  await owner.run("DENY SELECT ON dbo.people (name) TO reader");
  assert.equal(await reader.error(range + ALL), 229);
});

test("for those without access the instance is not there: minimum 0, no ordinals, error 22981, no rows of help", async () => {
  await owner.run("GRANT SELECT ON dbo.people TO reader");
  assert.equal(await reader.value("sys.fn_cdc_get_min_lsn(N'people')"), `0x${"00".repeat(10)}`);
  assert.equal(await reader.value("sys.fn_cdc_get_column_ordinal(N'people', N'id')"), null);
  assert.equal(await reader.value("sys.fn_cdc_has_column_changed(N'people', N'id', 0x01)"), null);
  assert.equal(await reader.error("EXEC sys.sp_cdc_get_captured_columns N'people'"), 22981);
  assert.equal(await reader.error("EXEC sys.sp_cdc_get_ddl_history N'people'"), 22981);
  assert.equal((await reader.rows("EXEC sys.sp_cdc_help_change_data_capture")).length, 0);
});

test("db_owner reads without the role and without a grant", async () => {
  await owner.run("ALTER ROLE db_owner ADD MEMBER reader");
  assert.deepEqual(await reader.rows(range + ALL), [[1]]);
  assert.deepEqual(await reader.rows("SELECT id FROM cdc.people_CT"), [[1]]);
  assert.equal((await reader.rows("EXEC sys.sp_cdc_help_jobs")).length, 2);
});
