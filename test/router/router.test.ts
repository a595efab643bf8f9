import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after, test } from "node:test";
import pino from "pino";
import { packBatches } from "../../src/change/formats/batch-message.ts";
import type { Message } from "../../src/change/message.ts";
import { TransportError } from "../../src/errors.ts";
import { Router, type RouterOptions } from "../../src/router/router.ts";
import { ConsoleTransport } from "../../src/transports/console/transport.ts";
import { EmbeddedTransport } from "../../src/transports/embedded/transport.ts";
import type { Transport } from "../../src/transports/transport.ts";
import { type Gate, gated } from "./faults.ts";

const root = await mkdtemp(join(tmpdir(), "dstream-router-"));
after(() => rm(root, { recursive: true, force: true }));
let places = 0;

const QUEUE = { kind: "queue", name: "ingest-queue" } as const;
const topic = (table: string) => ({ kind: "topic", name: `s.db.${table}.events`, subscription: "sub1" }) as const;

/** A row message as the ingester makes it. */
function row(table: string, n: number): Message {
  const seq = n.toString(16).padStart(20, "0");
  const Destination = topic(table).name;
  const metadata = { Destination, LSN: seq, OperationID: 2, OperationType: "Insert", TableName: table, Schema: "dbo" };
  return {
    id: `${table}-${seq}.00000001.${seq}.02`,
    key: `dbo.${table}`,
    body: Buffer.from(JSON.stringify({ data: { ID: n }, metadata: { ...metadata, CommandID: 1, Seq: seq } })),
    properties: { Destination, TableName: table, OperationType: "Insert", LSN: seq },
  };
}

const rows = (table: string, count: number, from = 1) => Array.from({ length: count }, (_, n) => row(table, from + n));
const idsOf = (messages: readonly Message[]) => messages.map(({ id }) => id);

