/** Table-valued parameters: https://learn.microsoft.com/sql/relational-databases/tables/use-table-valued-parameters-database-engine */
import type { Parameter, Scenario } from "../scenario.ts";
import { int, run } from "./steps.ts";

function items(name: string, rows: (string | null)[][]): Parameter {
  const columns = [
    { name: "id", type: "int" },
    { name: "name", type: "nvarchar(50)" },
  ];
  return { name, type: "table", text: null, table: { name: "dbo.Items", columns, rows } };
}

const some = [
  ["1", "O'Brien ünï"],
  ["2", null],
  ["3", ""],
];

export const tables: Scenario[] = [
  {
    name: "passes tables to procedures and statements",
    needs: ["tables"],
    steps: [
      run("CREATE TYPE dbo.Items AS TABLE (id int NOT NULL PRIMARY KEY, name nvarchar(50) NULL)"),
      run("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, name nvarchar(50) NULL)"),
      run(
        "CREATE PROCEDURE dbo.put @items dbo.Items READONLY, @n int AS BEGIN INSERT dbo.t SELECT id + @n, name FROM @items; SELECT COUNT(*) AS stored FROM dbo.t; RETURN 5; END",
      ),
      {
        do: "call",
        procedure: "dbo.put",
        arguments: [items("items", some), int("n", 10)],
        expect: { sets: [{ columns: ["stored"], rows: [["3"]] }], returned: 5 },
      },
      {
        do: "call",
        procedure: "dbo.put",
        arguments: [items("items", []), int("n", 0)],
        expect: { sets: [{ rows: [["3"]] }], returned: 5 },
      },
      {
        do: "batch",
        sql: "SELECT t.id, i.name FROM @p1 AS i JOIN dbo.t AS t ON t.id = i.id + 10 WHERE i.id < @p2 ORDER BY t.id",
        parameters: [items("p1", some), int("p2", 3)],
        expect: {
          sets: [
            {
              columns: ["id", "name"],
              rows: [
                ["11", "O'Brien ünï"],
                ["12", null],
              ],
            },
          ],
        },
      },
    ],
  },
  {
    name: "a table that breaks its type's key is refused",
    needs: ["tables"],
    steps: [
      run("CREATE TYPE dbo.Items AS TABLE (id int NOT NULL PRIMARY KEY, name nvarchar(50) NULL)"),
      run("CREATE PROCEDURE dbo.put @items dbo.Items READONLY AS SELECT 1"),
      {
        do: "call",
        procedure: "dbo.put",
        arguments: [items("items", [...some, ["3", "again"]])],
        expect: { error: { number: 2627 } },
      },
    ],
  },
];
