/**
 * What change tables tell of random workloads, against what the source tables hold. Each test prints its seed; SEED=n repeats it.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { SqlFixture } from "./sql-fixture.ts";
import { sqlFixture } from "./sql-fixture.ts";
import { prepare, Random, runWorkload, TABLES } from "./workload.ts";

const ORDER = "ORDER BY __$start_lsn, __$command_id, __$seqval, __$operation";
const RUNS = 3;
const STEPS = 150;

type Change = Record<string, unknown>;
type Rows = Map<string, Change>;

function property(name: string, body: (seed: number) => Promise<void>): void {
  test(name, async (t: TestContext) => {
    const given = process.env["SEED"];
    const first = given === undefined ? Math.floor(Math.random() * 1e9) : Number(given);
    for (let seed = first; seed < first + (given === undefined ? RUNS : 1); seed++) {
      t.diagnostic(`SEED=${seed}`);
      await body(seed);
    }
  });
}

async function table(f: SqlFixture, query: string): Promise<Change[]> {
  const { sets } = await f.sql.run(query);
  const names = sets[0]!.columns.map(({ name }) => name);
  return sets[0]!.rows.map((row) => Object.fromEntries(row.map((value, i) => [names[i]!, value])));
}

function changesOf(f: SqlFixture, instance: string): Promise<Change[]> {
  return table(f, `SELECT * FROM cdc.[${instance}_CT] ${ORDER}`);
}

function pick(row: Change, columns: readonly string[]): Change {
  return Object.fromEntries(columns.map((column) => [column, row[column]]));
}

/** As the tables' collation compares. */
function keyOf(row: Change, key: readonly string[]): string {
  return key.map((column) => String(row[column]).toLowerCase()).join("/");
}

/** Applies one row: what an update or delete says of the row before must be so. */
function apply(rows: Rows, change: Change, key: readonly string[], columns: readonly string[]): void {
  const at = keyOf(change, key);
  const values = pick(change, columns);
  switch (change["__$operation"]) {
    case 1:
    case 3:
      assert.deepEqual(rows.get(at), values, "what a change says that there was");
      rows.delete(at);
      break;
    default:
      assert.equal(rows.has(at), false, `there is a row ${at} already`);
      rows.set(at, values);
  }
}

function sorted(rows: Iterable<Change>): string[] {
  return [...rows].map((row) => JSON.stringify(row)).sort();
}

property("replayed in order onto an empty table, changes give the source table", async (seed) => {
  const f = await sqlFixture();
  await prepare(f);
  const commits = await runWorkload(f, new Random(seed), STEPS);
  for (const { name, key, columns, instance } of TABLES) {
    const rows: Rows = new Map();
    for (const change of await changesOf(f, instance)) apply(rows, change, key, columns);
    assert.deepEqual(sorted(rows.values()), sorted(await table(f, `SELECT ${columns.join(", ")} FROM ${name}`)), name);
  }
  const told = await changesOf(f, "commits");
  assert.deepEqual(
    told.map(({ n }) => n),
    commits,
    "LSNs rise with commits",
  );
  f.cdc.stop();
});

property(
  "every change belongs to a transaction of lsn_time_mapping, whose LSNs and times rise together",
  async (seed) => {
    const f = await sqlFixture();
    await prepare(f);
    await runWorkload(f, new Random(seed), STEPS);
    const mapping = await table(f, "SELECT * FROM cdc.lsn_time_mapping ORDER BY start_lsn");
    const byLsn = new Map(mapping.map((entry) => [entry["start_lsn"], entry]));
    const times = mapping.map((entry) => entry["tran_end_time"] as string);
    assert.deepEqual(times, [...times].sort());
    for (const { instance } of TABLES)
      for (const change of await changesOf(f, instance)) {
        const entry = byLsn.get(change["__$start_lsn"])!;
        assert.ok((entry["tran_begin_lsn"] as string) < (change["__$seqval"] as string));
        assert.ok((change["__$seqval"] as string) < (change["__$start_lsn"] as string));
        assert.notEqual(entry["tran_id"], "0x00");
      }
    f.cdc.stop();
  },
);

property("two instances of a table agree on the columns that both have", async (seed) => {
  const f = await sqlFixture();
  await prepare(f);
  await runWorkload(f, new Random(seed), STEPS);
  const told = (changes: Change[]) =>
    changes.map((change) => pick(change, ["__$start_lsn", "__$seqval", "__$operation", "id", "v"]));
  // id and v are the columns of the mask's lowest bits.
  const concerned = (change: Change) => (Number(change["__$update_mask"]) & 3) !== 0;
  const wide = (await changesOf(f, "accounts")).filter(concerned);
  assert.deepEqual(told(await changesOf(f, "accounts_narrow")), told(wide));
  f.cdc.stop();
});

