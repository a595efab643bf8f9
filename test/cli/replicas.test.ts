/**
 * An availability group, as a client sees it: several hosts, of which one answers, and readable secondaries. All replicas have one
 * log, so LSNs survive a failover (https://learn.microsoft.com/sql/database-engine/availability-groups/windows/replicate-track-change-data-capture-always-on-availability).
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { TcpProxy } from "../support/proxy.ts";
import { CARS, capture, configuration, PERSONS, places, startServer, Workplace, workplaceOf } from "./dstream.ts";

/** Two hosts in front of one log. */
async function group(
  t: TestContext,
): Promise<{ server: SqlServerSimulator; hosts: [TcpProxy, TcpProxy]; url: string }> {
  const server = await startServer(t);
  const hosts: [TcpProxy, TcpProxy] = [await TcpProxy.start(server.port), await TcpProxy.start(server.port)];
  t.after(() => Promise.all(hosts.map((host) => host.close())));
  const url = new URL(server.connectionStringFor("TestDB"));
  url.port = String(hosts[0].port);
  url.searchParams.set("failoverPartner", "127.0.0.1");
  url.searchParams.set("failoverPort", String(hosts[1].port));
  return { server, hosts, url: url.href };
}

const person = (id: number) => `INSERT INTO Persons VALUES (${id}, N'Ana', N'Sato')`;

test("a failover to the second host and back: reading goes on from where it stood, nothing lost or doubled", async (t) => {
  const { server, hosts, url } = await group(t);
  hosts[1].shut();
  const place = new Workplace(t, configuration({ tables: ["Persons"] }), { DSTREAM_DB_CONNECTION_STRING: url });
  const running = place.start("server");
  let id = 0;
  await server.query(person(++id));
  await running.shows(id);
  for (const [up, down] of [
    [hosts[1], hosts[0]],
    [hosts[0], hosts[1]],
  ] as const) {
    down.shut();
    for (let n = 0; n < 5; n++) await server.query(person(++id));
    up.open();
    await running.shows(id);
  }
  assert.equal(await running.end(), 0);
  assert.deepEqual(
    running.changes.map(({ data }) => data["ID"]),
    Array.from({ length: id }, (_, n) => n + 1),
  );
  assert.equal(new Set(places(running.changes)).size, id);
});

test("a start finds the host that answers", async (t) => {
  const { server, hosts, url } = await group(t);
  hosts[0].shut();
  const place = new Workplace(t, configuration({ tables: ["Persons"] }), { DSTREAM_DB_CONNECTION_STRING: url });
  const check = await place.run("check");
  assert.equal(check.code, 0, check.stdout + check.stderr);
  const running = place.start("server");
  await server.query(person(1));
  await running.shows(1);
  assert.equal(await running.end(), 0);
});

test("a forced failover that has lost transactions stops the tables with advice while they run, and skips nothing in silence", async (t) => {
  const { server, hosts, url } = await group(t);
  hosts[1].shut();
  const settings = { tables: ["Persons"], ingester: 'checkpoints {\n    type = "file"\n  }' };
  const place = new Workplace(t, configuration(settings), { DSTREAM_DB_CONNECTION_STRING: url });
  const running = place.start("server");
  await server.query(person(1));
  await running.shows(1);
  const replicated = server.snapshot("TestDB");
  for (const id of [2, 3]) await server.query(person(id));
  await running.shows(3);
  // The second host has never had 2 and 3; what is written to it gets LSNs that these had.
  hosts[0].shut();
  server.restore(replicated);
  for (const id of [4, 5, 6, 7]) await server.query(person(id));
  hosts[1].open();
  const { advice } = await running.says(/dbo\.Persons stops/);
  assert.match(String(advice), /checkpoints rewind Persons/);
  assert.equal(running.changes.length, 3);
  await running.end();
});

test("with ApplicationIntent=ReadOnly changes are read from the secondary, and checkpoints and locks kept on the primary", async (t) => {
  // Two servers to which the same is done, as a log that is replicated does.
  const start = async (readOnlyRouting?: { host: string; port: number }) => {
    const server = await SqlServerSimulator.start({
      captureInterval: 20,
      databases: ["TestDB"],
      ...(readOnlyRouting && { readOnlyRouting }),
    });
    t.after(() => server.close());
    for (const sql of [PERSONS, CARS, "EXEC sys.sp_cdc_enable_db", capture("Persons"), capture("Cars")])
      await server.query(sql);
    return server;
  };
  const secondary = await start();
  const primary = await start({ host: secondary.host, port: secondary.port });
  const asked = { primary: 0, secondary: 0 };
  for (const [name, server] of Object.entries({ primary, secondary }))
    server.faults.failStatements({
      error: 1205,
      when: ({ text }) => {
        if (/FROM \[cdc\]\.\[dbo_Persons_CT\]/.test(text)) asked[name as keyof typeof asked]++;
        return false;
      },
    });
  const place = workplaceOf(t, primary, {
    tables: ["Persons"],
    ingester: 'locks {\n    type = "sqlserver"\n  }',
  });
  place.env["DSTREAM_DB_CONNECTION_STRING"] += "&applicationintent=ReadOnly";
  const first = place.start("server");
  await first.says(/has no checkpoint yet/);
  for (const id of [1, 2, 3]) for (const server of [primary, secondary]) await server.query(person(id));
  await first.shows(3);
  assert.equal(await first.end(), 0);
  const { rows } = await primary.query("SELECT COUNT(*) FROM cdc_offsets WHERE last_lsn IS NOT NULL");
  assert.deepEqual(rows, [[1]]);
  const made =
    "SELECT IIF(OBJECT_ID(N'dbo.cdc_offsets') IS NULL, 0, 1), IIF(OBJECT_ID(N'dbo.cdc_locks') IS NULL, 0, 1)";
  assert.deepEqual((await primary.query(made)).rows, [[1, 1]]);
  assert.deepEqual((await secondary.query(made)).rows, [[0, 0]]);
  assert.equal(asked.primary, 0);
  assert.ok(asked.secondary > 0);

  const second = place.start("server");
  for (const server of [primary, secondary]) await server.query(person(4));
  await second.shows(1);
  assert.deepEqual(
    second.changes.map(({ data }) => data["ID"]),
    [4],
  );
  assert.equal(await second.end(), 0);
});
