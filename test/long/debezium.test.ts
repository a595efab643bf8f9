/**
 * Debezium's SQL Server connector, unchanged, against the simulator: what it reports is held against what was written.
 * https://debezium.io/documentation/reference/stable/connectors/sqlserver.html
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { type Change, Debezium } from "../simulator-conformance/clients/debezium.ts";
import { skipped } from "../simulator-conformance/suite.ts";
import { debezium } from "../simulator-conformance/tools.ts";

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
    await connector.stop();
  });
}

/** Table, operation, and the row after it, or before a delete. */
function brief({ source, op, before, after }: Change): [string, string, Change["after"]] {
  return [`${source.schema}.${source.table}`, op, op === "d" ? before : after];
}
