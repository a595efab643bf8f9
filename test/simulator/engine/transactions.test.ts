/** What sessions see of each other, and who waits for whom. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import type { Engine } from "../../../simulator/engine/engine.ts";
import type { Session } from "../../../simulator/engine/user-session.ts";
import { type Client, start, until } from "./client.ts";

let engine: Engine;
let a: Client;
let b: Client;
let another: () => Promise<Client>;
beforeEach(async () => {
  const started = await start();
  ({ engine, sql: a, another } = started);
  b = await another();
  await a.run("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT t VALUES (1, 10), (2, 20)");
});

function waiting(client: Client): boolean {
  return engine.waits.blockersOf(client.session as Session).length > 0;
}

/** Starts something and returns when it waits. */
async function blocked<T>(client: Client, started: Promise<T>): Promise<Promise<T>[]> {
  await until(() => waiting(client));
  return [started];
}

describe("visibility", () => {
  test("readers see the last committed rows and never wait; NOLOCK sees the rest", async () => {
    await a.run("BEGIN TRAN; UPDATE t SET v = 11 WHERE id = 1; INSERT t VALUES (3, 30); DELETE t WHERE id = 2");
    assert.deepEqual(await b.rows("SELECT * FROM t"), [
      [1, 10],
      [2, 20],
    ]);
    assert.deepEqual(await b.rows("SELECT * FROM t WITH (NOLOCK)"), [
      [1, 11],
      [3, 30],
    ]);
    assert.deepEqual(await a.rows("SELECT * FROM t"), [
      [1, 11],
      [3, 30],
    ]);
    await a.run("COMMIT");
    assert.deepEqual(await b.rows("SELECT * FROM t"), [
      [1, 11],
      [3, 30],
    ]);
  });

  test("a SNAPSHOT transaction keeps its view, and cannot overwrite what changed since", async () => {
    await b.run("ALTER DATABASE Test SET ALLOW_SNAPSHOT_ISOLATION ON");
    await b.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT v FROM t WHERE id = 1");
    await a.run("UPDATE t SET v = 11 WHERE id = 1");
    assert.deepEqual(await b.rows("SELECT v FROM t WHERE id = 1"), [[10]]);
    assert.equal(await b.error("UPDATE t SET v = 12 WHERE id = 1"), 3960);
    assert.deepEqual(await b.rows("SELECT @@TRANCOUNT"), [[0]]);
  });

  test("a result that is read slowly is of one moment", async () => {
    await a.run(
      "CREATE TABLE big (id int PRIMARY KEY, v int); INSERT big SELECT value, 0 FROM GENERATE_SERIES(1, 5000)",
    );
    let sum = 0;
    let count = 0;
    const sink = {
      columns() {},
      async row(row: readonly unknown[]) {
        sum += row[1] as number;
        if (++count === 100)
          await a.run("UPDATE big SET v = 1; DELETE big WHERE id > 4000; INSERT big VALUES (9000, 1)");
      },
      statementDone() {},
      message() {},
      environment() {},
      output() {},
      returnStatus() {},
    };
    await b.session.batch("SELECT * FROM big", sink, new AbortController().signal);
    assert.deepEqual([count, sum], [5000, 0]);
    assert.deepEqual(await b.rows("SELECT COUNT(*), SUM(v) FROM big"), [[4001, 4001]]);
  });
});

