/**
 * Statements as existing CDC connectors send them. Debezium's:
 * https://github.com/debezium/debezium/blob/main/debezium-connector-sqlserver/src/main/java/io/debezium/connector/sqlserver/SqlServerConnection.java
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Value } from "../../../simulator/engine/values.ts";
import { type QueryResult, SqlServerSimulator } from "../../../simulator/index.ts";

let simulator: SqlServerSimulator;

/** Runs in master: connectors name the database. */
function ask(sql: string): Promise<QueryResult> {
  return simulator.query(sql, "master");
}

before(async () => {
  simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate", seed: 1 });
  for (const sql of [
    "CREATE TABLE dbo.products (id int NOT NULL PRIMARY KEY, name nvarchar(50), weight float)",
    "EXEC sys.sp_cdc_enable_db",
    "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'products', @role_name = NULL, @supports_net_changes = 0",
    "INSERT INTO products VALUES (1, N'scooter', 3.14), (2, N'car battery', 8.1)",
    "UPDATE products SET weight = 8.2 WHERE id = 2",
    "UPDATE products SET id = 3 WHERE id = 2",
    "DELETE FROM products WHERE id = 1",
  ])
    await simulator.query(sql, "TestDB");
});
after(() => simulator.close());

test("the maximum LSN, by function and by transaction", async () => {
  const [[maximum]] = (await ask("SELECT [TestDB].sys.fn_cdc_get_max_lsn()")).rows as [[Value]];
  const byTransaction = await ask("SELECT MAX(start_lsn) FROM [TestDB].cdc.lsn_time_mapping WHERE tran_id <> 0x00");
  assert.deepEqual(byTransaction.rows, [[maximum]]);
  const nth = await ask(
    "DECLARE @n int = 2; SELECT MAX(start_lsn) FROM (SELECT TOP (@n) start_lsn FROM [TestDB].cdc.lsn_time_mapping WHERE tran_id <> 0x00 ORDER BY start_lsn) as next_lsns",
  );
  assert.ok(Buffer.compare(nth.rows[0]![0] as Buffer, maximum as Buffer) < 0);
});

test("capture instances with ROW_NUMBER over change_tables", async () => {
  const { rows } = await ask(
    "WITH ordered_change_tables" +
      " AS (SELECT ROW_NUMBER() OVER (PARTITION BY ct.source_object_id, ct.start_lsn ORDER BY ct.create_date DESC) AS ct_sequence," +
      " ct.*" +
      " FROM [TestDB].cdc.change_tables AS ct)" +
      " SELECT OBJECT_SCHEMA_NAME(source_object_id, DB_ID('TestDB'))," +
      " OBJECT_NAME(source_object_id, DB_ID('TestDB'))," +
      " capture_instance," +
      " object_id," +
      " start_lsn" +
      " FROM ordered_change_tables WHERE ct_sequence = 1",
  );
  assert.deepEqual(
    rows.map((row) => row.slice(0, 3)),
    [["dbo", "products", "dbo_products"]],
  );
});

test("captured columns by change table", async () => {
  const { rows } = await ask(
    "SELECT object_id, column_name FROM [TestDB].cdc.captured_columns ORDER BY object_id, column_id",
  );
  assert.deepEqual(
    rows.map((row) => row[1]),
    ["id", "name", "weight"],
  );
});

test("all changes with their commit times, ordered by LSN, sequence value and operation", async () => {
  const { rows } = await ask(
    "DECLARE @from binary(10) = [TestDB].sys.fn_cdc_get_min_lsn('dbo_products'), @to binary(10) = [TestDB].sys.fn_cdc_get_max_lsn();" +
      "SELECT *, TODATETIMEOFFSET([TestDB].sys.fn_cdc_map_lsn_to_time([__$start_lsn]), DATEPART(TZOFFSET, SYSDATETIMEOFFSET())) FROM [TestDB].cdc.[fn_cdc_get_all_changes_dbo_products](@from, @to, N'all update old') order by [__$start_lsn] ASC, [__$seqval] ASC, [__$operation] ASC",
  );
  assert.deepEqual(
    rows.map((row) => [row[2], row[4]]),
    [
      [2, 1],
      [2, 2],
      [3, 2],
      [4, 2],
      [1, 2],
      [2, 3],
      [1, 1],
    ],
  );
  assert.ok(rows.every((row) => row.at(-1) !== null));
});

test("what the user may see, and whether the agent runs", async () => {
  assert.equal((await ask("EXEC [TestDB].sys.sp_cdc_help_change_data_capture")).rows.length, 1);
  const agent = await ask(
    "SELECT CASE WHEN dss.[status]=4 THEN 1 ELSE 0 END AS isRunning FROM [TestDB].sys.dm_server_services dss WHERE dss.[servicename] LIKE N'SQL Server Agent (%';",
  );
  assert.deepEqual(agent.rows, [[1]]);
});

test("new change tables since an LSN, and the next LSN", async () => {
  const { rows } = await ask(
    "DECLARE @from binary(10) = 0x00000000000000000000, @to binary(10) = [TestDB].sys.fn_cdc_get_max_lsn(); SELECT * FROM [TestDB].cdc.change_tables WHERE start_lsn BETWEEN @from AND @to",
  );
  assert.equal(rows.length, 1);
  const next = await ask("SELECT [TestDB].sys.fn_cdc_increment_lsn(0x000000250000014800ff)");
  assert.equal((next.rows[0]![0] as Buffer).toString("hex"), "00000025000001480100");
});

test("a direct read of a change table in its own order, joined with commit times", async () => {
  const { rows } = await ask(
    "SELECT TOP (100) t.[__$operation], t.id, m.tran_end_time FROM [TestDB].cdc.[dbo_products_CT] t" +
      " INNER JOIN [TestDB].cdc.lsn_time_mapping m ON m.start_lsn = t.[__$start_lsn]" +
      " WHERE t.[__$operation] <> 3 ORDER BY t.[__$start_lsn], t.[__$command_id], t.[__$seqval], t.[__$operation]",
  );
  assert.equal(rows.length, 6);
});
