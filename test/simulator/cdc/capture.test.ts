/** The capture job: https://learn.microsoft.com/sql/relational-databases/track-changes/administer-and-monitor-change-data-capture-sql-server */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CdcOptions } from "../../../simulator/cdc/cdc-database.ts";
import type { EngineContext, EngineOptions } from "../../../simulator/engine/engine.ts";
import type { SystemView } from "../../../simulator/engine/registry.ts";
import type { Table } from "../../../simulator/engine/table.ts";
import { fitTemporal, fromDate } from "../../../simulator/engine/types/temporal.ts";
import { column, createTable, type Fixture, fixture, Work } from "./engine-fixture.ts";

const INT = { id: "int" } as const;
const enable = { source_schema: "dbo", source_name: "people", role_name: null };

async function tracked(options?: CdcOptions & EngineOptions): Promise<{ f: Fixture; people: Table }> {
  const f = fixture(options);
  const people = createTable(f.database, "people", [column("id", 1, INT, false), column("age", 2, INT)]);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  return { f, people };
}

function commit(f: Fixture, work: (work: Work) => void): void {
  const transaction = new Work(f);
  transaction.statement();
  work(transaction);
  transaction.transaction.commit(f.engine.now());
}

function insertAll(work: Work, table: Table, ids: number[]): void {
  for (const id of ids) work.insert(table, id, 0);
}

function shown(view: string, f: Fixture): Record<string, unknown>[] {
  const definition = f.engine.systemObjects.view("sys", view) as SystemView<EngineContext>;
  return [...definition.rows(f.context)].map((row) =>
    Object.fromEntries(definition.columns.map(({ name }, i) => [name, row[i]])),
  );
}

test("an immediate job has a change in its change table when the commit returns", async () => {
  const { f, people } = await tracked({ captureInterval: "immediate" });
  commit(f, (work) => work.insert(people, 1, 30));
  assert.deepEqual(
    f.changes("dbo_people").map(({ id, age, __$operation }) => [id, age, __$operation]),
    [[1, 30, 2]],
  );
  f.cdc.stop();
});

test("while the job is stopped changes wait in the log, and a cycle takes no more than maxtrans times maxscans", async () => {
  const { f, people } = await tracked({ captureInterval: 3_600_000 });
  for (let id = 0; id < 10; id++) commit(f, (work) => work.insert(people, id, id));
  assert.equal(f.changes("dbo_people").length, 0);
  await f.call("sp_cdc_change_job", { job_type: "capture", maxtrans: 2, maxscans: 2 });
  assert.equal(f.cdc.run(), 4);
  assert.equal(f.changes("dbo_people").length, 4);
  while (f.cdc.run() > 0);
  assert.equal(f.changes("dbo_people").length, 10);
  f.cdc.stop();
});

test("a transaction that is rolled back, or that changes nothing, leaves nothing", async () => {
  const { f, people } = await tracked();
  commit(f, (work) => work.insert(people, 1, 30));
  const work = new Work(f);
  work.statement().delete(people, 1);
  work.transaction.rollback();
  commit(f, (same) => same.update(people, 1, (row) => [...row]));
  assert.equal(f.changes("dbo_people").length, 1);
  assert.equal(f.database.findTable("cdc", "lsn_time_mapping")!.rowCount, 2, "enabling the table, and the insert");
  f.cdc.stop();
});

test("transactions are captured in the order of their commits, not of their changes", async () => {
  const { f, people } = await tracked();
  const first = new Work(f);
  first.statement().insert(people, 1, 1);
  commit(f, (second) => second.insert(people, 2, 2));
  first.transaction.commit(f.engine.now());
  assert.deepEqual(
    f.changes("dbo_people").map((change) => change["id"]),
    [2, 1],
  );
  f.cdc.stop();
});

test("one UPDATE of many rows has one command id and rising sequence values", async () => {
  const { f, people } = await tracked();
  commit(f, (work) => insertAll(work, people, [1, 2, 3]));
  commit(f, (work) => work.updateAll(people, [1, 2, 3], ([id]) => [id!, 1]));
  const updates = f.changes("dbo_people").slice(3);
  assert.deepEqual(
    updates.map((change) => [change["__$operation"], change["id"], change["__$command_id"]]),
    [3, 4, 3, 4, 3, 4].map((operation, i) => [operation, (i >> 1) + 1, 1]),
  );
  const seqvals = updates.map((change) => (change["__$seqval"] as Buffer).toString("hex"));
  assert.equal(new Set(seqvals).size, 3);
  f.cdc.stop();
});

