/** "The cleanup job … runs daily at 2 A.M.": when, and what stopping it does. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { SqlServerSimulator } from "../../../simulator/index.ts";

const DAY = 86_400_000;

async function captured(t: TestContext, start: string) {
  let now = Date.parse(start);
  const simulator = await SqlServerSimulator.start({
    databases: ["TestDB"],
    captureInterval: "immediate",
    timeZone: "Asia/Kolkata",
    clock: () => new Date(now),
  });
  t.after(() => simulator.close());
  await simulator.query("CREATE TABLE t (id int PRIMARY KEY)");
  await simulator.query("EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_table 'dbo', 't', @role_name = NULL");
  const insert = async (id: number, later: number) => {
    now += later;
    await simulator.query(`INSERT t VALUES (${id})`);
  };
  return { simulator, insert, pass: (milliseconds: number) => (now += milliseconds) };
}

test("with a clock of the test's own it runs only when it is started; at 2 o'clock of the server's time, once a night", async (t) => {
  // 01:00 in India.
  const { simulator, insert, pass } = await captured(t, "2026-11-20T19:30:00Z");
  const { nightlyCleanup } = simulator;
  assert.equal(nightlyCleanup.running, false);
  await insert(1, 0);
  await insert(2, DAY);
  await insert(3, 4 * DAY);
  nightlyCleanup.start();
  t.after(() => nightlyCleanup.stop());
  pass(3_599_000);
  assert.equal(await nightlyCleanup.look(), 0);
  pass(1000);
  assert.equal(await nightlyCleanup.look(), 1);
  await insert(4, 4 * DAY);
  assert.equal(await nightlyCleanup.look(), 1);
  assert.equal(await nightlyCleanup.look(), 0);
});

test("a night that passed while it was stopped is not made up for", async (t) => {
  const { simulator, insert, pass } = await captured(t, "2026-11-20T12:00:00Z");
  await insert(1, 0);
  await insert(2, DAY);
  await insert(3, 4 * DAY);
  simulator.nightlyCleanup.start();
  simulator.nightlyCleanup.stop();
  pass(DAY);
  simulator.nightlyCleanup.start();
  assert.equal(await simulator.nightlyCleanup.look(), 0);
  simulator.nightlyCleanup.stop();
});

test("with the machine's clock it runs by itself", async (t) => {
  const simulator = await SqlServerSimulator.start();
  t.after(() => simulator.close());
  assert.equal(simulator.nightlyCleanup.running, true);
});
