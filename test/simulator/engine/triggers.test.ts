/** Triggers: https://learn.microsoft.com/sql/t-sql/statements/create-trigger-transact-sql */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { installCatalog } from "../../../simulator/catalog/install.ts";
import { type Client, start } from "./client.ts";

let sql: Client;
beforeEach(async () => {
  const { engine, sql: client } = await start();
  installCatalog(engine);
  sql = client;
  await sql.run("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n < 100)); INSERT t VALUES (1, 10), (2, 20)");
  await sql.run("CREATE TABLE seen (at int IDENTITY, what varchar(50))");
});

const seen = async () => (await sql.rows("SELECT what FROM seen ORDER BY at")).map(([what]) => what);

/** A trigger that notes what it is shown. */
const NOTE = `INSERT seen SELECT CONCAT('i ', id, ' ', n) FROM inserted ORDER BY id
  INSERT seen SELECT CONCAT('d ', id, ' ', n) FROM deleted ORDER BY id`;

describe("AFTER triggers", () => {
  test("see the rows of the whole statement, before and after it", async () => {
    await sql.run(`CREATE TRIGGER tr ON t AFTER INSERT, UPDATE, DELETE AS ${NOTE}`);
    await sql.run("INSERT t VALUES (3, 30), (4, 40)");
    await sql.run("UPDATE t SET n += 1 WHERE id < 3");
    await sql.run("DELETE t WHERE id = 4");
    assert.deepEqual(await seen(), ["i 3 30", "i 4 40", "i 1 11", "i 2 21", "d 1 10", "d 2 20", "d 4 40"]);
  });

  test("run also where no row was changed, and tell counts of their own", async () => {
    await sql.run("CREATE TRIGGER tr ON t FOR DELETE AS INSERT seen VALUES (CONCAT('rows ', @@ROWCOUNT))");
    const { counts } = await sql.run("DELETE t WHERE id = 99");
    assert.deepEqual(counts, [1, 0]);
    assert.deepEqual(await seen(), ["rows 0"]);
    assert.deepEqual(await sql.rows("DELETE t; SELECT @@ROWCOUNT"), [[2]]);
  });

  test("know which columns an UPDATE assigned", async () => {
    await sql.run(`CREATE TRIGGER tr ON t AFTER INSERT, UPDATE AS
      INSERT seen VALUES (CONCAT(IIF(UPDATE(id), 'id ', ''), IIF(UPDATE(n), 'n ', ''), CONVERT(varchar, COLUMNS_UPDATED(), 1)))`);
    await sql.run("UPDATE t SET n = n; INSERT t (id) VALUES (9)");
    assert.deepEqual(await seen(), ["n 0x02", "id n 0x03"]);
  });

  test("run in the statement's transaction, and may end it", async () => {
    await sql.run(
      "CREATE TRIGGER tr ON t AFTER INSERT AS INSERT seen VALUES (CONCAT('count ', @@TRANCOUNT)) IF EXISTS (SELECT * FROM inserted WHERE id = 13) ROLLBACK",
    );
    await sql.run("INSERT t VALUES (3, 3)");
    const { errors } = await sql.attempt("INSERT t VALUES (13, 1); INSERT t VALUES (14, 1)");
    assert.deepEqual(
      errors.map(({ number }) => number),
      [3609],
    );
    assert.deepEqual(await sql.rows("SELECT MAX(id), @@TRANCOUNT FROM t"), [[3, 0]]);
    assert.deepEqual(await seen(), ["count 1"]);
  });

  test("undo the transaction with an error, unless it was RAISERROR", async () => {
    await sql.run("CREATE TRIGGER tr ON t AFTER UPDATE AS RAISERROR('only told', 16, 1)");
    await sql.run("CREATE TRIGGER trd ON t AFTER DELETE AS THROW 50001, 'no', 1");
    assert.equal(await sql.error("UPDATE t SET n = 1"), 50000);
    assert.equal(await sql.error("BEGIN TRAN; INSERT seen VALUES ('x'); DELETE t"), 50001);
    assert.deepEqual(await sql.rows("SELECT COUNT(*), SUM(n), @@TRANCOUNT FROM t"), [[2, 2, 0]]);
    assert.deepEqual(await seen(), []);
    assert.deepEqual(
      await sql.rows(
        "BEGIN TRAN; BEGIN TRY DELETE t END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_PROCEDURE(), XACT_STATE() ROLLBACK END CATCH",
      ),
      [[50001, "trd", -1]],
    );
  });

  test("fire others, but not themselves", async () => {
    await sql.run(
      "CREATE TRIGGER tr ON t AFTER UPDATE AS UPDATE t SET n += 1 WHERE id IN (SELECT id FROM inserted) INSERT seen VALUES ('t')",
    );
    await sql.run("CREATE TRIGGER trs ON seen AFTER INSERT AS SELECT TRIGGER_NESTLEVEL()");
    assert.deepEqual(await sql.rows("UPDATE t SET n = 50 WHERE id = 1"), [[2]]);
    assert.deepEqual(await sql.rows("SELECT n FROM t WHERE id = 1"), [[51]]);
  });

  test("leave SCOPE_IDENTITY to the statement, and take @@IDENTITY", async () => {
    await sql.run("CREATE TABLE k (id int IDENTITY(100, 1), x int)");
    await sql.run("CREATE TRIGGER tr ON k AFTER INSERT AS INSERT seen VALUES ('x')");
    assert.deepEqual(await sql.rows("INSERT k VALUES (1); SELECT SCOPE_IDENTITY(), @@IDENTITY"), [["100", "1"]]);
  });

  test("forbid an OUTPUT clause that goes to the client", async () => {
    await sql.run("CREATE TRIGGER tr ON t AFTER INSERT AS RETURN");
    assert.equal(await sql.error("INSERT t OUTPUT inserted.id VALUES (5, 5)"), 334);
    assert.deepEqual(
      await sql.rows("DECLARE @o TABLE (id int); INSERT t OUTPUT inserted.id INTO @o VALUES (5, 5); SELECT id FROM @o"),
      [[5]],
    );
  });

  test("see the rows of a SNAPSHOT transaction, whose snapshot is older than they are", async () => {
    await sql.run(`CREATE TRIGGER tr ON t AFTER UPDATE AS ${NOTE}`);
    await sql.run("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON");
    await sql.run(
      "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT id FROM t; UPDATE t SET n = 5 WHERE id = 1; COMMIT",
    );
    assert.deepEqual(await seen(), ["i 1 5", "d 1 10"]);
  });

  test("of MERGE run for each of its actions", async () => {
    await sql.run("CREATE TRIGGER a ON t AFTER INSERT AS INSERT seen SELECT CONCAT('i ', id) FROM inserted");
    await sql.run("CREATE TRIGGER b ON t AFTER UPDATE AS INSERT seen SELECT CONCAT('u ', id) FROM inserted");
    await sql.run("CREATE TRIGGER c ON t AFTER DELETE AS INSERT seen SELECT CONCAT('d ', id) FROM deleted");
    await sql.run(`MERGE t USING (VALUES (1), (3)) s (id) ON s.id = t.id WHEN MATCHED THEN UPDATE SET n = 0
      WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0) WHEN NOT MATCHED BY SOURCE THEN DELETE;`);
    assert.deepEqual(await seen(), ["i 3", "u 1", "d 2"]);
  });
});

