/** The lock contract on a real NATS server. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { missingNats, startNats } from "../../support/nats.ts";
import { missingServer, type TestServer } from "../../support/server.ts";
import { lockContract } from "../contract.ts";
import { type NatsLockPlace, open } from "./nats-opener.ts";

const lack = missingNats();
if (lack !== null) missingServer("nats keeps the lock contract", lack);
else {
  const given = process.env["TEST_NATS_URL"];
  const server: TestServer | null = given ? null : await startNats();
  after(() => server?.close());
  const LEASE_MS = 1_500;
  const run = Date.now().toString(36);
  let places = 0;
  const place = (connectionString: string): NatsLockPlace => ({
    connectionString,
    bucket: `test-${run}-${++places}`,
    leaseMs: LEASE_MS,
  });
  lockContract({
    name: "nats",
    leaseMs: LEASE_MS,
    place: async () => ({
      module: join(import.meta.dirname, "nats-opener.ts"),
      options: place(given ?? server!.url),
    }),
    open: (options) => open(options as NatsLockPlace),
  });

  test("a server that is killed and started again within the lease costs no lock, and a longer one does", async () => {
    const own = await startNats();
    try {
      const store = await open({ ...place(own.url), leaseMs: 6_000 });
      const lock = await store.acquire("a", new AbortController().signal);
      await own.kill();
      await own.start();
      await new Promise((resolve) => setTimeout(resolve, 5_500));
      assert.equal(lock!.lost.aborted, false);
      assert.equal((await store.owner("a"))!.token, lock!.token);
      await own.kill();
      await new Promise((resolve) => lock!.lost.addEventListener("abort", resolve));
      await own.start();
      const next = await acquireSoon(() => store.acquire("b", new AbortController().signal));
      assert.ok(next.token > lock!.token);
      await store.close();
    } finally {
      await own.close();
    }
  });

  async function acquireSoon<T>(acquire: () => Promise<T | null>): Promise<T> {
    for (;;) {
      const lock = await acquire().catch(() => null);
      if (lock !== null) return lock;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