describe("waiting", () => {
  test("a second writer waits for the first and then works on what it left", async () => {
    await a.run("BEGIN TRAN; UPDATE t SET v = v + 1 WHERE id = 1");
    const [second] = await blocked(b, b.run("UPDATE t SET v = v * 2 WHERE id = 1"));
    await a.run("COMMIT");
    await second;
    assert.deepEqual(await a.rows("SELECT v FROM t WHERE id = 1"), [[22]]);
  });

  test("a row that no longer fits after the wait is left alone", async () => {
    await a.run("BEGIN TRAN; UPDATE t SET v = 99 WHERE id = 1");
    const [second] = await blocked(b, b.run("DELETE t WHERE v = 10"));
    await a.run("COMMIT");
    assert.deepEqual((await second!).counts, [0]);
  });

  test("a duplicate key is only one when the other transaction commits", async () => {
    await a.run("BEGIN TRAN; INSERT t VALUES (3, 30)");
    const [first] = await blocked(b, b.attempt("INSERT t VALUES (3, 33)"));
    await a.run("ROLLBACK");
    assert.deepEqual((await first!).errors, []);
    await a.run("BEGIN TRAN; DELETE t WHERE id = 3");
    const [second] = await blocked(b, b.attempt("INSERT t VALUES (3, 34)"));
    await a.run("COMMIT");
    assert.deepEqual((await second!).errors, []);
    assert.deepEqual(await b.rows("SELECT v FROM t WHERE id = 3"), [[34]]);
  });

  test("LOCK_TIMEOUT ends a wait with 1222, a cancelled request without an error", async () => {
    await a.run("BEGIN TRAN; UPDATE t SET v = 0 WHERE id = 1");
    assert.equal(await b.error("SET LOCK_TIMEOUT 0; UPDATE t SET v = 1 WHERE id = 1"), 1222);
    await b.run("SET LOCK_TIMEOUT -1");
    const cancel = new AbortController();
    const [cancelled] = await blocked(b, b.attempt("UPDATE t SET v = 1 WHERE id = 1", cancel.signal));
    cancel.abort();
    assert.deepEqual((await cancelled!).errors, []);
    await a.run("ROLLBACK");
    assert.deepEqual(await b.rows("SELECT v FROM t"), [[10], [20]]);
  });

  test("of two that wait for each other one is the victim, and the other goes on", async () => {
    await a.run("BEGIN TRAN; UPDATE t SET v = 1 WHERE id = 1");
    await b.run("SET DEADLOCK_PRIORITY LOW; BEGIN TRAN; UPDATE t SET v = 2 WHERE id = 2");
    const [first] = await blocked(a, a.attempt("UPDATE t SET v = 1 WHERE id = 2; COMMIT"));
    const victim = await b.attempt("UPDATE t SET v = 2 WHERE id = 1; SELECT 'not reached'");
    assert.deepEqual([victim.errors[0]?.number, victim.sets.length], [1205, 0]);
    assert.deepEqual((await first!).errors, []);
    assert.deepEqual(await b.rows("SELECT v FROM t"), [[1], [1]]);
    assert.deepEqual(await b.rows("SELECT @@TRANCOUNT"), [[0]]);
  });

  test("SERIALIZABLE readers keep writers out until they end", async () => {
    await a.run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN TRAN; SELECT * FROM t");
    const [writer] = await blocked(b, b.run("INSERT t VALUES (5, 50)"));
    assert.deepEqual(await a.rows("SELECT COUNT(*) FROM t"), [[2]]);
    await a.run("COMMIT");
    await writer;
  });

  test("two upserts under HOLDLOCK make one row", async () => {
    const merge =
      "MERGE t WITH (HOLDLOCK) USING (VALUES (7)) s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = v + 1 WHEN NOT MATCHED THEN INSERT VALUES (7, 1);";
    await a.run(`BEGIN TRAN; ${merge}`);
    const [second] = await blocked(b, b.run(merge));
    await a.run("COMMIT");
    await second;
    assert.deepEqual(await a.rows("SELECT v FROM t WHERE id = 7"), [[2]]);
  });

  test("DROP TABLE waits for who has changed the table", async () => {
    await a.run("BEGIN TRAN; UPDATE t SET v = 11 WHERE id = 1");
    assert.equal(await b.error("SET LOCK_TIMEOUT 10; DROP TABLE t"), 1222);
    const [dropped] = await blocked(b, b.run("SET LOCK_TIMEOUT -1; DROP TABLE t"));
    await a.run("COMMIT");
    await dropped;
    assert.equal(await a.error("SELECT * FROM t"), 208);
  });

  test("READPAST takes the next free row of a queue", async () => {
    await a.run("BEGIN TRAN; DELETE TOP (1) FROM t WITH (READPAST) OUTPUT deleted.id");
    assert.deepEqual(await b.rows("DELETE TOP (1) FROM t WITH (READPAST) OUTPUT deleted.id"), [[2]]);
  });

  test("a closed connection lets go of everything", async () => {
    await a.run("BEGIN TRAN; UPDATE t SET v = 1 WHERE id = 1; EXEC sp_getapplock 'x', 'Exclusive', 'Session'");
    const [second] = await blocked(b, b.run("UPDATE t SET v = v + 1 WHERE id = 1"));
    a.session.close();
    await second;
    assert.deepEqual(await b.rows("SELECT v FROM t WHERE id = 1"), [[11]]);
    assert.equal(
      (await b.rows("DECLARE @r int; EXEC @r = sp_getapplock 'x', 'Exclusive', 'Session', 0; SELECT @r"))[0]![0],
      0,
    );
  });
});

