/** The transport contract on ElasticMQ, or on an SQS that TEST_SQS_URL names. */
import { join } from "node:path";
import { after } from "node:test";
import { missingElasticMq, startElasticMq } from "../../support/elasticmq.ts";
import { missingServer, type TestServer } from "../../support/server.ts";
import { transportContract } from "../contract.ts";
import { open, type SqsPlace } from "./sqs-opener.ts";

const lack = missingElasticMq();
if (lack !== null) missingServer("sqs keeps the transport contract", lack);
else {
  const given = process.env["TEST_SQS_URL"];
  const server: TestServer | null = given ? null : await startElasticMq();
  after(() => server?.close());
  const module = join(import.meta.dirname, "sqs-opener.ts");
  const run = Date.now().toString(36);
  let places = 0;
  const placeAt = (connectionString: string, timeout: string): SqsPlace => ({
    connectionString,
    prefix: `test-${run}-${++places}-`,
    settings: { visibility_timeout: timeout, wait_time: "1s" },
  });
  transportContract({
    name: "sqs",
    shortLeaseMs: 2_000,
    // Seen with 1.6.12: restored messages of a group come in any order, and those that were out are in nobody's way.
    forgetsOrder: "ElasticMQ",
    place: async (lease) => ({ module, options: placeAt(given ?? server!.url, lease === "short" ? "2s" : "1m") }),
    open: (options) => open(options as SqsPlace),
    server: async () => {
      const own = await startElasticMq();
      return { server: own, opener: { module, options: placeAt(own.url, "2s") } };
    },
  });
}
