/** Control flow, errors, procedures and calls. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { type Client, parameter, start, until } from "./client.ts";

let sql: Client;
beforeEach(async () => {
  ({ sql } = await start());
});

const NVARCHAR = { id: "nvarchar", length: -1 } as const;
const INT = { id: "int" } as const;

describe("control flow", () => {
  test("loops, jumps and variables", async () => {
    assert.deepEqual(
      await sql.rows(`DECLARE @i int = 0, @s varchar(50) = '';
        WHILE 1 = 1
        BEGIN
          SET @i += 1;
          DECLARE @square int = @i * @i;
          IF @i = 2 CONTINUE;
          IF @i > 4 BREAK;
          SET @s += CONCAT(@i, ':', @square, ' ');
        END
        GOTO done;
        SET @s = 'jumped over';
        done:
        SELECT @s, @i`),
      [["1:1 3:9 4:16 ", 5]],
    );
    assert.deepEqual(
      await sql.rows(
        "DECLARE @a int, @b int; SELECT @a = x, @b = COALESCE(@b, 0) + x FROM (VALUES (1), (2)) v (x); SELECT @a, @b, @@ROWCOUNT",
      ),
      [[2, 3, 2]],
    );
    assert.equal(await sql.error("SELECT @nosuch"), 137);
    assert.equal(await sql.error("DECLARE @a int; DECLARE @a int"), 134);
  });

  test("cursors step through their rows", async () => {
    assert.deepEqual(
      await sql.rows(`DECLARE @x int, @sum int = 0;
        DECLARE c CURSOR LOCAL FAST_FORWARD FOR SELECT x FROM (VALUES (1), (2), (3)) v (x);
        OPEN c; FETCH NEXT FROM c INTO @x;
        WHILE @@FETCH_STATUS = 0 BEGIN SET @sum += @x; FETCH NEXT FROM c INTO @x; END
        CLOSE c; DEALLOCATE c; SELECT @sum, @@FETCH_STATUS`),
      [[6, -1]],
    );
  });

  test("WAITFOR ends when the request is cancelled", async () => {
    const cancel = new AbortController();
    const waiting = sql.attempt("PRINT 'before'; WAITFOR DELAY '01:00:00'; PRINT 'after'", cancel.signal);
    await new Promise<void>((resolve) => setImmediate(resolve));
    cancel.abort();
    assert.deepEqual(
      (await waiting).infos.map(({ message }) => message),
      ["before"],
    );
  });

  test("a long statement leaves room for others, and ends when it is cancelled", async () => {
    const cancel = new AbortController();
    let turns = 0;
    const busy = sql.attempt(
      "SELECT COUNT(*) FROM GENERATE_SERIES(1, 100000000) a WHERE a.value % 7 = 9",
      cancel.signal,
    );
    await until(() => ++turns > 3);
    cancel.abort();
    assert.deepEqual((await busy).rows, []);
  });
});

describe("errors", () => {
  test("outside of TRY the next statement runs; in it the CATCH block does", async () => {
    const { sets, errors } = await sql.attempt("SELECT 1 / 0; SELECT 2");
    assert.deepEqual([errors[0]!.number, sets.at(-1)!.rows], [8134, [[2]]]);
    assert.deepEqual(
      await sql.rows(`BEGIN TRY
          RAISERROR('no %s %d%%', 15, 3, 'more', 7);
          PRINT 'not reached';
        END TRY
        BEGIN CATCH
          SELECT ERROR_NUMBER(), ERROR_MESSAGE(), ERROR_SEVERITY(), ERROR_STATE(), ERROR_LINE(), ERROR_PROCEDURE();
        END CATCH`),
      [[50000, "no more 7%", 15, 3, 2, null]],
    );
    assert.deepEqual(await sql.rows("SELECT ERROR_NUMBER()"), [[null]]);
  });

  test("RAISERROR tells severities below 10 as they are, and 10 as 0", async () => {
    const { infos } = await sql.attempt("RAISERROR('nine', 9, 2); RAISERROR('ten', 10, 1); PRINT 'printed'");
    assert.deepEqual(
      infos.map(({ message, severity, state }) => [message, severity, state]),
      [
        ["nine", 9, 2],
        ["ten", 0, 1],
        ["printed", 0, 1],
      ],
    );
  });

  // https://learn.microsoft.com/sql/t-sql/language-elements/raiserror-transact-sql
  test("RAISERROR needs WITH LOG for a severity above 18", async () => {
    assert.equal(await sql.error("RAISERROR('bad', 18, 1)"), 50000);
    assert.equal(await sql.error("RAISERROR('worse', 19, 1)"), 2754);
    const { errors } = await sql.attempt("RAISERROR('worse', 19, 1) WITH LOG");
    assert.deepEqual([errors[0]!.number, errors[0]!.severity], [50000, 19]);
  });

  test("THROW ends the batch, and in CATCH throws the error again as it was", async () => {
    const thrown = await sql.attempt("THROW 50005, N'mine', 7; SELECT 'not reached'");
    assert.deepEqual([thrown.errors[0]!.number, thrown.errors[0]!.state, thrown.sets.length], [50005, 7, 0]);
    const again = await sql.attempt(
      "\nBEGIN TRY\n SELECT 1 / 0\nEND TRY BEGIN CATCH\n THROW;\nEND CATCH SELECT 'not reached'",
    );
    assert.deepEqual([again.errors[0]!.number, again.errors[0]!.line], [8134, 3]);
  });

  test("a failed conversion ends the batch, a name that means nothing too", async () => {
    assert.equal((await sql.attempt("SELECT CAST('x' AS int); SELECT 1")).sets.length, 1);
    assert.equal((await sql.attempt("SELECT * FROM nosuch; SELECT 1")).sets.length, 0);
    assert.deepEqual(
      await sql.rows("BEGIN TRY EXEC ('SELECT * FROM nosuch') END TRY BEGIN CATCH SELECT ERROR_NUMBER() END CATCH"),
      [[208]],
    );
  });

  test("@@ERROR and @@ROWCOUNT are of the statement before", async () => {
    const { sets } = await sql.attempt(
      "CREATE TABLE t (x int NOT NULL); INSERT t VALUES (NULL); SELECT @@ERROR, @@ROWCOUNT; SELECT @@ERROR; INSERT t VALUES (1), (2); SELECT @@ROWCOUNT",
    );
    assert.deepEqual(
      sets.map(({ rows }) => rows[0]),
      [[515, 0], [0], [2]],
    );
  });

  test("what cannot be parsed names the line", async () => {
    const { errors } = await sql.attempt("SELECT 1\nSELEC 2");
    assert.equal(errors.length, 1);
    assert.equal(errors[0]!.line, 2);
  });

  test("what the simulator lacks is refused by name, never answered wrongly", async () => {
    for (const [statement, what] of [
      ["SELECT 1 AS a FOR XML EXPLICIT", /FOR XML/],
      ["BACKUP DATABASE Test TO DISK = 'x'", /BACKUP DATABASE/],
      ["SELECT * FROM OPENROWSET(BULK 'f', SINGLE_CLOB) AS x", /OPENROWSET/],
      ["SET SHOWPLAN_ALL ON", /SHOWPLAN_ALL/],
    ] as const) {
      const [error] = (await sql.attempt(statement)).errors;
      assert.equal(error?.number, 40510, statement);
      assert.match(error!.message, what);
    }
  });
});

describe("procedures", () => {
  beforeEach(async () => {
    await sql.run(`CREATE PROCEDURE dbo.Twice @in int, @out int = 5 OUTPUT, @text nvarchar(20) = N'none' AS
      SET NOCOUNT ON;
      SET @out = @in * 2;
      SELECT @in AS given, @text AS text;
      RETURN 7`);
  });

  test("take parameters by name and place, give output and status back, and SET for themselves alone", async () => {
    const { sets } = await sql.run(
      "DECLARE @o int, @s int; EXEC @s = Twice 4, @o OUTPUT; SELECT @o, @s; EXEC dbo.Twice @text = N'x', @in = 1; SELECT @@OPTIONS & 512",
    );
    assert.deepEqual(
      sets.map(({ rows }) => rows),
      [[[4, "none"]], [[8, 7]], [[1, "x"]], [[0]]],
    );
    assert.equal(await sql.error("EXEC Twice"), 201);
    assert.equal(await sql.error("EXEC Twice 1, 2, N'x', 4"), 8144);
    assert.equal(await sql.error("EXEC Twice @in = 1, @nosuch = 2"), 8145);
    assert.equal(await sql.error("EXEC Twice 'x'"), 8114);
    assert.equal(await sql.error("EXEC NoSuch"), 2812);
  });

  // http://www.sommarskog.se/error-handling-I.html: these terminate the statement, not the batch, and TRY sees them.
  test("a call of none, or with wrong parameters, is no more than a failed statement", async () => {
    for (const [call, number] of [
      ["EXEC NoSuch", 2812],
      ["EXEC Twice", 201],
      ["EXEC Twice 1, 2, N'x', 4", 8144],
      ["EXEC Twice @in = 1, @nosuch = 2", 8145],
    ] as const) {
      const { errors, sets } = await sql.attempt(`${call}; SELECT @@ERROR`);
      assert.deepEqual([errors.map((error) => error.number), sets.at(-1)?.rows], [[number], [[number]]]);
      const caught = await sql.rows(`BEGIN TRY ${call} END TRY BEGIN CATCH SELECT ERROR_NUMBER() END CATCH`);
      assert.deepEqual(caught, [[number]]);
    }
  });

  test("an error in one is caught around its call", async () => {
    await sql.run("CREATE PROCEDURE Inner_ AS SELECT 1 / 0");
    assert.deepEqual(
      await sql
        .rows("BEGIN TRY EXEC Inner_ END TRY BEGIN CATCH SELECT 1 END CATCH SELECT 2")
        .then((rows) => rows.length),
      0,
    );
    const { sets } = await sql.run(
      "BEGIN TRY EXEC Inner_ END TRY BEGIN CATCH SELECT ERROR_PROCEDURE(), ERROR_LINE() END CATCH",
    );
    assert.deepEqual(sets[1]!.rows, [["Inner_", 1]]);
  });

  test("a procedure that leaves a transaction open is told so", async () => {
    await sql.run("CREATE PROCEDURE Opens AS BEGIN TRAN");
    assert.equal(await sql.error("EXEC Opens"), 266);
    await sql.run("ROLLBACK");
  });

  test("temporary tables of a procedure go with it, the caller's are seen in it", async () => {
    await sql.run("CREATE PROCEDURE Temp AS BEGIN CREATE TABLE #inner (x int); INSERT #outer VALUES (2); END");
    assert.deepEqual(await sql.rows("CREATE TABLE #outer (x int); EXEC Temp; SELECT * FROM #outer"), [[2]]);
    assert.equal(await sql.error("SELECT * FROM #inner"), 208);
  });

  test("clients call them by RPC", async () => {
    const { outputs, status, rows } = await sql.rpc("dbo.Twice", [
      parameter("@in", INT, 21),
      parameter("@out", INT, null, true),
    ]);
    assert.deepEqual([outputs.get("@out"), status, rows], [42, 7, [[21, "none"]]]);
  });
});

describe("texts with parameters", () => {
  test("sp_executesql gives values in and out", async () => {
    assert.deepEqual(
      await sql.rows(
        "DECLARE @r int; EXEC sp_executesql N'SET @y = @x + 1', N'@x int, @y int OUTPUT', @x = 4, @y = @r OUTPUT; SELECT @r",
      ),
      [[5]],
    );
    const { rows } = await sql.rpc(10, [
      parameter("", NVARCHAR, "SELECT @a, @b"),
      parameter("", NVARCHAR, "@a int, @b nvarchar(5)"),
      parameter("@a", INT, 1),
      parameter("@b", NVARCHAR, "x"),
    ]);
    assert.deepEqual(rows, [[1, "x"]]);
    const missing = await sql.rpc(10, [parameter("", NVARCHAR, "SELECT @a"), parameter("", NVARCHAR, "@a int")]);
    assert.equal(missing.errors[0]!.number, 8178);
  });

  test("statements are prepared, run again and given up", async () => {
    const handle = parameter("", INT, null, true);
    const prepared = await sql.rpc(13, [
      handle,
      parameter("", NVARCHAR, "@a int"),
      parameter("", NVARCHAR, "SELECT @a * 2"),
      parameter("", INT, 2),
    ]);
    assert.deepEqual(prepared.rows, [[4]]);
    const number = prepared.outputs.get("") as number;
    assert.deepEqual((await sql.rpc(12, [parameter("", INT, number), parameter("", INT, 5)])).rows, [[10]]);
    await sql.rpc(15, [parameter("", INT, number)]);
    assert.equal((await sql.rpc(12, [parameter("", INT, number), parameter("", INT, 5)])).errors[0]!.number, 8179);
  });

  test("a first result set is described without running it", async () => {
    await sql.run("CREATE TABLE t (id int NOT NULL, name nvarchar(20) NULL)");
    const { sets } = await sql.run(
      "EXEC sp_describe_first_result_set N'SELECT id, name FROM t WHERE id = @x', N'@x int'",
    );
    const names = sets[0]!.columns.map(({ name }) => name);
    const pick = (row: unknown[]) =>
      ["name", "is_nullable", "system_type_name", "max_length"].map((name) => row[names.indexOf(name)]);
    assert.deepEqual(sets[0]!.rows.map(pick), [
      ["id", false, "int", 4],
      ["name", true, "nvarchar(20)", 40],
    ]);
  });
});

// https://learn.microsoft.com/sql/t-sql/language-elements/variables-transact-sql
describe("a variable is there from its DECLARE on to the end of the batch", () => {
  test("also where the DECLARE stands in a branch that is not taken", async () => {
    const { sql } = await start();
    const value = async (text: string) => (await sql.run(text)).sets.at(-1)!.rows[0]![0];
    assert.equal(await value("IF 1 = 0 BEGIN DECLARE @x int = 5 END SET @x = ISNULL(@x, 0) + 3 SELECT @x"), 3);
    assert.equal(await value("IF 1 = 1 PRINT 'a' ELSE DECLARE @x int = 5 SELECT @x"), null);
    assert.equal(await value("WHILE 1 = 0 DECLARE @x int = 5 SELECT @x"), null);
    assert.equal(await value("BEGIN TRY PRINT 'a' END TRY BEGIN CATCH DECLARE @x int = 5 END CATCH SELECT @x"), null);
    assert.equal(
      await value("BEGIN TRY RAISERROR('a', 16, 1) DECLARE @x int = 5 END TRY BEGIN CATCH SELECT @x END CATCH"),
      null,
    );
    assert.equal(await value("IF 1 = 0 DECLARE @t TABLE (a int) INSERT @t VALUES (7) SELECT a FROM @t"), 7);
    assert.equal(await value("GOTO later DECLARE @x int = 5 later: SELECT @x"), null);
  });

  test("but not before it, and only one of its name", async () => {
    const { sql } = await start();
    assert.equal(await sql.error("SELECT @x IF 1 = 0 DECLARE @x int"), 137);
    assert.equal(await sql.error("IF 1 = 0 DECLARE @x int DECLARE @x int"), 134);
    assert.equal(await sql.error("DECLARE @t TABLE (a int) DECLARE @t TABLE (a int)"), 134);
  });

  test("and keeps what it has when a loop passes its DECLARE again", async () => {
    const { sql } = await start();
    const loop = "DECLARE @i int = 0 WHILE @i < 3 BEGIN SET @i += 1 DECLARE @n int, @t TABLE (a int)";
    const rest = "SET @n = ISNULL(@n, 0) + 1 INSERT @t VALUES (@i) END SELECT @n, (SELECT COUNT(*) FROM @t)";
    assert.deepEqual(await sql.rows(`${loop.replace(", @t TABLE", " DECLARE @t TABLE")} ${rest}`), [[3, 3]]);
  });
});
