/**
 * Intervals of generated wrapper functions, and what generating them refuses.
 * https://learn.microsoft.com/sql/relational-databases/track-changes/work-with-change-data-sql-server (datetime wrapper functions)
 */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Client } from "../engine/client.ts";
import { people, type SqlFixture } from "./sql-fixture.ts";

let f: SqlFixture;
let sql: Client;
let now: number;

/** Three changes at minutes 1, 2 and 3 after noon. */
beforeEach(async (t) => {
  now = Date.parse("2026-03-01T12:00:00Z");
  f = await people({ clock: () => new Date(now), timeZone: "UTC" });
  sql = f.sql;
  for (const statement of [
    "INSERT people VALUES (1, N'Ann', 30)",
    "UPDATE people SET age = 31 WHERE id = 1",
    "DELETE people WHERE id = 1",
  ]) {
    now += 60_000;
    await sql.run(statement);
  }
  (t as { after(done: () => void): void }).after(() => f.cdc.stop());
});

test("intervals that follow one another lose and repeat nothing, whichever end is open", async () => {
  for (const closed of [1, 0]) {
    await sql.run(`DECLARE @t TABLE (name sysname, script nvarchar(max));
      INSERT @t EXEC sys.sp_cdc_generate_wrapper_function N'dbo_people', @closed_high_end_point = ${closed}, @column_list = N'age';
      DECLARE @script nvarchar(max) = (SELECT script FROM @t WHERE name = N'fn_all_changes_dbo_people');
      DROP FUNCTION IF EXISTS fn_all_changes_dbo_people;
      EXEC (@script)`);
    const between = (from: string, to: string) =>
      sql.rows(`SELECT age, __CDC_OPERATION FROM fn_all_changes_dbo_people(${from}, ${to}, N'all')`);
    const first = await between("'2026-03-01T12:00:30'", "'2026-03-01T12:02:00'");
    const second = await between("'2026-03-01T12:02:00'", "NULL");
    assert.equal(first.length, closed === 1 ? 2 : 1);
    assert.deepEqual(await between("'2026-03-01T12:02:10'", "'2026-03-01T12:02:20'"), [], "nothing happened between");
    assert.deepEqual(
      [...first, ...second],
      [
        [30, "I"],
        [31, "UN"],
        [31, "D"],
      ],
    );
  }
});

for (const [number, parameters, why] of [
  [22920, "N'nothing'", "an instance that there is not"],
  [22918, "N'dbo_people', @column_list = N'id, wage'", "a column that is not captured"],
  [22919, "N'dbo_people', @update_flag_list = N'wage'", "a flag of a column that is not captured"],
  [22921, "@column_list = N'id'", "columns for all instances at once"],
] as const)
  test(`error ${number}: ${why}`, async () => {
    assert.equal(await sql.error(`EXEC sys.sp_cdc_generate_wrapper_function ${parameters}`), number);
  });
