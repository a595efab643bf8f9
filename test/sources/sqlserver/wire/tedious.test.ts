import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import tls from "node:tls";
import type { Connection } from "tedious";
import { SourceError } from "../../../../src/errors.ts";
import { SqlConnection } from "../../../../src/sources/sqlserver/connection.ts";
import type { SqlServerTarget } from "../../../../src/sources/sqlserver/connection-string.ts";
import { BufferPool } from "../../../../src/sources/sqlserver/rows/buffer-pool.ts";
import { bytesReceived, MovedInternals, tapResponse } from "../../../../src/sources/sqlserver/wire/tedious.ts";
import { connected, newConnection } from "../../../simulator/tds/clients.ts";
import { type Plan, planOf, Reader, referenceReading, responseOf, STREAMED } from "../rows/change-table.ts";
import { Random } from "../rows/random.ts";
import { randomTable } from "../rows/random-tables.ts";
import { firstTable, maximum, never, readerFromStart, readToEnd, World } from "../world.ts";
import { corrupted } from "./fuzz.ts";
import { ScriptedServer } from "./scripted-server.ts";
import * as tds from "./token-writer.ts";

const root = new URL("../../../../", import.meta.url);
const ENCRYPTIONS = [false, true, "strict"] as const;

// ---------------------------------------------------------------- the parts of tedious that are private

test("tedious is the version whose private parts the tap was made for", () => {
  const { dependencies } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
  const installed = createRequire(import.meta.url)("tedious/package.json") as { version: string };
  const advice =
    "look at lib/message-io.js and lib/connection.js of the new version, then at wire/tedious.ts, and change the number here";
  assert.equal(dependencies.tedious, "20.3.9", `package.json pins another tedious: ${advice}`);
  assert.equal(installed.version, "20.3.9", `another tedious is installed: ${advice}`);
});

for (const encrypt of ENCRYPTIONS)
  test(`tedious has its byte source and its stream of messages where the tap looks (encrypt: ${encrypt})`, async () => {
    await using world = await World.open();
    const { port, server, password } = world.simulator;
    const ca = server.certificate.cert;
    const connection = newConnection(
      port,
      { encrypt, trustServerCertificate: true, cryptoCredentialsDetails: { ca } },
      { password },
    );
    await connected(connection);
    const { messageIo, socket } = connection as unknown as {
      messageIo: {
        socket: { pipe: unknown };
        securePair?: { cleartext: { pipe: unknown } };
        incomingMessageStream: { write: unknown };
      };
      socket: { bytesRead: unknown };
    };
    const moved = "has moved in tedious: wire/tedious.ts needs it";
    assert.equal(typeof messageIo?.socket?.pipe, "function", `connection.messageIo.socket ${moved}`);
    assert.equal(typeof messageIo.incomingMessageStream?.write, "function", `messageIo.incomingMessageStream ${moved}`);
    const cleartext = messageIo.securePair?.cleartext;
    if (encrypt === true) assert.equal(typeof cleartext?.pipe, "function", `messageIo.securePair.cleartext ${moved}`);
    else assert.equal(messageIo.securePair, undefined);
    if (encrypt === "strict")
      assert.ok(messageIo.socket instanceof tls.TLSSocket, `the TLS socket of TDS 8.0 ${moved}`);
    assert.equal(typeof socket?.bytesRead, "number", `connection.socket.bytesRead ${moved}`);
    assert.ok(bytesReceived(connection) > 0);
    connection.close();
  });

test("where a private part is missing, the error names it and the file", () => {
  const stream = { unpipe() {}, pipe() {}, on() {}, off() {}, resume() {}, listeners: () => [], write() {} };
  const tap = (messageIo: unknown) => () =>
    tapResponse({ messageIo } as unknown as Connection, { push: () => -1, tokens: Buffer.alloc(0) }, () => {});
  tap({ socket: stream, incomingMessageStream: stream })();
  tap({ securePair: { cleartext: stream }, incomingMessageStream: stream })();
  for (const [messageIo, what] of [
    [undefined, /no connection\.messageIo: src\/sources\/sqlserver\/wire\/tedious\.ts is made for the pinned version/],
    [{ incomingMessageStream: stream }, /no messageIo\.socket or messageIo\.securePair\.cleartext/],
    [{ socket: {}, incomingMessageStream: stream }, /no messageIo\.socket/],
    [{ socket: stream }, /no messageIo\.incomingMessageStream/],
    [{ socket: stream, incomingMessageStream: {} }, /no messageIo\.incomingMessageStream/],
  ] as const)
    assert.throws(tap(messageIo), (error: Error) => error instanceof MovedInternals && what.test(error.message));
});

