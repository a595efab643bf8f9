/** How the long-running commands end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Writer } from "../../src/demo/writer.ts";
import { places, startServer, workplaceOf } from "./dstream.ts";

test("SIGTERM in the middle of a load: what is checkpointed is delivered, and the rest comes afterwards", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"], ingester: "max_batch_rows = 7" });
  const ingester = place.start("ingester");
  const router = place.start("router");
  const count = 1_000;
  const insert = async (from: number, to: number) => {
    for (let id = from; id < to; id += 10) {
      const rows = Array.from({ length: 10 }, (_, i) => `(${id + i}, N'Ana', N'Sato')`);
      await server.query(`INSERT INTO Persons VALUES ${rows.join(", ")}`);
    }
  };
  await insert(1, count / 2);
  await router.shows(1);
  // It ends itself with 1 when draining takes nearly ten seconds.
  assert.equal(await ingester.end(), 0);
  await insert(count / 2 + 1, count);
  // The ingester is gone: what its checkpoint says must come out of the queue, no more and no less.
  const { stdout } = await place.run("checkpoints list");
  const saved = /([0-9a-f]{8}:[0-9a-f]{8}:[0-9a-f]{4})(?: command \d+ seqval ([0-9a-f:]+))?/.exec(stdout)!;
  const [lsn, seqval] = [saved[1]!, saved[2] ?? "ffffffff:ffffffff:ffff"].map((text) => text.replaceAll(":", ""));
  const { rows } = await server.query(
    `SELECT COUNT(*) FROM cdc.dbo_Persons_CT WHERE [__$start_lsn] < 0x${lsn} OR ([__$start_lsn] = 0x${lsn} AND [__$seqval] <= 0x${seqval})`,
  );
  const due = Number(rows[0]![0]);
  await router.shows(due);
  assert.equal(await router.end(), 0);
  assert.equal(router.changes.length, due, "checkpoint and delivered are one");

  const rest = place.start("server");
  const second = await rest.shows(count - due);
  assert.equal(await rest.end("SIGINT"), 0);
  const ids = [...router.changes, ...second].map(({ data }) => data["ID"]);
  assert.deepEqual(
    ids,
    Array.from({ length: count }, (_, i) => i + 1),
  );
  assert.equal(new Set(places([...router.changes, ...second])).size, count);
});

test("a second signal ends at once what is still draining", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const ingester = place.start("ingester");
  const router = place.start("router");
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await router.shows(1);
  // Somebody keeps the checkpoint's row: the next change is sent, and its checkpoint cannot be saved.
  const other = await Writer.connect(server.host, server.port, server.password);
  await other.execute("USE TestDB");
  await other.execute("BEGIN TRANSACTION; UPDATE cdc_offsets SET table_name = table_name");
  await server.query("INSERT INTO Persons VALUES (2, N'Zoë', N'Müller')");
  await router.shows(2);
  ingester.process.kill("SIGTERM");
  await ingester.says(/^stopping: .*a second signal ends at once/);
  assert.equal(await ingester.end("SIGINT"), 130);
  assert.deepEqual(ingester.said(/^stopped/), []);

  await other.execute("ROLLBACK");
  // Before the server goes, which would be an error of its connection.
  await other.close();
  await router.end();
  const again = place.start("server");
  await server.query("INSERT INTO Persons VALUES (3, N'Ana', N'Novák')");
  await again.shows(1);
  assert.equal(await again.end(), 0);
  const ids = again.changes.map(({ data }) => data["ID"]);
  assert.deepEqual(ids, [3], "the second change was sent again under its id, and the queue knew it");
});
