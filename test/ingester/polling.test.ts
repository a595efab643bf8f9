/** What the ingester asks the database, and when: counted to the query, in virtual time. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { SourceError } from "../../src/errors.ts";
import { lines, recorder } from "./log-recorder.ts";
import { Host, type HostSettings, lsn, World } from "./world.ts";

const running: { host: Host; end: Promise<void> }[] = [];

async function start(world: World, settings: HostSettings = {}): Promise<Host> {
  const host = new Host(world);
  running.push({ host, end: host.start(settings) });
  await world.clock.settle();
  return host;
}

afterEach(async () => {
  for (const { host, end } of running.splice(0)) {
    host.stop.abort();
    await end;
  }
});

/** The calls made while the time passes, but for those to the lock store: one for all tables, once in five seconds. */
async function during(host: Host, ms: number): Promise<string[]> {
  const before = host.calls.length;
  await host.world.clock.advance(ms);
  const calls = host.calls.slice(before);
  assert.ok(calls.filter((name) => name.startsWith("lock")).length <= ms / 5_000 + 1);
  return calls.filter((name) => !name.startsWith("lock"));
}

test("a thousand idle tables cost one query an interval", async () => {
  const world = new World(Array.from({ length: 1000 }, (_, i) => `T${i}`));
  const host = await start(world, { table: { pollIntervalMs: 5_000, maxPollIntervalMs: 5_000 } });
  await world.clock.advance(5_000);
  assert.equal(host.count("reader.read"), 1000, "each is read once, to hold its checkpoint against the history");
  assert.deepEqual(await during(host, 60_000), Array(12).fill("source.maximum"));
});

test("when the maximum moves without a change of ours, one more query covers a thousand tables, and nothing is read", async () => {
  const world = new World(Array.from({ length: 1000 }, (_, i) => `T${i}`));
  const host = await start(world, { table: { pollIntervalMs: 5_000, maxPollIntervalMs: 5_000 } });
  await world.clock.advance(5_000);
  world.commit([]);
  assert.deepEqual(await during(host, 10_000), ["source.maximum", "source.changed", "source.maximum"]);
});

test("only the tables that changed are read", async () => {
  const world = new World(["A", "B", "C", "D"]);
  const host = await start(world);
  await world.clock.advance(1_000);
  world.commit(["B", "D"]);
  assert.deepEqual((await during(host, 5_000)).toSorted(), [
    "checkpoints.save dbo.B",
    "checkpoints.save dbo.D",
    "reader.read dbo.B",
    "reader.read dbo.D",
    "sender.send dbo.B",
    "sender.send dbo.D",
    "source.changed",
    "source.maximum",
  ]);
});

/** When the database was asked for its maximum. */
function questions(host: Host): number[] {
  const times: number[] = [];
  host.fault = (_, name, moment) => {
    if (name === "source.maximum" && moment === "before") times.push(host.world.clock.now());
    return undefined;
  };
  return times;
}

test("while nothing comes the interval doubles up to its maximum, and a change brings it back to the base at once", async () => {
  const world = new World(["A"]);
  const host = await start(world, { table: { pollIntervalMs: 5_000, maxPollIntervalMs: 40_000 } });
  const times = questions(host);
  await world.clock.advance(155_000);
  assert.deepEqual(times, [5_000, 15_000, 35_000, 75_000, 115_000, 155_000]);
  world.clock.at(160_000, () => void world.commit(["A"]));
  await world.clock.advance(60_000);
  assert.deepEqual(times.slice(6), [195_000, 200_000, 210_000]);
  assert.equal(world.delivered("A").length, 1);
});

test("a maximum that moves all the time without a change of ours does not keep the interval short", async () => {
  const world = new World(["A"]);
  const host = await start(world, { table: { pollIntervalMs: 5_000, maxPollIntervalMs: 40_000 } });
  const times = questions(host);
  for (let time = 500; time < 160_000; time += 1_000) world.clock.at(time, () => void world.commit([]));
  await world.clock.advance(155_000);
  assert.deepEqual(times, [5_000, 15_000, 35_000, 75_000, 115_000, 155_000]);
});

