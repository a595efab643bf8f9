/** Killed at any instant, cut off from anything, frozen and woken: what the queue holds is complete and in order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SourceError, TransportError } from "../../src/errors.ts";
import { type Fault, Host, LEASE, lsn, World } from "./world.ts";

const SETTINGS = {
  maxBatchRows: 2,
  maxInFlightBytes: 1_000,
  timings: { sharingMs: 1_000, quietCheckpointMs: 20_000 },
};

/** Two tables with a backlog, a third that stays quiet, and commits that come while the ingester runs. */
function story(together: boolean): World {
  const world = new World(["Persons", "Cars", "Quiet"]);
  world.together = together;
  for (let i = 0; i < 3; i++) world.commit(["Persons", "Cars", "Persons"]);
  for (const time of [4_000, 11_000, 48_000]) world.clock.at(time, () => void world.commit(["Persons"]));
  world.clock.at(30_000, () => void world.commit(["Cars", "Persons"]));
  return world;
}

/** Runs the story with a fault, then, whatever has become of it, a second process to the end. */
async function tell(fault: Fault, together = false): Promise<{ world: World; first: Host; alone: boolean }> {
  const world = story(together);
  const first = new Host(world, fault);
  const run = first.start(SETTINGS);
  run.catch(() => {});
  await world.clock.advance(120_000);
  const alone = world.complete;
  if (!first.dead) first.stop.abort();
  await world.clock.advance(LEASE);
  const second = new Host(world);
  const end = second.start(SETTINGS);
  await world.clock.until(() => world.complete);
  await world.clock.advance(60_000);
  second.stop.abort();
  await world.clock.advance(10_000);
  await end;
  return { world, first, alone };
}

function unavailable(call: string): Error {
  if (call.startsWith("sender") || call.startsWith("transport"))
    return new TransportError("unavailable", "connection reset");
  return new SourceError("unavailable", "connection reset");
}

async function countCalls(together = false): Promise<number> {
  const { first } = await tell(() => undefined, together);
  return first.calls.length;
}

test("killed before or after any call it makes, the next process carries on: nothing lost, nothing out of order", async () => {
  const calls = await countCalls();
  assert.ok(calls > 40, `the story is long enough: ${calls} calls`);
  let repeats = 0;
  for (let n = 1; n <= calls; n++) {
    for (const moment of ["before", "after"] as const) {
      const { world, first } = await tell((call, _, at) => (call === n && at === moment ? "die" : undefined));
      assert.ok(first.dead, `killed ${moment} call ${n}`);
      world.verify();
      repeats += world.queue.length - new Set(world.queue.map(({ id }) => id)).size;
    }
  }
  assert.ok(repeats > 0, "some of the kills landed between a send and its checkpoint");
});

test("any one call that fails, done or not done, is made again by the same process, without a restart", async () => {
  const calls = await countCalls();
  for (let n = 1; n <= calls; n++) {
    for (const moment of ["before", "after"] as const) {
      let failed = "";
      const { world, alone } = await tell((call, name, at) => {
        if (call !== n || at !== moment) return undefined;
        failed = name;
        return unavailable(name);
      });
      assert.ok(failed, `call ${n} was made`);
      assert.ok(alone, `${failed} (call ${n}) failed ${moment} it was done, and the process went on`);
      world.verify();
    }
  }
});

test("everything that fails half of the time delays, and loses nothing", async () => {
  let seed = 7;
  const coin = () => (seed = (seed * 48271) % 2147483647) % 2 === 0;
  const { world } = await tell((_, name) => {
    return coin() ? unavailable(name) : undefined;
  });
  world.verify();
});

test("where the checkpoint is saved in one step with the send, no kill and no failure doubles a message either", async () => {
  const calls = await countCalls(true);
  assert.ok(calls > 40, `the story is long enough: ${calls} calls`);
  for (let n = 1; n <= calls; n++) {
    for (const moment of ["before", "after"] as const) {
      for (const blow of ["die", "fail"] as const) {
        const { world } = await tell((call, name, at) => {
          if (call !== n || at !== moment) return undefined;
          return blow === "die" ? "die" : unavailable(name);
        }, true);
        world.verify();
        const ids = world.queue.map(({ id }) => id);
        assert.deepEqual(ids, [...new Set(ids)], `${blow} ${moment} call ${n}`);
      }
    }
  }
});

/** A process that hangs in one call until it is let go. */
function frozen(host: Host, name: string, moment: "before" | "after") {
  const held = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let once = true;
  host.fault = (_, call, at) => {
    if (!once || !call.startsWith(name) || at !== moment) return undefined;
    once = false;
    reached.resolve();
    return held.promise;
  };
  return { reached: reached.promise, letGo: () => held.resolve() };
}

