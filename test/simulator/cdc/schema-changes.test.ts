/**
 * DDL on tracked tables, in T-SQL: https://learn.microsoft.com/sql/relational-databases/track-changes/about-change-data-capture-sql-server
 * ("Handling changes to source tables")
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Value } from "../../../simulator/engine/values.ts";
import { SqlServerSimulator } from "../../../simulator/index.ts";

async function tracked(t: TestContext): Promise<(sql: string) => Promise<(readonly Value[])[]>> {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate" });
  t.after(() => simulator.close());
  const run = async (sql: string) => (await simulator.query(sql, "TestDB")).rows;
  await run("CREATE TABLE t (id int NOT NULL CONSTRAINT PK_t PRIMARY KEY, a int, b varchar(10))");
  await run("EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_table N'dbo', N't', @role_name = NULL");
  await run("INSERT INTO t VALUES (1, 10, 'x')");
  return run;
}

test("a second instance takes a new column over: both capture, each in its own shape", async (t) => {
  const run = await tracked(t);
  await run("ALTER TABLE t ADD c int");
  await run("EXEC sys.sp_cdc_enable_table N'dbo', N't', N't_v2', @role_name = NULL");
  await run("INSERT INTO t VALUES (2, 20, 'y', 200)");
  assert.deepEqual(await run("SELECT id, a, b FROM cdc.dbo_t_CT ORDER BY id"), [
    [1, 10, "x"],
    [2, 20, "y"],
  ]);
  assert.deepEqual(await run("SELECT id, c FROM cdc.t_v2_CT"), [[2, 200]]);
  const [[older, newer]] = (await run("SELECT sys.fn_cdc_get_min_lsn('dbo_t'), sys.fn_cdc_get_min_lsn('t_v2')")) as [
    [Buffer, Buffer],
  ];
  assert.ok(Buffer.compare(older, newer) < 0);
});

test("a dropped column turns NULL, a widened one is widened in the change table, and the history has both", async (t) => {
  const run = await tracked(t);
  await run("ALTER TABLE t DROP COLUMN a");
  await run("ALTER TABLE t ALTER COLUMN b varchar(20)");
  await run("INSERT INTO t VALUES (2, 'yyyyyyyyyyyyyyyy')");
  assert.deepEqual(await run("SELECT id, a, b FROM cdc.dbo_t_CT ORDER BY id"), [
    [1, 10, "x"],
    [2, null, "yyyyyyyyyyyyyyyy"],
  ]);
  const widths = "SELECT COL_LENGTH('cdc.dbo_t_CT', 'b')";
  assert.deepEqual(await run(widths), [[20]]);
  const history = await run("SELECT ddl_command, required_column_update FROM cdc.ddl_history ORDER BY ddl_lsn");
  assert.deepEqual(
    history.map((row) => row[1]),
    [false, true],
  );
  assert.match(history[0]![0] as string, /DROP COLUMN/);
});

test("a narrowed column that does not fit the change table stops capture, and dm_cdc_errors says why", async (t) => {
  const run = await tracked(t);
  await run("UPDATE t SET b = 'longer'");
  await run("DELETE FROM t");
  await run("ALTER TABLE t ALTER COLUMN b varchar(2)");
  await run("INSERT INTO t VALUES (2, 20, 'y')");
  const errors = await run("SELECT DISTINCT error_number FROM sys.dm_cdc_errors");
  assert.deepEqual(errors, [[2628]]);
  assert.deepEqual(await run("SELECT id FROM cdc.dbo_t_CT WHERE id = 2"), []);
});

for (const [number, sql] of [
  [4711, "TRUNCATE TABLE t"],
  [22979, "ALTER TABLE t DROP CONSTRAINT PK_t"],
] as const)
  test(`error ${number}: ${sql} on a tracked table`, async (t) => {
    const run = await tracked(t);
    await assert.rejects(run(sql), { number });
    assert.deepEqual(await run("SELECT COUNT(*) FROM t"), [[1]]);
    assert.deepEqual(await run("SELECT COUNT(*) FROM sys.key_constraints WHERE name = 'PK_t'"), [[1]]);
  });

test("dropping the table drops its instances, unless it is rolled back", async (t) => {
  const run = await tracked(t);
  await run("BEGIN TRAN; DROP TABLE t; ROLLBACK");
  assert.deepEqual(await run("SELECT id FROM cdc.dbo_t_CT"), [[1]]);
  await run("INSERT INTO t VALUES (2, 20, 'y')");
  assert.deepEqual(await run("SELECT COUNT(*) FROM cdc.dbo_t_CT"), [[2]]);
  await run("DROP TABLE t");
  await assert.rejects(run("SELECT id FROM cdc.dbo_t_CT"), { number: 208 });
  assert.deepEqual(await run("SELECT COUNT(*) FROM cdc.change_tables"), [[0]]);
});

test("after CDC was disabled its objects are unknown", async (t) => {
  const run = await tracked(t);
  await run("EXEC sys.sp_cdc_disable_db");
  for (const sql of [
    "SELECT * FROM cdc.dbo_t_CT",
    "SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_t(0x00, 0x00, 'all')",
    "SELECT sys.fn_cdc_get_max_lsn()",
  ])
    await assert.rejects(run(sql), { number: 208 });
});

test("savepoints, a key shift and several tables in one transaction come as one start LSN", async (t) => {
  const run = await tracked(t);
  await run(
    "CREATE TABLE u (id int NOT NULL PRIMARY KEY); EXEC sys.sp_cdc_enable_table N'dbo', N'u', @role_name = NULL",
  );
  await run(`
    BEGIN TRAN;
    INSERT INTO t VALUES (2, 20, 'y'), (3, 30, 'z');
    INSERT INTO u VALUES (1);
    SAVE TRAN s;
    DELETE FROM t;
    ROLLBACK TRAN s;
    UPDATE t SET id = id + 1;
    COMMIT`);
  assert.deepEqual(
    await run(`SELECT [__$operation], id, a, [__$command_id] FROM cdc.dbo_t_CT
      WHERE [__$start_lsn] = sys.fn_cdc_get_max_lsn()
      ORDER BY [__$command_id], [__$seqval], [__$operation]`),
    [
      [2, 2, 20, 1],
      [2, 3, 30, 2],
      [1, 1, 10, 4],
      [3, 2, 20, 5],
      [4, 2, 10, 5],
      [3, 3, 30, 5],
      [4, 3, 20, 5],
      [2, 4, 30, 6],
    ],
  );
  assert.deepEqual(await run("SELECT COUNT(*) FROM cdc.dbo_u_CT WHERE [__$start_lsn] = sys.fn_cdc_get_max_lsn()"), [
    [1],
  ]);
});
