/** A server that was upgraded: sys.sp_cdc_vupgrade, after https://support.microsoft.com/help/3030352 had brought __$command_id. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sqlFixture } from "./sql-fixture.ts";

test("change tables of an older server get their __$command_id, which stays NULL; those made later have it in full", async () => {
  const { sql, cdc, another } = await sqlFixture();
  cdc.commandId = "missing";
  await sql.run(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);
    EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_table N'dbo', N'a', @role_name = NULL`);
  await sql.run("INSERT a VALUES (1)");
  assert.equal(await sql.error("SELECT __$command_id FROM cdc.dbo_a_CT"), 207);

  await sql.run("CREATE LOGIN reader WITH PASSWORD = N''; CREATE USER reader FOR LOGIN reader");
  assert.equal(await (await another("reader")).error("EXEC sys.sp_cdc_vupgrade"), 22904);
  await sql.run("EXEC sys.sp_cdc_vupgrade; EXEC sys.sp_cdc_enable_table N'dbo', N'b', @role_name = NULL");
  await sql.run("INSERT a VALUES (2); INSERT b VALUES (2)");
  assert.deepEqual(await sql.rows("SELECT id, __$command_id FROM cdc.dbo_a_CT"), [
    [1, null],
    [2, null],
  ]);
  assert.deepEqual(await sql.rows("SELECT id, __$command_id FROM cdc.dbo_b_CT"), [[2, 1]]);
  const range = "sys.fn_cdc_get_min_lsn(N'dbo_a'), sys.fn_cdc_get_max_lsn()";
  assert.deepEqual(await sql.rows(`SELECT id FROM cdc.fn_cdc_get_all_changes_dbo_a(${range}, N'all')`), [[1], [2]]);
  cdc.stop();
});
