/** A simulator that is stopped and started again on its file goes on where it was. */
import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type SimulatorOptions, SqlServerSimulator } from "../../../simulator/index.ts";
import { ask, connected, newConnection } from "../tds/clients.ts";
import { folder } from "./folder.ts";

/** Starts simulators on one file, one after the other. */
function restarter(
  t: TestContext,
  options: SimulatorOptions = {},
): (() => Promise<SqlServerSimulator>) & { copy(): string } {
  const file = `${folder(t)}/`;
  let current: SqlServerSimulator | undefined;
  t.after(() => current?.close());
  const restart = async () => {
    await current?.close();
    current = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate", file, ...options });
    return current;
  };
  /** The file as a kill would leave it now. */
  const copy = () => {
    const to = join(folder(t), "copy.db");
    for (const part of ["", "-wal"]) copyFileSync(`${file}simulator.db${part}`, `${to}${part}`);
    return to;
  };
  return Object.assign(restart, { copy });
}

const rowsOf = async (simulator: SqlServerSimulator, sql: string, database?: string) =>
  (await simulator.query(sql, database)).rows;

test("values of every type, tables, keys, defaults, checks, computed columns and identity are as they were", async (t) => {
  const restart = restarter(t);
  let simulator = await restart();
  await simulator.query("CREATE SCHEMA sales");
  await simulator.query(`CREATE TABLE sales.everything (
    id int IDENTITY(10, 5) PRIMARY KEY, bit_ bit, big bigint, dec_ decimal(38, 10), m money, f float, r real, d date, t time(3),
    dt datetime, sdt smalldatetime, dt2 datetime2(7), dto datetimeoffset(2), c char(5), v varchar(max), n nvarchar(max), x xml,
    g uniqueidentifier, b varbinary(max), va sql_variant, rv rowversion, twice AS big * 2,
    named nvarchar(20) DEFAULT N'none', CONSTRAINT positive CHECK (m > 0))`);
  await simulator.query("CREATE UNIQUE INDEX by_guid ON sales.everything (g)");
  await simulator.query(`INSERT sales.everything (bit_, big, dec_, m, f, r, d, t, dt, sdt, dt2, dto, c, v, n, x, g, b, va) VALUES
    (1, -4611686018427387904, 1234567890123456789012345678.0123456789, 922337203685477.5807, -0e0, 1.5, '0001-01-01', '23:59:59.999',
     '2026-11-21T10:11:12.997', '2026-11-21T10:11', '9999-12-31T23:59:59.9999999', '2026-11-21T10:11:12.12+05:30', 'ab', REPLICATE('x', 9000),
     N'ünïcødé 😀', N'<a/>', '49FBEDAD-37B6-4870-BCE3-3F713F46BCF5', 0x00FF, CAST(1.5 AS decimal(5,2)))`);
  const all = "SELECT * FROM sales.everything ORDER BY id";
  const before = await rowsOf(simulator, all);
  simulator = await restart();
  assert.deepEqual(await rowsOf(simulator, all), before);
  await assert.rejects(simulator.query("INSERT sales.everything (m) VALUES (-1)"), /CHECK constraint "positive"/);
  await assert.rejects(simulator.query("INSERT sales.everything (g) VALUES ('49FBEDAD-37B6-4870-BCE3-3F713F46BCF5')"), {
    number: 2601,
  });
  // Two values went with the inserts that failed, as they do without a restart.
  await simulator.query("INSERT sales.everything (big, g) VALUES (21, NEWID())");
  assert.deepEqual(await rowsOf(simulator, "SELECT id, twice, named FROM sales.everything WHERE big = 21"), [
    [25, 42n, "none"],
  ]);
  const [older, newer] = (await rowsOf(simulator, "SELECT rv FROM sales.everything ORDER BY id")) as [Buffer][];
  assert.ok(Buffer.compare(older![0], newer![0]) < 0);
});

