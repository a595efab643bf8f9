/**
 * Change data capture set up, read and watched with the statements of Microsoft's documentation:
 * https://learn.microsoft.com/sql/relational-databases/track-changes/enable-and-disable-change-data-capture-sql-server
 * https://learn.microsoft.com/sql/relational-databases/track-changes/work-with-change-data-sql-server
 * https://learn.microsoft.com/sql/relational-databases/track-changes/administer-and-monitor-change-data-capture-sql-server
 * The captured change is in its change table when the commit returns: the suite runs the capture job without an interval.
 */
import type { Cell, Scenario } from "../scenario.ts";
import { fails, rows, run } from "./steps.ts";

const lsn: Cell = (seen) => seen !== null && /^(0x)?[0-9A-F]{20}$/i.test(seen) && !/^(0x)?0+$/.test(seen);

const enabled = [
  run(
    "CREATE TABLE dbo.Customers (id int NOT NULL PRIMARY KEY, name nvarchar(50) NULL, balance decimal(9,2) NOT NULL)",
  ),
  run("EXEC sys.sp_cdc_enable_db"),
  run(
    `EXEC sys.sp_cdc_enable_table
       @source_schema = N'dbo',
       @source_name = N'Customers',
       @role_name = NULL,
       @supports_net_changes = 1`,
  ),
];

const worked = [
  ...enabled,
  run("INSERT INTO dbo.Customers VALUES (1, N'Ünal', 10.50), (2, N'Bo', 20)"),
  run("UPDATE dbo.Customers SET balance = balance + 1 WHERE id = 1"),
  run("BEGIN TRAN; DELETE dbo.Customers WHERE id = 2; INSERT INTO dbo.Customers VALUES (3, NULL, 0); COMMIT"),
  run("BEGIN TRAN; DELETE dbo.Customers; ROLLBACK"),
  // Commit times are datetimes: this one's is another than the last one's.
  run("WAITFOR DELAY '00:00:00.010'"),
  run("UPDATE dbo.Customers SET id = 30 WHERE id = 3"),
];

const types = ["int", "int", "nvarchar(50)", "decimal(9,2)"];

