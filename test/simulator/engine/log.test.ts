/** What capture and the catalogue get from the engine: the log, hooks, system transactions and registered objects. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { type LoggedTransaction, lsnFromBuffer, lsnToBuffer } from "../../../simulator/engine/database.ts";
import type { Engine } from "../../../simulator/engine/engine.ts";
import { LogSequence } from "../../../simulator/engine/log.ts";
import { SqlError } from "../../../simulator/engine/session.ts";
import type { Database } from "../../../simulator/engine/storage.ts";
import { type Client, start } from "./client.ts";

let engine: Engine;
let database: Database;
let sql: Client;
let another: () => Promise<Client>;
let logged: LoggedTransaction[];
beforeEach(async () => {
  ({ engine, sql, another } = await start());
  database = engine.database("Test")!;
  logged = [];
  database.onCommit((transaction) => logged.push(transaction));
  await sql.run("CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); CREATE TABLE untracked (id int)");
  database.findTable("dbo", "t")!.trackedByCdc = true;
});

describe("the log", () => {
  test("has each committed transaction's rows in order, of tracked tables only", async () => {
    await sql.run(`BEGIN TRAN;
      INSERT t VALUES (1, 'a'), (2, 'b'); INSERT untracked VALUES (1);
      UPDATE t SET v = 'c' WHERE id = 1; DELETE t WHERE id = 2; COMMIT`);
    assert.equal(logged.length, 1);
    const [{ records, beginLsn, commitLsn }] = logged as [LoggedTransaction];
    assert.deepEqual(
      records.map(({ kind, before, after, command }) => [kind, before, after, command]),
      [
        ["insert", null, [1, "a"], 1],
        ["insert", null, [2, "b"], 1],
        ["update", [1, "a"], [1, "c"], 3],
        ["delete", [2, "b"], null, 4],
      ],
    );
    const lsns = [beginLsn, ...records.map(({ lsn }) => lsn), commitLsn];
    assert.deepEqual(
      lsns,
      [...lsns].sort((x, y) => (x < y ? -1 : 1)),
    );
    assert.equal(new Set(lsns).size, lsns.length);
  });

  test("has nothing of what was rolled back, whole or in part", async () => {
    await sql.run("BEGIN TRAN; INSERT t VALUES (1, 'a'); ROLLBACK");
    await sql.attempt("INSERT t VALUES (2, 'b'), (2, 'b')");
    assert.equal(logged.length, 0);
    await sql.run(
      "BEGIN TRAN; INSERT t VALUES (3, 'a'); SAVE TRAN s; INSERT t VALUES (4, 'b'); ROLLBACK TRAN s; COMMIT",
    );
    assert.deepEqual(
      logged[0]!.records.map(({ after }) => after![0]),
      [3],
    );
  });

  test("says when an update changed a key, and keeps it one record", async () => {
    await sql.run("INSERT t VALUES (1, 'a'); UPDATE t SET id = 5; UPDATE t SET v = 'z'");
    assert.deepEqual(
      logged.slice(1).map(({ records }) => records.map(({ kind, keyChanged }) => [kind, keyChanged])),
      [[["update", true]], [["update", false]]],
    );
  });

  test("the order of commits is the order of their LSNs, whoever began first", async () => {
    const second = await another();
    await sql.run("BEGIN TRAN; INSERT t VALUES (1, 'first')");
    await second.run("INSERT t VALUES (2, 'second')");
    await sql.run("COMMIT");
    assert.deepEqual(
      logged.map(({ records }) => records[0]!.after![0]),
      [2, 1],
    );
    assert.ok(logged[0]!.commitLsn < logged[1]!.commitLsn);
    assert.ok(logged[1]!.beginLsn < logged[0]!.beginLsn);
  });
});

test("LSNs rise, whatever is written and flushed, and have the parts of a real one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 50, max: 9000 }), fc.constant("flush" as const)), { maxLength: 500 }),
      (writes) => {
        const log = new LogSequence();
        let last = log.current;
        for (const write of writes) {
          if (write === "flush") log.flush();
          else {
            const lsn = log.append(write);
            assert.ok(lsn > last);
            assert.ok((lsn & 0xffffn) >= 1n);
            assert.equal(lsnFromBuffer(lsnToBuffer(lsn)), lsn);
            last = lsn;
          }
        }
      },
    ),
    { numRuns: 50 },
  );
});

describe("hooks", () => {
  test("can refuse a TRUNCATE, and hear of columns that change", async () => {
    const heard: unknown[] = [];
    database.hooks.beforeTruncate.push((table) => {
      if (table.trackedByCdc)
        throw new SqlError(
          4711,
          "Cannot truncate table 't' because it is published for replication or enabled for Change Data Capture.",
          16,
          1,
        );
    });
    database.hooks.afterAlterTable.push(({ change, command }) => heard.push([change.kind, command]));
    assert.equal(await sql.error("TRUNCATE TABLE t"), 4711);
    await sql.run(
      "TRUNCATE TABLE untracked; ALTER TABLE t ADD w int NULL; ALTER TABLE t ALTER COLUMN v varchar(20) NULL; EXEC sp_rename 't.w', 'x', 'COLUMN'; ALTER TABLE t DROP COLUMN x",
    );
    assert.deepEqual(heard, [
      ["add", "ALTER TABLE t ADD w int NULL"],
      ["alter", "ALTER TABLE t ALTER COLUMN v varchar(20) NULL"],
      ["rename", "sp_rename 't.w', 'x', 'COLUMN'"],
      ["drop", "ALTER TABLE t DROP COLUMN x"],
    ]);
  });
});

describe("system transactions and objects", () => {
  test("become visible in one go, or not at all", async () => {
    const table = database.createTable({
      schema: "dbo",
      name: "made",
      columns: [{ name: "x", columnId: 1, type: { id: "int" }, nullable: false }],
    });
    assert.throws(() =>
      database.systemTransaction((transaction) => {
        transaction.insert(table, [1]);
        throw new Error("no");
      }),
    );
    assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM made"), [[0]]);
    database.systemTransaction((transaction) => {
      for (let i = 0; i < 10; i++) transaction.insert(table, [i]);
      for (const { entry, row } of table.entries(transaction.snapshot))
        if ((row[0] as number) > 5) transaction.delete(table, entry);
    });
    assert.deepEqual(await sql.rows("SELECT COUNT(*), MAX(x) FROM made"), [[6, 5]]);
  });

  test("views, functions and procedures of others answer like built-in ones", async () => {
    const int = { id: "int" } as const;
    engine.registerView({
      schema: "sys",
      name: "numbers",
      columns: [{ name: "n", type: int, nullable: false }],
      rows: () => [[1], [2]],
    });
    engine.registerFunction({
      name: "add_one",
      parameters: [int],
      returns: int,
      call: (_context, [n]) => (n === null ? null : (n as number) + 1),
    });
    engine.registerTableFunction({
      schema: "cdc",
      name: "range",
      parameters: [int],
      columns: [{ name: "i", type: int, nullable: false }],
      rows: (_context, [n]) => Array.from({ length: n as number }, (_, i) => [i]),
    });
    engine.registerProcedure({
      schema: "sys",
      name: "sp_double",
      parameters: [
        { name: "@x", type: int },
        { name: "@y", type: int, default: null, output: true },
      ],
      run(context, args) {
        args.set("@y", (args.get("@x") as number) * 2);
        return context.database.name === "Test" ? 3 : 4;
      },
    });
    assert.deepEqual(
      await sql.rows("SELECT ADD_ONE('4'), r.i FROM sys.numbers n CROSS APPLY cdc.range(n.n) r ORDER BY 2"),
      [
        [5, 0],
        [5, 0],
        [5, 1],
      ],
    );
    assert.deepEqual(await sql.rows("DECLARE @o int, @s int; EXEC @s = sys.sp_double 21, @o OUTPUT; SELECT @o, @s"), [
      [42, 3],
    ]);
    assert.equal(await sql.error("SELECT * FROM cdc.range()"), 313);
    assert.equal(await sql.error("EXEC sp_double"), 201);
  });
});