describe("transactions", () => {
  test("nest by counting, and roll back to savepoints or altogether", async () => {
    assert.deepEqual(await a.rows("BEGIN TRAN; BEGIN TRAN; COMMIT; SELECT @@TRANCOUNT"), [[1]]);
    await a.run("UPDATE t SET v = 1; SAVE TRAN s; UPDATE t SET v = 2; INSERT t VALUES (3, 3); ROLLBACK TRAN s; COMMIT");
    assert.deepEqual(await a.rows("SELECT v FROM t"), [[1], [1]]);
    assert.equal(await a.error("COMMIT"), 3902);
    assert.equal(await a.error("ROLLBACK"), 3903);
    assert.equal(await a.error("SAVE TRAN x"), 628);
    assert.equal(await a.error("BEGIN TRAN; ROLLBACK TRAN nosuch"), 6401);
  });

  test("XACT_ABORT ends the batch and its transaction; without it the next statement runs", async () => {
    const lenient = await a.attempt("BEGIN TRAN; INSERT t VALUES (1, 1); INSERT t VALUES (4, 4); COMMIT");
    assert.equal(lenient.errors.length, 1);
    assert.deepEqual(await a.rows("SELECT COUNT(*) FROM t"), [[3]]);
    const strict = await a.attempt(
      "SET XACT_ABORT ON; BEGIN TRAN; INSERT t VALUES (5, 5); INSERT t VALUES (1, 1); INSERT t VALUES (6, 6); COMMIT",
    );
    assert.deepEqual(
      strict.errors.map(({ number }) => number),
      [2627],
    );
    assert.deepEqual(await a.rows("SELECT COUNT(*), @@TRANCOUNT FROM t"), [[3, 0]]);
  });

  test("a doomed transaction can only be rolled back", async () => {
    const { rows, errors } = await a.attempt(`SET XACT_ABORT ON; BEGIN TRAN;
      BEGIN TRY INSERT t VALUES (1, 1) END TRY
      BEGIN CATCH SELECT XACT_STATE(), ERROR_NUMBER(); UPDATE t SET v = 5 END CATCH`);
    assert.deepEqual(rows, [[-1, 2627]]);
    assert.equal(errors[0]!.number, 3930);
    assert.deepEqual(await a.rows("SELECT @@TRANCOUNT"), [[0]]);
    assert.equal(
      await a.error("SET XACT_ABORT ON; BEGIN TRAN; BEGIN TRY INSERT t VALUES (1, 1) END TRY BEGIN CATCH END CATCH"),
      3998,
    );
  });

  test("SNAPSHOT is refused with 3952 in a database that does not allow it, but for table variables", async () => {
    await a.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT");
    assert.equal(await a.error("SELECT * FROM t"), 3952);
    assert.equal(await a.error("INSERT t VALUES (3, 30)"), 3952);
    assert.deepEqual(await a.rows("DECLARE @t TABLE (a int); SELECT * FROM @t"), []);
    await a.run("ALTER DATABASE Test SET ALLOW_SNAPSHOT_ISOLATION ON");
    assert.deepEqual(await a.rows("INSERT t VALUES (3, 30); SELECT COUNT(*) FROM t"), [[3]]);
  });

  test("a SNAPSHOT transaction sees what it puts into a table variable", async () => {
    await a.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN");
    assert.deepEqual(
      await a.rows("DECLARE @t TABLE (a int); INSERT @t EXEC ('SELECT 1'); UPDATE @t SET a = 2; SELECT a FROM @t"),
      [[2]],
    );
  });

  test("a table variable keeps what a rolled back transaction put in", async () => {
    assert.deepEqual(
      await a.rows("DECLARE @v TABLE (x int); BEGIN TRAN; INSERT @v VALUES (1); ROLLBACK; SELECT * FROM @v"),
      [[1]],
    );
  });
});

// https://learn.microsoft.com/sql/t-sql/statements/set-implicit-transactions-transact-sql
test("under IMPLICIT_TRANSACTIONS whatever reads or writes tables begins a transaction, nothing else does", async () => {
  await a.run("SET IMPLICIT_TRANSACTIONS ON");
  const count = async (sql: string) => {
    const { sets } = await a.run(`${sql}; SELECT @@TRANCOUNT; IF @@TRANCOUNT > 0 ROLLBACK`);
    return sets.at(-1)!.rows[0]![0];
  };
  for (const sql of [
    "SELECT v FROM t",
    "IF EXISTS (SELECT 1 FROM t) PRINT 'x'",
    "DECLARE @n int = (SELECT COUNT(*) FROM t)",
    "DECLARE @t TABLE (a int); INSERT @t VALUES (1)",
    "UPDATE t SET v = 1 WHERE id = 0",
    "CREATE TABLE made (a int)",
  ])
    assert.equal(await count(sql), 1, sql);
  for (const sql of ["DECLARE @n int = 1; IF @n = 1 PRINT 'x'", "SELECT 1"]) assert.equal(await count(sql), 0, sql);
});

