import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBatch } from "../../../simulator/sql/parser.ts";
import { int, kindsOf, one, string, variable } from "./trees.ts";

test("statements follow each other without semicolons, each on its line", () => {
  const statements = parseBatch("DECLARE @x int = 1\nSET @x += 1 SELECT @x\n\nPRINT @x;;\nUSE master");
  assert.deepEqual(
    statements.map((statement) => [statement.kind, statement.line]),
    [
      ["declare", 1],
      ["set_variable", 2],
      ["query", 2],
      ["print", 4],
      ["use", 5],
    ],
  );
  assert.deepEqual(parseBatch(" ; -- nothing\n /* at all */"), []);
});

test("IF, ELSE IF, WHILE and blocks; a semicolon may stand before ELSE", () => {
  const chain = one("IF @a = 1 SELECT 1; ELSE IF @a = 2 BEGIN SELECT 2; SELECT 3 END ELSE PRINT 'x'");
  assert.ok(chain.kind === "if" && chain.else?.kind === "if" && chain.else.else?.kind === "print");
  const loop = one("WHILE EXISTS (SELECT 1 FROM t) BEGIN IF @a > 3 BREAK ELSE CONTINUE END");
  assert.ok(loop.kind === "while" && loop.body.kind === "block" && loop.body.body[0]?.kind === "if");
});

test("TRY and CATCH, with THROW in both forms and RAISERROR", () => {
  const attempt = one(`BEGIN TRY
  INSERT t VALUES (1)
  RAISERROR('no %s', 16, 1, @x) WITH NOWAIT, LOG;
  THROW 50001, 'x', 1
END TRY
BEGIN CATCH
  IF @@TRANCOUNT > 0 ROLLBACK TRAN;
  THROW
END CATCH`);
  assert.ok(attempt.kind === "try");
  assert.deepEqual(
    attempt.body.map((s) => s.kind),
    ["insert", "raiserror", "throw"],
  );
  assert.deepEqual(attempt.body[2], {
    line: 4,
    kind: "throw",
    number: int(50001),
    message: string("x"),
    state: int(1),
  });
  assert.deepEqual(attempt.handler[1], { line: 8, kind: "throw" });
  assert.deepEqual(kindsOf("BEGIN TRY SELECT 1 END TRY BEGIN CATCH END CATCH"), ["try"]);
});

test("transactions in all spellings, named or not", () => {
  assert.deepEqual(
    parseBatch(
      "BEGIN TRAN BEGIN TRANSACTION t1 WITH MARK 'm' SAVE TRAN s COMMIT COMMIT WORK COMMIT TRANSACTION t1 ROLLBACK ROLLBACK TRAN s SAVE TRANSACTION @n",
    ).map(({ line: _, ...statement }) => statement),
    [
      { kind: "begin_transaction" },
      { kind: "begin_transaction", name: "t1" },
      { kind: "save_transaction", name: "s" },
      { kind: "commit" },
      { kind: "commit" },
      { kind: "commit", name: "t1" },
      { kind: "rollback" },
      { kind: "rollback", name: "s" },
      { kind: "save_transaction", name: "@n" },
    ],
  );
});

test("SET: one option, several at once, values, isolation, IDENTITY_INSERT", () => {
  const options = parseBatch(
    "SET NOCOUNT ON SET LOCK_TIMEOUT -1 SET LANGUAGE N'us_english' SET STATISTICS IO ON SET IDENTITY_INSERT dbo.t OFF SET DEADLOCK_PRIORITY low",
  );
  assert.deepEqual(
    options.map(
      (s) => s.kind === "set_option" && [s.option, s.value, s.table?.parts.join(".")].filter(Boolean).join(" "),
    ),
    [
      "NOCOUNT ON",
      "LOCK_TIMEOUT -1",
      "LANGUAGE us_english",
      "STATISTICS IO ON",
      "IDENTITY_INSERT OFF dbo.t",
      "DEADLOCK_PRIORITY low",
    ],
  );
  assert.deepEqual(one("SET ANSI_NULLS, QUOTED_IDENTIFIER ON"), {
    line: 1,
    kind: "block",
    body: [
      { line: 1, kind: "set_option", option: "ANSI_NULLS", value: "ON" },
      { line: 1, kind: "set_option", option: "QUOTED_IDENTIFIER", value: "ON" },
    ],
  });
  const levels = ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE"];
  for (const level of levels) {
    assert.deepEqual(one(`SET TRANSACTION ISOLATION LEVEL ${level}`), {
      line: 1,
      kind: "set_isolation",
      level: level.toLowerCase(),
    });
  }
});

test("DECLARE: variables, a table, and both in one list", () => {
  assert.deepEqual(one("DECLARE @a int, @b AS nvarchar(max) = N'x'"), {
    line: 1,
    kind: "declare",
    variables: [
      { name: "@a", type: { name: "int", args: [] } },
      { name: "@b", type: { name: "nvarchar", args: [-1] }, value: { kind: "literal", type: "nstring", text: "x" } },
    ],
  });
  const table = one("DECLARE @t TABLE (id int PRIMARY KEY, n sysname)");
  assert.ok(table.kind === "declare_table" && table.columns.length === 2);
  const mixed = one("DECLARE @a int, @t TABLE (id int), @b int");
  assert.deepEqual(mixed.kind === "block" && mixed.body.map((s) => s.kind), ["declare", "declare_table", "declare"]);
});

test("cursors from DECLARE to DEALLOCATE", () => {
  const statements = parseBatch(
    "DECLARE c CURSOR LOCAL FAST_FORWARD FOR SELECT a FROM t FOR READ ONLY OPEN c FETCH NEXT FROM c INTO @a, @b FETCH c CLOSE c DEALLOCATE GLOBAL c",
  );
  assert.deepEqual(
    statements.map((s) => s.kind),
    ["declare_cursor", "cursor", "fetch", "fetch", "cursor", "cursor"],
  );
  assert.deepEqual(statements[0]?.kind === "declare_cursor" && statements[0].options, [
    "LOCAL",
    "FAST_FORWARD",
    "READ_ONLY",
  ]);
  const cursor = { name: "c", global: false };
  assert.deepEqual(statements[2], { line: 1, kind: "fetch", cursor, direction: "next", into: ["@a", "@b"] });
  assert.deepEqual(statements[5], {
    line: 1,
    kind: "cursor",
    action: "deallocate",
    cursor: { name: "c", global: true },
  });
});

test("labels, GOTO, RETURN with and without a value, WAITFOR, KILL, CHECKPOINT", () => {
  assert.deepEqual(
    parseBatch(
      "again: SELECT 1 last: GOTO again RETURN RETURN EXEC ('x') WAITFOR DELAY '0:0:1' WAITFOR TIME @t KILL 53 CHECKPOINT",
    ).map((s) => s.kind),
    ["label", "query", "label", "goto", "return", "return", "execute_text", "waitfor", "waitfor", "kill", "checkpoint"],
  );
  const procedure = one("CREATE PROCEDURE p AS RETURN (1) + 2 RETURN");
  assert.ok(procedure.kind === "create_procedure");
  assert.deepEqual(
    procedure.body.map((s) => s.kind === "return" && s.value?.kind),
    ["binary", undefined],
  );
  assert.deepEqual(one("WAITFOR DELAY @d"), { line: 1, kind: "waitfor", delay: variable("@d") });
});
