/**
 * Changing rows through what stands for them: common table expressions, derived tables, views.
 * https://learn.microsoft.com/sql/t-sql/statements/create-view-transact-sql#updatable-views
 */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { type Client, start } from "./client.ts";

let sql: Client;
beforeEach(async () => {
  ({ sql } = await start());
  await sql.run(`CREATE TABLE jobs (id int PRIMARY KEY, kind varchar(10) NOT NULL, done bit NOT NULL DEFAULT 0, tries int NOT NULL DEFAULT 0);
    CREATE TABLE kinds (kind varchar(10) PRIMARY KEY, label nvarchar(20));
    INSERT jobs (id, kind) VALUES (1, 'mail'), (2, 'mail'), (3, 'sms'), (4, 'sms'), (5, 'fax');
    INSERT kinds VALUES ('mail', N'Mail'), ('sms', N'Text message')`);
});

const left = () => sql.rows("SELECT id FROM jobs ORDER BY id").then((rows) => rows.flat());

describe("changing rows through a query", () => {
  test("a worker takes the first jobs of a queue", async () => {
    const taken =
      await sql.run(`WITH next AS (SELECT TOP (2) * FROM jobs WITH (ROWLOCK, UPDLOCK, READPAST) WHERE done = 0 ORDER BY id DESC)
      UPDATE next SET done = 1, tries += 1 OUTPUT inserted.id, deleted.done, inserted.done, inserted.tries`);
    assert.deepEqual(taken.rows, [
      [5, false, true, 1],
      [4, false, true, 1],
    ]);
    assert.deepEqual(taken.counts, [2]);
    assert.deepEqual(await sql.rows("SELECT id FROM jobs WHERE done = 1 ORDER BY id"), [[4], [5]]);
  });

  test("duplicates go by their row number", async () => {
    await sql.run(
      "WITH numbered AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY kind ORDER BY id) AS n FROM jobs) DELETE FROM numbered WHERE n > 1",
    );
    assert.deepEqual(await left(), [1, 3, 5]);
  });

  test("rows are renumbered from what a window function says", async () => {
    await sql.run(
      "WITH numbered AS (SELECT tries, ROW_NUMBER() OVER (ORDER BY kind, id) AS n FROM jobs) UPDATE numbered SET tries = n * 10",
    );
    assert.deepEqual(await sql.rows("SELECT id, tries FROM jobs ORDER BY id"), [
      [1, 20],
      [2, 30],
      [3, 40],
      [4, 50],
      [5, 10],
    ]);
  });

  test("the oldest go in a batch: DELETE of a derived table, of a TOP, of a percentage", async () => {
    await sql.run("DELETE d FROM (SELECT TOP (1) * FROM jobs ORDER BY id) AS d");
    await sql.run("UPDATE d SET kind = 'x' FROM (SELECT TOP (1) id, kind FROM jobs ORDER BY id DESC) AS d");
    assert.deepEqual(await sql.rows("SELECT id, kind FROM jobs WHERE id IN (1, 5)"), [[5, "x"]]);
    const halved = await sql.run("DELETE TOP (50) PERCENT FROM jobs");
    assert.deepEqual(halved.counts, [2]);
  });

  test("a join's columns belong to the table that they come from", async () => {
    await sql.run("CREATE VIEW labelled AS SELECT j.id, j.tries, k.label FROM jobs j JOIN kinds k ON k.kind = j.kind");
    await sql.run("UPDATE labelled SET tries = 7 WHERE label = N'Mail'");
    assert.deepEqual(await sql.rows("SELECT id FROM jobs WHERE tries = 7 ORDER BY id"), [[1], [2]]);
    await sql.run("UPDATE labelled SET label = N'SMS' WHERE id = 3");
    assert.deepEqual(await sql.rows("SELECT label FROM kinds ORDER BY kind"), [["Mail"], ["SMS"]]);
    assert.equal(await sql.error("UPDATE labelled SET label = N'x', tries = 1"), 4405);
    assert.equal(await sql.error("DELETE FROM labelled"), 4405);
  });

  test("a view is inserted into, updated, merged into and deleted from by its own names", async () => {
    await sql.run("CREATE VIEW mails (number, sort, attempts) AS SELECT id, kind, tries FROM jobs WHERE kind = 'mail'");
    await sql.run("INSERT mails (number, sort) VALUES (10, 'mail')");
    await sql.run("INSERT mails VALUES (11, 'mail', 3)");
    await sql.run("UPDATE mails SET attempts = attempts + 1 WHERE number = 11");
    const merged = await sql.run(`MERGE mails AS t USING (VALUES (11, 9), (12, 1)) AS s (n, a) ON t.number = s.n
      WHEN MATCHED THEN UPDATE SET attempts = s.a
      WHEN NOT MATCHED THEN INSERT (number, sort, attempts) VALUES (s.n, 'mail', s.a)
      WHEN NOT MATCHED BY SOURCE AND t.number < 10 THEN DELETE
      OUTPUT $action, inserted.number, deleted.attempts;`);
    assert.deepEqual(merged.rows, [
      ["UPDATE", 11, 4],
      ["INSERT", 12, null],
      ["DELETE", null, 0],
      ["DELETE", null, 0],
    ]);
    await sql.run("DELETE mails WHERE number = 10");
    assert.deepEqual(await sql.rows("SELECT id, tries FROM jobs ORDER BY id"), [
      [3, 0],
      [4, 0],
      [5, 0],
      [11, 9],
      [12, 1],
    ]);
  });

  test("a view over a view reaches its table; WITH CHECK OPTION keeps rows in sight", async () => {
    await sql.run("CREATE VIEW open_jobs AS SELECT id, kind, done FROM jobs WHERE done = 0");
    await sql.run("CREATE VIEW open_faxes AS SELECT id, done FROM open_jobs WHERE kind = 'fax' WITH CHECK OPTION");
    assert.equal(await sql.error("UPDATE open_faxes SET done = 1"), 550);
    assert.equal(await sql.error("INSERT open_faxes (id) VALUES (9)"), 515);
    await sql.run("UPDATE open_faxes SET id = 50");
    assert.deepEqual(await left(), [1, 2, 3, 4, 50]);
    await sql.run("UPDATE open_jobs SET done = 1 WHERE id = 50");
    assert.deepEqual(await sql.rows("SELECT id FROM open_faxes"), []);
  });

  test("what cannot be written through says why", async () => {
    assert.equal(await sql.error("WITH c AS (SELECT id + 0 AS n FROM jobs) UPDATE c SET n = 1"), 4406);
    assert.equal(await sql.error("WITH c AS (SELECT kind, COUNT(*) AS n FROM jobs GROUP BY kind) DELETE FROM c"), 4403);
    assert.equal(await sql.error("WITH c AS (SELECT DISTINCT kind FROM jobs) UPDATE c SET kind = 'x'"), 4403);
    assert.equal(await sql.error("WITH c AS (SELECT id FROM jobs) UPDATE c SET nothing = 1"), 207);
    assert.equal(await sql.error("UPDATE sys.objects SET name = 'x'"), 208);
    assert.deepEqual(await left(), [1, 2, 3, 4, 5]);
  });
});

