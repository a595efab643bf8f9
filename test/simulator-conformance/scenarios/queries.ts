/** SELECT in all its parts. */
import type { Scenario } from "../scenario.ts";
import { rows, run } from "./steps.ts";

/** Three departments, the last without people; one person without a department. */
const people = [
  run("CREATE TABLE dbo.dept (id int NOT NULL PRIMARY KEY, name varchar(20) NOT NULL)"),
  run(
    "CREATE TABLE dbo.person (id int NOT NULL PRIMARY KEY, dept int NULL, name varchar(20) NOT NULL, pay decimal(9,2) NULL, boss int NULL)",
  ),
  run("INSERT INTO dbo.dept (id, name) VALUES (1, 'Sales'), (2, 'Works'), (3, 'Empty')"),
  run(
    "INSERT INTO dbo.person VALUES (1, 1, 'Ada', 100.00, NULL), (2, 1, 'Bob', 80.50, 1), (3, 2, 'Cy', 80.50, 1), (4, NULL, 'Di', NULL, 2)",
  ),
];

export const queries: Scenario[] = [
  {
    name: "joins tables: inner, left, right, full, cross and with itself",
    steps: [
      ...people,
      rows("SELECT p.name, d.name FROM dbo.person p JOIN dbo.dept d ON d.id = p.dept ORDER BY p.id", [
        ["Ada", "Sales"],
        ["Bob", "Sales"],
        ["Cy", "Works"],
      ]),
      rows(
        "SELECT p.name, d.name FROM dbo.person p LEFT OUTER JOIN dbo.dept d ON d.id = p.dept WHERE p.id > 2 ORDER BY p.id",
        [
          ["Cy", "Works"],
          ["Di", null],
        ],
      ),
      rows(
        "SELECT d.name, p.name FROM dbo.person p RIGHT JOIN dbo.dept d ON d.id = p.dept WHERE d.id > 1 ORDER BY d.id",
        [
          ["Works", "Cy"],
          ["Empty", null],
        ],
      ),
      rows("SELECT COUNT(*) FROM dbo.person p FULL OUTER JOIN dbo.dept d ON d.id = p.dept", [[5]]),
      rows("SELECT COUNT(*) FROM dbo.person CROSS JOIN dbo.dept", [[12]]),
      rows("SELECT a.name, b.name FROM dbo.person a, dbo.person b WHERE a.boss = b.id ORDER BY a.id", [
        ["Bob", "Ada"],
        ["Cy", "Ada"],
        ["Di", "Bob"],
      ]),
    ],
  },
  {
    name: "applies a subquery to each row",
    steps: [
      ...people,
      rows(
        "SELECT d.name, x.name FROM dbo.dept d CROSS APPLY (SELECT TOP (1) p.name FROM dbo.person p WHERE p.dept = d.id ORDER BY p.pay DESC, p.id) x ORDER BY d.id",
        [
          ["Sales", "Ada"],
          ["Works", "Cy"],
        ],
      ),
      rows(
        "SELECT d.name, x.n FROM dbo.dept d OUTER APPLY (SELECT MAX(p.name) AS n FROM dbo.person p WHERE p.dept = d.id HAVING COUNT(*) > 0) x ORDER BY d.id",
        [
          ["Sales", "Bob"],
          ["Works", "Cy"],
          ["Empty", null],
        ],
      ),
    ],
  },
  {
    name: "filters with subqueries, IN, EXISTS, BETWEEN, LIKE and three-valued logic",
    steps: [
      ...people,
      rows("SELECT id FROM dbo.person WHERE dept IN (SELECT id FROM dbo.dept WHERE name LIKE 'S%') ORDER BY id", [
        [1],
        [2],
      ]),
      rows("SELECT name FROM dbo.dept d WHERE NOT EXISTS (SELECT * FROM dbo.person p WHERE p.dept = d.id)", [
        ["Empty"],
      ]),
      rows("SELECT id FROM dbo.person WHERE pay > (SELECT AVG(pay) FROM dbo.person)", [[1]]),
      rows("SELECT id FROM dbo.person WHERE id BETWEEN 2 AND 3 ORDER BY id DESC", [[3], [2]]),
      // A NULL in the list makes NOT IN unknown for every row.
      rows("SELECT id FROM dbo.person WHERE id NOT IN (SELECT boss FROM dbo.person)", []),
      rows("SELECT id FROM dbo.person WHERE NOT (pay > 90) ORDER BY id", [[2], [3]]),
      rows("SELECT id FROM dbo.person WHERE name LIKE '[a-b]%' AND name NOT LIKE '_d_' ESCAPE '!'", [[2]]),
      rows("SELECT id FROM dbo.person WHERE pay >= ALL (SELECT pay FROM dbo.person WHERE pay IS NOT NULL)", [[1]]),
      rows("SELECT id FROM dbo.person WHERE id = ANY (SELECT boss FROM dbo.person) ORDER BY id", [[1], [2]]),
    ],
  },
  {
    name: "groups, aggregates and filters groups",
    steps: [
      ...people,
      rows(
        "SELECT dept, COUNT(*), COUNT(pay), SUM(pay), MIN(name), MAX(name) FROM dbo.person GROUP BY dept ORDER BY dept",
        [
          [null, 1, 0, null, "Di", "Di"],
          [1, 2, 2, "180.50", "Ada", "Bob"],
          [2, 1, 1, "80.50", "Cy", "Cy"],
        ],
        ["int", "int", "int", "decimal(38,2)", "varchar", "varchar"],
      ),
      rows("SELECT dept FROM dbo.person WHERE dept IS NOT NULL GROUP BY dept HAVING COUNT(*) > 1", [[1]]),
      rows("SELECT COUNT(DISTINCT pay), COUNT_BIG(*), AVG(id) FROM dbo.person", [[2, 4, 2]]),
      rows("SELECT STRING_AGG(name, ', ') WITHIN GROUP (ORDER BY name DESC) FROM dbo.person", [["Di, Cy, Bob, Ada"]]),
      rows("SELECT COUNT(*), SUM(id), MAX(name) FROM dbo.person WHERE 1 = 0", [[0, null, null]]),
      rows(
        "SELECT DISTINCT pay FROM dbo.person WHERE pay IS NOT NULL ORDER BY pay DESC",
        [["100.00"], ["80.50"]],
        ["decimal(9,2)"],
      ),
    ],
  },
  {
    name: "cuts with TOP, WITH TIES, PERCENT and OFFSET FETCH",
    steps: [
      ...people,
      rows("SELECT TOP (2) id FROM dbo.person ORDER BY id DESC", [[4], [3]]),
      rows("SELECT TOP 1 WITH TIES id FROM dbo.person WHERE pay IS NOT NULL ORDER BY pay", [[2], [3]]),
      rows("SELECT TOP (50) PERCENT id FROM dbo.person ORDER BY id", [[1], [2]]),
      rows("SELECT id FROM dbo.person ORDER BY id OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY", [[2], [3]]),
      rows("SELECT id FROM dbo.person ORDER BY id OFFSET 3 ROWS", [[4]]),
      rows("DECLARE @n int = 1; SELECT TOP (@n + 1) id FROM dbo.person ORDER BY id", [[1], [2]]),
      rows("SELECT id FROM dbo.person ORDER BY pay DESC, name ASC", [[1], [2], [3], [4]]),
    ],
  },
  {
    name: "combines queries with UNION, UNION ALL, EXCEPT and INTERSECT",
    steps: [
      rows("SELECT 1 AS n UNION SELECT 2 UNION SELECT 1 ORDER BY n", [[1], [2]]),
      rows("SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 1 ORDER BY n DESC", [[2], [1], [1]]),
      rows("SELECT n FROM (VALUES (1), (2), (3)) v(n) EXCEPT SELECT 2 ORDER BY n", [[1], [3]]),
      rows("SELECT n FROM (VALUES (1), (2), (3)) v(n) INTERSECT SELECT 2", [[2]]),
    ],
  },
  {
    name: "names queries with WITH, also one that calls itself",
    steps: [
      ...people,
      rows(
        "WITH paid AS (SELECT dept, SUM(pay) AS total FROM dbo.person GROUP BY dept), named AS (SELECT d.name, paid.total FROM paid JOIN dbo.dept d ON d.id = paid.dept) SELECT name, total FROM named ORDER BY total",
        [
          ["Works", "80.50"],
          ["Sales", "180.50"],
        ],
        ["varchar", "decimal(38,2)"],
      ),
      rows(
        "WITH chain (id, depth) AS (SELECT id, 0 FROM dbo.person WHERE boss IS NULL UNION ALL SELECT p.id, c.depth + 1 FROM dbo.person p JOIN chain c ON p.boss = c.id) SELECT id, depth FROM chain ORDER BY id",
        [
          [1, 0],
          [2, 1],
          [3, 1],
          [4, 2],
        ],
      ),
      rows(
        ";WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT COUNT(*), MAX(i) FROM n OPTION (MAXRECURSION 1000)",
        [[500, 500]],
      ),
    ],
  },
  {
    name: "numbers and ranks rows in windows",
    steps: [
      ...people,
      rows(
        "SELECT id, ROW_NUMBER() OVER (PARTITION BY dept ORDER BY id DESC), RANK() OVER (ORDER BY pay DESC), DENSE_RANK() OVER (ORDER BY pay), COUNT(*) OVER () FROM dbo.person WHERE dept IS NOT NULL ORDER BY id",
        [
          [1, 2, 1, 2, 3],
          [2, 1, 2, 1, 3],
          [3, 1, 2, 1, 3],
        ],
      ),
      rows(
        "SELECT id, SUM(id) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING), LAG(name) OVER (ORDER BY id), LEAD(id, 2, -1) OVER (ORDER BY id) FROM dbo.person ORDER BY id",
        [
          [1, 1, null, 3],
          [2, 3, "Ada", 4],
          [3, 6, "Bob", -1],
          [4, 10, "Cy", -1],
        ],
      ),
      rows(
        "SELECT name FROM (SELECT name, ROW_NUMBER() OVER (PARTITION BY dept ORDER BY pay DESC, id) AS place FROM dbo.person WHERE dept IS NOT NULL) best WHERE place = 1 ORDER BY name",
        [["Ada"], ["Cy"]],
      ),
    ],
  },
  {
    name: "decides with CASE, COALESCE, ISNULL, NULLIF, IIF and CHOOSE",
    steps: [
      ...people,
      rows(
        "SELECT CASE WHEN pay >= 100 THEN 'high' WHEN pay IS NULL THEN 'none' ELSE 'low' END, CASE dept WHEN 1 THEN 'S' WHEN 2 THEN 'W' END FROM dbo.person ORDER BY id",
        [
          ["high", "S"],
          ["low", "S"],
          ["low", "W"],
          ["none", null],
        ],
      ),
      rows(
        "SELECT COALESCE(NULL, NULL, 3), ISNULL(NULL, 'x'), NULLIF(2, 2), IIF(1 > 2, 'a', 'b'), CHOOSE(2, 'p', 'q')",
        [[3, "x", null, "b", "q"]],
      ),
      // ISNULL takes the type of its first argument, and cuts: the page on ISNULL.
      rows("DECLARE @s varchar(2) = NULL; SELECT ISNULL(@s, 'abcdef')", [["ab"]]),
    ],
  },
];
