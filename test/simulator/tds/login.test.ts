import assert from "node:assert/strict";
import { test } from "node:test";
import { Temporal } from "../../../simulator/engine/values.ts";
import { ask, bench, connected, newConnection } from "./clients.ts";
import { column, select } from "./scripted-engine.ts";

const PEOPLE = select(
  [column("id", { id: "int" }, false), column("name", { id: "nvarchar", length: 50 })],
  [
    [1, "Diana"],
    [2, null],
    [3, "ünïcødé 😀"],
  ],
);
const ROWS = [
  [1, "Diana"],
  [2, null],
  [3, "ünïcødé 😀"],
];

test("a client logs in without encryption and reads rows", async () => {
  await using on = await bench({ encryption: "not_supported" });
  on.engine.on("select people", PEOPLE);
  const connection = await on.connect();
  const answer = await ask(connection, "select people");
  assert.equal(answer.error, null);
  assert.deepEqual(answer.rows, ROWS);
  assert.deepEqual(answer.dones, ["done 3"]);
});

for (const encryption of ["off", "required"] as const) {
  test(`a client that encrypts verifies the self-signed certificate of a server set to ${encryption}`, async () => {
    await using on = await bench({ encryption });
    on.engine.on("select people", PEOPLE);
    const connection = await on.connect({
      encrypt: true,
      cryptoCredentialsDetails: { ca: on.server.certificate.cert },
      serverName: "localhost",
    });
    assert.deepEqual((await ask(connection, "select people")).rows, ROWS);
    assert.equal([...on.server.connections][0]?.encrypted, true);
  });
}

for (const encryption of ["strict", "off"] as const) {
  test(`TDS 8.0 (encrypt: strict) is served by a server set to ${encryption}`, async () => {
    await using on = await bench({ encryption });
    on.engine.on("select people", PEOPLE);
    const connection = await on.connect({
      encrypt: "strict",
      cryptoCredentialsDetails: { ca: on.server.certificate.cert },
      serverName: "localhost",
    });
    assert.deepEqual((await ask(connection, "select people")).rows, ROWS);
  });
}

test("TLS inside TDS ends at 1.2, since TLS 1.3 speaks after its handshake; TDS 8.0 uses 1.3", async () => {
  await using on = await bench();
  interface Private {
    messageIo: { socket: { getProtocol(): string }; securePair?: { cleartext: { getProtocol(): string } } };
  }
  const ca = { cryptoCredentialsDetails: { ca: on.server.certificate.cert }, serverName: "localhost" };
  const inside = (await on.connect({ encrypt: true, ...ca })) as unknown as Private;
  assert.equal(inside.messageIo.securePair!.cleartext.getProtocol(), "TLSv1.2");
  const strict = (await on.connect({ encrypt: "strict", ...ca })) as unknown as Private;
  assert.equal(strict.messageIo.socket.getProtocol(), "TLSv1.3");
});

test("a client that does not know the certificate ends the handshake, and the server goes on", async () => {
  await using on = await bench();
  await assert.rejects(on.connect({ encrypt: true, trustServerCertificate: false }), /certificate/);
  await on.connect({ encrypt: true, trustServerCertificate: true });
});

test("a server that requires encryption turns a plain client away", async () => {
  await using on = await bench({ encryption: "required" });
  await assert.rejects(on.connect({ encrypt: false }), /Server requires encryption/);
});

test("a server without encryption says so to a client that insists", async () => {
  await using on = await bench({ encryption: "not_supported" });
  await assert.rejects(on.connect({ encrypt: true }), /did not negotiate encryption/);
});

test("a server that is set to strict closes on TDS 7 and says why", async () => {
  await using on = await bench({ encryption: "strict" });
  await assert.rejects(on.connect({ encrypt: false }));
  assert.match(on.problems[0]!, /only TDS 8.0 \(encrypt=strict\) is let in/);
});

test("a wrong password is error 18456 of state 1, and the connection ends", async () => {
  await using on = await bench();
  const attempt = on.connect({}, { password: "wrong" });
  await assert.rejects(attempt, (error: Error & { code?: string; cause?: unknown }) => {
    assert.equal(error.code, "ELOGIN");
    assert.equal(error.message, "Login failed for user 'sa'.");
    return true;
  });
  assert.equal(on.engine.sessions.length, 0);
});