export const cdc: Scenario[] = [
  {
    name: "CDC is enabled for a database and a table, and the catalogue says so",
    steps: [
      rows("SELECT is_cdc_enabled FROM sys.databases WHERE database_id = DB_ID()", [[0]]),
      ...enabled,
      rows("SELECT is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()", [[1]]),
      rows("SELECT name, is_tracked_by_cdc FROM sys.tables WHERE is_tracked_by_cdc = 1", [["Customers", 1]]),
      rows(
        "SELECT capture_instance, OBJECT_NAME(source_object_id), OBJECT_NAME(object_id), supports_net_changes, role_name, end_lsn FROM cdc.change_tables",
        [["dbo_Customers", "Customers", "dbo_Customers_CT", 1, null, null]],
      ),
      rows(
        "SELECT column_name, column_type, column_ordinal, is_computed FROM cdc.captured_columns ORDER BY column_ordinal",
        [
          ["id", "int", 1, 0],
          ["name", "nvarchar", 2, 0],
          ["balance", "decimal", 3, 0],
        ],
      ),
      rows("SELECT column_name, index_ordinal FROM cdc.index_columns", [["id", 1]]),
      rows(
        "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('cdc.dbo_Customers_CT') ORDER BY column_id",
        [
          "__$start_lsn",
          "__$end_lsn",
          "__$seqval",
          "__$operation",
          "__$update_mask",
          "id",
          "name",
          "balance",
          "__$command_id",
        ].map((name) => [name]),
      ),
      fails(
        "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Missing', @role_name = NULL",
        22931,
      ),
      fails("TRUNCATE TABLE dbo.Customers", 4711),
    ],
  },
  {
    name: "CDC: changes are read with fn_cdc_get_all_changes, as the documentation reads them",
    steps: [
      ...worked,
      rows(
        `DECLARE @from_lsn binary(10), @to_lsn binary(10);
         SET @from_lsn = sys.fn_cdc_get_min_lsn('dbo_Customers');
         SET @to_lsn = sys.fn_cdc_get_max_lsn();
         SELECT [__$operation], id, name, balance
         FROM cdc.fn_cdc_get_all_changes_dbo_Customers(@from_lsn, @to_lsn, N'all')
         ORDER BY [__$start_lsn], [__$seqval], [__$operation]`,
        [
          [2, 1, "Ünal", "10.50"],
          [2, 2, "Bo", "20.00"],
          [4, 1, "Ünal", "11.50"],
          [1, 2, "Bo", "20.00"],
          [2, 3, null, "0.00"],
          [1, 3, null, "0.00"],
          [2, 30, null, "0.00"],
        ],
        types,
      ),
      rows(
        "SELECT [__$operation], balance, sys.fn_cdc_is_bit_set(3, [__$update_mask]), sys.fn_cdc_has_column_changed('dbo_Customers', 'name', [__$update_mask]) FROM cdc.fn_cdc_get_all_changes_dbo_Customers(sys.fn_cdc_get_min_lsn('dbo_Customers'), sys.fn_cdc_get_max_lsn(), N'all update old') WHERE [__$operation] IN (3, 4) ORDER BY [__$start_lsn], [__$seqval], [__$operation]",
        [
          [3, "10.50", 1, 0],
          [4, "11.50", 1, 0],
        ],
        ["int", "decimal(9,2)", "bit", "bit"],
      ),
      rows(
        "SELECT [__$operation], id FROM cdc.fn_cdc_get_net_changes_dbo_Customers(sys.fn_cdc_get_min_lsn('dbo_Customers'), sys.fn_cdc_get_max_lsn(), N'all') ORDER BY id",
        [
          [2, 1],
          [2, 30],
        ],
      ),
      fails(
        "SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_Customers(0x00000000000000000001, sys.fn_cdc_get_max_lsn(), N'all')",
        313,
      ),
    ],
  },
  {
    name: "CDC: changes are read from the change table itself, with commit times",
    steps: [
      ...worked,
      rows(
        "SELECT ct.[__$operation], ct.id, ct.name, ct.balance FROM cdc.dbo_Customers_CT AS ct ORDER BY ct.[__$start_lsn], ct.[__$command_id], ct.[__$seqval], ct.[__$operation]",
        [
          [2, 1, "Ünal", "10.50"],
          [2, 2, "Bo", "20.00"],
          [3, 1, "Ünal", "10.50"],
          [4, 1, "Ünal", "11.50"],
          [1, 2, "Bo", "20.00"],
          [2, 3, null, "0.00"],
          [1, 3, null, "0.00"],
          [2, 30, null, "0.00"],
        ],
        types,
      ),
      // Ordinals 1 to 3 of three columns; the update touched the third.
      rows(
        "SELECT DISTINCT [__$operation], [__$update_mask] FROM cdc.dbo_Customers_CT ORDER BY [__$operation]",
        [
          [1, "0x07"],
          [2, "0x07"],
          [3, "0x04"],
          [4, "0x04"],
        ],
        ["int", "varbinary(128)"],
      ),
      rows(
        "SELECT COUNT(DISTINCT [__$start_lsn]), COUNT(*), MAX([__$start_lsn]) FROM cdc.dbo_Customers_CT",
        [[4, 8, lsn]],
        ["int", "int", "binary(10)"],
      ),
      rows(
        "SELECT COUNT(*) FROM cdc.dbo_Customers_CT ct JOIN cdc.lsn_time_mapping m ON m.start_lsn = ct.[__$start_lsn] WHERE DATEDIFF(minute, m.tran_end_time, GETDATE()) BETWEEN 0 AND 5 AND m.tran_id <> 0x00",
        [[8]],
      ),
      rows(
        "SELECT CASE WHEN sys.fn_cdc_map_lsn_to_time(MAX([__$start_lsn])) <= GETDATE() THEN 1 END, CASE WHEN sys.fn_cdc_increment_lsn(sys.fn_cdc_decrement_lsn(MAX([__$start_lsn]))) = MAX([__$start_lsn]) THEN 1 END FROM cdc.dbo_Customers_CT",
        [[1, 1]],
      ),
      rows(
        "SELECT CASE WHEN sys.fn_cdc_map_time_to_lsn('largest less than or equal', GETDATE()) = sys.fn_cdc_get_max_lsn() THEN 1 ELSE 0 END",
        [[1]],
      ),
    ],
  },
  {
    name: "CDC: statements of change readers",
    steps: [
      ...worked,
      // The next page after a position, and the commit time with the server's offset.
      rows(
        `SELECT TOP (3) ct.[__$operation], ct.id, TODATETIMEOFFSET(m.tran_end_time, DATEPART(TZOFFSET, SYSDATETIMEOFFSET())) AS committed
         FROM cdc.fn_cdc_get_all_changes_dbo_Customers(
           (SELECT MIN([__$start_lsn]) FROM cdc.dbo_Customers_CT WHERE [__$operation] = 4), sys.fn_cdc_get_max_lsn(), N'all update old') AS ct
         LEFT JOIN cdc.lsn_time_mapping m WITH (NOLOCK) ON m.start_lsn = ct.[__$start_lsn]
         ORDER BY ct.[__$start_lsn] ASC, ct.[__$seqval] ASC, ct.[__$operation] ASC`,
        [
          [3, 1, (seen) => seen?.includes("20") === true],
          [4, 1, (seen) => seen !== null],
          [1, 2, (seen) => seen !== null],
        ],
      ),
      rows(
        `WITH instances AS (
           SELECT ROW_NUMBER() OVER (PARTITION BY ct.source_object_id ORDER BY ct.create_date DESC) AS n, ct.capture_instance, ct.source_object_id
           FROM cdc.change_tables AS ct WITH (NOLOCK))
         SELECT s.name AS schema_name, t.name AS table_name, i.capture_instance
         FROM instances i
         INNER JOIN sys.tables t ON t.object_id = i.source_object_id
         INNER JOIN sys.schemas s ON s.schema_id = t.schema_id
         WHERE i.n = 1`,
        [["dbo", "Customers", "dbo_Customers"]],
      ),
      run("EXEC sys.sp_cdc_help_change_data_capture @source_schema = N'dbo', @source_name = N'Customers'", {
        sets: [
          {
            columns: [
              "source_schema",
              "source_table",
              "capture_instance",
              "object_id",
              "source_object_id",
              "start_lsn",
              "end_lsn",
              "supports_net_changes",
              "has_drop_pending",
              "role_name",
              "index_name",
              "filegroup_name",
              "create_date",
              "index_column_list",
              "captured_column_list",
            ],
            types: [...Array.from({ length: 13 }, () => "sysname"), "nvarchar(max)", "nvarchar(max)"],
            rows: [["dbo", "Customers", "dbo_Customers", ...anything(10), "[id]", "[id], [name], [balance]"]],
          },
        ],
      }),
      run("EXEC sys.sp_cdc_help_jobs", {
        sets: [
          {
            columns: [
              "job_id",
              "job_type",
              "job_name",
              "maxtrans",
              "maxscans",
              "continuous",
              "pollinginterval",
              "retention",
              "threshold",
            ],
            rows: [
              [...anything(1), "capture", ...anything(1), "500", "10", "1", "5", "0", "0"],
              [...anything(1), "cleanup", ...anything(1), "0", "0", "0", "0", "4320", "5000"],
            ],
          },
        ],
      }),
      rows("SELECT COUNT(*) FROM sys.dm_cdc_errors", [[0]]),
      rows("SELECT CASE WHEN COUNT(*) > 0 THEN 1 END FROM sys.dm_cdc_log_scan_sessions WHERE empty_scan_count = 0", [
        [1],
      ]),
    ],
  },
  {
    name: "CDC: a new column needs a second capture instance, and disabling removes all",
    steps: [
      ...enabled,
      run("ALTER TABLE dbo.Customers ADD city varchar(20) NULL"),
      run(
        "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Customers', @role_name = NULL, @capture_instance = N'dbo_Customers_v2', @captured_column_list = N'id, city'",
      ),
      fails(
        "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Customers', @role_name = NULL, @capture_instance = N'dbo_Customers_v3'",
        22962,
      ),
      run("INSERT INTO dbo.Customers (id, name, balance, city) VALUES (1, N'a', 1, 'Bonn')"),
      rows("SELECT id, name FROM cdc.dbo_Customers_CT", [[1, "a"]]),
      rows("SELECT id, city FROM cdc.dbo_Customers_v2_CT", [[1, "Bonn"]]),
      rows(
        "EXEC sys.sp_cdc_get_ddl_history @capture_instance = N'dbo_Customers'",
        [["dbo", "Customers", "dbo_Customers", 0, (seen) => seen?.includes("ADD city") === true, lsn, () => true]],
        ["varchar", "varchar", "varchar", "bit", "varchar", "binary(10)", "datetime"],
      ),
      run(
        "EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'Customers', @capture_instance = N'dbo_Customers'",
      ),
      fails("SELECT * FROM cdc.dbo_Customers_CT", 208, { message: "Invalid object name 'cdc.dbo_Customers_CT'." }),
      rows("SELECT COUNT(*) FROM cdc.dbo_Customers_v2_CT", [[1]]),
      run("EXEC sys.sp_cdc_disable_db"),
      rows(
        "SELECT is_cdc_enabled, (SELECT COUNT(*) FROM sys.schemas WHERE name = 'cdc') FROM sys.databases WHERE name = DB_NAME()",
        [[0, 0]],
      ),
    ],
  },
  {
    name: "CDC: cleanup raises the low watermark",
    steps: [
      ...worked,
      run(
        "DECLARE @up_to binary(10) = (SELECT MAX(start_lsn) FROM cdc.lsn_time_mapping); EXEC sys.sp_cdc_cleanup_change_table @capture_instance = N'dbo_Customers', @low_water_mark = @up_to, @threshold = 5000",
      ),
      rows(
        "SELECT CASE WHEN sys.fn_cdc_get_min_lsn('dbo_Customers') = sys.fn_cdc_get_max_lsn() THEN 1 ELSE 0 END, (SELECT COUNT(*) FROM cdc.dbo_Customers_CT)",
        [[1, 2]],
      ),
      fails(
        "DECLARE @old binary(10) = sys.fn_cdc_decrement_lsn(sys.fn_cdc_get_min_lsn('dbo_Customers')); SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_Customers(@old, sys.fn_cdc_get_max_lsn(), N'all')",
        313,
      ),
    ],
  },
];

function anything(n: number): Cell[] {
  return Array.from({ length: n }, () => () => true);
}