test("views, procedures, logins, users, roles, permissions, options and databases are as they were; dropped ones stay away", async (t) => {
  const restart = restarter(t);
  let simulator = await restart();
  for (const sql of [
    "CREATE DATABASE Other COLLATE Latin1_General_CS_AS",
    "CREATE DATABASE Gone",
    "DROP DATABASE Gone",
    "CREATE TABLE t (id int PRIMARY KEY, name nvarchar(20))",
    "CREATE TABLE gone (id int); DROP TABLE gone",
    "INSERT t VALUES (1, N'a'), (2, N'b')",
    "CREATE VIEW named AS SELECT id, UPPER(name) AS name FROM t",
    "CREATE PROCEDURE find @id int, @found nvarchar(20) OUTPUT AS BEGIN SELECT @found = name FROM t WHERE id = @id; RETURN 7 END",
    "CREATE LOGIN reader WITH PASSWORD = 'Reader!1'",
    "CREATE USER reader FOR LOGIN reader; CREATE ROLE readers; ALTER ROLE readers ADD MEMBER reader; GRANT SELECT ON named TO readers",
    "ALTER DATABASE TestDB SET ALLOW_SNAPSHOT_ISOLATION ON",
    "EXEC sp_configure 'max text repl size', 100",
  ])
    await simulator.query(sql);
  simulator = await restart();
  assert.deepEqual(await rowsOf(simulator, "SELECT name FROM sys.databases WHERE database_id > 4 ORDER BY name"), [
    ["Other"],
    ["TestDB"],
  ]);
  assert.deepEqual(await rowsOf(simulator, "SELECT CONVERT(varchar(50), DATABASEPROPERTYEX('Other', 'Collation'))"), [
    ["Latin1_General_CS_AS"],
  ]);
  assert.deepEqual(await rowsOf(simulator, "SELECT * FROM named ORDER BY id"), [
    [1, "A"],
    [2, "B"],
  ]);
  const called = "DECLARE @f nvarchar(20), @s int; EXEC @s = find 2, @f OUTPUT; SELECT @s, @f";
  assert.deepEqual(await rowsOf(simulator, called), [[7, "b"]]);
  assert.equal(simulator.engine.database("TestDB")!.findTable("dbo", "gone"), undefined);
  assert.deepEqual(
    await rowsOf(simulator, "SELECT snapshot_isolation_state FROM sys.databases WHERE name = 'TestDB'"),
    [[1]],
  );
  assert.deepEqual(
    await rowsOf(simulator, "SELECT value_in_use FROM sys.configurations WHERE name LIKE 'max text repl%'"),
    await rowsOf(simulator, "SELECT CAST(100 AS sql_variant)"),
  );
  const reader = newConnection(simulator.port, {}, { userName: "reader", password: "Reader!1" });
  await connected(reader);
  assert.deepEqual((await ask(reader, "SELECT COUNT(*) FROM named")).rows, [[2]]);
  assert.equal((await ask(reader, "SELECT * FROM t")).error!.number, 229);
  reader.close();
  assert.deepEqual(
    await rowsOf(simulator, "CREATE TABLE t2 (id int); SELECT COUNT(DISTINCT object_id) FROM sys.tables"),
    [[2]],
  );
});

test("functions, sequences, synonyms, types, triggers and filtered indexes are as they were, and no number is given twice", async (t) => {
  const restart = restarter(t);
  let simulator = await restart();
  for (const sql of [
    "CREATE SEQUENCE numbers AS bigint START WITH 5 INCREMENT BY 2",
    "CREATE FUNCTION twice(@n int) RETURNS int AS BEGIN RETURN @n * 2 END",
    "CREATE FUNCTION two(@n int) RETURNS TABLE AS RETURN SELECT @n AS n UNION ALL SELECT dbo.twice(@n)",
    "CREATE TABLE t (id bigint DEFAULT NEXT VALUE FOR numbers, twice AS dbo.twice(4))",
    "CREATE SYNONYM s FOR dbo.t",
    "CREATE TYPE dbo.short FROM nvarchar(5) NOT NULL",
    "CREATE TYPE dbo.pairs AS TABLE (id int PRIMARY KEY, name dbo.short)",
    "CREATE TABLE named (id int, name dbo.short); CREATE UNIQUE INDEX filtered ON named (id) WHERE id IS NOT NULL",
    "INSERT s DEFAULT VALUES",
    "CREATE TABLE told (what nvarchar(20))",
    "CREATE TRIGGER tell ON named AFTER INSERT AS INSERT told SELECT CONCAT(N'made ', name) FROM inserted",
  ])
    await simulator.query(sql);
  // Outside a transaction, and in one that is undone.
  assert.deepEqual(await rowsOf(simulator, "SELECT NEXT VALUE FOR numbers"), [[7n]]);
  await simulator.query("BEGIN TRAN; INSERT s DEFAULT VALUES; ROLLBACK");
  simulator = await restart();
  await simulator.query("INSERT s DEFAULT VALUES");
  assert.deepEqual(await rowsOf(simulator, "SELECT * FROM t"), [
    [5n, 8],
    [11n, 8],
  ]);
  assert.deepEqual(await rowsOf(simulator, "SELECT n FROM two(21)"), [[21], [42]]);
  await simulator.query("INSERT named VALUES (NULL, N'a'), (NULL, N'b'), (1, N'c')");
  await assert.rejects(simulator.query("INSERT named VALUES (1, N'd')"), { number: 2601 });
  assert.deepEqual(await rowsOf(simulator, "SELECT what FROM told ORDER BY what"), [
    ["made a"],
    ["made b"],
    ["made c"],
  ]);
  await assert.rejects(simulator.query("INSERT named VALUES (2, N'longer')"), { number: 2628 });
  const filled = "DECLARE @p dbo.pairs; INSERT @p VALUES (1, N'a'); SELECT * FROM @p";
  assert.deepEqual(await rowsOf(simulator, filled), [[1, "a"]]);
});

