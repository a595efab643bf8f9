/**
 * Enabling and disabling: https://learn.microsoft.com/sql/relational-databases/track-changes/enable-and-disable-change-data-capture-sql-server
 * Error numbers: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors-22000-to-22999
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { column, createTable, type Fixture, fixture, Work } from "./engine-fixture.ts";
import { people as tracked } from "./sql-fixture.ts";

const INT = { id: "int" } as const;

function people(f: Fixture) {
  return createTable(f.database, "people", [column("id", 1, INT, false), column("age", 2, INT)]);
}

const enable = { source_schema: "dbo", source_name: "people", role_name: null };

test("enabling a database makes the cdc schema, user and tables, and disabling takes them away", async () => {
  const f = fixture();
  await f.call("sp_cdc_enable_db");
  const names = [...f.database.tables.values()].map((table) => `${table.schema}.${table.name}`).sort();
  assert.deepEqual(names, [
    "cdc.captured_columns",
    "cdc.change_tables",
    "cdc.ddl_history",
    "cdc.index_columns",
    "cdc.lsn_time_mapping",
    "dbo.systranschemas",
  ]);
  assert.ok(f.database.principals.find("cdc")?.roles.has("db_owner"));
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_disable_db");
  assert.equal(f.database.tables.size, 0);
  assert.equal(f.database.schemas.has("cdc"), false);
});

test("tables cannot be enabled before their database", async () => {
  const f = fixture();
  people(f);
  await assert.rejects(f.call("sp_cdc_enable_table", enable), { number: 22901 });
  await assert.rejects(f.call("sp_cdc_help_jobs"), { number: 22901 });
  assert.throws(() => f.fn("fn_cdc_get_max_lsn"), { number: 208 });
});

test("a database with a schema or user named cdc cannot be enabled", async () => {
  const f = fixture();
  f.database.createSchema("cdc");
  await assert.rejects(f.call("sp_cdc_enable_db"), { number: 22906 });
});

test("system databases cannot be enabled", async () => {
  const f = fixture();
  const context = { ...f.context, database: f.engine.database("master")! };
  const procedure = f.engine.systemObjects.procedure("sys", "sp_cdc_enable_db")!;
  assert.throws(() => procedure.run(context, new Map(), {} as never, new AbortController().signal), { number: 22989 });
});

for (const [number, change, why] of [
  [22931, { source_name: "nobody" }, "a table that does not exist"],
  [22974, { source_schema: "cdc", source_name: "change_tables" }, "a table of CDC's own"],
  [22907, { role_name: " " }, "an empty role"],
  [22927, { capture_instance: "x".repeat(101) }, "an instance name over 100 characters"],
  [22928, { index_name: "nothing" }, "an index that is not there"],
  [22929, { index_name: "IX_age" }, "an index that is not unique"],
  [22838, { index_name: "UX_age" }, "a unique index with a nullable column"],
  [22930, { captured_column_list: "id, nothing" }, "a column that is not there"],
  [22943, { captured_column_list: "age" }, "a column list without the key"],
  [22965, { captured_column_list: "[id" }, "a quoted column that does not end"],
  [22973, { filegroup_name: "elsewhere" }, "a filegroup that is not there"],
  [22963, { source_name: null }, "no table"],
] as const)
  test(`error ${number} for ${why}`, async () => {
    const f = fixture();
    const table = people(f);
    const index = { clustered: false, primaryKey: false, uniqueConstraint: false, include: [] };
    const columns = [{ column: 1, descending: false }];
    table.addIndex({ ...index, name: "IX_age", indexId: 2, unique: false, columns });
    table.addIndex({ ...index, name: "UX_age", indexId: 3, unique: true, columns });
    await f.call("sp_cdc_enable_db");
    await assert.rejects(f.call("sp_cdc_enable_table", { ...enable, ...change }), { number });
  });

test("error 22939 for net changes without a key", async () => {
  const f = fixture();
  f.database.createTable({ schema: "dbo", name: "people", columns: [column("id", 1, INT)] });
  await f.call("sp_cdc_enable_db");
  await assert.rejects(f.call("sp_cdc_enable_table", { ...enable, supports_net_changes: true }), { number: 22939 });
  await f.call("sp_cdc_enable_table", enable);
  assert.equal((await f.call("sp_cdc_help_change_data_capture"))[0]!["supports_net_changes"], false);
});

test("a table has at most two capture instances, of different names", async () => {
  const f = fixture();
  people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  await assert.rejects(f.call("sp_cdc_enable_table", enable), { number: 22926 });
  await f.call("sp_cdc_enable_table", { ...enable, capture_instance: "people_v2" });
  await assert.rejects(f.call("sp_cdc_enable_table", { ...enable, capture_instance: "people_v3" }), { number: 22962 });
});

test("a change table has SQL Server's columns and clustered order, all captured columns nullable", async () => {
  const f = fixture();
  people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  const table = f.database.findTable("cdc", "dbo_people_CT")!;
  assert.deepEqual(
    table.columns.map(({ name, nullable }) => `${name}${nullable ? "" : "!"}`),
    ["__$start_lsn!", "__$end_lsn", "__$seqval!", "__$operation!", "__$update_mask", "id", "age", "__$command_id"],
  );
  assert.deepEqual(
    table.clusteredIndex!.columns.map(({ column: at }) => table.columns[at]!.name),
    ["__$start_lsn", "__$command_id", "__$seqval", "__$operation"],
  );
  assert.ok(table.msShipped);
});

test("the gating role is made when there is none of that name, and stays when CDC is disabled", async () => {
  const f = fixture();
  people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", { ...enable, role_name: "readers " });
  await f.call("sp_cdc_disable_db");
  assert.equal(f.database.principals.find("readers")?.kind, "role");
});

// https://github.com/MaterializeInc/materialize/pull/33184 measured both.
test("start_lsn is there at once, but fn_cdc_get_min_lsn waits for capture once there is a maximum", async () => {
  const f = fixture({ captureInterval: 3_600_000 });
  people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  assert.equal(f.fn("fn_cdc_get_max_lsn"), null);
  const first = f.fn("fn_cdc_get_min_lsn", "dbo_people") as Buffer;
  assert.ok(Buffer.isBuffer(first), "the first instance of a database is valid at once");
  f.cdc.run();
  assert.ok(Buffer.compare(f.fn("fn_cdc_get_max_lsn") as Buffer, first) > 0, "the commit of enabling comes behind");
  assert.deepEqual(f.fn("fn_cdc_get_min_lsn", "dbo_people"), first);

  await f.call("sp_cdc_enable_table", { ...enable, capture_instance: "second" });
  const [, second] = await f.call("sp_cdc_help_change_data_capture");
  assert.ok(Buffer.compare(second!["start_lsn"] as Buffer, first) > 0);
  assert.equal(f.fn("fn_cdc_get_min_lsn", "second"), null);
  f.cdc.run();
  assert.deepEqual(f.fn("fn_cdc_get_min_lsn", "second"), second!["start_lsn"]);
  assert.equal((f.fn("fn_cdc_get_min_lsn", "nothing") as Buffer).toString("hex"), "0".repeat(20));
  f.cdc.stop();
});

test("capture that lags comes to a new instance only behind what was committed before it", async () => {
  const f = fixture({ captureInterval: 3_600_000 });
  const table = people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  const insert = (id: number) => {
    const work = new Work(f);
    work.statement().insert(table, id, null, null);
    work.transaction.commit(f.engine.now());
  };
  await f.call("sp_cdc_change_job", { job_type: "capture", maxtrans: 1, maxscans: 1 });
  insert(1);
  insert(2);
  await f.call("sp_cdc_enable_table", { ...enable, capture_instance: "second" });
  insert(3);
  f.cdc.run();
  assert.equal(f.fn("fn_cdc_get_min_lsn", "second"), null);
  f.cdc.run();
  assert.ok(Buffer.isBuffer(f.fn("fn_cdc_get_min_lsn", "second")));
  f.cdc.run();
  assert.deepEqual(
    ["dbo_people", "second"].map((instance) => f.changes(instance).map(({ id }) => id)),
    [[1, 2, 3], [3]],
  );
  f.cdc.stop();
});

// Error 22909's text: "… the Change Data Capture time mapping entries …" go with the last instance.
test("with the last instance go the jobs and all of lsn_time_mapping, and a rollback brings them back", async () => {
  const f = fixture();
  people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  const mapping = () => [...f.database.findTable("cdc", "lsn_time_mapping")!.rows(f.context.snapshot)].length;
  assert.equal(mapping(), 1);
  const disable = { source_schema: "dbo", source_name: "people", capture_instance: "all" };
  const work = new Work(f);
  f.context.session.currentTransaction = work.transaction;
  await f.call("sp_cdc_disable_table", disable);
  f.context.session.currentTransaction = null;
  work.transaction.rollback();
  assert.equal(mapping(), 1);
  assert.equal((await f.call("sp_cdc_help_jobs")).length, 2);
  assert.equal(f.cdc.capture.running, true);

  await f.call("sp_cdc_disable_table", disable);
  assert.equal(mapping(), 0);
  assert.deepEqual(await f.call("sp_cdc_help_jobs"), []);
  assert.equal(f.cdc.capture.running, false);
});

test("enabling a table in a transaction that is rolled back leaves nothing", async () => {
  const f = fixture();
  const table = people(f);
  await f.call("sp_cdc_enable_db");
  const work = new Work(f);
  f.context.session.currentTransaction = work.transaction;
  await f.call("sp_cdc_enable_table", enable);
  f.context.session.currentTransaction = null;
  work.transaction.rollback();
  assert.equal(f.database.findTable("cdc", "dbo_people_CT"), undefined);
  assert.equal(table.trackedByCdc, false);
  assert.equal(f.database.systemObjects.tableFunction("cdc", "fn_cdc_get_all_changes_dbo_people"), undefined);
});

test("disabling a table takes its change table and functions away, and with the last one the jobs", async () => {
  const f = fixture();
  const table = people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  assert.equal((await f.call("sp_cdc_help_jobs")).length, 2);
  const request = { source_schema: "dbo", source_name: "people" };
  await assert.rejects(f.call("sp_cdc_disable_table", { ...request, capture_instance: "other" }), { number: 22960 });
  await f.call("sp_cdc_disable_table", { ...request, capture_instance: "dbo_people" });
  assert.equal(f.database.findTable("cdc", "dbo_people_CT"), undefined);
  assert.equal(table.trackedByCdc, false);
  assert.deepEqual(await f.call("sp_cdc_help_jobs"), []);
  await assert.rejects(f.call("sp_cdc_disable_table", { ...request, capture_instance: "dbo_t" }), { number: 22960 });
  await f.call("sp_cdc_disable_table", { ...request, capture_instance: "all" });
});

test("TRUNCATE is refused on a tracked table, and dropping it drops its instances", async () => {
  const f = fixture();
  const table = people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  const { session } = f.context;
  assert.throws(() => f.database.hooks.beforeTruncate[0]!(table, session), { number: 4711 });
  f.database.hooks.beforeDropTable[0]!(table, session);
  assert.equal(f.database.findTable("cdc", "dbo_people_CT"), undefined);
  assert.deepEqual(await f.call("sp_cdc_help_change_data_capture"), []);
});

// https://learn.microsoft.com/sql/database-engine/configure-windows/configure-the-max-text-repl-size-server-configuration-option
test("a tracked table refuses large values over max text repl size, until that is raised", async () => {
  const f = fixture();
  const columns = [column("id", 1, INT, false), column("note", 2, { id: "nvarchar", length: -1 })];
  const table = createTable(f.database, "people", columns);
  const insert = (id: number) => {
    const work = new Work(f);
    work.statement().insert(table, id, "x".repeat(40_000));
    work.transaction.commit(f.engine.now());
  };
  insert(1);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", enable);
  assert.throws(() => insert(2), { number: 7139 });
  await f.call("sp_configure", { configname: "max text repl size", configvalue: -1 });
  f.engine.reconfigure();
  insert(2);
  assert.equal(f.changes("dbo_people").length, 1);
  f.cdc.stop();
});

test("the help procedure describes an instance as Microsoft's page says", async () => {
  const f = fixture();
  const table = people(f);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", { ...enable, role_name: "readers", captured_column_list: '[id], "age"' });
  const [row] = await f.call("sp_cdc_help_change_data_capture", { source_schema: "dbo", source_name: "people" });
  assert.equal(row!["source_object_id"], table.objectId);
  assert.equal(row!["capture_instance"], "dbo_people");
  assert.equal(row!["role_name"], "readers");
  assert.equal(row!["index_name"], "PK_people");
  assert.equal(row!["index_column_list"], "[id]");
  assert.equal(row!["captured_column_list"], "[id], [age]");
  await assert.rejects(f.call("sp_cdc_help_change_data_capture", { source_schema: "dbo" }), { number: 22972 });
});

test("a rollback takes the disabling of a database back: instances, changes, user, jobs and what waits in the log", async () => {
  const { sql, cdc } = await tracked({ captureInterval: "immediate" });
  await sql.run("INSERT people (id) VALUES (1)");
  cdc.stop();
  await sql.run("INSERT people (id) VALUES (2); CREATE ROLE readers; GRANT SELECT ON SCHEMA::cdc TO cdc");
  await sql.run(
    "BEGIN TRAN; EXEC sys.sp_cdc_disable_db; SELECT is_cdc_enabled FROM sys.databases WHERE database_id = DB_ID(); ROLLBACK",
  );
  cdc.run();
  await sql.run("INSERT people (id) VALUES (3)");
  cdc.run();
  assert.deepEqual(
    await sql.rows(
      "SELECT id FROM cdc.fn_cdc_get_all_changes_dbo_people(sys.fn_cdc_get_min_lsn('dbo_people'), sys.fn_cdc_get_max_lsn(), N'all')",
    ),
    [[1], [2], [3]],
  );
  assert.deepEqual(
    await sql.rows(
      "SELECT is_cdc_enabled, is_tracked_by_cdc, USER_NAME(USER_ID(N'cdc')), SCHEMA_NAME(SCHEMA_ID(N'cdc')) FROM sys.databases d, sys.tables t WHERE database_id = DB_ID() AND t.name = N'people'",
    ),
    [[true, true, "cdc", "cdc"]],
  );
  assert.equal((await sql.rows("EXEC sys.sp_cdc_help_jobs")).length, 2);
  await sql.run("EXEC sys.sp_cdc_disable_db");
  assert.equal(await sql.value("SCHEMA_ID(N'cdc')"), null);
});
