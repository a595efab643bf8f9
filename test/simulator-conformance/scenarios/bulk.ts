/** Bulk copy: https://learn.microsoft.com/sql/relational-databases/import-export/bulk-import-and-export-of-data-sql-server */
import type { Scenario } from "../scenario.ts";
import { rows, run } from "./steps.ts";

const columns = [
  { name: "id", type: "int" },
  { name: "name", type: "nvarchar(50)" },
];

export const bulk: Scenario[] = [
  {
    name: "copies rows in bulk, each value as it was sent",
    needs: ["bulk"],
    steps: [
      run(
        "CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, name nvarchar(50) NULL, price decimal(10,2) NULL, at datetime NULL, flag bit NULL)",
      ),
      {
        do: "bulk",
        table: "dbo.t",
        columns: [
          ...columns,
          { name: "price", type: "decimal(10,2)" },
          { name: "at", type: "datetime" },
          { name: "flag", type: "bit" },
        ],
        rows: [
          ["1", "O'Brien ünï", "12.25", "2024-02-29T12:34:56.000", "1"],
          ["2", null, null, null, null],
          ["3", "plain", "-0.50", "1753-01-01T00:00:00.000", "0"],
        ],
        expect: { affected: 3 },
      },
      rows(
        "SELECT id, name, CAST(price AS varchar(20)), CONVERT(varchar(30), at, 126), CAST(flag AS int) FROM dbo.t ORDER BY id",
        [
          [1, "O'Brien ünï", "12.25", "2024-02-29T12:34:56", 1],
          [2, null, null, null, null],
          [3, "plain", "-0.50", "1753-01-01T00:00:00", 0],
        ],
      ),
    ],
  },
  {
    name: "copies thousands of rows in bulk, which CDC captures",
    needs: ["bulk"],
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, name nvarchar(50) NULL)"),
      run("EXEC sys.sp_cdc_enable_db"),
      run("EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N't', @role_name = NULL"),
      {
        do: "bulk",
        table: "dbo.t",
        columns,
        rows: Array.from({ length: 3000 }, (_, i) => [String(i), `name ${i}`]),
        expect: { affected: 3000 },
      },
      rows("SELECT COUNT(*), SUM(id), MAX(name) FROM dbo.t", [[3000, 4498500, "name 999"]]),
      rows("SELECT COUNT(*), COUNT(DISTINCT [__$operation]), MIN([__$operation]) FROM cdc.dbo_t_CT", [[3000, 1, 2]]),
    ],
  },
  {
    name: "a bulk copy that breaks a key changes nothing",
    needs: ["bulk"],
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL CONSTRAINT PK_t PRIMARY KEY, name nvarchar(50) NULL)"),
      {
        do: "bulk",
        table: "dbo.t",
        columns,
        rows: [
          ["1", "one"],
          ["1", "again"],
        ],
        expect: { error: { number: 2627, message: /PK_t/ } },
      },
      rows("SELECT COUNT(*) FROM dbo.t", [[0]]),
    ],
  },
  {
    name: "bulk copy takes defaults for NULL and passes constraints over, unless told otherwise",
    needs: ["bulk options"],
    steps: [
      run("CREATE TABLE dbo.t (id int NULL CONSTRAINT CK_t CHECK (id > 0), name nvarchar(50) NULL DEFAULT N'none')"),
      { do: "bulk", table: "dbo.t", columns, rows: [["-1", null]], expect: { affected: 1 } },
      {
        do: "bulk",
        table: "dbo.t",
        columns,
        rows: [["2", null]],
        options: ["KEEP_NULLS", "CHECK_CONSTRAINTS", "TABLOCK"],
        expect: { affected: 1 },
      },
      {
        do: "bulk",
        table: "dbo.t",
        columns,
        rows: [["-3", null]],
        options: ["CHECK_CONSTRAINTS"],
        expect: { error: { number: 547, message: /CK_t/ } },
      },
      rows("SELECT id, name FROM dbo.t ORDER BY id", [
        [-1, "none"],
        [2, null],
      ]),
    ],
  },
];
