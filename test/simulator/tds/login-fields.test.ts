/** What few clients send at login, or tell of its answer: MS-TDS 2.2.6.4, 2.2.7.9, 2.2.7.14. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type SimulatorOptions, SqlServerSimulator } from "../../../simulator/index.ts";
import { ask, connected, newConnection } from "./clients.ts";
import { type LoginFields, login7, numberOf, PACKET, packet, prelogin, RawClient, tokens } from "./raw-client.ts";

async function simulate(t: TestContext, options: SimulatorOptions = {}): Promise<SqlServerSimulator> {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], ...options });
  t.after(() => simulator.close());
  return simulator;
}

async function login(simulator: SqlServerSimulator, fields: LoginFields) {
  const client = new RawClient(simulator.port);
  const answer = tokens((await client.login(fields))!);
  client.close();
  const bodies = (token: number) => answer.filter(([each]) => each === token).map(([, body]) => body);
  return { errors: bodies(0xaa).map(numberOf), ack: bodies(0xad)[0], changes: bodies(0xe3), infos: bodies(0xab) };
}

/** "TDS versions" of 2.2.7.14, from client to server and back. */
const VERSIONS: [asked: number, acknowledged: number][] = [
  [0x71000000, 0x07010000],
  [0x71000001, 0x71000001],
  [0x72090002, 0x72090002],
  [0x730a0003, 0x730a0003],
  [0x730b0003, 0x730b0003],
  [0x74000004, 0x74000004],
  [0x75000000, 0x74000004],
];
for (const [asked, acknowledged] of VERSIONS)
  test(`a client that asks for TDS 0x${asked.toString(16)} gets 0x${acknowledged.toString(16)}`, async (t) => {
    const simulator = await simulate(t);
    const { ack } = await login(simulator, { tdsVersion: asked });
    assert.equal(ack!.readUInt32BE(1).toString(16), acknowledged.toString(16));
  });

test("a password is changed at login, and the old one is no longer good", async (t) => {
  const simulator = await simulate(t);
  assert.deepEqual((await login(simulator, { password: "wrong", newPassword: "Next!1" })).errors, [18456]);
  assert.deepEqual((await login(simulator, { newPassword: "Next!1" })).errors, []);
  assert.deepEqual((await login(simulator, {})).errors, [18456]);
  assert.deepEqual((await login(simulator, { password: "Next!1" })).errors, []);
});

test("a file to attach at login is refused by its name", async (t) => {
  const simulator = await simulate(t);
  assert.deepEqual((await login(simulator, { attachFile: "C:\\data\\x.mdf" })).errors, [40510]);
});

for (const [asked, negotiated] of [
  [0, 4096],
  [512, 512],
  [100, 512],
  [32767, 32767],
  [60000, 32767],
] as const)
  test(`a packet size of ${asked} becomes ${negotiated}, and answers come in packets of it`, async (t) => {
    const simulator = await simulate(t);
    const { changes } = await login(simulator, { packetSize: asked });
    const change = changes.find((body) => body[0] === 4)!;
    assert.equal(change.toString("utf16le", 2, 2 + change[1]! * 2), String(negotiated));
  });

test("the language of the login is the session's: its ENVCHANGE, @@LANGUAGE and dates tell it, also after a reset", async (t) => {
  const simulator = await simulate(t);
  const { changes } = await login(simulator, { language: "british" });
  const change = changes.find((body) => body[0] === 2)!;
  assert.equal(change.toString("utf16le", 2, 2 + change[1]! * 2), "British");
  const connection = newConnection(simulator.port, { language: "British" }, { password: simulator.password });
  await connected(connection);
  t.after(() => connection.close());
  const dates = "SELECT @@LANGUAGE, MONTH('05/11/2026'), @@DATEFIRST";
  // tedious itself sets DATEFORMAT and DATEFIRST after the login.
  await ask(connection, "EXEC sp_reset_connection");
  assert.equal((await ask(connection, dates)).rows[0]![0], "British");
});

test("SET LANGUAGE and USE of another collation tell the client so", async (t) => {
  const simulator = await simulate(t);
  await simulator.query("CREATE DATABASE Other COLLATE Latin1_General_CS_AS");
  const connection = newConnection(simulator.port, {}, { password: simulator.password });
  await connected(connection);
  t.after(() => connection.close());
  const told: unknown[] = [];
  connection.on("languageChange", (language) => told.push(language));
  connection.on("databaseChange", (database) => told.push(database));
  connection.on("infoMessage", ({ number }) => told.push(number));
  await ask(connection, "SET LANGUAGE British; USE Other");
  assert.deepEqual(told, ["British", 5703, "Other", 5701]);
  const collation = (connection as unknown as { databaseCollation: { lcid: number; flags: number } }).databaseCollation;
  assert.equal(collation.lcid, 0x0409);
  assert.equal(collation.flags & 1, 0, "case-sensitive");
});

test("a client with read-only intent is sent on to the other server, one without stays", async (t) => {
  const secondary = await simulate(t, { serverName: "SECONDARY" });
  const primary = await simulate(t, {
    serverName: "PRIMARY",
    readOnlyRouting: { host: secondary.host, port: secondary.port },
  });
  for (const [readOnlyIntent, name] of [
    [true, "SECONDARY"],
    [false, "PRIMARY"],
  ] as const) {
    const connection = newConnection(primary.port, { readOnlyIntent }, { password: primary.password });
    await connected(connection);
    assert.deepEqual((await ask(connection, "SELECT @@SERVERNAME")).rows, [[name]]);
    connection.close();
  }
});

// PRELOGIN came with TDS 7.1 (MS-TDS 2.2.1.1); jTDS sends none without ssl.
test("a client that sends no PRELOGIN is let in, unless everything has to be encrypted", async (t) => {
  for (const encryption of ["off", "required"] as const) {
    const simulator = await SqlServerSimulator.start({ encryption });
    t.after(() => simulator.close());
    const client = new RawClient(simulator.port);
    t.after(() => client.close());
    client.send(packet(PACKET.login, login7()));
    const answer = await client.message();
    if (encryption === "required") assert.equal(answer, null);
    else assert.equal(tokens(answer!)[0]![0], 0xe3);
  }
});

test("an ATTENTION that comes while the login is looked at is acknowledged after its answer", async (t) => {
  const simulator = await simulate(t);
  const client = new RawClient(simulator.port);
  t.after(() => client.close());
  client.send(packet(PACKET.prelogin, prelogin()));
  await client.message();
  client.send(Buffer.concat([packet(PACKET.login, login7()), packet(PACKET.attention, Buffer.alloc(0))]));
  assert.equal(tokens((await client.message())!)[0]![0], 0xe3);
  const done = (await client.message())!;
  assert.deepEqual([done[0], done.readUInt16LE(1)], [0xfd, 0x20]);
});
