/**
 * What statements leave in change tables.
 * https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/track-changes/about-change-data-capture-sql-server
 */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Client } from "../engine/client.ts";
import { sqlFixture } from "./sql-fixture.ts";

let sql: Client;

beforeEach(async (t) => {
  let now = Date.parse("2026-03-01T12:00:00Z");
  // A second between one look at the clock and the next, so that no two commits are of one time.
  const { sql: client, cdc } = await sqlFixture({ clock: () => new Date((now += 1000)) });
  sql = client;
  await sql.run("EXEC sys.sp_cdc_enable_db");
  (t as { after(done: () => void): void }).after(() => cdc.stop());
});

async function tracked(definition: string, parameters = ""): Promise<void> {
  await sql.run(`CREATE TABLE dbo.t (${definition})`);
  await sql.run(`EXEC sys.sp_cdc_enable_table N'dbo', N't', N't', @role_name = NULL ${parameters}`);
}

function changes(columns: string): Promise<unknown[][]> {
  return sql.rows(
    `SELECT __$operation, ${columns} FROM cdc.t_CT ORDER BY __$start_lsn, __$command_id, __$seqval, __$operation`,
  );
}

test("a row without a primary key is captured like any other, and told apart by nothing", async () => {
  await tracked("id int, v int");
  await sql.run("INSERT t VALUES (1, 1), (1, 1); UPDATE t SET v = 2; DELETE TOP (1) FROM t");
  assert.deepEqual(await changes("id, v"), [
    [2, 1, 1],
    [2, 1, 1],
    [3, 1, 1],
    [4, 1, 2],
    [3, 1, 1],
    [4, 1, 2],
    [1, 1, 2],
  ]);
});

test("an update that gives each column its value again leaves nothing, nor does one of other columns", async () => {
  await tracked("id int PRIMARY KEY, a int, b int, c int", ", @captured_column_list = N'id, a, b'");
  await sql.run(
    "INSERT t VALUES (1, 1, 1, 1); UPDATE t SET a = a, b = 1; UPDATE t SET c = 2; UPDATE t SET b = 2, c = 3",
  );
  assert.deepEqual(await changes("__$update_mask, a, b"), [
    [2, "0x07", 1, 1],
    [3, "0x04", 1, 1],
    [4, "0x04", 1, 2],
  ]);
});

test("the mask's first byte has the last columns: ordinals count from its end", async () => {
  await tracked("id int PRIMARY KEY, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int");
  await sql.run("INSERT t (id) VALUES (1); UPDATE t SET c9 = 1; UPDATE t SET c2 = 1, c8 = 1");
  assert.deepEqual(await changes("__$update_mask"), [
    [2, "0x01ff"],
    [3, "0x0100"],
    [4, "0x0100"],
    [3, "0x0082"],
    [4, "0x0082"],
  ]);
});

test("the key of one row moved is a delete and an insert", async () => {
  await tracked("id int PRIMARY KEY, v int");
  await sql.run("INSERT t VALUES (1, 10), (2, 20); UPDATE t SET id = 5, v = 11 WHERE id = 1");
  assert.deepEqual(await changes("id, v, __$update_mask"), [
    [2, 1, 10, "0x03"],
    [2, 2, 20, "0x03"],
    [1, 1, 10, "0x03"],
    [2, 5, 11, "0x03"],
  ]);
});

test("MERGE leaves what its branches do", async () => {
  await tracked("id int PRIMARY KEY, v int");
  await sql.run("INSERT t VALUES (1, 10), (2, 20)");
  await sql.run(`MERGE t USING (VALUES (1, 11), (2, NULL), (3, 30)) AS s (id, v) ON t.id = s.id
    WHEN MATCHED AND s.v IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v
    WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v);`);
  const merged = (await changes("id, v")).slice(2);
  assert.deepEqual(merged.sort(), [
    [1, 2, 20],
    [2, 3, 30],
    [3, 1, 10],
    [4, 1, 11],
  ]);
});