test("lsn_time_mapping has the server's local time, and functions map both ways", async () => {
  let now = new Date("2026-07-01T09:00:00Z");
  const clock = () => now;
  const { f, people } = await tracked({ captureInterval: "immediate", clock, timeZone: "Europe/Berlin" });
  const enabled = f.fn("fn_cdc_get_max_lsn")!;
  now = new Date("2026-07-01T10:00:00.004Z");
  commit(f, (work) => work.insert(people, 1, 30));
  const maximum = f.fn("fn_cdc_get_max_lsn")!;
  assert.deepEqual(maximum, f.changes("dbo_people")[0]!["__$start_lsn"]);
  const local = fitTemporal(fromDate(new Date("2026-07-01T12:00:00.003Z")), { id: "datetime" })!;
  assert.deepEqual(f.fn("fn_cdc_map_lsn_to_time", maximum), local);
  assert.deepEqual(f.fn("fn_cdc_map_time_to_lsn", "largest less than or equal", local), maximum);
  assert.deepEqual(f.fn("fn_cdc_map_time_to_lsn", "smallest greater than or equal", local), maximum);
  assert.deepEqual(f.fn("fn_cdc_map_time_to_lsn", "largest less than", local), enabled);
  assert.equal(f.fn("fn_cdc_map_time_to_lsn", "smallest greater than", local), null);
  f.cdc.stop();
});

// https://learn.microsoft.com/sql/relational-databases/track-changes/work-with-change-data-sql-server ("In periods of inactivity …")
test("after more than 300 idle seconds an entry without a transaction moves the maximum LSN", async () => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const { f, people } = await tracked({ captureInterval: 3_600_000, clock: () => new Date(now) });
  commit(f, (work) => work.insert(people, 1, 30));
  f.cdc.run();
  const before = f.fn("fn_cdc_get_max_lsn") as Buffer;
  now += 300_000;
  f.cdc.run();
  assert.deepEqual(f.fn("fn_cdc_get_max_lsn"), before);
  now += 1000;
  f.cdc.run();
  const after = f.fn("fn_cdc_get_max_lsn") as Buffer;
  assert.ok(Buffer.compare(after, before) > 0);
  const rows = [...f.database.findTable("cdc", "lsn_time_mapping")!.rows(f.context.snapshot)];
  assert.equal((rows.at(-1)![3] as Buffer).toString("hex"), "00");
  commit(f, (work) => work.insert(people, 2, 30));
  f.cdc.run();
  assert.ok(Buffer.compare(f.fn("fn_cdc_get_max_lsn") as Buffer, after) > 0, "LSNs go on above the entry");
  f.cdc.stop();
});

test("the first scan of a quiet database gives it a maximum LSN, of the transaction that enabled the table", async () => {
  const { f } = await tracked({ captureInterval: 3_600_000 });
  assert.equal(f.fn("fn_cdc_get_max_lsn"), null);
  f.cdc.run();
  const maximum = f.fn("fn_cdc_get_max_lsn") as Buffer;
  assert.ok(Buffer.compare(maximum, f.fn("fn_cdc_get_min_lsn", "dbo_people") as Buffer) >= 0);
  f.cdc.run();
  assert.deepEqual(f.fn("fn_cdc_get_max_lsn"), maximum);
  const [entry] = [...f.database.findTable("cdc", "lsn_time_mapping")!.rows(f.context.snapshot)];
  assert.notEqual((entry![3] as Buffer).toString("hex"), "00");
  f.cdc.stop();
});

test("scan sessions count transactions and commands, and empty scans in a row share one", async () => {
  const { f, people } = await tracked({ captureInterval: 3_600_000 });
  commit(f, (work) => insertAll(work, people, [1, 2]));
  commit(f, (work) => work.delete(people, 1));
  f.cdc.run();
  f.cdc.run();
  f.cdc.run();
  const [total, session, empty, ...others] = shown("dm_cdc_log_scan_sessions", f);
  assert.deepEqual([total!["session_id"], total!["scan_phase"], total!["tran_count"]], [0, "Aggregate", 2n]);
  assert.deepEqual([session!["tran_count"], session!["command_count"], session!["empty_scan_count"]], [2n, 3n, 0]);
  assert.match(session!["last_commit_cdc_lsn"] as string, /^[0-9a-f]{8}:[0-9a-f]{8}:[0-9a-f]{4}\0$/);
  assert.equal(empty!["empty_scan_count"], 3);
  assert.deepEqual(others, []);
  f.cdc.stop();
});

// https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/change-data-capture-sys-dm-cdc-log-scan-sessions
test("session 0 sums all sessions since the start, also those that are no longer listed", async () => {
  const { f, people } = await tracked({ captureInterval: 3_600_000 });
  for (let id = 0; id < 1100; id++) {
    commit(f, (work) => work.insert(people, id, 0));
    f.cdc.run();
    f.cdc.run();
  }
  const [total, ...sessions] = shown("dm_cdc_log_scan_sessions", f);
  assert.equal(total!["tran_count"], 1100n);
  assert.equal(total!["command_count"], 1100n);
  assert.ok(sessions.length < 1100);
  assert.ok((total!["first_begin_cdc_lsn"] as string) < (sessions[0]!["start_lsn"] as string));
  f.cdc.stop();
});