describe("INSTEAD OF triggers", () => {
  test("take the place of the changes, whose constraints are not looked at", async () => {
    await sql.run(`CREATE TRIGGER tr ON t INSTEAD OF INSERT, DELETE AS ${NOTE}`);
    await sql.run("INSERT t VALUES (1, 999); DELETE t WHERE id = 2");
    assert.deepEqual(await seen(), ["i 1 999", "d 2 20"]);
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM t"), [[2]]);
  });

  test("may make the changes themselves", async () => {
    await sql.run("CREATE TRIGGER tr ON t INSTEAD OF INSERT AS INSERT t SELECT id + 100, n FROM inserted");
    await sql.run("CREATE TRIGGER af ON t AFTER INSERT AS INSERT seen SELECT CONCAT('after ', id) FROM inserted");
    await sql.run("INSERT t VALUES (1, 1)");
    assert.deepEqual(await sql.rows("SELECT id FROM t WHERE n = 1"), [[101]]);
    assert.deepEqual(await seen(), ["after 101"]);
    assert.equal(await sql.error("CREATE TRIGGER two ON t INSTEAD OF INSERT AS RETURN"), 2111);
  });

  test("see no identity yet", async () => {
    await sql.run("CREATE TABLE k (id int IDENTITY, x int)");
    await sql.run("CREATE TRIGGER tr ON k INSTEAD OF INSERT AS INSERT seen SELECT CONCAT(id, ' ', x) FROM inserted");
    await sql.run("INSERT k VALUES (5)");
    assert.deepEqual(await seen(), ["0 5"]);
    assert.equal(await sql.value("IDENT_CURRENT('k')"), "1");
  });
});