test("what a savepoint's rollback undoes was never there, and what a whole rollback undoes neither", async () => {
  await tracked("id int PRIMARY KEY");
  await sql.run(`BEGIN TRAN; INSERT t VALUES (1); SAVE TRAN s; INSERT t VALUES (2); DELETE t WHERE id = 1; ROLLBACK TRAN s;
    INSERT t VALUES (3); COMMIT; BEGIN TRAN; INSERT t VALUES (4); ROLLBACK`);
  assert.deepEqual(await changes("id"), [
    [2, 1],
    [2, 3],
  ]);
});

test("a failed statement of a transaction that commits leaves nothing of its rows", async () => {
  await tracked("id int PRIMARY KEY");
  await sql.attempt("BEGIN TRAN; INSERT t VALUES (1); INSERT t VALUES (2), (1); INSERT t VALUES (3); COMMIT");
  assert.deepEqual(await changes("id"), [
    [2, 1],
    [2, 3],
  ]);
});

test("computed columns are NULL, rowversion is binary(8), and identity and sparse columns have their values", async () => {
  await tracked("id int IDENTITY PRIMARY KEY, twice AS id * 2, v rowversion, s int SPARSE NULL");
  await sql.run(
    "INSERT t (s) VALUES (7); SET IDENTITY_INSERT t ON; INSERT t (id) VALUES (40); SET IDENTITY_INSERT t OFF",
  );
  const [[value]] = (await sql.rows("SELECT CAST(v AS binary(8)) FROM t WHERE id = 1")) as [[string]];
  const rows = await changes("id, twice, v, s");
  assert.deepEqual(rows[0], [2, 1, null, value, 7]);
  assert.deepEqual([rows[1]![1], rows[1]![2]], [40, null]);
  const types = await sql.rows(
    "SELECT c.name, t.name, c.max_length, c.is_nullable, c.is_identity, c.is_computed FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id WHERE c.object_id = OBJECT_ID(N'cdc.t_CT') AND c.column_id BETWEEN 6 AND 9 ORDER BY c.column_id",
  );
  assert.deepEqual(types, [
    ["id", "int", 4, true, false, false],
    ["twice", "int", 4, true, false, false],
    ["v", "binary", 8, true, false, false],
    ["s", "int", 4, true, false, false],
  ]);
});

test("max types are NULL before an update that leaves them, text and image before any change and after none", async () => {
  await tracked("id int PRIMARY KEY, v int, m nvarchar(max), x xml, old text");
  await sql.run("INSERT t VALUES (1, 1, N'm', N'<a/>', 'old'); UPDATE t SET v = 2; UPDATE t SET m = N'n'; DELETE t");
  assert.deepEqual(await changes("v, m, CAST(x AS nvarchar(20)), CAST(old AS varchar(20))"), [
    [2, 1, "m", "<a/>", "old"],
    [3, 1, null, null, null],
    [4, 2, "m", "<a/>", "old"],
    [3, 2, "m", null, null],
    [4, 2, "n", "<a/>", "old"],
    [1, 2, "n", "<a/>", null],
  ]);
});

test("sql_variant keeps each value's own type", async () => {
  await tracked("id int PRIMARY KEY, v sql_variant");
  await sql.run("INSERT t VALUES (1, CAST(1.50 AS decimal(5, 2))), (2, N'x')");
  assert.deepEqual(await changes("id, SQL_VARIANT_PROPERTY(v, 'BaseType')"), [
    [2, 1, "decimal"],
    [2, 2, "nvarchar"],
  ]);
});

test("another case, a blank more and a decimal's like are changes only if the bytes differ", async () => {
  await tracked("id int PRIMARY KEY, a varchar(5), d decimal(5, 2)");
  await sql.run("INSERT t VALUES (1, 'x', 1); UPDATE t SET a = 'X'; UPDATE t SET a = 'X '; UPDATE t SET d = 1.00");
  assert.deepEqual(await changes("a + '|', __$update_mask"), [
    [2, "x|", "0x07"],
    [3, "x|", "0x02"],
    [4, "X|", "0x02"],
    [3, "X|", "0x02"],
    [4, "X |", "0x02"],
  ]);
});

