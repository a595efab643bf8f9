/** What transport.ts promises, as tests that every transport which is received from runs. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Message, messageSize } from "../../src/change/message.ts";
import { TransportError } from "../../src/errors.ts";
import { Router } from "../../src/router/router.ts";
import { silent } from "../../src/telemetry/logger.ts";
import type { Delivery, Entity, Receiver, Sender, Transport } from "../../src/transports/transport.ts";
import type { TestServer } from "../support/server.ts";
import type { Opener, Task } from "./contract-child.ts";
import { take, takeWhole } from "./take.ts";

export interface TransportUnderTest {
  name: string;
  /** How this and other processes open a new, empty system (or corner of one). */
  place(lease: "long" | "short"): Promise<Opener>;
  open(options: unknown): Promise<Transport>;
  /** What a short lease is; one second where it is not said. */
  shortLeaseMs?: number;
  /** Where the system is a server: a new one of its own for the test that kills it. */
  server?(): Promise<{ server: TestServer; opener: Opener }>;
  /** Where a stand-in for the system puts what it had in another order after its SIGKILL: then nothing is said of order here. */
  forgetsOrder?: string;
  /** The suite's own limit is below the system's usual one, so that it has less to send. */
  smallMessages?: true;
  /** How long the system takes until an entity that it has made outlives its SIGKILL. */
  entityDurableMs?: number;
}

const QUEUE: Entity = { kind: "queue", name: "ingest-queue" };
const TOPIC: Extract<Entity, { kind: "topic" }> = {
  kind: "topic",
  name: "server.database.persons.events",
  subscription: "sub1",
};