// https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/change-data-capture-sys-dm-cdc-errors
test("errors of the last 32 sessions are kept", async () => {
  const { f, people } = await tracked({ captureInterval: 3_600_000 });
  commit(f, (work) => work.insert(people, 1, 30));
  f.database.findTable("cdc", "dbo_people_CT")!.attach = () => {
    throw new RangeError("full");
  };
  for (let i = 0; i < 40; i++) f.cdc.run();
  const errors = shown("dm_cdc_errors", f);
  assert.equal(errors.length, 32);
  const [total, first] = shown("dm_cdc_log_scan_sessions", f);
  assert.equal(total!["failed_sessions_count"], 40);
  assert.ok((errors[0]!["session_id"] as number) > (first!["session_id"] as number));
  f.cdc.stop();
});

test("a scan that fails leaves nothing, says why in dm_cdc_errors, and is tried again", async () => {
  const { f, people } = await tracked({ captureInterval: 3_600_000 });
  commit(f, (work) => work.insert(people, 1, 30));
  const table = f.database.findTable("cdc", "dbo_people_CT")!;
  const functioning = table.attach;
  table.attach = () => {
    throw new RangeError("full");
  };
  assert.equal(f.cdc.run(), 0);
  table.attach = functioning;
  const [error] = shown("dm_cdc_errors", f);
  assert.equal(error!["error_number"], 22859);
  assert.equal(f.fn("fn_cdc_get_max_lsn"), null, "no entry of cdc.lsn_time_mapping either");
  assert.equal(f.cdc.run(), 1);
  assert.equal(f.changes("dbo_people").length, 1);
  f.cdc.stop();
});

test("columns added later are not captured, dropped ones turn NULL, and both are in the DDL history", async () => {
  const { f, people } = await tracked({ captureInterval: 3_600_000 });
  const { hooks } = f.database;
  const alter = (command: string, change: () => void) => {
    const work = new Work(f);
    f.context.session.currentTransaction = work.transaction;
    hooks.beforeAlterTable[0]!(people, f.context.session);
    change();
    hooks.afterAlterTable[0]!({
      table: people,
      command,
      session: f.context.session,
      transaction: work.transaction,
      change: { kind: "add", columns: [] },
    });
    work.transaction.commit(f.engine.now());
    f.context.session.currentTransaction = null;
  };
  commit(f, (work) => work.insert(people, 1, 30));
  alter("ALTER TABLE people ADD name int", () => {
    people.columns = [...people.columns, column("name", 3, INT)];
    people.rebuild((row) => [...row, null]);
  });
  commit(f, (work) => work.insert(people, 2, 31, 7));
  alter("ALTER TABLE people DROP COLUMN age", () => {
    people.columns = people.columns.filter(({ name }) => name !== "age");
    people.rebuild((row) => row.filter((_, i) => i !== 1));
  });
  commit(f, (work) => work.insert(people, 3, 8));
  while (f.cdc.run() > 0);
  assert.deepEqual(
    f.changes("dbo_people").map(({ id, age }) => [id, age]),
    [
      [1, 30],
      [2, 31],
      [3, null],
    ],
  );
  const history = await f.call("sp_cdc_get_ddl_history", { capture_instance: "dbo_people" });
  assert.deepEqual(
    history.map((row) => [row["ddl_command"], row["required_column_update"]]),
    [
      ["ALTER TABLE people ADD name int", false],
      ["ALTER TABLE people DROP COLUMN age", false],
    ],
  );
  f.cdc.stop();
});

test("a changed type changes the change table too", async () => {
  const { f, people } = await tracked({ captureInterval: 3_600_000 });
  commit(f, (work) => work.insert(people, 1, 30));
  const work = new Work(f);
  f.context.session.currentTransaction = work.transaction;
  f.database.hooks.beforeAlterTable[0]!(people, f.context.session);
  const before = people.columns[1]!;
  const after = { ...before, type: { id: "bigint" } as const };
  people.columns = [people.columns[0]!, after];
  people.rebuild(([id, age]) => [id!, BigInt(age as number)]);
  const change = { kind: "alter", before, after } as const;
  const { session } = f.context;
  f.database.hooks.afterAlterTable[0]!({
    table: people,
    command: "ALTER …",
    session,
    transaction: work.transaction,
    change,
  });
  work.transaction.commit(f.engine.now());
  session.currentTransaction = null;
  commit(f, (more) => more.insert(people, 2, 31n));
  while (f.cdc.run() > 0);
  assert.equal(f.database.findTable("cdc", "dbo_people_CT")!.columns[6]!.type.id, "bigint");
  assert.deepEqual(
    f.changes("dbo_people").map(({ age }) => age),
    [30n, 31n],
  );
  const captured = await f.call("sp_cdc_get_captured_columns", { capture_instance: "dbo_people" });
  assert.deepEqual(
    captured.map((row) => row["data_type"]),
    ["int", "bigint"],
  );
  f.cdc.stop();
});
