import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "../../src/change/message.ts";
import { TransportError } from "../../src/errors.ts";
import { BacklogReceiving, type Session } from "../../src/transports/backlog-receiving.ts";
import type { KeyedBacklog } from "../../src/transports/keyed-backlog.ts";
import type { Delivery } from "../../src/transports/transport.ts";

const forever = new AbortController().signal;

/** A system that hands its one stream to one session at a time, as a lock or a seat in a group does. */
class OneSeat {
  readonly what = "queue test";
  readonly sessions: FakeSession[] = [];
  taken = 0;
  failing = 0;
  readonly buried: string[] = [];
  unburied: TransportError | null = null;

  async open(backlog: KeyedBacklog<number>): Promise<FakeSession> {
    if (this.failing-- > 0) throw new TransportError("unavailable", "The server is away.");
    while (this.taken > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    this.taken++;
    const session = new FakeSession(backlog, () => this.taken--);
    this.sessions.push(session);
    return session;
  }

  async bury({ id }: Message): Promise<void> {
    if (this.unburied !== null) throw this.unburied;
    this.buried.push(id);
  }
}

class FakeSession implements Session<number> {
  readonly backlog: KeyedBacklog<number>;
  readonly #leave: () => void;
  lost = false;
  closed = 0;

  constructor(backlog: KeyedBacklog<number>, leave: () => void) {
    this.backlog = backlog;
    this.#leave = leave;
    backlog.put({ message: message("m-1"), handle: 1 });
  }

  refusals = 0;

  async settle(): Promise<void> {
    if (this.refusals-- > 0) throw new TransportError("unavailable", "Slow down.", { advice: "It is waited for." });
    if (this.lost) throw new TransportError("rejected", "The session is lost.");
  }

  lose(): void {
    this.lost = true;
    this.backlog.fail(new TransportError("unavailable", "The connection was lost."));
  }

  async close(): Promise<void> {
    this.closed++;
    this.#leave();
  }
}

function message(id: string): Message {
  return { id, key: "Persons", body: Buffer.from("{}"), properties: {} };
}

async function first(deliveries: AsyncIterable<Delivery>): Promise<Delivery> {
  for await (const delivery of deliveries) return delivery;
  return assert.fail("no delivery came");
}

test("a session that is lost while a delivery of it is out is closed, and its message comes again from the next", async () => {
  const stream = new OneSeat();
  const receiving = new BacklogReceiving(stream);
  const receiver = receiving.receiver();
  const asking = receiver.deliveries(forever)[Symbol.asyncIterator]();
  const { value: held } = (await asking.next()) as { value: Delivery };
  const waiting = asking.next();
  stream.sessions[0]!.lose();
  await assert.rejects(waiting, { reason: "unavailable" });
  await assert.rejects(held.complete(), { reason: "rejected" });
  const again = await first(receiver.deliveries(forever));
  assert.deepEqual(
    again.messages.map(({ id }) => id),
    ["m-1"],
  );
  await again.complete();
  assert.deepEqual(
    stream.sessions.map(({ closed }) => closed),
    [1, 1],
  );
});

test("a loss that nobody was asking to hear of is noticed by who asks next", async () => {
  const stream = new OneSeat();
  const receiving = new BacklogReceiving(stream);
  const receiver = receiving.receiver();
  const asking = receiver.deliveries(forever)[Symbol.asyncIterator]();
  await asking.next();
  stream.sessions[0]!.lose();
  const [one, other] = await Promise.all([receiving.receiver(), receiving.receiver()]);
  const stop = new AbortController();
  const both = [one, other].map(async (each) => {
    for await (const delivery of each.deliveries(stop.signal)) {
      await delivery.complete();
      stop.abort();
    }
  });
  await Promise.all(both);
  await asking.return?.();
  assert.deepEqual(
    stream.sessions.map(({ closed }) => closed),
    [1, 1],
    "two who ask after a loss share one new session, and each session is closed once",
  );
});

test("a session that cannot be opened is told, and tried again by who asks next", async () => {
  const stream = new OneSeat();
  stream.failing = 1;
  const receiver = new BacklogReceiving(stream).receiver();
  await assert.rejects(first(receiver.deliveries(forever)), { reason: "unavailable" });
  await (await first(receiver.deliveries(forever))).complete();
  assert.equal(stream.sessions.length, 1);
});

test("what the system could not be told now is told later: the delivery is held meanwhile, and its key goes on", async () => {
  const stream = new OneSeat();
  const receiver = new BacklogReceiving(stream).receiver();
  const asking = receiver.deliveries(forever)[Symbol.asyncIterator]();
  const { value: held } = (await asking.next()) as { value: Delivery };
  const [session] = stream.sessions;
  session!.refusals = 2;
  for (let n = 0; n < 2; n++)
    await assert.rejects(held.complete(), {
      reason: "unavailable",
      message: /Slow down; it is still held/,
      advice: "It is waited for.",
    });
  session!.backlog.put({ message: message("m-2"), handle: 2 });
  const next = asking.next();
  await held.complete();
  assert.deepEqual(
    ((await next) as { value: Delivery }).value.messages.map(({ id }) => id),
    ["m-2"],
  );
  assert.equal(session!.closed, 0);
});

test("a dead letter is made once, however often its message cannot be settled then", async () => {
  const stream = new OneSeat();
  const receiver = new BacklogReceiving(stream).receiver();
  const asking = receiver.deliveries(forever)[Symbol.asyncIterator]();
  const { value: held } = (await asking.next()) as { value: Delivery };
  stream.sessions[0]!.refusals = 3;
  for (let n = 0; n < 3; n++)
    await assert.rejects(held.deadLetter(held.messages[0]!, "poison"), { reason: "unavailable" });
  await held.deadLetter(held.messages[0]!, "poison");
  await held.complete();
  assert.deepEqual(stream.buried, ["m-1"]);
});

test("where dead letters are refused for good, receiving ends with the reason: the key does not stand still in silence", async () => {
  const stream = new OneSeat();
  const receiver = new BacklogReceiving(stream).receiver();
  const asking = receiver.deliveries(forever)[Symbol.asyncIterator]();
  const { value: held } = (await asking.next()) as { value: Delivery };
  const next = asking.next();
  stream.unburied = new TransportError("rejected", "No right to make the queue.", { advice: "Give it." });
  await assert.rejects(held.deadLetter(held.messages[0]!, "poison"), { reason: "rejected" });
  await assert.rejects(next, { message: "No right to make the queue.", advice: "Give it." });
});
