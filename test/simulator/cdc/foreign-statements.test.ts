/**
 * Statements as CDC connectors, Microsoft's templates and monitoring scripts send them, each with its right answer. Their makers
 * are named; placeholders of drivers are written as variables.
 */
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { column, each, orders, rows } from "./orders-fixture.ts";
import type { SqlFixture } from "./sql-fixture.ts";

let f: SqlFixture;
before(async () => {
  f = await orders();
});
after(() => f.cdc.stop());

const RANGE = `DECLARE @from binary(10) = sys.fn_cdc_get_min_lsn(N'dbo_orders'), @to binary(10) = sys.fn_cdc_get_max_lsn();`;

describe("is change data capture on?", () =>
  each(
    () => f,
    [
      ["Debezium", "SELECT name, is_cdc_enabled FROM sys.databases WHERE name = N'TestDB'", [["TestDB", true]]],
      ["Materialize", "SELECT is_cdc_enabled FROM sys.databases WHERE database_id = DB_ID();", [[true]]],
      [
        "Materialize",
        `DECLARE @P1 nvarchar(128) = N'dbo', @P2 nvarchar(128) = N'orders';
       SELECT is_tracked_by_cdc FROM sys.tables tables JOIN sys.schemas schemas ON tables.schema_id = schemas.schema_id
       WHERE schemas.name = @P1 AND tables.name = @P2;`,
        [[true]],
      ],
      ["Materialize", "SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID();", [[0]]],
      ["Airbyte", "USE TestDB; SELECT * FROM cdc.change_tables", rows(3)],
      [
        "Airbyte",
        "SELECT status_desc FROM sys.dm_server_services WHERE [servicename] LIKE 'SQL Server Agent%' OR [servicename] LIKE 'SQL Server 代理%' ",
        [["Running"]],
      ],
      ["Airbyte", "SELECT ServerProperty('Edition')", [["Developer Edition (64-bit)"]]],
      ["Estuary", "SELECT IS_ROLEMEMBER('db_owner');", [[1]]],
      ["Estuary", "SELECT * FROM sys.dm_server_services;", (r) => assert.ok(r.rows.length >= 2)],
      [
        "Fabricator",
        `IF (SELECT is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()) = 1 SELECT N'on' AS state
       ELSE SELECT N'off' AS state`,
        [["on"]],
      ],
      [
        "SSIS CDC wizard",
        "SELECT OBJECT_NAME(object_id) FROM sys.tables WHERE is_tracked_by_cdc = 1 ORDER BY name",
        [["lines"], ["orders"]],
      ],
      [
        "a script of Microsoft's known-issues page",
        "SELECT is_srvrolemember('sysadmin'), is_member('db_owner')",
        [[1, 1]],
      ],
      [
        "sqlserver_exporter",
        "SELECT d.name, ISNULL(SUM(CAST(t.is_tracked_by_cdc AS int)), 0) FROM sys.databases d CROSS JOIN sys.tables t WHERE d.name = DB_NAME() GROUP BY d.name",
        [["TestDB", 2]],
      ],
      ["any", "SELECT HAS_PERMS_BY_NAME(N'cdc.dbo_orders_CT', N'OBJECT', N'SELECT')", [[1]]],
    ],
  ));

