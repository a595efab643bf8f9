import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parseBatch,
  parseExpression,
  parseParameterDeclarations,
  SqlSyntaxError,
} from "../../../simulator/sql/parser.ts";

function error(text: string, parse: (text: string) => unknown = parseBatch): SqlSyntaxError {
  try {
    parse(text);
  } catch (thrown) {
    if (thrown instanceof SqlSyntaxError) return thrown;
    throw thrown;
  }
  throw new Error(`parsed: ${text}`);
}

function brief(text: string, parse?: (text: string) => unknown): string {
  const { number, line, message, severity } = error(text, parse);
  assert.equal(severity, 15);
  return `${number} at ${line}: ${message}`;
}

test("102 names the token that does not fit, 156 a reserved word, on its line", () => {
  assert.equal(brief("SELECT 1\nSELEC 2"), "102 at 2: Incorrect syntax near '2'.");
  assert.equal(brief("SELECT 1;\nfrobnicate the table"), "102 at 2: Incorrect syntax near 'frobnicate'.");
  assert.equal(brief("SELECT *\n\nFORM t WHERE"), "102 at 3: Incorrect syntax near 'FORM'.");
  assert.equal(brief("SELECT from t"), "156 at 1: Incorrect syntax near the keyword 'from'.");
  assert.equal(brief("SELECT a FROM table"), "156 at 1: Incorrect syntax near the keyword 'table'.");
  assert.equal(brief("SELECT (1 = 1)"), "102 at 1: Incorrect syntax near '='.");
  assert.equal(brief("SELECT * FROM (SELECT 1 a)"), "102 at 1: Incorrect syntax near ')'.");
  assert.equal(brief("BEGIN END"), "156 at 1: Incorrect syntax near the keyword 'END'.");
  assert.equal(brief("SELECT 1 END"), "156 at 1: Incorrect syntax near the keyword 'END'.");
});

test("a text that ends too early is blamed on its last token", () => {
  assert.equal(brief("SELECT * FROM\n"), "102 at 1: Incorrect syntax near 'FROM'.");
  assert.equal(brief("BEGIN\nSELECT 1"), "102 at 2: Incorrect syntax near '1'.");
  assert.equal(brief("SELECT (1 + 'abc'"), "102 at 1: Incorrect syntax near 'abc'.");
});

test("105 and 113: a string, a name or a comment without its end, on the line where it began", () => {
  assert.equal(
    brief("SELECT 1\nPRINT 'it''s\nopen"),
    "105 at 2: Unclosed quotation mark after the character string 'it's\nopen'.",
  );
  assert.equal(brief("SELECT [a"), "105 at 1: Unclosed quotation mark after the character string 'a'.");
  assert.equal(brief("\n/* a /* b */"), "113 at 2: Missing end comment mark '*/'.");
});

test("319 and 336: WITH needs a semicolon before it", () => {
  assert.match(
    brief("SELECT 1 WITH c AS (SELECT 1 a) SELECT * FROM c"),
    /^319 at 1: Incorrect syntax near the keyword 'WITH'\. If this/,
  );
  assert.match(
    brief("SELECT 1 FROM t\nWITH c AS (SELECT 1 a) SELECT * FROM c"),
    /^336 at 2: Incorrect syntax near 'c'\. If this/,
  );
  assert.equal(parseBatch("SELECT 1 FROM t; WITH c AS (SELECT 1 a) SELECT * FROM c").length, 2);
});

test("THROW needs a semicolon before it, and MERGE one behind (10713)", () => {
  assert.equal(brief("PRINT 'x' THROW 50000, 'y', 1"), "102 at 1: Incorrect syntax near 'THROW'.");
  assert.equal(
    brief("MERGE t USING s ON 1=1 WHEN MATCHED THEN DELETE"),
    "10713 at 1: A MERGE statement must be terminated by a semi-colon (;).",
  );
});

test("4145: a value where a condition must stand", () => {
  assert.equal(
    brief("SELECT 1 FROM t WHERE a\nORDER BY 1"),
    "4145 at 2: An expression of non-boolean type specified in a context where a condition is expected, near 'ORDER'.",
  );
  assert.equal(error("IF (1) SELECT 2").number, 4145);
  assert.equal(error("SELECT 1 WHERE NOT a").number, 4145);
});

test("other errors that the server's own parser raises", () => {
  assert.match(
    brief("SELECT 1 CREATE PROCEDURE p AS SELECT 1"),
    /^111 .*'CREATE\/ALTER PROCEDURE' must be the first statement in a query batch/,
  );
  assert.match(brief("PRINT 1 CREATE VIEW v AS SELECT 1 a"), /^111 .*'CREATE VIEW' must be the first statement/);
  assert.equal(brief("SET NOCOUTN ON"), "195 at 1: 'NOCOUTN' is not a recognized SET option.");
  assert.match(brief("SELECT * FROM a.b.c.d.e"), /^117 /);
  assert.match(brief("SELECT * FROM t WITH (nolok)"), /^321 .*"nolok" is not a recognized table hints option/);
  assert.equal(error(`INSERT t VALUES ${Array(1001).fill("(1)").join(",")}`).number, 10738);
  assert.equal(error(`SELECT ${"(".repeat(5000)}1${")".repeat(5000)}`).number, 191);
  assert.equal(error(`${"IF 1=1 ".repeat(5000)} SELECT 1`).number, 191);
});

test("an expression or a declaration list must end where its text ends", () => {
  assert.equal(brief("1 + 2 3", parseExpression), "102 at 1: Incorrect syntax near '3'.");
  assert.equal(brief("@a int @b int", parseParameterDeclarations), "102 at 1: Incorrect syntax near '@b'.");
});

// https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors-0-to-999
test("jumps without a target and values returned to nobody are refused before anything runs", () => {
  const numbers = (...texts: string[]) => texts.map((text) => error(text).number);
  assert.equal(
    brief("SELECT 1\nGOTO nowhere"),
    "133 at 2: A GOTO statement references the label 'nowhere' but the label has not been declared.",
  );
  assert.deepEqual(
    numbers("BREAK", "WHILE 1 = 1 BREAK IF 1 = 1 BREAK", "CREATE PROCEDURE p AS BREAK"),
    [135, 135, 135],
  );
  assert.deepEqual(numbers("CONTINUE", "BEGIN TRY CONTINUE END TRY BEGIN CATCH END CATCH"), [136, 136]);
  assert.deepEqual(numbers("a: SELECT 1 a: SELECT 2", "a: IF 1 = 1 BEGIN A: SELECT 1 END"), [132, 132]);
  assert.deepEqual(numbers("RETURN 1", "CREATE TRIGGER t ON x AFTER INSERT AS RETURN 1"), [178, 178]);
  // SQL Server jumps there; here it is refused by name.
  assert.deepEqual(numbers("GOTO a; IF 1 = 1 BEGIN a: SELECT 1 END"), [40510]);
  for (const text of [
    "RETURN",
    "CREATE PROCEDURE p AS RETURN 1",
    "CREATE FUNCTION f() RETURNS int AS BEGIN WHILE 1 = 1 BEGIN BREAK END RETURN 1 END",
    "WHILE 1 = 1 BEGIN IF 1 = 1 BREAK ELSE CONTINUE END",
    "WHILE 1 = 1 BEGIN GOTO done END done: SELECT 1",
  ])
    parseBatch(text);
});

test("134 names a variable that one DECLARE has twice", () => {
  assert.equal(error("DECLARE @a int,\n@A int").number, 134);
  assert.equal(error("DECLARE @a int,\n@A int").line, 2);
});
