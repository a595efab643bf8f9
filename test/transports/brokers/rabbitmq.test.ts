/** The transport contract on a real RabbitMQ. */
import { join } from "node:path";
import { after } from "node:test";
import { missingRabbitMq, startRabbitMq } from "../../support/rabbitmq.ts";
import { missingServer, type TestServer } from "../../support/server.ts";
import { transportContract } from "../contract.ts";
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
}