describe("INSTEAD OF triggers of views", () => {
  beforeEach(async () => {
    await sql.run(
      "CREATE TABLE names (id int PRIMARY KEY, name varchar(20)); INSERT names VALUES (1, 'one'), (2, 'two')",
    );
    await sql.run(
      "CREATE VIEW both AS SELECT t.id, t.n, UPPER(m.name) AS loud FROM t LEFT JOIN names m ON m.id = t.id",
    );
  });

  test("make a view writable that joins and computes: they see its columns, and may write to its tables", async () => {
    assert.equal(await sql.error("INSERT both VALUES (3, 30, 'THREE')"), 4406);
    await sql.run(`CREATE TRIGGER tr ON both INSTEAD OF INSERT AS
      INSERT t SELECT id, n FROM inserted INSERT names SELECT id, LOWER(loud) FROM inserted`);
    const { counts } = await sql.run("INSERT both (loud, id, n) VALUES ('THREE', 3, 30), (NULL, 4, 40)");
    assert.equal(counts.at(-1), 2);
    assert.deepEqual(await sql.rows("SELECT id, n, loud FROM both WHERE id > 2 ORDER BY id"), [
      [3, 30, "THREE"],
      [4, 40, null],
    ]);
  });

  test("see the rows that the condition chose, before and after", async () => {
    await sql.run(`CREATE TRIGGER tr ON both INSTEAD OF UPDATE, DELETE AS
      INSERT seen SELECT CONCAT('i ', id, ' ', loud) FROM inserted ORDER BY id
      INSERT seen SELECT CONCAT('d ', id, ' ', loud, IIF(UPDATE(loud), ' loud', '')) FROM deleted ORDER BY id`);
    await sql.run("UPDATE b SET loud = CONCAT(loud, '!') FROM both b JOIN names m ON m.id = b.id WHERE m.name = 'two'");
    await sql.run("DELETE both WHERE loud LIKE 'O%'");
    assert.deepEqual(await seen(), ["i 2 TWO!", "d 2 TWO loud", "d 1 ONE"]);
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM both"), [[2]]);
  });

  test("want a value for every column that does not allow NULL", async () => {
    await sql.run("CREATE TRIGGER tr ON both INSTEAD OF INSERT AS RETURN");
    assert.equal(await sql.error("INSERT both (n) VALUES (5)"), 233);
    await sql.run("INSERT both (id) VALUES (5)");
  });

  test("write through the view themselves as if there were none, and are switched off and dropped with it", async () => {
    await sql.run("CREATE VIEW plain AS SELECT id, n FROM t");
    await sql.run("CREATE TRIGGER tr ON plain INSTEAD OF INSERT AS INSERT plain SELECT id, n + 1 FROM inserted");
    await sql.run("INSERT plain VALUES (3, 1); DISABLE TRIGGER tr ON plain; INSERT plain VALUES (4, 1)");
    assert.deepEqual(await sql.rows("SELECT id, n FROM t WHERE id > 2 ORDER BY id"), [
      [3, 2],
      [4, 1],
    ]);
    await sql.run("DROP VIEW plain");
    assert.deepEqual(await sql.rows("SELECT name FROM sys.triggers"), []);
  });

  test("see the rows of a SNAPSHOT transaction, too", async () => {
    await sql.run(
      "CREATE TRIGGER tr ON both INSTEAD OF DELETE AS INSERT seen SELECT CONCAT('d ', id) FROM deleted ORDER BY id",
    );
    await sql.run(
      "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT id FROM both; DELETE both WHERE id = 2; COMMIT",
    );
    assert.deepEqual(await seen(), ["d 2"]);
  });

  test("are the only ones of a view, and not of one WITH CHECK OPTION, nor for MERGE", async () => {
    assert.equal(await sql.error("CREATE TRIGGER tr ON both AFTER INSERT AS RETURN"), 8197);
    await sql.run("CREATE VIEW checked AS SELECT id, n FROM t WHERE n > 0 WITH CHECK OPTION");
    assert.equal(await sql.error("CREATE TRIGGER tr ON checked INSTEAD OF INSERT AS RETURN"), 40510);
    await sql.run("CREATE TRIGGER tr ON both INSTEAD OF DELETE AS RETURN");
    assert.equal(
      await sql.error("MERGE both USING (SELECT 1 AS one) s ON both.id = one WHEN MATCHED THEN DELETE;"),
      40510,
    );
  });
});

