/** What a client asks other than by plain batches: parameters, prepared statements, procedures, cancelling. */
import type { Scenario } from "../scenario.ts";
import { fails, int, nvarchar, rows, run } from "./steps.ts";

/** "NOWAIT: Sends messages immediately to the client": https://learn.microsoft.com/sql/t-sql/language-elements/raiserror-transact-sql */
const BEGUN = "RAISERROR (N'it has begun', 0, 1) WITH NOWAIT;";

export const requests: Scenario[] = [
  {
    name: "sends several parameters with a statement that changes rows",
    needs: ["parameters"],
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL CONSTRAINT PK_t PRIMARY KEY, name nvarchar(100) NULL)"),
      {
        do: "batch",
        sql: "INSERT INTO dbo.t (id, name) VALUES (@p1, @p2)",
        parameters: [int("p1", 1), nvarchar("p2", "O'Brien ünï 😀")],
        expect: { affected: 1 },
      },
      {
        do: "batch",
        sql: "INSERT INTO dbo.t (id, name) VALUES (@p1, @p2)",
        parameters: [int("p1", 2), nvarchar("p2", null)],
        expect: { affected: 1 },
      },
      {
        do: "batch",
        sql: "UPDATE dbo.t SET name = @p1 WHERE id >= @p2",
        parameters: [nvarchar("p1", "same"), int("p2", 2)],
        expect: { affected: 1 },
      },
      {
        do: "batch",
        sql: "SELECT id, name FROM dbo.t WHERE name = @p1 OR id = @p2 ORDER BY id",
        parameters: [nvarchar("p1", "O'Brien ünï 😀"), int("p2", 2)],
        expect: {
          sets: [
            {
              columns: ["id", "name"],
              rows: [
                ["1", "O'Brien ünï 😀"],
                ["2", "same"],
              ],
            },
          ],
        },
      },
      {
        do: "batch",
        sql: "INSERT INTO dbo.t (id) VALUES (@p1)",
        parameters: [int("p1", 1)],
        expect: { error: { number: 2627, severity: 14, message: /PK_t/ } },
      },
      {
        do: "batch",
        sql: "SELECT TOP (@p1) id FROM dbo.t WHERE id > @p2 ORDER BY id",
        parameters: [int("p1", 1), int("p2", 0)],
        expect: { sets: [{ rows: [["1"]] }] },
      },
    ],
  },
  {
    name: "sends NULL for what is no text",
    needs: ["parameters"],
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL, data varbinary(20) NULL, at datetime2 NULL)"),
      {
        do: "batch",
        sql: "INSERT INTO dbo.t (id, data, at) VALUES (@p1, @p2, @p3)",
        parameters: [
          int("p1", 1),
          { name: "p2", type: "varbinary(20)", text: null },
          { name: "p3", type: "datetime2(7)", text: null },
        ],
        expect: { affected: 1 },
      },
      {
        do: "batch",
        sql: "UPDATE dbo.t SET data = @p1 WHERE id = @p2",
        parameters: [{ name: "p1", type: "varbinary(20)", text: null }, int("p2", 1)],
        expect: { affected: 1 },
      },
      rows("SELECT id, data, at FROM dbo.t", [[1, null, null]]),
    ],
  },
  {
    name: "tells the types of a statement's parameters",
    needs: ["describe"],
    steps: [
      run(
        "CREATE TABLE dbo.t (id int NOT NULL, name nvarchar(50), price decimal(10, 2), at datetime2(3), data varbinary(max))",
      ),
      {
        do: "describe",
        sql: "INSERT INTO dbo.t (id, name, price, at, data) VALUES (@p1, @p2, @p3, @p4, @p5)",
        expect: {
          sets: [
            {
              rows: [
                ["int", "10", "0"],
                ["nvarchar", "50", "0"],
                ["decimal", "10", "2"],
                ["datetime2", "23", "3"],
                ["varbinary", "2147483647", "0"],
              ],
            },
          ],
        },
      },
      {
        do: "describe",
        sql: "SELECT TOP (@p1) name FROM dbo.t WHERE price > @p2 AND name LIKE @p3",
        expect: {
          sets: [
            {
              rows: [
                ["bigint", "19", "0"],
                ["numeric", "38", "19"],
                ["nvarchar", "4000", "0"],
              ],
            },
          ],
        },
      },
    ],
  },
  {
    name: "prepares a statement once and runs it often",
    needs: ["prepared"],
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, name nvarchar(100) NULL)"),
      {
        do: "prepared",
        sql: "INSERT INTO dbo.t (id, name) VALUES (@p1, @p2)",
        runs: Array.from({ length: 20 }, (_, i) => ({
          parameters: [int("p1", i), nvarchar("p2", i % 5 === 0 ? null : `name ${i}`)],
          expect: { affected: 1 },
        })),
      },
      {
        do: "prepared",
        sql: "SELECT name FROM dbo.t WHERE id = @p1",
        runs: [3, 5, 99].map((id) => ({
          parameters: [int("p1", id)],
          expect: { sets: [{ columns: ["name"], rows: id === 99 ? [] : [[id === 5 ? null : `name ${id}`]] }] },
        })),
      },
      rows("SELECT COUNT(*), COUNT(name), SUM(id) FROM dbo.t", [[20, 16, 190]]),
    ],
  },
  {
    name: "calls procedures with parameters in and out, and reads their return status",
    needs: ["calls"],
    steps: [
      run(
        "CREATE PROCEDURE dbo.twice @n int, @label nvarchar(100) = N'none', @out int OUTPUT AS BEGIN SELECT @label AS label; SET @out = @n * 2; RETURN 7; END",
      ),
      {
        do: "call",
        procedure: "dbo.twice",
        arguments: [int("n", 21), nvarchar("label", "ünï"), { ...int("out", null), output: true }],
        expect: { sets: [{ columns: ["label"], rows: [["ünï"]] }], outputs: { out: "42" }, returned: 7 },
      },
      {
        do: "call",
        procedure: "sp_getapplock",
        arguments: [
          nvarchar("Resource", "conformance"),
          { name: "LockMode", type: "varchar(32)", text: "Exclusive" },
          { name: "LockOwner", type: "varchar(32)", text: "Session" },
          int("LockTimeout", 0),
        ],
        expect: { returned: 0 },
      },
      rows("SELECT APPLOCK_MODE('public', 'conformance', 'Session')", [["Exclusive"]]),
      {
        do: "call",
        procedure: "sp_releaseapplock",
        arguments: [nvarchar("Resource", "conformance"), { name: "LockOwner", type: "varchar(32)", text: "Session" }],
        expect: { returned: 0 },
      },
    ],
  },
  {
    name: "cancels a statement that waits, and uses the connection again",
    needs: ["cancel"],
    steps: [
      { do: "cancel", sql: `${BEGUN} WAITFOR DELAY '00:01:00'` },
      rows("SELECT 1", [[1]]),
      { do: "cancel", sql: `${BEGUN} WAITFOR DELAY '00:01:00'` },
      rows("SELECT DB_NAME()", [[(seen) => seen?.startsWith("Play") === true]]),
    ],
  },
  {
    name: "cancels in the middle of a result",
    needs: ["cancel rows"],
    steps: [
      {
        do: "cancel",
        sql: "WITH d AS (SELECT v FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) x(v)) SELECT a.v FROM d a, d b, d c, d e, d f, d g, d h, d i, d j, d k",
      },
      rows("SELECT 1", [[1]]),
    ],
  },
  {
    name: "cancels a loop",
    needs: ["cancel"],
    steps: [{ do: "cancel", sql: `${BEGUN} WHILE 1 = 1 WAITFOR DELAY '00:00:00.010'` }, rows("SELECT 2", [[2]])],
  },
  {
    name: "a cancelled statement leaves its transaction open, and what it did undone",
    needs: ["cancel"],
    steps: [
      run("CREATE TABLE dbo.t (id int)"),
      run("BEGIN TRAN; INSERT INTO dbo.t VALUES (1)"),
      { do: "cancel", sql: `${BEGUN} WAITFOR DELAY '00:01:00'` },
      rows("SELECT @@TRANCOUNT, COUNT(*) FROM dbo.t", [[1, 1]]),
      run("ROLLBACK"),
      rows("SELECT @@TRANCOUNT, COUNT(*) FROM dbo.t", [[0, 0]]),
    ],
  },
  {
    name: "cursors walk through a result",
    steps: [
      rows(
        `DECLARE @n int, @sum int = 0;
         DECLARE c CURSOR LOCAL FAST_FORWARD FOR SELECT v FROM (VALUES (1), (2), (4)) x(v);
         OPEN c;
         FETCH NEXT FROM c INTO @n;
         WHILE @@FETCH_STATUS = 0
         BEGIN
           SET @sum += @n;
           FETCH NEXT FROM c INTO @n;
         END;
         CLOSE c;
         DEALLOCATE c;
         SELECT @sum`,
        [[7]],
      ),
    ],
  },
  {
    name: "procedures and views of one's own",
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, n int NOT NULL)"),
      run("CREATE VIEW dbo.big AS SELECT id, n * 2 AS doubled FROM dbo.t WHERE n > 1"),
      run("INSERT INTO dbo.t VALUES (1, 1), (2, 2)"),
      rows("SELECT id, doubled FROM dbo.big", [[2, 4]]),
      run(
        "CREATE PROCEDURE dbo.add_row @id int, @n int = 5 AS SET NOCOUNT ON; INSERT INTO dbo.t VALUES (@id, @n); SELECT COUNT(*) AS n FROM dbo.t",
      ),
      rows("EXEC dbo.add_row 3", [[3]]),
      rows("EXEC dbo.add_row @n = 9, @id = 4", [[4]]),
      fails("EXEC dbo.add_row", 201, {
        message: "Procedure or function 'add_row' expects parameter '@id', which was not supplied.",
      }),
      run("DROP PROCEDURE dbo.add_row; DROP VIEW dbo.big"),
    ],
  },
];
