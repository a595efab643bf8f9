/** Going back to an earlier state: https://learn.microsoft.com/sql/relational-databases/backup-restore/recovery-paths-sql-server */
import assert from "node:assert/strict";
import { test } from "node:test";
import { recoveryOf } from "../../../simulator/catalog/databases.ts";
import { restoreSnapshot, takeSnapshot } from "../../../simulator/catalog/restore.ts";
import { CdcDatabase } from "../../../simulator/cdc/cdc-database.ts";
import type { Table } from "../../../simulator/engine/table.ts";
import { column, createTable, type Fixture, fixture, Work } from "./engine-fixture.ts";

const INT = { id: "int" } as const;

function insert(f: Fixture, table: Table, id: number): void {
  const work = new Work(f);
  work.statement().insert(table, id);
  work.transaction.commit(f.engine.now());
}

test("after a restore the same LSNs stand for other changes, and the recovery fork is another", async () => {
  const f = fixture();
  const table = createTable(f.database, "t", [column("id", 1, INT, false)]);
  await f.call("sp_cdc_enable_db");
  await f.call("sp_cdc_enable_table", { source_schema: "dbo", source_name: "t", role_name: null });
  insert(f, table, 1);
  const snapshot = takeSnapshot(f.database);
  const fork = recoveryOf(f.database).forkGuid;
  insert(f, table, 2);
  const lost = f.changes("dbo_t").at(-1)!;

  const restored = restoreSnapshot(snapshot);
  assert.equal(f.engine.database("TestDB"), restored);
  assert.equal(f.context.session.currentDatabase, restored);
  const after: Fixture = { ...f, database: restored, context: { ...f.context, database: restored } };
  const source = restored.findTable("dbo", "t")!;
  assert.equal(source.objectId, table.objectId);
  insert(after, source, 3);
  const changeTable = restored.findTable("cdc", "dbo_t_CT")!;
  const rows = [...changeTable.rows(f.context.snapshot)];
  assert.deepEqual(
    rows.map((row) => row[5]),
    [1, 3],
  );
  assert.deepEqual(rows[1]![0], lost["__$start_lsn"], "the LSN of the lost change is given again");
  assert.notEqual(recoveryOf(restored).forkGuid, fork);
  assert.ok(restored.systemObjects.tableFunction("cdc", "fn_cdc_get_all_changes_dbo_t"));
  CdcDatabase.of(restored).capture.stop();
});

test("a snapshot does not change with the database, and can be restored twice", async () => {
  const f = fixture();
  const table = createTable(f.database, "t", [column("id", 1, INT, false)]);
  insert(f, table, 1);
  const snapshot = takeSnapshot(f.database);
  for (let round = 0; round < 2; round++) {
    const restored = restoreSnapshot(snapshot);
    const source = restored.findTable("dbo", "t")!;
    insert(f, source, 2);
    assert.equal(source.rowCount, 2);
  }
});
