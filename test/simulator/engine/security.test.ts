/** What a login that is no administrator may do, and with which error it learns what it may not. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { Engine } from "../../../simulator/engine/engine.ts";
import { type Client, open, start } from "./client.ts";

let engine: Engine;
let admin: Client;
let reader: Client;
beforeEach(async () => {
  ({ engine, sql: admin } = await start());
  await admin.run(`CREATE LOGIN reader WITH PASSWORD = 'secret'; CREATE USER reader FOR LOGIN reader;
    CREATE TABLE dbo.t (id int PRIMARY KEY); INSERT t VALUES (1)`);
  await admin.run("CREATE SCHEMA s");
  await admin.run("CREATE TABLE s.u (id int); INSERT s.u VALUES (2)");
  reader = await open(engine, "Test", "reader", "secret");
});

describe("logins", () => {
  test("need the right password and a user in the database", async () => {
    await assert.rejects(open(engine, "Test", "reader", "wrong"), { number: 18456 });
    await assert.rejects(open(engine, "Nosuch", "reader", "secret"), { number: 4060 });
    engine.createDatabase("Closed");
    await assert.rejects(open(engine, "Closed", "reader", "secret"), { number: 4060 });
    assert.equal(await reader.error("USE Closed"), 916);
  });
});

describe("permissions", () => {
  test("are denied with 229 and 262 until granted, to object, schema or role", async () => {
    for (const [statement, number] of [
      ["SELECT * FROM t", 229],
      ["INSERT t VALUES (2)", 229],
      ["UPDATE t SET id = 3", 229],
      ["DELETE t", 229],
      ["CREATE TABLE x (y int)", 262],
      ["TRUNCATE TABLE t", 1088],
      ["DROP TABLE t", 3701],
      ["GRANT SELECT ON t TO reader", 15247],
    ] as const)
      assert.equal(await reader.error(statement), number, statement);
    await admin.run("GRANT SELECT ON dbo.t TO reader; GRANT SELECT ON SCHEMA::s TO reader");
    assert.deepEqual(await reader.rows("SELECT t.id, u.id FROM t, s.u"), [[1, 2]]);
    await admin.run("ALTER ROLE db_datawriter ADD MEMBER reader");
    await reader.run("INSERT t VALUES (2)");
    await admin.run("DENY SELECT ON dbo.t TO reader");
    const { errors } = await reader.attempt("SELECT * FROM t");
    assert.equal(
      errors[0]!.message,
      "The SELECT permission was denied on the object 't', database 'Test', schema 'dbo'.",
    );
    await admin.run("REVOKE SELECT ON dbo.t TO reader; ALTER ROLE db_owner ADD MEMBER reader");
    assert.deepEqual(await reader.rows("SELECT COUNT(*), IS_MEMBER('db_owner') FROM t"), [[2, 1]]);
  });

  test("of a procedure or view are enough for what it refers to", async () => {
    await admin.run("CREATE PROCEDURE dbo.p AS SELECT id FROM t");
    await admin.run("CREATE VIEW dbo.v AS SELECT id FROM t");
    assert.equal(await reader.error("EXEC p"), 229);
    await admin.run("GRANT EXECUTE ON dbo.p TO reader; GRANT SELECT ON dbo.v TO reader");
    assert.deepEqual(await reader.rows("EXEC p"), [[1]]);
    assert.deepEqual(await reader.rows("SELECT * FROM v"), [[1]]);
  });
});
