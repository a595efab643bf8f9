/** Queries that SQLite does not know, and how big ones are found. */
import assert from "node:assert/strict";
import { before, describe, mock, test } from "node:test";
import type { Engine } from "../../../simulator/engine/engine.ts";
import { type Range, Table } from "../../../simulator/engine/table.ts";
import { type Client, start } from "./client.ts";

let engine: Engine;
let sql: Client;
before(async () => {
  ({ engine, sql } = await start());
  await sql.run(`CREATE TABLE p (id int PRIMARY KEY, name nvarchar(20), boss int NULL, pay decimal(9,2));
    INSERT p VALUES (1, N'Ann', NULL, 300), (2, N'Bob', 1, 200), (3, N'Cid', 1, 200), (4, N'Dan', 2, 100)`);
});

describe("queries", () => {
  test("TOP, ties, percent, OFFSET and FETCH", async () => {
    assert.deepEqual(await sql.rows("SELECT TOP 1 id FROM p ORDER BY pay DESC"), [[1]]);
    assert.deepEqual(await sql.rows("SELECT TOP (2) WITH TIES id FROM p ORDER BY pay DESC, boss"), [[1], [2], [3]]);
    assert.deepEqual(await sql.rows("SELECT TOP 50 PERCENT id FROM p ORDER BY id"), [[1], [2]]);
    assert.deepEqual(
      await sql.rows("DECLARE @n int = 2; SELECT id FROM p ORDER BY id DESC OFFSET 1 ROWS FETCH NEXT @n ROWS ONLY"),
      [[3], [2]],
    );
    assert.deepEqual(await sql.rows("SELECT TOP (0) id FROM p"), []);
  });

  test("ORDER BY an alias, a place, an expression; NULLs first; and its rules", async () => {
    assert.deepEqual(await sql.rows("SELECT boss AS b, id FROM p ORDER BY b, 2 DESC"), [
      [null, 1],
      [1, 3],
      [1, 2],
      [2, 4],
    ]);
    assert.deepEqual(await sql.rows("SELECT name FROM p ORDER BY -id"), [["Dan"], ["Cid"], ["Bob"], ["Ann"]]);
    assert.equal(await sql.error("SELECT DISTINCT name FROM p ORDER BY id"), 145);
    assert.equal(await sql.error("SELECT id FROM p UNION SELECT 9 ORDER BY pay"), 104);
    assert.deepEqual(await sql.rows("SELECT id FROM p UNION SELECT 9 ORDER BY id DESC").then((rows) => rows[0]), [9]);
  });

  test("a column is headed as the query spells it, not as its table does", async () => {
    await sql.run("CREATE TABLE TestCase (ID int NOT NULL PRIMARY KEY IDENTITY, Name varchar(max) NOT NULL)");
    const headings = async (query: string) => (await sql.run(query)).sets[0]!.columns.map(({ name }) => name);
    assert.deepEqual(await headings("SELECT * FROM TestCase"), ["ID", "Name"]);
    assert.deepEqual(await headings("SELECT id, TestCase.NAME FROM TestCase"), ["id", "NAME"]);
    assert.deepEqual(await headings("SELECT * FROM (SELECT iD FROM TestCase) t"), ["iD"]);
    assert.deepEqual(await headings("SELECT $IDENTITY FROM TestCase"), ["ID"]);
  });

  test("what an outer join can leave without a row is described as nullable", async () => {
    await sql.run("CREATE TABLE thing (k int NOT NULL PRIMARY KEY, f bit NOT NULL)");
    const nullable = async (query: string) => (await sql.run(query)).sets[0]!.columns.map((column) => column.nullable);
    assert.deepEqual(await nullable("SELECT k, f FROM thing"), [false, false]);
    const joined = "SELECT a.k, b.f FROM thing a";
    assert.deepEqual(await nullable(`${joined} LEFT JOIN thing b ON b.k = a.k`), [false, true]);
    assert.deepEqual(await nullable(`${joined} RIGHT JOIN thing b ON b.k = a.k`), [true, false]);
    assert.deepEqual(await nullable(`${joined} FULL JOIN thing b ON b.k = a.k`), [true, true]);
    assert.deepEqual(await nullable(`${joined} OUTER APPLY (SELECT f FROM thing) b`), [false, true]);
    assert.deepEqual(await nullable("SELECT b.* FROM thing a LEFT JOIN thing b ON b.k = a.k"), [true, true]);
  });

  test("grouping has SQL Server's rules and types", async () => {
    assert.deepEqual(
      await sql.rows(
        "SELECT boss % 2, COUNT(*), SUM(pay), AVG(pay), STRING_AGG(name, ',') WITHIN GROUP (ORDER BY id DESC) FROM p WHERE boss IS NOT NULL GROUP BY boss % 2 ORDER BY 1",
      ),
      [
        [0, 1, "100.00", "100.000000", "Dan"],
        [1, 2, "400.00", "200.000000", "Cid,Bob"],
      ],
    );
    assert.equal(await sql.error("SELECT name, COUNT(*) FROM p GROUP BY boss"), 8120);
    assert.equal(await sql.error("SELECT id FROM p WHERE COUNT(*) > 1"), 147);
    assert.deepEqual(await sql.rows("SELECT AVG(x), SUM(x), COUNT(DISTINCT x) FROM (VALUES (1), (2), (2)) v (x)"), [
      [1, 5, 2],
    ]);
    assert.equal(await sql.error("SELECT SUM(x) FROM (VALUES (2147483647), (1)) v (x)"), 8115);
    assert.deepEqual(
      await sql.rows(
        "SELECT (SELECT name FROM p q WHERE q.id = p.boss), COUNT(*) FROM p GROUP BY boss HAVING COUNT(*) > 1",
      ),
      [["Ann", 2]],
    );
  });

  test("common table expressions, also recursive ones", async () => {
    assert.deepEqual(
      await sql.rows(`WITH tree (id, path, depth) AS (
          SELECT id, CAST(name AS nvarchar(100)), 0 FROM p WHERE boss IS NULL
          UNION ALL SELECT p.id, CAST(tree.path + N'/' + p.name AS nvarchar(100)), depth + 1 FROM p JOIN tree ON p.boss = tree.id)
        SELECT path, depth FROM tree ORDER BY path`),
      [
        ["Ann", 0],
        ["Ann/Bob", 1],
        ["Ann/Bob/Dan", 2],
        ["Ann/Cid", 1],
      ],
    );
    assert.equal(
      await sql.error("WITH n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"),
      530,
    );
    assert.deepEqual(
      await sql.rows(
        "WITH n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 500) SELECT MAX(x) FROM n OPTION (MAXRECURSION 0)",
      ),
      [[500]],
    );
    assert.deepEqual(await sql.rows("WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b"), [
      [1, 2],
    ]);
  });

  test("APPLY runs its right side for each row", async () => {
    assert.deepEqual(
      await sql.rows(
        "SELECT p.id, a.id FROM p CROSS APPLY (SELECT TOP 1 q.id FROM p q WHERE q.boss = p.id ORDER BY q.id DESC) a ORDER BY 1",
      ),
      [
        [1, 3],
        [2, 4],
      ],
    );
    assert.deepEqual(
      await sql.rows(
        "SELECT p.id, s.value FROM p OUTER APPLY STRING_SPLIT(p.name, 'i') s WHERE p.id IN (3, 4) ORDER BY 1, 2",
      ),
      [
        [3, "C"],
        [3, "d"],
        [4, "Dan"],
      ],
    );
  });

  test("subqueries, quantifiers and their errors", async () => {
    assert.deepEqual(await sql.rows("SELECT id FROM p WHERE pay >= ALL (SELECT pay FROM p)"), [[1]]);
    assert.deepEqual(await sql.rows("SELECT id FROM p WHERE pay < ANY (SELECT pay FROM p WHERE id < 3)"), [
      [2],
      [3],
      [4],
    ]);
    assert.equal(await sql.error("SELECT (SELECT id FROM p)"), 512);
    assert.equal(await sql.error("SELECT (SELECT 1, 2)"), 116);
    assert.equal(await sql.error("SELECT id FROM p a JOIN p b ON a.id = b.id"), 209);
    assert.equal(await sql.error("SELECT c.id FROM p a"), 4104);
    assert.equal(await sql.error("SELECT a.nosuch FROM p a"), 207);
  });

  test("three-part names and other databases", async () => {
    await sql.run("CREATE DATABASE Other; USE Other; CREATE TABLE x (y int); INSERT x VALUES (5); USE Test");
    assert.deepEqual(await sql.rows("SELECT * FROM Other.dbo.x, Other..x z"), [[5, 5]]);
    assert.equal(await sql.error("SELECT * FROM Nosuch.dbo.x"), 208);
    assert.equal(await sql.error("USE Nosuch"), 911);
  });

  test("views are as good as tables, with names of their own for columns", async () => {
    await sql.run("CREATE VIEW v (who, what) AS SELECT name, pay FROM p WHERE boss = 1");
    assert.deepEqual(await sql.rows("SELECT who FROM v WHERE what > 100 ORDER BY who"), [["Bob"], ["Cid"]]);
    await sql.run("ALTER VIEW v AS SELECT 1 AS one");
    assert.deepEqual(await sql.rows("SELECT * FROM v"), [[1]]);
    await sql.run("DROP VIEW v");
    assert.equal(await sql.error("SELECT * FROM v"), 208);
  });

  test("SELECT INTO makes a table with the columns' types", async () => {
    await sql.run("SELECT id, name, pay * 2 AS twice INTO made FROM p WHERE id < 3");
    const { sets } = await sql.run("SELECT * FROM made");
    assert.deepEqual(
      sets[0]!.columns.map(({ name, nullable }) => [name, nullable]),
      [
        ["id", false],
        ["name", true],
        ["twice", true],
      ],
    );
    assert.deepEqual(sets[0]!.rows, [
      [1, "Ann", "600.00"],
      [2, "Bob", "400.00"],
    ]);
  });
});

