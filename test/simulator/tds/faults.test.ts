import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Request } from "tedious";
import { ask, bench, connected, newConnection } from "./clients.ts";
import { column, type Script, select } from "./scripted-engine.ts";

/** As much of the mssql package, which brings no types, as is used here. */
interface MssqlRequest {
  input(name: string, type: unknown, value: unknown): MssqlRequest;
  query(text: string): Promise<{ recordset: Record<string, unknown>[]; rowsAffected: number[] }>;
  batch(text: string): Promise<unknown>;
}
interface MssqlPool {
  connect(): Promise<unknown>;
  close(): Promise<void>;
  request(): MssqlRequest;
  transaction(): { begin(): Promise<void>; rollback(): Promise<void>; request(): MssqlRequest };
}
const mssql = createRequire(import.meta.url)("mssql") as {
  ConnectionPool: new (config: object) => MssqlPool;
  NVarChar(length: number): unknown;
};

const ROWS = Array.from({ length: 50 }, (_, i) => [i, `name ${i}`]);
const PEOPLE = select([column("id", { id: "int" }, false), column("name", { id: "nvarchar", length: 50 })], ROWS);
const ENDLESS: Script = async (sink, signal) => {
  sink.columns([column("i", { id: "int" })]);
  for (let i = 0; !signal.aborted; i++) await sink.row([i]);
};

/** What tedious calls a connection that broke. */
const LOST = /^(ESOCKET|ECONNRESET)$/;