export function transportContract(subject: TransportUnderTest): void {
  const { shortLeaseMs = 1_000 } = subject;
  const cleanups: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  async function start(lease: "long" | "short" = "long", entity: Entity = QUEUE) {
    const opener = await subject.place(lease);
    const open = async () => {
      const transport = await subject.open(opener.options);
      cleanups.push(() => transport.close());
      return transport;
    };
    const transport = await open();
    await transport.ensure(entity);
    const sender = await transport.sender(entity);
    const receiver = await transport.receiver(entity);
    const child = (task: Task, at: Entity = entity) => {
      const process = new Child(opener, at, task);
      cleanups.push(() => process.kill());
      return process;
    };
    return { transport, open, sender, receiver, child };
  }

  describe(`${subject.name} keeps the transport contract`, { concurrency: 3 }, () => {
    test("docs/transports.md says of it what it is: repeats, order, the largest message, dead letters", async () => {
      const { transport } = await start();
      const page = await readFile(new URL("../../docs/transports.md", import.meta.url), "utf8");
      const row = page.split("\n").find((line) => line.startsWith(`| \`${subject.name}\` |`));
      assert.ok(row, "it has a line in the table");
      const [repeats, order, largest, letters] = row
        .split("|")
        .slice(2)
        .map((cell) => cell.trim());
      assert.equal(repeats!.startsWith("dropped"), transport.traits.deduplicates, repeats);
      assert.equal(order === "kept", transport.traits.keepsOrder, order);
      const [, number, unit] = /^(\d+) (KB|MB)/.exec(largest!)!;
      const most = Number(number) * (unit === "KB" ? 1024 : 1024 * 1024);
      const { maxMessageBytes } = transport.limits;
      // Less where the system counts what we do not, and where the suite has set less.
      assert.ok(maxMessageBytes <= most, largest);
      if (subject.smallMessages !== true) assert.ok(maxMessageBytes > most * 0.9, largest);
      assert.equal(letters === "none", transport.deadLetters === undefined, letters);
    });

    test("what was acknowledged is there although the sender was killed right after", async () => {
      const { receiver, child } = await start();
      const messages = [1, 2, 3].map((n) => ({ id: `m-${n}`, key: "Persons", body: `{"n":${n}}` }));
      const sending = child({ do: "send", messages });
      assert.equal(await sending.line(), "acknowledged");
      await sending.kill();
      assert.deepEqual(await ids(receiver, 3), ["m-1", "m-2", "m-3"]);
    });

    test("once a send has resolved, its bodies may be written over", async () => {
      const { sender, receiver } = await start();
      const messages = [1, 2, 3].map((n) => ({
        id: `m-${n}`,
        key: "Persons",
        body: Buffer.from(`{"n":${n}}`),
        properties: {},
      }));
      const bodies = messages.map(({ body }) => body.toString());
      await sender.send(messages);
      for (const { body } of messages) body.fill(0x20);
      const received: string[] = [];
      for await (const delivery of receiver.deliveries(AbortSignal.timeout(10_000))) {
        received.push(...delivery.messages.map(({ body }) => body.toString()));
        await delivery.complete();
        if (received.length >= bodies.length) break;
      }
      assert.deepEqual(received, bodies);
    });

    test("a topic keeps for its subscription what was sent before a reader came", async () => {
      const { transport, sender } = await start("long", TOPIC);
      await sender.send([message("m-1")]);
      const late = await transport.receiver(TOPIC);
      assert.deepEqual(await ids(late, 1), ["m-1"]);
    });

    test("id, key, body and properties arrive as they were sent, whatever is in them", async () => {
      const { sender, receiver } = await start();
      const odd: Message[] = [
        message("m-1", { key: "Zoë's/Kunden 顧客 🙂 \\ \" % ?" }),
        message("m-2", { key: "Zoë's/Kunden 顧客 🙂 \\ \" % ?", body: Buffer.alloc(0) }),
        message("m-3", {
          key: "Zoë's/Kunden 顧客 🙂 \\ \" % ?",
          body: Buffer.from(`{"text":"line\\nline 🙂 \u2028"}`),
          properties: { Destination: "server.database.顧客.events", "odd name": "tab\there, \u0001 🙂", empty: "" },
        }),
      ];
      await sender.send(odd);
      const delivery = await takeWhole(receiver, odd.length);
      assert.deepEqual(delivery.messages.map(plain), odd.map(plain));
      assert.equal(delivery.key, odd[0]!.key);
    });

    test("a key's order survives several receivers in several processes", async () => {
      const { transport, sender, receiver, child } = await start();
      const folder = await mkdtemp(join(tmpdir(), "dstream-contract-"));
      cleanups.push(() => rm(folder, { recursive: true, force: true }));
      const log = join(folder, "arrived");
      await appendFile(log, "");
      const other = child({ do: "consume", log });
      assert.equal(await other.line(), "consuming");
      const stop = new AbortController();
      const consuming = [receiver, await transport.receiver(QUEUE)].map(async (each) => {
        for await (const delivery of each.deliveries(stop.signal)) {
          await appendFile(log, delivery.messages.map(({ id }) => `${id}\n`).join(""));
          await delivery.complete();
        }
      });
      const keys = ["Persons", "Cars", "Orders", "sales.Orders"];
      const sent: string[] = [];
      for (let n = 0; n < 50; n++) {
        const round = keys.map((key) => message(`${key}-${String(n).padStart(3, "0")}`, { key }));
        sent.push(...round.map(({ id }) => id));
        await sender.send(round);
      }
      const arrived = async () => (await readFile(log, "utf8")).split("\n").slice(0, -1);
      while ((await arrived()).length < sent.length) await new Promise((resolve) => setTimeout(resolve, 20));
      stop.abort();
      await Promise.all(consuming);
      other.tell("stop");
      await other.ended;
      for (const key of keys) {
        const ofKey = (list: string[]) => list.filter((id) => id.startsWith(`${key}-`));
        assert.deepEqual(ofKey(await arrived()), ofKey(sent));
      }
    });

    test("a key with an unsettled delivery yields no other one, while other keys go on", async () => {
      const { transport, sender, receiver } = await start();
      await sender.send([message("a-1", { key: "a" })]);
      const [held] = await take(receiver, 1);
      await sender.send([message("a-2", { key: "a" }), message("b-1", { key: "b" }), message("c-1", { key: "c" })]);
      const others = await take(await transport.receiver(QUEUE), 2);
      assert.deepEqual(others.map(({ key }) => key).sort(), ["b", "c"]);
      await held!.complete();
      assert.deepEqual(await ids(receiver, 1), ["a-2"]);
    });

    test("a delivery that is given back comes again, whole and before anything later of its key", async () => {
      const { sender, receiver } = await start();
      await sender.send([message("m-1"), message("m-2")]);
      const [first] = await take(receiver, 1);
      await sender.send([message("m-3")]);
      await first!.abandon();
      assert.deepEqual(await ids(receiver, 3), ["m-1", "m-2", "m-3"]);
    });

    test("a killed receiver's messages come again, in order", async () => {
      const { sender, receiver, child } = await start("short");
      await sender.send([message("m-1"), message("m-2")]);
      const holding = child({ do: "hold", messages: 2 });
      assert.equal(await holding.line(), "holding m-1 m-2");
      await sender.send([message("m-3")]);
      await holding.kill();
      assert.deepEqual(await ids(receiver, 3), ["m-1", "m-2", "m-3"]);
    });

    test("a delivery outlives its lease many times over while its process lives", async () => {
      const { sender, receiver, child } = await start("short");
      await sender.send([message("m-1")]);
      const holding = child({ do: "hold", messages: 1 });
      assert.equal(await holding.line(), "holding m-1");
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 3.5 * shortLeaseMs);
      for await (const delivery of receiver.deliveries(stop.signal)) assert.fail(`delivered again: ${delivery.key}`);
      holding.tell("complete");
      assert.equal(await holding.line(), "completed");
    });

    test("a receiver that was stopped beyond its lease cannot settle what another one has taken, nor does its end", async () => {
      const { open, transport, sender, receiver, child } = await start("short");
      await sender.send([message("m-1"), message("m-2")]);
      const holding = child({ do: "hold", messages: 2 });
      assert.equal(await holding.line(), "holding m-1 m-2");
      holding.signal("SIGSTOP");
      const again = await takeWhole(receiver, 2);
      assert.deepEqual(
        again.messages.map(({ id }) => id),
        ["m-1", "m-2"],
      );
      holding.signal("SIGCONT");
      holding.tell("complete");
      assert.equal(await holding.line(), "refused");
      holding.tell("close");
      assert.equal(await holding.line(), "closed");
      // From the system, and not from what the second has in its memory.
      await again.abandon();
      await transport.close();
      assert.deepEqual(await ids(await (await open()).receiver(QUEUE), 2), ["m-1", "m-2"]);
    });

    test("a message that is sent again with its id is delivered once, and counted, or comes again with its id", async () => {
      const { transport, sender, receiver } = await start();
      await sender.send([message("m-1"), message("m-2")]);
      await sender.send([message("m-2"), message("m-3"), message("m-3")]);
      if (!transport.traits.deduplicates) {
        assert.deepEqual(await ids(receiver, 5), ["m-1", "m-2", "m-2", "m-3", "m-3"]);
        return;
      }
      assert.deepEqual(await ids(receiver, 3), ["m-1", "m-2", "m-3"]);
      await sender.send([message("m-1"), message("m-4")]);
      assert.deepEqual(await ids(receiver, 1), ["m-4"]);
      if (transport.inspect) assert.equal((await transport.inspect(QUEUE)).repeats, 3);
    });

    test("a dead-lettered message is kept with its reason, the others are completed, and a replay brings it back", async (t) => {
      const { transport, sender, receiver } = await start();
      const letters = transport.deadLetters?.(QUEUE);
      if (letters === undefined) return t.skip("this transport has no dead letters");
      await sender.send([message("m-1"), message("m-2", { properties: { odd: "🙂" } }), message("m-3")]);
      const delivery = await takeWhole(receiver, 3);
      await delivery.deadLetter(delivery.messages[1]!, "not one of ours: 🙂");
      await delivery.complete();
      const [letter] = await letters.list(10);
      assert.deepEqual(plain(letter!.message), plain(message("m-2", { properties: { odd: "🙂" } })));
      assert.equal(letter!.reason, "not one of ours: 🙂");
      assert.deepEqual(await letters.get(letter!.id), letter);
      if (transport.inspect) assert.deepEqual(await counts(transport), { pending: 0, deadLettered: 1 });
      await sender.send([message("m-4")]);
      assert.equal(await letters.replay(letter!.id), true);
      assert.equal(await letters.replay(letter!.id), false);
      assert.equal(await letters.get(letter!.id), null);
      assert.deepEqual(await ids(receiver, 2), ["m-4", "m-2"]);
      if (transport.inspect) assert.deepEqual(await counts(transport), { pending: 0, deadLettered: 0 });
    });

    test("what is sent behind a dead-lettered message, before the rest is completed, is delivered", async (t) => {
      const { transport, sender, receiver } = await start();
      if (transport.deadLetters === undefined) return t.skip("this transport has no dead letters");
      await sender.send([message("m-1"), message("m-2")]);
      const delivery = await takeWhole(receiver, 2);
      await delivery.deadLetter(delivery.messages[1]!, "chosen");
      await sender.send([message("m-3")]);
      await delivery.complete();
      assert.deepEqual(await ids(receiver, 1), ["m-3"]);
    });

    test("a receiver that ends between dead-lettering all of a delivery and completing it holds nobody up", async (t) => {
      const { transport, open, sender } = await start();
      if (transport.deadLetters === undefined) return t.skip("this transport has no dead letters");
      await sender.send([message("m-1")]);
      const ending = await open();
      const [delivery] = await take(await ending.receiver(QUEUE), 1);
      await delivery!.deadLetter(delivery!.messages[0]!, "chosen");
      await ending.close();
      await sender.send([message("m-2", { key: "Cars" })]);
      assert.deepEqual(await ids(await transport.receiver(QUEUE), 1), ["m-2"]);
    });

    test("a message at the limit is delivered, one byte more is too large and named, and nothing of its send is lost", async () => {
      const { transport, sender, receiver } = await start();
      const room = transport.limits.maxMessageBytes - messageSize(message("m-1", { body: Buffer.alloc(0) }));
      await sender.send([message("m-1", { body: Buffer.alloc(room, "x") })]);
      const tooLarge = message("m-2", { body: Buffer.alloc(room + 1, "x") });
      await assert.rejects(sender.send([message("m-0"), tooLarge]), (error) => {
        assert.ok(error instanceof TransportError);
        assert.equal(error.reason, "too_large");
        assert.equal(error.messageId, "m-2");
        return true;
      });
      await sender.send([message("m-0")]);
      const [delivery] = await take(receiver, 1);
      assert.equal(delivery!.messages[0]!.body.length, room);
    });

    test("a send larger than one send may be is cut, in order", async () => {
      const { transport, sender, receiver } = await start();
      const size = Math.min(256 * 1024, Math.floor(transport.limits.maxMessageBytes / 2));
      const count = Math.min(40, Math.ceil(transport.limits.maxSendBytes / size) + 2);
      const many = Array.from({ length: count }, (_, n) => message(`m-${n}`, { body: Buffer.alloc(size, "x") }));
      await sender.send(many);
      assert.deepEqual(
        await ids(receiver, count),
        many.map(({ id }) => id),
      );
    });

    test("however much is out when all of it is settled at once, what is behind it comes", async () => {
      const { sender, receiver } = await start();
      const body = Buffer.alloc(60_000, "x");
      const sent = Array.from({ length: 250 }, (_, n) => message(`m-${n}`, { key: `Persons-${n % 25}`, body }));
      await sender.send(sent);
      const seen = new Set<string>();
      const stop = new AbortController();
      let out: Delivery[] = [];
      const taking = (async () => {
        for await (const delivery of receiver.deliveries(stop.signal)) out.push(delivery);
      })();
      for (const end = performance.now() + 60_000; seen.size < sent.length; ) {
        for (let before = -1; out.length > before || out.length === 0; await sleep(500)) {
          assert.ok(performance.now() < end, `${seen.size} of ${sent.length} have come`);
          before = out.length;
        }
        const all = out;
        out = [];
        for (const { messages } of all) for (const { id } of messages) seen.add(id);
        await Promise.all(all.map((delivery) => delivery.complete()));
      }
      stop.abort();
      await taking;
    });

    test("two processes may make the same entity at once", async () => {
      const { transport, child } = await start();
      const both = [child({ do: "ensure" }, TOPIC), child({ do: "ensure" }, TOPIC)];
      for (const each of both) assert.equal(await each.line(), "ready");
      for (const each of both) each.tell("go");
      for (const each of both) assert.equal(await each.line(), "ensured");
      assert.equal(await transport.exists(TOPIC), true);
    });

    test("an entity exists once it was made, and making it again leaves what is in it", async () => {
      const { transport, sender, receiver } = await start();
      const missing = { kind: "queue", name: "nobody-made-this" } as const;
      assert.equal(await transport.exists(missing), false);
      await assert.rejects(transport.receiver(missing), { reason: "rejected" });
      await sender.send([message("m-1")]);
      await transport.ensure(QUEUE);
      assert.deepEqual(await ids(receiver, 1), ["m-1"]);
    });

    test("an entity that is removed is gone with what is in it, and may be made again", async () => {
      for (const entity of [
        { kind: "queue", name: "to-be-removed" },
        { ...TOPIC, name: "removed.events" },
      ] as Entity[]) {
        const { transport, sender, receiver } = await start("short", entity);
        if (transport.remove === undefined) {
          assert.ok(transport.howToMake, "what others make, others remove");
          return;
        }
        await sender.send([message("m-1"), message("m-2")]);
        await (await take(receiver, 1))[0]!.abandon();
        await receiver.close();
        await sender.close();
        await transport.remove(entity);
        assert.equal(await transport.exists(entity), false);
        await transport.remove(entity);
        await patiently(() => transport.ensure(entity));
        const again = await transport.sender(entity);
        await again.send([message("m-2"), message("m-3")]);
        assert.deepEqual(await ids(await transport.receiver(entity), 2), ["m-2", "m-3"]);
      }
    });

    test("an aborted receiver ends without error, and what it held can still be settled", async () => {
      const { transport, sender, receiver } = await start();
      await sender.send([message("m-1")]);
      const stop = new AbortController();
      const held: Delivery[] = [];
      for await (const delivery of receiver.deliveries(stop.signal)) {
        held.push(delivery);
        stop.abort();
      }
      await held[0]!.complete();
      await sender.send([message("m-2")]);
      assert.deepEqual(await ids(await transport.receiver(QUEUE), 1), ["m-2"]);
    });

    test("an output that is away for many leases: nothing is dead-lettered, and nothing is out of order", async () => {
      const { transport, sender, open } = await start("short");
      await transport.ensure(TOPIC);
      const sent = Array.from({ length: 10 }, (_, n) => message(`m-${n}`, { properties: { Destination: TOPIC.name } }));
      await sender.send(sent);
      let away = true;
      const output = awayWhile(await open(), () => away);
      const stop = new AbortController();
      const router = new Router({
        source: await open(),
        sourceEntity: QUEUE,
        output,
        destinations: [],
        onPoison: "dead_letter",
        maxInFlightBytes: 1024 * 1024,
        logger: silent,
        retryMs: { initial: 50, max: 200 },
      });
      const running = router.run(stop.signal);
      await new Promise((resolve) => setTimeout(resolve, 6 * shortLeaseMs));
      away = false;
      const arrived = await ids(await transport.receiver(TOPIC), sent.length);
      stop.abort();
      await running;
      assert.deepEqual(
        [...new Set(arrived)],
        sent.map(({ id }) => id),
      );
      assert.deepEqual((await transport.deadLetters?.(QUEUE).list(1)) ?? [], []);
    });

    const startServer = subject.server;
    const killed = startServer === undefined ? () => {} : test;
    /** With a queue that outlives its SIGKILL. */
    const startOwnServer = async () => {
      const { server, opener } = await startServer!();
      cleanups.push(() => server.close());
      const transport = await subject.open(opener.options);
      cleanups.push(() => transport.close());
      await patiently(() => transport.ensure(QUEUE));
      await new Promise((resolve) => setTimeout(resolve, subject.entityDurableMs ?? 0));
      return { server, sender: await transport.sender(QUEUE), receiver: await transport.receiver(QUEUE) };
    };
    const restart = async (server: TestServer) => {
      await server.kill();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await server.start();
    };
    killed(
      "a server that is killed and started in the middle of sending loses nothing that it acknowledged",
      async () => {
        const { server, sender, receiver } = await startOwnServer();
        let acknowledged = 0;
        let restarted = false;
        const sending = (async () => {
          for (let n = 0; n < 400 || !restarted; n += 10) {
            const batch = Array.from({ length: 10 }, (_, i) => message(`m-${String(n + i).padStart(6, "0")}`));
            await patiently(() => sender.send(batch));
            acknowledged = n + 10;
          }
        })();
        while (acknowledged < 200) await new Promise((resolve) => setTimeout(resolve, 5));
        const seen: string[] = [];
        const stop = new AbortController();
        const receiving = patiently(async () => {
          for await (const delivery of receiver.deliveries(stop.signal)) {
            // A settlement that is lost with the server may have been made or not: then they come again.
            seen.push(...delivery.messages.map(({ id }) => id));
            await delivery.complete().catch(() => {});
          }
        });
        await restart(server);
        restarted = true;
        await sending;
        while (new Set(seen).size < acknowledged) await new Promise((resolve) => setTimeout(resolve, 20));
        stop.abort();
        await receiving;
        const firsts = [...new Set(seen)];
        if (subject.forgetsOrder === undefined) assert.deepEqual(firsts, firsts.toSorted());
        assert.equal(firsts.length, acknowledged);
      },
    );

    killed(
      "a delivery that was out when the server was killed is settled, or comes again to the same transport",
      async () => {
        const { server, sender, receiver } = await startOwnServer();
        await patiently(() => sender.send([message("m-1")]));
        const stop = new AbortController();
        const deliveries = receiver.deliveries(stop.signal)[Symbol.asyncIterator]();
        const { value: held } = (await deliveries.next()) as { value: Delivery };
        // Asks on meanwhile, as a router does: it is the one who hears of the loss.
        const more = deliveries.next().catch(() => null);
        await restart(server);
        const seen = ["m-1"];
        const settled = await patiently(() => held.complete()).then(
          () => true,
          () => false,
        );
        if (settled) seen.length = 0;
        stop.abort();
        const early = await more;
        if (early !== null && !early.done) await early.value.abandon();
        await patiently(() => sender.send([message("m-2")]));
        const wanted = new Set([...seen, "m-2"]);
        await patiently(async () => {
          const ending = new AbortController();
          for await (const delivery of receiver.deliveries(ending.signal)) {
            for (const { id } of delivery.messages) wanted.delete(id);
            await patiently(() => delivery.complete()).catch(() => {});
            if (wanted.size === 0) ending.abort();
          }
        });
      },
    );

    test("what a closed transport held unsettled comes again to another one", async () => {
      const { open, sender, receiver } = await start();
      const leaving = await open();
      await sender.send([message("m-1")]);
      await take(await leaving.receiver(QUEUE), 1);
      await leaving.close();
      assert.deepEqual(await ids(receiver, 1), ["m-1"]);
    });
  });
}

