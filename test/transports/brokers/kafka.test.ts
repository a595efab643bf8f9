/** The transport contract on a real Kafka. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { Admin, Producer } from "@platformatic/kafka";
import { selfSignedCertificate } from "../../../simulator/tds/certificate.ts";
import type { Delivery } from "../../../src/transports/transport.ts";
import { KAFKA_USER, missingKafka, startKafka } from "../../support/kafka.ts";
import { missingServer, type TestServer, temporaryFolder } from "../../support/server.ts";
import { AUDIENCE, CLIENT, ISSUER, startTokenEndpoint } from "../../support/token-endpoint.ts";
import { ids, message, patiently, transportContract } from "../contract.ts";
import { take } from "../take.ts";
import { type KafkaPlace, open } from "./kafka-opener.ts";

const lack = missingKafka();
if (lack !== null) missingServer("kafka keeps the transport contract", lack);
else {
  const given = process.env["TEST_KAFKA_URL"];
  const server: TestServer | null = given ? null : await startKafka();
  after(() => server?.close());
  const module = join(import.meta.dirname, "kafka-opener.ts");
  const run = Date.now().toString(36);
  const SHORT = "2s";
  let places = 0;
  const placeAt = (connectionString: string, session: string): KafkaPlace => ({
    connectionString,
    prefix: `test-${run}-${++places}-`,
    settings: { session_timeout: session, partitions: 3 },
  });
  transportContract({
    name: "kafka",
    shortLeaseMs: 2_000,
    place: async (lease) => ({ module, options: placeAt(given ?? server!.url, lease === "short" ? SHORT : "10s") }),
    open: (options) => open(options as KafkaPlace),
    server: async () => {
      const own = await startKafka();
      return { server: own, opener: { module, options: placeAt(own.url, SHORT) } };
    },
  });

  test("a clock that is set forward by more than a session takes no delivery away from who has it", async () => {
    const transport = await open(placeAt(given ?? server!.url, "10s"));
    const queue = { kind: "queue", name: "ingest-queue" } as const;
    try {
      await transport.ensure(queue);
      const sender = await transport.sender(queue);
      await sender.send([{ id: "m-1", key: "k", body: Buffer.from("{}"), properties: {} }]);
      const [held] = await take(await transport.receiver(queue), 1);
      const now = Date.now;
      Date.now = () => now() + 3_600_000;
      try {
        await assert.rejects(held!.complete(), { reason: "unavailable", message: /still held/ });
      } finally {
        Date.now = now;
      }
      await held!.complete();
    } finally {
      await transport.close();
    }
  });

  test("a topic that is removed while a delivery of it is out ends receiving, with what to do", async () => {
    const transport = await open(placeAt(given ?? server!.url, "10s"));
    const queue = { kind: "queue", name: "ingest-queue" } as const;
    await transport.ensure(queue);
    await (await transport.sender(queue)).send([message("m-1")]);
    const receives = (await transport.receiver(queue)).deliveries(AbortSignal.timeout(30_000))[Symbol.asyncIterator]();
    const { value: held } = (await receives.next()) as { value: Delivery };
    await transport.remove!(queue);
    const next = assert.rejects(receives.next(), { reason: "rejected", advice: /when an ingester or a router/ });
    await assert.rejects(
      patiently(() => held.complete()),
      { reason: "rejected" },
    );
    await next;
    await transport.close();
  });

  test("SASL lets in who signs in right, and tells others what to look at", async () => {
    const own = await startKafka({ sasl: ["PLAIN", "SCRAM-SHA-512"] });
    try {
      const { name, password } = KAFKA_USER;
      const queue = { kind: "queue", name: "ingest-queue" } as const;
      const at = (user: string, sasl: string) =>
        open({ ...placeAt(own.url.replace("//", `//${user}@`), SHORT), settings: { sasl } });
      for (const sasl of ["PLAIN", "SCRAM-SHA-512"]) {
        const transport = await at(`${name}:${encodeURIComponent(password)}`, sasl);
        await transport.ensure(queue);
        assert.equal(await transport.exists(queue), true);
        await transport.close();
        const wrong = await at(`${name}:wrong`, sasl);
        await assert.rejects(wrong.ensure(queue), { reason: "rejected", advice: /password/ });
        await wrong.close();
      }
    } finally {
      await own.close();
    }
    await assert.rejects(open({ ...placeAt("kafka://a:b@127.0.0.1:1", SHORT), settings: { sasl: "OAUTHBEARER" } }), {
      reason: "rejected",
      message: /oauth_token_url/,
    });
  });

  test("OAUTHBEARER: a token of the endpoint lets in, for as long as the endpoint gives new ones; what it refuses is told", async () => {
    const endpoint = await startTokenEndpoint(5);
    const { keysUrl, tokenUrl, asked } = endpoint;
    const own = await startKafka({ sasl: ["OAUTHBEARER"], tokens: { keysUrl, issuer: ISSUER, audience: AUDIENCE } });
    const queue = { kind: "queue", name: "ingest-queue" } as const;
    const at = (secret: string) =>
      open({
        ...placeAt(own.url.replace("//", `//${encodeURIComponent(CLIENT.id)}:${encodeURIComponent(secret)}@`), SHORT),
        settings: {
          sasl: "OAUTHBEARER",
          oauth_token_url: tokenUrl,
          oauth_scope: "changes",
          oauth_extensions: "logicalCluster=lkc-1,identityPoolId=pool-2",
        },
      });
    try {
      const transport = await at(CLIENT.secret);
      await transport.ensure(queue);
      const sender = await transport.sender(queue);
      const receiver = await transport.receiver(queue);
      // Far beyond what one token lives.
      for (let n = 1; n <= 9; n++) {
        await patiently(() => sender.send([message(`m-${n}`)]));
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
      assert.deepEqual(
        await ids(receiver, 9),
        [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `m-${n}`),
      );
      assert.ok(asked.length > 1 && asked.every((scope) => scope === "changes"), JSON.stringify(asked));
      await transport.close();
      const wrong = await at("wrong");
      await assert.rejects(wrong.ensure(queue), { reason: "rejected", message: /invalid_client/, advice: /secret/ });
      await wrong.close();
      // An endpoint that is away is waited for, as a broker that is away is.
      await endpoint.close();
      const alone = await at(CLIENT.secret);
      await assert.rejects(alone.ensure(queue), { reason: "unavailable", message: /gave no token: .*ECONNREFUSED/ });
      await alone.close();
    } finally {
      await own.close();
      await endpoint.close();
    }
    const clear = placeAt("kafka://a:b@127.0.0.1:1", SHORT);
    await assert.rejects(
      open({ ...clear, settings: { sasl: "OAUTHBEARER", oauth_token_url: "http://tokens.example.com/token" } }),
      { reason: "rejected", message: /no https address/ },
    );
  });

  test("messages that Kafka has deleted before they were settled stop the receiver, which says so", async () => {
    const place = placeAt(given ?? server!.url, SHORT);
    const transport = await open({ ...place, settings: { ...place.settings, partitions: 1 } });
    const queue = { kind: "queue", name: "ingest-queue" } as const;
    await transport.ensure(queue);
    const sender = await transport.sender(queue);
    await sender.send([1, 2, 3, 4].map((n) => message(`m-${n}`)));
    const receiver = await transport.receiver(queue);
    const stop = new AbortController();
    for await (const delivery of receiver.deliveries(stop.signal)) {
      await delivery.complete();
      stop.abort();
    }
    await sender.send([5, 6, 7].map((n) => message(`m-${n}`)));
    const brokers = [place.connectionString.replace("kafka://", "")];
    const admin = new Admin({ clientId: "test", bootstrapBrokers: brokers });
    await admin.deleteRecords({
      topics: [{ name: `${place.prefix}ingest-queue`, partitions: [{ partition: 0, offset: 6n }] }],
    });
    await admin.close();
    await assert.rejects(
      async () => {
        for await (const _ of receiver.deliveries(AbortSignal.timeout(30_000))) assert.fail("delivered over a gap");
      },
      { reason: "rejected", message: /are gone.*offset 4.*before 6/s },
    );
    await transport.close();
  });

  test("TLS with SASL: a certificate of one's own is taken with ca_file, and refused without", async () => {
    const certificate = selfSignedCertificate();
    const folder = temporaryFolder("kafka-tls");
    const file = join(folder, "ca.pem");
    writeFileSync(file, certificate.cert);
    const own = await startKafka({ sasl: ["SCRAM-SHA-512"], tls: certificate });
    try {
      const { name, password } = KAFKA_USER;
      const url = own.url.replace("//", `//${name}:${encodeURIComponent(password)}@`).replace("127.0.0.1", "localhost");
      const queue = { kind: "queue", name: "ingest-queue" } as const;
      const at = (settings: object) =>
        open({ ...placeAt(url, SHORT), settings: { sasl: "SCRAM-SHA-512", ...settings } });
      const transport = await at({ ca_file: file });
      await transport.ensure(queue);
      assert.equal(await transport.exists(queue), true);
      await transport.close();
      const distrustful = await at({});
      await assert.rejects(distrustful.ensure(queue), /certificate/);
      await distrustful.close();
    } finally {
      await own.close();
      rmSync(folder, { recursive: true });
    }
  });

  test("of what transactions have sent comes all that was committed, and nothing that was aborted", async () => {
    const place = placeAt(given ?? server!.url, SHORT);
    const transport = await open({ ...place, settings: { ...place.settings, partitions: 1 } });
    const queue = { kind: "queue", name: "ingest-queue" } as const;
    await transport.ensure(queue);
    const topic = `${place.prefix}ingest-queue`;
    const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({
      clientId: "test",
      bootstrapBrokers: [place.connectionString.replace("kafka://", "")],
      idempotent: true,
      transactionalId: topic,
      retries: 100,
      retryDelay: 20,
    });
    const transaction = async (bodies: string[], end: "commit" | "abort") => {
      const begun = await producer.beginTransaction({ producerId: -1n, producerEpoch: -1 });
      // It takes part without a message, as that of a process that was killed early.
      await promisify(begun.addPartitions.bind(begun))(await producer.metadata({ topics: [topic] }), [
        { topic, partition: 0, value: Buffer.alloc(0) },
      ]);
      for (const body of bodies)
        await begun.send({ messages: [{ topic, key: Buffer.from("Persons"), value: Buffer.from(body) }] });
      await begun[end]();
    };
    await transaction(["aborted-1"], "abort");
    await transaction(["committed-1"], "commit");
    await transaction(["aborted-2"], "abort");
    await transaction(["committed-2"], "commit");
    await transaction([], "abort");
    // More than one fetch brings.
    await transaction(
      Array.from({ length: 12 }, (_, n) => `aborted-${n}`.padEnd(900_000)),
      "abort",
    );
    await transaction(["committed-3", "committed-4"], "commit");
    await transaction(["aborted-5"], "abort");
    const sender = await transport.sender(queue);
    await sender.send([message("m-5", { body: Buffer.from("committed-5") })]);
    const receiver = await transport.receiver(queue);
    const bodies: string[] = [];
    for await (const delivery of receiver.deliveries(AbortSignal.timeout(60_000))) {
      bodies.push(...delivery.messages.map(({ body }) => body.toString().slice(0, 20).trim()));
      await delivery.complete();
      if (bodies.length >= 5) break;
    }
    assert.deepEqual(
      bodies,
      [1, 2, 3, 4, 5].map((n) => `committed-${n}`),
    );
    await producer.close();
    await transport.close();
  });
}