describe("a table of many rows", () => {
  before(async () => {
    await sql.run(`CREATE TABLE big (lsn int, seq int, op int, v int, note varchar(5), CONSTRAINT pk PRIMARY KEY (lsn, seq, op));
      INSERT big SELECT value / 4, value % 4, 2, value, IIF(value = 1, 'n', NULL) FROM GENERATE_SERIES(0, 199999)`);
  });

  /** The rows of a query, and how many stored ones were looked at for them. */
  async function looked(query: string): Promise<{ rows: unknown[][]; steps: number }> {
    const table = engine.database("Test")!.findTable("dbo", "big")!;
    let steps = 0;
    const cursor = mock.method(table, "cursor", (range: Range) => {
      const next = Table.prototype.cursor.call(table, range);
      return () => {
        steps++;
        return next();
      };
    });
    const rows = await sql.rows(query);
    cursor.mock.restore();
    return { rows, steps };
  }

  test("is sought, in either direction, and in pieces of a UNION ALL that keep its order", async () => {
    const resume = `SELECT TOP (3) lsn, seq FROM (
        SELECT * FROM big WHERE lsn = 100 AND seq = 2 AND op > 2
        UNION ALL SELECT * FROM big WHERE lsn = 100 AND seq > 2
        UNION ALL SELECT * FROM big WHERE lsn > 100 AND lsn <= 40000) x ORDER BY lsn, seq, op`;
    for (const [query, expected] of [
      ["SELECT TOP 2 v FROM big WHERE lsn > 49990 ORDER BY lsn, seq, op", [[199964], [199965]]],
      ["SELECT TOP 2 v FROM big ORDER BY lsn DESC, seq DESC", [[199999], [199998]]],
      ["SELECT v FROM big WHERE lsn = 7 AND seq IN (1, 3)", [[29], [31]]],
      [
        resume,
        [
          [100, 3],
          [101, 0],
          [101, 1],
        ],
      ],
    ] as const) {
      const { rows, steps } = await looked(query);
      assert.deepEqual(rows, expected, query);
      assert.ok(steps <= 20, `${query}: ${steps} rows looked at`);
    }
  });

  test("finds NULLs by an index too, but not what an outer join leaves out", async () => {
    await sql.run("CREATE INDEX by_note ON big (note, lsn)");
    const { rows, steps } = await looked(
      "SELECT lsn, seq FROM big WHERE note IS NULL AND lsn > 49998 ORDER BY lsn, seq",
    );
    assert.deepEqual(
      rows,
      [0, 1, 2, 3].map((seq) => [49_999, seq]),
    );
    assert.ok(steps <= 20, `${steps} rows looked at`);
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM big WHERE note IS NULL AND v < 0"), [[0]]);
    assert.deepEqual(
      await sql.rows(
        "SELECT a.x FROM (VALUES (1), (7)) AS a (x) LEFT JOIN big ON big.v = a.x AND big.note = 'n' WHERE big.note IS NULL",
      ),
      [[7]],
    );
  });

  test("joins without an index by hashing, not row by row", async () => {
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM big a JOIN big b ON a.v = b.v WHERE a.lsn >= 0"), [[200000]]);
  });
});