describe("which capture instances are there?", () =>
  each(
    () => f,
    [
      [
        "Materialize",
        `DECLARE @P1 sysname = N'dbo_lines';
       SELECT c.capture_instance, SCHEMA_NAME(o.schema_id) as schema_name, o.name as obj_name
       FROM sys.objects o JOIN cdc.change_tables c ON o.object_id = c.source_object_id WHERE c.capture_instance IN (@P1);`,
        [["dbo_lines", "dbo", "lines"]],
      ],
      [
        "Materialize",
        `SELECT s.name as schema_name, t.name as table_name, ch.capture_instance, c.name as col_name, ty.name as col_type,
         c.is_nullable, c.max_length, c.precision, c.scale
       FROM sys.tables t JOIN sys.schemas s ON t.schema_id = s.schema_id JOIN sys.columns c ON t.object_id = c.object_id
       JOIN sys.types ty ON c.user_type_id = ty.user_type_id JOIN cdc.change_tables ch ON t.object_id = ch.source_object_id
       WHERE ch.capture_instance = N'dbo_orders' ORDER BY c.column_id`,
        [
          ["dbo", "orders", "dbo_orders", "id", "int", false, 4, 10, 0],
          ["dbo", "orders", "dbo_orders", "code", "nvarchar", false, 20, 0, 0],
          ["dbo", "orders", "dbo_orders", "amount", "decimal", true, 5, 9, 2],
        ],
      ],
      [
        "Estuary",
        `SELECT sch.name, tbl.name, ctbl.capture_instance, ctbl.create_date FROM cdc.change_tables AS ctbl
       JOIN sys.tables AS tbl ON tbl.object_id = ctbl.source_object_id JOIN sys.schemas AS sch ON sch.schema_id = tbl.schema_id
       WHERE ctbl.start_lsn IS NOT NULL ORDER BY ctbl.create_date DESC, ctbl.capture_instance`,
        [
          ["dbo", "orders", "orders_v2", "2026-03-01 12:00:01.000"],
          ["dbo", "lines", "dbo_lines", "2026-03-01 12:00:00.000"],
          ["dbo", "orders", "dbo_orders", "2026-03-01 12:00:00.000"],
        ],
      ],
      [
        "ingestr",
        `DECLARE @p1 sysname = N'dbo_orders';
       SELECT LEN(CONVERT(varchar(20), start_lsn, 2)) FROM cdc.change_tables WHERE capture_instance = @p1 AND end_lsn IS NULL`,
        [[20]],
      ],
      [
        "Redpanda",
        "SELECT TOP 1 IIF(start_lsn = sys.fn_cdc_get_min_lsn('dbo_lines'), 1, 0) FROM cdc.change_tables WHERE capture_instance = 'dbo_lines'",
        [[1]],
      ],
      [
        "Flink",
        `SELECT s.name, t.name, COUNT(*) FROM cdc.captured_columns cc JOIN cdc.change_tables ct ON ct.object_id = cc.object_id
       JOIN sys.tables t ON t.object_id = ct.source_object_id JOIN sys.schemas s ON s.schema_id = t.schema_id
       GROUP BY s.name, t.name, ct.capture_instance ORDER BY ct.capture_instance`,
        [
          ["dbo", "lines", 2],
          ["dbo", "orders", 3],
          ["dbo", "orders", 2],
        ],
      ],
      [
        "Debezium",
        `SELECT object_id, column_name FROM [TestDB].cdc.index_columns WHERE object_id = OBJECT_ID(N'cdc.dbo_lines_CT')
       ORDER BY object_id, index_ordinal`,
        column("column_name", ["order_id", "line"]),
      ],
      [
        "Fabricator",
        `DECLARE @help TABLE (source_schema sysname, source_table sysname, capture_instance sysname, object_id int,
         source_object_id int, start_lsn binary(10), end_lsn binary(10), supports_net_changes bit, has_drop_pending bit,
         role_name sysname NULL, index_name sysname NULL, filegroup_name sysname NULL, create_date datetime,
         index_column_list nvarchar(max), captured_column_list nvarchar(max));
       INSERT @help EXEC sys.sp_cdc_help_change_data_capture;
       SELECT capture_instance, supports_net_changes, role_name, index_column_list, captured_column_list FROM @help ORDER BY 1`,
        [
          ["dbo_lines", true, null, "[order_id], [line]", "[order_id], [line]"],
          ["dbo_orders", true, "cdc_reader", "[id]", "[id], [code], [amount]"],
          ["orders_v2", false, null, "[id]", "[id], [code]"],
        ],
      ],
      [
        "Management Studio's template",
        `DECLARE @t TABLE (source_schema sysname, source_table sysname, capture_instance sysname, column_name sysname,
         column_id int, column_ordinal int, data_type sysname, character_maximum_length int NULL, numeric_precision int NULL,
         numeric_precision_radix int NULL, numeric_scale int NULL, datetime_precision int NULL);
       INSERT INTO @t EXECUTE [sys].[sp_cdc_get_captured_columns] @capture_instance = N'dbo_orders';
       SELECT column_name, column_ordinal, data_type, character_maximum_length, numeric_precision, numeric_scale FROM @t`,
        [
          ["id", 1, "int", null, 10, 0],
          ["code", 2, "nvarchar", 10, null, null],
          ["amount", 3, "decimal", null, 9, 2],
        ],
      ],
      ["Management Studio's template", "EXEC sys.sp_cdc_get_ddl_history @capture_instance = N'dbo_orders'", rows(0)],
      [
        "any",
        "EXECUTE sys.sp_cdc_help_change_data_capture @source_schema = N'dbo', @source_name = N'orders'",
        column("capture_instance", ["dbo_orders", "orders_v2"]),
      ],
    ],
  ));