test("what a trigger changes is captured with its statement; CDC's own trigger is listed beside it", async () => {
  await tracked("id int PRIMARY KEY, v int");
  await sql.run(
    "CREATE TRIGGER doubling ON t AFTER INSERT AS UPDATE t SET v = t.v * 2 FROM t JOIN inserted i ON i.id = t.id",
  );
  await sql.run("INSERT t VALUES (1, 5)");
  assert.deepEqual(await changes("v"), [
    [2, 5],
    [3, 5],
    [4, 10],
  ]);
  assert.deepEqual(await sql.rows("SELECT COUNT(DISTINCT __$start_lsn) FROM cdc.t_CT"), [[1]]);
  assert.deepEqual(await sql.rows("SELECT name, is_ms_shipped FROM sys.triggers ORDER BY name"), [
    ["doubling", false],
    ["tr_MScdc_ddl_event", true],
  ]);
});

test("names with blanks, brackets, quotes and other scripts need quoting, and nothing else", async () => {
  await sql.run("CREATE SCHEMA [Ge schäft]");
  await sql.run("CREATE TABLE [Ge schäft].[o]]r'der 表] (id int PRIMARY KEY, [a]]b, c] int, [d'e] int)");
  await sql.run(
    "EXEC sys.sp_cdc_enable_table @source_schema = N'Ge schäft', @source_name = N'o]r''der 表', @role_name = NULL, @captured_column_list = N'id, [a]]b, c]'",
  );
  await sql.run("INSERT [Ge schäft].[o]]r'der 表] VALUES (1, 2, 3)");
  const name = "Ge schäft_o]r''der 表";
  assert.deepEqual(
    await sql.rows(
      `SELECT id, [a]]b, c] FROM cdc.[fn_cdc_get_all_changes_Ge schäft_o]]r'der 表](sys.fn_cdc_get_min_lsn(N'${name}'), sys.fn_cdc_get_max_lsn(), N'all')`,
    ),
    [[1, 2]],
  );
  assert.deepEqual(await sql.rows("SELECT id FROM cdc.[Ge schäft_o]]r'der 表_CT]"), [[1]]);
  assert.equal(await sql.value(`sys.fn_cdc_get_column_ordinal(N'${name}', N'a]b, c')`), 2);
  const [help] = await sql.rows(
    "EXEC sys.sp_cdc_help_change_data_capture @source_schema = N'Ge schäft', @source_name = N'o]r''der 表'",
  );
  assert.equal(help!.at(-1), "[id], [a]]b, c]");
  await sql.run(`EXEC sys.sp_cdc_disable_table N'Ge schäft', N'o]r''der 表', N'${name}'`);
  assert.equal(await sql.value("OBJECT_ID(N'cdc.[Ge schäft_o]]r''der 表_CT]')"), null);
});

test("names are compared as the database's collation compares them", async () => {
  await sql.run("CREATE TABLE dbo.People (Id int PRIMARY KEY, Name nvarchar(10))");
  await sql.run(
    "EXEC SYS.SP_CDC_ENABLE_TABLE N'DBO', N'PEOPLE', @role_name = NULL, @captured_column_list = N'ID, NAME'",
  );
  const named = await sql.rows("SELECT capture_instance FROM cdc.change_tables");
  assert.deepEqual(named, [["dbo_People"]], "after the names of schema and table, not as they were written here");
  assert.equal(
    await sql.error("EXEC sys.sp_cdc_enable_table N'dbo', N'People', N'DBO_PEOPLE', @role_name = NULL"),
    22926,
  );
  assert.deepEqual(await sql.rows("SELECT column_name FROM cdc.captured_columns ORDER BY column_ordinal"), [
    ["Id"],
    ["Name"],
  ]);
  await sql.run("EXEC sys.sp_cdc_disable_table N'dbo', N'people', N'ALL'");
  assert.deepEqual(await sql.rows("SELECT capture_instance FROM cdc.change_tables"), []);
});