/** A relay that hands on one byte at a time, both ways. */
async function byteByByte(port: number): Promise<{ port: number; close(): void }> {
  const sockets: Socket[] = [];
  const relay = async (from: Socket, to: Socket) => {
    for await (const chunk of from) {
      for (const byte of chunk as Buffer) {
        to.write(Buffer.of(byte));
        await setImmediate();
      }
    }
    to.end();
  };
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port, host: "127.0.0.1", noDelay: true });
    sockets.push(client, upstream);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      relay(from, to).catch(() => to.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

for (const encrypt of [false, true, "strict"] as const) {
  test(`a network that delivers one byte at a time changes nothing (encrypt: ${encrypt})`, async () => {
    await using on = await bench();
    on.engine.on("people", PEOPLE);
    const relay = await byteByByte(on.port);
    const connection = newConnection(relay.port, {
      encrypt,
      trustServerCertificate: true,
      cryptoCredentialsDetails: { ca: on.server.certificate.cert },
    });
    try {
      await connected(connection);
      assert.deepEqual((await ask(connection, "people")).rows, ROWS);
    } finally {
      connection.close();
      relay.close();
    }
  });
}

test("a server told to split writes at every byte serves the same rows", async () => {
  await using on = await bench();
  on.engine.on("people", PEOPLE);
  on.server.setFaults({ splitEvery: 1 });
  const connection = await on.connect();
  assert.deepEqual((await ask(connection, "people")).rows, ROWS);
});

test("a connection told to drop after n bytes ends in the middle of a result, and new ones work", async () => {
  await using on = await bench();
  on.engine.on("people", PEOPLE);
  const connection = await on.connect();
  [...on.server.connections][0]!.setFaults({ dropAfter: 700 });
  const answer = await ask(connection, "people");
  assert.match(answer.error!.code!, LOST);
  assert.ok(answer.rows.length < ROWS.length);
  await on.engine.sessions[0]!.closed();
  assert.deepEqual((await ask(await on.connect(), "people")).rows, ROWS);
});

test("a stalled connection goes on where it stopped when the fault is taken away", async () => {
  await using on = await bench();
  on.engine.on("people", PEOPLE);
  const connection = await on.connect();
  const [served] = on.server.connections;
  served!.setFaults({ stallAfter: 300, splitEvery: 100 });
  let answered = false;
  const answer = ask(connection, "people").finally(() => {
    answered = true;
  });
  while (!on.engine.sessions[0]!.log.includes("batch people")) await setImmediate();
  for (let turns = 0; turns < 50; turns++) await setImmediate();
  assert.equal(answered, false);
  served!.setFaults({});
  assert.deepEqual((await answer).rows, ROWS);
});

test("a slow network is slow, and correct", async () => {
  await using on = await bench();
  on.engine.on("people", PEOPLE);
  const connection = await on.connect();
  const [served] = on.server.connections;
  served!.setFaults({ bytesPerSecond: 50_000 });
  assert.deepEqual((await ask(connection, "people")).rows, ROWS);
});

test("while connections are refused open ones go on, and afterwards new ones come in on the same port", async () => {
  await using on = await bench();
  on.engine.on("people", PEOPLE);
  const connection = await on.connect();
  await on.server.refuse(true);
  await assert.rejects(on.connect(), /Failed to connect/);
  assert.deepEqual((await ask(connection, "people")).rows, ROWS);
  await on.server.refuse(false);
  await on.connect();
});

test("a killed connection ends a running result", async () => {
  await using on = await bench();
  on.engine.on("endless", ENDLESS);
  const connection = await on.connect();
  const { promise, resolve } = Promise.withResolvers<Error | null | undefined>();
  const request = new Request("endless", (error) => resolve(error));
  request.once("row", () => [...on.server.connections][0]!.destroy());
  connection.execSqlBatch(request);
  assert.match(((await promise) as { code?: string }).code!, LOST);
  await on.engine.sessions[0]!.closed();
});

test("a client that stops reading makes the engine wait instead of filling memory", async () => {
  await using on = await bench();
  let written = 0;
  on.engine.on("endless", async (sink, signal) => {
    sink.columns([column("t", { id: "nvarchar", length: 4000 })]);
    for (const text = "x".repeat(4000); !signal.aborted; written++) await sink.row([text]);
  });
  const connection = await on.connect();
  const { promise, resolve } = Promise.withResolvers<void>();
  const request = new Request("endless", () => resolve());
  request.once("row", () => request.pause());
  connection.execSqlBatch(request);
  // It stands still once the buffers of both sides and of the system are full.
  let before = -1;
  let still = 0;
  while (still < 2000) {
    await setImmediate();
    still = written === before ? still + 1 : 0;
    before = written;
  }
  assert.ok(written > 0 && written * 8000 < 64 * 1024 * 1024, `${written} rows were written`);
  connection.cancel();
  await promise;
});

const NONSENSE: [what: string, bytes: Buffer, reason: RegExp][] = [
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), /a packet has type 0x47, which TDS has not/],
  [
    "a batch before the login",
    Buffer.from("0101000900000100ff", "hex"),
    /the first message has type 0x1 instead of PRELOGIN/,
  ],
  ["a packet shorter than its header", Buffer.from("1201000400000100", "hex"), /announces 4 bytes, less than a header/],
  ["a PRELOGIN without version", Buffer.from("1201000900000100ff", "hex"), /does not begin with the VERSION option/],
];
for (const [what, bytes, reason] of NONSENSE) {
  test(`${what} closes the connection with a reason for the operator, and the server goes on`, async () => {
    await using on = await bench();
    const socket = connect(on.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(bytes);
    socket.resume();
    await once(socket, "close");
    assert.match(on.problems[0]!, reason);
    await on.connect();
  });
}

test("the mssql package pools, prepares, streams and runs transactions", async () => {
  await using on = await bench();
  on.engine.on("people", PEOPLE);
  on.engine.on(10, async (sink, signal, parameters) => {
    // How the pool tries a connection before it gives it out.
    if (parameters[0]!.value === "SELECT 1;") return;
    assert.equal(parameters.at(-1)!.value, "Diana");
    await PEOPLE(sink, signal, parameters);
  });
  const pool = new mssql.ConnectionPool({
    server: "127.0.0.1",
    port: on.port,
    user: "sa",
    password: "Secret-€1",
    database: "TestDB",
    options: { encrypt: true, trustServerCertificate: true },
    pool: { max: 2 },
  });
  await pool.connect();
  try {
    const { recordset, rowsAffected } = await pool
      .request()
      .input("name", mssql.NVarChar(50), "Diana")
      .query("select @name");
    assert.deepEqual(recordset[49], { id: 49, name: "name 49" });
    assert.deepEqual(rowsAffected, [50]);
    const transaction = pool.transaction();
    await transaction.begin();
    await transaction.request().batch("people");
    await transaction.rollback();
    const log = on.engine.sessions.flatMap((session) => session.log);
    assert.ok(
      log.some((line) => line.startsWith("begin")) && log.some((line) => line.startsWith("rollback")),
      log.join(),
    );
  } finally {
    await pool.close();
  }
});
