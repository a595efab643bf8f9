/**
 * A driver's real bytes, corrupted at random: the server never crashes, never hangs and never fails inside; the connection ends, or
 * its requests are answered, and everybody else goes on. SEED and ROUNDS from the environment.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";
import { test } from "node:test";
import { ISOLATION_LEVEL, Request, TYPES } from "tedious";
import { SqlServerSimulator } from "../../../simulator/index.ts";
import { ask, connected, newConnection } from "./clients.ts";
import { RawClient } from "./raw-client.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 300);

/** What tedious sends in a session with every kind of request. */
async function record(simulator: SqlServerSimulator): Promise<Buffer> {
  const sent: Buffer[] = [];
  const sockets: Socket[] = [];
  const relay = createServer((client) => {
    const upstream = dial(simulator.port, "127.0.0.1");
    sockets.push(client, upstream);
    client.on("data", (chunk: Buffer) => sent.push(chunk));
    client.pipe(upstream).pipe(client);
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  const { port } = relay.address() as { port: number };
  const connection = newConnection(port, {}, { password: simulator.password });
  await connected(connection);
  await ask(connection, "SELECT * FROM t; SELECT N'ünïcødé', 1.5, GETDATE()");
  await ask(connection, "SELECT @i, @b, @d, @n, @v, @x, @t, @o, @g, @f", "sql", [
    { name: "i", type: TYPES.Int, value: 1 },
    { name: "b", type: TYPES.BigInt, value: "9223372036854775807" },
    { name: "d", type: TYPES.Decimal, value: 12.34, options: { precision: 20, scale: 4 } },
    { name: "n", type: TYPES.NVarChar, value: "name" },
    { name: "v", type: TYPES.VarBinary, value: Buffer.alloc(9000, 7), options: { length: Number.POSITIVE_INFINITY } },
    { name: "x", type: TYPES.VarChar, value: null },
    { name: "t", type: TYPES.DateTime2, value: new Date(0) },
    { name: "o", type: TYPES.DateTimeOffset, value: new Date(0) },
    { name: "g", type: TYPES.UniqueIdentifier, value: "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5" },
    { name: "f", type: TYPES.Float, value: -1.5 },
  ]);
  const step = (work: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => work((error) => (error ? reject(error) : resolve())));
  await step((done) => connection.beginTransaction(done, "t", ISOLATION_LEVEL.SERIALIZABLE));
  await ask(connection, "INSERT t VALUES (1, N'a')");
  await step((done) => connection.rollbackTransaction(done));
  const { promise, resolve } = Promise.withResolvers<void>();
  const bulk = connection.newBulkLoad("t", () => resolve());
  bulk.addColumn("id", TYPES.Int, { nullable: false });
  bulk.addColumn("name", TYPES.NVarChar, { length: 50, nullable: true });
  connection.execBulkLoad(bulk, [
    [2, "b"],
    [3, null],
  ]);
  await promise;
  const prepared = new Request("SELECT @i", () => {});
  prepared.addParameter("i", TYPES.Int, null);
  connection.prepare(prepared);
  await once(prepared, "prepared");
  connection.close();
  await once(connection, "end");
  for (const socket of sockets) socket.destroy();
  relay.close();
  return Buffer.concat(sent);
}

/** Small, repeatable. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A few bytes are others, missing, twice, or what comes from somewhere else; the beginning is left whole more often than not. */
function corrupted(bytes: Buffer, next: (below: number) => number): Buffer {
  let result = Buffer.from(bytes);
  const from = next(3) === 0 ? 0 : Math.min(300, bytes.length);
  for (let changes = 1 + next(4); changes > 0; changes--) {
    const at = from + next(Math.max(1, result.length - from));
    const length = 1 + next(8);
    switch (next(6)) {
      case 0:
        result[at] = next(256);
        break;
      case 1:
        for (let i = at; i < at + length && i < result.length; i++) result[i] = [0, 0xff, 0x7f, 0x80][next(4)]!;
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
        break;
      case 3:
        result = Buffer.concat([
          result.subarray(0, at),
          bytes.subarray(next(bytes.length)).subarray(0, 200),
          result.subarray(at),
        ]);
        break;
      case 4:
        result = result.subarray(0, at);
        break;
      default:
        result[at] = result[at]! ^ (1 << next(8));
    }
  }
  return result;
}

test("random corruption of a driver's bytes neither breaks nor stops the server", async (t) => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`SEED=${seed}`);
  const next = numbers(seed);
  const faults: string[] = [];
  let refused = 0;
  const simulator = await SqlServerSimulator.start({
    databases: ["TestDB"],
    onProblem: ({ message }) => {
      if (message.includes("failed in the engine")) faults.push(message);
      else refused++;
    },
  });
  t.after(() => simulator.close());
  await simulator.query("CREATE TABLE t (id int NOT NULL, name nvarchar(50))");
  const bytes = await record(simulator);
  let ran = 0;
  simulator.faults.failStatements({ error: 1205, when: () => ++ran < 0 });
  for (let round = 0; round < ROUNDS; round++) {
    const client = new RawClient(simulator.port);
    const sent = corrupted(bytes, next);
    for (let at = 0; at < sent.length; ) {
      const length = 1 + next(next(2) === 0 ? 50 : 5000);
      client.send(sent.subarray(at, at + length));
      at += length;
      if (next(4) === 0) await new Promise(setImmediate);
    }
    // Time for the requests that are whole to be run.
    for (let turns = next(40); turns > 0; turns--) await new Promise(setImmediate);
    client.socket.end();
    await client.closed();
    assert.deepEqual(faults, [], `round ${round}`);
  }
  t.diagnostic(`${ran} statements were run, ${refused} connections refused`);
  assert.ok(ran > ROUNDS && refused > ROUNDS / 10);
  while (simulator.engine.sessions.size > 0) await new Promise(setImmediate);
  const connection = newConnection(simulator.port, {}, { password: simulator.password });
  await connected(connection);
  assert.deepEqual((await ask(connection, "SELECT 1")).rows, [[1]]);
  connection.close();
});
