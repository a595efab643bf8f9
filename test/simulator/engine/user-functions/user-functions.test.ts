/** User-defined functions. https://learn.microsoft.com/sql/t-sql/statements/create-function-transact-sql */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Client, start } from "../client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
  await sql.run(`CREATE TABLE staff (id int PRIMARY KEY, name nvarchar(20) NOT NULL, boss int NULL, pay decimal(9,2));
    INSERT staff VALUES (1, N'Ann', NULL, 300), (2, N'Bob', 1, 200), (3, N'Cid', 1, 200), (4, N'Dan', 2, 100)`);
});

describe("scalar functions", () => {
  test("the page's example A: a function that calls itself", async () => {
    await sql.run(`CREATE FUNCTION dbo.ISOweek (@DATE DATETIME)
      RETURNS INT
      WITH EXECUTE AS CALLER
      AS
      BEGIN
          DECLARE @ISOweek INT;
          SET @ISOweek = DATEPART(wk, @DATE) + 1 -
              DATEPART(wk, CAST(DATEPART(yy, @DATE) AS CHAR(4)) + '0104');
          --Special cases: Jan 1-3 might belong to the previous year
          IF (@ISOweek = 0)
              SET @ISOweek = dbo.ISOweek(CAST(DATEPART(yy, @DATE) - 1 AS CHAR(4)) + '12' +
                  CAST(24 + DATEPART(DAY, @DATE) AS CHAR(2))) + 1;
          --Special case: Dec 29-31 might belong to the next year
          IF ((DATEPART(mm, @DATE) = 12) AND ((DATEPART(dd, @DATE) - DATEPART(dw, @DATE)) >= 28))
              SET @ISOweek = 1;
          RETURN (@ISOweek);
      END;`);
    const { sets } = await sql.run(
      "SET DATEFIRST 1; SELECT dbo.ISOweek(CONVERT(DATETIME, '12/26/2004', 101)) AS 'ISO Week'",
    );
    assert.deepEqual(
      sets[0]!.columns.map(({ name, type }) => [name, type.id]),
      [["ISO Week", "int"]],
    );
    assert.deepEqual(sets[0]!.rows, [[52]]);
    await sql.run("SET DATEFIRST 7");
  });

  test("it is called per row, reads tables, takes DEFAULT, and converts its arguments", async () => {
    await sql.run(`CREATE FUNCTION dbo.reports (@id int, @least decimal(9,2) = 0) RETURNS nvarchar(100) AS
      BEGIN
        DECLARE @names nvarchar(100) = N'';
        SELECT @names += name + N';' FROM staff WHERE boss = @id AND pay >= @least;
        IF @names = N'' RETURN NULL;
        RETURN @names
      END`);
    assert.deepEqual(await sql.rows("SELECT id, dbo.reports(id, DEFAULT) FROM staff ORDER BY id"), [
      [1, "Bob;Cid;"],
      [2, "Dan;"],
      [3, null],
      [4, null],
    ]);
    assert.deepEqual(await sql.rows("SELECT id FROM staff WHERE dbo.reports(id, '150.5') IS NOT NULL"), [[1]]);
    assert.equal(await sql.error("SELECT dbo.reports(1)"), 313);
    assert.equal(await sql.error("SELECT dbo.reports(1, 2, 3)"), 8144);
    assert.equal(await sql.error("SELECT dbo.nothing(1)"), 4121);
    assert.deepEqual(await sql.rows("DECLARE @r nvarchar(100); EXEC @r = dbo.reports @id = 2; SELECT @r"), [["Dan;"]]);
  });

  test("loops, RETURNS NULL ON NULL INPUT, and the nesting limit", async () => {
    await sql.run(`CREATE OR ALTER FUNCTION dbo.factorial (@n int) RETURNS bigint WITH RETURNS NULL ON NULL INPUT AS
      BEGIN
        DECLARE @f bigint = 1, @i int = 0;
        WHILE 1 = 1 BEGIN
          SET @i += 1;
          IF @i > @n BREAK;
          SET @f *= @i
        END
        RETURN @f
      END`);
    assert.deepEqual(await sql.rows("SELECT dbo.factorial(20), dbo.factorial(NULL)"), [[2432902008176640000n, null]]);
    await sql.run("CREATE FUNCTION dbo.deep (@n int) RETURNS int AS BEGIN RETURN dbo.deep(@n + 1) END");
    assert.equal(await sql.error("SELECT dbo.deep(1)"), 217);
  });

  test("what changes the database has no place in it", async () => {
    const refused = (body: string) => sql.error(`CREATE FUNCTION dbo.bad () RETURNS int AS BEGIN ${body} RETURN 1 END`);
    assert.equal(await refused("INSERT staff VALUES (9, N'x', 1, 1);"), 443);
    assert.equal(await refused("BEGIN TRY SET NOCOUNT ON END TRY BEGIN CATCH END CATCH;"), 443);
    assert.equal(await refused("SELECT 1;"), 444);
    assert.equal(await sql.error("CREATE FUNCTION dbo.bad () RETURNS int AS BEGIN DECLARE @x int END"), 455);
    assert.equal(await sql.error("SELECT 1; CREATE FUNCTION dbo.bad () RETURNS int AS BEGIN RETURN 1 END"), 111);
    assert.equal(await sql.error("DROP FUNCTION dbo.bad"), 3701);
    await sql.run("DROP FUNCTION IF EXISTS dbo.bad");
  });
});