// ---------------------------------------------------------------- over the network

async function tableOfAllSorts(world: World): Promise<void> {
  await world.sql(
    "CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY, d decimal(38, 10) NULL, t datetimeoffset(7) NULL, n nvarchar(max) NULL, " +
      "v varchar(50) NULL, b varbinary(max) NULL, x xml NULL, s sql_variant NULL, u uniqueidentifier NULL, o ntext NULL)",
  );
  await world.capture("T");
  await world.sql(
    "INSERT INTO T SELECT value, value / 7.0, DATEADD(second, value, CONVERT(datetimeoffset(7), '2026-11-21T10:11:12.1234567+02:00')), " +
      "REPLICATE(CONVERT(nvarchar(max), N'ü😀'), value % 50), 'Käse', CONVERT(varbinary(max), REPLICATE('x', value)), " +
      "N'<a/>', value, NEWID(), N'old' FROM GENERATE_SERIES(1, 150)",
  );
  await world.sql("UPDATE T SET v = NULL, n = NULL WHERE id % 3 = 0");
  await world.sql(
    "INSERT INTO T (id, n) SELECT 1000 + value, REPLICATE(CONVERT(nvarchar(max), N'long'), 5000) FROM GENERATE_SERIES(1, 3)",
  );
}

for (const encrypt of ENCRYPTIONS)
  test(`a network that splits everything changes nothing (encrypt: ${encrypt})`, async () => {
    await using world = await World.open();
    await tableOfAllSorts(world);
    const certificates = tls.getCACertificates("default");
    tls.setDefaultCACertificates([...certificates, world.simulator.server.certificate.cert]);
    const target: SqlServerTarget = { ...world.target, encrypt, trustServerCertificate: encrypt === true };
    const read = async () => {
      const source = world.source(["T"], {
        target,
        tableOptions: () => ({ start: { at: "low_watermark" }, before: true }),
      });
      const reader = await readerFromStart(source, await firstTable(source));
      const { messages } = await readToEnd(reader, await maximum(source), 70);
      return messages.map(({ id, body }) => `${id} ${body}`);
    };
    const whole = await read();
    assert.equal(whole.length, 203);
    for (const splitEvery of [1_460, 333]) {
      world.simulator.faults.network({ splitEvery });
      assert.deepEqual(await read(), whole);
    }
    tls.setDefaultCACertificates(certificates);
  });

// ---------------------------------------------------------------- responses of our own

interface Scripted extends AsyncDisposable {
  server: ScriptedServer;
  connection: SqlConnection;
}