async function start() {
  const path = join(root, `${++places}`, "queue.db");
  const open = async () => {
    const transport = await EmbeddedTransport.open({ path, deliveryRows: 4 });
    opened.push(transport);
    return transport;
  };
  const opened: Transport[] = [];
  const transport = await open();
  for (const entity of [QUEUE, topic("persons"), topic("cars")]) await transport.ensure(entity);
  const sender = await transport.sender(QUEUE);
  const log: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      log.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const logger = pino({ level: "debug", serializers: { error: (error) => String(error) } }, sink);
  const route = (options: Partial<RouterOptions> = {}) => {
    const stop = new AbortController();
    const router = new Router({
      source: transport,
      sourceEntity: QUEUE,
      output: transport,
      destinations: [topic("persons").name, topic("cars").name],
      onPoison: "stop",
      maxInFlightBytes: 1024 * 1024,
      logger,
      retryMs: { initial: 1, max: 4 },
      ...options,
    });
    const running = router.run(stop.signal);
    const end = async () => {
      stop.abort();
      await running;
    };
    return { running, end, stop };
  };
  /** The messages that arrived, in the order of their arrival, each as often as it did. */
  const arrived = async (table: string, count: number, from: Transport = transport) => {
    const receiver = await from.receiver(topic(table));
    const messages: Message[] = [];
    const enough = new AbortController();
    for await (const delivery of receiver.deliveries(enough.signal)) {
      messages.push(...delivery.messages);
      await delivery.complete();
      if (messages.length >= count) enough.abort();
    }
    return messages;
  };
  const logged = async (text: RegExp) => {
    for (;;) {
      const found = log.find(({ msg }) => text.test(String(msg)));
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const emptied = async () => {
    while ((await transport.inspect(QUEUE)).pending > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const close = async () => {
    for (const each of opened) await each.close();
  };
  return { transport, open, sender, route, arrived, emptied, logged, log, close };
}

const refusing =
  (poison: (message: Message) => boolean, named: boolean, call = /^send /): Gate =>
  async (name, when, messages) => {
    const culprit = messages.find(poison);
    if (when === "after" || !call.test(name) || culprit === undefined) return;
    const options = named ? { messageId: culprit.id } : {};
    throw new TransportError("rejected", "the destination says no", options);
  };

test("messages reach their destinations in order and as they were, and the ingest queue is empty afterwards", async () => {
  const { sender, route, arrived, emptied, close } = await start();
  const persons = rows("persons", 25);
  const cars = rows("cars", 10);
  await sender.send([...persons, ...cars]);
  let delivered = 0;
  const { end } = route({ onDelivered: (count) => (delivered += count) });
  const plain = ({ id, key, body, properties }: Message) => ({
    id,
    key,
    body: body.toString(),
    properties: { ...properties },
  });
  assert.deepEqual((await arrived("persons", 25)).map(plain), persons.map(plain));
  assert.deepEqual((await arrived("cars", 10)).map(plain), cars.map(plain));
  await emptied();
  assert.equal(delivered, 35);
  await end();
  await close();
});

test("a batch message is unpacked into its row messages", async () => {
  const { sender, route, arrived, emptied, close } = await start();
  const persons = rows("persons", 9);
  const batches = packBatches(persons, 1_000);
  assert.ok(batches.length > 1 && batches.length < persons.length);
  await sender.send(batches);
  const { end } = route();
  const got = await arrived("persons", 9);
  assert.deepEqual(
    got.map(({ body }) => body.toString()),
    persons.map(({ body }) => body.toString()),
  );
  assert.equal(new Set(idsOf(got)).size, 9);
  await emptied();
  await end();
  await close();
});

test("destinations are made at start, and one that a message first names when it comes", async () => {
  const { transport, sender, route, arrived, close } = await start();
  const { end } = route({ destinations: [topic("persons").name, topic("quiet").name] });
  await sender.send([row("new", 1)]);
  while (!(await transport.exists(topic("new")))) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await arrived("new", 1)).length, 1);
  assert.equal(await transport.exists(topic("quiet")), true);
  await end();
  await close();
});

test("what is not one of our messages goes to the dead letters with the reason, and the others go on", async () => {
  const { transport, sender, route, arrived, emptied, close } = await start();
  const strange = (id: string, body: string, properties = {}): Message => {
    return { id, key: "dbo.persons", body: Buffer.from(body), properties };
  };
  const statedInBody = { ...row("persons", 2), properties: {} };
  await sender.send([
    row("persons", 1),
    strange("x-1", "hello"),
    strange("x-2", '{"data":{}}'),
    strange("x-3", "{}", { Destination: "line\nbreak" }),
    strange("x-4", '{"messages":"none"}', { OperationType: "Batch", Origin: "o", Destination: "d" }),
    statedInBody,
    row("persons", 3),
  ]);
  const { end } = route();
  assert.deepEqual(idsOf(await arrived("persons", 3)), idsOf(rows("persons", 3)));
  await emptied();
  const letters = await transport.deadLetters(QUEUE).list(10);
  const reasons = [/body is not JSON/, /no metadata\.Destination/, /is no name/, /not a batch message of dstream/];
  assert.deepEqual(
    letters.map(({ message }) => message.id),
    ["x-1", "x-2", "x-3", "x-4"],
  );
  for (const [n, { reason }] of letters.entries()) assert.match(reason, reasons[n]!);
  await end();
  await close();
});

test("a destination that is away is waited for, which is said once, and so is its return", async () => {
  const { transport, sender, route, arrived, emptied, log, logged, close } = await start();
  let failures = 5;
  const output = gated(transport, async (call, when) => {
    if (call === `send ${topic("persons").name}` && when === "before" && failures-- > 0) {
      throw new TransportError("unavailable", "connection refused");
    }
  });
  await sender.send([...rows("persons", 10), ...rows("cars", 2)]);
  const { end } = route({ output });
  assert.deepEqual(idsOf(await arrived("persons", 10)), idsOf(rows("persons", 10)));
  await emptied();
  await logged(/s\.db\.persons\.events is back after \d+ s/);
  assert.equal(log.filter(({ msg }) => /^waiting for s\.db\.persons/.test(String(msg))).length, 1);
  await end();
  await close();
});

test("a destination that refuses stops its lane with an error and keeps everything, while the others go on", async () => {
  const { transport, sender, route, arrived, logged, close } = await start();
  const output = gated(
    transport,
    refusing(({ properties }) => properties["TableName"] === "persons", false),
  );
  await sender.send([...rows("persons", 3), ...rows("cars", 3)]);
  const { end } = route({ output });
  assert.equal((await arrived("cars", 3)).length, 3);
  const error = await logged(/^stopped: nothing more goes to s\.db\.persons\.events/);
  assert.match(String(error["error"]), /the destination says no/);
  assert.match(String(error["advice"]), /restart the router/);
  await end();
  assert.equal((await transport.inspect(QUEUE)).pending, 3);
  assert.deepEqual(await transport.deadLetters(QUEUE).list(10), []);
  const second = route();
  assert.deepEqual(idsOf(await arrived("persons", 3)), idsOf(rows("persons", 3)));
  await second.end();
  await close();
});

for (const named of [true, false]) {
  const how = named ? "that the refusal names" : "that has to be found";
  test(`under on_poison = "dead_letter" a refused message ${how} goes to the dead letters, and no other`, async () => {
    const { transport, sender, route, arrived, emptied, close } = await start();
    const poison = row("persons", 3).id;
    const output = gated(
      transport,
      refusing(({ id }) => id === poison, named),
    );
    await sender.send(rows("persons", 6));
    const { end } = route({ output, onPoison: "dead_letter" });
    const expected = idsOf(rows("persons", 6)).filter((id) => id !== poison);
    assert.deepEqual(idsOf(await arrived("persons", 5)), expected);
    await emptied();
    const letters = await transport.deadLetters(QUEUE).list(10);
    assert.deepEqual(
      letters.map(({ message }) => message.id),
      [poison],
    );
    assert.match(letters[0]!.reason, /refused by s\.db\.persons\.events: the destination says no/);
    await end();
    await close();
  });
}

test("a refused row of a batch takes the batch to the dead letters, after its other rows have arrived", async () => {
  const { transport, sender, route, arrived, emptied, close } = await start();
  const persons = rows("persons", 4);
  const isPoison = ({ body }: Message) => body.toString().includes('"ID":2}');
  const output = gated(transport, refusing(isPoison, true));
  const [batch] = packBatches(persons, 100_000);
  await sender.send([batch!]);
  const { end } = route({ output, onPoison: "dead_letter" });
  const got = await arrived("persons", 3);
  assert.deepEqual(
    got.map(({ body }) => body.toString()),
    persons.filter((m) => !isPoison(m)).map((m) => m.body.toString()),
  );
  await emptied();
  const [letter] = await transport.deadLetters(QUEUE).list(10);
  assert.equal(letter!.message.id, batch!.id);
  assert.match(letter!.reason, /row .*: refused by/);
  await end();
  await close();
});

test("a destination that refuses everything stops its lane instead of emptying the queue into the dead letters", async () => {
  const { transport, sender, route, logged, close } = await start();
  const output = gated(
    transport,
    refusing(() => true, false),
  );
  await sender.send(rows("persons", 40));
  const { end } = route({ output, onPoison: "dead_letter" });
  await logged(/^stopped: nothing more goes to s\.db\.persons\.events/);
  await end();
  const { pending, deadLettered } = await transport.inspect(QUEUE);
  assert.equal(pending + deadLettered, 40);
  assert.ok(deadLettered < 10, `${deadLettered} dead letters`);
  await close();
});

test("no more deliveries are taken while too many bytes are in flight", async () => {
  const { transport, sender, route, arrived, emptied, close } = await start();
  const open = Promise.withResolvers<void>();
  let taken = 0;
  const output = gated(transport, async (call) => (call.startsWith("send ") ? open.promise : undefined));
  const source = gated(transport, async (call) => void (call === "delivery" && taken++));
  const tables = Array.from({ length: 8 }, (_, n) => `t${n}`);
  for (const table of tables) await sender.send(rows(table, 4));
  const size = rows("t0", 4).reduce((sum, { body }) => sum + body.length, 0);
  const { end } = route({ source, output, destinations: [], maxInFlightBytes: size * 2 });
  while (taken < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(taken <= 2, `${taken} deliveries taken`);
  open.resolve();
  for (const table of tables) assert.equal((await arrived(table, 4)).length, 4);
  await emptied();
  await end();
  await close();
});

test("a stop finishes what was begun: what has been taken arrives and is settled", async () => {
  const { transport, sender, route, arrived, close } = await start();
  const sending = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  const output = gated(transport, async (call, when) => {
    if (!call.startsWith("send ") || when === "after") return;
    sending.resolve();
    await open.promise;
  });
  await sender.send(rows("persons", 4));
  const { end } = route({ output });
  await sending.promise;
  const ended = end();
  open.resolve();
  await ended;
  assert.deepEqual(await transport.inspect(QUEUE), { pending: 0, deadLettered: 0, repeats: 0 });
  assert.equal((await arrived("persons", 4)).length, 4);
  await close();
});

test("a stop does not wait for ever for a destination that hangs or is away: its messages are given back", async () => {
  for (const away of [true, false]) {
    const { transport, sender, route, arrived, close } = await start();
    const sending = Promise.withResolvers<void>();
    const output = gated(transport, async (call) => {
      if (!call.startsWith("send ")) return;
      sending.resolve();
      if (away) throw new TransportError("unavailable", "connection refused");
      await new Promise(() => {});
    });
    await sender.send(rows("persons", 3));
    const { end } = route({ output, drainMs: 100, ...(away ? { retryMs: { initial: 600_000, max: 600_000 } } : {}) });
    await sending.promise;
    await end();
    assert.equal((await transport.inspect(QUEUE)).pending, 3);
    const second = route();
    assert.deepEqual(idsOf(await arrived("persons", 3)), idsOf(rows("persons", 3)));
    await second.end();
    await close();
  }
});

test("what the ingest queue cannot be told is told again, with one warning where it takes longer, and the key goes on", async () => {
  const { transport, sender, route, arrived, log, emptied, close } = await start();
  let refusals = 5;
  const source = gated(transport, async (call, when) => {
    if (call === "complete" && when === "before" && refusals-- > 0)
      throw new TransportError("unavailable", "slow down", { advice: "It is waited for." });
  });
  await sender.send(rows("persons", 6));
  const { end } = route({ source });
  assert.deepEqual(idsOf(await arrived("persons", 6)), idsOf(rows("persons", 6)));
  await emptied();
  await end();
  const warnings = log.filter(({ level }) => Number(level) >= 40);
  assert.deepEqual(
    warnings.map(({ msg, key, advice }) => ({ msg, key, advice })),
    [
      {
        msg: "a delivery cannot be settled yet; its key waits",
        key: "dbo.persons",
        advice: "It is waited for.",
      },
    ],
  );
  await close();
});

test("an ingest queue that is away is waited for, at start and later, with one line each", async () => {
  const { transport, sender, route, arrived, log, logged, close } = await start();
  let failures = 0;
  const source = gated(transport, async (call, when) => {
    if ((call === "receiver" || call === "delivery") && when === "after" && failures++ < 4) {
      throw new TransportError("unavailable", "connection reset");
    }
  });
  await sender.send(rows("persons", 2));
  const { end } = route({ source });
  await logged(/queue ingest-queue is back after/);
  await end();
  const waits = log.filter(({ msg }) => msg === "waiting for queue ingest-queue");
  assert.ok(waits.length >= 1 && waits.length <= 2, `${waits.length} lines`);
  await transport.close();
  await close();
  void arrived;
});

test("an output whose reader has gone ends the router in peace, and what was not written stays in the queue", async () => {
  const { transport, sender, route, log, close } = await start();
  const pipe = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    },
  });
  await sender.send(rows("persons", 3));
  await route({ output: new ConsoleTransport(pipe) }).running;
  assert.equal((await transport.inspect(QUEUE)).pending, 3);
  assert.deepEqual(
    log.filter(({ level }) => Number(level) >= 50),
    [],
  );
  await close();
});

