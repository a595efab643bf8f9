/** https://learn.microsoft.com/sql/t-sql/language-elements/reconfigure-transact-sql */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sqlFixture } from "../cdc/sql-fixture.ts";

test("what sp_configure chooses is in use after RECONFIGURE", async () => {
  const { sql, another } = await sqlFixture();
  const values = () => sql.rows("SELECT value, value_in_use FROM sys.configurations WHERE name = N'clr enabled'");
  const { infos } = await sql.run("EXEC sp_configure 'clr enabled', 1");
  assert.deepEqual(
    infos.map(({ message }) => message),
    ["Configuration option 'clr enabled' changed from 0 to 1. Run the RECONFIGURE statement to install."],
  );
  assert.deepEqual(await values(), [[1, 0]]);
  assert.deepEqual(await sql.rows("EXEC sp_configure 'clr enabled'"), [["clr enabled", 0, 1, 1, 0]]);
  await sql.run("RECONFIGURE");
  assert.deepEqual(await values(), [[1, 1]]);
  await sql.run("EXEC sp_configure 'clr enabled', 0; RECONFIGURE WITH OVERRIDE;");
  assert.deepEqual(await values(), [[0, 0]]);

  assert.equal(await sql.error("BEGIN TRAN; RECONFIGURE"), 574);
  await sql.run("ROLLBACK; CREATE LOGIN reader WITH PASSWORD = N''; CREATE USER reader FOR LOGIN reader");
  assert.equal(await (await another("reader")).error("RECONFIGURE"), 5812);
});