describe("how far has it come?", () =>
  each(
    () => f,
    [
      [
        "ingestr",
        "SELECT IIF(CONVERT(varchar(20), sys.fn_cdc_get_max_lsn(), 2) > CONVERT(varchar(20), sys.fn_cdc_get_min_lsn(N'dbo_orders'), 2), 1, 0)",
        [[1]],
      ],
      [
        "Microsoft: sys.fn_cdc_map_lsn_to_time",
        "SELECT sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_max_lsn())",
        [["2026-03-01 12:03:00.000"]],
      ],
      [
        "Microsoft: sys.fn_cdc_map_time_to_lsn",
        `DECLARE @at datetime = '2026-03-01 12:02:00';
       SELECT sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_map_time_to_lsn('smallest greater than', @at)),
         sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_map_time_to_lsn('smallest greater than or equal', @at)),
         sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_map_time_to_lsn('largest less than', @at)),
         sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_map_time_to_lsn('largest less than or equal', @at))`,
        [["2026-03-01 12:03:00.000", "2026-03-01 12:02:00.000", "2026-03-01 12:01:00.000", "2026-03-01 12:02:00.000"]],
      ],
      [
        "Azure Data Factory",
        `DECLARE @begin_time datetime = '2026-03-01 12:00:30', @end_time datetime = '2026-03-01 12:02:30', @from binary(10), @to binary(10);
       SET @from = sys.fn_cdc_map_time_to_lsn('smallest greater than or equal', @begin_time);
       SET @to = sys.fn_cdc_map_time_to_lsn('largest less than', @end_time);
       SELECT count(1) changecount FROM cdc.fn_cdc_get_all_changes_dbo_orders(@from, @to, 'all')`,
        [[3]],
      ],
      [
        "Azure Data Factory",
        `DECLARE @from binary(10) = sys.fn_cdc_map_time_to_lsn('smallest greater than or equal', '2026-03-01 12:00:30'),
         @to binary(10) = sys.fn_cdc_map_time_to_lsn('largest less than or equal', '2026-03-01 12:03:30');
       SELECT __$operation, id, amount FROM cdc.fn_cdc_get_net_changes_dbo_orders(@from, @to, 'all') ORDER BY id`,
        [[2, 1, "11.00"]],
      ],
      [
        "Debezium",
        "SELECT DATEDIFF(second, MIN(tran_end_time), MAX(tran_end_time)) FROM cdc.lsn_time_mapping WHERE tran_id <> 0x00",
        [[180]],
      ],
      [
        "Estuary",
        "SELECT (SELECT MAX(__$start_lsn) FROM cdc.dbo_lines_CT) AS a, (SELECT COUNT(DISTINCT __$start_lsn) FROM cdc.dbo_orders_CT) AS b",
        column("b", [3]),
      ],
      [
        "Materialize",
        "SELECT IIF(sys.fn_cdc_increment_lsn(0x000000250000014800FF) = 0x00000025000001480100, 1, 0), sys.fn_cdc_decrement_lsn(0x00000025000001480100)",
        [[1, "0x000000250000014800ff"]],
      ],
      [
        "scripts that show LSNs",
        "SELECT master.dbo.fn_varbintohexstr(0x0A000B), sys.fn_varbintohexstr(NULL), sys.fn_cdc_hexstrtobin(N'0x000000250000014800FF')",
        [["0x0a000b", null, "0x000000250000014800ff"]],
      ],
      [
        "a check of the DDL trigger",
        "SELECT name, parent_class_desc, is_disabled FROM sys.triggers WHERE name = N'tr_MScdc_ddl_event'",
        [["tr_MScdc_ddl_event", "DATABASE", false]],
      ],
      ["a check of what the log reader is at", "SELECT * FROM sys.dm_repl_traninfo WHERE is_known_cdc_tran = 1", []],
      [
        "DBAs' lag check",
        "SELECT DATEDIFF(second, sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_max_lsn()), '2026-03-01 12:03:07') AS lag",
        [[7]],
      ],
    ],
  ));

