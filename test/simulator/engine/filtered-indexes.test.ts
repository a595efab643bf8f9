/** https://learn.microsoft.com/sql/relational-databases/indexes/create-filtered-indexes */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { start } from "./client.ts";

async function people() {
  const { sql } = await start();
  await sql.run("CREATE TABLE p (id int PRIMARY KEY, email varchar(20) NULL, active bit NOT NULL DEFAULT 1)");
  return sql;
}

describe("a unique filtered index", () => {
  test("lets rows that it is not of have the same key, and no two that it is of", async () => {
    const sql = await people();
    await sql.run("CREATE UNIQUE INDEX ux ON p (email) WHERE email IS NOT NULL");
    await sql.run("INSERT p (id, email) VALUES (1, NULL), (2, NULL), (3, 'a')");
    assert.equal(await sql.error("INSERT p (id, email) VALUES (4, 'a')"), 2601);
    assert.equal(await sql.error("UPDATE p SET email = 'a' WHERE id = 1"), 2601);
    assert.deepEqual(await sql.rows("SELECT id FROM p WHERE email IS NULL ORDER BY id"), [[1], [2]]);
    assert.deepEqual(await sql.rows("SELECT id FROM p WHERE email = 'a'"), [[3]]);
  });

  test("takes in a row that comes to satisfy its condition by another column", async () => {
    const sql = await people();
    await sql.run("CREATE UNIQUE INDEX ux ON p (email) WHERE active = 1");
    await sql.run("INSERT p VALUES (1, 'a', 1), (2, 'a', 0), (3, 'a', 0)");
    assert.equal(await sql.error("UPDATE p SET active = 1 WHERE id = 2"), 2601);
    await sql.run("UPDATE p SET active = 0 WHERE id = 1; UPDATE p SET active = 1 WHERE id = 2");
    assert.deepEqual(await sql.rows("SELECT id FROM p WHERE email = 'a' AND active = 1"), [[2]]);
    // All three have the key: the index does not make it unique.
    assert.deepEqual(await sql.rows("SELECT id FROM p WHERE email = 'a' ORDER BY email, id DESC"), [[3], [2], [1]]);
  });

  test("is not made where rows that it is of have the same key", async () => {
    const sql = await people();
    await sql.run("INSERT p VALUES (1, 'a', 0), (2, 'a', 0), (3, 'b', 1), (4, 'b', 1)");
    assert.equal(await sql.error("CREATE UNIQUE INDEX ux ON p (email) WHERE active = 1"), 1505);
    await sql.run("CREATE UNIQUE INDEX ux ON p (email) WHERE active = 0 AND email > 'a'");
  });

  test("may stand in CREATE TABLE, keeps its column from being dropped, and names columns that are there", async () => {
    const { sql } = await start();
    await sql.run("CREATE TABLE t (a int, b int NULL, c int, INDEX ix UNIQUE (a) INCLUDE (c) WHERE b > 0)");
    assert.equal(await sql.error("ALTER TABLE t DROP COLUMN b"), 5074);
    assert.equal(await sql.error("INSERT t VALUES (1, 0, 1), (1, 1, 1), (1, 2, 1)"), 2601);
    assert.equal(await sql.error("CREATE INDEX other ON t (a) WHERE missing = 1"), 207);
  });
});
