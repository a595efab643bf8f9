/** What a user sees of the ingester: starts, gaps, oversized rows, outages, shutdown. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { unpackBatch } from "../../src/change/formats/batch-message.ts";
import { messageSize } from "../../src/change/message.ts";
import { HistoryError, SourceError, TransportError } from "../../src/errors.ts";
import { lines, recorder } from "./log-recorder.ts";
import { Host, type HostSettings, lsn, World } from "./world.ts";

const running: { host: Host; end: Promise<void> }[] = [];

async function start(world: World, settings: HostSettings = {}, host = new Host(world)): Promise<Host> {
  const end = host.start(settings);
  end.catch(() => {});
  running.push({ host, end });
  await world.clock.settle();
  return host;
}

afterEach(async () => {
  for (const { host, end } of running.splice(0)) {
    host.stop.abort();
    await host.world.clock.advance(10_000);
    await end.catch(() => {});
  }
});

test("a table without a checkpoint starts with all that CDC still has", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 5; i++) world.commit(["Persons"]);
  await start(world);
  assert.equal(world.delivered("Persons").length, 5);
});

test('with start = "now" a crash before the first change does not move "now"', async () => {
  const world = new World(["Persons"]);
  world.start = "now";
  world.commit(["Persons"]);
  const first = await start(world);
  await world.clock.advance(1_000);
  first.die();
  world.commit(["Persons"]);
  await start(world);
  await world.clock.advance(60_000);
  assert.deepEqual(world.delivered("Persons"), ["dbo.Persons-00000000000000000003-0"]);
});

test("the ingest queue and every table's destination are there before a message needs them", async () => {
  const world = new World(["Persons", "sales.Orders"]);
  await start(world, { destinations: true });
  assert.deepEqual(world.entities, ["ingest-queue", "server.db.Persons.events", "server.db.Orders.events"]);
});

test("a destination system that is down does not hold up the ingest queue", async () => {
  const world = new World(["Persons"]);
  world.commit(["Persons"]);
  const host = new Host(world, (_, name) =>
    name === "transport.ensure server.db.Persons.events" ? new TransportError("unavailable", "down") : undefined,
  );
  await start(world, { destinations: true }, host);
  assert.ok(world.complete);
});

test("no table at all is an error that says so", async () => {
  await assert.rejects(new Host(new World([])).start(), /There is no table to read/);
});

test("there are more ingesters than tables: a spare stands by, asks the database nothing, and takes over when the owner dies", async () => {
  const world = new World(["Persons"]);
  const log = recorder();
  const owner = await start(world);
  await world.clock.advance(1_000);
  const spare = await start(world, { logger: log.logger });
  await world.clock.advance(60_000);
  assert.equal(spare.count("source.maximum"), 0);
  const said = lines(log, "info").filter((line) => line.includes("2 ingesters share 1 tables: this one stands by"));
  assert.equal(said.length, 1, "said once");
  owner.die();
  world.commit(["Persons"]);
  await world.clock.until(() => world.complete, 60_000);
  world.verify();
});

test("two ingesters share the tables, and each change is sent once", async () => {
  const world = new World(["A", "B", "C", "D"]);
  for (let i = 0; i < 10; i++) world.commit(["A", "B", "C", "D"]);
  await Promise.all([start(world), start(world)]);
  await world.clock.advance(10_000);
  assert.equal(world.queue.length, 40);
  world.verify();
});

test("a checkpoint older than the low watermark stops the table with both LSNs and the ways out, while the others go on", async () => {
  const world = new World(["Persons", "Cars"]);
  const first = await start(world);
  for (let i = 0; i < 5; i++) world.commit(["Persons", "Cars"]);
  await world.clock.advance(120_000);
  first.stop.abort();
  await world.clock.advance(1_000);
  for (let i = 0; i < 10; i++) world.commit(["Persons", "Cars"]);
  world.cleanup("Persons", lsn(12));
  const log = recorder();
  const second = await start(world, { logger: log.logger });
  await world.clock.advance(600_000);
  assert.equal(world.delivered("Cars").length, 15);
  assert.equal(world.delivered("Persons").length, 5);
  const errors = lines(log, "error").filter((line) => line.includes("dbo.Persons stops"));
  assert.equal(errors.length, 1, "said once");
  assert.match(errors[0]!, new RegExp(`${lsn(6)}.*${lsn(12)}`));
  assert.match(errors[0]!, /Set the checkpoint/);
  assert.match(world.failures.get("dbo.Persons")!, new RegExp(lsn(12)), "kept for others to see");

  const { table } = world.table("Persons");
  const position = { startLsn: lsn(12), commandId: -1, seqval: lsn(0), operation: 0 };
  await second.checkpoints().force(table, { position, commitTime: null });
  await world.clock.advance(120_000);
  assert.equal(world.delivered("Persons").length, 10, "it goes on by itself from the checkpoint that was set");
  assert.equal(world.failures.size, 0);
});

test('on_gap = "skip" goes on from the low watermark and logs both LSNs', async () => {
  const world = new World(["Persons"]);
  const log = recorder();
  await start(world, { table: { onGap: "skip" }, maxBatchRows: 2, logger: log.logger });
  world.stored.set("server/db/dbo.Persons", { checkpoint: null, token: 1 });
  await world.clock.advance(1_000);
  for (let i = 0; i < 10; i++) world.commit(["Persons"]);
  world.cleanup("Persons", lsn(8));
  await world.clock.advance(20_000);
  assert.equal(world.delivered("Persons").length, 4);
  const [warning] = lines(log, "warn").filter((line) => line.includes("lost"));
  assert.match(warning!, new RegExp(`${lsn(1)}.*${lsn(8)}`));
});

test("changes that cleanup took while they were read are a gap, not a shorter batch", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 10; i++) world.commit(["Persons"]);
  const host = new Host(world);
  host.fault = (_, name, moment) => {
    if (name.startsWith("reader.read") && moment === "before" && host.count("reader.read") === 2)
      world.cleanup("Persons", lsn(9));
    return undefined;
  };
  await start(world, { maxBatchRows: 2 }, host);
  await world.clock.advance(60_000);
  assert.equal(world.delivered("Persons").length, 2);
  assert.equal(world.position("Persons")?.startLsn, lsn(3));
});

test("another history stops the table until its checkpoint is set, however far the new history grows", async () => {
  const world = new World(["Persons"]);
  const log = recorder();
  const host = new Host(world, (_, name, moment) =>
    name.startsWith("reader.read") && moment === "before"
      ? new HistoryError("LSN 5 has another commit time")
      : undefined,
  );
  await start(world, { logger: log.logger }, host);
  await world.clock.advance(3_600_000);
  assert.equal(host.count("reader.read"), 1);
  assert.equal(
    lines(log, "error").filter((line) => line.includes("another commit time") && line.includes("stops")).length,
    1,
  );
  assert.ok(
    lines(log, "error").some((line) => line.includes("still stopped")),
    "and a reminder comes now and then",
  );
});

test("a login that fails ends the ingester, with its reason", async () => {
  const world = new World(["Persons", "Cars"]);
  world.commit(["Cars"]);
  const host = new Host(world, (_, name) =>
    name === "reader.read dbo.Persons" ? new SourceError("fatal", "Login failed for user 'sa'.") : undefined,
  );
  await assert.rejects(host.start(), /Login failed/);
  assert.equal(world.owners.size, 0, "all locks are released");
});

test("a lost database is waited for: one line when it goes, one when it is back", async () => {
  const world = new World(["A", "B", "C"]);
  const log = recorder();
  const host = await start(world, { logger: log.logger });
  await world.clock.advance(4_000);
  let down = true;
  host.fault = (_, name) =>
    down && /^(source|reader|checkpoints)/.test(name)
      ? new SourceError("unavailable", "db1: connection refused")
      : undefined;
  world.commit(["A", "B", "C"]);
  await world.clock.advance(120_000);
  down = false;
  await world.clock.advance(60_000);
  assert.ok(world.complete);
  const said = [...lines(log, "warn"), ...lines(log, "info")].filter((line) => line.includes("the database"));
  assert.equal(said.length, 2, said.join("\n"));
  assert.match(said[0]!, /waiting for the database: db1: connection refused/);
  assert.match(said[1]!, /the database is back after \d+ s/);
});

test("a lost queue is waited for, however long; what it took without saying so comes again with the same ids, in order", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 6; i++) world.commit(["Persons"]);
  const host = new Host(world);
  let failures = 0;
  host.fault = (_, name, moment) =>
    name.startsWith("sender.send") && moment === (failures % 2 ? "after" : "before") && failures++ < 20
      ? new TransportError("unavailable", "amqp: detached")
      : undefined;
  await start(world, { maxBatchRows: 3 }, host);
  await world.clock.until(() => world.complete);
  world.verify();
  assert.ok(world.queue.length > 6);
});

test("a table that stops again and again says so once each time, and when it goes on", async () => {
  const world = new World(["Persons"]);
  const log = recorder();
  let denied = true;
  const host = new Host(world, (_, name) =>
    denied && name.startsWith("reader.read")
      ? new SourceError("table", "SELECT was denied", { advice: "GRANT SELECT" })
      : undefined,
  );
  await start(world, { logger: log.logger }, host);
  const stops = () => lines(log, "error").filter((line) => line.includes("dbo.Persons stops")).length;
  await world.clock.advance(300_000);
  assert.equal(stops(), 1);
  denied = false;
  await world.clock.advance(120_000);
  assert.equal(lines(log, "info").filter((line) => line.includes("dbo.Persons goes on")).length, 1);
  await world.clock.advance(1_200_000);
  assert.ok(!lines(log, "error").some((line) => line.includes("still stopped")));
  denied = true;
  world.commit(["Persons"]);
  await world.clock.advance(300_000);
  assert.equal(stops(), 2);
});

test("a queue that refuses the table's messages stops that table, and is asked again later", async () => {
  const world = new World(["Persons", "Cars"]);
  world.commit(["Persons", "Cars"]);
  let refusing = true;
  const host = new Host(world, (_, name) =>
    refusing && name === "sender.send dbo.Persons" ? new TransportError("rejected", "no right to send") : undefined,
  );
  await start(world, {}, host);
  await world.clock.advance(10_000);
  assert.equal(world.delivered("Cars").length, 1);
  assert.equal(host.count("sender.send dbo.Persons"), 1);
  refusing = false;
  await world.clock.advance(120_000);
  assert.ok(world.complete);
});

for (const onOversize of ["stop", "dead_letter"] as const) {
  for (const knownLimit of [true, false]) {
    const how = knownLimit ? "above the transport's limit" : "that the queue finds too large";
    test(`on_oversize = "${onOversize}": a message ${how}`, async () => {
      const world = new World(["Persons"]);
      for (let i = 0; i < 5; i++) world.commit(["Persons"]);
      world.commit(["Persons"], 5_000);
      for (let i = 0; i < 5; i++) world.commit(["Persons"]);
      if (knownLimit) world.limits = { maxMessageBytes: 2_000, maxSendBytes: 1_000_000 };
      const log = recorder();
      const host = new Host(world);
      if (!knownLimit) host.refuse = (message) => messageSize(message) > 2_000;
      await start(world, { onOversize, logger: log.logger }, host);
      await world.clock.advance(10_000);
      if (onOversize === "stop") {
        assert.equal(world.delivered("Persons").length, 5, "what stands before it is delivered");
        assert.equal(world.position("Persons")?.startLsn, lsn(6), "and the checkpoint stands right before it");
        const [error] = lines(log, "error");
        assert.match(error!, new RegExp(`dbo.Persons at LSN ${lsn(7)}.*makes a message of 5\\d\\d\\d bytes`));
      } else {
        assert.equal(world.delivered("Persons").length, 10);
        assert.deepEqual(
          world.deadLetters.map(({ position, message }) => [position.startLsn, message.id]),
          [[lsn(7), `dbo.Persons-${lsn(7)}-0`]],
        );
      }
    });
  }
}

test("a dead letter is durable before anything after it is sent", async () => {
  const world = new World(["Persons"]);
  world.commit(["Persons"], 5_000);
  world.commit(["Persons"]);
  world.limits = { maxMessageBytes: 2_000, maxSendBytes: 1_000_000 };
  let full = true;
  const host = new Host(world, (_, name) =>
    full && name === "deadLetters.append" ? new TransportError("unavailable", "disk full") : undefined,
  );
  await start(world, { onOversize: "dead_letter" }, host);
  await world.clock.advance(10_000);
  assert.equal(world.queue.length, 0);
  full = false;
  await world.clock.advance(120_000);
  assert.equal(world.deadLetters.length, 1);
  assert.equal(world.queue.length, 1);
});

test('with messages = "batch" changes travel together, within the size limit', async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 50; i++) world.commit(["Persons"], 200);
  world.limits = { maxMessageBytes: 4_000, maxSendBytes: 1_000_000 };
  await start(world, { messages: "batch" });
  assert.ok(world.queue.length > 1 && world.queue.length < 25, `${world.queue.length} messages`);
  for (const message of world.queue) assert.ok(messageSize(message) <= 4_000);
  const bodies = world.queue.flatMap((message) => unpackBatch(message).map(({ body }) => body.toString()));
  assert.deepEqual(
    bodies,
    world.table("Persons").changes.map(({ message }) => message.body.toString()),
  );
});

test("the memory of what is in flight is bounded: while the queue is down no more is read than the budget holds", async () => {
  const world = new World(Array.from({ length: 10 }, (_, i) => `T${i}`));
  const names = [...world.tables.keys()];
  for (let i = 0; i < 100; i++) world.commit(names, 1_000);
  const host = new Host(world, (_, name) =>
    name.startsWith("sender.send") ? new TransportError("unavailable", "down") : undefined,
  );
  await start(world, { maxBatchBytes: 20_000, maxInFlightBytes: 60_000 }, host);
  await world.clock.advance(600_000);
  assert.equal(host.count("reader.read"), 3);
});

test("a row that turns out larger than its batch counts in full: the next read waits until it is acknowledged", async () => {
  const world = new World(Array.from({ length: 10 }, (_, i) => `T${i}`));
  world.commit([...world.tables.keys()], 50_000);
  let down = true;
  const host = new Host(world, (_, name) =>
    down && name.startsWith("sender.send") ? new TransportError("unavailable", "down") : undefined,
  );
  await start(world, { maxBatchBytes: 10_000, maxInFlightBytes: 70_000, maxConcurrentTables: 1 }, host);
  await world.clock.advance(600_000);
  assert.equal(host.count("reader.read"), 2);
  down = false;
  await world.clock.until(() => world.complete);
});

test("reads that fail give their part of the budget back", async () => {
  const world = new World(["Persons", "Cars"]);
  for (let i = 0; i < 10; i++) world.commit(["Persons", "Cars"]);
  let failures = 20;
  const host = new Host(world, (_, name) =>
    name.startsWith("reader.read") && failures-- > 0 ? new SourceError("unavailable", "deadlock victim") : undefined,
  );
  await start(world, { maxBatchBytes: 10_000, maxInFlightBytes: 10_000 }, host);
  await world.clock.until(() => world.complete);
});

test("a lock that is granted only after the ingester was told to stop is released again", async () => {
  const world = new World(["Persons"]);
  const granted = Promise.withResolvers<void>();
  const host = new Host(world, (_, name, moment) =>
    name.startsWith("locks.acquire") && moment === "after" ? granted.promise : undefined,
  );
  const end = host.start();
  await world.clock.advance(1_000);
  host.stop.abort();
  await end;
  assert.equal(world.owners.size, 1);
  granted.resolve();
  await world.clock.settle();
  assert.equal(world.owners.size, 0);
});

test("a shutdown lets the send under way finish and saves its checkpoint, begins no read, and releases the locks", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 10; i++) world.commit(["Persons"]);
  const host = new Host(world);
  const acknowledged = Promise.withResolvers<void>();
  host.fault = (_, name, moment) =>
    name.startsWith("sender.send") && moment === "after" ? acknowledged.promise : undefined;
  const end = host.start({ maxBatchRows: 4 });
  await world.clock.until(() => world.queue.length === 4);
  host.stop.abort();
  await world.clock.advance(5_000);
  assert.equal(host.count("checkpoints.save dbo.Persons"), 1, "only the start is saved so far");
  acknowledged.resolve();
  await end;
  assert.equal(world.position("Persons")?.startLsn, lsn(5));
  assert.equal(host.count("reader.read"), 2, "one was sent, one was read ahead and is dropped");
  assert.equal(world.owners.size, 0);
});

test("while a batch is being sent the next one is read, and no further; it is sent once the first one's checkpoint is saved", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 10; i++) world.commit(["Persons"]);
  const host = new Host(world);
  const acknowledged = Promise.withResolvers<void>();
  host.fault = (_, name, moment) =>
    name.startsWith("sender.send") && moment === "after" ? acknowledged.promise : undefined;
  const end = host.start({ maxBatchRows: 2 });
  await world.clock.until(() => world.queue.length === 2);
  await world.clock.advance(5_000);
  assert.deepEqual([host.count("reader.read"), world.queue.length], [2, 2]);
  acknowledged.resolve();
  await world.clock.until(() => world.complete);
  const after = host.calls.slice(host.calls.findIndex((call) => call.startsWith("sender.send")));
  const order = after.filter((call) => /^(sender\.send|checkpoints\.save|reader\.read)/.test(call)).slice(0, 5);
  assert.deepEqual(
    order.map((call) => call.split(" ")[0]),
    ["sender.send", "reader.read", "checkpoints.save", "sender.send", "reader.read"],
  );
  host.stop.abort();
  await end;
  world.verify();
  assert.equal(world.queue.length, 10, "nothing twice");
});

test("nothing is read ahead beyond max_in_flight_bytes", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 10; i++) world.commit(["Persons"]);
  const host = new Host(world);
  const acknowledged = Promise.withResolvers<void>();
  host.fault = (_, name, moment) =>
    name.startsWith("sender.send") && moment === "after" ? acknowledged.promise : undefined;
  const end = host.start({ maxBatchRows: 2, maxBatchBytes: 100_000, maxInFlightBytes: 100_000 });
  await world.clock.until(() => world.queue.length === 2);
  await world.clock.advance(5_000);
  assert.equal(host.count("reader.read"), 1);
  acknowledged.resolve();
  await world.clock.until(() => world.complete);
  host.stop.abort();
  await end;
  world.verify();
});

test("a batch that has to be read again in fewer rows takes what was read ahead with it", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 6; i++) world.commit(["Persons"]);
  const host = new Host(world);
  const [, second] = world.tables.get("dbo.Persons")!.changes;
  let refused = 0;
  host.refuse = (message) => message.id === second!.message.id && refused++ === 0;
  const end = host.start({ maxBatchRows: 3 });
  await world.clock.until(() => world.complete);
  host.stop.abort();
  await end;
  world.verify();
  assert.equal(world.queue.length, 6, "what was read ahead was not sent before it");
});

test("what a send that was left to itself brings at last is what was committed: nobody has written over it", async () => {
  const world = new World(["Persons"]);
  world.commit(["Persons"]);
  const host = new Host(world);
  const hanging = Promise.withResolvers<void>();
  host.fault = (_, name, moment) =>
    name.startsWith("sender.send") && moment === "before" ? hanging.promise : undefined;
  const end = host.start();
  await world.clock.until(() => host.count("sender.send") === 1);
  host.loseLock("Persons");
  await world.clock.advance(1_000);
  host.fault = undefined;
  hanging.resolve();
  await world.clock.until(() => world.queue.length > 1);
  host.stop.abort();
  await end;
  world.verify();
});

test("a shutdown does not wait longer than its time for a send that hangs, nor for a database that hangs", async () => {
  const world = new World(["Persons", "Cars"]);
  world.commit(["Persons"]);
  const host = new Host(world);
  host.fault = (_, name) => (name.startsWith("sender.send") ? new Promise(() => {}) : undefined);
  let ended = false;
  const end = host.start().then(() => (ended = true));
  await world.clock.advance(1_000);
  host.fault = () => new Promise(() => {});
  host.stop.abort();
  await world.clock.advance(7_000);
  assert.equal(ended, false);
  await world.clock.advance(1_100);
  await end;
  assert.equal(world.position("Persons")?.startLsn, lsn(1));
});

test("a shutdown while everything is down ends at once", async () => {
  const world = new World(["Persons"]);
  const host = new Host(world, (_, name) =>
    name === "source.tables" ? new SourceError("unavailable", "down") : undefined,
  );
  const end = host.start();
  await world.clock.advance(60_000);
  host.stop.abort();
  await end;
});

test("progress tells what was delivered, and how far it is behind", async () => {
  const world = new World(["Persons"]);
  for (let i = 0; i < 10; i++) world.commit(["Persons"]);
  const log = recorder();
  const host = await start(world, { maxBatchRows: 5, logger: log.logger });
  assert.deepEqual(
    host.progress.map(({ table, lsn: at, count, lagSeconds }) => [table, at, count, lagSeconds]),
    [
      ["dbo.Persons", lsn(6), 5, 5],
      ["dbo.Persons", lsn(11), 5, 0],
    ],
  );
  await world.clock.advance(60_000);
  assert.ok(lines(log, "info").some((line) => line.includes("10 changes of 1 table in 60 s")));
});