property("ranges of LSNs that split the whole concatenate to it", async (seed) => {
  const f = await sqlFixture();
  await prepare(f);
  const random = new Random(seed);
  await runWorkload(f, random, STEPS);
  const lsns = (await table(f, "SELECT start_lsn FROM cdc.lsn_time_mapping ORDER BY start_lsn")).map((row) =>
    String(row["start_lsn"]),
  );
  for (const option of ["all", "all update old"]) {
    const all = (from: string, to: string) =>
      f.sql.rows(`SELECT * FROM cdc.fn_cdc_get_all_changes_accounts(${from}, ${to}, N'${option}')`);
    const minimum = String(await f.sql.value("sys.fn_cdc_get_min_lsn(N'accounts')"));
    const maximum = String(await f.sql.value("sys.fn_cdc_get_max_lsn()"));
    const parts: unknown[][] = [];
    let from = minimum;
    for (const to of [...lsns.filter((lsn) => lsn >= minimum && random.below(5) === 0), maximum]) {
      if (from > to) continue;
      parts.push(...(await all(from, to)));
      from = String(await f.sql.value(`sys.fn_cdc_increment_lsn(${to})`));
    }
    assert.deepEqual(parts, await all(minimum, maximum));
  }
  f.cdc.stop();
});

property("net changes are the difference that a replay makes", async (seed) => {
  const f = await sqlFixture();
  await prepare(f);
  const random = new Random(seed);
  await runWorkload(f, random, STEPS);
  for (const { key, columns, instance } of TABLES.filter(({ name }) => name !== "heap")) {
    const changes = await changesOf(f, instance);
    if (changes.length === 0) continue;
    const minimum = String(await f.sql.value(`sys.fn_cdc_get_min_lsn(N'${instance}')`));
    for (let i = 0; i < 5; i++) {
      const [from, to] = [random.pick(changes), random.pick(changes)]
        .map((change) => String(change["__$start_lsn"]))
        .sort() as [string, string];
      const query = (option: string) =>
        table(f, `SELECT * FROM cdc.fn_cdc_get_net_changes_${instance}(${from}, ${to}, N'${option}')`);
      const net = await query("all");
      const expected = netOfReplay(changes, { from, to }, key, columns);
      const told = net.map((row) => ({ ...pick(row, columns), operation: row["__$operation"] }));
      assert.deepEqual(sorted(told), sorted(expected), `${instance} ${minimum} ${from} ${to}`);
      for (const row of await query("all with merge")) assert.ok([1, 5].includes(row["__$operation"] as number));
      for (const row of await query("all with mask"))
        assert.equal(row["__$update_mask"] !== null, row["__$operation"] === 4);
    }
  }
  f.cdc.stop();
});

function netOfReplay(
  changes: Change[],
  { from, to }: { from: string; to: string },
  key: readonly string[],
  columns: readonly string[],
): Change[] {
  const rows: Rows = new Map();
  const before = new Map<string, boolean>();
  const deleted = new Map<string, Change>();
  for (const change of changes) {
    const lsn = String(change["__$start_lsn"]);
    const at = keyOf(change, key);
    if (lsn > to) break;
    if (lsn >= from && !before.has(at)) before.set(at, rows.has(at));
    if (change["__$operation"] === 1) deleted.set(at, pick(change, columns));
    apply(rows, change, key, columns);
  }
  const net: Change[] = [];
  for (const [at, existed] of before) {
    const now = rows.get(at);
    if (now) net.push({ ...now, operation: existed ? 4 : 2 });
    else if (existed) net.push({ ...deleted.get(at)!, operation: 1 });
  }
  return net;
}

property("when and how much capture scans at a time does not change what it writes", async (seed) => {
  const told = async (f: SqlFixture) => {
    const result: unknown[] = [];
    for (const instance of [...TABLES.map((one) => one.instance), "accounts_narrow"]) {
      const changes = await changesOf(f, instance);
      const lsns = [...new Set(changes.map((change) => change["__$start_lsn"]))];
      // LSNs differ, as capture's own writes are in the log too: their order does not.
      result.push(
        changes.map(({ __$start_lsn, __$seqval, ...rest }) => ({ ...rest, transaction: lsns.indexOf(__$start_lsn) })),
      );
    }
    return result;
  };
  const steady = await sqlFixture();
  await prepare(steady);
  await runWorkload(steady, new Random(seed), STEPS);

  const moody = await sqlFixture();
  await prepare(moody);
  const random = new Random(seed + 1);
  const { sql } = moody;
  await runWorkload(moody, new Random(seed), STEPS, async () => {
    const size = `@maxtrans = ${1 + random.below(4)}, @maxscans = ${1 + random.below(3)}`;
    const dice = random.below(20);
    if (dice === 0) await sql.attempt("EXEC sys.sp_cdc_stop_job");
    if (dice === 1) await sql.attempt("EXEC sys.sp_cdc_start_job");
    if (dice === 2) await sql.run(`EXEC sys.sp_cdc_change_job ${size}`);
    if (dice < 6) await sql.run(`EXEC sys.sp_cdc_scan ${size}`);
  });
  await sql.run("EXEC sys.sp_cdc_scan @maxtrans = 1, @maxscans = 100000");
  assert.deepEqual(await told(moody), await told(steady));
  steady.cdc.stop();
  moody.cdc.stop();
});
