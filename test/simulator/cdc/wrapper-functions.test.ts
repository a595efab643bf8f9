/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-generate-wrapper-function-transact-sql */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SqlServerSimulator } from "../../../simulator/index.ts";

/** As the page's example makes them, for all instances. */
const CREATE_ALL = `
DECLARE @wrapper_functions TABLE (
    function_name sysname,
    create_script nvarchar(max));
INSERT INTO @wrapper_functions
EXEC sys.sp_cdc_generate_wrapper_function;
DECLARE @create_script nvarchar(max);
DECLARE #hfunctions CURSOR LOCAL FAST_FORWARD
    FOR SELECT create_script FROM @wrapper_functions;
OPEN #hfunctions;
FETCH #hfunctions INTO @create_script;
WHILE (@@fetch_status <> -1)
BEGIN
    EXEC sp_executesql @create_script
    FETCH #hfunctions INTO @create_script
END;
CLOSE #hfunctions;
DEALLOCATE #hfunctions;`;

test("generated functions tell changes by time, and which columns an update changed", async (t) => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const clock = () => new Date(now);
  const server = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate", clock });
  t.after(() => server.close());
  const rows = async (sql: string) => (await server.query(sql)).rows;
  await rows("EXEC sys.sp_cdc_enable_db; CREATE TABLE t (id int PRIMARY KEY, a varchar(10), b int)");
  await rows("EXEC sys.sp_cdc_enable_table N'dbo', N't', @role_name = NULL, @supports_net_changes = 1");
  now += 60_000;
  await rows("INSERT t VALUES (1, 'x', 1), (2, 'y', 2)");
  now += 60_000;
  await rows("UPDATE t SET a = 'z' WHERE id = 1; DELETE t WHERE id = 2");

  await rows(CREATE_ALL);
  assert.deepEqual(
    await rows("SELECT id, a, __CDC_OPERATION FROM fn_all_changes_dbo_t(NULL, NULL, 'all update old')"),
    [
      [1, "x", "I"],
      [2, "y", "I"],
      [1, "x", "UO"],
      [1, "z", "UN"],
      [2, "y", "D"],
    ],
  );
  assert.deepEqual(await rows("SELECT id, a, b, __CDC_OPERATION FROM fn_net_changes_dbo_t(NULL, NULL, 'all')"), [
    [1, "z", 1, "I"],
  ]);
  const early = "SELECT id, __CDC_OPERATION FROM fn_all_changes_dbo_t(NULL, '2026-01-01T00:01:00', 'all')";
  assert.deepEqual(await rows(early), [
    [1, "I"],
    [2, "I"],
  ]);
  assert.deepEqual(await rows("SELECT id FROM fn_all_changes_dbo_t('2026-01-01T00:02:00', NULL, 'all')"), []);

  await rows("DROP FUNCTION fn_all_changes_dbo_t");
  const [[name, script]] = (await rows(
    "EXEC sys.sp_cdc_generate_wrapper_function N'dbo_t', @column_list = N'id', @update_flag_list = N'a, b'",
  )) as [[string, string]];
  assert.equal(name, "fn_all_changes_dbo_t");
  await rows(script);
  assert.deepEqual(
    await rows("SELECT * FROM (SELECT id, a_uflag, b_uflag FROM fn_all_changes_dbo_t(NULL, NULL, 'all')) f"),
    [
      [1, null, null],
      [2, null, null],
      [1, true, false],
      [2, null, null],
    ],
  );
});
