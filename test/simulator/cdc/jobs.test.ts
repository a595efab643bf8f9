/**
 * The jobs' procedures:
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-add-job-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-change-job-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-drop-job-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-start-job-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-stop-job-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-scan-transact-sql
 * Where pages leave the order of checks open it is that of SQL Server's own procedures, as sp_helptext shows them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { people, sqlFixture } from "./sql-fixture.ts";

const HOUR = 3_600_000;

test("enabling the first table makes both jobs with the documented defaults, and says so", async () => {
  const { sql, cdc } = await sqlFixture();
  await sql.run("CREATE TABLE t (id int PRIMARY KEY); EXEC sys.sp_cdc_enable_db");
  const { infos } = await sql.run(
    "EXEC sys.sp_cdc_enable_table 'dbo', 't', @role_name = NULL, @supports_net_changes = 0",
  );
  assert.deepEqual(
    infos.map(({ message }) => message),
    ["Job 'cdc.TestDB_capture' started successfully.", "Job 'cdc.TestDB_cleanup' started successfully."],
  );
  const settings = await sql.rows(
    "SELECT job_type, maxtrans, maxscans, continuous, pollinginterval, retention, threshold FROM msdb.dbo.cdc_jobs",
  );
  assert.deepEqual(settings, [
    ["capture", 500, 10, true, 5n, 0n, 0n],
    ["cleanup", 0, 0, false, 0n, 4320n, 5000n],
  ]);
  cdc.stop();
});

for (const [number, statement, why] of [
  [22992, "sp_cdc_add_job N'log'", "a type of job that there is not"],
  [22992, "sp_cdc_add_job NULL", "no type of job"],
  [22995, "sp_cdc_add_job N'capture', @retention = 1", "retention of the capture job"],
  [22995, "sp_cdc_add_job N'capture', @threshold = 1", "threshold of the capture job"],
  [22996, "sp_cdc_add_job N'cleanup', @maxtrans = 1", "maxtrans of the cleanup job"],
  [22996, "sp_cdc_add_job N'cleanup', @continuous = 0", "continuous of the cleanup job"],
  [22990, "sp_cdc_add_job N'capture', @pollinginterval = 86400", "polling once in 24 hours"],
  [22990, "sp_cdc_add_job N'capture', @pollinginterval = -1", "polling before the last time"],
  [22991, "sp_cdc_add_job N'capture', @maxtrans = 0", "no transactions"],
  [22970, "sp_cdc_add_job N'capture', @maxscans = 0", "no scans"],
  [22994, "sp_cdc_add_job N'cleanup', @retention = 0", "retention of nothing"],
  [22994, "sp_cdc_change_job N'cleanup', @retention = 52594801", "retention of more than 100 years"],
  [22850, "sp_cdc_change_job N'cleanup', @threshold = 0", "threshold 0"],
  [22992, "sp_cdc_drop_job N'log'", "dropping a type of job that there is not"],
  [22022, "sp_cdc_start_job", "starting a job that runs"],
  [22022, "sp_cdc_stop_job N'cleanup'", "stopping a job that does not run"],
  [22998, "sp_cdc_scan @continuous = 2", "a scan that is neither continuous nor not"],
  [22999, "sp_cdc_scan @pollinginterval = 5", "a polling interval of a single scan"],
  [22990, "sp_cdc_scan @continuous = 1, @pollinginterval = 86400", "a continuous scan once in 24 hours"],
  [22991, "sp_cdc_scan @maxtrans = NULL", "a scan of no transactions"],
  [22970, "sp_cdc_scan @maxscans = 0", "no scans by hand"],
] as const)
  test(`error ${number}: ${why}`, async () => {
    const { sql, cdc } = await people();
    assert.equal(await sql.error(`EXEC sys.${statement}`), number);
    cdc.stop();
  });

test("the type of a job may have blanks around it, in any case", async () => {
  const { sql, cdc } = await people();
  await sql.run("EXEC sys.sp_cdc_change_job @job_type = N' CleanUp ', @retention = 10");
  assert.deepEqual(await sql.rows("SELECT retention FROM msdb.dbo.cdc_jobs WHERE job_type = 'cleanup'"), [[10n]]);
  cdc.stop();
});

test("what Agent says to starting a job twice, and stopping it twice", async () => {
  const { sql } = await people();
  const twice = await sql.attempt("EXEC sys.sp_cdc_start_job @job_type = N'capture'");
  assert.equal(
    twice.errors[0]!.message,
    "SQLServerAgent Error: Request to run job cdc.TestDB_capture (from User sa) refused because the job is already running from a request by User sa.",
  );
  const stopped = await sql.run("EXEC sys.sp_cdc_stop_job");
  assert.deepEqual(
    stopped.infos.map(({ message }) => message),
    ["Job 'cdc.TestDB_capture' stopped successfully."],
  );
  const again = await sql.attempt("EXEC sys.sp_cdc_stop_job");
  assert.equal(
    again.errors[0]!.message,
    "SQLServerAgent Error: Request to stop job cdc.TestDB_capture (from User sa) refused because the job is not currently running.",
  );
});

test("a dropped job is missing (22997) until it is added, and then runs at once", async () => {
  const { sql, cdc } = await people();
  await sql.run("EXEC sys.sp_cdc_drop_job N'capture'");
  assert.equal(cdc.capture.running, false);
  for (const procedure of ["sp_cdc_drop_job N'capture'", "sp_cdc_start_job", "sp_cdc_stop_job", "sp_cdc_change_job"])
    assert.equal(await sql.error(`EXEC sys.${procedure}`), 22997, procedure);
  await sql.run("INSERT people VALUES (1, N'Ann', 30)");
  await sql.run("EXEC sys.sp_cdc_add_job @job_type = N'capture'");
  assert.deepEqual(await sql.rows("SELECT id FROM cdc.dbo_people_CT"), [[1]]);
  await sql.run("EXEC sys.sp_cdc_drop_job N'capture'; EXEC sys.sp_cdc_add_job N'capture', @start_job = 0");
  assert.equal(cdc.capture.running, false);
});

test("what is changed takes effect when the job is started again", async () => {
  const { sql, cdc } = await people({ captureInterval: HOUR });
  cdc.stop();
  await sql.run("INSERT people VALUES (1, N'Ann', 30)");
  await sql.run("INSERT people VALUES (2, N'Bob', 31)");
  await sql.run("EXEC sys.sp_cdc_change_job @maxtrans = 1, @maxscans = 1, @continuous = 0");
  await sql.run("EXEC sys.sp_cdc_start_job");
  assert.equal(cdc.capture.running, false, "a job that is not continuous makes one cycle and ends");
  assert.deepEqual(await sql.rows("SELECT id FROM cdc.dbo_people_CT"), [[1]]);
});

test("a job that stops being continuous waits no longer, and one that gets an interval is continuous", async () => {
  const { sql, cdc } = await people();
  const settings = () =>
    sql.rows("SELECT continuous, pollinginterval FROM msdb.dbo.cdc_jobs WHERE job_type = 'capture'");
  await sql.run("EXEC sys.sp_cdc_change_job @continuous = 0");
  assert.deepEqual(await settings(), [[false, 0n]]);
  await sql.run("EXEC sys.sp_cdc_change_job @pollinginterval = 7");
  assert.deepEqual(await settings(), [[true, 7n]]);
  cdc.stop();
});

test("sp_cdc_scan takes what waits in the log: maxscans times maxtrans", async () => {
  const { sql, cdc } = await people();
  cdc.stop();
  for (const id of [1, 2, 3, 4, 5]) await sql.run(`INSERT people VALUES (${id}, N'x', 1)`);
  await sql.run("EXEC sys.sp_cdc_scan @maxtrans = 2, @maxscans = 2");
  assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM cdc.dbo_people_CT"), [[4]]);
  await sql.run("EXEC sys.sp_cdc_scan");
  assert.deepEqual(await sql.rows("SELECT COUNT(*) FROM cdc.dbo_people_CT"), [[5]]);
});

test("sp_cdc_scan in continuous mode goes on until it is cancelled", async () => {
  const { sql, cdc, another } = await people();
  cdc.stop();
  const scanner = await another();
  const cancel = new AbortController();
  const scan = scanner.attempt("EXEC sys.sp_cdc_scan @continuous = 1, @pollinginterval = 0", cancel.signal);
  await sql.run("INSERT people VALUES (1, N'Ann', 30)");
  while ((await sql.rows("SELECT id FROM cdc.dbo_people_CT")).length === 0) await new Promise(setImmediate);
  cancel.abort();
  await scan;
});

test("for those who are not db_owner the answer is 22904 (21050 from sp_cdc_scan), enabled or not", async () => {
  const { sql, another } = await sqlFixture();
  await sql.run("CREATE LOGIN reader WITH PASSWORD = N''; CREATE USER reader FOR LOGIN reader");
  const reader = await another("reader");
  for (const procedure of [
    "sp_cdc_add_job N'capture'",
    "sp_cdc_change_job",
    "sp_cdc_drop_job N'capture'",
    "sp_cdc_start_job",
    "sp_cdc_stop_job",
    "sp_cdc_help_jobs",
    "sp_cdc_cleanup_change_table N'dbo_t', NULL",
    "sp_cdc_enable_table N'dbo', N't', @role_name = NULL",
    "sp_cdc_disable_table N'dbo', N't', N'all'",
  ])
    assert.equal(await reader.error(`EXEC sys.${procedure}`), 22904, procedure);
  assert.equal(await reader.error("EXEC sys.sp_cdc_scan"), 21050);
  assert.equal(await reader.error("EXEC sys.sp_cdc_enable_db"), 22902);
  assert.equal(await sql.error("EXEC sys.sp_cdc_cleanup_change_table N'dbo_t', NULL"), 22910);
});
