/** The lock contract on a table of the source database. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { lockContract } from "./contract.ts";
import { open, type SqlServerLockPlace } from "./sqlserver-opener.ts";

const simulator = await SqlServerSimulator.start({ databases: ["Locks"] });
after(() => simulator.close());
const LEASE_MS = 1_500;
let places = 0;
const place = (leaseMs = LEASE_MS): SqlServerLockPlace => ({
  connectionString: simulator.connectionStringFor("Locks"),
  table: `cdc_locks_${++places}`,
  leaseMs,
});
const never = new AbortController().signal;

lockContract({
  name: "sqlserver",
  leaseMs: LEASE_MS,
  place: async () => ({ module: join(import.meta.dirname, "sqlserver-opener.ts"), options: place() }),
  open: (options) => open(options as SqlServerLockPlace),
});

test("a thousand locks live on far beyond their lease, and end together", async () => {
  const options = place(12_000);
  const store = await opened(options);
  const locks = await Promise.all(Array.from({ length: 1_000 }, (_, n) => store.acquire(`server/db/dbo.T${n}`, never)));
  await new Promise((resolve) => setTimeout(resolve, 14_000));
  assert.ok(locks.every((lock) => lock !== null && !lock.lost.aborted));
  assert.equal((await store.owners("server/db/")).size, 1_000);
  assert.equal((await store.owners("server/other/")).size, 0);
  await store.close();
  assert.equal((await (await opened(options)).owners("server/db/")).size, 0);
});

test("the lease of a lock that waited behind others for longer than that begins when it is asked for", async () => {
  const own = await SqlServerSimulator.start({ databases: ["Locks"] });
  after(() => own.close());
  const store = await open({ connectionString: own.connectionStringFor("Locks"), table: "cdc_locks", leaseMs: 3_000 });
  after(() => store.close());
  await store.acquire("first", never);
  const { rows } = await own.query("SELECT MAX(session_id) FROM sys.dm_exec_sessions WHERE session_id <> @@SPID");
  own.faults.network({ bytesPerSecond: 3_000 }, { spid: Number(rows[0]![0]) });
  const began = performance.now();
  const locks = await Promise.all(Array.from({ length: 100 }, (_, n) => store.acquire(`a${n}`, never)));
  const took = performance.now() - began;
  own.faults.network({});
  assert.ok(took > 2_500, "the last one waited for longer than a lease is vouched for");
  assert.deepEqual(
    locks.filter((lock) => lock!.lost.aborted),
    [],
  );
});

test("nobody who only looks makes the table", async () => {
  const options = place();
  const store = await opened(options);
  assert.equal(await store.owner("a"), null);
  const { rows } = await simulator.query(`SELECT OBJECT_ID(N'dbo.${options.table}')`, "Locks");
  assert.equal(rows[0]![0], null);
});

test("a connection that is gone for the lease loses the lock, and before it ends", async () => {
  const own = await SqlServerSimulator.start({ databases: ["Locks"] });
  const store = await open({ connectionString: own.connectionStringFor("Locks"), table: "cdc_locks", leaseMs: 1_500 });
  const lock = await store.acquire("a", never);
  const began = performance.now();
  const lost = new Promise<void>((resolve) => lock!.lost.addEventListener("abort", () => resolve()));
  await own.close();
  await lost;
  assert.ok(performance.now() - began < 1_500);
  await store.close();
});

async function opened(options: SqlServerLockPlace) {
  const store = await open(options);
  after(() => store.close());
  return store;
}