test("killed at any call it makes, the router's successor loses nothing, keeps the order and repeats with the same ids", async () => {
  const sent = [...rows("persons", 6), ...rows("cars", 3)];
  const strange: Message = { id: "x-1", key: "dbo.persons", body: Buffer.from("hello"), properties: {} };
  let calls = Number.POSITIVE_INFINITY;
  let crashes = 0;
  for (let crashAt = 1; crashAt <= calls; crashAt++) {
    const { transport, open, sender, route, arrived, emptied, close } = await start();
    await sender.send([sent[0]!, strange, ...sent.slice(1)]);
    const doomed = await open();
    const dead = Promise.withResolvers<void>();
    let count = 0;
    const gate: Gate = async () => {
      if (++count < crashAt) return;
      dead.resolve();
      await new Promise(() => {});
    };
    const faulty = gated(doomed, gate);
    const first = route({ source: faulty, output: faulty, drainMs: 0 });
    const finished = emptied().then(() => new Promise((resolve) => setTimeout(resolve, 20)));
    await Promise.race([dead.promise, finished]);
    if (count < crashAt) calls = crashAt;
    else crashes++;
    first.stop.abort();
    await doomed.close();
    const second = route();
    assert.deepEqual(idsOf(await arrived("persons", 6)), idsOf(sent.slice(0, 6)), `crash at call ${crashAt}`);
    assert.deepEqual(idsOf(await arrived("cars", 3)), idsOf(sent.slice(6)), `crash at call ${crashAt}`);
    await emptied();
    await second.end();
    const { pending, deadLettered } = await transport.inspect(QUEUE);
    assert.deepEqual({ pending, deadLettered }, { pending: 0, deadLettered: 1 }, `crash at call ${crashAt}`);
    for (const table of ["persons", "cars"]) assert.equal((await transport.inspect(topic(table))).pending, 0);
    await close();
  }
  assert.ok(crashes > 20, `${crashes} crashes`);
});
