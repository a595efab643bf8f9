/** Variables, control flow, errors caught, messages, dynamic SQL, several results. */
import type { Scenario } from "../scenario.ts";
import { fails, rows, run } from "./steps.ts";

export const control: Scenario[] = [
  {
    name: "declares, sets and computes with variables",
    steps: [
      rows(
        "DECLARE @a int = 2, @b varchar(10), @c decimal(5,2) = 1.5; SET @b = 'x'; SET @a += 3; SELECT @c = @c * 2; SELECT @a, @b, @c",
        [[5, "x", "3.00"]],
        ["int", "varchar", "decimal(5,2)"],
      ),
      rows(
        "DECLARE @last int; SELECT @last = n FROM (VALUES (1), (2), (3)) v(n) ORDER BY n; SELECT @last, @@ROWCOUNT",
        [[3, 3]],
      ),
      rows("DECLARE @none int = 1; SELECT @none = n FROM (VALUES (5)) v(n) WHERE n > 9; SELECT @none", [[1]]),
      fails("SELECT @missing", 137, {
        severity: 15,
        state: 2,
        message: 'Must declare the scalar variable "@missing".',
      }),
    ],
  },
  {
    name: "branches and loops with IF, WHILE, BREAK, CONTINUE, GOTO and RETURN",
    steps: [
      rows(
        `DECLARE @i int = 0, @sum int = 0;
         WHILE 1 = 1
         BEGIN
           SET @i = @i + 1;
           IF @i % 2 = 0 CONTINUE;
           IF @i > 9 BREAK;
           SET @sum += @i;
         END;
         IF @sum = 25 SELECT 'right' ELSE SELECT 'wrong'`,
        [["right"]],
      ),
      rows("IF EXISTS (SELECT 1 WHERE 1 = 0) SELECT 1 ELSE IF NULL = NULL SELECT 2 ELSE BEGIN SELECT 3 END", [[3]]),
      rows("GOTO there; SELECT 'skipped'; there: SELECT 'here'; RETURN; SELECT 'never'", [["here"]]),
    ],
  },
  {
    name: "catches errors with TRY and CATCH, and throws them on",
    steps: [
      rows(
        `BEGIN TRY
           DECLARE @x int = 1 / 0;
         END TRY
         BEGIN CATCH
           SELECT ERROR_NUMBER(), ERROR_SEVERITY(), ERROR_STATE(), ERROR_LINE(), ERROR_MESSAGE();
         END CATCH`,
        [[8134, 16, 1, 2, "Divide by zero error encountered."]],
      ),
      fails("BEGIN TRY RAISERROR('first', 16, 3) END TRY BEGIN CATCH THROW; END CATCH", 50000, {
        severity: 16,
        state: 3,
        message: "first",
      }),
      fails("THROW 51000, N'The record does not exist.', 7", 51000, {
        severity: 16,
        state: 7,
        message: "The record does not exist.",
      }),
      rows(
        `CREATE TABLE dbo.t (id int NOT NULL CONSTRAINT PK_t PRIMARY KEY);
         BEGIN TRY
           INSERT INTO dbo.t VALUES (1); INSERT INTO dbo.t VALUES (1);
         END TRY
         BEGIN CATCH
           IF ERROR_NUMBER() = 2627 INSERT INTO dbo.t VALUES (2);
         END CATCH;
         SELECT COUNT(*), SUM(id) FROM dbo.t`,
        [[2, 3]],
      ),
    ],
  },
  {
    name: "prints, raises and formats messages",
    needs: ["messages"],
    steps: [
      run("PRINT 'hello'; PRINT N'日本'; PRINT 1 + 2", { messages: ["hello", "日本", "3"] }),
      run("RAISERROR(N'%d of %s, %5.2s|', 10, 1, 7, N'nine', N'abc') WITH NOWAIT", { messages: ["7 of nine,    ab|"] }),
      run("DECLARE @db sysname = DB_NAME(); USE master; PRINT DB_NAME()", {
        messages: ["Changed database context to 'master'.", "master"],
      }),
    ],
  },
  {
    name: "runs text with EXEC and sp_executesql, with parameters in and out",
    steps: [
      rows("EXEC ('SELECT ' + '1 + 1')", [[2]]),
      rows("DECLARE @s nvarchar(50) = N'SELECT @a + @b'; EXEC sp_executesql @s, N'@a int, @b int', @a = 3, @b = 4", [
        [7],
      ]),
      rows(
        "DECLARE @out int; EXEC sys.sp_executesql N'SET @o = @i * 2', N'@i int, @o int OUTPUT', @i = 21, @o = @out OUTPUT; SELECT @out",
        [[42]],
      ),
    ],
  },
  {
    name: "gives several results of one batch, in order, also empty ones",
    steps: [
      run(
        "CREATE TABLE dbo.t (id int); SELECT 1 AS a, N'x' AS b; INSERT INTO dbo.t VALUES (1), (2); SELECT id FROM dbo.t WHERE id > 5; SELECT id AS again FROM dbo.t ORDER BY id DESC",
        {
          sets: [
            { columns: ["a", "b"], rows: [["1", "x"]] },
            { columns: ["id"], rows: [] },
            { columns: ["again"], rows: [["2"], ["1"]] },
          ],
        },
      ),
      run(
        "SET NOCOUNT ON; SELECT 1 AS a; UPDATE dbo.t SET id = 9; SELECT COUNT(*) AS n FROM dbo.t WHERE id = 9; SET NOCOUNT OFF",
        {
          sets: [
            { columns: ["a"], rows: [["1"]] },
            { columns: ["n"], rows: [["2"]] },
          ],
        },
      ),
    ],
  },
  {
    name: "goes on after an error that ends only its statement",
    needs: ["several errors"],
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL CONSTRAINT PK_t PRIMARY KEY)"),
      run(
        "INSERT INTO dbo.t VALUES (1);\nINSERT INTO dbo.t VALUES (1);\nSELECT COUNT(*) FROM dbo.t;\nINSERT INTO dbo.t VALUES (NULL);\nSELECT 2",
        {
          sets: [{ rows: [["1"]] }, { rows: [["2"]] }],
          errors: [
            { number: 2627, severity: 14, state: 1, line: 2 },
            { number: 515, severity: 16, state: 2, line: 4 },
          ],
        },
      ),
      // With XACT_ABORT the first error ends the batch.
      run("SET XACT_ABORT ON; INSERT INTO dbo.t VALUES (1); SELECT 2", { sets: [], errors: [{ number: 2627 }] }),
    ],
  },
  {
    name: "waits with WAITFOR DELAY",
    steps: [
      rows(
        "DECLARE @start datetime2 = SYSUTCDATETIME(); WAITFOR DELAY '00:00:00.200'; SELECT CASE WHEN DATEDIFF(ms, @start, SYSUTCDATETIME()) >= 190 THEN 1 ELSE 0 END",
        [[1]],
      ),
    ],
  },
  {
    name: "gives ten thousand rows whole and in order",
    steps: [
      run("CREATE TABLE dbo.n (i int NOT NULL PRIMARY KEY, t nvarchar(20) NOT NULL)"),
      run(
        "WITH d AS (SELECT v FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) x(v)) INSERT INTO dbo.n SELECT a.v + 10 * b.v + 100 * c.v + 1000 * e.v, N'row ' + CAST(a.v AS nvarchar(2)) FROM d a, d b, d c, d e",
      ),
      rows(
        "SELECT i, t FROM dbo.n ORDER BY i",
        Array.from({ length: 10_000 }, (_, i) => [i, `row ${i % 10}`]),
      ),
    ],
  },
];