describe("what changed?", () =>
  each(
    () => f,
    [
      [
        "Redpanda",
        `DECLARE @a binary(10), @b binary(10) = sys.fn_cdc_get_max_lsn();
       SELECT * FROM cdc.dbo_orders_CT WITH (NOLOCK) WHERE (@a IS NULL OR [__$start_lsn] > @a) AND (@b IS NULL OR [__$start_lsn] <= @b)
       ORDER BY [__$start_lsn] ASC, [__$command_id] ASC, [__$operation] ASC`,
        column("__$operation", [2, 2, 3, 4, 1]),
      ],
      [
        "Estuary, Materialize",
        `${RANGE} SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_orders(@from, @to, N'all update old');`,
        column("amount", ["10.00", "20.00", "10.00", "11.00", "20.00"]),
      ],
      [
        "SSMS template",
        `${RANGE} SELECT __$operation, CASE __$operation WHEN 1 THEN 'delete' WHEN 2 THEN 'insert' WHEN 4 THEN 'update' ELSE '?' END
       FROM cdc.fn_cdc_get_all_changes_dbo_orders(@from, @to, N'all')`,
        [
          [2, "insert"],
          [2, "insert"],
          [4, "update"],
          [1, "delete"],
        ],
      ],
      [
        "Microsoft: sys.fn_cdc_has_column_changed",
        `${RANGE} SELECT sys.fn_cdc_has_column_changed('dbo_orders', 'amount', __$update_mask) AS 'IsChanged',
         sys.fn_cdc_has_column_changed('dbo_orders', 'code', __$update_mask), __$operation
       FROM cdc.fn_cdc_get_all_changes_dbo_orders(@from, @to, 'all')`,
        [
          [true, true, 2],
          [true, true, 2],
          [true, false, 4],
          [true, true, 1],
        ],
      ],
      [
        "Microsoft: sys.fn_cdc_get_column_ordinal",
        `DECLARE @ordinal int = sys.fn_cdc_get_column_ordinal('dbo_orders', 'amount'),
         @from binary(10) = sys.fn_cdc_map_time_to_lsn('largest less than or equal', '2026-03-01 12:02:00'), @to binary(10) = sys.fn_cdc_get_max_lsn();
       SELECT sys.fn_cdc_is_bit_set(@ordinal, __$update_mask) AS 'changed', id
       FROM cdc.fn_cdc_get_net_changes_dbo_orders(@from, @to, 'all with mask') WHERE __$operation = 4`,
        [[true, 1]],
      ],
      [
        "Microsoft: net changes for MERGE",
        `${RANGE} SELECT __$operation, id, code FROM cdc.fn_cdc_get_net_changes_dbo_orders(@from, @to, 'all with merge')`,
        [[5, 1, "A"]],
      ],
      [
        "Fabricator",
        `SELECT m.tran_end_time, c.__$operation, c.id FROM cdc.dbo_orders_CT c LEFT JOIN cdc.lsn_time_mapping m
       ON m.start_lsn = c.__$start_lsn WHERE c.__$operation IN (1, 2, 4) ORDER BY c.__$start_lsn, c.__$seqval`,
        [
          ["2026-03-01 12:01:00.000", 2, 1],
          ["2026-03-01 12:01:00.000", 2, 2],
          ["2026-03-01 12:02:00.000", 4, 1],
          ["2026-03-01 12:03:00.000", 1, 2],
        ],
      ],
      [
        "Fabricator",
        `SELECT tab, __$operation, COUNT(*) FROM (SELECT N'orders' AS tab, __$start_lsn, __$operation FROM cdc.dbo_orders_CT
       UNION ALL SELECT N'lines', __$start_lsn, __$operation FROM cdc.dbo_lines_CT) AS both WHERE __$operation <> 3
       GROUP BY tab, __$operation ORDER BY tab, __$operation`,
        [
          ["lines", 2, 1],
          ["orders", 1, 1],
          ["orders", 2, 2],
          ["orders", 4, 1],
        ],
      ],
      [
        "OLake",
        `${RANGE} SELECT TOP (2) CONVERT(varchar(42), __$start_lsn, 1) AS lsn, __$operation, id FROM cdc.fn_cdc_get_all_changes_orders_v2(
         sys.fn_cdc_get_min_lsn(N'orders_v2'), @to, N'all') ORDER BY __$start_lsn, __$seqval`,
        column("id", [1, 2]),
      ],
      [
        "an auditor",
        `SELECT t.id, t.amount, LAG(t.amount) OVER (PARTITION BY t.id ORDER BY t.__$start_lsn, t.__$seqval, t.__$operation) AS earlier
       FROM cdc.dbo_orders_CT t WHERE t.__$operation IN (2, 4) AND t.id = 1 ORDER BY t.__$start_lsn`,
        [
          [1, "10.00", null],
          [1, "11.00", "10.00"],
        ],
      ],
      [
        "Microsoft: error 313 is to be handled",
        `BEGIN TRY SELECT COUNT(*) FROM cdc.fn_cdc_get_all_changes_dbo_orders(0x0000000000000000FFFF, sys.fn_cdc_get_max_lsn(), N'all') END TRY
       BEGIN CATCH SELECT ERROR_NUMBER() END CATCH`,
        (r) => assert.deepEqual(r.sets.at(-1)!.rows, [[313]]),
      ],
    ],
  ));
