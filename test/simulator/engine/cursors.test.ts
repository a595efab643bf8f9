/** Cursors of T-SQL: https://learn.microsoft.com/sql/t-sql/language-elements/cursors-transact-sql */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { type Client, start } from "./client.ts";

let sql: Client;
let another: () => Promise<Client>;
beforeEach(async () => {
  ({ sql, another } = await start());
  await sql.run("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT t VALUES (1, 10), (2, 20), (3, 30), (4, 40)");
});

/** Runs FETCHes of a cursor c, one after the other; gives of each its row's id and n, or @@FETCH_STATUS. */
async function fetches(...directions: string[]): Promise<unknown[]> {
  const seen: unknown[] = [];
  for (const direction of directions) {
    const [row] = await sql.rows(
      `DECLARE @id int, @n int; FETCH ${direction} FROM c INTO @id, @n; SELECT @@FETCH_STATUS, @id, @n`,
    );
    seen.push(row![0] === 0 ? [row![1], row![2]] : row![0]);
  }
  return seen;
}

const ALL = "SELECT id, n FROM t ORDER BY id";

describe("FETCH", () => {
  test("goes forward only, unless the cursor scrolls", async () => {
    await sql.run(`DECLARE c CURSOR FOR ${ALL}; OPEN c`);
    assert.deepEqual(await fetches("NEXT", "NEXT"), [
      [1, 10],
      [2, 20],
    ]);
    for (const direction of ["PRIOR", "FIRST", "LAST", "ABSOLUTE 1", "RELATIVE 1"])
      assert.equal(await sql.error(`FETCH ${direction} FROM c`), 16911, direction);
  });

  test("goes everywhere in a cursor that scrolls", async () => {
    await sql.run(`DECLARE c SCROLL CURSOR FOR ${ALL} FOR READ ONLY; OPEN c`);
    const [one, two, three, four] = [1, 2, 3, 4].map((id) => [id, id * 10]);
    assert.deepEqual(await fetches("LAST", "NEXT", "PRIOR", "PRIOR", "FIRST", "PRIOR", "NEXT"), [
      four,
      -1,
      four,
      three,
      one,
      -1,
      one,
    ]);
    await sql.run(`CLOSE c; DEALLOCATE c; DECLARE c CURSOR STATIC FOR ${ALL}; OPEN c`);
    assert.deepEqual(
      await fetches("ABSOLUTE 3", "ABSOLUTE -1", "ABSOLUTE 0", "RELATIVE 2", "RELATIVE -1", "RELATIVE 0", "ABSOLUTE 9"),
      [three, four, -1, two, one, one, -1],
    );
  });

  test("by a dynamic cursor knows no absolute places", async () => {
    await sql.run(`DECLARE c CURSOR DYNAMIC FOR ${ALL}; OPEN c`);
    assert.equal(await sql.error("FETCH ABSOLUTE 2 FROM c"), 16912);
    assert.deepEqual(await fetches("RELATIVE 2"), [[2, 20]]);
  });
});

describe("what is changed meanwhile", () => {
  test("a static cursor does not see", async () => {
    await sql.run(`DECLARE c CURSOR STATIC FOR ${ALL}; OPEN c`);
    await sql.run("UPDATE t SET n = 0; DELETE t WHERE id = 2; INSERT t VALUES (9, 90)");
    assert.deepEqual(await fetches("NEXT", "NEXT", "LAST"), [
      [1, 10],
      [2, 20],
      [4, 40],
    ]);
    assert.equal(await sql.value("@@CURSOR_ROWS"), 4);
  });

  test("a keyset cursor sees in the rows that it has, and says which are gone", async () => {
    await sql.run("DECLARE c CURSOR KEYSET FOR SELECT id, n FROM t WHERE n < 35 ORDER BY id; OPEN c");
    assert.equal(await sql.value("@@CURSOR_ROWS"), 3);
    const other = await another();
    await other.run("UPDATE t SET n = 99 WHERE id = 1; DELETE t WHERE id = 2; INSERT t VALUES (9, 9)");
    assert.deepEqual(await fetches("NEXT", "NEXT", "NEXT", "NEXT"), [[1, 99], -2, [3, 30], -1]);
  });

  test("a dynamic cursor sees in all rows, and stands firm where its own is gone", async () => {
    await sql.run(`DECLARE c CURSOR DYNAMIC FOR ${ALL}; OPEN c`);
    assert.equal(await sql.value("@@CURSOR_ROWS"), -1);
    assert.deepEqual(await fetches("NEXT", "NEXT"), [
      [1, 10],
      [2, 20],
    ]);
    await sql.run("DELETE t WHERE id IN (2, 3); INSERT t VALUES (0, 0), (5, 50)");
    assert.deepEqual(await fetches("NEXT", "NEXT", "NEXT", "PRIOR", "FIRST"), [[4, 40], [5, 50], -1, [5, 50], [0, 0]]);
  });

  test("a query whose rows are no stored rows makes a static cursor", async () => {
    await sql.run("DECLARE c CURSOR DYNAMIC FOR SELECT MAX(id), SUM(n) FROM t; OPEN c; DELETE t");
    assert.deepEqual(await fetches("NEXT", "NEXT"), [[4, 100], -1]);
  });

  test("another definition of the table ends it", async () => {
    await sql.run(`DECLARE c CURSOR DYNAMIC FOR ${ALL}; OPEN c; ALTER TABLE t ADD x int`);
    assert.equal(await sql.error("FETCH NEXT FROM c"), 16943);
  });
});

