/** What Event Hubs does of its own, and what its transport makes of that: hubs, retention, checkpoints, throttling, broken connections. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { BlobCheckpointStore } from "@azure/eventhubs-checkpointstore-blob";
import { BlobServiceClient } from "@azure/storage-blob";
import { TransportError } from "../../../src/errors.ts";
import { EARLIEST, PartitionCheckpoint } from "../../../src/transports/eventhubs/checkpoints.ts";
import { EventHubsLink } from "../../../src/transports/eventhubs/link.ts";
import type { Delivery, Entity, Transport } from "../../../src/transports/transport.ts";
import { startServer, workplaceOf } from "../../cli/dstream.ts";
import { missingEventHubs, startEventHubs } from "../../support/eventhubs.ts";
import { missingServer } from "../../support/server.ts";
import { ids, message } from "../contract.ts";
import { take } from "../take.ts";
import { open } from "./eventhubs-opener.ts";

const QUEUE: Entity = { kind: "queue", name: "ingest-queue" };

const lack = missingEventHubs();
if (lack !== null) missingServer("what Event Hubs does of its own", lack);
else {
  const server = await startEventHubs({ makesHubs: false });
  after(() => server.close());
  const container = BlobServiceClient.fromConnectionString(server.blobs).getContainerClient("eventhubs");
  let places = 0;
  const fresh = (settings: object = {}) => {
    const prefix = `own-${++places}-`;
    const hub = `${prefix}${QUEUE.name}`;
    const opening = async (): Promise<Transport> =>
      await open({
        connectionString: server.url,
        prefix,
        control: server.controlUrl,
        settings: { blob_connection_string: server.blobs, ...settings },
      });
    return { hub, opening, folder: `127.0.0.1/${hub}/$default/` };
  };
  const many = (from: number, count: number) => Array.from({ length: count }, (_, i) => message(`m-${from + i}`));

  test("a hub that is missing is an error with the command that makes it", async () => {
    const { hub } = fresh();
    const transport = await open({
      connectionString: server.url,
      prefix: "",
      control: server.controlUrl,
      settings: { blob_connection_string: server.blobs },
    });
    const missing: Entity = { kind: "queue", name: hub };
    assert.equal(await transport.exists(missing), false);
    for (const asking of [() => transport.sender(missing), () => transport.receiver(missing)]) {
      await assert.rejects(asking, (error) => {
        assert.ok(error instanceof TransportError);
        assert.equal(error.reason, "rejected");
        assert.match(error.advice!, new RegExp(`az eventhubs eventhub create .*--name ${hub} `));
        return true;
      });
    }
    await transport.close();
  });

  test("a consumer group that is missing is one too", async () => {
    const { hub, opening } = fresh({ consumer_group: "dstream" });
    const transport = await opening();
    await transport.ensure(QUEUE);
    await assert.rejects(ids(await transport.receiver(QUEUE), 1), {
      reason: "rejected",
      advice: new RegExp(`consumer-group create .*--eventhub-name ${hub} --name dstream`),
    });
    await server.control(`make=${hub}&group=dstream`);
    await (await transport.sender(QUEUE)).send([message("m-1")]);
    assert.deepEqual(await ids(await transport.receiver(QUEUE), 1), ["m-1"]);
    await transport.close();
  });

  test("the connection string of another hub is refused, and not quoted", async () => {
    const link = new EventHubsLink(`${server.url}EntityPath=other`);
    assert.throws(
      () => link.producer("mine"),
      (error) => {
        assert.ok(error instanceof TransportError);
        assert.match(error.message, /hub other .*hub mine/);
        assert.doesNotMatch(`${error.message}${error.advice}`, /SAS_KEY_VALUE/);
        return true;
      },
    );
    assert.ok(link.producer("other"));
    await link.close();
  });

  test("dstream check says how the hubs that are missing are made", async (t) => {
    const simulator = await startServer(t);
    const block = `eventhubs {\n blob_connection_string = "${server.blobs}"\n}`;
    const queue = `queue {\n type = "eventhubs"\n name = "checked"\n connection_string = "${server.url}"\n ${block}\n}`;
    const place = workplaceOf(t, simulator, { ingester: queue });
    const { code, stdout } = await place.run("check");
    assert.equal(code, 1, stdout);
    assert.match(stdout, /ERROR\s+ingest queue \(eventhubs\)\s+is missing, and others have to make it: checked/);
    assert.match(stdout.replaceAll(/\s+/g, " "), /fix: az eventhubs eventhub create .*--name checked /);
    await server.control("make=checked");
    assert.match((await place.run("check")).stdout, /OK\s+ingest queue \(eventhubs\)\s+is there/);
  });

  test("a wrong key and no connection string of Event Hubs say what to do", async () => {
    const place = { prefix: "", control: server.controlUrl, settings: { blob_connection_string: server.blobs } };
    const transport = await open({ ...place, connectionString: server.url.replace("SAS_KEY_VALUE", "OTHER") });
    await assert.rejects(transport.exists(QUEUE), { reason: "rejected", advice: /policy needs Send/ });
    await transport.close();
    await assert.rejects(open({ ...place, connectionString: "nonsense" }), { advice: /Shared access policies/ });
    assert.equal(new EventHubsLink("shop.servicebus.windows.net").where, "shop.servicebus.windows.net");
  });

  test("without a storage account a hub can be sent to, and reading says what is missing", async () => {
    const { opening } = fresh({ blob_connection_string: undefined });
    const transport = await opening();
    await transport.ensure(QUEUE);
    await (await transport.sender(QUEUE)).send([message("m-1")]);
    await assert.rejects(transport.receiver(QUEUE), { reason: "rejected", message: /blob_connection_string/ });
    await transport.close();
  });

  test("messages that Event Hubs has deleted before they were settled stop the receiver, which says so", async () => {
    const { hub, opening, folder } = fresh();
    const first = await opening();
    await first.ensure(QUEUE);
    const sender = await first.sender(QUEUE);
    await sender.send(many(0, 4));
    assert.equal((await ids(await first.receiver(QUEUE), 4)).length, 4);
    await sender.send(many(4, 4));
    await server.control(`trim=${hub}&before=6`);
    await assert.rejects(ids(await first.receiver(QUEUE), 1), {
      reason: "rejected",
      message: /are gone: partition \d was read up to event 3.*before 6/s,
      advice: new RegExp(`deleting the blob ${folder.replaceAll("$", "\\$")}checkpoint/\\d`),
    });
    await first.close();
  });

  test("what has expired before the first reader came is no gap, what expires after it is one", async () => {
    const { hub, opening } = fresh();
    const transport = await opening();
    await transport.ensure(QUEUE);
    const sender = await transport.sender(QUEUE);
    await sender.send(many(0, 4));
    await server.control(`trim=${hub}&before=2`);
    const [held] = await take(await transport.receiver(QUEUE), 1);
    assert.deepEqual(
      held!.messages.map(({ id }) => id),
      ["m-2", "m-3"],
    );
    await held!.abandon();
    await server.control(`trim=${hub}&before=3`);
    await assert.rejects(ids(await transport.receiver(QUEUE), 1), { message: /read up to event 1.*before 3/s });
    await transport.close();
  });

  test("a hub that was made anew is not read as if it were the former one", async () => {
    const { opening, folder } = fresh();
    const transport = await opening();
    await transport.ensure(QUEUE);
    await (await transport.sender(QUEUE)).send(many(0, 2));
    await ids(await transport.receiver(QUEUE), 2);
    for await (const { name } of container.listBlobsFlat({ prefix: `${folder}checkpoint/` }))
      await container.getBlobClient(name).setMetadata({ sequencenumber: "1000", offset: "64000", owner: "former" });
    await assert.rejects(ids(await transport.receiver(QUEUE), 1), { message: /was made anew/, advice: /checkpoint/ });
    await transport.close();
  });

  test("what was settled beyond an unsettled message does not come again after a crash", async () => {
    const { opening } = fresh();
    const crashing = await opening();
    await crashing.ensure(QUEUE);
    const keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    await (await crashing.sender(QUEUE)).send(keys.map((key) => message(`${key}-1`, { key })));
    const deliveries = await take(await crashing.receiver(QUEUE), keys.length);
    const held = deliveries.find(({ key }) => key === "a")!;
    for (const delivery of deliveries) if (delivery !== held) await delivery.complete();
    await crashing.close();
    const next = await opening();
    await (await next.sender(QUEUE)).send(keys.map((key) => message(`${key}-2`, { key })));
    const came = await ids(await next.receiver(QUEUE), keys.length + 1);
    assert.deepEqual(came.toSorted(), ["a-1", ...keys.map((key) => `${key}-2`)].sort());
    await next.close();
  });

  test("whoever takes a checkpoint over ends all writing by those before, and finds what they wrote last", async () => {
    const first = { state: { floor: -1, beyond: [] }, offset: EARLIEST };
    await container.createIfNotExists();
    const a = await PartitionCheckpoint.take(container, "fencing/checkpoint/0", "a", first);
    const state = { floor: 7, beyond: [[9, 11] as const, [20, 20] as const] };
    assert.equal(await a.store.save({ state, offset: "700" }), true);
    const b = await PartitionCheckpoint.take(container, "fencing/checkpoint/0", "b", first);
    assert.deepEqual(b.found, { state, offset: "700" });
    assert.equal(await a.store.save({ state: { floor: 30, beyond: [] }, offset: "3000" }), false);
    assert.equal(await b.store.save({ state: { floor: 8, beyond: [] }, offset: "800" }), true);
    const c = await PartitionCheckpoint.take(container, "fencing/checkpoint/0", "c", first);
    assert.equal(c.found.state.floor, 8);
  });

  test("with the container of its checkpoints deleted nothing is settled, and receiving ends with what to do", async () => {
    const { opening } = fresh({ blob_container: "deleted" });
    const transport = await opening();
    await transport.ensure(QUEUE);
    await (await transport.sender(QUEUE)).send(many(1, 2));
    const receives = (await transport.receiver(QUEUE)).deliveries(AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
    const { value: held } = (await receives.next()) as { value: Delivery };
    await BlobServiceClient.fromConnectionString(server.blobs).getContainerClient("deleted").delete();
    const refusal = { reason: "rejected", message: /ContainerNotFound/, advice: /Start dstream again/ };
    await assert.rejects(held.complete(), refusal);
    await assert.rejects(receives.next(), refusal);
    await transport.close();
    const next = await opening();
    assert.deepEqual(await ids(await next.receiver(QUEUE), 2), ["m-1", "m-2"]);
    await next.close();
  });

  test("Azure's own checkpoint store reads the checkpoints", async () => {
    const { hub, opening } = fresh();
    const transport = await opening();
    await transport.ensure(QUEUE);
    await (await transport.sender(QUEUE)).send(many(0, 3));
    await ids(await transport.receiver(QUEUE), 3);
    await transport.close();
    const checkpoints = await new BlobCheckpointStore(container).listCheckpoints("127.0.0.1", hub, "$Default");
    assert.equal(checkpoints.length, 4);
    assert.equal(Math.max(...checkpoints.map(({ sequenceNumber }) => sequenceNumber)), 2);
    assert.ok(checkpoints.every(({ offset, sequenceNumber }) => (offset === EARLIEST) === (sequenceNumber === -1)));
  });

  test("broken connections lose, repeat and reorder nothing of what is read", async () => {
    const { opening } = fresh();
    const transport = await opening();
    await transport.ensure(QUEUE);
    const sender = await transport.sender(QUEUE);
    const receiver = await transport.receiver(QUEUE);
    const stop = new AbortController();
    const came: string[] = [];
    const receiving = (async () => {
      for await (const delivery of receiver.deliveries(stop.signal)) {
        came.push(...delivery.messages.map(({ id }) => id));
        await delivery.complete();
      }
    })();
    const sent: string[] = [];
    for (let round = 0; round < 6; round++) {
      const batch = many(round * 50, 50);
      sent.push(...batch.map(({ id }) => id));
      await sender.send(batch);
      while (came.length < sent.length - 25) await new Promise((resolve) => setTimeout(resolve, 20));
      await server.control("drop");
    }
    while (came.length < sent.length) await new Promise((resolve) => setTimeout(resolve, 20));
    stop.abort();
    await receiving;
    assert.deepEqual(came, sent);
    await transport.close();
  });

  test("a reader never asks for more than it has room for, however the messages trickle in", async () => {
    const { hub, opening } = fresh({ checkpoint_interval: "1ms" });
    const transport = await opening();
    await transport.ensure(QUEUE);
    const sender = await transport.sender(QUEUE);
    const receiver = await transport.receiver(QUEUE);
    const stop = new AbortController();
    await sender.send([message("m-0"), message("m-1")]);
    let count = 0;
    for await (const delivery of receiver.deliveries(stop.signal)) {
      count += delivery.messages.length;
      await delivery.complete();
      if (count === 60) stop.abort();
      else if (count > 1) await sender.send([message(`m-${count}`)]);
      // Azure's own reader has asked for 14,950 more after 150 messages like these.
      assert.ok(Number(await server.control(`credit=${hub}`)) <= 4_000);
    }
    await transport.close();
  });

  test("a throttled hub is waited for", async () => {
    const { opening } = fresh();
    const transport = await opening();
    await transport.ensure(QUEUE);
    const sender = await transport.sender(QUEUE);
    await server.control("busy=2");
    await assert.rejects(sender.send([message("m-1")]), { reason: "unavailable", message: /throttled/ });
    await sender.send([message("m-1")]);
    assert.deepEqual(await ids(await transport.receiver(QUEUE), 1), ["m-1"]);
    await transport.close();
  });

  test("a link that takes less than max_message_bytes says so for the message that is above it", async () => {
    const basic = await startEventHubs({ maxBytes: 256 * 1024 });
    try {
      const transport = await open({
        connectionString: basic.url,
        prefix: "",
        control: basic.controlUrl,
        settings: {},
      });
      const sender = await transport.sender(QUEUE);
      await sender.send([1, 2, 3].map((n) => message(`m-${n}`, { body: Buffer.alloc(200 * 1024) })));
      await assert.rejects(sender.send([message("m-4", { body: Buffer.alloc(300 * 1024) })]), {
        reason: "too_large",
        messageId: "m-4",
        message: /takes 262144/,
      });
      await transport.close();
    } finally {
      await basic.close();
    }
  });

  test("routers share the partitions, and one that comes gets its share without a repeat", async () => {
    const { opening, folder } = fresh();
    const [a, b] = [await opening(), await opening()];
    await a!.ensure(QUEUE);
    const sender = await a!.sender(QUEUE);
    const keys = Array.from({ length: 16 }, (_, i) => `key ${i}`);
    const came = { a: [] as string[], b: [] as string[] };
    const stop = new AbortController();
    const consume = async (transport: Transport, into: string[]) => {
      for await (const delivery of (await transport.receiver(QUEUE)).deliveries(stop.signal)) {
        into.push(...delivery.messages.map(({ id }) => id));
        await delivery.complete();
      }
    };
    const consuming = [consume(a!, came.a)];
    let sent = 0;
    const round = async () => {
      await sender.send(keys.map((key) => message(`${key} ${sent}`, { key })));
      sent += keys.length;
    };
    await round();
    while (came.a.length < sent) await new Promise((resolve) => setTimeout(resolve, 20));
    consuming.push(consume(b!, came.b));
    while (came.b.length === 0) {
      await round();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    while (came.a.length + came.b.length < sent) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(new Set([...came.a, ...came.b]).size, sent);
    const leased: string[] = [];
    for await (const { name, properties } of container.listBlobsFlat({ prefix: folder }))
      if (properties.leaseState === "leased") leased.push(name.slice(folder.length));
    assert.equal(leased.filter((name) => /^\d+\.lock$/.test(name)).length, 4);
    stop.abort();
    await Promise.all(consuming);
    await Promise.all([a!.close(), b!.close()]);
  });
}