test("the watcher asks at the smallest interval that any table has reached; its query covers the tables that backed off too", async () => {
  const world = new World(["Slow", "Fast"]);
  const host = await start(world, {
    table: ({ table }) =>
      table === "Fast"
        ? { pollIntervalMs: 2_000, maxPollIntervalMs: 2_000 }
        : { pollIntervalMs: 30_000, maxPollIntervalMs: 3_600_000 },
  });
  await world.clock.advance(600_000);
  const times = questions(host);
  world.commit(["Slow"]);
  await world.clock.advance(2_000);
  assert.deepEqual(times, [602_000]);
  assert.equal(world.delivered("Slow").length, 1, "a change that is known is not delayed by backing off");
});

test("a table that changes all the time is read once every base interval", async () => {
  const world = new World(["Slow", "Fast"]);
  const host = await start(world, {
    table: ({ table }) => ({ pollIntervalMs: table === "Fast" ? 1_000 : 10_000, maxPollIntervalMs: 60_000 }),
  });
  for (let second = 1; second <= 60; second++)
    world.clock.at(second * 1000 - 500, () => void world.commit(["Slow", "Fast"]));
  await world.clock.advance(60_000);
  assert.equal(host.count("reader.read dbo.Fast"), 61);
  assert.equal(host.count("reader.read dbo.Slow"), 7);
  await world.clock.advance(10_000);
  assert.ok(world.complete);
});

test("while a read comes back full, the next starts without a pause", async () => {
  const world = new World(["A"]);
  for (let i = 0; i < 95; i++) world.commit(["A"]);
  const host = await start(world, { maxBatchRows: 10 });
  assert.equal(host.count("reader.read"), 10, "all of it before any time has passed");
  assert.ok(world.complete);
  assert.equal(world.clock.now(), 0);
});

test("no more tables are read at once than max_concurrent_tables", async () => {
  const world = new World(Array.from({ length: 20 }, (_, i) => `T${i}`));
  const names = [...world.tables.keys()];
  const host = await start(world, { maxConcurrentTables: 3 });
  await world.clock.advance(1_000);
  world.commit(names);
  let reading = 0;
  let most = 0;
  host.fault = (_, name, moment) => {
    if (!name.startsWith("reader.read")) return undefined;
    reading += moment === "before" ? 1 : -1;
    most = Math.max(most, reading);
    return new Promise((resolve) => world.clock.at(world.clock.now() + 100, resolve));
  };
  await world.clock.advance(20_000);
  assert.ok(world.complete);
  assert.equal(most, 3);
});

test("a table that cannot be asked about does not hold up the others: each is read, and the one at fault stops", async () => {
  const world = new World(["Good", "Bad"]);
  const host = await start(world);
  await world.clock.advance(1_000);
  let healed = false;
  host.fault = (_, name, moment) => {
    if (healed || moment === "after" || !(name === "source.changed" || name === "reader.read dbo.Bad"))
      return undefined;
    return new SourceError("table", "no permission on cdc.dbo_Bad_CT");
  };
  world.commit(["Good", "Bad"]);
  await world.clock.advance(10_000);
  assert.equal(world.delivered("Good").length, 1);
  assert.equal(world.delivered("Bad").length, 0);
  healed = true;
  await world.clock.advance(120_000);
  assert.equal(world.delivered("Bad").length, 1, "and goes on when somebody has granted it");
});

test("quiet tables' checkpoints reach the maximum lazily: one statement for all", async () => {
  const world = new World(["A", "B", "C"]);
  const host = await start(world, { timings: { quietCheckpointMs: 300_000 } });
  await world.clock.advance(250_000);
  for (let i = 0; i < 50; i++) world.commit([]);
  await world.clock.advance(49_000);
  assert.equal(host.count("checkpoints.saveAll"), 0);
  await world.clock.advance(2_000);
  assert.equal(host.count("checkpoints.saveAll"), 1);
  for (const name of ["A", "B", "C"]) assert.equal(world.position(name)?.startLsn, lsn(51));
});

test("a quiet table whose checkpoint merely aged is no gap: cleanup passes the place where it last read", async () => {
  const world = new World(["A", "B"]);
  world.commit(["A", "B"]);
  await start(world);
  await world.clock.advance(1_000);
  for (let i = 0; i < 100; i++) world.commit(["B"]);
  await world.clock.advance(300_000);
  world.cleanup("A", lsn(60));
  world.cleanup("B", lsn(60));
  world.commit(["A"]);
  await world.clock.advance(120_000);
  assert.equal(world.delivered("A").length, 2);
});

test("quiet checkpoints are written at shutdown, one statement for all", async () => {
  const world = new World(["A", "B", "C"]);
  const host = await start(world);
  world.commit([]);
  await world.clock.advance(5_000);
  host.stop.abort();
  await world.clock.settle();
  assert.equal(host.count("checkpoints.saveAll"), 1);
  for (const name of ["A", "B", "C"]) assert.equal(world.position(name)?.startLsn, lsn(2));
});

