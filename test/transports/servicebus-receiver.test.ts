/** What a receiver of Service Bus does with a session in which nothing can be settled, although it can be taken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ServiceBusClient, ServiceBusError, type ServiceBusReceivedMessage } from "@azure/service-bus";
import type { TransportError } from "../../src/errors.ts";
import { BacklogReceiving } from "../../src/transports/backlog-receiving.ts";
import { type ServiceBusHandle, ServiceBusSession } from "../../src/transports/servicebus/receiver.ts";

/** A queue with one session of messages, which come again with the session until they are completed. */
class OneSession {
  taken = 0;
  settles = false;
  readonly left: Set<string>;
  #free = Promise.withResolvers<void>();

  constructor(messages: number) {
    this.left = new Set(Array.from({ length: messages }, (_, n) => `m-${n}`));
    this.#free.resolve();
  }

  async acceptNextSession(): Promise<object> {
    await this.#free.promise;
    const free = Promise.withResolvers<void>();
    this.#free = free;
    this.taken++;
    return {
      sessionId: "s",
      subscribe: ({ processMessage }: { processMessage(message: object): Promise<void> }) => {
        for (const messageId of this.left)
          void processMessage({ messageId, sessionId: "s", body: Buffer.from("{}"), applicationProperties: {} });
      },
      completeMessage: async ({ messageId }: ServiceBusReceivedMessage) => {
        if (this.settles) return void this.left.delete(String(messageId));
        throw new ServiceBusError("the operation did not complete in time", "ServiceTimeout");
      },
      close: async () => free.resolve(),
    };
  }
}

test("a session that nothing can be settled in is given up after a while, and comes again with all that it had", async () => {
  const queue = new OneSession(100);
  const client = queue as unknown as ServiceBusClient;
  const place = { client, where: "a test", what: "queue test", queue: "test", subscription: undefined, maxSessions: 1 };
  const receiving = new BacklogReceiving<ServiceBusHandle>({
    what: "queue test",
    open: async (backlog) => new ServiceBusSession(place, backlog),
  });
  const stop = new AbortController();
  const errors: TransportError[] = [];
  const routing = (async () => {
    for await (const delivery of receiving.receiver().deliveries(stop.signal)) {
      assert.equal(delivery.messages.length, 100);
      for (let held = true; held; )
        await delivery.complete().then(
          () => (held = false),
          (error: TransportError) => {
            errors.push(error);
            held = error.reason === "unavailable";
          },
        );
    }
  })();
  await sleep(1_200);
  const taken = queue.taken;
  queue.settles = true;
  while (queue.left.size > 0) await sleep(20);
  stop.abort();
  await routing;
  await receiving.close();
  // Each time counts as a delivery of all that is in it.
  assert.ok(taken <= 3, `taken ${taken} times`);
  assert.equal(errors[0]!.reason, "unavailable");
  assert.match(errors[0]!.message, /did not complete in time/);
  assert.equal(errors[1]!.reason, "rejected");
  assert.match(errors[1]!.message, /no longer held; what was not settled comes again/);
});