// https://learn.microsoft.com/sql/t-sql/statements/create-view-transact-sql: "Views or tables that participate in a view created with
// the SCHEMABINDING clause can't be dropped, unless that view is dropped or changed so that it no longer has schema binding."
test("a view WITH SCHEMABINDING keeps what it is made of from being dropped", async () => {
  const { sql } = await start();
  await sql.run("CREATE TABLE base (id int); CREATE TABLE loose (id int)");
  await sql.run("CREATE VIEW dbo.inner_ WITH SCHEMABINDING AS SELECT id FROM dbo.base");
  await sql.run("CREATE VIEW dbo.outer_ WITH SCHEMABINDING AS SELECT (SELECT MAX(id) FROM dbo.inner_) AS id");
  await sql.run("CREATE VIEW dbo.free AS SELECT id FROM dbo.loose");
  // Indexed views are not supported, and say so.
  assert.equal(await sql.error("CREATE UNIQUE CLUSTERED INDEX i ON dbo.inner_ (id)"), 40510);
  assert.equal(await sql.error("DROP TABLE dbo.base"), 3729);
  assert.equal(await sql.error("DROP VIEW inner_"), 3729);
  await sql.run("DROP TABLE loose");
  await sql.run("ALTER VIEW dbo.outer_ AS SELECT id FROM dbo.inner_");
  await sql.run("DROP VIEW inner_; DROP TABLE base");
});