// https://learn.microsoft.com/sql/t-sql/language-elements/rollback-transaction-transact-sql
test("rolling back to a savepoint lets go of the locks taken since, and only of those", async () => {
  await a.run("BEGIN TRAN; UPDATE t SET v = 11 WHERE id = 1; SAVE TRAN s; UPDATE t SET v = 22 WHERE id = 2");
  const [waits] = await blocked(b, b.run("UPDATE t SET v = 23 WHERE id = 2"));
  await a.run("ROLLBACK TRAN s");
  await waits;
  assert.equal(await b.error("SET LOCK_TIMEOUT 10; UPDATE t SET v = 12 WHERE id = 1"), 1222);
  await a.run("SELECT TOP (0) * FROM t WITH (TABLOCKX); ROLLBACK");

  // As Debezium's snapshots lock tables while they read their columns.
  await a.run("BEGIN TRAN; SAVE TRAN s; SELECT TOP (0) * FROM t WITH (TABLOCKX)");
  assert.equal(await b.error("UPDATE t SET v = 12 WHERE id = 1"), 1222);
  await a.run("ROLLBACK TRAN s");
  await b.run("UPDATE t SET v = 12 WHERE id = 1");
  await a.run("COMMIT");
});

// https://learn.microsoft.com/sql/t-sql/statements/alter-database-transact-sql-set-options
test("SINGLE_USER WITH ROLLBACK IMMEDIATE ends the other sessions of a database, and keeps new ones out", async () => {
  await a.run("CREATE DATABASE crowded; USE crowded; CREATE TABLE t (a int); BEGIN TRAN; INSERT t VALUES (1)");
  assert.equal(await b.error("DROP DATABASE crowded"), 3702);
  assert.equal(await b.error("ALTER DATABASE crowded SET SINGLE_USER WITH NO_WAIT"), 5070);
  await b.run("ALTER DATABASE crowded SET SINGLE_USER WITH ROLLBACK IMMEDIATE; USE crowded");
  assert.deepEqual(await b.rows("SELECT COUNT(*) FROM t"), [[0]]);
  const c = await another();
  assert.equal(await c.error("USE crowded"), 924);
  await b.run("ALTER DATABASE crowded SET MULTI_USER");
  await c.run("USE crowded; USE master");
  await b.run("USE master; DROP DATABASE crowded");
});

describe("application locks", () => {
  test("are granted, waited for, timed out and released", async () => {
    const lock = (timeout: number) =>
      `DECLARE @r int; EXEC @r = sp_getapplock @Resource = 'job', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = ${timeout}; SELECT @r`;
    assert.deepEqual(await a.rows(lock(0)), [[0]]);
    assert.deepEqual(await b.rows(lock(0)), [[-1]]);
    assert.deepEqual(
      await b.rows(
        "SELECT APPLOCK_TEST('public', 'job', 'Shared', 'Session'), APPLOCK_MODE('public', 'job', 'Session')",
      ),
      [[0, "NoLock"]],
    );
    const [second] = await blocked(b, b.rows(lock(-1)));
    await a.run("EXEC sp_releaseapplock 'job', 'Session'");
    assert.deepEqual(await second, [[1]]);
    assert.equal(await a.error("EXEC sp_releaseapplock 'job', 'Session'"), 1223);
  });

  test("of a transaction end with it", async () => {
    await a.run("BEGIN TRAN; EXEC sp_getapplock 'job', 'Exclusive'");
    assert.deepEqual(await a.rows("SELECT APPLOCK_MODE('public', 'job', 'Transaction')"), [["Exclusive"]]);
    await a.run("COMMIT");
    assert.deepEqual(await b.rows("DECLARE @r int; EXEC @r = sp_getapplock 'job', 'Shared', 'Session', 0; SELECT @r"), [
      [0],
    ]);
  });
});

