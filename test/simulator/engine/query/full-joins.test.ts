/** FULL JOIN with more than one source on a side, against what two halves of LEFT JOIN give. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { type Client, start } from "../client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
  await sql.run(`CREATE TABLE a (x int PRIMARY KEY); CREATE TABLE b (x int); CREATE TABLE c (x int PRIMARY KEY);
    INSERT a VALUES (1), (2), (3); INSERT b VALUES (2), (3), (3), (4), (NULL); INSERT c VALUES (3), (4), (5)`);
});

const sorted = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();

test("three tables, one after the other", async () => {
  assert.deepEqual(
    sorted(await sql.rows("SELECT a.x, b.x, c.x FROM a FULL JOIN b ON a.x = b.x FULL OUTER JOIN c ON c.x = b.x")),
    sorted([
      [1, null, null],
      [2, 2, null],
      [3, 3, 3],
      [3, 3, 3],
      [null, 4, 4],
      [null, null, null],
      [null, null, 5],
    ]),
  );
});

test("an inner join on the right; WHERE and a further join see what is missing", async () => {
  assert.deepEqual(
    sorted(await sql.rows("SELECT a.x, b.x, c.x FROM a FULL JOIN (b JOIN c ON b.x = c.x) ON a.x = b.x")),
    sorted([
      [1, null, null],
      [2, null, null],
      [3, 3, 3],
      [3, 3, 3],
      [null, 4, 4],
    ]),
  );
  assert.deepEqual(
    await sql.rows(`SELECT COALESCE(a.x, c.x), d.x FROM a LEFT JOIN b ON b.x = a.x FULL JOIN c ON c.x = a.x LEFT JOIN a d ON d.x = a.x
      WHERE b.x IS NULL ORDER BY 1`),
    [
      [1, 1],
      [4, null],
      [5, null],
    ],
  );
});

test("a right side that is made up as it is read: VALUES, a derived table, a view, a grouping, a function, in a subquery too", async () => {
  await sql.run("CREATE VIEW four AS SELECT x + 0 AS x FROM b");
  const expected = sorted([
    [1, null],
    [2, 2],
    [3, 3],
    [3, 3],
    [null, 4],
    [null, null],
  ]);
  for (const right of [
    "(VALUES (2), (3), (3), (4), (NULL)) r(x)",
    "(SELECT x FROM b) r",
    "(SELECT x + 0 AS x FROM b) r",
    "(SELECT TOP 10 x FROM b ORDER BY x) r",
    "four r",
    "(SELECT CAST(value AS int) AS x FROM OPENJSON('[2,3,3,4,null]')) r",
  ])
    for (const on of ["a.x = r.x", "a.x <= r.x AND a.x >= r.x"]) {
      assert.deepEqual(sorted(await sql.rows(`SELECT a.x, r.x FROM a FULL JOIN ${right} ON ${on}`)), expected, right);
      const counted = `SELECT x, (SELECT COUNT(*) FROM a FULL JOIN ${right} ON ${on} WHERE a.x = c.x OR r.x = c.x) FROM c`;
      assert.deepEqual(
        await sql.rows(counted),
        [
          [3, 2],
          [4, 1],
          [5, 0],
        ],
        right,
      );
      const outer = `SELECT x, (SELECT COUNT(*) FROM a FULL JOIN (SELECT r.x FROM ${right} WHERE r.x <= c.x) r ON ${on}) FROM c`;
      assert.deepEqual(
        await sql.rows(outer),
        [
          [3, 4],
          [4, 5],
          [5, 5],
        ],
        right,
      );
    }
});
