/** Random workloads: what change tables tell, replayed in order, is what the source tables hold. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Row } from "../../../simulator/engine/database.ts";
import type { Table } from "../../../simulator/engine/table.ts";
import type { Value } from "../../../simulator/engine/values.ts";
import { column, createTable, type Fixture, fixture, Work } from "./engine-fixture.ts";

const INT = { id: "int" } as const;
const TEXT = { id: "nvarchar", length: 20 } as const;

/** One statement: of a kind, on a table, over some of its rows. */
const statement = fc.record({
  kind: fc.constantFrom("insert", "update", "delete", "shift", "move"),
  table: fc.nat(1),
  picks: fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }),
  value: fc.nat(1000),
});
const transaction = fc.record({
  statements: fc.array(statement, { minLength: 1, maxLength: 5 }),
  end: fc.constantFrom("commit", "commit", "commit", "rollback"),
  savepointAt: fc.option(fc.nat(4), { nil: undefined }),
});
type Statement = { kind: string; table: number; picks: number[]; value: number };

function run(work: Work, table: Table, { kind, picks, value }: Statement, used: Set<number>): void {
  work.statement();
  const keys = [...used];
  const chosen = new Set(picks.map((pick) => keys[pick % Math.max(1, keys.length)]).filter((key) => key !== undefined));
  if (kind === "insert") {
    for (const pick of new Set(picks)) {
      if (used.has(pick)) continue;
      work.insert(table, pick, `v${value}`, value % 3 === 0 ? null : value);
      used.add(pick);
    }
  } else if (kind === "delete") {
    for (const key of chosen) {
      work.delete(table, key);
      used.delete(key);
    }
  } else if (kind === "update") {
    for (const key of chosen) work.update(table, key, ([id]) => [id!, `u${value}`, value]);
  } else moveKeys(work, table, kind === "shift" ? 1 : 40 + value, kind === "shift" ? keys : [...chosen], used);
}

/** Adds to keys, the lowest first: the key that a row gets may still be another's until the statement ends. */
function moveKeys(work: Work, table: Table, by: number, keys: number[], used: Set<number>): void {
  if (by > 1 && keys.some((key) => used.has(key + by))) return;
  const ascending = keys.sort((a, b) => a - b);
  work.updateAll(table, ascending, ([id, ...rest]) => [(id as number) + by, ...rest]);
  for (const key of ascending) used.delete(key);
  for (const key of ascending) used.add(key + by);
}

function apply(
  f: Fixture,
  tables: Table[],
  used: Set<number>[],
  script: typeof transaction extends fc.Arbitrary<infer T> ? T : never,
) {
  const before = used.map((set) => new Set(set));
  const work = new Work(f);
  for (const [i, each] of script.statements.entries()) {
    const kept = used.map((set) => new Set(set));
    const mark = script.savepointAt === i ? work.transaction.mark() : undefined;
    run(work, tables[each.table]!, each, used[each.table]!);
    if (!mark) continue;
    work.transaction.rollbackTo(mark);
    kept.forEach((set, at) => {
      used[at] = set;
    });
  }
  if (script.end === "commit") work.transaction.commit(f.engine.now());
  else {
    work.transaction.rollback();
    before.forEach((set, at) => {
      used[at] = set;
    });
  }
}

/** By primary key, as text. Fails on an insert of a row that is there, or a change of one that is not. */
function replay(changes: Record<string, Value>[], columns: string[]): Map<Value, string> {
  const rows = new Map<Value, string>();
  for (const change of changes) {
    const id = change["id"]!;
    const text = JSON.stringify(columns.map((name) => change[name]));
    switch (change["__$operation"]) {
      case 1:
        assert.equal(rows.get(id), text, "a delete tells the row as it was");
        rows.delete(id);
        break;
      case 2:
        assert.ok(!rows.has(id), `row ${String(id)} is inserted twice`);
        rows.set(id, text);
        break;
      case 3:
        assert.equal(rows.get(id), text, "an update tells the row as it was");
        break;
      default:
        assert.ok(rows.has(id), `row ${String(id)} is updated and not there`);
        rows.set(id, text);
    }
  }
  return rows;
}

