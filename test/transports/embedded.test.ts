import assert from "node:assert/strict";
import { rmSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import fc from "fast-check";
import { thisProcess } from "../../src/process-identity.ts";
import { SqliteFile } from "../../src/sqlite/file.ts";
import { queueSchema } from "../../src/transports/embedded/schema.ts";
import { QueueStore } from "../../src/transports/embedded/store.ts";
import { type EmbeddedOptions, EmbeddedTransport } from "../../src/transports/embedded/transport.ts";
import type { Delivery, Entity, Transport } from "../../src/transports/transport.ts";
import { ids, message } from "./contract.ts";
import { take } from "./take.ts";

const root = await mkdtemp(join(tmpdir(), "dstream-embedded-"));
after(() => rm(root, { recursive: true, force: true }));

const QUEUE: Entity = { kind: "queue", name: "ingest-queue" };

async function start(name: string, options: Partial<EmbeddedOptions> = {}) {
  const path = join(root, name, "queue.db");
  const transport = await EmbeddedTransport.open({ path, ...options });
  await transport.ensure(QUEUE);
  const sender = await transport.sender(QUEUE);
  const receiver = await transport.receiver(QUEUE);
  return { path, transport, sender, receiver };
}

test("each subscription of a topic gets all that was sent after it was made", async () => {
  const { transport } = await start("topic");
  const first = { kind: "topic", name: "t", subscription: "sub1" } as const;
  const second = { kind: "topic", name: "t", subscription: "sub2" } as const;
  await transport.ensure(first);
  const sender = await transport.sender(first);
  await sender.send([message("m-1")]);
  await transport.ensure(second);
  await sender.send([message("m-2")]);
  assert.deepEqual(await ids(await transport.receiver(first), 2), ["m-1", "m-2"]);
  assert.deepEqual(await ids(await transport.receiver(second), 1), ["m-2"]);
  await transport.close();
});

test("a delivery holds no more than its limits, but always a message", async () => {
  const { transport, sender, receiver } = await start("limits", { deliveryRows: 3, deliveryBytes: 1_000 });
  const sizes = [10, 10, 10, 10, 600, 600, 5_000, 10];
  await sender.send(sizes.map((size, n) => message(`m-${n}`, { body: Buffer.alloc(size) })));
  const counts: number[] = [];
  while (counts.reduce((sum, n) => sum + n, 0) < sizes.length) {
    const [delivery] = await take(receiver, 1);
    counts.push(delivery!.messages.length);
    await delivery!.complete();
  }
  assert.deepEqual(counts, [3, 2, 1, 1, 1]);
  await transport.close();
});

test("keys take turns: one with a long backlog does not keep the others waiting", async () => {
  const { transport, sender, receiver } = await start("turns", { deliveryRows: 2 });
  await sender.send(Array.from({ length: 8 }, (_, n) => message(`a-${n}`, { key: "a" })));
  await sender.send([message("b-0", { key: "b" })]);
  assert.deepEqual((await ids(receiver, 3)).slice(0, 3), ["a-0", "a-1", "b-0"]);
  await transport.close();
});

test("ids are remembered for the last so many sends, and not for ever", async () => {
  const { transport, sender, receiver } = await start("window", { rememberIds: 10 });
  const send = (...names: string[]) => sender.send(names.map((id) => message(id)));
  await send("old");
  await send(...Array.from({ length: 9 }, (_, n) => `m-${n}`));
  await send("old");
  assert.equal((await transport.inspect(QUEUE)).repeats, 1);
  await send(...Array.from({ length: 20 }, (_, n) => `n-${n}`));
  await send(...Array.from({ length: 20 }, (_, n) => `o-${n}`));
  await send("old");
  assert.equal((await ids(receiver, 51)).at(-1), "old");
  await transport.close();
});

test("the file does not grow with what has passed through it", async () => {
  const { path, transport, sender, receiver } = await start("growth", { rememberIds: 2_000 });
  const round = async (n: number) => {
    await sender.send(Array.from({ length: 500 }, (_, i) => message(`m-${n}-${i}`, { body: Buffer.alloc(1_000) })));
    await ids(receiver, 500);
  };
  for (let n = 0; n < 5; n++) await round(n);
  const early = statSync(path).size;
  for (let n = 5; n < 40; n++) await round(n);
  assert.ok(statSync(path).size < early * 2 + 1_000_000, `${early} became ${statSync(path).size}`);
  assert.ok(statSync(`${path}-wal`).size < 64 * 1024 * 1024);
  await transport.close();
});

test("a file that somebody keeps locked is unavailable, and works again afterwards", async () => {
  const { path, transport, sender, receiver } = await start("locked", { busyMs: 100 });
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(sender.send([message("m-1")]), { reason: "unavailable", message: /locked/ });
  other.exec("ROLLBACK");
  other.close();
  await sender.send([message("m-1")]);
  assert.deepEqual(await ids(receiver, 1), ["m-1"]);
  await transport.close();
});

test("a large send of which the disk takes only the smaller, later part is in order once it is sent again", async (t) => {
  const { transport, sender, receiver } = await start("full");
  const all = Array.from({ length: 6_000 }, (_, n) => message(`m-${n}`));
  const exec = DatabaseSync.prototype.exec;
  const disk = t.mock.method(DatabaseSync.prototype, "exec", function (this: DatabaseSync, sql: string) {
    const stored = sql === "COMMIT" ? Number(this.prepare("SELECT sum(count) AS n FROM message").get()!["n"]) : 0;
    if (stored > 3_000) throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
    exec.call(this, sql);
  });
  await assert.rejects(sender.send(all), { reason: "unavailable", message: /no space/ });
  disk.mock.restore();
  await sender.send(all);
  assert.deepEqual(
    await ids(receiver, all.length),
    all.map(({ id }) => id),
  );
  await transport.close();
});

test("after the machine was suspended, what this process is working on is not delivered to it once more", async (t) => {
  const { transport, sender, receiver } = await start("suspended");
  await sender.send([message("m-1")]);
  const [delivery] = await take(receiver, 1);
  // The monotonic clock stands still meanwhile.
  const now = Date.now;
  t.mock.method(Date, "now", () => now() + 3_600_000);
  assert.deepEqual(await takeNow(transport), []);
  await delivery!.complete();
  await transport.close();
});

test("a receiver that waits at a file which somebody removes says so, instead of waiting for ever", async () => {
  const { path, transport, receiver } = await start("removed");
  const waiting = take(receiver, 1);
  for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix);
  await assert.rejects(waiting, { reason: "rejected", message: /removed or replaced/ });
  await transport.close();
});