test("a change table that was filled in one go is there after the restart", async (t) => {
  const restart = restarter(t);
  let simulator = await restart();
  await simulator.query("CREATE TABLE t (id int PRIMARY KEY, name nvarchar(20)); INSERT t VALUES (1, N'a'), (2, N'b')");
  await simulator.query("EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_table 'dbo', 't', @role_name = NULL");
  await simulator.fillChangeTable("TestDB", "dbo_t", { changes: 500, changesPerTransaction: 7 });
  await simulator.query("DELETE cdc.dbo_t_CT WHERE [__$seqval] = (SELECT MAX([__$seqval]) FROM cdc.dbo_t_CT)");
  const all = "SELECT * FROM cdc.dbo_t_CT ORDER BY [__$start_lsn], [__$seqval]";
  const before = await rowsOf(simulator, all);
  assert.equal(before.length, 499);
  simulator = await restart();
  assert.deepEqual(await rowsOf(simulator, all), before);
  await simulator.query("INSERT t VALUES (3, N'c')");
  assert.deepEqual((await rowsOf(simulator, all)).at(-1)!.slice(-3, -1), [3, "c"]);
});

test("what capture had not read yet is captured after the restart, in order, behind what it had read", async (t) => {
  const restart = restarter(t);
  let simulator = await restart();
  await simulator.query("CREATE TABLE t (id int PRIMARY KEY, name nvarchar(20))");
  await simulator.query("EXEC sys.sp_cdc_enable_db");
  await simulator.query("EXEC sys.sp_cdc_enable_table 'dbo', 't', @role_name = NULL, @supports_net_changes = 1");
  await simulator.query("EXEC sys.sp_cdc_change_job @job_type = 'cleanup', @retention = 100, @threshold = 7");
  await simulator.query("INSERT t VALUES (1, N'a')");
  simulator.cdc("TestDB").stop();
  await simulator.query("UPDATE t SET name = N'b'");
  await simulator.query("ALTER TABLE t ADD c int");
  await simulator.query("ALTER TABLE t ALTER COLUMN name nvarchar(40)");
  await simulator.query("DELETE t");
  const facts = `SELECT recovery_fork_guid FROM sys.database_recovery_status WHERE database_id = DB_ID();`;
  const mapping = "SELECT * FROM cdc.lsn_time_mapping ORDER BY start_lsn";
  const [fork, jobs, mapped, maximum] = await Promise.all(
    [facts, "EXEC sys.sp_cdc_help_jobs", mapping, "SELECT sys.fn_cdc_get_max_lsn()"].map((sql) =>
      rowsOf(simulator, sql),
    ),
  );

  simulator = await restart();
  assert.equal(simulator.cdc("TestDB").running, false);
  assert.deepEqual(await rowsOf(simulator, facts), fork);
  assert.deepEqual(await rowsOf(simulator, "EXEC sys.sp_cdc_help_jobs"), jobs);
  assert.deepEqual(await rowsOf(simulator, mapping), mapped);
  assert.equal((await rowsOf(simulator, "SELECT COUNT(*) FROM cdc.dbo_t_CT"))[0]![0], 1);

  simulator.cdc("TestDB").start();
  await simulator.query("INSERT t VALUES (2, N'c', 5)");
  const changes = `SELECT [__$operation], id, name FROM cdc.fn_cdc_get_all_changes_dbo_t(sys.fn_cdc_get_min_lsn('dbo_t'),
    sys.fn_cdc_get_max_lsn(), N'all update old') ORDER BY [__$start_lsn], [__$seqval], [__$operation]`;
  const expected = [
    [2, 1, "a"],
    [3, 1, "a"],
    [4, 1, "b"],
    [1, 1, "b"],
    [2, 2, "c"],
  ];
  assert.deepEqual(await rowsOf(simulator, changes), expected);
  assert.deepEqual(await rowsOf(simulator, "SELECT required_column_update FROM cdc.ddl_history"), [[false], [true]]);
  const after = (await rowsOf(simulator, "SELECT sys.fn_cdc_get_max_lsn()"))[0]![0] as Buffer;
  assert.ok(Buffer.compare(maximum![0]![0] as Buffer, after) < 0);

  simulator = await restart();
  assert.equal(simulator.cdc("TestDB").running, true);
  assert.deepEqual(await rowsOf(simulator, changes), expected);
  assert.equal((await rowsOf(simulator, "SELECT * FROM cdc.ddl_history")).length, 2);
});