function contentOf(table: Table, columns: string[]): Map<Value, string> {
  const at = columns.map((name) => table.columnIndex(name));
  const rows = [...table.rows({ seq: Number.MAX_SAFE_INTEGER, transaction: null })];
  return new Map(rows.map((row: Row) => [row[0]!, JSON.stringify(at.map((i) => row[i]))]));
}

async function prepared(): Promise<{ f: Fixture; tables: Table[] }> {
  const f = fixture({ captureInterval: "immediate" });
  const columns = () => [column("id", 1, INT, false), column("name", 2, TEXT), column("amount", 3, INT)];
  const tables = ["a", "b"].map((name) => createTable(f.database, name, columns()));
  await f.call("sp_cdc_enable_db");
  for (const name of ["a", "b"])
    await f.call("sp_cdc_enable_table", { source_schema: "dbo", source_name: name, role_name: null });
  await f.call("sp_cdc_enable_table", {
    source_schema: "dbo",
    source_name: "a",
    role_name: null,
    capture_instance: "a_narrow",
    captured_column_list: "id, amount",
  });
  return { f, tables };
}

test("a change table replayed in order onto an empty table gives the source table", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(transaction, { maxLength: 25 }), async (scripts) => {
      const { f, tables } = await prepared();
      const used = [new Set<number>(), new Set<number>()];
      for (const script of scripts) apply(f, tables, used, script);
      f.cdc.stop();
      for (const [i, instance] of ["dbo_a", "dbo_b"].entries()) {
        const columns = ["id", "name", "amount"];
        assert.deepEqual(replay(f.changes(instance), columns), contentOf(tables[i]!, columns));
      }
      const narrow = ["id", "amount"];
      assert.deepEqual(replay(f.changes("a_narrow"), narrow), contentOf(tables[0]!, narrow));
      assertOrder(f);
    }),
    { numRuns: 60 },
  );
});

/** Start LSNs rise with commits, no position is given twice, and every change's transaction is in cdc.lsn_time_mapping. */
function assertOrder(f: Fixture): void {
  const everything = { seq: Number.MAX_SAFE_INTEGER, transaction: null };
  const mapped = [...f.database.findTable("cdc", "lsn_time_mapping")!.rows(everything)];
  const commits = mapped.map((row) => (row[0] as Buffer).toString("hex"));
  assert.deepEqual(commits, [...commits].sort());
  assert.deepEqual(
    mapped.map((row) => (row[3] as Buffer).toString("hex")),
    mapped.map((row) => (row[3] as Buffer).toString("hex")).sort(),
    "LSNs rise as transaction ids do, which rise with commits here",
  );
  for (const instance of ["dbo_a", "dbo_b", "a_narrow"]) {
    const positions = f
      .changes(instance)
      .map(
        (change) =>
          `${(change["__$start_lsn"] as Buffer).toString("hex")} ${String(change["__$command_id"]).padStart(5)} ${(change["__$seqval"] as Buffer).toString("hex")} ${change["__$operation"]}`,
      );
    assert.equal(new Set(positions).size, positions.length);
    for (const position of positions) assert.ok(commits.includes(position.slice(0, 20)));
  }
}

test("a key moved within one transaction over two instances is numbered for each of them", async () => {
  const { f, tables } = await prepared();
  const work = new Work(f);
  work.statement().insert(tables[0]!, 1, "a", 1);
  work.statement().update(tables[0]!, 1, ([, ...rest]) => [2, ...rest]);
  work.transaction.commit(f.engine.now());
  f.cdc.stop();
  const told = (instance: string) =>
    f.changes(instance).map((change) => [change["__$operation"], change["__$command_id"]]);
  assert.deepEqual(told("dbo_a"), [
    [2, 1],
    [1, 3],
    [2, 5],
  ]);
  assert.deepEqual(told("a_narrow"), [
    [2, 2],
    [1, 4],
    [2, 6],
  ]);
  const [, gone, come] = f.changes("dbo_a");
  assert.deepEqual(gone!["__$seqval"], come!["__$seqval"], "delete and insert share the sequence value");
});