test("a database that cannot be opened is error 4060, followed by 18456", async () => {
  await using on = await bench();
  const seen: number[] = [];
  const connection = newConnection(on.port, { database: "Missing" });
  connection.on("errorMessage", (message) => seen.push(message.number));
  await assert.rejects(connected(connection));
  assert.deepEqual(seen, [4060, 18456]);
});

test("the engine hears what the client said of itself, the password unscrambled", async () => {
  await using on = await bench();
  await on.connect({ appName: "orders-service", workstationId: "pc-1", language: "us_english", readOnlyIntent: true });
  assert.deepEqual(on.engine.logins[0], {
    user: "sa",
    password: "Secret-€1",
    database: "TestDB",
    application: "orders-service",
    host: "pc-1",
    clientInterface: "Tedious",
    language: "us_english",
    readOnlyIntent: true,
    encrypted: false,
  });
});

test("the login is answered with database, language, collation and packet size, as SQL Server does", async () => {
  await using on = await bench();
  on.engine.collation = "Polish_CI_AS";
  const connection = newConnection(on.port, { packetSize: 8192 });
  const seen: string[] = [];
  connection.on("databaseChange", (database) => seen.push(`database ${database}`));
  connection.on("languageChange", (language) => seen.push(`language ${language}`));
  connection.on("infoMessage", (info) => seen.push(`info ${info.number} ${info.state} ${info.message}`));
  connection.on("charsetChange", () => seen.push("charset"));
  await connected(connection);
  connection.close();
  assert.deepEqual(seen, [
    "database TestDB",
    "info 5701 2 Changed database context to 'TestDB'.",
    "language us_english",
    "info 5703 1 Changed language setting to us_english.",
  ]);
});

for (const packetSize of [512, 4096, 32767]) {
  test(`results and requests travel in packets of ${packetSize} bytes`, async () => {
    await using on = await bench();
    const text = "x".repeat(100_000);
    const rows = Array.from({ length: 2_000 }, (_, i) => [i, `name ${i}`.repeat(i % 20)]);
    on.engine.on(
      "select many",
      select([column("i", { id: "int" }), column("n", { id: "nvarchar", length: 400 })], rows),
    );
    on.engine.on(text, (sink) => sink.statementDone({ rowCount: 7 }));
    const connection = await on.connect({ packetSize });
    assert.deepEqual((await ask(connection, "select many")).rows, rows);
    assert.deepEqual((await ask(connection, text)).dones, ["done 7"]);
  });
}

// tedious warns of TDS 7.1, which is tried here on purpose.
process.noDeprecation = true;

for (const tdsVersion of ["7_1", "7_2", "7_3_A", "7_3_B"]) {
  test(`a client of TDS ${tdsVersion} is answered in its own version`, async () => {
    await using on = await bench();
    const temporal = new Temporal(738_000, 123_456_789_000);
    const columns = [
      column("i", { id: "int" }, false),
      column("d", { id: "datetime2", scale: 7 }),
      column("m", { id: "nvarchar", length: -1 }),
      column("b", { id: "varbinary", length: -1 }),
      column("x", { id: "xml" }),
      ...Array.from({ length: 20 }, (_, i) => column(`n${i}`, { id: "nvarchar", length: 10 })),
    ];
    const nulls = new Array<null>(20).fill(null);
    on.engine.on("select", (sink) => {
      sink.columns(columns);
      sink.row([1, temporal, "long", Buffer.of(1, 2), "<a/>", ...nulls]);
      sink.statementDone({ rowCount: 1, select: true });
      sink.message({ number: 50001, state: 3, severity: 16, message: "after", line: 12 });
    });
    const connection = await on.connect({ tdsVersion });
    const answer = await ask(connection, "select");
    const moment = tdsVersion < "7_3" ? "2021-07-30 03:25:45.6789000" : new Date("2021-07-30T03:25:45.678Z").getTime();
    const [i, d, ...rest] = answer.rows[0]!;
    assert.deepEqual([i, d instanceof Date ? d.getTime() : d], [1, moment]);
    assert.deepEqual(rest, ["long", Buffer.of(1, 2), "<a/>", ...nulls]);
    assert.equal(answer.error?.lineNumber, 12);
    assert.deepEqual((await ask(connection, "select")).rows.length, 1);
  });
}
