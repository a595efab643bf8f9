/** ROLLUP, CUBE, GROUPING SETS: https://learn.microsoft.com/sql/t-sql/queries/select-group-by-transact-sql */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Client, start } from "../client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
  await sql.run(`CREATE TABLE Sales (Country varchar(50) NOT NULL, Region varchar(50) NOT NULL, Sales int);
    INSERT INTO sales VALUES (N'Canada', N'Alberta', 100);
    INSERT INTO sales VALUES (N'Canada', N'British Columbia', 200);
    INSERT INTO sales VALUES (N'Canada', N'British Columbia', 300);
    INSERT INTO sales VALUES (N'United States', N'Montana', 100);`);
});

const ROLLUP = [
  ["Canada", "Alberta", 100],
  ["Canada", "British Columbia", 500],
  ["Canada", null, 600],
  ["United States", "Montana", 100],
  ["United States", null, 100],
  [null, null, 700],
];

const sortedRows = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();

describe("the examples of the GROUP BY page", () => {
  test("GROUP BY ROLLUP", async () => {
    const { sets } = await sql.run(
      "SELECT Country, Region, SUM(Sales) AS TotalSales FROM Sales GROUP BY ROLLUP (Country, Region)",
    );
    assert.deepEqual(sortedRows(sets[0]!.rows), sortedRows(ROLLUP));
    // A total has NULL where the column itself never has.
    assert.deepEqual(
      sets[0]!.columns.map(({ nullable }) => nullable),
      [true, true, true],
    );
  });

  test("GROUP BY CUBE", async () => {
    const rows = await sql.rows(
      "SELECT Country, Region, SUM(Sales) AS TotalSales FROM Sales GROUP BY CUBE (Country, Region)",
    );
    assert.deepEqual(
      sortedRows(rows),
      sortedRows([
        ["Canada", "Alberta", 100],
        [null, "Alberta", 100],
        ["Canada", "British Columbia", 500],
        [null, "British Columbia", 500],
        ["United States", "Montana", 100],
        [null, "Montana", 100],
        [null, null, 700],
        ["Canada", null, 600],
        ["United States", null, 100],
      ]),
    );
  });

  test("GROUPING SETS of several: no set is left out, even if it comes twice", async () => {
    const both = await sql.rows(
      "SELECT Country, Region, SUM(Sales) FROM Sales GROUP BY GROUPING SETS (ROLLUP (Country, Region), CUBE (Country, Region))",
    );
    assert.equal(both.length, 6 + 9);
    assert.deepEqual(
      await sql.rows("SELECT Country, SUM(Sales) FROM Sales GROUP BY GROUPING SETS (Country, ()) ORDER BY 1"),
      [
        [null, 700],
        ["Canada", 600],
        ["United States", 100],
      ],
    );
    assert.deepEqual(await sql.rows("SELECT SUM(Sales) AS TotalSales FROM Sales GROUP BY ()"), [[700]]);
  });

  test("the old WITH ROLLUP is the same", async () => {
    const rows = await sql.rows("SELECT Country, Region, SUM(Sales) FROM Sales GROUP BY Country, Region WITH ROLLUP");
    assert.deepEqual(sortedRows(rows), sortedRows(ROLLUP));
    assert.equal((await sql.rows("SELECT Country, Region FROM Sales GROUP BY Country, Region WITH CUBE")).length, 9);
  });
});

describe("grouping sets", () => {
  test("elements multiply, and what stands in parentheses stays together", async () => {
    const levels = async (by: string) =>
      (await sql.rows(`SELECT DISTINCT GROUPING_ID(Country, Region) FROM Sales GROUP BY ${by} ORDER BY 1`)).flat();
    assert.deepEqual(await levels("Country, ROLLUP (Region)"), [0, 1]);
    assert.deepEqual(await levels("ROLLUP ((Country, Region))"), [0, 3]);
    assert.deepEqual(await levels("GROUPING SETS ((Country, Region), (Region), ())"), [0, 2, 3]);
    assert.deepEqual(await levels("CUBE (Country), CUBE (Region)"), [0, 1, 2, 3]);
  });

  test("GROUPING tells a total from a NULL, in HAVING and ORDER BY too", async () => {
    const { sets } =
      await sql.run(`SELECT CASE WHEN GROUPING(v.x) = 1 THEN 'all' ELSE COALESCE(v.x, 'none') END, COUNT(*), GROUPING(v.x)
      FROM (VALUES ('a'), (NULL), ('a')) v (x) GROUP BY ROLLUP (v.x) ORDER BY GROUPING(v.x), 1`);
    assert.deepEqual(sets[0]!.rows, [
      ["a", 2, 0],
      ["none", 1, 0],
      ["all", 3, 1],
    ]);
    assert.equal(sets[0]!.columns[2]!.type.id, "tinyint");
    assert.deepEqual(
      await sql.rows(
        "SELECT SUM(Sales) FROM Sales GROUP BY CUBE (Country, Region) HAVING GROUPING_ID(Country, Region) = 1 ORDER BY 1",
      ),
      [[100], [600]],
    );
    assert.equal(await sql.error("SELECT GROUPING(Sales) FROM Sales GROUP BY ROLLUP (Country)"), 8161);
    assert.equal(await sql.error("SELECT Region FROM Sales GROUP BY ROLLUP (Country)"), 8120);
  });
});
