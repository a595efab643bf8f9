/** User-defined functions, sequences, synonyms; rows changed through queries; groups of groups. */
import type { Scenario } from "../scenario.ts";
import { affects, fails, rows, run } from "./steps.ts";

export const modules: Scenario[] = [
  {
    name: "calls functions that users made",
    steps: [
      run("CREATE TABLE dbo.item (id int NOT NULL PRIMARY KEY, parent int NULL)"),
      run("INSERT INTO dbo.item VALUES (1, NULL), (2, 1), (3, 1), (4, 2)"),
      run(
        "CREATE FUNCTION dbo.depth (@id int) RETURNS int AS BEGIN DECLARE @parent int = (SELECT parent FROM dbo.item WHERE id = @id); RETURN CASE WHEN @parent IS NULL THEN 0 ELSE dbo.depth(@parent) + 1 END END",
      ),
      run(
        "CREATE FUNCTION dbo.children (@id int) RETURNS TABLE AS RETURN (SELECT id FROM dbo.item WHERE parent = @id)",
      ),
      run(
        "CREATE FUNCTION dbo.squares (@n int) RETURNS @t TABLE (n int NOT NULL, sq int NOT NULL) AS BEGIN DECLARE @i int = 1; WHILE @i <= @n BEGIN INSERT @t VALUES (@i, @i * @i); SET @i += 1 END; RETURN END",
      ),
      rows(
        "SELECT id, dbo.depth(id) FROM dbo.item ORDER BY id",
        [
          [1, 0],
          [2, 1],
          [3, 1],
          [4, 2],
        ],
        ["int", "int"],
      ),
      rows("SELECT i.id, c.id FROM dbo.item i OUTER APPLY dbo.children(i.id) c WHERE i.id < 3 ORDER BY 1, 2", [
        [1, 2],
        [1, 3],
        [2, 4],
      ]),
      rows("SELECT n, sq FROM dbo.squares(3)", [
        [1, 1],
        [2, 4],
        [3, 9],
      ]),
      fails("SELECT dbo.depth()", 313),
      fails("CREATE FUNCTION dbo.bad () RETURNS int AS BEGIN DELETE dbo.item; RETURN 1 END", 443),
    ],
  },
  {
    name: "takes numbers of a sequence, and reaches a table by a synonym",
    steps: [
      run("CREATE SEQUENCE dbo.numbers AS int START WITH 5 INCREMENT BY 5"),
      run(
        "CREATE TABLE dbo.ticket (id int NOT NULL DEFAULT (NEXT VALUE FOR dbo.numbers), holder varchar(10) NOT NULL)",
      ),
      run("CREATE SYNONYM dbo.tickets FOR dbo.ticket"),
      affects("INSERT INTO dbo.tickets (holder) VALUES ('a'), ('b')", 2),
      rows("SELECT id, holder FROM dbo.tickets ORDER BY id", [
        [5, "a"],
        [10, "b"],
      ]),
      rows("SELECT NEXT VALUE FOR dbo.numbers", [[15]], ["int"]),
    ],
  },
  {
    name: "changes rows through common table expressions and views",
    steps: [
      run("CREATE TABLE dbo.job (id int NOT NULL PRIMARY KEY, kind varchar(5) NOT NULL, done bit NOT NULL DEFAULT 0)"),
      run("INSERT INTO dbo.job (id, kind) VALUES (1, 'a'), (2, 'a'), (3, 'b'), (4, 'b')"),
      rows(
        "WITH next AS (SELECT TOP (1) id, done FROM dbo.job WITH (UPDLOCK, READPAST) WHERE done = 0 ORDER BY id) UPDATE next SET done = 1 OUTPUT inserted.id",
        [[1]],
      ),
      affects(
        "WITH numbered AS (SELECT ROW_NUMBER() OVER (PARTITION BY kind ORDER BY id) AS n FROM dbo.job) DELETE FROM numbered WHERE n > 1",
        2,
      ),
      run("CREATE VIEW dbo.waiting AS SELECT id, kind, done FROM dbo.job WHERE done = 0 WITH CHECK OPTION"),
      affects("INSERT INTO dbo.waiting (id, kind) VALUES (9, 'c')", 1),
      fails("UPDATE dbo.waiting SET done = 1 WHERE id = 9", 550),
      rows("SELECT id FROM dbo.job ORDER BY id", [[1], [3], [9]]),
    ],
  },
  {
    name: "groups by several sets, and turns rows into columns",
    steps: [
      run("CREATE TABLE dbo.sale (region varchar(5) NOT NULL, quarter char(2) NOT NULL, amount int NOT NULL)"),
      run("INSERT INTO dbo.sale VALUES ('north', 'q1', 1), ('north', 'q2', 2), ('south', 'q1', 4)"),
      rows(
        "SELECT region, quarter, SUM(amount), GROUPING_ID(region, quarter) FROM dbo.sale GROUP BY ROLLUP (region, quarter) ORDER BY 4, 1, 2",
        [
          ["north", "q1", 1, 0],
          ["north", "q2", 2, 0],
          ["south", "q1", 4, 0],
          ["north", null, 3, 1],
          ["south", null, 4, 1],
          [null, null, 7, 3],
        ],
      ),
      rows("SELECT region, q1, q2 FROM dbo.sale PIVOT (SUM(amount) FOR quarter IN (q1, q2)) AS p ORDER BY region", [
        ["north", 1, 2],
        ["south", 4, null],
      ]),
      rows("SELECT n, v FROM (SELECT 1 AS a, 2 AS b) x UNPIVOT (v FOR n IN (a, b)) u", [
        ["a", 1],
        ["b", 2],
      ]),
    ],
  },
];
