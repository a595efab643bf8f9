/** What every checkpoint store promises (src/ingester/checkpoint.ts). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { afterTransaction, beforeTransaction } from "../../src/change/position.ts";
import { FencedError } from "../../src/errors.ts";
import type { Checkpoint, CheckpointStore } from "../../src/ingester/checkpoint.ts";

const persons = { schema: "dbo", table: "Persons" };
const orders = { schema: "sales", table: "Orders" };

export function at(number: number, commitTime: string | null = "2026-11-21T10:11:12.123"): Checkpoint {
  const lsn = number.toString(16).padStart(20, "0");
  return { position: { startLsn: lsn, commandId: number, seqval: lsn, operation: 4 }, commitTime };
}

/** `open`: further stores on the same place, as other processes have them; closed by the caller. */
export function checkpointContract(name: string, open: () => CheckpointStore): void {
  const story = (title: string, run: (first: CheckpointStore, second: CheckpointStore) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      await using stack = new AsyncDisposableStack();
      const [first, second] = [open(), open()];
      stack.defer(() => first.close());
      stack.defer(() => second.close());
      await Promise.all([first.prepare(), second.prepare()]);
      await run(first, second);
    });

  story("a table nobody owned has no checkpoint, and keeps what its owner saves", async (store, other) => {
    const { token, checkpoint } = await store.claim(persons, 1);
    assert.equal(checkpoint, null);
    assert.equal(await other.load(persons), null);
    await store.save(persons, at(7), token);
    const stored = await other.load(persons);
    assert.deepEqual({ position: stored!.position, commitTime: stored!.commitTime }, at(7));
    assert.equal(stored!.token, token);
    assert.ok(Math.abs(stored!.updatedAt.getTime() - Date.now()) < 600_000);
    assert.deepEqual(
      (await store.list()).map(({ table }) => table),
      [persons],
    );
  });

  story("a former owner is fenced off by the next, which goes on from its checkpoint", async (store, other) => {
    const former = await store.claim(persons, 3);
    assert.equal(former.token, 3);
    await store.save(persons, at(7), former.token);
    const next = await other.claim(persons, 1);
    assert.equal(next.token, 4);
    assert.deepEqual(next.checkpoint, at(7));
    await assert.rejects(store.save(persons, at(8), former.token), FencedError);
    assert.deepEqual((await other.load(persons))!.position, at(7).position);
    assert.deepEqual(await store.saveAll([{ table: persons, checkpoint: at(9), token: former.token }]), [persons]);
    assert.deepEqual((await other.load(persons))!.position, at(7).position);
  });

  story("what stops a table is there for others to see until it goes on", async (store, other) => {
    assert.deepEqual(await other.failures(), []);
    const { token } = await store.claim(persons, 1);
    await store.claim(orders, 1);
    await store.noteFailure(persons, "Zoë's table 顧客 stopped");
    await store.noteFailure(orders, "x".repeat(10_000));
    const [first, second] = await other.failures();
    assert.deepEqual([first!.table, first!.error], [persons, "Zoë's table 顧客 stopped"]);
    assert.ok(Math.abs(first!.since.getTime() - Date.now()) < 600_000);
    assert.deepEqual(second!.table, orders);
    await store.noteFailure(orders, null);
    assert.equal((await other.failures()).length, 1);
    await store.save(persons, at(7), token);
    assert.deepEqual(await other.failures(), []);
    await store.noteFailure(persons, "again");
    await other.force(persons, at(8));
    assert.deepEqual(await other.failures(), []);
  });

  story("a token that the lock store gave is taken where it is larger", async (store) => {
    assert.equal((await store.claim(persons, 10)).token, 10);
    assert.equal((await store.claim(persons, 11)).token, 11);
    assert.equal((await store.claim(persons, 5)).token, 12);
  });

  story("claims at the same moment give different tokens", async (store, other) => {
    const claims = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => (n % 2 ? store : other).claim(persons, 1)));
    assert.equal(new Set(claims.map(({ token }) => token)).size, 6);
  });

  story("many are saved at once, and only those that are still owned", async (store, other) => {
    const tables = Array.from({ length: 70 }, (_, index) => ({ schema: "dbo", table: `T${index}` }));
    const entries: { table: (typeof tables)[number]; checkpoint: Checkpoint; token: number }[] = [];
    for (const [index, table] of tables.entries()) {
      const { token } = await store.claim(table, 1);
      entries.push({ table, checkpoint: at(index + 1, index % 2 ? null : "2026-11-21T10:11:12.123"), token });
    }
    await other.claim(tables[5]!, 1);
    assert.deepEqual(await store.saveAll(entries), [tables[5]]);
    assert.equal(await other.load(tables[5]!), null);
    const stored = await other.load(tables[69]!);
    assert.deepEqual({ position: stored!.position, commitTime: stored!.commitTime }, at(70, null));
    assert.equal((await other.list()).length, 69);
    assert.deepEqual(await store.saveAll([]), []);
  });

  story("positions between transactions come back as they were", async (store) => {
    const { token } = await store.claim(orders, 1);
    for (const position of [afterTransaction(at(5).position.startLsn), beforeTransaction(at(6).position.startLsn)]) {
      await store.save(orders, { position, commitTime: null }, token);
      const stored = await store.load(orders);
      assert.deepEqual(stored!.position, position);
      assert.deepEqual(stored!.table, orders);
    }
  });

  story("an operator can set any table, and its running owner is fenced off", async (store, other) => {
    await other.force(orders, at(3));
    const { token, checkpoint } = await store.claim(orders, 1);
    assert.deepEqual(checkpoint, at(3));
    await store.save(orders, at(4), token);
    await other.force(orders, at(2));
    await assert.rejects(store.save(orders, at(5), token), FencedError);
    assert.deepEqual((await store.load(orders))!.position, at(2).position);
  });

  story("preparing again changes nothing", async (store, other) => {
    const { token } = await store.claim(persons, 1);
    await store.save(persons, at(7), token);
    await other.prepare();
    assert.deepEqual((await other.load(persons))!.position, at(7).position);
  });
}