test("two tables may want one name of an instance: the second needs another", async () => {
  await sql.run("CREATE SCHEMA a");
  await sql.run("CREATE TABLE a.b_c (id int PRIMARY KEY)");
  await sql.run("CREATE SCHEMA a_b");
  await sql.run("CREATE TABLE a_b.c (id int PRIMARY KEY)");
  await sql.run("EXEC sys.sp_cdc_enable_table N'a', N'b_c', @role_name = NULL");
  assert.equal(await sql.error("EXEC sys.sp_cdc_enable_table N'a_b', N'c', @role_name = NULL"), 22926);
  await sql.run("EXEC sys.sp_cdc_enable_table N'a_b', N'c', N'a_b_c2', @role_name = NULL");
});

// https://learn.microsoft.com/sql/relational-databases/errors-events/mssqlserver-22865-database-engine-error
test("net changes go by at most 14 key columns: error 22865", async () => {
  const names = Array.from({ length: 15 }, (_, i) => `k${i}`);
  await sql.run(
    `CREATE TABLE dbo.wide (${names.map((name) => `${name} int NOT NULL`).join(", ")}, PRIMARY KEY (${names.join(", ")}))`,
  );
  const enable = "EXEC sys.sp_cdc_enable_table N'dbo', N'wide', @role_name = NULL, @supports_net_changes =";
  assert.equal(await sql.error(`${enable} 1`), 22865);
  await sql.run(`${enable} 0`);
});

test("messages that come with enabling: twice, an index for net changes without the CLR, a table that is not partitioned", async () => {
  const messages = async (statement: string) => (await sql.run(statement)).infos.map(({ number }) => number);
  assert.deepEqual(await messages("EXEC sys.sp_cdc_enable_db"), [22905]);
  await sql.run("CREATE TABLE dbo.t (id int PRIMARY KEY)");
  assert.deepEqual(
    await messages(
      "EXEC sys.sp_cdc_enable_table N'dbo', N't', @role_name = NULL, @allow_partition_switch = 0, @supports_net_changes = 1",
    ),
    [22857, 22969, 14243, 14243],
  );
  assert.equal(
    await sql.error(
      "EXEC sys.sp_cdc_enable_table N'dbo', N't', N'x', @role_name = NULL, @enable_extended_ddl_handling = 1",
    ),
    22874,
  );
  await sql.run("EXEC sys.sp_cdc_disable_db");
  assert.deepEqual(await messages("EXEC sys.sp_cdc_disable_db"), [22901]);
});

test("the index that tells rows apart may be another than the primary key", async () => {
  await tracked(
    "id int PRIMARY KEY, code char(2) NOT NULL CONSTRAINT UQ_code UNIQUE, v int",
    ", @index_name = N'UQ_code', @supports_net_changes = 1",
  );
  await sql.run("INSERT t VALUES (1, 'aa', 1)");
  await sql.run("UPDATE t SET id = 2, v = 2 WHERE code = 'aa'");
  const range = "sys.fn_cdc_get_min_lsn(N't'), sys.fn_cdc_get_max_lsn()";
  assert.deepEqual(
    await sql.rows(`SELECT __$operation, id, code, v FROM cdc.fn_cdc_get_net_changes_t(${range}, N'all')`),
    [[2, 2, "aa", 2]],
  );
  assert.equal(await sql.error("ALTER TABLE t DROP CONSTRAINT UQ_code"), 22979);
});

test("readers go on while a cleanup raises the watermark: what was valid is 313 afterwards", async () => {
  await tracked("id int PRIMARY KEY");
  for (const id of [1, 2, 3]) await sql.run(`INSERT t VALUES (${id})`);
  const from = await sql.value("sys.fn_cdc_get_min_lsn(N't')");
  const all = (lsn: unknown) =>
    `SELECT id FROM cdc.fn_cdc_get_all_changes_t(${String(lsn)}, sys.fn_cdc_get_max_lsn(), N'all')`;
  assert.deepEqual(await sql.rows(all(from)), [[1], [2], [3]]);
  await sql.run(`DECLARE @mark binary(10) = (SELECT __$start_lsn FROM cdc.t_CT WHERE id = 3);
    EXEC sys.sp_cdc_cleanup_change_table N't', @mark, @threshold = 1`);
  assert.equal(await sql.error(all(from)), 313);
  assert.deepEqual(await sql.rows(all(await sql.value("sys.fn_cdc_get_min_lsn(N't')"))), [[3]]);
});