describe("table-valued functions", () => {
  test("an inline one is a view with parameters", async () => {
    await sql.run(`CREATE FUNCTION dbo.team (@boss int) RETURNS TABLE AS RETURN
      (WITH t AS (SELECT id, name FROM staff WHERE boss = @boss) SELECT id, name AS member FROM t);`);
    const all = await sql.run("SELECT * FROM dbo.team(1) AS t ORDER BY member DESC");
    assert.deepEqual(
      all.sets[0]!.columns.map(({ name }) => name),
      ["id", "member"],
    );
    assert.deepEqual(all.rows, [
      [3, "Cid"],
      [2, "Bob"],
    ]);
    assert.deepEqual(
      await sql.rows("SELECT s.id, t.member FROM staff s OUTER APPLY dbo.team(s.id) t WHERE s.id > 1 ORDER BY 1"),
      [
        [2, "Dan"],
        [3, null],
        [4, null],
      ],
    );
    assert.equal(await sql.error("CREATE FUNCTION dbo.nameless () RETURNS TABLE AS RETURN SELECT 1"), 4511);
    assert.equal(await sql.error("CREATE FUNCTION dbo.lost () RETURNS TABLE AS RETURN SELECT a FROM nowhere"), 208);
  });

  test("the page's example C: a multi-statement one, with a recursive query", async () => {
    await sql.run(`CREATE FUNCTION dbo.ufn_FindReports (@InEmpID INT)
      RETURNS @retFindReports TABLE (EmployeeID INT PRIMARY KEY NOT NULL, FirstName NVARCHAR(255) NOT NULL, RecursionLevel INT NOT NULL)
      --Returns a result set that lists all the employees who report to the specific employee directly or indirectly.
      AS
      BEGIN
        WITH EMP_cte (EmployeeID, FirstName, RecursionLevel) AS
        (
          SELECT e.id, e.name, 0 FROM staff e WHERE e.id = @InEmpID
          UNION ALL
          SELECT e.id, e.name, RecursionLevel + 1 FROM staff e INNER JOIN EMP_cte ON e.boss = EMP_cte.EmployeeID
        )
        INSERT @retFindReports SELECT EmployeeID, FirstName, RecursionLevel FROM EMP_cte
        RETURN
      END;`);
    assert.deepEqual(
      await sql.rows("SELECT EmployeeID, FirstName, RecursionLevel FROM dbo.ufn_FindReports(1) ORDER BY EmployeeID"),
      [
        [1, "Ann", 0],
        [2, "Bob", 1],
        [3, "Cid", 1],
        [4, "Dan", 2],
      ],
    );
  });

  test("its table is written in steps, and every call has its own", async () => {
    await sql.run(`CREATE FUNCTION dbo.squares (@n int) RETURNS @t TABLE (n int NOT NULL PRIMARY KEY, sq int DEFAULT 7) AS
      BEGIN
        DECLARE @i int = 1;
        WHILE @i <= @n BEGIN INSERT @t (n) VALUES (@i); SET @i += 1 END
        UPDATE t SET sq = n * n FROM @t t WHERE n > 1;
        DELETE FROM @t WHERE n = 3;
        RETURN
      END`);
    assert.deepEqual(
      await sql.rows("SELECT v.x, s.n, s.sq FROM (VALUES (1), (4)) v (x) CROSS APPLY dbo.squares(v.x) s"),
      [
        [1, 1, 7],
        [4, 1, 7],
        [4, 2, 4],
        [4, 4, 16],
      ],
    );
    await sql.run(
      "CREATE FUNCTION dbo.twice () RETURNS @t TABLE (n int PRIMARY KEY) AS BEGIN INSERT @t VALUES (1), (1); RETURN END",
    );
    assert.equal(await sql.error("SELECT * FROM dbo.twice()"), 2627);
  });

  test("ALTER FUNCTION keeps its id; a rolled back one is as before", async () => {
    await sql.run("CREATE FUNCTION dbo.one () RETURNS int AS BEGIN RETURN 1 END");
    await sql.run("BEGIN TRAN");
    await sql.run("ALTER FUNCTION dbo.one () RETURNS int AS BEGIN RETURN 2 END");
    assert.equal(await sql.value("dbo.one()"), 2);
    await sql.run("ROLLBACK");
    assert.equal(await sql.value("dbo.one()"), 1);
    assert.equal(await sql.error("CREATE FUNCTION dbo.one () RETURNS int AS BEGIN RETURN 2 END"), 2714);
    assert.equal(await sql.error("CREATE OR ALTER FUNCTION dbo.one () RETURNS TABLE AS RETURN SELECT 1 AS a"), 2010);
    await sql.run("DROP FUNCTION dbo.one");
    assert.equal(await sql.error("SELECT dbo.one()"), 4121);
  });
});
