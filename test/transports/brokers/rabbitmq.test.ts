/** The transport contract on a real RabbitMQ. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Delivery } from "../../../src/transports/transport.ts";
import { missingRabbitMq, startRabbitMq } from "../../support/rabbitmq.ts";
import { missingServer, type TestServer } from "../../support/server.ts";
import { ids, message, transportContract } from "../contract.ts";
import { open, type RabbitMqPlace } from "./rabbitmq-opener.ts";

const lack = missingRabbitMq();
if (lack !== null) missingServer("rabbitmq keeps the transport contract", lack);
else {
  const given = process.env["TEST_RABBITMQ_URL"];
  const server: TestServer | null = given ? null : await startRabbitMq();
  after(() => server?.close());
  const module = join(import.meta.dirname, "rabbitmq-opener.ts");
  const run = Date.now().toString(36);
  let places = 0;
  const optionsAt = (url: string, heartbeat: number): RabbitMqPlace => ({
    connectionString: `${url}?heartbeat=${heartbeat}`,
    prefix: `test-${run}-${++places}-`,
  });
  transportContract({
    name: "rabbitmq",
    smallMessages: true,
    // Two heartbeats and what the broker takes to notice.
    shortLeaseMs: 3_000,
    place: async (lease) => ({ module, options: optionsAt(given ?? server!.url, lease === "short" ? 1 : 10) }),
    open: (options) => open(options as RabbitMqPlace),
    // RabbitMQ's list of its quorum queues is a dets file, which is written every half second (ra_directory: auto_save): one that is
    // killed before has a queue without a leader for good.
    entityDurableMs: 1_500,
    server: async () => {
      const own = await startRabbitMq();
      return { server: own, opener: { module, options: optionsAt(own.url, 1) } };
    },
  });

  test("a delivery that is out for longer than the broker's consumer_timeout comes again, and receiving is waited for", async () => {
    const own = await startRabbitMq({ consumerTimeoutMs: 2_000 });
    try {
      const transport = await open(optionsAt(own.url, 10));
      const queue = { kind: "queue", name: "ingest-queue" } as const;
      await transport.ensure(queue);
      await (await transport.sender(queue)).send([message("m-1")]);
      const receiver = await transport.receiver(queue);
      const receives = receiver.deliveries(AbortSignal.timeout(30_000))[Symbol.asyncIterator]();
      const { value: held } = (await receives.next()) as { value: Delivery };
      await assert.rejects(receives.next(), { reason: "unavailable", advice: /consumer_timeout/ });
      await assert.rejects(held.complete(), { reason: "rejected", message: /comes again/ });
      assert.deepEqual(await ids(receiver, 1), ["m-1"]);
      await transport.close();
    } finally {
      await own.close();
    }
  });
}
