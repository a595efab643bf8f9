/**
 * The scripts of Microsoft's pages on change data capture, run as they stand there (but for the names of sample databases):
 * enabling, reading, monitoring.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type QueryResult, SqlServerSimulator } from "../../../simulator/index.ts";
import { splitOnGo } from "../../../simulator/sql/go-splitter.ts";

let simulator: SqlServerSimulator;
let daysLater = 0;

before(async () => {
  const clock = () => new Date(Date.now() + daysLater * 86_400_000);
  simulator = await SqlServerSimulator.start({ databases: ["MyDB"], captureInterval: "immediate", seed: 1, clock });
  await run(`
CREATE TABLE dbo.MyTable (ID int NOT NULL PRIMARY KEY, Name nvarchar(50) NULL)
GO
CREATE SCHEMA HumanResources
GO
CREATE TABLE HumanResources.Employee (BusinessEntityID int NOT NULL PRIMARY KEY, JobTitle nvarchar(50) NOT NULL)
CREATE TABLE HumanResources.Department (
  DepartmentID smallint IDENTITY(1,1) NOT NULL PRIMARY KEY, Name nvarchar(50) NOT NULL, GroupName nvarchar(50) NOT NULL,
  ModifiedDate datetime NOT NULL DEFAULT (GETDATE()))
CREATE UNIQUE INDEX AK_Department_Name ON HumanResources.Department(Name)
GO
`);
});
after(() => simulator.close());

/** Runs a script as sqlcmd would, batch by batch in one database; gives the last batch's result. */
async function run(script: string): Promise<QueryResult> {
  let result: QueryResult | undefined;
  for (const { text } of splitOnGo(script)) result = await simulator.query(text, "MyDB");
  return result!;
}

// https://learn.microsoft.com/sql/relational-databases/track-changes/enable-and-disable-change-data-capture-sql-server
test("Enable Database for CDC template", async () => {
  await run(`
-- ====
-- Enable Database for CDC template
-- ====
USE MyDB
GO
EXEC sys.sp_cdc_enable_db
GO
`);
  const { rows } = await run("SELECT name, is_cdc_enabled FROM sys.databases WHERE database_id = DB_ID()");
  assert.deepEqual(rows, [["MyDB", true]]);
});