test("random transactions of three sessions end as if each had run alone, in the order of their commits", async () => {
  const step = fc.record({
    who: fc.integer({ min: 0, max: 2 }),
    what: fc.constantFrom("insert", "update", "move", "delete", "commit", "rollback", "save", "undo"),
    id: fc.integer({ min: 1, max: 5 }),
    v: fc.integer({ min: 0, max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const started = await start();
      await started.sql.run("CREATE TABLE r (id int PRIMARY KEY, v int, INDEX ix (v)); INSERT r VALUES (1, 1), (2, 2)");
      const clients = [started.sql, await started.another(), await started.another()];
      for (const client of clients) await client.run("SET LOCK_TIMEOUT 0");
      let committed = new Map([
        [1, 1],
        [2, 2],
      ]);
      // Each session's own changes since its transaction began, as functions of the committed state.
      const own: (((state: Map<number, number>) => void)[] | null)[] = [null, null, null];
      const saved = [0, 0, 0];
      for (const { who, what, id, v } of steps) {
        const client = clients[who]!;
        if (!own[who]) {
          await client.run("BEGIN TRAN");
          own[who] = [];
          saved[who] = -1;
        }
        if (what === "commit" || what === "rollback") {
          await client.run(what);
          if (what === "commit") for (const apply of own[who]!) apply(committed);
          own[who] = null;
        } else if (what === "save") {
          await client.run("SAVE TRAN s");
          saved[who] = own[who]!.length;
        } else if (what === "undo") {
          if (saved[who]! >= 0) {
            await client.run("ROLLBACK TRAN s");
            own[who]!.length = saved[who]!;
          }
        } else {
          const to = (id % 5) + 1;
          const texts = {
            insert: `INSERT r VALUES (${id}, ${v})`,
            update: `UPDATE r SET v = ${v} WHERE id = ${id}`,
            move: `UPDATE r SET id = ${to} WHERE id = ${id}`,
            delete: `DELETE r WHERE id = ${id}`,
          };
          const { errors, counts } = await client.attempt(texts[what]);
          if (errors.length === 0 && counts[0]! > 0)
            own[who]!.push((state) => {
              const old = state.get(id);
              if (what === "delete" || what === "move") state.delete(id);
              if (what === "insert" || what === "update") state.set(id, v);
              if (what === "move") state.set(to, old!);
            });
        }
        const seen = new Map(committed);
        for (const apply of own[who] ?? []) apply(seen);
        const expected = [...seen].sort(([x], [y]) => x - y);
        assert.deepEqual(await client.rows("SELECT id, v FROM r"), expected);
        const byIndex = await client.rows(`SELECT id FROM r WHERE v = ${v} ORDER BY id`);
        assert.deepEqual(
          byIndex.flat(),
          expected.filter((row) => row[1] === v).map((row) => row[0]),
        );
        committed = new Map(committed);
      }
    }),
    { numRuns: 120 },
  );
});

describe("changes of structure", () => {
  test("a statement that waited for one is compiled anew", async () => {
    await a.run("BEGIN TRAN; SELECT * FROM t WITH (TABLOCKX)");
    const [insert] = await blocked(b, b.attempt("INSERT t VALUES (3, 33)"));
    const c = await another();
    const [update] = await blocked(c, c.attempt("UPDATE t SET v = 1"));
    await a.run("ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD w varchar(10) NULL; COMMIT");
    assert.deepEqual((await insert!).errors, []);
    assert.equal((await update!).errors[0]!.number, 207);
    assert.deepEqual(await a.rows("SELECT id, w FROM t"), [
      [1, null],
      [2, null],
      [3, "33"],
    ]);
  });

  test("TRUNCATE is not seen before its commit", async () => {
    await a.run("BEGIN TRAN; TRUNCATE TABLE t");
    assert.deepEqual(await b.rows("SELECT COUNT(*) FROM t"), [[2]]);
    await a.run("COMMIT");
    assert.deepEqual(await b.rows("SELECT COUNT(*) FROM t"), [[0]]);
  });

  test("a result that is being read ends with an error when its table changes, not with other columns' values", async () => {
    await a.run(
      "CREATE TABLE big (id int PRIMARY KEY, x int, y int); INSERT big SELECT value, 1, 2 FROM GENERATE_SERIES(1, 3000)",
    );
    const seen = new Set<unknown>();
    const numbers: number[] = [];
    let count = 0;
    const sink = {
      columns() {},
      async row(row: readonly unknown[]) {
        seen.add(row[1]);
        if (++count === 10) await a.run("ALTER TABLE big DROP COLUMN x");
      },
      statementDone() {},
      message({ number }: { number: number }) {
        numbers.push(number);
      },
      environment() {},
      output() {},
      returnStatus() {},
    };
    await b.session.batch("SELECT id, x FROM big", sink, new AbortController().signal);
    assert.deepEqual([...seen, ...numbers], [1, 3961]);
  });
});
