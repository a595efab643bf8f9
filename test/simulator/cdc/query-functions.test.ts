/** The functions that read changes: https://learn.microsoft.com/sql/relational-databases/track-changes/work-with-change-data-sql-server */
import assert from "node:assert/strict";
import { test } from "node:test";
import { configure } from "../../../simulator/catalog/databases.ts";
import type { Row } from "../../../simulator/engine/database.ts";
import type { Table } from "../../../simulator/engine/table.ts";
import type { Value } from "../../../simulator/engine/values.ts";
import { column, createTable, type Fixture, fixture, Work } from "./engine-fixture.ts";

const INT = { id: "int" } as const;

async function tracked(role: string | null = null): Promise<{ f: Fixture; table: Table }> {
  const f = fixture();
  const table = createTable(f.database, "t", [column("id", 1, INT, false), column("v", 2, INT)]);
  await f.call("sp_cdc_enable_db");
  const request = { source_schema: "dbo", source_name: "t", role_name: role, supports_net_changes: true };
  await f.call("sp_cdc_enable_table", request);
  return { f, table };
}

function commit(f: Fixture, work: (work: Work) => void): void {
  const transaction = new Work(f);
  transaction.statement();
  work(transaction);
  transaction.transaction.commit(f.engine.now());
}

function read(
  f: Fixture,
  kind: "all" | "net",
  option: string,
  from?: Value,
  to?: Value,
  context = f.context,
): Value[][] {
  const definition = f.database.systemObjects.tableFunction("cdc", `fn_cdc_get_${kind}_changes_dbo_t`)!;
  const low = from === undefined ? f.fn("fn_cdc_get_min_lsn", "dbo_t") : from;
  const high = to === undefined ? f.fn("fn_cdc_get_max_lsn") : to;
  return [...definition.rows(context, [low, high, option])];
}

const shift = (value: number) => (row: Row) => [row[0]!, value];

test("all changes: with 'all update old' the values before an update come too", async () => {
  const { f, table } = await tracked();
  commit(f, (work) => work.insert(table, 1, 10));
  commit(f, (work) => work.update(table, 1, shift(11)));
  const told = (option: string) => read(f, "all", option).map(([, , operation, , id, v]) => [operation, id, v]);
  assert.deepEqual(told("all"), [
    [2, 1, 10],
    [4, 1, 11],
  ]);
  assert.deepEqual(told(" ALL update old "), [
    [2, 1, 10],
    [3, 1, 10],
    [4, 1, 11],
  ]);
  f.cdc.stop();
});

test("error 313 for a range outside the validity interval, and for an unknown option", async () => {
  const { f, table } = await tracked();
  commit(f, (work) => work.insert(table, 1, 10));
  const minimum = f.fn("fn_cdc_get_min_lsn", "dbo_t")!;
  const maximum = f.fn("fn_cdc_get_max_lsn")!;
  const message =
    "An insufficient number of arguments were supplied for the procedure or function cdc.fn_cdc_get_all_changes_ ... .";
  const error = { number: 313, state: 3, message };
  assert.throws(() => read(f, "all", "all", f.fn("fn_cdc_decrement_lsn", minimum)), error);
  assert.throws(() => read(f, "all", "all", minimum, f.fn("fn_cdc_increment_lsn", maximum)), error);
  assert.throws(() => read(f, "all", "all", f.fn("fn_cdc_increment_lsn", maximum)), error);
  assert.throws(() => read(f, "all", "all", null), error);
  assert.throws(() => read(f, "all", "some"), error);
  assert.throws(() => read(f, "net", "all update old"), { number: 313 });
  f.cdc.stop();
});

test("net changes: one row a key, and none for what came and went", async () => {
  const { f, table } = await tracked();
  for (const id of [4, 5, 6, 7]) commit(f, (work) => work.insert(table, id, 0));
  const from = f.fn("fn_cdc_increment_lsn", f.fn("fn_cdc_get_max_lsn")!);
  commit(f, (work) => work.insert(table, 1, 1));
  commit(f, (work) => work.insert(table, 2, 1));
  commit(f, (work) => work.update(table, 2, shift(2)));
  commit(f, (work) => work.insert(table, 3, 1));
  commit(f, (work) => work.delete(table, 3));
  commit(f, (work) => work.update(table, 4, shift(9)));
  commit(f, (work) => work.delete(table, 5));
  commit(f, (work) => work.delete(table, 6));
  commit(f, (work) => work.insert(table, 6, 8));
  commit(f, (work) => work.update(table, 7, shift(1)));
  commit(f, (work) => work.delete(table, 7));
  const told = (option: string) =>
    new Map(read(f, "net", option, from).map(([, operation, mask, id, v]) => [id, [operation, v, mask]]));
  const all = told("all");
  assert.deepEqual(
    [...all].sort().map(([id, [operation, v]]) => [id, operation, v]),
    [
      [1, 2, 1],
      [2, 2, 2],
      [4, 4, 9],
      [5, 1, 0],
      [6, 4, 8],
      [7, 1, 1],
    ],
  );
  assert.deepEqual(
    [...told("all with merge")].sort().map(([, [operation]]) => operation),
    [5, 5, 5, 1, 5, 1],
  );
  assert.equal(all.get(4)![2], null);
  assert.deepEqual(
    [...told("all with mask").values()].map(([, , mask]) => mask),
    Array(6).fill(null),
  );
  configure(f.engine, "clr enabled", 1);
  f.engine.reconfigure();
  const masks = told("all with mask");
  assert.deepEqual(
    [1, 2, 4, 5, 6, 7].map((id) => masks.get(id)![2]),
    [null, null, Buffer.from([0x02]), null, Buffer.from([0x03]), null],
    "updates alone have one: of all columns that changed on the way",
  );
  f.cdc.stop();
});

test("functions of the update mask", async () => {
  const { f, table } = await tracked();
  commit(f, (work) => work.insert(table, 1, 10));
  commit(f, (work) => work.update(table, 1, shift(11)));
  const mask = f.changes("dbo_t").at(-1)!["__$update_mask"]!;
  assert.equal(f.fn("fn_cdc_get_column_ordinal", "dbo_t", "V"), 2);
  assert.equal(f.fn("fn_cdc_get_column_ordinal", "dbo_t", "nothing"), null);
  assert.equal(f.fn("fn_cdc_is_bit_set", 2, mask), true);
  assert.equal(f.fn("fn_cdc_has_column_changed", "dbo_t", "id", mask), false);
  assert.equal(f.fn("fn_cdc_has_column_changed", "dbo_t", "v", mask), true);
  f.cdc.stop();
});
