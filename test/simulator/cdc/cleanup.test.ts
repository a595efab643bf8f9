/** Cleanup: https://learn.microsoft.com/sql/relational-databases/track-changes/administer-and-monitor-change-data-capture-sql-server */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lsnFromBuffer } from "../../../simulator/engine/database.ts";
import { column, createTable, type Fixture, fixture, Work } from "./engine-fixture.ts";

const INT = { id: "int" } as const;
const MINUTE = 60_000;
const enable = { source_schema: "dbo", source_name: "t", role_name: null };

/** Ten changes, a minute apart. */
async function tenMinutes(): Promise<{ f: Fixture; lsns: Buffer[] }> {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const f = fixture({ captureInterval: "immediate", clock: () => new Date(now) });
  const table = createTable(f.database, "t", [column("id", 1, INT, false)]);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  for (let id = 0; id < 10; id++) {
    now += MINUTE;
    const work = new Work(f);
    work.statement().insert(table, id);
    work.transaction.commit(f.engine.now());
  }
  f.cdc.stop();
  return { f, lsns: f.changes("dbo_t").map((change) => change["__$start_lsn"] as Buffer) };
}

test("retention counts back from the newest commit", async () => {
  const { f, lsns } = await tenMinutes();
  await f.call("sp_cdc_change_job", { job_type: "cleanup", retention: 3n });
  assert.equal(await f.cdc.runCleanup(), 6);
  assert.deepEqual(f.fn("fn_cdc_get_min_lsn", "dbo_t"), lsns[6]);
  assert.deepEqual(
    f.changes("dbo_t").map((change) => change["id"]),
    [6, 7, 8, 9],
  );
  assert.equal(f.database.findTable("cdc", "lsn_time_mapping")!.rowCount, 4);
});

test("nothing older than the retention time: nothing happens", async () => {
  const { f } = await tenMinutes();
  const before = f.fn("fn_cdc_get_min_lsn", "dbo_t");
  assert.equal(await f.cdc.runCleanup(), 0);
  assert.deepEqual(f.fn("fn_cdc_get_min_lsn", "dbo_t"), before);
});

test("the low watermark is raised before anything is deleted", async () => {
  const { f, lsns } = await tenMinutes();
  const seen: unknown[] = [];
  await f.cdc.runCleanup({
    lowWatermark: lsnFromBuffer(lsns[4]!),
    raised: async () => {
      seen.push(f.fn("fn_cdc_get_min_lsn", "dbo_t"), f.changes("dbo_t").length);
    },
  });
  assert.deepEqual(seen, [lsns[4], 10]);
  assert.equal(f.changes("dbo_t").length, 6);
});

test("deleting goes on in pieces of the threshold", async () => {
  const { f, lsns } = await tenMinutes();
  await f.call("sp_cdc_change_job", { job_type: "cleanup", threshold: 2n });
  assert.equal(await f.cdc.runCleanup({ lowWatermark: lsnFromBuffer(lsns[9]!) }), 9);
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-cleanup-change-table-transact-sql
test("by hand, the new watermark must be the LSN of a transaction within the timeline", async () => {
  const { f, lsns } = await tenMinutes();
  const clean = (low_water_mark: Buffer, capture_instance = "dbo_t") =>
    f.call("sp_cdc_cleanup_change_table", { capture_instance, low_water_mark });
  await assert.rejects(clean(lsns[3]!, "nothing"), { number: 22920 });
  await assert.rejects(clean(Buffer.alloc(10, 255)), { number: 22964 });
  await assert.rejects(clean(f.fn("fn_cdc_increment_lsn", lsns[3]!) as Buffer), { number: 22964 });
  await clean(lsns[3]!);
  assert.equal(f.changes("dbo_t").length, 7);
  await assert.rejects(clean(lsns[2]!), { number: 22964 }, "its entry is gone");
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-cleanup-change-table-transact-sql
test("a watermark below the instance's own is outside its timeline, even where the entry is still there", async () => {
  const { f, lsns } = await tenMinutes();
  await f.call("sp_cdc_enable_table", { ...enable, capture_instance: "late" });
  f.cdc.run();
  const clean = f.call("sp_cdc_cleanup_change_table", { capture_instance: "late", low_water_mark: lsns[3]! });
  await assert.rejects(clean, { number: 22957 });
});

test("without a low water mark the instance keeps its own, and what lies below is deleted", async () => {
  const { f, lsns } = await tenMinutes();
  const clean = (low_water_mark: Buffer | null, threshold: bigint | null = null) =>
    f.call("sp_cdc_cleanup_change_table", { capture_instance: "DBO_T", low_water_mark, threshold });
  await clean(lsns[3]!);
  await clean(null);
  assert.equal(f.changes("dbo_t").length, 7);
  await assert.rejects(clean(null, 0n), { number: 22850 });
});
