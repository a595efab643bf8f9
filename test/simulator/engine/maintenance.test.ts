/** Statements that administer tables, and what lives as long as its session. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type Client, start } from "./client.ts";

let sql: Client;
let another: () => Promise<Client>;
beforeEach(async () => {
  ({ sql, another } = await start());
  await sql.run(
    "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX ix ON t (n); INSERT t VALUES (1, 1), (2, 2), (3, 3)",
  );
});

// https://learn.microsoft.com/sql/t-sql/statements/merge-transact-sql#top--expression---percent-
test("MERGE TOP carries out as many actions", async () => {
  const { counts } = await sql.run(
    "MERGE TOP (2) t USING (VALUES (1), (2), (3)) s (id) ON s.id = t.id WHEN MATCHED AND n > 1 THEN UPDATE SET n = 0 WHEN MATCHED THEN DELETE;",
  );
  assert.deepEqual(counts, [2]);
  assert.deepEqual(await sql.rows("SELECT id, n FROM t ORDER BY id"), [
    [2, 0],
    [3, 3],
  ]);
});

test("ALTER INDEX rebuilds and reorganizes what is there", async () => {
  await sql.run(
    "ALTER INDEX ix ON t REBUILD WITH (ONLINE = ON); ALTER INDEX ALL ON dbo.t REORGANIZE; ALTER INDEX ix ON t SET (ALLOW_ROW_LOCKS = ON) SELECT 1",
  );
  assert.equal(await sql.error("ALTER INDEX nosuch ON t REBUILD"), 2727);
  assert.equal(await sql.error("ALTER INDEX ix ON t DISABLE"), 40510);
});

test("TRUNCATE of partitions is refused for a table that has none", async () => {
  const { errors } = await sql.attempt("TRUNCATE TABLE t WITH (PARTITIONS (1, 3 TO 5))");
  assert.equal(errors[0]!.number, 7729);
  assert.match(errors[0]!.message, /table 't' is not partitioned/);
});

test("a temporary procedure is its session's own", async () => {
  await sql.run("CREATE PROCEDURE #p @x int AS SELECT @x * 2");
  assert.deepEqual(await sql.rows("EXEC #p 4"), [[8]]);
  assert.equal(await (await another()).error("EXEC #p 4"), 2812);
  assert.equal(await sql.error("CREATE PROCEDURE #p AS SELECT 1"), 2714);
  await sql.run("DROP PROCEDURE #p");
  assert.equal(await sql.error("EXEC #p 4"), 2812);
});

test("a column that a CHECK constraint or a computed column is made of keeps its name", async () => {
  await sql.run("CREATE TABLE d (a int CHECK (a > 0), b int, c AS b * 2, e int)");
  assert.equal(await sql.error("EXEC sp_rename 'd.a', 'x', 'COLUMN'"), 15336);
  assert.equal(await sql.error("EXEC sp_rename 'dbo.d.b', 'x', 'COLUMN'"), 15336);
  await sql.run("EXEC sp_rename 'd.e', 'x', 'COLUMN'; INSERT d (a, b, x) VALUES (1, 2, 3)");
});
