/**
 * Errors as the reader of a client meets them. Numbers, severities and texts:
 * https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
 */
import type { Scenario } from "../scenario.ts";
import { fails, rows, run } from "./steps.ts";

export const errors: Scenario[] = [
  {
    name: "a wrong password is error 18456",
    login: { password: "wrong" },
    refused: { number: 18456, severity: 14, state: 1, message: /Login failed for user 'sa'\.$/ },
    steps: [],
  },
  {
    name: "an unknown login is error 18456",
    login: { user: "nobody" },
    refused: { number: 18456, message: /Login failed for user 'nobody'\.$/ },
    steps: [],
  },
  {
    name: "names that are not there",
    steps: [
      fails("SELECT *\nFROM dbo.nothing", 208, {
        severity: 16,
        state: 1,
        message: "Invalid object name 'dbo.nothing'.",
      }),
      run("CREATE TABLE dbo.t (id int NOT NULL)"),
      fails("SELECT id, missing FROM dbo.t", 207, {
        severity: 16,
        state: 1,
        message: "Invalid column name 'missing'.",
      }),
      fails("SELECT x.id FROM dbo.t", 4104, { message: 'The multi-part identifier "x.id" could not be bound.' }),
      fails("EXEC dbo.no_such_procedure", 2812, {
        severity: 16,
        state: 62,
        message: "Could not find stored procedure 'dbo.no_such_procedure'.",
      }),
      fails("SELECT no_such_function(1)", 195, {
        message: "'no_such_function' is not a recognized built-in function name.",
      }),
      fails("SELECT id FROM dbo.t a JOIN dbo.t b ON a.id = b.id", 209, { message: "Ambiguous column name 'id'." }),
      // The session goes on.
      rows("SELECT 1", [[1]]),
    ],
  },
  {
    name: "constraints that are violated",
    steps: [
      run("CREATE TABLE dbo.t (id int NOT NULL CONSTRAINT PK_t PRIMARY KEY, name varchar(3) NOT NULL)"),
      run("INSERT INTO dbo.t VALUES (1, 'a')"),
      fails("\n\nINSERT INTO dbo.t VALUES (1, 'b')", 2627, {
        severity: 14,
        state: 1,
        line: 3,
        message:
          "Violation of PRIMARY KEY constraint 'PK_t'. Cannot insert duplicate key in object 'dbo.t'. The duplicate key value is (1).",
      }),
      fails("INSERT INTO dbo.t (id) VALUES (2)", 515, {
        severity: 16,
        state: 2,
        message:
          /^Cannot insert the value NULL into column 'name', table 'Play\d+\.dbo\.t'; column does not allow nulls\. INSERT fails\.$/,
      }),
      fails("INSERT INTO dbo.t VALUES (2, 'abcd')", 2628, {
        severity: 16,
        message:
          /^String or binary data would be truncated in table 'Play\d+\.dbo\.t', column 'name'\. Truncated value: 'abc'\.$/,
      }),
      fails("INSERT INTO dbo.t VALUES (2)", 213, {
        message: "Column name or number of supplied values does not match table definition.",
      }),
      rows("SELECT COUNT(*) FROM dbo.t", [[1]]),
    ],
  },
  {
    name: "values that do not fit or do not convert",
    steps: [
      fails("DECLARE @x int = 1 / 0", 8134, { severity: 16, state: 1, message: "Divide by zero error encountered." }),
      fails("SELECT CAST('abc' AS int)", 245, {
        severity: 16,
        state: 1,
        message: "Conversion failed when converting the varchar value 'abc' to data type int.",
      }),
      fails("SELECT CAST('2026-02-30' AS date)", 241, {
        message: "Conversion failed when converting date and/or time from character string.",
      }),
      fails("SELECT CAST('1900-02-30' AS datetime)", 242, {
        message: "The conversion of a varchar data type to a datetime data type resulted in an out-of-range value.",
      }),
      fails("SELECT CAST(300 AS tinyint)", 220, {
        message: "Arithmetic overflow error for data type tinyint, value = 300.",
      }),
      fails("DECLARE @x int = 2147483647; SET @x = @x + 1", 8115, {
        message: "Arithmetic overflow error converting expression to data type int.",
      }),
      fails("SELECT CAST(1000 AS decimal(4,2))", 8115, {
        message: "Arithmetic overflow error converting int to data type numeric.",
      }),
      fails("SELECT CAST('not a guid' AS uniqueidentifier)", 8169, {
        message: "Conversion failed when converting from a character string to uniqueidentifier.",
      }),
    ],
  },
  {
    name: "syntax that is wrong",
    steps: [
      // A batch may begin with a procedure's name without EXEC.
      fails("SELEC", 2812, { message: "Could not find stored procedure 'SELEC'." }),
      fails("SELECT 1 FROM", 102, { severity: 15, state: 1, message: "Incorrect syntax near 'FROM'." }),
      fails("SELECT 1\nFROM WHERE 1 = 1", 156, {
        severity: 15,
        state: 1,
        line: 2,
        message: "Incorrect syntax near the keyword 'WHERE'.",
      }),
      // Nothing of a batch that does not parse is run.
      run("CREATE TABLE dbo.t (id int)"),
      fails("INSERT INTO dbo.t VALUES (1); SELECT 1 FROM", 102),
      rows("SELECT COUNT(*) FROM dbo.t", [[0]]),
    ],
  },
];