export function message(id: string, rest: Partial<Message> = {}): Message {
  return { id, key: "Persons", body: Buffer.from(`{"id":"${id}"}`), properties: {}, ...rest };
}

/** Again and again while the system is unavailable, as every caller of a transport does. */
export async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof TransportError) || error.reason !== "unavailable") throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A transport whose senders cannot reach it for a while. */
function awayWhile(transport: Transport, away: () => boolean): Transport {
  return new Proxy(transport, {
    get(target, name) {
      if (name === "sender") {
        return async (entity: Entity): Promise<Sender> => {
          const sender = await target.sender(entity);
          return {
            send: async (messages) => {
              if (away()) throw new TransportError("unavailable", "the output is away");
              await sender.send(messages);
            },
            close: () => sender.close(),
          };
        };
      }
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** The ids of so many messages, completed as they come. */
export async function ids(receiver: Receiver, count: number): Promise<string[]> {
  const seen: string[] = [];
  const stop = new AbortController();
  for await (const delivery of receiver.deliveries(stop.signal)) {
    seen.push(...delivery.messages.map(({ id }) => id));
    await delivery.complete();
    if (seen.length >= count) stop.abort();
  }
  return seen;
}

async function counts(transport: Transport) {
  const { pending, deadLettered } = await transport.inspect!(QUEUE);
  return { pending, deadLettered };
}

function plain({ id, key, body, properties }: Message) {
  return { id, key, body: body.toString("base64"), properties: { ...properties } };
}

class Child {
  readonly ended: Promise<void>;
  #process: ChildProcess;
  #lines: AsyncIterableIterator<string>;

  constructor(opener: Opener, entity: Entity, task: Task) {
    const script = join(import.meta.dirname, "contract-child.ts");
    const argument = JSON.stringify({ opener, entity, task });
    const flags = ["--disable-warning=ExperimentalWarning"];
    this.#process = spawn(process.execPath, [...flags, script, argument], { stdio: ["pipe", "pipe", "inherit"] });
    this.ended = new Promise((resolve) => this.#process.once("close", () => resolve()));
    const lines: Interface = createInterface({ input: this.#process.stdout! });
    this.#lines = lines[Symbol.asyncIterator]() as AsyncIterableIterator<string>;
  }

  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  tell(line: string): void {
    this.#process.stdin!.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
  }
}
