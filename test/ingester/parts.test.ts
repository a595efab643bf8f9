/** The small parts that the ingester is put together from, each by itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { unlessAborted } from "../../src/abort.ts";
import { ListedRun } from "../../src/change/message-run.ts";
import { afterTransaction } from "../../src/change/position.ts";
import { SourceError } from "../../src/errors.ts";
import { BatchSizer } from "../../src/ingester/batch-sizer.ts";
import { Budget } from "../../src/ingester/budget.ts";
import { Outage } from "../../src/ingester/outage.ts";
import { PollInterval } from "../../src/ingester/poll-interval.ts";
import { lagSeconds } from "../../src/ingester/progress.ts";
import { QuietCheckpoints } from "../../src/ingester/quiet-checkpoints.ts";
import { lines, recorder } from "./log-recorder.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { Host, lsn, World } from "./world.ts";

const never = new AbortController().signal;

function messages(count: number, bytes: number): ListedRun {
  return new ListedRun(
    Array.from({ length: count }, () => ({ id: "", key: "", body: Buffer.alloc(bytes), properties: {} })),
  );
}

test("a batch sizer finds the rows that fill a batch, and follows when rows grow or shrink", () => {
  const sizer = new BatchSizer({ maxRows: 1000, maxBytes: 100_000 });
  const settle = (bytes: number) => {
    for (let i = 0; i < 40; i++) sizer.measured(messages(10, bytes));
  };
  settle(500);
  assert.ok(Math.abs(sizer.rows - 180) <= 1, `${sizer.rows} rows: a little less than fits`);
  settle(10_000);
  assert.equal(sizer.rows, 9);
  settle(10);
  assert.equal(sizer.rows, 1000, "never above the most rows");
  settle(5_000_000);
  assert.equal(sizer.rows, 1, "a row larger than a batch goes alone");
  assert.equal(sizer.expectedBytes, 5_000_000, "and the next may be as large");
  settle(500);
  assert.equal(sizer.expectedBytes, 100_000);
});

test("an empty batch says nothing about sizes", () => {
  const sizer = new BatchSizer({ maxRows: 1000, maxBytes: 102_400 });
  sizer.measured(messages(0, 0));
  assert.equal(sizer.rows, 90);
});

test("a table's interval doubles no sooner than it is over, and a maximum below the base counts as the base", () => {
  const interval = new PollInterval(5_000, 1_000, 0);
  interval.nothing(5_000);
  assert.equal(interval.current, 5_000);
  const slow = new PollInterval(30_000, 600_000, 0);
  for (let now = 2_000; now < 30_000; now += 2_000) slow.nothing(now);
  assert.equal(slow.current, 30_000);
  slow.nothing(30_000);
  assert.equal(slow.current, 60_000);
  slow.came(31_000);
  assert.equal(slow.current, 30_000);
});

test("a budget is handed out first come, first served", async () => {
  const budget = new Budget(10);
  const order: string[] = [];
  const take = async (amount: number, name: string) => {
    const grant = await budget.take(amount, never);
    order.push(name);
    return grant;
  };
  const a = await budget.take(6, never);
  const b = take(6, "b");
  const c = take(1, "c");
  await new Promise(setImmediate);
  assert.deepEqual(order, [], "the small one does not overtake");
  a.release();
  a.release();
  (await b).release();
  (await c).release();
  assert.deepEqual(order, ["b", "c"]);
  assert.equal(budget.used, 0);
});

test("more than the whole budget is granted when nothing else is out, so the largest row passes", async () => {
  const budget = new Budget(10);
  const small = await budget.take(1, never);
  let granted = false;
  const large = budget.take(50, never).then((grant) => {
    granted = true;
    return grant;
  });
  await new Promise(setImmediate);
  assert.equal(granted, false);
  small.release();
  const grant = await large;
  const next = budget.take(1, never);
  grant.resize(5);
  (await next).release();
});

test("who gives up waiting for the budget makes room for those behind", async () => {
  const budget = new Budget(10);
  const held = await budget.take(5, never);
  const impatient = new AbortController();
  const large = budget.take(8, impatient.signal);
  const behind = budget.take(3, never);
  impatient.abort(new Error("enough"));
  await assert.rejects(large, /enough/);
  (await behind).release();
  held.release();
  await assert.rejects(budget.take(1, impatient.signal), /enough/);
  assert.equal(budget.used, 0);
});

test("an abort leaves what goes on to itself, and its failure reaches nobody", async () => {
  const abort = new AbortController();
  const { promise, reject } = Promise.withResolvers<void>();
  const waiting = unlessAborted(promise, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  reject(new Error("late"));
  await new Promise(setImmediate);
});

test("the lag is the difference of two times that the server said", () => {
  assert.equal(lagSeconds("2026-11-21T10:11:12.123", "2026-11-21T10:11:14.623"), 2.5);
  assert.equal(lagSeconds(null, "2026-11-21T10:11:14.623"), undefined);
});

function quietWorld() {
  const world = new World(["A", "B"]);
  const host = new Host(world);
  const store = host.checkpoints();
  const tableA = world.table("A").table;
  const checkpoint = (n: number) => ({ position: afterTransaction(lsn(n)), commitTime: null });
  return { world, host, store, tableA, tableB: world.table("B").table, checkpoint };
}

test("a save waits for the quiet write that holds an older position of its table", async () => {
  const { world, host, store, tableA, checkpoint } = quietWorld();
  const { token } = await store.claim(tableA, 1);
  const quiet = new QuietCheckpoints(store);
  const slow = Promise.withResolvers<void>();
  host.fault = (_, name, moment) =>
    name.startsWith("checkpoints.saveAll") && moment === "before" ? slow.promise : undefined;
  quiet.note(tableA, checkpoint(5), token, assert.fail);
  const flushed = quiet.flush();
  const saved = quiet.withdraw(tableA).then(() => store.save(tableA, checkpoint(9), token));
  await new Promise(setImmediate);
  slow.resolve();
  await Promise.all([flushed, saved]);
  assert.equal(world.position("A")?.startLsn, lsn(9));
});

test("a failed quiet write is made again with the next flush, with the newest notes", async () => {
  const { world, host, store, tableA, tableB, checkpoint } = quietWorld();
  const a = await store.claim(tableA, 1);
  const b = await store.claim(tableB, 1);
  const quiet = new QuietCheckpoints(store);
  quiet.note(tableA, checkpoint(5), a.token, assert.fail);
  quiet.note(tableB, checkpoint(5), b.token, assert.fail);
  host.fault = () => new Error("down");
  await assert.rejects(quiet.flush(), /down/);
  host.fault = undefined;
  quiet.note(tableB, checkpoint(7), b.token, assert.fail);
  await quiet.flush();
  assert.deepEqual([world.position("A")?.startLsn, world.position("B")?.startLsn], [lsn(5), lsn(7)]);
  await quiet.flush();
  assert.equal(host.count("checkpoints.saveAll"), 2, "nothing left, nothing asked");
});

test("a note that finds another owner tells who noted it, and leaves the others written", async () => {
  const { world, store, tableA, tableB, checkpoint } = quietWorld();
  const a = await store.claim(tableA, 1);
  const b = await store.claim(tableB, 1);
  await store.claim(tableA, 1);
  const quiet = new QuietCheckpoints(store);
  let fenced = 0;
  quiet.note(tableA, checkpoint(5), a.token, () => fenced++);
  quiet.note(tableB, checkpoint(5), b.token, assert.fail);
  await quiet.flush();
  assert.equal(fenced, 1);
  assert.equal(world.position("A"), undefined);
  assert.equal(world.position("B")?.startLsn, lsn(5));
});

test("a quiet write under way does not forget a note that came meanwhile", async () => {
  const { world, host, store, tableA, checkpoint } = quietWorld();
  const { token } = await store.claim(tableA, 1);
  const quiet = new QuietCheckpoints(store);
  const slow = Promise.withResolvers<void>();
  host.fault = (_, name, moment) =>
    name.startsWith("checkpoints.saveAll") && moment === "after" ? slow.promise : undefined;
  quiet.note(tableA, checkpoint(5), token, assert.fail);
  const flushed = quiet.flush();
  await new Promise(setImmediate);
  quiet.note(tableA, checkpoint(9), token, assert.fail);
  slow.resolve();
  await flushed;
  await quiet.flush();
  assert.equal(world.position("A")?.startLsn, lsn(9));
});

function outage() {
  const clock = new VirtualClock();
  const log = recorder();
  const database = new Outage("the database", { logger: log.logger, clock, random: () => 0.5 });
  const said = () =>
    [...lines(log, "warn"), ...lines(log, "info")].map((line) => (JSON.parse(line) as { msg: string }).msg);
  return { clock, database, said };
}

test("an outage is over when the last of those that failed has succeeded", async () => {
  const { clock, database, said } = outage();
  let up = 0;
  const call = (from: number) => async () => {
    if (up < from) throw new SourceError("unavailable", "refused");
    return from;
  };
  const calls = Promise.all([database.ride(call(1), never), database.ride(call(2), never)]);
  await clock.advance(10_000);
  up = 1;
  await clock.advance(60_000);
  assert.deepEqual(said(), ["waiting for the database: refused"]);
  assert.equal(await database.ride(call(0), never), 0, "a call that never failed says nothing about it");
  up = 2;
  await clock.advance(60_000);
  assert.deepEqual(await calls, [1, 2]);
  assert.equal(said().length, 2);
  assert.match(said()[1]!, /^the database is back after \d+ s$/);
});

test("what waiting does not heal is not waited for", async () => {
  const { database, said } = outage();
  const denied = () => Promise.reject(new SourceError("table", "denied"));
  await assert.rejects(database.ride(denied, never), /denied/);
  assert.deepEqual(said(), []);
});

test("once told to stop a first call is still made, but no failed one is made again; once cut off none is", async () => {
  const { database } = outage();
  let calls = 0;
  const fails = async () => {
    calls++;
    throw new SourceError("unavailable", "refused");
  };
  const aborted = AbortSignal.abort(new Error("stop"));
  await assert.rejects(database.ride(fails, aborted, never), /refused/);
  assert.equal(calls, 1);
  await assert.rejects(database.ride(fails, aborted), /stop/);
  assert.equal(calls, 1);
});
