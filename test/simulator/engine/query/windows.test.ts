/** Window functions, by the examples of their pages. https://learn.microsoft.com/sql/t-sql/functions/analytic-functions-transact-sql */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Client, start } from "../client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
  // The rows of the page on CUME_DIST: https://learn.microsoft.com/sql/t-sql/functions/cume-dist-transact-sql
  await sql.run(`CREATE TABLE pay (Department nvarchar(30), LastName nvarchar(20), Rate money);
    INSERT pay VALUES (N'Document Control', N'Arifin', 17.7885), (N'Document Control', N'Norred', 16.8269), (N'Document Control', N'Kharatishvili', 16.8269),
      (N'Document Control', N'Chai', 10.25), (N'Document Control', N'Berge', 10.25),
      (N'Information Services', N'Trenary', 50.4808), (N'Information Services', N'Conroy', 39.6635), (N'Information Services', N'Ajenstat', 38.4615),
      (N'Information Services', N'Wilson', 38.4615), (N'Information Services', N'Sharma', 32.4519), (N'Information Services', N'Connelly', 32.4519),
      (N'Information Services', N'Berg', 27.4038), (N'Information Services', N'Meyyappan', 27.4038), (N'Information Services', N'Bacon', 27.4038), (N'Information Services', N'Bueno', 27.4038)`);
});

describe("distributions", () => {
  test("CUME_DIST and PERCENT_RANK as their pages print them", async () => {
    const { sets } = await sql.run(`SELECT Department, LastName, Rate,
        CUME_DIST() OVER (PARTITION BY Department ORDER BY Rate) AS CumeDist,
        PERCENT_RANK() OVER (PARTITION BY Department ORDER BY Rate) AS PctRank
      FROM pay ORDER BY Department, Rate DESC, LastName`);
    assert.deepEqual(
      sets[0]!.columns.slice(3).map(({ type }) => type.id),
      ["float", "float"],
    );
    assert.deepEqual(
      sets[0]!.rows.map(([, name, , dist, rank]) => [name, dist, rank]),
      [
        ["Arifin", 1, 1],
        ["Kharatishvili", 0.8, 0.5],
        ["Norred", 0.8, 0.5],
        ["Berge", 0.4, 0],
        ["Chai", 0.4, 0],
        ["Trenary", 1, 1],
        ["Conroy", 0.9, 0.8888888888888888],
        ["Ajenstat", 0.8, 0.6666666666666666],
        ["Wilson", 0.8, 0.6666666666666666],
        ["Connelly", 0.6, 0.4444444444444444],
        ["Sharma", 0.6, 0.4444444444444444],
        ["Bacon", 0.4, 0],
        ["Berg", 0.4, 0],
        ["Bueno", 0.4, 0],
        ["Meyyappan", 0.4, 0],
      ],
    );
  });

  test("PERCENTILE_CONT interpolates, PERCENTILE_DISC takes a value; NULLs do not count", async () => {
    assert.deepEqual(
      await sql.rows(`SELECT DISTINCT Department, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY Rate) OVER (PARTITION BY Department) AS MedianCont,
          PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY Rate) OVER (PARTITION BY Department) AS MedianDisc FROM pay ORDER BY 1`),
      [
        ["Document Control", 16.8269, "16.8269"],
        ["Information Services", 32.4519, "32.4519"],
      ],
    );
    assert.deepEqual(
      await sql.rows(
        `SELECT DISTINCT PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY x) OVER (), PERCENTILE_DISC(0.25) WITHIN GROUP (ORDER BY x DESC) OVER () FROM (VALUES (1), (2), (NULL), (4)) v (x)`,
      ),
      [[1.5, 4]],
    );
    assert.equal(await sql.error("SELECT PERCENTILE_CONT(0.5) OVER () FROM pay"), 10754);
    assert.equal(await sql.error("SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY Rate) FROM pay"), 10753);
  });
});

describe("values of other rows", () => {
  test("IGNORE NULLS passes over them", async () => {
    assert.deepEqual(
      await sql.rows(`SELECT i, LAST_VALUE(x) IGNORE NULLS OVER (ORDER BY i), FIRST_VALUE(x) RESPECT NULLS OVER (ORDER BY i),
          LAG(x) IGNORE NULLS OVER (ORDER BY i), LEAD(x, 2, -1) IGNORE NULLS OVER (ORDER BY i)
        FROM (VALUES (1, NULL), (2, 5), (3, NULL), (4, 7), (5, NULL)) v (i, x) ORDER BY i`),
      [
        [1, null, null, null, 7],
        [2, 5, null, null, -1],
        [3, 5, null, 5, -1],
        [4, 7, null, 5, -1],
        [5, 7, null, 7, -1],
      ],
    );
    assert.equal(
      await sql.error("SELECT LAG(x) OVER (ORDER BY x ROWS UNBOUNDED PRECEDING) FROM (VALUES (1)) v (x)"),
      10752,
    );
    assert.equal(await sql.error("SELECT ROW_NUMBER() FROM pay"), 10753);
  });
});

describe("the WINDOW clause", () => {
  // https://learn.microsoft.com/sql/t-sql/queries/select-window-transact-sql
  test("a window is named once, and added to", async () => {
    assert.deepEqual(
      await sql.rows(`SELECT x, SUM(x) OVER win AS total, ROW_NUMBER() OVER (win ORDER BY x DESC) AS n, SUM(x) OVER (w2 ROWS 1 PRECEDING) AS two
        FROM (VALUES (1, 1), (1, 2), (2, 3), (1, 4)) v (g, x)
        WINDOW win AS (PARTITION BY g), w2 AS (win ORDER BY x)
        ORDER BY g, x`),
      [
        [1, 7, 3n, 1],
        [2, 7, 2n, 3],
        [4, 7, 1n, 6],
        [3, 3, 1n, 3],
      ],
    );
    assert.equal(await sql.error("SELECT SUM(x) OVER nothing FROM (VALUES (1)) v (x)"), 5362);
    assert.equal(
      await sql.error("SELECT SUM(x) OVER (w ORDER BY x) FROM (VALUES (1)) v (x) WINDOW w AS (ORDER BY x)"),
      4123,
    );
    assert.equal(await sql.error("SELECT SUM(x) OVER a FROM (VALUES (1)) v (x) WINDOW a AS (b), b AS (a)"), 5365);
    assert.deepEqual(await sql.rows("SELECT window.x FROM (VALUES (1)) window (x)"), [[1]]);
  });
});

// https://learn.microsoft.com/sql/t-sql/queries/select-over-clause-transact-sql: "order_by_expression can't be an integer to represent
// column names or aliases."
test("a window has no order by an integer or another constant, but by a subquery of one", async () => {
  assert.equal(await sql.error("SELECT ROW_NUMBER() OVER (ORDER BY 1)"), 5308);
  assert.equal(await sql.error("SELECT ROW_NUMBER() OVER (ORDER BY N'a')"), 5309);
  assert.deepEqual(
    await sql.rows("SELECT ROW_NUMBER() OVER (ORDER BY (SELECT 1)), RANK() OVER (ORDER BY (SELECT NULL))"),
    [[1n, 1n]],
  );
});