test("after the connection was lost every table is held against the history again, as behind it there may be another", async () => {
  const world = new World(["A", "B"]);
  const host = await start(world);
  await world.clock.advance(4_000);
  let down = true;
  host.fault = (_, name) =>
    down && name.startsWith("source") ? new SourceError("unavailable", "connection reset") : undefined;
  await world.clock.advance(60_000);
  down = false;
  const reads = host.count("reader.read");
  await world.clock.advance(60_000);
  assert.equal(host.count("reader.read"), reads + 2);
});

test("a maximum that went backwards stops the tables that were read beyond it", async () => {
  const world = new World(["A"]);
  for (let i = 0; i < 10; i++) world.commit(["A"]);
  const log = recorder();
  const host = await start(world, { logger: log.logger });
  await world.clock.advance(4_000);
  world.last = 5;
  await world.clock.advance(20_000);
  assert.ok(lines(log, "error").some((line) => line.includes("dbo.A stops") && line.includes("above the maximum LSN")));
  const reads = host.count("reader.read");
  world.last = 50;
  await world.clock.advance(300_000);
  assert.equal(host.count("reader.read"), reads, "and a maximum that has caught up does not make it the same history");
});

test("a database that is restored between the two questions is asked both again, and the tables read beyond it stop", async () => {
  const world = new World(["A"]);
  for (let i = 0; i < 10; i++) world.commit(["A"]);
  const log = recorder();
  const host = await start(world, { logger: log.logger });
  await world.clock.advance(4_000);
  world.commit([]);
  host.fault = (_, name) => {
    if (name !== "source.changed") return undefined;
    world.last = 5;
    return new SourceError("unavailable", "this connection has not seen the bound");
  };
  await world.clock.advance(60_000);
  assert.equal(host.count("source.changed"), 1, "the bound from before is not asked about again");
  assert.ok(lines(log, "error").some((line) => line.includes("dbo.A stops") && line.includes("above the maximum LSN")));
});

test("a maximum from a server that lags behind moves no checkpoint backwards, and nothing is sent twice", async () => {
  const world = new World(["A"]);
  for (let i = 0; i < 10; i++) world.commit(["A"]);
  const host = await start(world);
  await world.clock.advance(4_000);
  host.lag = 4;
  await world.clock.advance(60_000);
  host.stop.abort();
  await world.clock.settle();
  assert.equal(world.position("A")?.startLsn, lsn(11));
  assert.equal(world.delivered("A").length, 10);
});

test("a batch cut short for the sake of one large message is followed by full ones", async () => {
  const world = new World(["A"]);
  world.commit(["A"]);
  world.commit(["A"], 5_000);
  for (let i = 0; i < 50; i++) world.commit(["A"]);
  world.limits = { maxMessageBytes: 2_000, maxSendBytes: 1_000_000 };
  const host = await start(world, { onOversize: "dead_letter" });
  assert.equal(world.delivered("A").length, 51);
  assert.ok(host.count("reader.read") <= 6, `${host.count("reader.read")} reads`);
});

test("tables that are claimed one after the other share the questions for the maximum", async () => {
  const world = new World(Array.from({ length: 50 }, (_, i) => `T${i}`));
  const host = new Host(world);
  let claims = 0;
  host.fault = (_, name, moment) => {
    if (!name.startsWith("checkpoints.claim") || moment === "after") return undefined;
    const time = world.clock.now() + 10 * ++claims;
    return new Promise((resolve) => world.clock.at(time, resolve));
  };
  running.push({ host, end: host.start({ maxConcurrentTables: 50 }) });
  await world.clock.advance(1_000);
  assert.equal(host.count("reader.read"), 50);
  assert.ok(host.count("source.maximum") <= 7, `${host.count("source.maximum")} questions in half a second`);
});

test("while CDC has captured nothing at all, the ingester waits for its first scan", async () => {
  const world = new World(["A"]);
  world.last = 0;
  const log = recorder();
  const host = await start(world, { logger: log.logger });
  await world.clock.advance(60_000);
  assert.equal(host.count("reader.read"), 0);
  assert.equal(lines(log, "info").filter((line) => line.includes("captured nothing yet")).length, 1);
  world.commit(["A"]);
  await world.clock.until(() => world.complete, 120_000);
});