describe("definitions", () => {
  test("are switched off and on, ordered, altered and dropped, also with their table", async () => {
    await sql.run("CREATE TRIGGER a ON t AFTER INSERT AS INSERT seen VALUES ('a')");
    await sql.run("CREATE TRIGGER b ON t AFTER INSERT AS INSERT seen VALUES ('b')");
    await sql.run("EXEC sp_settriggerorder 'b', 'First', 'INSERT'; INSERT t VALUES (3, 3)");
    assert.deepEqual(await seen(), ["b", "a"]);
    await sql.run(
      "DISABLE TRIGGER a ON t; INSERT t VALUES (4, 4); ALTER TABLE t DISABLE TRIGGER ALL; INSERT t VALUES (5, 5)",
    );
    await sql.run("ENABLE TRIGGER ALL ON t");
    await sql.run("ALTER TRIGGER a ON t AFTER INSERT AS INSERT seen VALUES ('A')");
    await sql.run("INSERT t VALUES (6, 6); DROP TRIGGER b; INSERT t VALUES (7, 7)");
    assert.deepEqual((await seen()).slice(2), ["b", "b", "A", "A"]);
    assert.deepEqual(
      await sql.rows(`SELECT t.name, OBJECT_NAME(t.parent_id), t.is_disabled, t.is_instead_of_trigger, e.type_desc, o.type
        FROM sys.triggers t JOIN sys.trigger_events e ON e.object_id = t.object_id JOIN sys.objects o ON o.object_id = t.object_id`),
      [["a", "t", false, false, "INSERT", "TR"]],
    );
    await sql.run("DROP TABLE t");
    assert.deepEqual(await sql.rows("SELECT name FROM sys.triggers"), []);
  });

  test("of databases and servers are refused by name", async () => {
    const { errors } = await sql.attempt("CREATE TRIGGER x ON DATABASE FOR CREATE_TABLE AS PRINT 'x'");
    assert.equal(errors[0]!.number, 40510);
    assert.match(errors[0]!.message, /DDL and logon triggers/);
    assert.equal(await sql.error("CREATE TRIGGER x ON nosuch AFTER INSERT AS PRINT 'x'"), 8197);
    assert.equal(await sql.error("DROP TRIGGER nosuch"), 3701);
    assert.equal(await sql.error("DISABLE TRIGGER nosuch ON t"), 4920);
  });
});
