/** How ingesters of one configuration divide the tables among themselves, in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Host, type HostSettings, LEASE, World } from "./world.ts";

const ROUND = 1_000;
const SETTINGS: HostSettings = {
  table: { pollIntervalMs: ROUND, maxPollIntervalMs: ROUND },
  timings: { sharingMs: ROUND },
};

interface Running {
  host: Host;
  end: Promise<void>;
}

function begin(world: World, settings: HostSettings = SETTINGS): Running {
  const host = new Host(world);
  return { host, end: host.start(settings) };
}

async function endAll(world: World, running: readonly Running[]): Promise<void> {
  for (const { host } of running) host.stop.abort();
  await world.clock.advance(20_000);
  await Promise.all(running.filter(({ host }) => !host.dead).map(({ end }) => end));
}

/** How many tables each has, the most first. */
function shares(world: World, running: readonly Running[]): number[] {
  const counts = running.map(
    ({ host }) =>
      [...world.owners].filter(([name, owner]) => owner.host === host && !name.includes(".ingesters/")).length,
  );
  return counts.sort((a, b) => b - a);
}

const tables = (count: number) => Array.from({ length: count }, (_, i) => `T${String(i).padStart(2, "0")}`);

test("one joins: within two poll intervals the tables are divided evenly", async () => {
  const world = new World(tables(7));
  const running = [begin(world)];
  await world.clock.advance(ROUND);
  assert.deepEqual(shares(world, running), [7]);
  running.push(begin(world));
  await world.clock.advance(2 * ROUND);
  assert.deepEqual(shares(world, running), [4, 3]);
  running.push(begin(world));
  await world.clock.advance(2 * ROUND);
  assert.deepEqual(shares(world, running), [3, 2, 2]);
  await endAll(world, running);
});

test("one is told to stop: the others have its tables within two poll intervals", async () => {
  const world = new World(tables(6));
  const running = [begin(world), begin(world), begin(world)];
  await world.clock.advance(4 * ROUND);
  assert.deepEqual(shares(world, running), [2, 2, 2]);
  running[1]!.host.stop.abort();
  await world.clock.advance(2 * ROUND);
  assert.deepEqual(shares(world, [running[0]!, running[2]!]), [3, 3]);
  await endAll(world, running);
});

test("one is killed: the others have its tables within two poll intervals after its leases ended", async () => {
  const world = new World(tables(6));
  const running = [begin(world), begin(world), begin(world)];
  await world.clock.advance(4 * ROUND);
  running[0]!.host.die();
  await world.clock.advance(LEASE - ROUND);
  assert.deepEqual(shares(world, running.slice(1)), [2, 2], "not before");
  await world.clock.advance(3 * ROUND);
  assert.deepEqual(shares(world, running.slice(1)), [3, 3]);
  await endAll(world, running);
});

test("a newcomer takes no table that it need not have, whichever place among them has become free", async () => {
  const world = new World(tables(1));
  const running = [begin(world)];
  await world.clock.advance(2 * ROUND);
  running.push(begin(world));
  await world.clock.advance(2 * ROUND);
  // The second now has the table, and the first one's number is to be had.
  running[0]!.host.stop.abort();
  await world.clock.advance(2 * ROUND);
  const owner = () => [...world.owners].find(([name]) => !name.includes(".ingesters/"))![1];
  const before = owner();
  assert.equal(before.host, running[1]!.host);
  running.push(begin(world));
  await world.clock.advance(10 * ROUND);
  assert.equal(owner(), before, "it was never handed over");
  await endAll(world, running);
});

test("a table that is handed over is read on by its new owner from where the former has saved it", async () => {
  const world = new World(tables(4));
  const running = [begin(world)];
  for (let i = 0; i < 20; i++) {
    world.commit(tables(4));
    if (i === 5) running.push(begin(world));
    await world.clock.advance(700);
  }
  await world.clock.until(() => world.complete);
  assert.equal(world.queue.length, 80, "nothing was sent twice");
  world.verify();
  await endAll(world, running);
});

test("a table that is stopped stays with its owner: it is no other's loss", async () => {
  const world = new World(tables(4));
  for (let i = 0; i < 5; i++) world.commit(tables(4));
  const first = begin(world);
  await world.clock.advance(5_000);
  await endAll(world, [first]);
  for (let i = 0; i < 5; i++) world.commit(tables(4));
  world.cleanup("T01", world.table("T01").changes.at(-1)!.position.startLsn);
  const running = [begin(world), begin(world)];
  await world.clock.advance(20_000);
  running.push(begin(world));
  await world.clock.advance(20_000);
  assert.deepEqual(shares(world, running), [2, 1, 1]);
  for (const name of ["T00", "T02", "T03"]) assert.equal(world.delivered(name).length, 10, name);
  assert.equal(world.failures.size, 1);
  await endAll(world, running);
});

test("ingesters with other tables take nothing from each other, and leave nothing unread", async () => {
  const world = new World(tables(4));
  const all = begin(world);
  await world.clock.advance(4 * ROUND);
  const other = begin(world, { ...SETTINGS, group: "another configuration" });
  await world.clock.advance(10 * ROUND);
  assert.deepEqual(shares(world, [all, other]), [4, 0]);
  all.host.stop.abort();
  await world.clock.advance(2 * ROUND);
  assert.deepEqual(shares(world, [other]), [4]);
  await endAll(world, [all, other]);
});

test("a table that appears is found, read from its first change on, and shared", async () => {
  const world = new World(tables(3));
  world.start = "now";
  const settings = { ...SETTINGS, timings: { sharingMs: ROUND, discoveryMs: 10 * ROUND } };
  const running = [begin(world, settings), begin(world, settings)];
  await world.clock.advance(4 * ROUND);
  world.addTable("Late");
  world.commit(["Late"]);
  world.commit(["Late"]);
  await world.clock.advance(14 * ROUND);
  assert.equal(world.delivered("Late").length, 2, 'start = "now" is when it appeared, not when it was found');
  assert.deepEqual(shares(world, running), [2, 2]);
  world.verify();
  await endAll(world, running);
});

test("whoever comes and goes, and however: at rest every table has one owner, evenly within one", async () => {
  const step = fc.record({
    do: fc.constantFrom("join" as const, "leave" as const, "kill" as const, "lose" as const),
    who: fc.nat(7),
    ms: fc.integer({ min: 0, max: 8_000 }),
  });
  const property = fc.asyncProperty(
    fc.integer({ min: 0, max: 12 }),
    fc.array(step, { maxLength: 15 }),
    async (n, steps) => {
      const world = new World(["first", ...tables(n)]);
      const all = [begin(world)];
      let living = [...all];
      for (const { do: what, who, ms } of steps) {
        const chosen = living[who % Math.max(1, living.length)];
        if (what === "join" || chosen === undefined) {
          const joined = begin(world);
          all.push(joined);
          living.push(joined);
        } else if (what === "lose") chosen.host.loseLocks();
        else {
          if (what === "kill") chosen.host.die();
          else chosen.host.stop.abort();
          living = living.filter((each) => each !== chosen);
        }
        world.commit(["first"]);
        await world.clock.advance(ms);
      }
      if (living.length === 0) living.push(begin(world));
      await world.clock.advance(LEASE + 12 * ROUND);
      const counts = shares(world, living);
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        n + 1,
        "every table has an owner",
      );
      assert.ok(counts[0]! - counts.at(-1)! <= 1, `evenly: ${counts}`);
      await world.clock.until(() => world.complete);
      world.verify();
      await endAll(world, [...all, ...living]);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});