for (const [name, moment, what] of [
  ["sender.send", "before", "a send that reaches the queue only after the next owner's"],
  ["sender.send", "after", "a send whose acknowledgement comes after the lock was lost"],
  ["checkpoints.save", "before", "a save that reaches the database only after the next owner's"],
  ["reader.read", "after", "a read that ends after the lock was lost"],
] as const) {
  test(`a former owner does no harm with ${what}`, async () => {
    const world = new World(["Persons"]);
    for (let i = 0; i < 5; i++) world.commit(["Persons"]);
    // Past the first save, which only makes the start fast.
    world.stored.set("server/db/dbo.Persons", {
      checkpoint: { position: { startLsn: lsn(1), commandId: -1, seqval: lsn(0), operation: 0 }, commitTime: null },
      token: 1,
    });
    const zombie = new Host(world);
    const freeze = frozen(zombie, name, moment);
    const zombieEnd = zombie.start(SETTINGS);
    await world.clock.until(() => zombie.calls.some((call) => call.startsWith(name)));
    await freeze.reached;
    zombie.loseLocks();

    const next = new Host(world);
    const nextEnd = next.start(SETTINGS);
    await world.clock.until(() => next.calls.some((call) => call.startsWith("checkpoints.save")));
    await world.clock.advance(1_000);
    const position = world.position("Persons");
    assert.equal(position?.startLsn, lsn(6));
    const sends = zombie.count("sender.send");
    const saves = zombie.count("checkpoints.save");

    freeze.letGo();
    await world.clock.advance(10_000);
    assert.deepEqual(world.position("Persons"), position, "the checkpoint was not moved");
    assert.equal(zombie.count("sender.send"), sends, "nothing more was sent");
    assert.equal(zombie.count("checkpoints.save"), saves, "nothing more was saved");

    world.commit(["Persons"]);
    await world.clock.until(() => world.complete);
    world.verify();

    next.die();
    world.commit(["Persons"]);
    await world.clock.until(() => world.complete);
    world.verify();
    for (const host of [zombie, next]) host.stop.abort();
    await world.clock.advance(10_000);
    nextEnd.catch(() => {});
    await zombieEnd;
  });
}

test("after an operator moved the checkpoint, the running owner is fenced off and goes on from there", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 3; i++) world.commit(["Persons"]);
  const host = new Host(world);
  const end = host.start(SETTINGS);
  await world.clock.advance(1_000);
  const { table } = world.table("Persons");
  await host.checkpoints().force(table, {
    position: { startLsn: lsn(2), commandId: -1, seqval: lsn(0), operation: 0 },
    commitTime: null,
  });
  world.commit(["Persons"]);
  await world.clock.advance(20_000);
  const all = world.table("Persons").changes.map(({ message }) => message.id);
  assert.deepEqual(
    world.delivered("Persons"),
    [...all.slice(0, 3), all[3], ...all],
    "the new change, then all from LSN 2",
  );
  world.verify();
  host.stop.abort();
  await end;
});

test("a quiet checkpoint that finds another owner ends the work on that table", async () => {
  const world = new World(["Persons"]);
  const host = new Host(world);
  const end = host.start(SETTINGS);
  await world.clock.advance(6_000);
  world.stored.get("server/db/dbo.Persons")!.token += 10;
  const claims = host.count("checkpoints.claim");
  await world.clock.advance(60_000);
  assert.equal(host.count("checkpoints.claim"), claims + 1, "claimed anew, once");
  host.stop.abort();
  await end;
});

test("a table that is never sent twice at once: a send left to itself delays the next ownership", async () => {
  const world = new World(["Persons"]);
  world.commit(["Persons"]);
  const host = new Host(world);
  const freeze = frozen(host, "sender.send", "before");
  const end = host.start(SETTINGS);
  await world.clock.until(() => host.count("sender.send") === 1);
  host.loseLock("Persons");
  await world.clock.advance(60_000);
  const acquired = host.calls.filter((call) => call === "locks.acquire server/db/dbo.Persons");
  assert.equal(acquired.length, 1, "others may take the table; this process waits for its own send");
  freeze.letGo();
  await world.clock.until(() => world.delivered("Persons").length === 2);
  world.verify();
  host.stop.abort();
  await world.clock.advance(1_000);
  await end;
});

test("a table whose lock is lost while nothing happens is claimed anew, by whoever asks first, and read on", async () => {
  const world = new World(["Persons"]);
  const first = new Host(world);
  const end = first.start(SETTINGS);
  await world.clock.advance(10_000);
  const second = new Host(world);
  const secondEnd = second.start(SETTINGS);
  await world.clock.advance(10_000);
  first.loseLocks();
  await world.clock.until(() => first.count("checkpoints.claim") + second.count("checkpoints.claim") === 2, 10_000);
  world.commit(["Persons"]);
  await world.clock.until(() => world.complete, 10_000);
  world.verify();
  for (const host of [first, second]) host.stop.abort();
  await Promise.all([end, secondEnd]);
});

test("a lock lost while a save waits for a quiet write: the save is not made", async () => {
  const world = new World(["Persons", "Quiet"]);
  const host = new Host(world);
  const freeze = frozen(host, "checkpoints.saveAll", "before");
  const end = host.start(SETTINGS);
  await world.clock.until(() => host.count("checkpoints.saveAll") === 1);
  world.commit(["Persons"]);
  await world.clock.until(() => world.complete);
  const saves = host.count("checkpoints.save dbo.Persons");
  host.loseLock("Persons");
  world.owners.set("server/db/dbo.Persons", { host: new Host(world), token: 99, since: new Date(0) });
  freeze.letGo();
  await world.clock.advance(60_000);
  assert.equal(host.count("checkpoints.save dbo.Persons"), saves);
  host.stop.abort();
  await world.clock.advance(1_000);
  await end;
});
