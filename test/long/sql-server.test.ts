/**
 * The product against a SQL Server that is there: TEST_SQLSERVER_URL, a login that may make databases, as
 * `sqlserver://sa:…@host:1433?encrypt=true&trustServerCertificate=true`; its Agent has to run. Without one, the same against the simulator, so
 * that what stands here keeps to both. What is made is one database, which is dropped at the end.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, Request } from "tedious";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { SqlServerCheckpointStore } from "../../src/sources/sqlserver/checkpoint-store.ts";
import { parseConnectionString, toTediousConfig } from "../../src/sources/sqlserver/connection-string.ts";
import { capture, configuration, Workplace } from "../cli/dstream.ts";
import { checkpointContract } from "../ingester/checkpoint-contract.ts";
import { lockContract } from "../locks/contract.ts";
import { open, type SqlServerLockPlace } from "../locks/sqlserver-opener.ts";

const given = process.env["TEST_SQLSERVER_URL"];
const simulator = given ? null : await SqlServerSimulator.start();
const server = given ?? simulator!.connectionStringFor("master");
const NAME = given ? "a real SQL Server" : "the simulator";
const DATABASE = `dstream_test_${Date.now().toString(36)}`;

const url = inDatabase(DATABASE);
const administrator = await connect(inDatabase("master"));
await run(administrator, `CREATE DATABASE ${DATABASE}`);
const session = await connect(url);
await run(session, "EXEC sys.sp_cdc_enable_db");
after(async () => {
  await closed(session);
  await run(administrator, `ALTER DATABASE ${DATABASE} SET SINGLE_USER WITH ROLLBACK IMMEDIATE`);
  await run(administrator, `DROP DATABASE ${DATABASE}`);
  await closed(administrator);
  await simulator?.close();
});

let stores = 0;
checkpointContract(
  `checkpoints in ${NAME}`,
  () => new SqlServerCheckpointStore(parseConnectionString(url), `dbo.offsets_${Math.floor(stores++ / 2)}`),
);

let places = 0;
lockContract({
  name: `sqlserver locks in ${NAME}`,
  leaseMs: 1_500,
  place: async () => {
    const options: SqlServerLockPlace = { connectionString: url, table: `cdc_locks_${++places}`, leaseMs: 1_500 };
    return { module: join(import.meta.dirname, "..", "locks", "sqlserver-opener.ts"), options };
  },
  open: (options) => open(options as SqlServerLockPlace),
});

/** A type, a literal of it, and what formats.md makes of that. */
const VALUES: readonly [type: string, literal: string, json: unknown][] = [
  ["bit", "1", true],
  ["tinyint", "255", 255],
  ["smallint", "-32768", -32768],
  ["int", "2147483647", 2147483647],
  ["bigint", "9007199254740991", 9007199254740991],
  ["decimal(38, 10)", "-1234567890123456789012345678.0123456789", "-1234567890123456789012345678.0123456789"],
  ["numeric(5, 0)", "12345", "12345"],
  ["money", "-922337203685477.5808", "-922337203685477.5808"],
  ["smallmoney", "214748.3647", "214748.3647"],
  ["float", "0.1", 0.1],
  ["real", "0.1", 0.1],
  ["date", "'0001-01-01'", "0001-01-01"],
  ["time(7)", "'23:59:59.9999999'", "23:59:59.9999999"],
  ["time(0)", "'10:11:12'", "10:11:12"],
  ["datetime", "'1753-01-01T00:00:00.003'", "1753-01-01T00:00:00.003"],
  ["smalldatetime", "'2079-06-06T23:59:00'", "2079-06-06T23:59:00"],
  ["datetime2(7)", "'9999-12-31T23:59:59.9999999'", "9999-12-31T23:59:59.9999999"],
  ["datetime2(3)", "'2026-11-21T10:11:12.123'", "2026-11-21T10:11:12.123"],
  ["datetimeoffset(7)", "'2026-11-21T12:11:12.1234567+02:00'", "2026-11-21T12:11:12.1234567+02:00"],
  ["char(5)", "'ab'", "ab   "],
  ["varchar(20)", "''", ""],
  ["nchar(3)", "N'顧客'", "顧客 "],
  ["nvarchar(max)", "N'ünïcødé 🙂 \" \\ '", 'ünïcødé 🙂 " \\ '],
  ["binary(4)", "0x0102", "AQIAAA=="],
  ["varbinary(max)", "0x000102", "AAEC"],
  ["uniqueidentifier", "'49fbedad-37b6-4870-bce3-3f713f46bcf5'", "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"],
  ["xml", "N'<a b=\"1\">ü</a>'", '<a b="1">ü</a>'],
  ["sql_variant", "CAST(12.30 AS decimal(5, 2))", "12.30"],
];

