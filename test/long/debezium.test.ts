/**
 * Debezium's SQL Server connector, unchanged, against the simulator: what it reports is held against what was written.
 * https://debezium.io/documentation/reference/stable/connectors/sqlserver.html
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { type Change, Debezium } from "../simulator-conformance/clients/debezium.ts";
import { skipped } from "../simulator-conformance/suite.ts";
import { debezium } from "../simulator-conformance/tools.ts";

const HEARTBEATS = "__debezium-heartbeat.server";

const missing = debezium.missing();
if (missing) skipped("Debezium", missing);
else describe("Debezium", stories);

function stories(): void {
  const folder = mkdtempSync(join(tmpdir(), "dstream-debezium-"));
  let server: SqlServerSimulator;
  let connector: Debezium;
  let databases = 0;
  before(async () => {
    debezium.build();
    server = await SqlServerSimulator.start({ captureInterval: 50, onProblem: (problem) => console.error(problem) });
    connector = new Debezium("server");
  });
  afterEach(() => connector.stop());
  after(async () => {
    await connector.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  /** A new database with CDC; runs T-SQL in it. */
  async function database(...statements: string[]): Promise<{ name: string; sql: (text: string) => Promise<void> }> {
    const name = `Db${++databases}`;
    server.engine.createDatabase(name);
    const sql = async (text: string) => {
      await server.query(text, name);
    };
    await sql(`ALTER DATABASE ${name} SET ALLOW_SNAPSHOT_ISOLATION ON; EXEC sys.sp_cdc_enable_db`);
    for (const statement of statements) await sql(statement);
    // Captured by now: else it would be streamed as well as copied, since it comes behind the place where the connector begins.
    server.cdc(name).run();
    return { name, sql };
  }

  /** The properties of a connector; `offsets` names where it remembers. */
  function properties(names: string, more: Record<string, string> = {}, offsets = names): Record<string, string> {
    return {
      name: "connector",
      "connector.class": "io.debezium.connector.sqlserver.SqlServerConnector",
      "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
      "offset.storage.file.filename": join(folder, `${offsets}.offsets`),
      "offset.flush.interval.ms": "0",
      "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
      "schema.history.internal.file.filename": join(folder, `${offsets}.history`),
      "key.converter.schemas.enable": "false",
      "value.converter.schemas.enable": "false",
      "topic.prefix": "server",
      "poll.interval.ms": "20",
      "retriable.restart.connector.wait.ms": "100",
      "database.hostname": server.host,
      "database.port": String(server.port),
      "database.user": "sa",
      "database.password": server.password,
      "database.names": names,
      "database.encrypt": "false",
      ...more,
    };
  }

  const CUSTOMERS = "CREATE TABLE customers (id int NOT NULL PRIMARY KEY, name nvarchar(50) NULL)";
  const ORDERS =
    "CREATE TABLE sales.orders (id int IDENTITY PRIMARY KEY, customer int NOT NULL, total decimal(10,2) NULL)";
  const track = (table: string, schema = "dbo", more = "") =>
    `EXEC sys.sp_cdc_enable_table @source_schema = N'${schema}', @source_name = N'${table}', @role_name = NULL ${more}`;

  test("reads the rows that are there under every isolation level, and then each change in order", async () => {
    const { name, sql } = await database(
      "CREATE SCHEMA sales",
      CUSTOMERS,
      ORDERS,
      track("customers"),
      track("orders", "sales"),
      "INSERT customers VALUES (1, N'Zoë'), (2, NULL); INSERT sales.orders VALUES (1, 19.99)",
    );
    for (const isolation of ["read_uncommitted", "read_committed", "snapshot", "exclusive", "repeatable_read"]) {
      const more = { "snapshot.isolation.mode": isolation, "decimal.handling.mode": "string" };
      connector.start(properties(name, more, `${name}-${isolation}`));
      assert.deepEqual((await connector.tells(3)).map(brief), [
        ["dbo.customers", "r", { id: 1, name: "Zoë" }],
        ["dbo.customers", "r", { id: 2, name: null }],
        ["sales.orders", "r", { id: 1, customer: 1, total: "19.99" }],
      ]);
      if (isolation !== "repeatable_read") await connector.stop();
    }
    await sql("BEGIN TRAN; INSERT customers VALUES (3, N'Ana'); INSERT sales.orders VALUES (3, 5); COMMIT");
    await sql("UPDATE sales.orders SET total = total + 1");
    await sql("UPDATE customers SET id = 30 WHERE id = 3");
    await sql("BEGIN TRAN; DELETE sales.orders; ROLLBACK");
    await sql("DELETE sales.orders WHERE id = 2; DELETE customers WHERE id = 2");
    const streamed = (await connector.tells(11)).slice(3);
    assert.deepEqual(streamed.map(brief), [
      ["dbo.customers", "c", { id: 3, name: "Ana" }],
      ["sales.orders", "c", { id: 2, customer: 3, total: "5.00" }],
      ["sales.orders", "u", { id: 1, customer: 1, total: "20.99" }],
      ["sales.orders", "u", { id: 2, customer: 3, total: "6.00" }],
      ["dbo.customers", "d", { id: 3, name: "Ana" }],
      ["dbo.customers", "c", { id: 30, name: "Ana" }],
      ["sales.orders", "d", { id: 2, customer: 3, total: "6.00" }],
      ["dbo.customers", "d", { id: 2, name: null }],
    ]);
    assert.deepEqual(streamed[2]!.before, { id: 1, customer: 1, total: "19.99" }, "an update has the row as it was");
    assert.deepEqual(
      streamed.map(({ key }) => key),
      [3, 2, 1, 2, 3, 30, 2, 2].map((id) => ({ id })),
    );
    const commits = streamed.map(({ source }) => source.commit_lsn);
    assert.deepEqual(commits, [...commits].sort());
    assert.equal(new Set(commits).size, 5, "five transactions, each with its own commit LSN");
    assert.equal(commits[0], commits[1]);
  });

  // https://debezium.io/documentation/reference/stable/connectors/sqlserver.html#sqlserver-data-types
  test("every type comes with its value, copied and streamed alike", async () => {
    const types = [
      ["bit", "1", true],
      ["tinyint", "255", 255],
      ["smallint", "-32768", -32768],
      ["int", "2147483647", 2147483647],
      ["bigint", "-9223372036854775808", -9223372036854775808n],
      ["decimal(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"],
      ["money", "-922337203685477.5808", "-922337203685477.5808"],
      ["smallmoney", "214748.3647", "214748.3647"],
      ["float", "-1.7976931348623157E+308", -1.7976931348623157e308],
      ["real", "1.17549435E-38", 1.17549435e-38],
      ["date", "'0001-01-01'", "0001-01-01Z"],
      ["time(7)", "'23:59:59.9999999'", "23:59:59.9999999Z"],
      ["time(0)", "'10:11:12'", "10:11:12Z"],
      ["datetime", "'2026-11-21T10:11:12.997'", "2026-11-21T10:11:12.997Z"],
      ["smalldatetime", "'2079-06-06T23:59:00'", "2079-06-06T23:59:00Z"],
      ["datetime2(7)", "'9999-12-31T23:59:59.9999999'", "9999-12-31T23:59:59.9999999Z"],
      ["datetime2(3)", "'1900-02-28T10:11:12.123'", "1900-02-28T10:11:12.123Z"],
      ["datetimeoffset(7)", "'2026-11-21T12:11:12.1234567-05:30'", "2026-11-21T12:11:12.1234567-05:30"],
      ["char(5)", "'añ'", "añ   "],
      ["varchar(20)", "'€uro'", "€uro"],
      ["varchar(max)", "REPLICATE(CAST('x' AS varchar(max)), 20000)", "x".repeat(20000)],
      ["text", "'täxt'", "täxt"],
      ["nchar(3)", "N'日'", "日  "],
      ["nvarchar(20)", "N'日本 😀'", "日本 😀"],
      ["nvarchar(max)", "N''", ""],
      ["ntext", "N'Ω'", "Ω"],
      ["xml", "N'<a b=\"1\">ü</a>'", '<a b="1">ü</a>'],
      ["uniqueidentifier", "'49fbedad-37b6-4870-bce3-3f713f46bcf5'", "49FBEDAD-37B6-4870-BCE3-3F713F46BCF5"],
      ["binary(4)", "0x0102", "AQIAAA=="],
      ["varbinary(10)", "0xFF00", "/wA="],
      ["varbinary(max)", "0x", ""],
      ["image", "0x0A", "Cg=="],
    ] as const;
    const columns = types.map(([type], i) => `c${i} ${type} NULL`).join(", ");
    const row = (id: number) => `(${id}, ${types.map(([, literal]) => literal).join(", ")})`;
    const { name, sql } = await database(`CREATE TABLE types (id int PRIMARY KEY, ${columns})`, track("types"));
    await sql(`INSERT types VALUES ${row(1)}; INSERT types (id) VALUES (2)`);
    connector.start(
      properties(name, {
        "decimal.handling.mode": "string",
        "binary.handling.mode": "base64",
        "time.precision.mode": "isostring",
      }),
    );
    await connector.tells(2);
    await sql(`INSERT types VALUES ${row(3)}; INSERT types (id) VALUES (4)`);
    const changes = await connector.tells(4);
    const full = (id: number) => ({ id, ...Object.fromEntries(types.map(([, , value], i) => [`c${i}`, value])) });
    const empty = (id: number) => ({ id, ...Object.fromEntries(types.map((_, i) => [`c${i}`, null])) });
    const expected = [full(1), empty(2), full(3), empty(4)];
    for (const [at, { after }] of changes.entries()) assert.deepEqual(after, expected[at]);
  });

  // "Schema evolution" of Debezium's page, online: a second capture instance takes over.
  test("a second capture instance brings a new column, and no row is missing or twice", async () => {
    const { name, sql } = await database(CUSTOMERS, track("customers"), "INSERT customers VALUES (1, N'Ana')");
    connector.start(properties(name, { "heartbeat.interval.ms": "1" }));
    await connector.tells(1);
    await sql("INSERT customers VALUES (2, N'before')");
    await sql("ALTER TABLE customers ADD phone varchar(20) NULL");
    await sql("INSERT customers VALUES (3, N'between', '555')");
    await sql(track("customers", "dbo", ", @capture_instance = N'customers_v2'"));
    // It hears of the new instance while nothing changes.
    server.cdc(name).run();
    const beats = connector.of(HEARTBEATS).length;
    await connector.until((told) => told.of(HEARTBEATS).length > beats + 3, "three more polls");
    await sql("INSERT customers VALUES (4, N'after', '777')");
    await connector.tells(4);
    await sql("EXEC sys.sp_cdc_disable_table N'dbo', N'customers', N'dbo_customers'");
    await sql("UPDATE customers SET phone = '888' WHERE id = 1");
    assert.deepEqual((await connector.tells(5)).slice(1).map(brief), [
      ["dbo.customers", "c", { id: 2, name: "before" }],
      ["dbo.customers", "c", { id: 3, name: "between" }],
      ["dbo.customers", "c", { id: 4, name: "after", phone: "777" }],
      ["dbo.customers", "u", { id: 1, name: "Ana", phone: "888" }],
    ]);
  });

  test("a connector that is started again goes on where it was, also within a transaction", async () => {
    const { name, sql } = await database(CUSTOMERS, track("customers"));
    const options = { "snapshot.mode": "no_data", "provide.transaction.metadata": "true" };
    await sql("INSERT customers VALUES (1, N'not copied')");
    connector.start(properties(name, options));
    await connector.until((told) => told.of("server").length > 0, "the schema");
    await sql("INSERT customers SELECT value, CONCAT('row ', value) FROM GENERATE_SERIES(2, 301)");
    await connector.tells(300);
    await connector.stop();
    const first = connector.changes;

    await sql("DELETE customers WHERE id <= 100; INSERT customers VALUES (1000, NULL)");
    connector.start(properties(name, options));
    await connector.tells(101);
    const second = connector.changes;
    await connector.stop();
    assert.deepEqual(
      first.map(({ after }) => after!["id"]),
      Array.from({ length: 300 }, (_, i) => i + 2),
    );
    assert.equal(new Set(first.map(({ transaction }) => transaction!.id)).size, 1);
    assert.deepEqual(
      first.map(({ transaction }) => transaction!.total_order),
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
    assert.deepEqual(
      second.map(({ op, before, after }) => `${op} ${(before ?? after)!["id"]}`),
      [...Array.from({ length: 100 }, (_, i) => `d ${i + 1}`), "c 1000"],
    );
  });

  // https://debezium.io/documentation/reference/stable/configuration/signalling.html
  test("a signal in a table has it copy the rows again, in pieces, while changes go on", async () => {
    const { name, sql } = await database(
      CUSTOMERS,
      "CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32), data varchar(2048))",
      track("customers"),
      track("signals"),
      "INSERT customers SELECT value, N'old' FROM GENERATE_SERIES(1, 25)",
    );
    connector.start(
      properties(name, {
        "snapshot.mode": "no_data",
        "signal.data.collection": `${name}.dbo.signals`,
        "incremental.snapshot.chunk.size": "10",
        "snapshot.isolation.mode": "snapshot",
      }),
    );
    await connector.until((told) => told.of("server").length > 0, "the schema");
    const request = JSON.stringify({ "data-collections": [`${name}.dbo.customers`], type: "incremental" });
    await sql(`INSERT signals VALUES ('one', 'execute-snapshot', '${request}')`);
    await sql("UPDATE customers SET name = N'new' WHERE id = 25");
    await connector.until((told) => told.changesOf(`${name}.dbo.customers`).length >= 26, "25 rows and a change");
    const changes = connector.changesOf(`${name}.dbo.customers`);
    const rows = new Map(changes.map(({ after }) => [after!["id"], after!["name"]]));
    assert.deepEqual(
      [...rows],
      [...Array.from({ length: 25 }, (_, i): [number, string] => [i + 1, i === 24 ? "new" : "old"])].sort(
        ([a], [b]) => [...rows.keys()].indexOf(a) - [...rows.keys()].indexOf(b),
      ),
    );
    assert.equal(changes.filter(({ op }) => op === "r").length, 25);
  });

  test("several databases over one encrypted connection, each with its own topics and heartbeats", async () => {
    const one = await database(CUSTOMERS, track("customers"), "INSERT customers VALUES (1, N'one')");
    const two = await database(CUSTOMERS, track("customers"), "INSERT customers VALUES (1, N'two')");
    connector.start(
      properties(`${one.name},${two.name}`, {
        "database.encrypt": "true",
        "driver.trustServerCertificate": "true",
        "heartbeat.interval.ms": "100",
        "database.applicationIntent": "ReadOnly",
      }),
    );
    await connector.tells(2);
    // Those of the former story may still be there for a moment, and new ones are in the clear until they have shaken hands.
    const inTheClear = () => [...server.server.connections].filter(({ encrypted }) => !encrypted).length;
    for (const began = performance.now(); inTheClear() > 0; await new Promise((resolve) => setTimeout(resolve, 20)))
      assert.ok(performance.now() - began < 10_000, `${inTheClear()} connections are in the clear`);
    await two.sql("UPDATE customers SET name = N'zwei'");
    await connector.tells(3);
    await one.sql("UPDATE customers SET name = N'eins'");
    await connector.tells(4);
    const names = ({ after }: Change) => after!["name"];
    assert.deepEqual(connector.changesOf(`${one.name}.dbo.customers`).map(names), ["one", "eins"]);
    assert.deepEqual(connector.changesOf(`${two.name}.dbo.customers`).map(names), ["two", "zwei"]);
    await connector.until((told) => told.of(HEARTBEATS).length > 1, "heartbeats");
  });
}

/** Table, operation, and the row after it, or before a delete. */
function brief({ source, op, before, after }: Change): [string, string, Change["after"]] {
  return [`${source.schema}.${source.table}`, op, op === "d" ? before : after];
}
