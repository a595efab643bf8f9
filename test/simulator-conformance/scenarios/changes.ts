/** INSERT, UPDATE, DELETE, MERGE and TRUNCATE. */
import type { Scenario } from "../scenario.ts";
import { affects, rows, run } from "./steps.ts";

const table = run(
  "CREATE TABLE dbo.t (id int IDENTITY(10, 5) NOT NULL PRIMARY KEY, name varchar(20) NULL DEFAULT 'none', n int NOT NULL DEFAULT (7))",
);

export const changes: Scenario[] = [
  {
    name: "inserts values, defaults, a query's rows and an identity of one's own",
    steps: [
      table,
      affects("INSERT INTO dbo.t (name, n) VALUES ('a', 1), ('b', DEFAULT), (NULL, 3)", 3),
      affects("INSERT dbo.t DEFAULT VALUES", 1),
      rows(
        "SELECT SCOPE_IDENTITY(), @@IDENTITY, IDENT_CURRENT('dbo.t')",
        [[25, 25, 25]],
        ["decimal", "decimal", "decimal"],
      ),
      affects("INSERT INTO dbo.t (name, n) SELECT name + '2', n * 10 FROM dbo.t WHERE name IN ('a', 'b')", 2),
      run(
        "SET IDENTITY_INSERT dbo.t ON; INSERT INTO dbo.t (id, name) VALUES (100, 'own'); SET IDENTITY_INSERT dbo.t OFF",
      ),
      affects("INSERT INTO dbo.t (name) VALUES ('after')", 1),
      rows("SELECT id, name, n FROM dbo.t ORDER BY id", [
        [10, "a", 1],
        [15, "b", 7],
        [20, null, 3],
        [25, "none", 7],
        [30, "a2", 10],
        [35, "b2", 70],
        [100, "own", 7],
        [105, "after", 7],
      ]),
    ],
  },
  {
    name: "tells what it changed with OUTPUT",
    steps: [
      table,
      rows("INSERT INTO dbo.t (name) OUTPUT inserted.id, inserted.name, inserted.n VALUES ('x'), ('y')", [
        [10, "x", 7],
        [15, "y", 7],
      ]),
      rows("UPDATE dbo.t SET n = n + 1 OUTPUT deleted.n, inserted.n, inserted.name WHERE name = 'x'", [[7, 8, "x"]]),
      rows("DELETE FROM dbo.t OUTPUT deleted.* WHERE id = 15", [[15, "y", 7]]),
      run(
        "DECLARE @log TABLE (id int, n int); UPDATE dbo.t SET n = 0 OUTPUT inserted.id, deleted.n INTO @log; SELECT id, n FROM @log",
        {
          sets: [{ rows: [["10", "8"]] }],
        },
      ),
    ],
  },
  {
    name: "updates and deletes: all, some, the first, and by another table",
    steps: [
      table,
      run("CREATE TABLE dbo.other (name varchar(20) PRIMARY KEY, bonus int NOT NULL)"),
      run("INSERT INTO dbo.t (name, n) VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4)"),
      run("INSERT INTO dbo.other VALUES ('a', 100), ('c', 300)"),
      affects("UPDATE dbo.t SET n += 10", 4),
      affects("UPDATE x SET n = x.n + o.bonus FROM dbo.t AS x INNER JOIN dbo.other o ON o.name = x.name", 2),
      affects("UPDATE TOP (1) dbo.t SET name = UPPER(name) WHERE name = 'd'", 1),
      // Both sides of SET see the row as it was.
      affects("UPDATE dbo.t SET n = id, name = CONCAT(name, n) WHERE id = 15", 1),
      rows("SELECT name, n FROM dbo.t ORDER BY id", [
        ["a", 111],
        ["b12", 15],
        ["c", 313],
        ["D", 14],
      ]),
      affects("DELETE x FROM dbo.t x JOIN dbo.other o ON o.name = x.name WHERE o.bonus > 200", 1),
      affects("DELETE TOP (1) FROM dbo.t WHERE n < 100 AND id < 20", 1),
      affects("DELETE dbo.t WHERE id = 12345", 0),
      rows("SELECT name FROM dbo.t ORDER BY id", [["a"], ["D"]]),
    ],
  },
  {
    name: "merges a source: updates, inserts, deletes, and says which",
    steps: [
      run("CREATE TABLE dbo.target (id int NOT NULL PRIMARY KEY, v varchar(10) NOT NULL)"),
      run("INSERT INTO dbo.target VALUES (1, 'one'), (2, 'two'), (3, 'three')"),
      run(
        `MERGE INTO dbo.target WITH (HOLDLOCK) AS t
         USING (VALUES (2, 'TWO'), (4, 'four')) AS s (id, v) ON t.id = s.id
         WHEN MATCHED THEN UPDATE SET v = s.v
         WHEN NOT MATCHED BY TARGET THEN INSERT (id, v) VALUES (s.id, s.v)
         WHEN NOT MATCHED BY SOURCE AND t.id > 2 THEN DELETE;`,
        { affected: 3 },
      ),
      rows("SELECT id, v FROM dbo.target ORDER BY id", [
        [1, "one"],
        [2, "TWO"],
        [4, "four"],
      ]),
      rows(
        "MERGE dbo.target AS t USING (SELECT 1 AS id, 'uno' AS v) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET t.v = s.v OUTPUT $action, deleted.v, inserted.v;",
        [["UPDATE", "one", "uno"]],
      ),
    ],
  },
  {
    name: "empties a table with TRUNCATE, whose identity starts anew",
    steps: [
      table,
      run("INSERT INTO dbo.t (name) VALUES ('a'), ('b')"),
      run("TRUNCATE TABLE dbo.t"),
      rows("INSERT INTO dbo.t (name) OUTPUT inserted.id VALUES ('c')", [[10]]),
      rows("SELECT COUNT(*) FROM dbo.t", [[1]]),
    ],
  },
  {
    name: "inserts a thousand rows in one statement, and twenty thousand from a query",
    steps: [
      run("CREATE TABLE dbo.big (id int NOT NULL PRIMARY KEY, pad char(100) NOT NULL)"),
      affects(
        `INSERT INTO dbo.big VALUES ${Array.from({ length: 1000 }, (_, i) => `(${i}, 'p${i}')`).join(",")}`,
        1000,
      ),
      affects(
        "INSERT INTO dbo.big SELECT 1000 + ROW_NUMBER() OVER (ORDER BY a.id, b.id) - 1, a.pad FROM dbo.big a CROSS JOIN (SELECT TOP (20) id FROM dbo.big ORDER BY id) b",
        20_000,
      ),
      rows("SELECT COUNT(*), MIN(id), MAX(id), SUM(CAST(id AS bigint)) FROM dbo.big", [
        [21_000, 0, 20_999, 220_489_500],
      ]),
      rows("SELECT id, RTRIM(pad) FROM dbo.big WHERE id IN (0, 999)", [
        [0, "p0"],
        [999, "p999"],
      ]),
    ],
  },
];