test(`every type of ${NAME} arrives exactly, and null as null`, async (t) => {
  const columns = VALUES.map(([type], n) => `C${n} ${type} NULL`);
  await run(session, `CREATE TABLE dbo.Everything (ID int NOT NULL PRIMARY KEY, ${columns.join(", ")})`);
  await run(session, capture("Everything"));
  const running = workplace(t, "Everything").start("server");
  await running.says(/has no checkpoint yet/);
  await run(session, `INSERT INTO dbo.Everything VALUES (1, ${VALUES.map(([, literal]) => literal).join(", ")})`);
  await run(session, "INSERT INTO dbo.Everything (ID) VALUES (2)");
  const [full, empty] = await running.shows(2);
  assert.deepEqual(full!.data, Object.fromEntries([["ID", 1], ...VALUES.map(([, , json], n) => [`C${n}`, json])]));
  assert.deepEqual(empty!.data, Object.fromEntries([["ID", 2], ...VALUES.map((_, n) => [`C${n}`, null])]));
  assert.equal(await running.end(), 0);
});

test(`changes of ${NAME} arrive in order over restarts, kills and in one transaction, and the rest of the tool works on it`, async (t) => {
  await run(
    session,
    "CREATE TABLE dbo.Persons (ID int NOT NULL PRIMARY KEY, FirstName nvarchar(50) NULL, LastName nvarchar(50) NOT NULL)",
  );
  await run(session, capture("Persons"));
  const place = workplace(t, "Persons");
  const check = await place.run("check");
  assert.equal(check.code, 0, check.stdout + check.stderr);

  const first = place.start("server");
  await first.says(/has no checkpoint yet/);
  await run(session, "INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await run(session, "UPDATE Persons SET FirstName = N'Eva' WHERE ID = 1");
  await first.shows(2);
  assert.equal(await first.end(), 0);

  await run(
    session,
    "BEGIN TRAN; INSERT INTO Persons VALUES (2, NULL, N'O''Connor'), (3, N'Zoë', N'Novák'); DELETE FROM Persons WHERE ID = 1; " +
      "UPDATE Persons SET LastName = N'Smith'; COMMIT",
  );
  const second = place.start("server");
  await second.shows(5);
  await second.kill();

  for (let id = 10; id < 60; id++) await run(session, `INSERT INTO Persons VALUES (${id}, N'Ana', N'Sato')`);
  const third = place.start("server");
  await third.until(() => third.changes.at(-1)?.data["ID"] === 59, "the last change");
  const status = await place.run("status");
  assert.equal(status.code, 0, status.stdout);
  assert.match(status.stdout, new RegExp(`dbo\\.Persons\\n {4}owner: process ${third.process.pid} on `));
  assert.equal(await third.end(), 0);

  const told = [first, second, third].map(({ changes }) =>
    changes.map(({ data, metadata }) => `${metadata["OperationType"]} ${data["ID"]} ${data["LastName"]}`),
  );
  assert.deepEqual(told[0], ["Insert 1 Sato", "Update 1 Sato"]);
  assert.deepEqual(told[1]!.slice(0, 2).sort(), ["Insert 2 O'Connor", "Insert 3 Novák"]);
  assert.deepEqual(told[1]![2], "Delete 1 Sato");
  assert.deepEqual(told[1]!.slice(3).sort(), ["Update 2 Smith", "Update 3 Smith"]);
  // What the killed one had delivered and not saved comes once more, by the same place in the log.
  const fresh = told[2]!.slice(-50);
  assert.deepEqual(
    fresh,
    Array.from({ length: 50 }, (_, n) => `Insert ${n + 10} Sato`),
  );
});

function workplace(t: TestContext, table: string): Workplace {
  return new Workplace(t, configuration({ tables: [table] }), { DSTREAM_DB_CONNECTION_STRING: url });
}

function inDatabase(name: string): string {
  const address = new URL(server);
  address.searchParams.set("database", name);
  return address.href;
}

async function connect(to: string): Promise<Connection> {
  for (let tries = 1; ; tries++) {
    const connection = new Connection(toTediousConfig(parseConnectionString(to)));
    const error = await new Promise<Error | undefined>((resolve) => connection.connect(resolve));
    if (error === undefined || error === null) return connection;
    // A database that was just made may not be open yet.
    if (tries === 10) throw error;
    await sleep(1_000);
  }
}

async function closed(connection: Connection): Promise<void> {
  const ended = new Promise((resolve) => connection.once("end", resolve));
  connection.close();
  await ended;
}

async function run(connection: Connection, sql: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    connection.execSqlBatch(new Request(sql, (error) => (error ? reject(error) : resolve())));
  });
}