describe("WHERE CURRENT OF", () => {
  test("changes the row that was fetched", async () => {
    await sql.run(`DECLARE c CURSOR FOR ${ALL}; OPEN c`);
    assert.equal(await sql.error("DELETE t WHERE CURRENT OF c"), 16931);
    await sql.run(
      "FETCH NEXT FROM c; UPDATE t SET n = n + 1 WHERE CURRENT OF c; UPDATE t SET n += 1 WHERE CURRENT OF c",
    );
    await sql.run("FETCH NEXT FROM c; DELETE FROM t WHERE CURRENT OF c");
    assert.equal(await sql.error("DELETE t WHERE CURRENT OF c"), 16930);
    await sql.run("FETCH NEXT FROM c");
    assert.deepEqual(await sql.rows("SELECT id, n FROM t"), [
      [1, 12],
      [3, 30],
      [4, 40],
    ]);
  });

  test("is refused where the cursor or the column is not to be changed, and where another has been quicker", async () => {
    await sql.run("CREATE TABLE other (id int)");
    await sql.run(`DECLARE r CURSOR STATIC FOR ${ALL}; OPEN r; FETCH r`);
    assert.equal(await sql.error("DELETE t WHERE CURRENT OF r"), 16929);
    await sql.run("DECLARE c CURSOR FOR SELECT id, n FROM t FOR UPDATE OF n; OPEN c; FETCH c");
    assert.equal(await sql.error("UPDATE t SET id = 9 WHERE CURRENT OF c"), 16932);
    assert.equal(await sql.error("DELETE other WHERE CURRENT OF c"), 16933);
    await (await another()).run("UPDATE t SET n = 0 WHERE id = 1");
    assert.equal(await sql.error("UPDATE t SET n = 1 WHERE CURRENT OF c"), 16934);
    await sql.run("FETCH c; UPDATE t SET n = 1 WHERE CURRENT OF c");
    assert.deepEqual(await sql.rows("SELECT n FROM t WHERE id < 3"), [[0], [1]]);
  });
});

describe("names", () => {
  test("of local cursors end with their batch or procedure, those of global ones with DEALLOCATE", async () => {
    await sql.run("DECLARE l CURSOR LOCAL FOR SELECT 1; DECLARE g CURSOR GLOBAL FOR SELECT 2; OPEN l; OPEN g");
    assert.equal(await sql.error("FETCH l"), 16916);
    assert.deepEqual(await sql.rows("FETCH GLOBAL g"), [[2]]);
    assert.equal(await sql.error("DECLARE g CURSOR FOR SELECT 3"), 16915);
    assert.deepEqual(
      await sql.rows("DECLARE g CURSOR LOCAL FOR SELECT 4; OPEN g; FETCH g; DEALLOCATE g; FETCH NEXT FROM g"),
      [[4]],
    );
    await sql.run("CLOSE g; DEALLOCATE g");
    assert.equal(await sql.error("OPEN g"), 16916);
  });

  test("are held by variables too", async () => {
    assert.deepEqual(
      await sql.rows(`DECLARE @c CURSOR, @d CURSOR; SET @c = CURSOR LOCAL STATIC FOR SELECT 7; SET @d = @c;
        OPEN @d; DEALLOCATE @d; FETCH NEXT FROM @c`),
      [[7]],
    );
    assert.deepEqual(
      await sql.rows("DECLARE g CURSOR GLOBAL FOR SELECT 8; DECLARE @c CURSOR; SET @c = g; OPEN @c; FETCH g"),
      [[8]],
    );
    assert.equal(await sql.error("DECLARE @c CURSOR; OPEN @c"), 16950);
  });

  test("and states are told by CURSOR_STATUS", async () => {
    assert.deepEqual(
      await sql.rows(`DECLARE @c CURSOR, @s varchar(50) = CONCAT(CURSOR_STATUS('variable', '@c'), ' ', CURSOR_STATUS('local', 'x'));
        DECLARE x CURSOR LOCAL STATIC FOR SELECT id FROM t WHERE id > 9;
        SET @s += CONCAT(' ', CURSOR_STATUS('local', 'x')); OPEN x; SET @s += CONCAT(' ', CURSOR_STATUS('local', 'x'));
        SET @c = CURSOR STATIC FOR SELECT 1; OPEN @c; SELECT CONCAT(@s, ' ', CURSOR_STATUS('variable', '@c'))`),
      [["-2 -3 -1 0 1"]],
    );
  });

  test("variables of the query have the values of the declaration", async () => {
    assert.deepEqual(
      await sql.rows(
        "DECLARE @x int = 2; DECLARE v CURSOR LOCAL FOR SELECT n FROM t WHERE id = @x; SET @x = 3; OPEN v; FETCH v",
      ),
      [[20]],
    );
  });
});