test("a process that two others bury at once takes nothing from one that enters meanwhile", async () => {
  const { path, transport, sender } = await start("buried");
  const file = await SqliteFile.open(path, queueSchema);
  const store = new QueueStore(file, { leaseMs: 60_000, rememberMs: 60_000, rememberIds: 100 });
  const dead = store.enter({ ...thisProcess(), started: 1 });
  const seenByBoth = store.ended();
  if (thisProcess().started > 0) assert.deepEqual(seenByBoth, [dead]); // else: no /proc, and nobody is buried
  store.bury([dead]);
  const entering = store.enter(thisProcess());
  await sender.send([message("m-1")]);
  const [held] = store.claim(store.queueOf(QUEUE)!, entering, { rows: 10, bytes: 1_000 });
  store.bury([dead]);
  assert.equal(store.complete(store.queueOf(QUEUE)!, held!), true);
  await file.close();
  await transport.close();
});

test("a queue that was never made is refused by name", async () => {
  const { transport } = await start("missing");
  await assert.rejects(transport.sender({ kind: "queue", name: "ingest-quue" }), {
    reason: "rejected",
    message: /no queue "ingest-quue"/,
  });
  await transport.close();
});

test("whatever happens in whatever order, each message is settled once and each key's order holds", async () => {
  let run = 0;
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("send" as const), keys: fc.array(fc.nat(2), { maxLength: 6 }) }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("take" as const), by: fc.nat(1) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("complete" as const), which: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("abandon" as const), which: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("bury" as const), which: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("resend" as const), back: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const), by: fc.nat(1) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const path = join(root, `random-${++run}`, "queue.db");
      const open = () => EmbeddedTransport.open({ path, deliveryRows: 3, leaseMs: 600_000 });
      const transports = [await open(), await open()];
      await transports[0]!.ensure(QUEUE);
      const sent: string[] = [];
      const settled: string[] = [];
      const buried: string[] = [];
      let held: { by: number; delivery: Delivery }[] = [];
      const pick = (which: number) => (held.length === 0 ? undefined : held.splice(which % held.length, 1)[0]);
      const complete = async (delivery: Delivery, without: string[] = []) => {
        await delivery.complete();
        settled.push(...delivery.messages.map(({ id }) => id).filter((id) => !without.includes(id)));
      };
      const send = async (names: string[]) => {
        const sender = await transports[0]!.sender(QUEUE);
        await sender.send(names.map((id) => message(id, { key: id[0]! })));
      };
      for (const each of steps) {
        if (each.do === "send") {
          const names = each.keys.map((key, n) => `${key}-${sent.length + n}`);
          await send(names);
          sent.push(...names);
        } else if (each.do === "resend") await send(sent.slice(-each.back));
        else if (each.do === "take") {
          for (const delivery of await takeNow(transports[each.by]!)) held.push({ by: each.by, delivery });
        } else if (each.do === "complete") {
          const one = pick(each.which);
          if (one) await complete(one.delivery);
        } else if (each.do === "abandon") await pick(each.which)?.delivery.abandon();
        else if (each.do === "bury") {
          const one = pick(each.which);
          if (!one) continue;
          const { messages } = one.delivery;
          const dead = messages[each.which % messages.length]!;
          await one.delivery.deadLetter(dead, "chosen");
          buried.push(dead.id);
          await complete(one.delivery, [dead.id]);
        } else if (each.do === "reopen") {
          await transports[each.by]!.close();
          held = held.filter(({ by }) => by !== each.by);
          transports[each.by] = await open();
        }
      }
      for (const { delivery } of held) await complete(delivery);
      for (let more = await takeNow(transports[0]!); more.length > 0; more = await takeNow(transports[0]!)) {
        for (const delivery of more) await complete(delivery);
      }
      const { pending, deadLettered } = await transports[0]!.inspect(QUEUE);
      assert.deepEqual({ pending, deadLettered }, { pending: 0, deadLettered: buried.length });
      for (const key of ["0", "1", "2"]) {
        const ofKey = (names: string[]) => names.filter((id) => id[0] === key);
        assert.deepEqual(ofKey(settled), ofKey(sent.filter((id) => !buried.includes(id))));
      }
      for (const transport of transports) await transport.close();
    }),
    { numRuns: 40 },
  );
});

/** One delivery, if there is one without waiting. */
async function takeNow(transport: Transport): Promise<Delivery[]> {
  const stop = new AbortController();
  const deliveries = (await transport.receiver(QUEUE)).deliveries(stop.signal)[Symbol.asyncIterator]();
  const next = deliveries.next();
  const patience = setTimeout(() => stop.abort(), 15);
  const { value, done } = await next;
  clearTimeout(patience);
  await deliveries.return?.();
  return done ? [] : [value];
}
