/** A session keeps the plans of its queries: it must answer as a new session does, which has none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Client, start } from "./client.ts";

const SETUP = [
  "CREATE TABLE t (id int NOT NULL PRIMARY KEY, a int NOT NULL, b nvarchar(50) NULL)",
  "INSERT INTO t VALUES (1, 1, N'one'), (2, 2, N'two'), (3, 2, N'zwei'), (4, 3, NULL)",
  "CREATE TABLE u (id int NOT NULL PRIMARY KEY, name nvarchar(30) NULL)",
  "INSERT INTO u VALUES (1, N'Ana'), (2, N'Zoë')",
  "CREATE VIEW v AS SELECT id, a FROM t WHERE a > 1",
  "CREATE FUNCTION dbo.twice (@n int) RETURNS int AS BEGIN RETURN @n * 2 END",
];

const QUERIES = [
  "SELECT * FROM t ORDER BY id",
  "SELECT a, b FROM t WHERE a > 1 ORDER BY a, b, id",
  "SELECT TOP (2) * FROM (SELECT id, a FROM t WHERE a = 2 UNION ALL SELECT id, a FROM t WHERE a > 2) AS u ORDER BY a, id",
  "SELECT t.id, u.name FROM t LEFT JOIN u ON u.id = t.a ORDER BY t.id",
  "SELECT a, COUNT(*), MAX(b) FROM t GROUP BY a HAVING COUNT(*) > 0 ORDER BY a",
  "SELECT * FROM v ORDER BY id",
  "SELECT (SELECT MAX(name) FROM u WHERE u.id = t.a) FROM t ORDER BY id",
  "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT n.i, COUNT(t.id) FROM n LEFT JOIN t ON t.a = n.i GROUP BY n.i ORDER BY n.i",
  "SELECT id, ROW_NUMBER() OVER (PARTITION BY a ORDER BY b, id) FROM t ORDER BY id",
  "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('t') ORDER BY column_id",
  "SELECT CONVERT(date, '02/03/2026'), DATEPART(weekday, '2026-11-26')",
  "SELECT COUNT(*) FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.a)",
  "SELECT dbo.twice(a) FROM t ORDER BY id",
  "DECLARE @x int = 2; SELECT id, @x * a FROM t WHERE a <= @x ORDER BY id",
  "DECLARE @x nvarchar(10) = N'2'; SELECT id, @x + N'!' FROM t WHERE a <= @x ORDER BY id",
  "EXEC sp_executesql N'SELECT id, @p FROM t WHERE a >= @p ORDER BY id', N'@p int', 2",
  "EXEC sp_executesql N'SELECT id, @p FROM t WHERE a >= @p ORDER BY id', N'@p varchar(5)', '3'",
  "SELECT id FROM #t ORDER BY id",
];

/** What another session does in between. */
const CHANGES = [
  "INSERT INTO t (id, a, b) SELECT COALESCE(MAX(id), 0) + 1, COALESCE(MAX(id), 0) % 4, N'new' FROM t",
  "DELETE FROM t WHERE id = (SELECT MIN(id) FROM t)",
  "UPDATE u SET name = name + N'x'",
  "IF COL_LENGTH('t', 'c') IS NULL ALTER TABLE t ADD c int NOT NULL CONSTRAINT dc DEFAULT 7 ELSE BEGIN ALTER TABLE t DROP CONSTRAINT dc; ALTER TABLE t DROP COLUMN c END",
  "IF INDEXPROPERTY(OBJECT_ID('t'), 'ia', 'IndexId') IS NULL CREATE INDEX ia ON t (a, b) ELSE DROP INDEX ia ON t",
  "ALTER TABLE t ALTER COLUMN b nvarchar(60) NULL",
  "DROP TABLE u; CREATE TABLE u (name nvarchar(30), id int PRIMARY KEY, extra int NULL); INSERT INTO u VALUES (N'again', 2, 1), (N'other', 3, 2)",
  "ALTER VIEW v AS SELECT id, b FROM t WHERE a > 1",
  "ALTER VIEW v AS SELECT a, id FROM t",
  "ALTER FUNCTION dbo.twice (@n int) RETURNS int AS BEGIN RETURN @n * 3 END",
  "EXEC sp_rename 't.b', 'renamed', 'COLUMN'; EXEC sp_rename 't.renamed', 'b', 'COLUMN'",
  "TRUNCATE TABLE t",
];

/** What the session itself sets; a new session is told the same. */
const SETTINGS = [
  "SET DATEFORMAT dmy",
  "SET DATEFORMAT mdy",
  "SET DATEFIRST 1",
  "SET ROWCOUNT 1",
  "SET ROWCOUNT 0",
  "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
  "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "IF OBJECT_ID('tempdb..#t') IS NULL CREATE TABLE #t (id int) ELSE DROP TABLE #t",
];

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...QUERIES).map((sql) => ({ do: "query" as const, sql })) },
  { weight: 2, arbitrary: fc.constantFrom(...CHANGES).map((sql) => ({ do: "change" as const, sql })) },
  { weight: 1, arbitrary: fc.constantFrom(...SETTINGS).map((sql) => ({ do: "set" as const, sql })) },
);

async function answer(client: Client, sql: string) {
  const { sets, errors, counts } = await client.attempt(sql);
  const columns = sets.map((set) => set.columns.map(({ name, type }) => ({ name, type })));
  return {
    columns,
    rows: sets.map(({ rows }) => rows),
    errors: errors.map(({ number, message }) => ({ number, message })),
    counts,
  };
}

test("a session that has asked everything before answers as a new one, whatever changed in between", async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
    const { sql: client, another } = await start();
    for (const sql of SETUP) await client.run(sql);
    for (const sql of QUERIES) await client.attempt(sql);
    const settings: string[] = [];
    const other = await another();
    for (const { do: what, sql } of steps) {
      if (what === "change") await other.attempt(sql);
      else if (what === "set") {
        settings.push(sql);
        await client.attempt(sql);
      } else {
        const fresh = await another();
        for (const setting of settings) await fresh.attempt(setting);
        assert.deepEqual(await answer(client, sql), await answer(fresh, sql), sql);
        fresh.session.close();
      }
    }
  });
  await fc.assert(property, { numRuns: 40 });
});
