import assert from "node:assert/strict";
import { test } from "node:test";
import { openLockStore } from "../../src/locks/registry.ts";
import { silent } from "../../src/telemetry/logger.ts";

test("whoever asks is the owner, and stays it", async () => {
  const store = await openLockStore({ type: "none" }, silent);
  const lock = await store.acquire("a", new AbortController().signal);
  assert.equal(lock!.token, 1);
  assert.equal(lock!.lost.aborted, false);
  assert.equal((await store.owner("a"))!.pid, process.pid);
  assert.deepEqual([...(await store.owners("")).keys()], ["a"]);
  await lock!.release();
  assert.equal(await store.owner("a"), null);
  await store.close();
});

test("a lock store that there is not is an error that lists those there are", async () => {
  await assert.rejects(openLockStore({ type: "zookeeper" }, silent), { advice: /embedded, .*none/ });
});
