/** INSERT, UPDATE, DELETE, MERGE and the rules of tables. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { type Client, start } from "./client.ts";

let sql: Client;
beforeEach(async () => {
  ({ sql } = await start());
  await sql.run(`CREATE TABLE dbo.Persons (
    ID int IDENTITY(1,1) CONSTRAINT PK_Persons PRIMARY KEY,
    Name nvarchar(10) NOT NULL,
    Email varchar(30) NULL CONSTRAINT UQ_Email UNIQUE,
    Age tinyint NULL CONSTRAINT CK_Age CHECK (Age < 150),
    Kind char(3) NOT NULL CONSTRAINT DF_Kind DEFAULT ('new'),
    NextAge AS Age + 1,
    Version rowversion)`);
});

describe("INSERT", () => {
  test("fills identity, defaults, computed columns and rowversion", async () => {
    await sql.run("INSERT INTO Persons (Name, Email, Age) VALUES (N'Diana', 'd@x', 30), (N'Bruce', 'b@x', NULL)");
    assert.deepEqual(
      await sql.rows(
        "SELECT ID, Name, Age, Kind, NextAge, CASE WHEN Version IS NULL THEN 0 ELSE 1 END FROM Persons ORDER BY ID",
      ),
      [
        [1, "Diana", 30, "new", 31, 1],
        [2, "Bruce", null, "new", null, 1],
      ],
    );
    assert.deepEqual(await sql.rows("SELECT SCOPE_IDENTITY(), @@IDENTITY, IDENT_CURRENT('dbo.Persons')"), [
      ["2", "2", "2"],
    ]);
  });

  test("breaks no rule of the table, whole statements at a time", async () => {
    await sql.run("INSERT Persons (Name, Email) VALUES (N'Diana', 'd@x')");
    const failures: [string, number][] = [
      ["INSERT Persons (Name) VALUES (N'ok'), (NULL)", 515],
      ["INSERT Persons (Name, Email) VALUES (N'ok', 'n@x'), (N'no', 'D@X ')", 2627],
      ["INSERT Persons (Name, Age) VALUES (N'ok', 200)", 547],
      ["INSERT Persons (Name) VALUES (N'far too long a name')", 2628],
      ["INSERT Persons (ID, Name) VALUES (9, N'ok')", 544],
      ["INSERT Persons (Name, NextAge) VALUES (N'ok', 1)", 271],
      ["INSERT Persons (Name, Version) VALUES (N'ok', 0x01)", 273],
      ["INSERT Persons (Name, Nosuch) VALUES (N'ok', 1)", 207],
      ["INSERT Persons (Name, Email) VALUES (N'ok')", 109],
      ["INSERT Nosuch VALUES (1)", 208],
    ];
    for (const [statement, number] of failures) assert.equal(await sql.error(statement), number, statement);
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM Persons"), [[1]]);
    const { errors, infos } = await sql.attempt("INSERT Persons (Name, Email) VALUES (N'no', 'd@x')");
    assert.match(
      errors[0]!.message,
      /^Violation of UNIQUE KEY constraint 'UQ_Email'\. .* The duplicate key value is \(d@x\)\.$/,
    );
    assert.equal(infos[0]!.number, 3621);
  });

  test("takes explicit identity values only when told to", async () => {
    await sql.run(
      "SET IDENTITY_INSERT Persons ON; INSERT Persons (ID, Name, Email) VALUES (10, N'Ten', 'ten'); SET IDENTITY_INSERT Persons OFF; INSERT Persons (Name) VALUES (N'Next')",
    );
    assert.deepEqual(await sql.rows("SELECT ID FROM Persons ORDER BY ID"), [[10], [11]]);
  });

  test("reads from queries, procedures and itself", async () => {
    await sql.run("INSERT Persons (Name, Email) SELECT v.n, v.e FROM (VALUES (N'a', 'a'), (N'b', 'b')) v (n, e)");
    await sql.run("INSERT Persons (Name, Email) SELECT Name + N'2', Email + '2' FROM Persons");
    await sql.run("CREATE TABLE c (x int, y nvarchar(10))");
    await sql.run("INSERT c EXEC ('SELECT ID, Name FROM Persons')");
    assert.deepEqual(await sql.rows("SELECT x, y FROM c ORDER BY x"), [
      [1, "a"],
      [2, "b"],
      [3, "a2"],
      [4, "b2"],
    ]);
    await sql.run("INSERT c DEFAULT VALUES");
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM c WHERE x IS NULL"), [[1]]);
  });

  test("OUTPUT goes to the client, or into a table", async () => {
    const { rows } = await sql.run(
      "DECLARE @t TABLE (id int, n nvarchar(10)); INSERT Persons (Name) OUTPUT inserted.ID, inserted.Name INTO @t VALUES (N'x'); SELECT * FROM @t",
    );
    assert.deepEqual(rows, [[1, "x"]]);
  });
});

describe("UPDATE and DELETE", () => {
  beforeEach(async () => {
    await sql.run(
      "INSERT Persons (Name, Email, Age) VALUES (N'Diana', 'd', 30), (N'Bruce', 'b', 40), (N'Clark', 'c', 50)",
    );
  });

  test("an UPDATE sees only old values, and can swap unique keys", async () => {
    await sql.run(
      "UPDATE Persons SET Email = CASE Email WHEN 'd' THEN 'b' WHEN 'b' THEN 'd' ELSE Email END, Name = Email, Age += 1",
    );
    assert.deepEqual(await sql.rows("SELECT Name, Email, Age, NextAge FROM Persons ORDER BY ID"), [
      ["d", "b", 31, 32],
      ["b", "d", 41, 42],
      ["c", "c", 51, 52],
    ]);
  });

  test("joins, TOP, OUTPUT, variables and rowversion", async () => {
    await sql.run("CREATE TABLE s (e varchar(30), n nvarchar(10)); INSERT s VALUES ('d', N'Di'), ('c', N'Cl')");
    const before = await sql.rows("SELECT Version FROM Persons ORDER BY ID");
    const { rows, counts } = await sql.run(
      "UPDATE p SET Name = s.n OUTPUT deleted.Name, inserted.Name, s.e FROM Persons p JOIN s ON s.e = p.Email",
    );
    assert.deepEqual(rows.sort(), [
      ["Clark", "Cl", "c"],
      ["Diana", "Di", "d"],
    ]);
    assert.deepEqual(counts, [2]);
    const after = await sql.rows("SELECT Version FROM Persons ORDER BY ID");
    assert.deepEqual(
      after.map((row, i) => row[0] === before[i]![0]),
      [false, true, false],
    );
    assert.deepEqual(await sql.rows("DECLARE @v int = 0; UPDATE Persons SET @v = Age = @v + 1; SELECT @v"), [[3]]);
    assert.deepEqual((await sql.run("DELETE TOP (2) FROM Persons")).counts, [2]);
    assert.deepEqual(
      (await sql.run("DELETE p FROM Persons p LEFT JOIN s ON s.e = p.Email WHERE s.e IS NOT NULL OR p.ID > 0")).counts,
      [1],
    );
  });

  test("are refused where they would break a rule, and then change nothing", async () => {
    const failures: [string, number][] = [
      ["UPDATE Persons SET Email = 'same'", 2627],
      ["UPDATE Persons SET Age = Age + 250 WHERE ID > 1", 220],
      ["UPDATE Persons SET Name = NULL", 515],
      ["UPDATE Persons SET ID = 5", 8102],
      ["UPDATE Persons SET NextAge = 5", 271],
      ["UPDATE Persons SET Name = 'a', Name = 'b'", 264],
    ];
    for (const [statement, number] of failures) assert.equal(await sql.error(statement), number, statement);
    assert.deepEqual(await sql.rows("SELECT Name, Age FROM Persons ORDER BY ID"), [
      ["Diana", 30],
      ["Bruce", 40],
      ["Clark", 50],
    ]);
  });

  test("foreign keys hold in both directions", async () => {
    await sql.run(
      "CREATE TABLE Cars (ID int PRIMARY KEY, Owner int NULL CONSTRAINT FK_Owner FOREIGN KEY REFERENCES Persons (ID)); INSERT Cars VALUES (1, 1), (2, NULL)",
    );
    assert.equal(await sql.error("INSERT Cars VALUES (3, 99)"), 547);
    assert.equal(await sql.error("UPDATE Cars SET Owner = 99 WHERE ID = 1"), 547);
    assert.equal(await sql.error("DELETE FROM Persons WHERE ID = 1"), 547);
    await sql.run("DELETE FROM Persons WHERE ID = 2; DELETE FROM Cars; DELETE FROM Persons");
    assert.equal(await sql.error("TRUNCATE TABLE Persons"), 4712);
  });

  test("TRUNCATE empties, resets the identity, and can be rolled back", async () => {
    await sql.run("BEGIN TRAN; TRUNCATE TABLE Persons; ROLLBACK");
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM Persons WHERE Email > 'b'"), [[2]]);
    await sql.run("TRUNCATE TABLE Persons; INSERT Persons (Name) VALUES (N'x')");
    assert.deepEqual(await sql.rows("SELECT ID FROM Persons"), [[1]]);
  });
});

describe("MERGE", () => {
  test("updates, deletes and inserts by match", async () => {
    await sql.run("CREATE TABLE t (k int PRIMARY KEY, v int); INSERT t VALUES (1, 10), (2, 20), (3, 30)");
    const { rows, counts } =
      await sql.run(`MERGE INTO t WITH (HOLDLOCK) USING (VALUES (1, 11), (2, NULL), (4, 44)) s (k, v) ON t.k = s.k
      WHEN MATCHED AND s.v IS NULL THEN DELETE
      WHEN MATCHED THEN UPDATE SET v = s.v
      WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v)
      WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = -v
      OUTPUT $action, deleted.k, inserted.k, inserted.v;`);
    assert.deepEqual(rows.sort(), [
      ["DELETE", 2, null, null],
      ["INSERT", null, 4, 44],
      ["UPDATE", 1, 1, 11],
      ["UPDATE", 3, 3, -30],
    ]);
    assert.deepEqual(counts, [4]);
    assert.deepEqual(await sql.rows("SELECT * FROM t"), [
      [1, 11],
      [3, -30],
      [4, 44],
    ]);
    assert.equal(
      await sql.error("MERGE t USING (VALUES (1), (1)) s (k) ON t.k = s.k WHEN MATCHED THEN UPDATE SET v = 0;"),
      8672,
    );
  });
});

test("a key with a list of columns is the table's, also where the comma before it is missing", async () => {
  await sql.run("CREATE TABLE k (id int NOT NULL, price money PRIMARY KEY (id))");
  await sql.run("INSERT k VALUES (1, NULL)");
  assert.equal(await sql.error("INSERT k VALUES (1, 2)"), 2627);
});

describe("ALTER TABLE", () => {
  beforeEach(async () => {
    await sql.run("CREATE TABLE t (a int NOT NULL, b varchar(10) NULL); INSERT t VALUES (1, '5'), (2, NULL)");
  });

  test("adds columns with and without defaults", async () => {
    await sql.run("ALTER TABLE t ADD c int NULL, d int NOT NULL DEFAULT 7, e int NULL DEFAULT 8 WITH VALUES");
    assert.deepEqual(await sql.rows("SELECT * FROM t"), [
      [1, "5", null, 7, 8],
      [2, null, null, 7, 8],
    ]);
    assert.equal(await sql.error("ALTER TABLE t ADD f int NOT NULL"), 4901);
    assert.equal(await sql.error("ALTER TABLE t ADD a int"), 2705);
  });

  test("changes a column's type, or fails and leaves everything as it was", async () => {
    await sql.run("ALTER TABLE t ALTER COLUMN b int NULL");
    assert.deepEqual(await sql.rows("SELECT b + 1 FROM t"), [[6], [null]]);
    assert.equal(await sql.error("ALTER TABLE t ALTER COLUMN b int NOT NULL"), 515);
    assert.equal(await sql.error("ALTER TABLE t ALTER COLUMN a tinyint; "), undefined);
    await sql.run("UPDATE t SET a = 200; ALTER TABLE t ALTER COLUMN a int; UPDATE t SET a = 300");
    assert.equal(await sql.error("ALTER TABLE t ALTER COLUMN a tinyint"), 220);
    assert.deepEqual(await sql.rows("SELECT a, b FROM t WHERE a = 300"), [
      [300, 5],
      [300, null],
    ]);
  });

  test("drops columns and constraints; nothing that others depend on", async () => {
    await sql.run("ALTER TABLE t ADD CONSTRAINT pk PRIMARY KEY (a); ALTER TABLE t ADD c AS a * 2");
    assert.equal(await sql.error("ALTER TABLE t DROP COLUMN a"), 5074);
    await sql.run("ALTER TABLE t DROP COLUMN c; ALTER TABLE t DROP COLUMN b; ALTER TABLE t DROP CONSTRAINT pk");
    assert.deepEqual(await sql.rows("SELECT * FROM t"), [[1], [2]]);
    await sql.run("BEGIN TRAN; ALTER TABLE t ADD z int NULL; ROLLBACK");
    assert.equal(await sql.error("SELECT z FROM t"), 207);
  });

  test("a table that is not there has each statement's own number", async () => {
    assert.equal(await sql.error("ALTER TABLE nosuch ADD a int"), 4902);
    assert.equal(await sql.error("CREATE INDEX ix ON nosuch (a)"), 1088);
    assert.equal(await sql.error("DBCC CHECKIDENT ('nosuch')"), 2501);
    assert.equal(await sql.error("CREATE TRIGGER tr ON nosuch AFTER INSERT AS PRINT 'x'"), 8197);
  });

  // https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-rename-transact-sql
  test("sp_rename finds a column or an index by its name alone", async () => {
    await sql.run("CREATE INDEX ix ON t (a); EXEC sp_rename 't.a', 'first'; EXEC sp_rename N'dbo.t.ix', N'ix_first'");
    assert.deepEqual(await sql.rows("SELECT first FROM t WITH (INDEX(ix_first))"), [[1], [2]]);
    const [error] = (await sql.attempt("EXEC sp_rename 't.none', 'x'")).errors;
    assert.equal(error!.number, 15225);
    assert.match(error!.message, /given that @itemtype was input as '\(null\)'/);
  });

  test("a unique index is refused over duplicates", async () => {
    await sql.run("UPDATE t SET a = 1");
    assert.equal(await sql.error("CREATE UNIQUE INDEX ix ON t (a)"), 1505);
    assert.equal(await sql.error("ALTER TABLE t ADD CONSTRAINT pk PRIMARY KEY (a)"), 1505);
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM t WHERE a = 1"), [[2]]);
  });
});

describe("DBCC CHECKIDENT", () => {
  test("sets the next identity value: the new one in a table that never had a row, one more in others", async () => {
    const { sql } = await start();
    await sql.run("CREATE TABLE t (id int IDENTITY(1, 1), n int); DBCC CHECKIDENT ('[dbo].[t]', RESEED, 10)");
    await sql.run(
      "INSERT t (n) VALUES (1), (2); DELETE t; DBCC CHECKIDENT (t, RESEED, 0) WITH NO_INFOMSGS; INSERT t (n) VALUES (3)",
    );
    assert.deepEqual(await sql.rows("SELECT id, n FROM t"), [[1, 3]]);
    await sql.run("TRUNCATE TABLE t; DBCC CHECKIDENT ('t', RESEED, 5); INSERT t (n) VALUES (4)");
    assert.deepEqual(await sql.rows("SELECT id, n FROM t"), [[5, 4]]);
  });

  test("without a value goes on behind the largest one, and tells both", async () => {
    const { sql } = await start();
    await sql.run("CREATE TABLE t (id int IDENTITY(1, 1), n int); INSERT t (n) VALUES (1)");
    await sql.run("SET IDENTITY_INSERT t ON; INSERT t (id, n) VALUES (50, 2); SET IDENTITY_INSERT t OFF");
    await sql.run("DBCC CHECKIDENT ('t', RESEED, 3) WITH NO_INFOMSGS");
    const { infos } = await sql.run("DBCC CHECKIDENT ('t', NORESEED)");
    assert.equal(
      infos[0]!.message,
      "Checking identity information: current identity value '3', current column value '50'.",
    );
    await sql.run("DBCC CHECKIDENT ('t'); INSERT t (n) VALUES (3)");
    assert.deepEqual(await sql.rows("SELECT MAX(id) FROM t"), [[51]]);
  });

  test("is refused where there is no identity column, and undone with its transaction", async () => {
    const { sql } = await start();
    await sql.run("CREATE TABLE t (id int IDENTITY(1, 1), n int); CREATE TABLE u (n int)");
    assert.equal(await sql.error("DBCC CHECKIDENT (u)"), 7997);
    await sql.run("BEGIN TRAN; DBCC CHECKIDENT (t, RESEED, 9); ROLLBACK; INSERT t (n) VALUES (1)");
    assert.deepEqual(await sql.rows("SELECT id FROM t"), [[1]]);
  });
});

// https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server
test("a table has 1,024 columns and no more", async () => {
  const columns = (count: number) => Array.from({ length: count }, (_, i) => `c${i} int`).join(", ");
  await sql.run(`CREATE TABLE widest (${columns(1024)})`);
  assert.equal(await sql.error(`CREATE TABLE wider (${columns(1025)})`), 1702);
});
