/** The transaction that a request says to belong to: MS-TDS 2.2.5.3.2. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Request } from "tedious";
import { SqlServerSimulator } from "../../../simulator/index.ts";
import { ask, connected, newConnection } from "./clients.ts";
import { headers, numberOf, PACKET, packet, RawClient, tokens } from "./raw-client.ts";

async function simulate(t: TestContext): Promise<SqlServerSimulator> {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"] });
  t.after(() => simulator.close());
  return simulator;
}

test("a request that names another transaction than the session's is refused with 3989, and the connection goes on", async (t) => {
  const simulator = await simulate(t);
  const client = new RawClient(simulator.port);
  t.after(() => client.close());
  await client.login();
  const send = async (text: string, descriptor: bigint) => {
    client.send(packet(PACKET.batch, Buffer.concat([headers(descriptor), Buffer.from(text, "utf16le")])));
    return tokens((await client.message())!);
  };
  assert.deepEqual(await send("DECLARE @i int", 0n), []);
  const errors = async (text: string, descriptor: bigint) =>
    (await send(text, descriptor)).filter(([token]) => token === 0xaa).map(([, body]) => numberOf(body));
  assert.deepEqual(await errors("DECLARE @i int", 5n), [3989]);
  const begun = (await send("BEGIN TRAN", 0n)).find(([token, body]) => token === 0xe3 && body[0] === 8)!;
  const descriptor = begun[1].readBigUInt64LE(2);
  assert.deepEqual(await errors("DECLARE @i int", 0n), [3989]);
  assert.deepEqual(await errors("COMMIT", descriptor), []);
  assert.deepEqual(await errors("DECLARE @i int", 0n), []);
});

test("a driver whose cancelled request took its transaction along is told, and goes on outside of it", async (t) => {
  const simulator = await simulate(t);
  const connection = newConnection(simulator.port, {}, { password: simulator.password });
  await connected(connection);
  t.after(() => connection.close());
  await ask(connection, "SET XACT_ABORT ON; BEGIN TRAN; SELECT 1");
  const { promise, resolve } = Promise.withResolvers<void>();
  connection.execSqlBatch(new Request("WAITFOR DELAY '01:00'", () => resolve()));
  while (![...simulator.engine.sessions.values()].some(({ busy }) => busy)) await new Promise(setImmediate);
  connection.cancel();
  await promise;
  const { rows, error } = await ask(connection, "SELECT @@TRANCOUNT");
  assert.equal(error, null);
  assert.deepEqual(rows, [[0]]);
});
