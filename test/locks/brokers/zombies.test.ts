/**
 * An owner that is stopped for longer than its lease, at the worst moments, and goes on when another one has its table: for every lock
 * store, with ingesters as processes of their own.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { lockStores, SharedTable, type SharingIngester, until } from "../../support/ingesters.ts";
import { missingServer } from "../../support/server.ts";

/** Of the statement that saves a checkpoint. */
const SAVE = "fencing_token = @token";

for (const [locks, { missing }] of Object.entries(lockStores)) {
  const name = `a zombie under ${locks} locks`;
  const lack = missing();
  if (lack !== null) {
    missingServer(name, lack);
    continue;
  }

  describe(name, { concurrency: true }, () => {
    test("stopped in the middle of a send: what arrives late is a repeat, and its checkpoint is refused", async (t) => {
      const { table, zombie } = await begin(t, locks);
      // The queue's file is locked by somebody else: the send waits for that.
      const queue = new DatabaseSync(join(table.folder, ".dstream", "queue.db"), { timeout: 5_000 });
      queue.exec("BEGIN IMMEDIATE");
      const read = table.seen("[dbo_Events_CT]");
      await table.insert(5);
      await until(read, "the changes are read");
      await sleep(1_500);
      zombie.process.signal("SIGSTOP");
      queue.exec("ROLLBACK");
      queue.close();
      assert.equal(table.arrived.length, 5);

      await takenOver(table);
      assert.equal(await table.repeats(), 0);
      zombie.process.signal("SIGCONT");
      await until(async () => (await table.repeats()) === 5, "what the zombie sends has come again");
      await goesOn(table, zombie);
    });

    test("stopped between acknowledgement and checkpoint: its save comes late, and is refused", async (t) => {
      const { table, zombie } = await begin(t, locks);
      // In TDS a statement is UTF-16 (MS-TDS, 2.2.6.7).
      zombie.proxy.hold(Buffer.from(SAVE, "utf16le"));
      await table.insert(5);
      await table.allArrived();
      await until(() => zombie.proxy.holding > 0, "the checkpoint is being saved");
      zombie.process.signal("SIGSTOP");

      await takenOver(table);
      assert.equal(await table.repeats(), 5, "nobody knew that these had been sent");
      // First as a statement that was under way when its sender was stopped, then with the sender back.
      const late = table.seen(SAVE);
      zombie.proxy.letGo();
      await until(late, "the zombie's save has come");
      zombie.process.signal("SIGCONT");
      await goesOn(table, zombie);
    });
  });
}

/** An ingester that has delivered five changes and saved its checkpoint behind them. */
async function begin(t: TestContext, locks: string): Promise<{ table: SharedTable; zombie: SharingIngester }> {
  const table = await SharedTable.start(locks);
  t.after(() => table.close());
  const zombie = await table.ingester("zombie");
  await until(async () => (await table.checkpoint()) !== null, "it has begun");
  await table.insert(5);
  await table.allArrived();
  await table.allSaved();
  return { table, zombie };
}

/** By another ingester, which delivers what the stopped one had not, and more. */
async function takenOver(table: SharedTable): Promise<void> {
  const { token } = (await table.checkpoint())!;
  await table.ingester("successor");
  await table.insert(5);
  await table.allArrived();
  assert.ok((await table.allSaved()).token > token);
}

/** With the zombie back: its old work is refused, it says so, and lives on as one of two. */
async function goesOn(table: SharedTable, zombie: SharingIngester): Promise<void> {
  const saved = (await table.checkpoint())!;
  await until(
    () => zombie.said(/has another owner, or may have: this one has stopped working on it/),
    "the zombie finds itself succeeded",
  );
  await table.insert(10);
  await table.allArrived();
  assert.ok((await table.allSaved()).token >= saved.token);
  assert.equal(table.movedBack, null);
  assert.deepEqual(
    table.arrived.map(({ row }) => row),
    Array.from({ length: table.inserted }, (_, n) => n + 1),
  );
  assert.equal(new Set(table.arrived.map(({ id }) => id)).size, table.inserted);
  assert.equal(zombie.died, null);
}
