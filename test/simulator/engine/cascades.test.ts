/** Foreign keys that act: https://learn.microsoft.com/sql/relational-databases/tables/primary-and-foreign-key-constraints */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { type Client, start, until } from "./client.ts";

let sql: Client;
let another: () => Promise<Client>;
beforeEach(async () => {
  ({ sql, another } = await start());
  await sql.run("CREATE TABLE p (id int PRIMARY KEY); INSERT p VALUES (0), (1), (2)");
});

async function children(actions: string, column = "p int NULL DEFAULT 0"): Promise<void> {
  await sql.run(`CREATE TABLE c (id int PRIMARY KEY, ${column} CONSTRAINT FK_c REFERENCES p ${actions})`);
  await sql.run("INSERT c VALUES (10, 1), (11, 1), (20, 2)");
}

const rows = () => sql.rows("SELECT id, p FROM c ORDER BY id");

describe("ON DELETE", () => {
  test("CASCADE deletes children and theirs, and counts the statement's own rows alone", async () => {
    await children("ON DELETE CASCADE");
    await sql.run("CREATE TABLE g (id int PRIMARY KEY, c int REFERENCES c ON DELETE CASCADE)");
    await sql.run("INSERT g VALUES (100, 10), (101, 11), (200, 20)");
    const { counts } = await sql.run("DELETE p WHERE id = 1");
    assert.deepEqual(counts, [1]);
    assert.deepEqual(await rows(), [[20, 2]]);
    assert.deepEqual(await sql.rows("SELECT id FROM g"), [[200]]);
  });

  test("SET NULL and SET DEFAULT keep them without a parent, or with another", async () => {
    await children("ON DELETE SET NULL");
    await sql.run("DELETE p WHERE id = 1");
    assert.deepEqual(await rows(), [
      [10, null],
      [11, null],
      [20, 2],
    ]);
    await sql.run("DROP TABLE c; INSERT p VALUES (1)");
    await children("ON DELETE SET DEFAULT");
    await sql.run("DELETE p WHERE id = 1");
    assert.deepEqual(await rows(), [
      [10, 0],
      [11, 0],
      [20, 2],
    ]);
    await sql.run("UPDATE c SET p = 2; DELETE p WHERE id = 0");
    // The default has no parent now.
    assert.equal(await sql.error("DELETE p WHERE id = 2"), 547);
  });

  test("NO ACTION further down undoes it all", async () => {
    await children("ON DELETE CASCADE");
    await sql.run("CREATE TABLE g (id int PRIMARY KEY, c int REFERENCES c); INSERT g VALUES (100, 10)");
    assert.equal(await sql.error("DELETE p WHERE id = 1"), 547);
    assert.equal((await rows()).length, 3);
  });

  test("waits for children that others are changing", async () => {
    await children("ON DELETE CASCADE");
    const other = await another();
    await other.run("BEGIN TRAN; UPDATE c SET p = 2 WHERE id = 10");
    let done = false;
    const deletion = sql.run("DELETE p WHERE id = 1").then(() => {
      done = true;
    });
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.equal(done, false);
    await other.run("COMMIT");
    await until(() => done);
    await deletion;
    assert.deepEqual(await rows(), [
      [10, 2],
      [20, 2],
    ]);
  });
});

test("ON UPDATE CASCADE gives children the new key", async () => {
  await children("ON UPDATE CASCADE");
  await sql.run("UPDATE p SET id = id + 5 WHERE id > 0");
  assert.deepEqual(await rows(), [
    [10, 6],
    [11, 6],
    [20, 7],
  ]);
  assert.equal(await sql.error("DELETE p WHERE id = 6"), 547);
});

test("triggers of the children run after those of the statement, if they have rows", async () => {
  await children("ON DELETE CASCADE");
  await sql.run("CREATE TABLE seen (at int IDENTITY, what varchar(20))");
  await sql.run("CREATE TRIGGER tc ON c AFTER DELETE AS INSERT seen SELECT CONCAT('c ', id) FROM deleted ORDER BY id");
  await sql.run("CREATE TRIGGER tp ON p AFTER DELETE AS INSERT seen SELECT CONCAT('p ', id) FROM deleted");
  await sql.run("DELETE p WHERE id = 1; DELETE p WHERE id = 0");
  assert.deepEqual(await sql.rows("SELECT what FROM seen ORDER BY at"), [["p 1"], ["c 10"], ["c 11"], ["p 0"]]);
});

test("keys that cannot act, or would on two ways, are refused", async () => {
  assert.equal(await sql.error("CREATE TABLE x (p int NOT NULL REFERENCES p ON DELETE SET NULL)"), 1761);
  assert.equal(await sql.error("CREATE TABLE x (id int PRIMARY KEY, x int REFERENCES x ON DELETE CASCADE)"), 1785);
  await sql.run("CREATE TABLE a (id int PRIMARY KEY REFERENCES p ON DELETE CASCADE)");
  const { errors } = await sql.attempt(
    "CREATE TABLE x (a int REFERENCES a ON DELETE CASCADE, p int CONSTRAINT FK_two REFERENCES p ON DELETE CASCADE)",
  );
  assert.equal(errors[0]!.number, 1785);
  assert.match(errors[0]!.message, /'FK_two' on table 'x' may cause cycles or multiple cascade paths/);
  await sql.run("CREATE TABLE x (a int REFERENCES a ON DELETE CASCADE, p int REFERENCES p ON UPDATE CASCADE)");
});
