/** Checkpoints in a topic of a real Kafka: the checkpoint contract, and transactions that hold messages and checkpoint together. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { AclOperations, AclPermissionTypes, Admin, ResourcePatternTypes, ResourceTypes } from "@platformatic/kafka";
import { FencedError, TransportError } from "../../../src/errors.ts";
import { silent } from "../../../src/telemetry/logger.ts";
import { KafkaCheckpointStore } from "../../../src/transports/kafka/checkpoints/store.ts";
import { isFencedOff, TableTransactions } from "../../../src/transports/kafka/checkpoints/transactions.ts";
import { kafkaConnection } from "../../../src/transports/kafka/connection.ts";
import { kafkaSettings } from "../../../src/transports/kafka/settings.ts";
import { KafkaTransport } from "../../../src/transports/kafka/transport.ts";
import { startServer, workplaceOf } from "../../cli/dstream.ts";
import { at, checkpointContract } from "../../ingester/checkpoint-contract.ts";
import { KAFKA_JARS, KAFKA_USER, missingKafka, startKafka } from "../../support/kafka.ts";
import { missingServer, type TestServer } from "../../support/server.ts";
import { message } from "../contract.ts";

const PERSONS = { schema: "dbo", table: "Persons" };

const lack = missingKafka();
if (lack !== null) missingServer("kafka keeps the checkpoint contract", lack);
else {
  const given = process.env["TEST_KAFKA_URL"];
  const server: TestServer | null = given ? null : await startKafka();
  after(() => server?.close());
  const run = Date.now().toString(36);
  const url = given ?? server!.url;
  const open = (topic: string, connectionString = url) =>
    new KafkaCheckpointStore({
      endpoint: { type: "kafka", connectionString, settings: kafkaSettings.parse({}) },
      queue: { kind: "queue", name: `${topic}-queue` },
      topic,
      scope: "server/database",
    });
  // Two stores share a topic; the next story has the next one.
  let opened = 0;
  checkpointContract("kafka", () => open(`test-${run}-${Math.floor(opened++ / 2)}`));

  /** Ids and bodies, as Kafka's own client reads them. */
  const readTopic = async (topic: string, isolation: "read_committed" | "read_uncommitted", connectionString = url) => {
    const program = join(import.meta.dirname, "../../support/kafka/ReadCommitted.java");
    const brokers = connectionString.replace("kafka://", "");
    const args = ["-cp", `${KAFKA_JARS}/*`, program, brokers, topic, isolation];
    const { stdout } = await promisify(execFile)("java", args, { maxBuffer: 64 * 1024 * 1024 });
    const lines = stdout.split("\n").filter(Boolean);
    return lines.map((line) => {
      const [, id, body] = line.split("\t");
      return { id: id!, body: JSON.parse(body!) as unknown };
    });
  };

  /** A store that owns a table, and the queue it sends to. */
  const owning = async (t: TestContext, name: string, connectionString = url) => {
    const topic = `test-${run}-${name}`;
    const store = open(topic, connectionString);
    t.after(() => store.close());
    const settings = kafkaSettings.parse({});
    const transport = new KafkaTransport({ type: "kafka", connectionString, settings }, silent);
    t.after(() => transport.close());
    await transport.ensure({ kind: "queue", name: `${topic}-queue` });
    await store.prepare();
    const { token } = await store.claim(PERSONS, 1);
    return { store, token, topic, queue: `${topic}-queue` };
  };

  /** What was allowed a moment ago is known everywhere a moment later. */
  const patiently = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (const deadline = performance.now() + 30_000; ; await sleep(50)) {
      try {
        return await ask();
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
    }
  };

  test("messages that were sent with a checkpoint are there with it; a former owner's are not", async (t) => {
    const { store, token, topic, queue } = await owning(t, "together");
    await store.sendAndSave([message("m-1"), message("m-2")], PERSONS, at(1), token);
    const next = open(topic);
    t.after(() => next.close());
    const claimed = await next.claim(PERSONS, 1);
    assert.deepEqual(claimed.checkpoint, at(1));
    await assert.rejects(store.sendAndSave([message("m-3")], PERSONS, at(2), token), FencedError);
    await assert.rejects(store.sendAndSave([message("m-3")], PERSONS, at(2), token), FencedError);
    // The fenced one has left the new owner in peace.
    await next.sendAndSave([message("m-4")], PERSONS, at(3), claimed.token);
    assert.deepEqual(
      (await readTopic(queue, "read_committed")).map(({ id }) => id),
      ["m-1", "m-2", "m-4"],
    );
  });

  test("a message that is too large is named, nothing of its send is there, and the next send is good", async (t) => {
    const { store, token, queue } = await owning(t, "too-large");
    const large = message("m-2", { body: Buffer.alloc(2_000_000) });
    await assert.rejects(store.sendAndSave([message("m-1"), large], PERSONS, at(1), token), {
      reason: "too_large",
      messageId: "m-2",
    });
    assert.equal(await store.load(PERSONS), null);
    await store.sendAndSave([message("m-1")], PERSONS, at(1), token);
    assert.deepEqual(
      (await readTopic(queue, "read_committed")).map(({ id }) => id),
      ["m-1"],
    );
  });

  test("a broker that is killed in the middle of transactions, and comes back: every message once", async (t) => {
    const own = await startKafka();
    t.after(() => own.close());
    const { store, token, topic, queue } = await owning(t, "killed", own.url);
    const ids: string[] = [];
    let stopped = false;
    const sending = (async () => {
      for (let n = 1; !stopped; n++) {
        const messages = [1, 2, 3].map((part) => message(`m-${n}-${part}`));
        ids.push(...messages.map(({ id }) => id));
        // As the ingester does it: again, until it is done or will never be.
        for (let done = false; !done; ) {
          done = await store.sendAndSave(messages, PERSONS, at(n), token).then(
            () => true,
            async (error: unknown) => {
              assert.ok(error instanceof TransportError && error.transient, String(error));
              await sleep(100);
              return false;
            },
          );
        }
      }
    })();
    for (let kill = 1; kill <= 3; kill++) {
      await sleep(1_500);
      await own.kill();
      await own.start();
    }
    await sleep(3_000);
    stopped = true;
    await sending;
    const reader = open(topic, own.url);
    t.after(() => reader.close());
    assert.deepEqual((await reader.load(PERSONS))?.position, at(ids.length / 3).position);
    assert.deepEqual(
      (await readTopic(queue, "read_committed", own.url)).map(({ id }) => id),
      ids,
    );
  });

  test("a user needs no more than the documented permissions, and is told which one is missing", async (t) => {
    const own = await startKafka({ sasl: ["PLAIN"], permissions: true });
    t.after(() => own.close());
    const [broker, name] = [own.url.replace("kafka://", ""), `test-${run}-allowed`];
    const as = (user: string, password: string) => `kafka://${user}:${encodeURIComponent(password)}@${broker}`;
    const admin = new Admin(kafkaConnection(as("root", "root"), kafkaSettings.parse({})).options);
    t.after(() => admin.close());
    const allow = async (resourceType: number, resourceName: string, operations: readonly number[]) => {
      const rest = {
        resourcePatternType: ResourcePatternTypes.PREFIXED,
        principal: `User:${KAFKA_USER.name}`,
        host: "*",
      };
      const permissionType = AclPermissionTypes.ALLOW;
      const creations = operations.map((operation) => ({
        resourceType,
        resourceName,
        ...rest,
        operation,
        permissionType,
      }));
      await admin.createAcls({ creations } as never);
    };
    const { READ, WRITE, CREATE, DESCRIBE } = AclOperations;
    await allow(ResourceTypes.TOPIC, name, [READ, WRITE, CREATE, DESCRIBE]);
    await allow(ResourceTypes.GROUP, "dstream-", [READ]);
    const connectionString = as(KAFKA_USER.name, KAFKA_USER.password);
    const transport = new KafkaTransport(
      { type: "kafka", connectionString, settings: kafkaSettings.parse({}) },
      silent,
    );
    t.after(() => transport.close());
    const queue = { kind: "queue", name: `${name}-queue` } as const;
    await transport.ensure(queue);
    await (await transport.sender(queue)).send([message("m-1")]);
    const store = open(name, connectionString);
    t.after(() => store.close());
    await store.prepare();
    await assert.rejects(store.claim(PERSONS, 1), { reason: "rejected", advice: /transactional ids/ });
    await allow(ResourceTypes.TRANSACTIONAL_ID, "dstream-", [WRITE, DESCRIBE]);
    const claimed = await patiently(() => store.claim(PERSONS, 1));
    await store.sendAndSave([message("m-2")], PERSONS, at(1), claimed.token);
    assert.deepEqual((await store.load(PERSONS))?.position, at(1).position);
    const ids: string[] = [];
    for await (const delivery of (await transport.receiver(queue)).deliveries(AbortSignal.timeout(60_000))) {
      ids.push(...delivery.messages.map(({ id }) => id));
      await delivery.complete();
      if (ids.length >= 2) break;
    }
    assert.deepEqual(ids, ["m-1", "m-2"]);
  });

  test("a topic that Kafka deletes from is refused, with what to do", async () => {
    const admin = new Admin({ clientId: "test", bootstrapBrokers: [url.replace("kafka://", "")] });
    const topic = `test-${run}-deleting`;
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
    await admin.close();
    const store = open(topic);
    await assert.rejects(store.prepare(), {
      reason: "rejected",
      message: /cleanup\.policy = delete/,
      advice: /compact/,
    });
    await store.close();
  });

  test("a table that rests has no connections, goes on from there, and is fenced off by who began anew", async (t) => {
    const { topic } = await owning(t, "resting");
    const connection = kafkaConnection(url, kafkaSettings.parse({}));
    const [table, other] = [1, 2].map(() => new TableTransactions(`${topic}-x`, connection, 50));
    t.after(() => Promise.all([table!.close(), other!.close()]));
    const rested = async () => {
      while (table!.connected) await sleep(20);
    };
    const run = () =>
      table!.alone(() =>
        table!.run(async (producer) => {
          await producer.send({
            messages: [{ topic: `${topic}-queue`, key: Buffer.from("k"), value: Buffer.from("{}") }],
          });
        }),
      );
    await table!.alone(() => table!.beginAnew());
    await run();
    await rested();
    await run();
    await rested();
    await other!.alone(() => other!.beginAnew());
    await assert.rejects(run(), isFencedOff);
    assert.equal(table!.unsure, true);
  });

  test("an ingester is killed at commit after commit: who reads what is committed finds each change once, in order", async (t) => {
    const sql = await startServer(t);
    const topic = `test-${run}-exactly-once`;
    const place = workplaceOf(t, sql, {
      tables: ["Persons"],
      ingester: `max_batch_rows = 5
  queue {
    type = "kafka"
    name = "${topic}"
    connection_string = "${url}"
  }
  locks {
    type = "none"
  }
  checkpoints {
    type = "kafka"
  }`,
    });
    const hook = pathToFileURL(join(import.meta.dirname, "../../support/kafka/die-at-commit.ts")).href;
    let rows = 0;
    const insert = async () => {
      const values = Array.from({ length: 20 }, () => `(${++rows}, N'Ada', N'Lovelace')`);
      await sql.query(`INSERT INTO Persons VALUES ${values.join(", ")}`);
    };
    for (const moment of ["before", "during", "after"]) {
      for (const commit of [1, 2, 3, 4]) {
        await insert();
        const doomed = place.start("ingester", {
          NODE_OPTIONS: `--import ${hook}`,
          DIE_AT_COMMIT: `${moment} ${commit}`,
        });
        assert.equal(await doomed.exit(), null, doomed.stderr);
      }
    }
    await insert();
    const last = place.start("ingester", { NODE_OPTIONS: `--import ${hook}` });
    const wanted = Array.from({ length: rows }, (_, index) => index + 1);
    const patience = performance.now() + 60_000;
    let committed = await readTopic(topic, "read_committed");
    while (committed.length < rows && performance.now() < patience)
      committed = await readTopic(topic, "read_committed");
    assert.equal(await last.end(), 0);
    committed = await readTopic(topic, "read_committed");
    assert.deepEqual(
      committed.map(({ body }) => (body as { data: { ID: number } }).data.ID),
      wanted,
    );
    assert.equal(new Set(committed.map(({ id }) => id)).size, rows);
    assert.match((await place.run("checkpoints list")).stdout, /Persons/);
    // The kills did hit: what was sent and never committed is there, for who reads everything.
    const everything = await readTopic(topic, "read_uncommitted");
    assert.ok(everything.length > rows, `${everything.length} records for ${rows} changes`);
    assert.equal(new Set(everything.map(({ id }) => id)).size, rows, "a repeat has the id of the first");
  });
}
