/** Reading a bucket of NATS while the time to live of what stands in it ends. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Kvm } from "@nats-io/kv";
import { readBucket } from "../../../src/nats/bucket.ts";
import { NatsLink } from "../../../src/nats/link.ts";
import { missingNats, startNats } from "../../support/nats.ts";
import { missingServer, temporaryFolder } from "../../support/server.ts";

const lack = missingNats();
const name = "a bucket is read to its end while keys of it end, and leaves no consumer behind";
if (lack !== null) missingServer(name, lack);
else {
  test(name, { timeout: 60_000 }, async () => {
    const server = await startNats();
    const link = new NatsLink({ connectionString: server.url });
    try {
      await link.ask("testing", async (connected) => {
        const kv = await new Kvm(connected.js).create("test", { ttl: 2_000, history: 1 });
        const end = performance.now() + 6_000;
        // One that is renewed, so that the server is never idle, and others whose time ends.
        const living = (async () => {
          while (performance.now() < end) {
            await kv.put("living", "");
            await sleep(50);
          }
        })();
        const ending = (async () => {
          for (let n = 0; performance.now() < end; n++) {
            await kv.put(`ending-${n}`, "");
            await sleep(2);
          }
        })();
        const reading = async () => {
          for (let reads = 1; performance.now() < end; reads++) {
            const entries = await readBucket(connected, "test");
            if (reads > 1) assert.ok(entries.some(({ key }) => key === "living"));
          }
        };
        await Promise.all([living, ending, reading()]);
        const { state } = await connected.jsm.streams.info("KV_test");
        assert.equal(state.consumer_count, 0);
      });
    } finally {
      await link.close();
      await server.close();
    }
  });

  test("a bucket is read whole where the server gives few messages at once, and without what was deleted", async () => {
    const folder = temporaryFolder("nats-limits");
    const config = join(folder, "nats.conf");
    writeFileSync(config, `jetstream { store_dir: "${folder}/data", limits { max_request_batch: 10 } }`);
    const server = await startNats(["-c", config]);
    const link = new NatsLink({ connectionString: server.url });
    try {
      await link.ask("testing", async (connected) => {
        const kv = await new Kvm(connected.js).create("test", { history: 1 });
        assert.deepEqual(await readBucket(connected, "test"), []);
        for (let n = 0; n < 100; n++) await kv.put(`key-${n}`, String(n));
        await kv.delete("key-7");
        await kv.purge("key-8");
        await kv.put("key-0", "again");
        const entries = await readBucket(connected, "test");
        assert.equal(entries.length, 98);
        const { key, value } = entries.at(-1)!;
        assert.deepEqual([key, Buffer.from(value).toString()], ["key-0", "again"]);
      });
    } finally {
      await link.close();
      await server.close();
      rmSync(folder, { recursive: true });
    }
  });
}
