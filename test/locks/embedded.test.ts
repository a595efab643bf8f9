import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { lockContract } from "./contract.ts";
import { open } from "./embedded-opener.ts";

const root = await mkdtemp(join(tmpdir(), "dstream-locks-"));
after(() => rm(root, { recursive: true, force: true }));
let places = 0;

const LEASE_MS = 1_200;
const place = async (leaseMs = LEASE_MS) => {
  const options = { path: join(root, `${++places}`, "locks.db"), leaseMs };
  return { module: join(import.meta.dirname, "embedded-opener.ts"), options };
};

lockContract({
  name: "embedded",
  leaseMs: LEASE_MS,
  place: () => place(),
  open: (options) => open(options as { path: string; leaseMs: number }),
});

test("an owner that cannot renew is told before its lease ends", async () => {
  const { options } = await place(900);
  const store = await open(options);
  const lock = await store.acquire("a", new AbortController().signal);
  const other = new DatabaseSync(options.path);
  other.exec("BEGIN IMMEDIATE");
  const { promise: lost, resolve } = Promise.withResolvers<void>();
  lock!.lost.addEventListener("abort", () => resolve());
  await lost;
  assert.notEqual(await store.owner("a"), null, "the lease has not ended yet");
  other.exec("ROLLBACK");
  other.close();
  await store.close();
});

test("a wall clock that jumps ahead of the lease loses the lock where it is looked at", async (t) => {
  const { options } = await place(60_000);
  const store = await open(options);
  const lock = await store.acquire("a", new AbortController().signal);
  assert.equal(lock!.lost.aborted, false);
  const real = Date.now;
  t.mock.method(Date, "now", () => real() + 61_000);
  assert.equal(lock!.lost.aborted, true);
  t.mock.restoreAll();
  await store.close();
});

test("a killed owner's lock does not wait for its lease on this machine", {
  skip: process.platform !== "linux",
}, async () => {
  const { options } = await place(600_000);
  const store = await open(options);
  await (await store.acquire("a", new AbortController().signal))!.release();
  const ended = { pid: 2 ** 22 + 1, realm: (await import("../../src/process-identity.ts")).thisProcess().realm };
  const row = new DatabaseSync(options.path);
  row
    .prepare("UPDATE lock SET lease = 1, until = ?, pid = ?, realm = ?")
    .run(Date.now() + 600_000, ended.pid, ended.realm);
  assert.equal((await store.acquire("a", new AbortController().signal))!.token, 2);
  row.prepare("UPDATE lock SET lease = 1, pid = ?, realm = 'another boot'").run(ended.pid);
  assert.equal(await store.acquire("a", new AbortController().signal), null);
  row.close();
  await store.close();
});
