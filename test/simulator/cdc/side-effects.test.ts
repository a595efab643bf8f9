/** What triggers and cascading foreign keys change is captured like everything else, in the transaction of the statement. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { installCatalog } from "../../../simulator/catalog/install.ts";
import { installCdc } from "../../../simulator/cdc/install.ts";
import { Engine } from "../../../simulator/engine/engine.ts";
import { type Client, open } from "../engine/client.ts";

let sql: Client;
beforeEach(async () => {
  const engine = new Engine({ seed: 1 });
  installCatalog(engine);
  installCdc(engine, { captureInterval: "immediate" });
  engine.createDatabase("Test");
  sql = await open(engine, "Test");
  await sql.run("EXEC sys.sp_cdc_enable_db");
});

async function track(table: string): Promise<void> {
  await sql.run(`EXEC sys.sp_cdc_enable_table N'dbo', N'${table}', @role_name = NULL`);
}

test("a trigger's changes follow those of its statement, in one transaction, with command ids of their own", async () => {
  await sql.run("CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE log (id int PRIMARY KEY, what varchar(10))");
  await track("t");
  await track("log");
  await sql.run(
    "CREATE TRIGGER tr ON t AFTER INSERT, DELETE AS INSERT log SELECT id, 'new' FROM inserted INSERT log SELECT -id, 'old' FROM deleted",
  );
  await sql.run("INSERT t VALUES (1, 10), (2, 20)");
  await sql.run("DELETE t WHERE id = 2");
  const rows = await sql.rows(`
    SELECT DENSE_RANK() OVER (ORDER BY [__$start_lsn]), of_table, id, [__$operation] FROM (
      SELECT [__$start_lsn], [__$seqval], [__$operation], 't' AS of_table, id FROM cdc.dbo_t_CT
      UNION ALL SELECT [__$start_lsn], [__$seqval], [__$operation], 'log', id FROM cdc.dbo_log_CT) c
    ORDER BY [__$start_lsn], [__$seqval]`);
  assert.deepEqual(
    rows.map(([transaction, ...rest]) => [Number(transaction), ...rest]),
    [
      [1, "t", 1, 2],
      [1, "t", 2, 2],
      [1, "log", 1, 2],
      [1, "log", 2, 2],
      [2, "t", 2, 1],
      [2, "log", -2, 2],
    ],
  );
});

test("what a trigger rolls back leaves no change behind", async () => {
  await sql.run("CREATE TABLE t (id int PRIMARY KEY)");
  await track("t");
  await sql.run("CREATE TRIGGER tr ON t AFTER INSERT AS ROLLBACK");
  assert.equal(await sql.error("INSERT t VALUES (1)"), 3609);
  await sql.run("DROP TRIGGER tr");
  await sql.run("CREATE TRIGGER tr ON t INSTEAD OF INSERT AS RETURN");
  await sql.run("INSERT t VALUES (2); DROP TRIGGER tr; INSERT t VALUES (3)");
  assert.deepEqual(await sql.rows("SELECT id FROM cdc.dbo_t_CT"), [[3]]);
});

test("a cascading delete is captured for the children, behind their parent, in its transaction", async () => {
  await sql.run(
    "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int NULL REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)",
  );
  await sql.run("INSERT p VALUES (1), (2); INSERT c VALUES (10, 1), (11, 1), (20, 2)");
  await track("p");
  await track("c");
  await sql.run("DELETE p WHERE id = 1");
  await sql.run("UPDATE p SET id = 3 WHERE id = 2");
  const rows = await sql.rows(`
    SELECT DENSE_RANK() OVER (ORDER BY [__$start_lsn]), of_table, id, p, [__$operation] FROM (
      SELECT [__$start_lsn], [__$seqval], [__$operation], 'p' AS of_table, id, NULL AS p FROM cdc.dbo_p_CT
      UNION ALL SELECT [__$start_lsn], [__$seqval], [__$operation], 'c', id, p FROM cdc.dbo_c_CT) x
    ORDER BY [__$start_lsn], [__$seqval], [__$operation]`);
  assert.deepEqual(
    rows.map(([transaction, ...rest]) => [Number(transaction), ...rest]),
    [
      [1, "p", 1, null, 1],
      [1, "c", 10, 1, 1],
      [1, "c", 11, 1, 1],
      [2, "p", 2, null, 1],
      [2, "p", 3, null, 2],
      [2, "c", 20, 2, 3],
      [2, "c", 20, 3, 4],
    ],
  );
});
