/** Metadata functions: https://learn.microsoft.com/sql/t-sql/functions/metadata-functions-transact-sql */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "../../../simulator/catalog/names.ts";
import type { Value, Variant } from "../../../simulator/engine/values.ts";
import { column, createTable, type Fixture, fixture } from "../cdc/engine-fixture.ts";

const INT = { id: "int" } as const;

function asked(f: Fixture): (name: string, ...args: Value[]) => Value {
  return (name, ...args) => f.engine.systemObjects.function("", name)!.call(f.context, args);
}

test("names are read with brackets, quotes and omitted parts", () => {
  assert.deepEqual(parseName('[a]]b]."c.d".e'), ["a]b", "c.d", "e"]);
  assert.deepEqual(parseName("db..t"), ["db", "", "t"]);
});

test("OBJECT_ID finds tables by one to three parts, and takes a type", () => {
  const f = fixture();
  const ask = asked(f);
  const table = createTable(f.database, "people", [
    column("id", 1, INT, false),
    column("name", 2, { id: "nvarchar", length: 20 }),
  ]);
  for (const name of ["people", "DBO.People", "[TestDB].[dbo].[people]", "TestDB..people"])
    assert.equal(ask("OBJECT_ID", name), table.objectId);
  assert.equal(ask("OBJECT_ID", "people", "U"), table.objectId);
  assert.equal(ask("OBJECT_ID", "people", "V"), null);
  assert.equal(ask("OBJECT_ID", "nothing"), null);
  assert.ok(ask("OBJECT_ID", "sys.sp_cdc_enable_db") !== null, "system procedures are objects of every database");
  assert.equal(ask("OBJECT_NAME", table.objectId), "people");
  assert.equal(ask("OBJECT_SCHEMA_NAME", table.objectId, f.database.id), "dbo");
  assert.equal(ask("OBJECT_NAME", table.objectId, 1), null);
  assert.equal(ask("COL_NAME", table.objectId, 2), "name");
  assert.equal(ask("COL_LENGTH", "people", "name"), 40);
  assert.equal(ask("COLUMNPROPERTY", table.objectId, "name", "AllowsNull"), 1);
  assert.equal(ask("OBJECTPROPERTY", table.objectId, "TableHasPrimaryKey"), 1);
  assert.equal(ask("INDEX_COL", "people", 1, 1), "id");
});

test("databases, schemas and types have names and ids", () => {
  const f = fixture();
  const ask = asked(f);
  assert.equal(ask("DB_NAME"), "TestDB");
  assert.equal(ask("DB_ID", "testdb"), f.database.id);
  assert.equal(ask("DB_NAME", 1), "master");
  assert.equal(ask("DB_ID", "nothing"), null);
  assert.equal(ask("SCHEMA_NAME"), "dbo");
  assert.equal(ask("SCHEMA_ID", "sys"), 4);
  assert.equal(ask("TYPE_NAME", 231), "nvarchar");
  assert.equal(ask("TYPE_ID", "sysname"), 256);
});

test("SERVERPROPERTY tells a SQL Server 2022", () => {
  const f = fixture();
  const value = (name: string) => (asked(f)("SERVERPROPERTY", name) as Variant | null)?.value;
  assert.equal(value("EngineEdition"), 3);
  assert.equal(value("productmajorversion"), "16");
  assert.equal(value("Collation"), f.engine.collation);
  assert.equal(value("InstanceName"), undefined);
  assert.equal(value("nothing"), undefined);
  const recovery = asked(f)("DATABASEPROPERTYEX", "TestDB", "Recovery");
  assert.equal((recovery as Variant).value, "FULL");
});

test("HAS_PERMS_BY_NAME answers for the login that asks", () => {
  const f = fixture();
  const table = createTable(f.database, "people", [column("id", 1, INT, false)]);
  const ask = asked(f);
  assert.equal(ask("HAS_PERMS_BY_NAME", null, null, "VIEW SERVER STATE"), 1);
  assert.equal(ask("HAS_PERMS_BY_NAME", "dbo.people", "OBJECT", "SELECT"), 1);
  const login = f.engine.addLogin("reader", "p", false);
  const user = f.database.principals.create("reader", "user", f.engine.now(), "reader");
  const context = { ...f.context, session: f.engine.openSession(login, f.database) };
  const reader = (...args: Value[]) => f.engine.systemObjects.function("", "HAS_PERMS_BY_NAME")!.call(context, args);
  assert.equal(reader("dbo.people", "OBJECT", "SELECT"), 0);
  assert.equal(reader(null, "DATABASE", "VIEW DATABASE STATE"), 0);
  f.database.principals.permissions.push({
    grantee: user.name,
    state: "grant",
    permission: "SELECT",
    class: "object",
    majorId: table.objectId,
    columns: [],
  });
  assert.equal(reader("dbo.people", "OBJECT", "SELECT"), 1);
  assert.equal(reader("dbo.nothing", "OBJECT", "SELECT"), null);
});

// https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/system-dynamic-management-views
test("dynamic management views are denied to a login without VIEW DATABASE STATE or VIEW SERVER STATE", () => {
  const f = fixture();
  const login = f.engine.addLogin("reader", "p", false);
  f.database.principals.create("reader", "user", f.engine.now(), "reader");
  const context = { ...f.context, session: f.engine.openSession(login, f.database) };
  const read = (name: string) => [...f.engine.systemObjects.view("sys", name)!.rows(context)];
  assert.throws(() => read("dm_cdc_errors"), { number: 262 });
  assert.throws(() => read("dm_server_services"), { number: 300 });
  assert.equal(read("dm_exec_sessions").length, 1);
  f.database.principals.permissions.push({
    grantee: "reader",
    state: "grant",
    permission: "VIEW DATABASE STATE",
    class: "database",
    majorId: 0,
    columns: [],
  });
  assert.deepEqual(read("dm_cdc_errors"), []);
});

test("COLLATIONPROPERTY tells code page, LCID, comparison style and version, as its page shows; NULL for what it does not know", () => {
  const ask = asked(fixture());
  const told = (name: string, property: string) => (ask("COLLATIONPROPERTY", name, property) as Variant | null)?.value;
  assert.equal(told("Traditional_Spanish_CS_AS_KS_WS", "CodePage"), 1252);
  assert.equal(told("Latin1_General_CI_AS", "ComparisonStyle"), 196_609);
  assert.equal(told("Latin1_General_CI_AS", "LCID"), 1033);
  assert.equal(told("Japanese_CI_AS", "codepage"), 932);
  assert.equal(told("Latin1_General_100_CI_AS_SC_UTF8", "CodePage"), 65_001);
  assert.equal(told("Latin1_General_100_BIN2", "ComparisonStyle"), 0);
  assert.equal(told("Latin1_General_100_CI_AS", "Version"), 2);
  assert.equal(told("No_Such_Collation", "CodePage"), undefined);
  assert.equal(told("Latin1_General_CI_AS", "NoSuchProperty"), undefined);
});