test("Enable a Table Without Using a Gating Role template", async () => {
  await run(`
-- =========
-- Enable a Table Without Using a Gating Role template
-- =========
USE MyDB
GO
EXEC sys.sp_cdc_enable_table
@source_schema = N'dbo',
@source_name   = N'MyTable',
@role_name     = NULL,
@supports_net_changes = 1
GO
`);
  const { rows } = await run(
    "SELECT name, is_tracked_by_cdc FROM sys.tables WHERE is_ms_shipped = 0 AND name = N'MyTable'",
  );
  assert.deepEqual(rows, [["MyTable", true]]);
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-enable-table-transact-sql
test("sp_cdc_enable_table, examples A and B", async () => {
  await run(`
USE MyDB;
GO
EXECUTE sys.sp_cdc_enable_table
    @source_schema = N'HumanResources'
  , @source_name = N'Employee'
  , @role_name = N'cdc_Admin';
GO
EXEC sys.sp_cdc_enable_table
    @source_schema = N'HumanResources'
  , @source_name = N'Department'
  , @role_name = N'cdc_admin'
  , @capture_instance = N'HR_Department'
  , @supports_net_changes = 1
  , @index_name = N'AK_Department_Name'
  , @captured_column_list = N'DepartmentID, Name, GroupName'
  , @filegroup_name = N'PRIMARY';
GO
`);
  const { rows } = await run("EXECUTE sys.sp_cdc_help_change_data_capture;");
  assert.deepEqual(
    rows.map((row) => row[2]),
    ["dbo_MyTable", "HumanResources_Employee", "HR_Department"],
  );
});

// https://learn.microsoft.com/sql/relational-databases/system-functions/cdc-fn-cdc-get-net-changes-capture-instance-transact-sql
test("the net changes of a time interval, which begins after the table was enabled", async () => {
  daysLater = 2;
  await run("INSERT INTO HumanResources.Department (Name, GroupName) VALUES (N'Tools', N'Inventory Management')");
  const { rows } = await run(`
USE MyDB;
GO
DECLARE @begin_time datetime, @end_time datetime, @from_lsn binary(10), @to_lsn binary(10);
-- Obtain the beginning of the time interval.
SET @begin_time = GETDATE() -1;
-- DML statements to produce changes in the HumanResources.Department table.
INSERT INTO HumanResources.Department (Name, GroupName)
VALUES (N'MyDept', N'MyNewGroup');

UPDATE HumanResources.Department
SET GroupName = N'Resource Control'
WHERE GroupName = N'Inventory Management';

DELETE FROM HumanResources.Department
WHERE Name = N'MyDept';

-- Obtain the end of the time interval.
SET @end_time = GETDATE();
-- Map the time interval to a change data capture query range.
SET @from_lsn = sys.fn_cdc_map_time_to_lsn('smallest greater than or equal', @begin_time);
SET @to_lsn = sys.fn_cdc_map_time_to_lsn('largest less than or equal', @end_time);

-- Return the net changes occurring within the query window.
SELECT * FROM cdc.fn_cdc_get_net_changes_HR_Department(@from_lsn, @to_lsn, 'all');
`);
  assert.deepEqual(
    rows.map(([, operation, mask, ...values]) => [operation, mask, ...values]),
    [[2, null, 1, "Tools", "Resource Control"]],
  );
});

// https://learn.microsoft.com/sql/relational-databases/system-functions/cdc-fn-cdc-get-all-changes-capture-instance-transact-sql
test("all changes between the minimum and the maximum LSN", async () => {
  const { rows, columns } = await run(`
DECLARE @from_lsn binary(10), @to_lsn binary(10);
SET @from_lsn = sys.fn_cdc_get_min_lsn('HR_Department');
SET @to_lsn   = sys.fn_cdc_get_max_lsn();
SELECT * FROM cdc.fn_cdc_get_all_changes_HR_Department
  (@from_lsn, @to_lsn, N'all');
GO
`);
  assert.deepEqual(
    columns.map(({ name }) => name),
    ["__$start_lsn", "__$seqval", "__$operation", "__$update_mask", "DepartmentID", "Name", "GroupName"],
  );
  assert.deepEqual(
    rows.map((row) => row[2]),
    [2, 2, 4, 1],
  );
});

// https://learn.microsoft.com/sql/relational-databases/system-functions/sys-fn-cdc-get-min-lsn-transact-sql
test("verifying the low endpoint of a range", async () => {
  await assert.rejects(
    run(`
DECLARE @min_lsn binary(10), @from_lsn binary(10),@save_to_lsn binary(10), @to_lsn binary(10);
-- Sets @save_to_lsn to the previous high endpoint saved from the last change data request.
SET @save_to_lsn = 0x000000000000000000;
-- Sets the upper endpoint for the query range to the current maximum LSN.
SET @to_lsn = sys.fn_cdc_get_max_lsn();
-- Sets the @min_lsn parameter to the current minimum LSN for the capture instance.
SET @min_lsn = sys.fn_cdc_get_min_lsn ('HumanResources_Employee');
-- Sets the low endpoint for the query range to the LSN that follows the previous high endpoint.
SET @from_lsn = sys.fn_cdc_increment_lsn(@save_to_lsn);
-- Tests to verify the low endpoint is valid for the current capture instance.
IF (@from_lsn < @min_lsn)
    BEGIN
        RAISERROR('Low endpoint of the request interval is invalid.', 16, -1);
    END
ELSE
-- Return the changes occurring within the query range.
    SELECT * FROM cdc.fn_cdc_get_all_changes_HumanResources_Employee(@from_lsn, @to_lsn, 'all');
GO
`),
    { message: "Low endpoint of the request interval is invalid." },
  );
});

// https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/change-data-capture-sys-dm-cdc-log-scan-sessions
test("the most current scan session, and the latency of all", async () => {
  const { rows } = await run(`
SELECT session_id, start_time, end_time, duration, scan_phase,
    error_count, start_lsn, current_lsn, end_lsn, tran_count,
    last_commit_lsn, last_commit_time, log_record_count, schema_change_count,
    command_count, first_begin_cdc_lsn, last_commit_cdc_lsn,
    last_commit_cdc_time, latency, empty_scan_count, failed_sessions_count
FROM sys.dm_cdc_log_scan_sessions
WHERE session_id = (SELECT MAX(b.session_id) FROM sys.dm_cdc_log_scan_sessions AS b);
GO
`);
  assert.equal(rows.length, 1);
  const latency = await run("SELECT latency FROM sys.dm_cdc_log_scan_sessions WHERE session_id = 0");
  assert.deepEqual(latency.rows, [[0]]);
  await run("SELECT * from sys.dm_cdc_log_scan_sessions where empty_scan_count <> 0");
  await run("SELECT command_count/duration AS [Throughput] FROM sys.dm_cdc_log_scan_sessions WHERE session_id = 0");
});

// https://learn.microsoft.com/sql/relational-databases/track-changes/known-issues-and-errors-change-data-capture
test("the objects that CDC shipped, and its user's roles", async () => {
  const { rows } = await run(`
SELECT    name AS object_name
        ,SCHEMA_NAME(schema_id) AS schema_name
        ,type_desc
        ,is_ms_shipped
FROM sys.objects
WHERE is_ms_shipped= 1 AND SCHEMA_NAME(schema_id) = 'cdc'
`);
  const names = rows.map((row) => row[0]);
  for (const name of ["change_tables", "HR_Department_CT"]) assert.ok(names.includes(name), name);
  assert.equal(names.includes("fn_cdc_get_net_changes_HR_Department"), false, "made of a template, not shipped");
  await run(`
IF NOT EXISTS
(
    SELECT *
    FROM sys.database_principals
    WHERE NAME = 'cdc'
)
    THROW 50000, 'no user cdc', 1;
`);
});

// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-change-job-transact-sql
test("changing the jobs", async () => {
  await run(`
EXECUTE sys.sp_cdc_change_job
    @job_type = N'capture',
    @maxscans = 1000,
    @maxtrans = 15;
GO
EXECUTE sys.sp_cdc_change_job
    @job_type = N'cleanup',
    @retention = 2880;
GO
`);
  const { rows } = await run("EXEC sys.sp_cdc_help_jobs;");
  assert.deepEqual(
    rows.map((row) => [row[1], row[2], row[3], row[4], row[7]]),
    [
      ["capture", "cdc.MyDB_capture", 15, 1000, 0n],
      ["cleanup", "cdc.MyDB_cleanup", 0, 0, 2880n],
    ],
  );
});

test("Disable a Capture Instance for a Table template, and the database", async () => {
  await run(`
USE MyDB
GO
EXEC sys.sp_cdc_disable_table
@source_schema = N'dbo',
@source_name   = N'MyTable',
@capture_instance = N'dbo_MyTable'
GO
USE MyDB
GO
EXEC sys.sp_cdc_disable_db
GO
`);
  await assert.rejects(run("SELECT * FROM cdc.change_tables"), { number: 208 });
});
