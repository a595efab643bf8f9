/** A change table that was filled in one go is read like one whose rows were captured one by one. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Fill, type SimulatorOptions, SqlServerSimulator } from "../../../simulator/index.ts";
import { both, ENABLE, FILL, rows, SOURCE, simulator, VALUES } from "./databases.ts";

const QUERIES = [
  "SELECT * FROM cdc.dbo_Goods_CT",
  "SELECT * FROM cdc.dbo_Goods_CT ORDER BY __$start_lsn DESC, __$command_id DESC, __$seqval DESC, __$operation DESC",
  "SELECT TOP (7) * FROM cdc.dbo_Goods_CT ORDER BY __$seqval DESC, __$operation",
  "SELECT id, name FROM cdc.dbo_Goods_CT WHERE name = N'🚀' AND __$operation <> 3 ORDER BY __$start_lsn, __$seqval",
  "SELECT __$operation, COUNT(*), SUM(price), MIN(sold), MAX(__$seqval) FROM cdc.dbo_Goods_CT GROUP BY __$operation ORDER BY 1",
  "SELECT * FROM cdc.lsn_time_mapping ORDER BY start_lsn",
  "SELECT * FROM cdc.lsn_time_mapping WHERE tran_end_time > '2026-03-02T00:20:00' ORDER BY tran_end_time DESC, start_lsn DESC",
  `SELECT c.__$seqval, c.id, m.tran_end_time, m.tran_id FROM cdc.dbo_Goods_CT AS c
   JOIN cdc.lsn_time_mapping AS m ON m.start_lsn = c.__$start_lsn WHERE m.tran_end_time >= '2026-03-02T00:30:00'
   ORDER BY c.__$seqval, c.__$operation`,
  `SELECT m.tran_id, COUNT(c.id) FROM cdc.lsn_time_mapping AS m LEFT JOIN cdc.dbo_Goods_CT AS c
   ON c.__$start_lsn = m.start_lsn AND c.id = 3 GROUP BY m.tran_id ORDER BY m.tran_id`,
  `SELECT a.id, a.__$seqval, b.name FROM cdc.dbo_Goods_CT AS a JOIN cdc.dbo_Goods_CT AS b
   ON a.__$start_lsn = b.__$start_lsn AND a.__$seqval = b.__$seqval AND a.__$operation = 3 AND b.__$operation = 4 ORDER BY 2`,
  "SELECT DISTINCT code, flag FROM cdc.dbo_Goods_CT ORDER BY code",
  "SELECT id, ROW_NUMBER() OVER (PARTITION BY id ORDER BY __$seqval, __$operation) FROM cdc.dbo_Goods_CT WHERE id IN (2, 3)",
  "SELECT sys.fn_cdc_get_max_lsn()",
  "SELECT sys.fn_cdc_map_time_to_lsn('largest less than or equal', '2026-03-02T00:33:00')",
  "SELECT sys.fn_cdc_map_lsn_to_time(MAX(__$start_lsn)) FROM cdc.dbo_Goods_CT",
  `DECLARE @from binary(10) = (SELECT MIN(__$start_lsn) FROM cdc.dbo_Goods_CT), @to binary(10) = sys.fn_cdc_get_max_lsn();
   SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_Goods(@from, @to, N'all update old')`,
  `DECLARE @from binary(10) = (SELECT MIN(__$start_lsn) FROM cdc.dbo_Goods_CT), @to binary(10) = sys.fn_cdc_get_max_lsn();
   SELECT * FROM cdc.fn_cdc_get_net_changes_dbo_Goods(@from, @to, N'all')`,
  `DECLARE @lsn binary(10) = (SELECT MIN(start_lsn) FROM cdc.lsn_time_mapping WHERE tran_end_time > '2026-03-02T00:30:00');
   SELECT TOP (20) * FROM cdc.dbo_Goods_CT WHERE __$start_lsn = @lsn AND __$command_id > 3 ORDER BY __$command_id`,
];

test("every query gives of filled rows what it gives of the same rows inserted one by one", async (t) => {
  const made = await both(t, FILL);
  for (const sql of QUERIES) assert.deepEqual(await rows(made, "Filled", sql), await rows(made, "Plain", sql), sql);
});

test("filled rows are what capture makes of the same changes", async (t) => {
  const made = await simulator(t);
  for (const database of ["Filled", "Plain"]) await made.query(SOURCE + VALUES + ENABLE, database);
  const operations: Fill["operations"] = ["delete", "insert", "update"];
  await made.fillChangeTable("Filled", "dbo_Goods", { changes: 6, changesPerTransaction: 3, operations });
  // The values are those of ids 1 to 4, in turn; an update takes those of the next one.
  const insert = (id: number) =>
    `INSERT INTO dbo.Goods (id, name, price, weight, sold, code, notes, picture, flag)
     SELECT id, name, price, weight, sold, code, notes, picture, flag FROM dbo.Copies WHERE id = ${id};`;
  const update = (id: number, next: number) =>
    `UPDATE g SET name = c.name, price = c.price, weight = c.weight, sold = c.sold, code = c.code, notes = c.notes,
     picture = c.picture, flag = c.flag FROM dbo.Goods AS g, dbo.Copies AS c WHERE g.id = ${id} AND c.id = ${next};`;
  const remove = (id: number) => `DELETE FROM dbo.Goods WHERE id = ${id};`;
  await made.query("SELECT * INTO dbo.Copies FROM dbo.Goods; ALTER TABLE dbo.Copies DROP COLUMN doubled;", "Plain");
  await made.query(`DELETE FROM dbo.Goods WHERE id = 2; TRUNCATE TABLE cdc.dbo_Goods_CT;`, "Plain");
  await made.query(`BEGIN TRAN; ${remove(1)} ${insert(2)} ${update(3, 4)} COMMIT`, "Plain");
  await made.query(
    `DELETE FROM dbo.Goods WHERE id = 2; DELETE FROM cdc.dbo_Goods_CT WHERE id = 2 AND __$operation = 1`,
    "Plain",
  );
  await made.query(`BEGIN TRAN; ${remove(4)} ${insert(1)} COMMIT`, "Plain");
  const columns =
    "[__$operation], [__$update_mask], id, name, price, weight, sold, code, notes, picture, flag, doubled, [__$command_id]";
  const sql = `SELECT TOP (6) ${columns} FROM cdc.dbo_Goods_CT ORDER BY __$start_lsn, __$command_id, __$seqval, __$operation`;
  assert.deepEqual(await rows(made, "Filled", sql), await rows(made, "Plain", sql));
});

test("what was captured before and after has lower and higher LSNs, and the maximum LSN and the times agree", async (t) => {
  const made = await both(t, FILL);
  const sql = "SELECT __$start_lsn, __$seqval FROM cdc.dbo_Goods_CT ORDER BY 1, __$command_id, 2, __$operation";
  const lsns = (await rows(made, "Filled", sql)) as [string, string][];
  for (const [i, [start, seqval]] of lsns.entries()) {
    assert.ok(seqval < start, "a change is logged before its commit");
    if (i > 0) assert.ok(lsns[i - 1]![0] <= start && lsns[i - 1]![1] <= seqval, "LSNs rise");
  }
  assert.equal((await rows(made, "Filled", "SELECT sys.fn_cdc_get_max_lsn()"))[0]![0], lsns.at(-1)![0]);
  const orphans = `SELECT * FROM cdc.dbo_Goods_CT AS c
    WHERE NOT EXISTS (SELECT * FROM cdc.lsn_time_mapping AS m WHERE m.start_lsn = c.__$start_lsn)`;
  assert.deepEqual(await rows(made, "Filled", orphans), []);
});

test("cleanup takes filled rows away, while a reader that began before still sees them all", async (t) => {
  const made = await both(t, FILL);
  const [[lsn]] = (await rows(
    made,
    "Filled",
    "SELECT MIN(start_lsn) FROM cdc.lsn_time_mapping WHERE tran_end_time > '2026-03-02T00:30:00'",
  )) as [[string]];
  const kept = `SELECT * FROM cdc.dbo_Goods_CT WHERE __$start_lsn >= ${lsn}`;
  const before = await rows(made, "Filled", kept);
  const deleted = await made.cdc("Filled").runCleanup({ lowWatermark: BigInt(lsn) });
  assert.ok(deleted > 50);
  assert.deepEqual(await rows(made, "Filled", "SELECT * FROM cdc.dbo_Goods_CT"), before);
  assert.equal((await rows(made, "Filled", "SELECT sys.fn_cdc_get_min_lsn(N'dbo_Goods')"))[0]![0], lsn);
  assert.equal((await rows(made, "Filled", "SELECT MIN(start_lsn) FROM cdc.lsn_time_mapping"))[0]![0], lsn);
});

test("filled rows can be changed, deleted and rolled back like any others", async (t) => {
  const made = await both(t, FILL);
  const changes = [
    "UPDATE cdc.dbo_Goods_CT SET name = N'changed' WHERE id = 2",
    "DELETE FROM cdc.dbo_Goods_CT WHERE __$operation = 1 AND id = 3",
    "BEGIN TRAN; DELETE FROM cdc.dbo_Goods_CT WHERE __$seqval > 0x00000026000000000000; ROLLBACK",
    "DELETE TOP (3) FROM cdc.dbo_Goods_CT WHERE id = 4",
  ];
  for (const change of changes) {
    for (const database of ["Filled", "Plain"]) await made.query(change, database);
    for (const sql of QUERIES) assert.deepEqual(await rows(made, "Filled", sql), await rows(made, "Plain", sql), sql);
  }
});

test("values can be given by a query, converted to the columns' types; columns that it leaves out are NULL", async (t) => {
  const made = await simulator(t);
  await made.query(SOURCE + ENABLE, "Filled");
  const values = "SELECT 7 AS id, '12.34567' AS price, 'seven' AS name UNION ALL SELECT 8, '0', ''";
  await made.fillChangeTable("Filled", "dbo_Goods", { changes: 3, values });
  assert.deepEqual(await rows(made, "Filled", "SELECT id, price, name, code FROM cdc.dbo_Goods_CT"), [
    [7, "12.3457", "seven", null],
    [8, "0.0000", "", null],
    [7, "12.3457", "seven", null],
  ]);
  await assert.rejects(made.fillChangeTable("Filled", "dbo_Goods", { changes: 3, values: "SELECT 1 AS nothing" }), {
    message: "dbo.Goods has no column nothing to take values",
  });
  await assert.rejects(made.fillChangeTable("Filled", "dbo_Else", { changes: 3 }), {
    message: "Filled has no capture instance dbo_Else",
  });
});

test("five million rows, in one transaction or in many, take a moment and little memory", async (t) => {
  const made = await simulator(t);
  await made.query(SOURCE + VALUES + ENABLE, "Filled");
  const before = process.memoryUsage();
  await made.fillChangeTable("Filled", "dbo_Goods", { changes: 5_000_000 });
  await made.fillChangeTable("Filled", "dbo_Goods", { changes: 5_000_000, changesPerTransaction: 1 });
  const after = process.memoryUsage();
  assert.ok(after.heapUsed + after.external - before.heapUsed - before.external < 50_000_000);
  const last = "SELECT TOP (1) id, __$command_id FROM cdc.dbo_Goods_CT ORDER BY __$start_lsn DESC";
  assert.deepEqual(await rows(made, "Filled", last), [[4, 1]]);
});

test("a data file keeps filled rows", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "fill-"));
  t.after(() => rm(folder, { recursive: true }));
  const options: SimulatorOptions = { databases: ["Filled"], captureInterval: "immediate", file: join(folder, "data") };
  const first = await SqlServerSimulator.start(options);
  await first.query(SOURCE + VALUES + ENABLE);
  await first.fillChangeTable("Filled", "dbo_Goods", { changes: 50, changesPerTransaction: 8 });
  await first.query("DELETE FROM cdc.dbo_Goods_CT WHERE id = 3; INSERT INTO dbo.Goods (id) VALUES (5)");
  const tables = ["cdc.dbo_Goods_CT", "cdc.lsn_time_mapping"].map((table) => `SELECT * FROM ${table}`);
  const before = await Promise.all(tables.map((sql) => rows(first, "Filled", sql)));
  await first.close();
  const second = await SqlServerSimulator.start(options);
  t.after(() => second.close());
  assert.deepEqual(await Promise.all(tables.map((sql) => rows(second, "Filled", sql))), before);
});
