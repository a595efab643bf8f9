/**
 * Statements in the forms that drivers, tools, connectors and Microsoft's own pages send them, with the kinds of statement
 * that they are. The catalogue names are theirs; what the engine makes of them is its own tests' matter.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { splitOnGo } from "../../../simulator/sql/go-splitter.ts";
import { parseBatch } from "../../../simulator/sql/parser.ts";
import { kindsOf } from "./trees.ts";

function expectKinds(cases: [text: string, ...kinds: string[]][]): void {
  for (const [text, ...kinds] of cases) assert.deepEqual(kindsOf(text), kinds, text);
}

test("tedious at login and around transactions (https://github.com/tediousjs/tedious/blob/master/src/connection.ts)", () => {
  const options = `set ansi_nulls on
set ansi_null_dflt_on on
set ansi_padding on
set ansi_warnings on
set arithabort on
set concat_null_yields_null on
set cursor_close_on_commit off
set datefirst 7
set dateformat mdy
set implicit_transactions off
set language us_english
set numeric_roundabort off
set quoted_identifier on
set textsize 2147483647
set transaction isolation level read committed
set xact_abort off`;
  assert.deepEqual([...new Set(kindsOf(options))], ["set_option", "set_isolation"]);
  assert.equal(parseBatch(options).length, 16);
  expectKinds([
    ["SET TRANSACTION ISOLATION LEVEL SNAPSHOT;BEGIN TRAN tran1", "set_isolation", "begin_transaction"],
    [
      "insert bulk dbo.t([c1] int, [c2] nvarchar(max), [c3] datetime2(7)) with (KEEP_NULLS, CHECK_CONSTRAINTS)",
      "insert_bulk",
    ],
  ]);
});

test("mssql-jdbc: transactions, metadata, foreign keys (https://github.com/microsoft/mssql-jdbc, SQLServerDatabaseMetaData.java)", () => {
  expectKinds([
    ["set implicit_transactions off ", "set_option"],
    ["IF @@TRANCOUNT > 0 COMMIT TRAN set implicit_transactions on ", "if", "set_option"],
    ["IF @@TRANCOUNT > 0 ROLLBACK TRAN", "if"],
    ["set transaction isolation level repeatable read ", "set_isolation"],
    ["SET FMTONLY ON SELECT a FROM t WHERE b = @P0 SET FMTONLY OFF", "set_option", "query", "set_option"],
    ["exec sp_describe_undeclared_parameters N'SELECT * FROM t WHERE a = @p0'", "execute"],
    ["SELECT db.name AS TABLE_CAT FROM sys.databases AS db ORDER BY db.name", "query"],
    [
      `DECLARE @result table (PKTABLE_QUALIFIER sysname, FK_NAME sysname, KEY_SEQ smallint);INSERT INTO @result EXEC sp_fkeys ?,?,?,?,?,?;
       SELECT t.FK_NAME, CASE s.update_referential_action WHEN 1 THEN 0 WHEN 0 THEN 3 END as UPDATE_RULE FROM @result t
       LEFT JOIN sys.foreign_keys s ON t.FK_NAME = s.name COLLATE database_default ORDER BY FK_NAME`,
      "declare_table",
      "insert",
      "query",
    ],
    ["{call dbo.p (?, ?)}", "execute"],
  ]);
});

test("SqlBulkCopy and go-mssqldb before a bulk copy (https://github.com/microsoft/go-mssqldb/blob/main/bulkcopy.go)", () => {
  expectKinds([
    [
      "select @@trancount; SET FMTONLY ON select * from [dbo].[t] SET FMTONLY OFF exec ..sp_tablecollations_100 N'[dbo].[t]'",
      "query",
      "set_option",
      "query",
      "set_option",
      "execute",
    ],
    ["exec tempdb..sp_tablecollations_100 N'.[#t]'", "execute"],
    [
      "INSERT BULK [dbo].[t] ([a] int, [b] nvarchar(50) COLLATE SQL_Latin1_General_CP1_CI_AS) WITH (ROWS_PER_BATCH = 5000, TABLOCK)",
      "insert_bulk",
    ],
  ]);
});

test("FreeTDS and pymssql at login (https://www.freetds.org, https://github.com/pymssql/pymssql)", () => {
  const settings =
    "SET ARITHABORT ON;SET CONCAT_NULL_YIELDS_NULL ON;SET ANSI_NULLS ON;SET ANSI_NULL_DFLT_ON ON;SET ANSI_PADDING ON;" +
    "SET ANSI_WARNINGS ON;SET CURSOR_CLOSE_ON_COMMIT ON;SET QUOTED_IDENTIFIER ON;SET TEXTSIZE 2147483647;";
  assert.deepEqual(kindsOf(settings), Array(9).fill("set_option"));
  expectKinds([
    ["BEGIN TRAN", "begin_transaction"],
    ["IF @@TRANCOUNT > 0 COMMIT BEGIN TRAN", "if", "begin_transaction"],
    ["use [master]", "use"],
    ["SET ROWCOUNT 0", "set_option"],
  ]);
});

test("Management Studio when it opens a query window", () => {
  const text = `SET ROWCOUNT 0 SET TEXTSIZE 2147483647 SET NOCOUNT OFF SET CONCAT_NULL_YIELDS_NULL ON SET ARITHABORT ON
SET LOCK_TIMEOUT -1 SET QUERY_GOVERNOR_COST_LIMIT 0 SET DEADLOCK_PRIORITY NORMAL SET TRANSACTION ISOLATION LEVEL READ COMMITTED
SET ANSI_NULLS ON SET ANSI_NULL_DFLT_ON ON SET ANSI_PADDING ON SET ANSI_WARNINGS ON SET CURSOR_CLOSE_ON_COMMIT OFF
SET IMPLICIT_TRANSACTIONS OFF SET QUOTED_IDENTIFIER ON`;
  assert.equal(parseBatch(text).length, 16);
  expectKinds([
    ["select @@spid;\nselect SERVERPROPERTY('ProductLevel');", "query", "query"],
    [
      `DECLARE @edition sysname; SET @edition = cast(SERVERPROPERTY(N'EDITION') as sysname);
       SELECT case when @edition = N'SQL Azure' then 2 else 1 end as 'DatabaseEngineType', SERVERPROPERTY('EngineEdition') AS DatabaseEngineEdition, @@MICROSOFTVERSION AS MicrosoftVersion;`,
      "declare",
      "set_variable",
      "query",
    ],
    [
      `SELECT dtb.name AS [Name], CAST(case when dtb.name in ('master','model','msdb','tempdb') then 1 else dtb.is_distributor end AS bit) AS [IsSystemObject],
       CAST(isnull(dtb.source_database_id, 0) AS bit) AS [IsDatabaseSnapshot] FROM master.sys.databases AS dtb ORDER BY [Name] ASC`,
      "query",
    ],
  ]);
});

test("Debezium's SQL Server connector (https://github.com/debezium/debezium, SqlServerConnection.java)", () => {
  expectKinds([
    ["SELECT [db].sys.fn_cdc_get_max_lsn()", "query"],
    ["SELECT [db].sys.fn_cdc_get_min_lsn('dbo_t')", "query"],
    ["SELECT [db].sys.fn_cdc_increment_lsn(@P0)", "query"],
    ["SELECT MAX(start_lsn) FROM [db].cdc.lsn_time_mapping WHERE tran_id <> 0x00", "query"],
    [
      "SELECT MAX(start_lsn) FROM (SELECT TOP (@P0 + 1) start_lsn FROM [db].cdc.lsn_time_mapping WHERE start_lsn >= @P1 AND tran_id <> 0x00 ORDER BY start_lsn) as next_lsns",
      "query",
    ],
    [
      `SELECT *, TODATETIMEOFFSET([db].sys.fn_cdc_map_lsn_to_time([__$start_lsn]), DATEPART(TZOFFSET, SYSDATETIMEOFFSET()))
       FROM [db].cdc.[fn_cdc_get_all_changes_dbo_t](@P0, @P1, N'all update old') WHERE __$operation NOT IN (2,3,4)
       order by [__$start_lsn] ASC, [__$seqval] ASC, [__$operation] ASC`,
      "query",
    ],
    [
      `WITH ordered_change_tables AS (SELECT ROW_NUMBER() OVER (PARTITION BY ct.source_object_id, ct.start_lsn ORDER BY ct.create_date DESC) AS ct_sequence, ct.*
       FROM [db].cdc.change_tables AS ct WHERE ct.start_lsn <= @P0)
       SELECT OBJECT_SCHEMA_NAME(source_object_id, DB_ID(@P1)), OBJECT_NAME(source_object_id, DB_ID(@P2)), capture_instance, object_id, start_lsn
       FROM ordered_change_tables WHERE ct_sequence = 1`,
      "query",
    ],
    ["SELECT * FROM [db].cdc.change_tables WHERE start_lsn BETWEEN @P0 AND @P1", "query"],
    ["EXEC [db].sys.sp_cdc_help_change_data_capture", "execute"],
    ["SELECT * FROM [t] WITH (TABLOCKX)", "query"],
    [
      "SELECT CASE WHEN dss.[status]=4 THEN 1 ELSE 0 END AS isRunning FROM [db].sys.dm_server_services dss WHERE dss.[servicename] LIKE N'SQL Server Agent (%';",
      "query",
    ],
    [
      "SELECT TOP 1024 * FROM [db].[dbo].[t] WHERE ([id] > @P0) AND NOT (id > @P1) ORDER BY [id] OPTION(RECOMPILE)",
      "query",
    ],
  ]);
});

test("enabling and reading CDC as Microsoft's pages show it (https://learn.microsoft.com/sql/relational-databases/track-changes/)", () => {
  const script = `USE MyDB
GO
EXEC sys.sp_cdc_enable_db
GO
-- ====================================================
-- Enable a Table Specifying Filegroup Option Template
-- ====================================================
EXEC sys.sp_cdc_enable_table
@source_schema = N'dbo',
@source_name   = N'MyTable',
@role_name     = N'MyRole',
@filegroup_name = N'MyDB_CT',
@supports_net_changes = 1
GO
EXECUTE sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 2880;
GO
DECLARE @begin_time datetime, @end_time datetime, @begin_lsn binary(10), @end_lsn binary(10);
SET @begin_time = DATEADD(day, -1, GETDATE());
SET @end_time = GETDATE();
SELECT @begin_lsn = sys.fn_cdc_map_time_to_lsn('smallest greater than', @begin_time);
SELECT @end_lsn = sys.fn_cdc_map_time_to_lsn('largest less than or equal', @end_time);
IF @begin_lsn IS NULL OR @end_lsn IS NULL
BEGIN
    RAISERROR (N'no changes', 16, -1);
    RETURN
END
SELECT *, sys.fn_cdc_is_bit_set(sys.fn_cdc_get_column_ordinal('HR_Department', 'Name'), __$update_mask) AS [Changed]
FROM cdc.fn_cdc_get_net_changes_HR_Department(@begin_lsn, @end_lsn, 'all');
GO
`;
  const batches = splitOnGo(script).map(({ text }) => kindsOf(text));
  assert.deepEqual(batches, [
    ["use"],
    ["execute"],
    ["execute"],
    ["execute"],
    ["declare", "set_variable", "set_variable", "query", "query", "if", "query"],
  ]);
});

test("monitoring CDC (https://learn.microsoft.com/sql/relational-databases/track-changes/administer-and-monitor-change-data-capture-sql-server)", () => {
  expectKinds([
    ["SELECT * from sys.dm_cdc_log_scan_sessions where empty_scan_count <> 0", "query"],
    ["SELECT latency FROM sys.dm_cdc_log_scan_sessions WHERE session_id = 0", "query"],
    ["SELECT command_count/duration AS [Throughput] FROM sys.dm_cdc_log_scan_sessions WHERE session_id = 0", "query"],
    [
      `USE msdb;
DECLARE @schedule_uid uniqueidentifier;
-- Collect and upload data every 5 minutes
SELECT @schedule_uid = (
SELECT schedule_uid from sysschedules_localserver_view
WHERE name = N'CollectorSchedule_Every_5min')
DECLARE @collection_set_id int;
EXEC dbo.sp_syscollector_create_collection_set
@name = N' CDC Performance Data Collector',
@schedule_uid = @schedule_uid,
@collection_mode = 0,
@collection_set_id = @collection_set_id output;
DECLARE @parameters xml;
SELECT @parameters = CONVERT(xml, N'<Query><Value>SELECT * FROM sys.dm_cdc_log_scan_sessions</Value></Query>');`,
      "use",
      "declare",
      "query",
      "declare",
      "execute",
      "declare",
      "query",
    ],
  ]);
});

test("change tables read by keyset, and positions kept with MERGE, as consumers write them", () => {
  expectKinds([
    [
      `SELECT TOP (@limit) ct.*, tm.tran_end_time FROM cdc.[dbo_t_CT] AS ct WITH (FORCESEEK)
       INNER JOIN cdc.lsn_time_mapping AS tm ON tm.start_lsn = ct.__$start_lsn
       WHERE ct.__$start_lsn > @lsn OR (ct.__$start_lsn = @lsn AND (ct.__$seqval > @seq OR (ct.__$seqval = @seq AND ct.__$operation > @op)))
       ORDER BY ct.__$start_lsn, ct.__$command_id, ct.__$seqval, ct.__$operation OPTION (MAXDOP 1, OPTIMIZE FOR UNKNOWN)`,
      "query",
    ],
    [
      `IF OBJECT_ID(N'dbo.cdc_offsets', N'U') IS NULL CREATE TABLE dbo.cdc_offsets (table_name nvarchar(255) PRIMARY KEY, last_lsn varbinary(10), updated_at datetime DEFAULT GETDATE());
       MERGE INTO dbo.cdc_offsets WITH (HOLDLOCK) AS target USING (VALUES (@t, @l, GETDATE())) AS source (table_name, last_lsn, updated_at)
       ON target.table_name = source.table_name WHEN MATCHED THEN UPDATE SET last_lsn = source.last_lsn, updated_at = source.updated_at
       WHEN NOT MATCHED THEN INSERT (table_name, last_lsn, updated_at) VALUES (source.table_name, source.last_lsn, source.updated_at);`,
      "if",
      "merge",
    ],
    [
      "DECLARE @r int; EXEC @r = sp_getapplock @Resource = N'x', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0; SELECT @r",
      "declare",
      "execute",
      "query",
    ],
  ]);
});
