/** https://learn.microsoft.com/sql/t-sql/statements/alter-table-transact-sql */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { SqlError, SqlServerSimulator } from "../../../simulator/index.ts";

let simulator: SqlServerSimulator;
beforeEach(async () => {
  simulator = await SqlServerSimulator.start({ databases: ["TestDB"], seed: 1 });
  await simulator.query(`CREATE TABLE parent (id int PRIMARY KEY); INSERT parent VALUES (1);
    CREATE TABLE child (id int PRIMARY KEY, parent_id int NULL, n int, CONSTRAINT ck CHECK (n > 0));
    ALTER TABLE child WITH CHECK ADD CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parent (id);
    ALTER TABLE child CHECK CONSTRAINT fk`);
});
afterEach(() => simulator.close());

async function error(sql: string): Promise<number | undefined> {
  try {
    await simulator.query(sql);
    return undefined;
  } catch (raised) {
    if (raised instanceof SqlError) return raised.number;
    throw raised;
  }
}

async function states(): Promise<unknown[][]> {
  const { rows } = await simulator.query(
    `SELECT name, is_disabled, is_not_trusted FROM sys.foreign_keys
     UNION ALL SELECT name, is_disabled, is_not_trusted FROM sys.check_constraints ORDER BY name`,
  );
  return rows.map((row) => [...row]);
}

test("NOCHECK CONSTRAINT lets in what the constraint forbids, CHECK CONSTRAINT no more, without a look at what is there", async () => {
  assert.equal(await error("INSERT child VALUES (1, 9, 0)"), 547);
  await simulator.query("ALTER TABLE child NOCHECK CONSTRAINT fk, ck");
  assert.deepEqual(await states(), [
    ["ck", true, true],
    ["fk", true, true],
  ]);
  await simulator.query("INSERT child VALUES (1, 9, 0); DELETE parent WHERE id = 1");
  await simulator.query("ALTER TABLE child CHECK CONSTRAINT ALL");
  assert.deepEqual(await states(), [
    ["ck", false, true],
    ["fk", false, true],
  ]);
  assert.equal(await error("INSERT child VALUES (2, 9, 1)"), 547);
  assert.equal(await error("INSERT child VALUES (2, NULL, 0)"), 547);
});

test("WITH CHECK holds the rows that are there against the constraint, and makes it trusted", async () => {
  await simulator.query("ALTER TABLE child NOCHECK CONSTRAINT ALL; INSERT child VALUES (1, 9, 1)");
  assert.equal(await error("ALTER TABLE child WITH CHECK CHECK CONSTRAINT ALL"), 547);
  assert.deepEqual((await states())[1], ["fk", true, true]);
  await simulator.query("UPDATE child SET parent_id = 1; ALTER TABLE child WITH CHECK CHECK CONSTRAINT ALL");
  assert.deepEqual(await states(), [
    ["ck", false, false],
    ["fk", false, false],
  ]);
});

test("a new constraint is held against the rows that are there, unless it is added WITH NOCHECK", async () => {
  await simulator.query("CREATE TABLE other (parent_id int, n int); INSERT other VALUES (9, -1)");
  const key = "CONSTRAINT fk2 FOREIGN KEY (parent_id) REFERENCES parent (id)";
  assert.equal(await error(`ALTER TABLE other ADD ${key}`), 547);
  assert.equal(await error("ALTER TABLE other ADD CONSTRAINT ck2 CHECK (n > 0)"), 547);
  await simulator.query(`ALTER TABLE other WITH NOCHECK ADD ${key}, CONSTRAINT ck2 CHECK (n > 0)`);
  assert.deepEqual((await states()).slice(1), [
    ["ck2", false, true],
    ["fk", false, false],
    ["fk2", false, true],
  ]);
  assert.equal(await error("INSERT other VALUES (9, 1)"), 547);
});

test("only foreign keys and checks can be disabled, and only those that are there", async () => {
  assert.equal(await error("ALTER TABLE child NOCHECK CONSTRAINT missing"), 4917);
  await simulator.query("ALTER TABLE child ADD CONSTRAINT uq UNIQUE (n)");
  assert.equal(await error("ALTER TABLE child NOCHECK CONSTRAINT uq"), 11415);
});
