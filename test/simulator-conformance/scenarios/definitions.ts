/** CREATE, ALTER and DROP, and what the catalogue then says. */
import type { Scenario } from "../scenario.ts";
import { fails, rows, run } from "./steps.ts";

export const definitions: Scenario[] = [
  {
    name: "creates a table with keys, defaults, checks and a computed column in a schema of its own",
    steps: [
      run("CREATE SCHEMA sales"),
      run(
        "CREATE TABLE sales.Customer (id int NOT NULL CONSTRAINT PK_Customer PRIMARY KEY CLUSTERED, name nvarchar(50) NOT NULL)",
      ),
      run(
        `CREATE TABLE sales.[Order Line] (
           order_id int NOT NULL,
           line smallint NOT NULL,
           customer int NOT NULL CONSTRAINT FK_Line_Customer REFERENCES sales.Customer (id),
           price decimal(9, 2) NOT NULL CONSTRAINT CK_price CHECK (price >= 0),
           pieces int NOT NULL CONSTRAINT DF_pieces DEFAULT (1),
           total AS price * pieces,
           made datetime2(3) NOT NULL DEFAULT SYSUTCDATETIME(),
           CONSTRAINT [PK Order Line] PRIMARY KEY (order_id, line),
           CONSTRAINT UQ_Line UNIQUE (customer, order_id)
         )`,
      ),
      run("INSERT INTO sales.Customer VALUES (1, N'Ünal')"),
      run("INSERT INTO sales.[Order Line] (order_id, line, customer, price, pieces) VALUES (1, 1, 1, 2.50, 4)"),
      rows(
        "SELECT total, DATEDIFF(day, made, SYSUTCDATETIME()) FROM sales.[Order Line]",
        [["10.00", 0]],
        ["decimal(20,2)", "int"],
      ),
      fails("INSERT INTO sales.[Order Line] (order_id, line, customer, price) VALUES (1, 2, 9, 1)", 547, {
        severity: 16,
        message: /FK_Line_Customer/,
      }),
      fails("INSERT INTO sales.[Order Line] (order_id, line, customer, price) VALUES (2, 1, 1, -1)", 547, {
        message: /CK_price/,
      }),
      fails("INSERT INTO sales.[Order Line] (order_id, line, customer, price) VALUES (1, 3, 1, 1)", 2627, {
        message: /UQ_Line/,
      }),
      rows(
        "SELECT s.name, t.name, t.type, t.is_tracked_by_cdc FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id ORDER BY t.name",
        [
          ["sales", "Customer", "U ", 0],
          ["sales", "Order Line", "U ", 0],
        ],
      ),
      rows(
        "SELECT c.name, TYPE_NAME(c.user_type_id), c.max_length, c.precision, c.scale, c.is_nullable, c.is_computed FROM sys.columns c WHERE c.object_id = OBJECT_ID(N'sales.[Order Line]') AND c.column_id BETWEEN 4 AND 7 ORDER BY c.column_id",
        [
          ["price", "decimal", 5, 9, 2, 0, 0],
          ["pieces", "int", 4, 10, 0, 0, 0],
          ["total", "decimal", 13, 20, 2, 1, 1],
          ["made", "datetime2", 7, 23, 3, 0, 0],
        ],
      ),
      rows(
        "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH, ORDINAL_POSITION FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'sales' AND TABLE_NAME = 'Customer' ORDER BY ORDINAL_POSITION",
        [
          ["id", "int", "NO", null, 1],
          ["name", "nvarchar", "NO", 50, 2],
        ],
      ),
      rows(
        "SELECT i.name, c.name, ic.key_ordinal, i.is_primary_key, i.type_desc FROM sys.indexes i JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id WHERE i.object_id = OBJECT_ID('sales.[Order Line]') ORDER BY i.index_id, ic.key_ordinal",
        [
          ["PK Order Line", "order_id", 1, 1, "CLUSTERED"],
          ["PK Order Line", "line", 2, 1, "CLUSTERED"],
          ["UQ_Line", "customer", 1, 0, "NONCLUSTERED"],
          ["UQ_Line", "order_id", 2, 0, "NONCLUSTERED"],
        ],
      ),
    ],
  },
  {
    name: "alters a table: adds, widens, drops columns and constraints",
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL, name varchar(3) NOT NULL)"),
      run("INSERT INTO dbo.t VALUES (1, 'abc')"),
      run("ALTER TABLE dbo.t ADD extra int NULL, flag bit NOT NULL CONSTRAINT DF_flag DEFAULT 1"),
      run("ALTER TABLE dbo.t ALTER COLUMN name nvarchar(20) NOT NULL"),
      run("ALTER TABLE dbo.t ADD CONSTRAINT PK_t PRIMARY KEY (id)"),
      run("INSERT INTO dbo.t (id, name, extra) VALUES (2, N'日本語日本語', 5)"),
      rows("SELECT * FROM dbo.t ORDER BY id", [
        [1, "abc", null, 1],
        [2, "日本語日本語", 5, 1],
      ]),
      fails("ALTER TABLE dbo.t DROP COLUMN flag", 5074),
      run("ALTER TABLE dbo.t DROP CONSTRAINT DF_flag; ALTER TABLE dbo.t DROP COLUMN flag, extra"),
      rows("SELECT * FROM dbo.t WHERE id = 1", [[1, "abc"]]),
      run("EXEC sp_rename 'dbo.t.name', 'label', 'COLUMN'"),
      rows("SELECT label FROM dbo.t WHERE id = 1", [["abc"]]),
      run("CREATE UNIQUE NONCLUSTERED INDEX IX_label ON dbo.t (label DESC) INCLUDE (id)"),
      fails("INSERT INTO dbo.t VALUES (3, N'abc')", 2601, { severity: 14, state: 1, message: /IX_label/ }),
      run("DROP INDEX IX_label ON dbo.t"),
      run("INSERT INTO dbo.t VALUES (3, N'abc')"),
    ],
  },
  {
    name: "drops what is there, and says so where it is not",
    steps: [
      run("CREATE TABLE dbo.t (id int)"),
      fails("CREATE TABLE dbo.t (id int)", 2714, {
        severity: 16,
        state: 6,
        message: "There is already an object named 't' in the database.",
      }),
      run("DROP TABLE dbo.t"),
      fails("DROP TABLE dbo.t", 3701, {
        message: "Cannot drop the table 'dbo.t', because it does not exist or you do not have permission.",
      }),
      run("DROP TABLE IF EXISTS dbo.t"),
      run("IF OBJECT_ID(N'dbo.t', N'U') IS NULL CREATE TABLE dbo.t (id int)"),
      rows("SELECT OBJECT_NAME(OBJECT_ID('dbo.t')), OBJECT_SCHEMA_NAME(OBJECT_ID('dbo.t'))", [["t", "dbo"]]),
    ],
  },
  {
    name: "keeps temporary tables to the session, and table variables to the batch",
    steps: [
      run("CREATE TABLE #mine (id int PRIMARY KEY, v varchar(5))"),
      run("INSERT INTO #mine VALUES (1, 'a')"),
      run("SELECT id, v INTO #copy FROM #mine"),
      rows("SELECT m.v, c.id FROM #mine m JOIN #copy c ON c.id = m.id", [["a", 1]]),
      rows("SELECT CASE WHEN OBJECT_ID('tempdb..#mine') IS NOT NULL THEN 1 ELSE 0 END", [[1]]),
      run("DROP TABLE #mine, #copy"),
      fails("SELECT * FROM #mine", 208, { message: "Invalid object name '#mine'." }),
      rows(
        "DECLARE @t TABLE (id int IDENTITY PRIMARY KEY, v int); INSERT @t (v) VALUES (5), (6); SELECT id, v FROM @t ORDER BY id",
        [
          [1, 5],
          [2, 6],
        ],
      ),
      fails("SELECT * FROM @t", 1087, { message: 'Must declare the table variable "@t".' }),
    ],
  },
  {
    name: "creates a database, goes there, reaches back by three-part names, and drops it",
    steps: [
      run("DECLARE @name sysname = DB_NAME() + N'_other'; EXEC (N'CREATE DATABASE [' + @name + N']')"),
      rows(
        "SELECT COUNT(*) FROM sys.databases WHERE name = DB_NAME() + '_other' AND is_cdc_enabled = 0 AND state_desc = 'ONLINE'",
        [[1]],
      ),
      run("CREATE TABLE dbo.here (id int); INSERT INTO dbo.here VALUES (42)"),
      run(
        "DECLARE @here sysname = DB_NAME(); EXEC (N'USE [' + @here + N'_other]; CREATE TABLE dbo.there (id int); INSERT INTO dbo.there SELECT id + 1 FROM [' + @here + N'].dbo.here')",
      ),
      rows("DECLARE @s nvarchar(200) = N'SELECT id FROM [' + DB_NAME() + N'_other].dbo.there'; EXEC sp_executesql @s", [
        [43],
      ]),
      run("DECLARE @drop nvarchar(200) = N'DROP DATABASE [' + DB_NAME() + N'_other]'; EXEC (@drop)"),
      rows("SELECT COUNT(*) FROM sys.databases WHERE name = DB_NAME() + '_other'", [[0]]),
      run("USE master"),
      rows("SELECT DB_NAME()", [["master"]]),
      fails("USE nowhere", 911, {
        severity: 16,
        state: 1,
        message: "Database 'nowhere' does not exist. Make sure that the name is entered correctly.",
      }),
    ],
  },
];
