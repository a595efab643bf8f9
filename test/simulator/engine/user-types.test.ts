/** CREATE TYPE: aliases and table types. https://learn.microsoft.com/sql/t-sql/statements/create-type-transact-sql */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { installCatalog } from "../../../simulator/catalog/install.ts";
import { type Client, start } from "./client.ts";

let sql: Client;
beforeEach(async () => {
  const { engine, sql: client } = await start();
  installCatalog(engine);
  sql = client;
});

describe("alias types", () => {
  beforeEach(() => sql.run("CREATE TYPE dbo.Phone FROM varchar(20) NOT NULL"));

  test("stand for their base in columns, variables and parameters, and say whether a column takes NULL", async () => {
    await sql.run("CREATE TABLE t (id int, phone dbo.Phone, other Phone NULL)");
    await sql.run("CREATE PROCEDURE p @phone dbo.Phone AS INSERT t (id, phone) VALUES (1, @phone)");
    await sql.run("DECLARE @x Phone = '555'; EXEC p @x");
    assert.deepEqual(await sql.rows("SELECT phone, other FROM t"), [["555", null]]);
    assert.equal(await sql.error("INSERT t (id) VALUES (2)"), 515);
    assert.deepEqual(
      await sql.rows(`SELECT c.name, t.name, c.max_length, c.is_nullable, t.is_user_defined FROM sys.columns c
        JOIN sys.types t ON t.user_type_id = c.user_type_id WHERE c.object_id = OBJECT_ID('t') ORDER BY c.column_id`),
      [
        ["id", "int", 4, true, false],
        ["phone", "Phone", 20, false, true],
        ["other", "Phone", 20, true, true],
      ],
    );
  });

  test("cannot be made twice, nor dropped while they are used, nor used when they are gone", async () => {
    assert.equal(await sql.error("CREATE TYPE Phone FROM int"), 219);
    await sql.run("CREATE TABLE t (phone dbo.Phone)");
    assert.equal(await sql.error("DROP TYPE dbo.Phone"), 3732);
    await sql.run("DROP TABLE t; DROP TYPE dbo.Phone; DROP TYPE IF EXISTS dbo.Phone");
    assert.equal(await sql.error("DROP TYPE dbo.Phone"), 218);
    assert.equal(await sql.error("DECLARE @x dbo.Phone"), 2715);
    assert.equal(await sql.error("CREATE TABLE t (phone Phone)"), 2715);
  });
});

describe("table types", () => {
  beforeEach(() =>
    sql.run("CREATE TYPE dbo.Ids AS TABLE (id int NOT NULL PRIMARY KEY, name nvarchar(20) DEFAULT N'none')"),
  );

  test("are types of variables, with all their rules", async () => {
    assert.deepEqual(
      await sql.rows("DECLARE @t dbo.Ids; INSERT @t (id) VALUES (1), (2); SELECT id, name FROM @t ORDER BY id"),
      [
        [1, "none"],
        [2, "none"],
      ],
    );
    assert.equal(await sql.error("DECLARE @t Ids; INSERT @t (id) VALUES (1), (1)"), 2627);
    assert.equal(await sql.error("CREATE TABLE t (x dbo.Ids)"), 2724);
  });

  test("pass tables to procedures, which only read them", async () => {
    await sql.run("CREATE PROCEDURE total @ids dbo.Ids READONLY, @n int OUTPUT AS SELECT @n = SUM(id) FROM @ids");
    assert.deepEqual(
      await sql.rows("DECLARE @t dbo.Ids, @n int; INSERT @t (id) VALUES (3), (4); EXEC total @t, @n OUTPUT; SELECT @n"),
      [[7]],
    );
    assert.deepEqual(await sql.rows("DECLARE @n int; EXEC total @n = @n OUTPUT; SELECT @n"), [[null]]);
    assert.deepEqual(
      await sql.rows(
        "DECLARE @t Ids; INSERT @t (id) VALUES (5); EXEC sp_executesql N'SELECT id FROM @x', N'@x dbo.Ids READONLY', @t",
      ),
      [[5]],
    );
  });

  test("are checked where they are passed", async () => {
    await sql.run("CREATE PROCEDURE p @ids dbo.Ids READONLY AS DELETE @ids");
    await sql.run("CREATE TYPE dbo.Others AS TABLE (id int)");
    assert.equal(await sql.error("DECLARE @t Ids; EXEC p @t"), 10700);
    assert.equal(await sql.error("DECLARE @t Others; EXEC p @t"), 206);
    assert.equal(await sql.error("DECLARE @t TABLE (id int); EXEC p @t"), 206);
    assert.equal(await sql.error("EXEC p 1"), 206);
    assert.equal(await sql.error("CREATE PROCEDURE q @ids dbo.Ids AS SELECT 1"), 352);
    assert.equal(await sql.error("CREATE PROCEDURE q @id int READONLY AS SELECT 1"), 346);
    assert.equal(await sql.error("CREATE PROCEDURE q @id dbo.Nosuch AS SELECT 1"), 2715);
    assert.equal(await sql.error("DROP TYPE dbo.Ids"), 3732);
  });

  test("are in the catalogue", async () => {
    assert.deepEqual(
      await sql.rows(`SELECT t.name, s.name, t.is_table_type, t.system_type_id, o.type, c.name, c.is_nullable
        FROM sys.table_types t JOIN sys.schemas s ON s.schema_id = t.schema_id
        JOIN sys.objects o ON o.object_id = t.type_table_object_id
        JOIN sys.columns c ON c.object_id = t.type_table_object_id ORDER BY c.column_id`),
      [
        ["Ids", "dbo", true, 243, "TT", "id", false],
        ["Ids", "dbo", true, 243, "TT", "name", true],
      ],
    );
    assert.deepEqual(await sql.rows("SELECT name FROM sys.types WHERE is_user_defined = 1"), [["Ids"]]);
    await sql.run("BEGIN TRAN; CREATE TYPE Gone FROM int; ROLLBACK");
    assert.equal(await sql.value("TYPE_ID('Gone')"), null);
  });
});
