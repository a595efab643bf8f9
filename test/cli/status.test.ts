/** `dstream status`: what it tells of tables that are read, waiting, stopped, and of nobody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TableStatus } from "../../src/cli/status.ts";
import { startServer, type Workplace, workplaceOf } from "./dstream.ts";

async function tables(place: Workplace): Promise<Record<string, TableStatus>> {
  const { stdout } = await place.run("status --json");
  return Object.fromEntries((JSON.parse(stdout) as TableStatus[]).map((each) => [each.table, each]));
}

test("it tells owner, position, lag, clean-up and what stops a table, and needs no instance", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });

  const before = await place.run("status");
  assert.equal(before.code, 1, "nobody reads it");
  assert.match(
    before.stdout,
    /^dbo\.Persons\n {4}owner: nobody reads it\n {4}position: no checkpoint yet\n {4}CDC keeps changes/,
  );

  const running = place.start("server");
  for (const id of [1, 2, 3]) await server.query(`INSERT INTO Persons VALUES (${id}, N'Ana', N'Sato')`);
  await running.shows(3);
  let now = (await tables(place))["dbo.Persons"]!;
  while (now.changes !== 0) now = (await tables(place))["dbo.Persons"]!;
  assert.equal(now.owner?.pid, running.process.pid);
  assert.equal(now.lagSeconds, 0);
  assert.equal(now.error, null);
  // The clean-up job of sys.sp_cdc_enable_db keeps changes for 4,320 minutes.
  assert.ok(
    now.secondsUntilCleanup! > 4_300 * 60 && now.secondsUntilCleanup! <= 4_320 * 60,
    `${now.secondsUntilCleanup}`,
  );
  const read = await place.run("status");
  assert.equal(read.code, 0, read.stdout);
  assert.match(read.stdout, new RegExp(`owner: process ${running.process.pid} on `));
  assert.match(
    read.stdout,
    /behind: nothing\n {4}CDC keeps changes from [0-9a-f:]{22} on; clean-up passes the checkpoint in 2 d 23 h\n$/,
  );
  assert.equal(await running.end(), 0);

  for (const id of [4, 5]) await server.query(`INSERT INTO Persons VALUES (${id}, N'Ana', N'Sato')`);
  await server.query("UPDATE Persons SET FirstName = N'Eva' WHERE ID = 4");
  const idle = (await tables(place))["dbo.Persons"]!;
  assert.equal(idle.owner, null);
  assert.equal(idle.changes, 3, "an update is one change");
  assert.ok(idle.lagSeconds !== null && idle.lagSeconds < 60);
  assert.match((await place.run("status")).stdout, /behind: 3 changes, \d+ s/);
});

test("a table that a gap has stopped says so, and moves on once its checkpoint is set", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons", "Cars"] });
  const first = place.start("server");
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await first.shows(1);
  assert.equal(await first.end(), 0);
  for (const id of [2, 3]) await server.query(`INSERT INTO Persons VALUES (${id}, N'Ana', N'Sato')`);
  const captured = "SELECT COUNT(*) FROM cdc.dbo_Persons_CT WHERE ID = 3";
  while ((await server.query(captured)).rows[0]![0] !== 1) await new Promise((resolve) => setTimeout(resolve, 10));
  await server.query(
    "DECLARE @max binary(10) = sys.fn_cdc_get_max_lsn(); EXEC sys.sp_cdc_cleanup_change_table N'dbo_Persons', @max, 5000",
  );
  const second = place.start("server");
  await second.says(/dbo\.Persons stops/);
  let stopped = await tables(place);
  while (stopped["dbo.Persons"]!.error === null) stopped = await tables(place);
  assert.equal(stopped["dbo.Persons"]!.gap, true);
  assert.match(stopped["dbo.Persons"]!.error!.message, /low watermark/);
  assert.equal(stopped["dbo.Cars"]!.error, null);
  const text = await place.run("status");
  assert.equal(text.code, 1);
  assert.match(text.stdout, /GAP: [\s\S]*STOPPED since \d{4}-/);

  const set = await place.run("checkpoints set Persons --now");
  assert.equal(set.code, 0, set.stderr);
  await second.says(/dbo\.Persons goes on/);
  let after = await tables(place);
  while (after["dbo.Persons"]!.error !== null) after = await tables(place);
  assert.equal(after["dbo.Persons"]!.gap, false);
  assert.equal(await second.end(), 0);
});
