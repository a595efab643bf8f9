/**
 * What connectors and monitoring scripts ask about CDC's jobs, and the changes that connectors make.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { column, each, orders, rows } from "./orders-fixture.ts";
import type { SqlFixture } from "./sql-fixture.ts";

let f: SqlFixture;
before(async () => {
  f = await orders();
});
after(() => f.cdc.stop());

describe("are its jobs well?", () =>
  each(
    () => f,
    [
      ["Estuary", "EXEC msdb.dbo.sp_help_job;", column("name", ["cdc.TestDB_capture", "cdc.TestDB_cleanup"])],
      ["Estuary, Airbyte", "EXEC sys.sp_cdc_help_jobs;", column("job_type", ["capture", "cleanup"])],
      ["Estuary", "SELECT * FROM msdb.dbo.cdc_jobs;", column("maxtrans", [500, 0])],
      ["Estuary", "SELECT * FROM sys.dm_cdc_errors;", rows(0)],
      ["Estuary", "SELECT * FROM sys.dm_cdc_log_scan_sessions;", (r) => assert.ok(r.rows.length > 3)],
      [
        "Microsoft: administer and monitor",
        `SELECT command_count / NULLIF(duration, 0) AS [Throughput], empty_scan_count FROM sys.dm_cdc_log_scan_sessions WHERE session_id = 0`,
        rows(1),
      ],
      [
        "Microsoft: administer and monitor",
        "SELECT session_id, latency FROM sys.dm_cdc_log_scan_sessions WHERE session_id = (SELECT MAX(b.session_id) FROM sys.dm_cdc_log_scan_sessions AS b)",
        rows(1),
      ],
      [
        "a check of retention",
        `SELECT j.retention / 60.0 / 24 AS days, j.threshold FROM msdb.dbo.cdc_jobs j JOIN sys.databases d ON d.database_id = j.database_id
       WHERE d.name = DB_NAME() AND j.job_type = N'cleanup'`,
        [["3.000000000", 5000n]],
      ],
      [
        "a check whether capture runs",
        `SELECT j.name, a.stop_execution_date FROM msdb.dbo.sysjobactivity a JOIN msdb.dbo.sysjobs j ON j.job_id = a.job_id
       WHERE a.session_id = (SELECT MAX(session_id) FROM msdb.dbo.syssessions) AND a.start_execution_date IS NOT NULL
       AND a.stop_execution_date IS NULL AND j.name LIKE N'cdc.%'`,
        [["cdc.TestDB_capture", null]],
      ],
      [
        "a check of jobs' categories",
        `SELECT j.name, c.name, j.enabled FROM msdb.dbo.sysjobs_view j JOIN msdb.dbo.syscategories c ON c.category_id = j.category_id ORDER BY j.name`,
        [
          ["cdc.TestDB_capture", "REPL-LogReader", 1],
          ["cdc.TestDB_cleanup", "REPL-Checkup", 1],
        ],
      ],
      [
        "a check of jobs' steps",
        `SELECT s.step_id, s.command, s.database_name FROM msdb.dbo.sysjobsteps s JOIN msdb.dbo.cdc_jobs j ON j.job_id = s.job_id
       WHERE j.job_type = 'capture' ORDER BY s.step_id`,
        [
          [1, "RAISERROR(22801, 10, -1)", "TestDB"],
          [2, "sys.sp_MScdc_capture_job", "TestDB"],
        ],
      ],
      [
        "a check of jobs' schedules",
        `SELECT j.name, s.freq_type, s.active_start_time, js.next_run_date, js.next_run_time FROM msdb.dbo.sysjobs j
       JOIN msdb.dbo.sysjobschedules js ON js.job_id = j.job_id JOIN msdb.dbo.sysschedules s ON s.schedule_id = js.schedule_id
       ORDER BY j.name`,
        [
          ["cdc.TestDB_capture", 64, 0, 0, 0],
          ["cdc.TestDB_cleanup", 4, 20000, 20260302, 20000],
        ],
      ],
    ],
  ));

describe("changes that connectors make", () => {
  test("Materialize: a cleanup up to the last entry before an LSN, with its output", async () => {
    const results = await f.sql.run(`DECLARE @mark binary(10), @failed bit;
      SELECT @mark = MAX(start_lsn) FROM cdc.lsn_time_mapping
        WHERE start_lsn <= sys.fn_cdc_map_time_to_lsn('largest less than', '2026-03-01 12:02:00');
      EXEC sys.sp_cdc_cleanup_change_table @capture_instance = N'dbo_lines', @low_water_mark = @mark, @threshold = 5000,
        @fCleanupFailed = @failed OUTPUT;
      SELECT @failed, IIF(sys.fn_cdc_get_min_lsn(N'dbo_lines') = @mark, 1, 0)`);
    assert.deepEqual(results.rows, [[false, 1]]);
  });

  test("a script that stops capture, waits until Agent says so, and starts it again", async () => {
    const running = `SELECT COUNT(*) FROM msdb.dbo.sysjobactivity a JOIN msdb.dbo.cdc_jobs j ON j.job_id = a.job_id
      WHERE j.job_type = 'capture' AND a.stop_execution_date IS NULL`;
    await f.sql.run("EXEC msdb.dbo.sp_stop_job @job_name = N'cdc.TestDB_capture'");
    assert.deepEqual(await f.sql.rows(running), [[0]]);
    assert.deepEqual(
      await f.sql.rows(
        "SELECT run_status, step_name FROM msdb.dbo.sysjobhistory h JOIN msdb.dbo.cdc_jobs j ON j.job_id = h.job_id WHERE j.job_type = 'capture'",
      ),
      [[3, "(Job outcome)"]],
    );
    assert.equal(await f.sql.error("EXEC msdb.dbo.sp_stop_job @job_name = N'cdc.TestDB_capture'"), 22022);
    await f.sql.run(
      "DECLARE @id uniqueidentifier = (SELECT job_id FROM msdb.dbo.cdc_jobs WHERE job_type = 'capture'); EXEC msdb.dbo.sp_start_job @job_id = @id",
    );
    assert.deepEqual(await f.sql.rows(running), [[1]]);
    assert.equal(await f.sql.error("EXEC msdb.dbo.sp_start_job N'cdc.Other_capture'"), 14262);
    assert.equal(await f.sql.error("EXEC msdb.dbo.sp_start_job"), 14294);
  });

  test("a check of a log that grows because capture does not read it", async () => {
    const waits = "SELECT log_reuse_wait, log_reuse_wait_desc FROM sys.databases WHERE name = N'TestDB'";
    assert.deepEqual(await f.sql.rows(waits), [[0, "NOTHING"]]);
    await f.sql.run("EXEC sys.sp_cdc_stop_job; INSERT lines VALUES (8, 8)");
    assert.deepEqual(await f.sql.rows(waits), [[6, "REPLICATION"]]);
    await f.sql.run("EXEC sys.sp_cdc_start_job");
    assert.deepEqual(await f.sql.rows(waits), [[0, "NOTHING"]]);
  });

  test("Estuary: a table altered gets a second instance, and the first goes with its history", async () => {
    await f.sql.run("ALTER TABLE lines ADD note nvarchar(20) NULL");
    assert.deepEqual(
      await f.sql.rows(
        "SELECT OBJECT_NAME(source_object_id), ddl_command, required_column_update FROM cdc.ddl_history",
      ),
      [["lines", "ALTER TABLE lines ADD note nvarchar(20) NULL", false]],
    );
    await f.sql.run(
      "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'lines', @role_name = N'flow', @capture_instance = N'dbo_lines_5BBF8E2C_1772366400'",
    );
    await f.sql.run(
      "EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'lines', @capture_instance = N'dbo_lines'",
    );
    assert.deepEqual(await f.sql.rows("SELECT COUNT(*) FROM cdc.ddl_history"), [[0]]);
    assert.deepEqual(
      await f.sql.rows(
        "SELECT capture_instance FROM cdc.change_tables WHERE source_object_id = OBJECT_ID(N'dbo.lines')",
      ),
      [["dbo_lines_5BBF8E2C_1772366400"]],
    );
  });
});