test("cleanup's watermark and purged rows stay purged", async (t) => {
  let seconds = Date.parse("2026-11-21T10:00:00Z") / 1000;
  const restart = restarter(t, { clock: () => new Date(1000 * seconds++) });
  let simulator = await restart();
  await simulator.query("CREATE TABLE t (id int PRIMARY KEY)");
  await simulator.query("EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_table 'dbo', 't', @role_name = NULL");
  for (let id = 1; id <= 3; id++) await simulator.query(`INSERT t VALUES (${id})`);
  await simulator.query(`DECLARE @low binary(10) = (SELECT MAX([__$start_lsn]) FROM cdc.dbo_t_CT);
    EXEC sys.sp_cdc_cleanup_change_table 'dbo_t', @low`);
  const state = "SELECT sys.fn_cdc_get_min_lsn('dbo_t'), COUNT(*), MIN(id) FROM cdc.dbo_t_CT";
  const before = await rowsOf(simulator, state);
  assert.deepEqual(before[0]!.slice(1), [1, 3]);
  simulator = await restart();
  assert.deepEqual(await rowsOf(simulator, state), before);
});

test("an open transaction's rows and tables are not there after a restart, though others committed beside it", async (t) => {
  const restart = restarter(t);
  let simulator = await restart();
  await simulator.query("CREATE TABLE t (id int PRIMARY KEY, name nvarchar(20) DEFAULT N'x')");
  await simulator.query("INSERT t VALUES (1, N'a'), (2, N'b')");
  const open = newConnection(simulator.port, {}, { password: simulator.password });
  await connected(open);
  await ask(
    open,
    "BEGIN TRAN; CREATE TABLE pending (id int); INSERT pending VALUES (1); DELETE t WHERE id = 1; INSERT t VALUES (3, N'c')",
  );
  await simulator.query("UPDATE t SET name = N'B' WHERE id = 2; CREATE TABLE done (id int); INSERT done VALUES (1)");
  const copy = await SqlServerSimulator.start({ file: restart.copy() });
  t.after(() => copy.close());
  for (const each of [copy, (simulator = await restart())]) {
    assert.deepEqual(await rowsOf(each, "SELECT * FROM t ORDER BY id", "TestDB"), [
      [1, "a"],
      [2, "B"],
    ]);
    assert.deepEqual(await rowsOf(each, "SELECT * FROM done", "TestDB"), [[1]]);
    assert.deepEqual(await rowsOf(each, "SELECT OBJECT_ID('pending')", "TestDB"), [[null]]);
  }
  open.close();
});

test("a snapshot that was restored is what a restart finds, with its new recovery fork", async (t) => {
  const restart = restarter(t);
  let simulator = await restart();
  await simulator.query("CREATE TABLE t (id int PRIMARY KEY); INSERT t VALUES (1)");
  const snapshot = simulator.snapshot("TestDB");
  await simulator.query("INSERT t VALUES (2); CREATE TABLE later (id int)");
  simulator.restore(snapshot);
  await simulator.query("INSERT t VALUES (3)");
  const fork = "SELECT recovery_fork_guid FROM sys.database_recovery_status WHERE database_id = DB_ID()";
  const before = await rowsOf(simulator, fork);
  simulator = await restart();
  assert.deepEqual(await rowsOf(simulator, "SELECT id FROM t"), [[1], [3]]);
  assert.deepEqual(await rowsOf(simulator, "SELECT OBJECT_ID('later')"), [[null]]);
  assert.deepEqual(await rowsOf(simulator, fork), before);
});

test("with a seed, what is drawn after a restart is not what was drawn before", async (t) => {
  const restart = restarter(t, { seed: 5 });
  let simulator = await restart();
  const first = await rowsOf(simulator, "SELECT NEWID()");
  simulator = await restart();
  assert.notDeepEqual(await rowsOf(simulator, "SELECT NEWID()"), first);
});

test("a file that another simulator has open, or that is none of its own, is refused with the reason", async (t) => {
  const path = join(folder(t), "data.db");
  const simulator = await SqlServerSimulator.start({ file: path });
  t.after(() => simulator.close());
  await assert.rejects(SqlServerSimulator.start({ file: path }), /data\.db cannot be .* another simulator has it open/);
  const other = join(folder(t), "letter.txt");
  writeFileSync(other, "Dear reader, this is no database at all, but it is long enough to be looked at as one.");
  await assert.rejects(SqlServerSimulator.start({ file: other }), /letter\.txt cannot be .* file is not a database/);
});