async function scripted(times = {}): Promise<Scripted> {
  const world = await World.open();
  const server = await ScriptedServer.open(world.target);
  const connection = new SqlConnection(server.target, { stall: 2_000, answer: 3_000, cancel: 3_000, ...times });
  world.defer(() => connection.close());
  world.defer(() => server.close());
  return { server, connection, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

/** A request whose answer the script has; its changes go through the tap. */
async function ask(
  { connection }: Scripted,
  plan: Plan,
  { maxRows = 1e9, signal = never } = {},
): Promise<{ bodies: string[]; stopped: boolean }> {
  const pool = new BufferPool({ kept: 2, largest: 1 << 20 });
  const rows = new Reader(plan).rows(pool, { maxRows, maxBytes: 1e12 });
  const stream = { set: STREAMED, rows };
  const { stopped } = await connection.query("SELECT 1", [], signal, { doing: "asking", stream });
  const bodies = rows.run().messages();
  return { bodies: bodies.map(({ body }) => body.toString()), stopped };
}

/** The connection answers ordinary requests, and is the same as before. */
async function isUsable({ connection }: Scripted, session?: object | null): Promise<void> {
  const { sets } = await connection.query("SELECT 2", [], never, { doing: "asking again" });
  assert.deepEqual(sets[0]!.rows, [[2]]);
  if (session !== undefined) assert.equal(connection.session, session, "the connection was kept");
}

const int = tds.byteLength(0x26, 4);
const plan = planOf([{ name: "id" }, { name: "text" }]);
const types = [int, tds.shortLength(0xe7, 4000, tds.LATIN1)];
const rows = Array.from({ length: 50 }, (_, index) => ({
  values: [tds.u32(index), Buffer.from("text".repeat(20), "utf16le")],
}));
const tokens = responseOf(plan, types, rows);
const expected = referenceReading(tds.packets(tokens), plan)!.messages.map(({ body }) => body.toString());

test("random responses through the tap become the reference's messages, and the connection goes on", async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  await using it = await scripted();
  await isUsable(it);
  const { session } = it.connection;
  for (let round = 0; round < 30; round++) {
    const random = new Random(seed + round);
    const { plan, tokens } = randomTable(random, random.between(1, 12), random.below(30));
    const bytes = tds.packets(tokens, random.pick([512, 4096, 32_767]));
    const { messages, elements } = referenceReading(bytes, plan)!;
    it.server.answer({ bytes, every: random.pick([100, 1_460, 100_000]) });
    const { bodies } = await ask(it, plan);
    if (plan.format === "row")
      assert.deepEqual(
        bodies,
        messages.map(({ body }) => body.toString()),
      );
    else assert.equal(bodies.join(","), elements);
  }
  await isUsable(it, session);
});

test("an error in the middle of the rows fails the request with its number, and the connection is kept", async () => {
  await using it = await scripted();
  await isUsable(it);
  const { session } = it.connection;
  const tail = tokens.indexOf(tds.doneInProc(rows.length));
  const failed = [tds.info(0, "so far"), tds.error(1205, "You were chosen as the deadlock victim.", 13)];
  for (const last of [
    tds.done(tds.ERRORS, 0, 0xfd),
    Buffer.concat([tds.done(tds.ERRORS | tds.MORE, 0, 0xff), tds.endOfProcedure()]),
  ]) {
    it.server.answer({ bytes: tds.packets(Buffer.concat([tokens.subarray(0, tail), ...failed, last])) });
    await assert.rejects(ask(it, plan), (error: SourceError) => {
      assert.deepEqual([error instanceof SourceError, error.number], [true, 1205]);
      return true;
    });
    await isUsable(it, session);
  }
});

test("messages, the environment and more than one DONE among the rows disturb nothing", async () => {
  await using it = await scripted();
  await isUsable(it);
  const { session } = it.connection;
  const ends = tds.endOfProcedure();
  const more = [
    tds.info(5701, "Changed"),
    tds.databaseChange("Other", "TestDB"),
    tds.order(1),
    tds.done(tds.MORE),
    tds.returnStatus(1),
  ];
  it.server.answer({
    bytes: tds.packets(Buffer.concat([...more.slice(0, 2), tokens.subarray(0, -ends.length), ...more, ends])),
  });
  assert.deepEqual((await ask(it, plan)).bodies, expected);
  await isUsable(it, session);
});

test("a read that has enough calls the rest off, whatever of it was already on its way, and the connection is kept", async () => {
  await using it = await scripted();
  await isUsable(it);
  const { session } = it.connection;
  const acknowledged = tds.packets(tds.done(tds.ATTENTION));
  const half = tokens.subarray(0, tokens.length >> 1);
  const cutOff = tds.packets(
    Buffer.concat([tokens.subarray(0, tokens.indexOf(0xd1, tokens.length - 9_000)), tds.done(tds.ERRORS)]),
  );
  const open = unfinished(half);
  const closing = tds.packets(Buffer.concat([tokens.subarray(half.length)]));
  for (const [name, bytes, onAttention] of [
    ["the rest of the rows comes first", open, Buffer.concat([closing, acknowledged])],
    [
      "the response ends at once",
      unfinished(tokens.subarray(0, half.length)),
      Buffer.concat([tds.packets(Buffer.alloc(0)), acknowledged]),
    ],
    ["everything was on its way already", Buffer.concat([tds.packets(tokens, 512)]), acknowledged],
    ["the server ends with a DONE of its own", cutOff, acknowledged],
  ] as const) {
    it.server.answer({ bytes, onAttention, every: 300 });
    const { bodies } = await ask(it, plan, { maxRows: 3 });
    assert.deepEqual(bodies, expected.slice(0, 3), name);
    await isUsable(it, session);
  }
  assert.ok(it.server.attentions >= 2);
});

test("over a slow line what is on its way when a read has enough is waited for, as long as it keeps coming", async () => {
  await using it = await scripted({ cancel: 500 });
  await isUsable(it);
  const { session } = it.connection;
  const bytes = tds.packets(tokens, 512);
  const acknowledged = tds.packets(tds.done(tds.ATTENTION));
  it.server.answer({ bytes, onAttention: acknowledged, every: Math.ceil(bytes.length / 40), pause: 25 });
  const { bodies } = await ask(it, plan, { maxRows: 3 });
  assert.deepEqual(bodies, expected.slice(0, 3));
  await isUsable(it, session);
});

test("a server that does not acknowledge that a read has enough is given up after its time", async () => {
  await using it = await scripted({ cancel: 100 });
  it.server.answer({ bytes: unfinished(tokens.subarray(0, tokens.length >> 1)), every: 300, afterwards: "silence" });
  await assert.rejects(
    ask(it, plan, { maxRows: 3 }),
    (error: SourceError) => error.scope === "unavailable" && /did not acknowledge/.test(error.message),
  );
  await isUsable(it);
});

test("a read that is aborted in the middle of its rows ends with the reason, and the next one is right", async () => {
  await using it = await scripted();
  const half = tokens.subarray(0, tokens.length >> 1);
  const rest = tds.packets(tokens.subarray(half.length));
  const onAttention = Buffer.concat([rest, tds.packets(tds.done(tds.ATTENTION))]);
  it.server.answer({ bytes: unfinished(half), onAttention });
  const controller = new AbortController();
  const reading = ask(it, plan, { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough of it")), 50);
  await assert.rejects(reading, /^Error: enough of it$/);
  assert.equal(it.server.attentions, 1);
  it.server.answer({ bytes: tds.packets(tokens) });
  assert.deepEqual((await ask(it, plan)).bodies, expected);
});

/** Packets of a message that is to go on. */
function unfinished(payload: Buffer): Buffer {
  const bytes = tds.packets(payload, 512);
  for (let at = 0; at < bytes.length; at += bytes.readUInt16BE(at + 2)) bytes[at + 1] = 0;
  return bytes;
}

test("a server that dies in the middle of an answer is an error at once, and the next read gives the right rows", async () => {
  await using it = await scripted();
  const whole = tds.packets(tokens, 512);
  for (let step = 0; step <= 24; step++) {
    it.server.answer({ bytes: whole.subarray(0, Math.floor(((whole.length - 1) * step) / 24)), afterwards: "reset" });
    await assert.rejects(ask(it, plan), (error: SourceError) => error.scope === "unavailable");
    it.server.answer({ bytes: whole });
    assert.deepEqual((await ask(it, plan)).bodies, expected);
  }
});

test("a server that falls silent in the middle of an answer is given up after its time, and the next read is right", async () => {
  await using it = await scripted({ stall: 250 });
  const whole = tds.packets(tokens, 512);
  for (const part of [0.01, 0.3, 0.7, 0.999]) {
    it.server.answer({ bytes: whole.subarray(0, Math.floor(whole.length * part)), afterwards: "silence" });
    await assert.rejects(
      ask(it, plan),
      (error: SourceError) => error.scope === "unavailable" && /stalled/.test(error.message),
    );
    it.server.answer({ bytes: whole });
    assert.deepEqual((await ask(it, plan)).bodies, expected);
  }
});

test("a broken answer is an error worth a retry that says where, or what the reference reads; never a hang, and what is read next is right", async (t) => {
  const seed = Number(process.env["TEST_SEED"] ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  await using it = await scripted({ stall: 500, answer: 3_000 });
  const random = new Random(seed);
  const small = responseOf(plan, types, rows.slice(0, 4));
  for (let round = 0; round < 60; round++) {
    const bytes =
      round % 3 === 0 ? corrupted(random, tds.packets(small, 512)) : tds.packets(corrupted(random, small), 512);
    it.server.answer({ bytes });
    try {
      const { bodies } = await ask(it, plan);
      const reference = referenceReading(bytes, plan)!;
      assert.deepEqual(
        bodies,
        reference.messages.map(({ body }) => body.toString()),
      );
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      assert.equal(error.scope, "unavailable", `round ${round}: ${error.message}`);
    }
    it.server.answer({ bytes: tds.packets(tokens) });
    // Bytes behind a whole answer, which no server sends, may be noticed by the next read: an error worth a retry, and never rows.
    const next = await ask(it, plan).catch((error: SourceError) => {
      assert.equal(error.scope, "unavailable", `round ${round}: ${error.message}`);
      if (it.server.waiting === 0) it.server.answer({ bytes: tds.packets(tokens) });
      return ask(it, plan);
    });
    assert.deepEqual(next.bodies, expected, `round ${round}`);
  }
});
