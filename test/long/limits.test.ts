/** What the embedded queue does not take, and a reader of the console that does not read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startServer, workplaceOf } from "../cli/dstream.ts";

const HUGE = "INSERT INTO Cars VALUES (1, REPLICATE(CONVERT(nvarchar(max), N'x'), 67200000))";

test("a row above the queue's limit stops its table, or goes to the dead letters and stays there", async (t) => {
  const server = await startServer(t);
  await server.query("EXEC sp_configure N'max text repl size', -1; RECONFIGURE");
  await server.query(HUGE);
  await server.query("INSERT INTO Cars VALUES (2, N'Volvo')");
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");

  const stopping = workplaceOf(t, server).start("server");
  const log = await stopping.says(/^dbo\.Cars stops.*makes a message of 67\d+ bytes; the ingest queue takes 67108864/);
  assert.match(log["advice"] as string, /on_oversize = "dead_letter"/);
  await stopping.shows(1);
  assert.equal(await stopping.end(), 0);
  assert.equal(stopping.changes[0]!.metadata["TableName"], "Persons", "the other table goes on");

  const place = workplaceOf(t, server, { ingester: 'on_oversize = "dead_letter"' });
  const going = place.start("server");
  await going.shows(1);
  assert.equal(await going.end(), 0);
  assert.deepEqual(
    going.changes.map(({ data }) => data),
    [{ CarID: 2, Brand: "Volvo" }],
  );
  const listed = await place.run("dead-letters list");
  const [id] = /^\S+(?= .* ingester .*\.cars\.events +Insert +A change of dbo\.Cars)/.exec(listed.stdout) ?? [];
  assert.ok(id, listed.stdout);
  const shown = JSON.parse((await place.run(`dead-letters show ${id}`)).stdout) as {
    message: { body: { data: { Brand: string } } };
  };
  assert.equal(shown.message.body.data.Brand.length, 67_200_000);
  const replayed = await place.run(`dead-letters replay ${id}`);
  assert.equal(replayed.code, 1);
  assert.match(replayed.stderr, /it has 67\d+ bytes, the embedded queue takes 67108864 at most/);
  assert.equal((await place.run("dead-letters list")).stdout, listed.stdout, "it is still there");
});

test("a reader that does not read delays no shutdown, and gets everything from the next", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const count = 4_000;
  for (let id = 1; id <= count; id += 100)
    await server.query(
      `INSERT INTO Persons VALUES ${Array.from({ length: 100 }, (_, i) => `(${id + i}, N'Ana', N'Sato')`).join(", ")}`,
    );
  const ingester = place.start("ingester");
  const unsent = async () => {
    const { rows } = await server.query(
      "SELECT COUNT(*) FROM cdc.dbo_Persons_CT WHERE [__$start_lsn] > ISNULL((SELECT MAX(last_lsn) FROM cdc_offsets), 0x00)",
    );
    return rows[0]![0];
  };
  await ingester.says(/Persons has no checkpoint yet/);
  while ((await unsent()) !== 0) await sleep(20);
  assert.equal(await ingester.end(), 0);
  const router = place.start("router");
  const output = router.process.stdout!.pause();
  // What the pipe and this end of it hold is little of four thousand messages.
  while (output.readableLength < output.readableHighWaterMark) await sleep(20);
  router.process.kill("SIGTERM");
  await router.says(/^stopped/);
  output.resume();
  // It ends itself with 1 when draining takes nearly ten seconds.
  assert.equal(await router.exit(), 0);

  assert.ok(router.changes.length < count, "it was in the middle");
  const next = place.start("server");
  const ids = () => new Set([...router.changes, ...next.changes].map(({ data }) => data["ID"]));
  await next.until(() => ids().size === count, "every change");
  assert.equal(await next.end(), 0);
});
