/** `dstream provider mssql` as a program of its own: the second seed document's examples, its errors, and what a crash costs. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { startAzurite } from "../support/azurite.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const simulator = await SqlServerSimulator.start({ captureInterval: 20, databases: ["testdb"] });
after(() => simulator.close());
const query = (sql: string) => simulator.query(sql, "testdb");
await query("EXEC sys.sp_cdc_enable_db");
for (const table of ["customers", "orders", "products", "acked"]) {
  await query(`CREATE TABLE dbo.${table} (id int NOT NULL PRIMARY KEY, name nvarchar(50), email nvarchar(50))`);
  await query(`EXEC sys.sp_cdc_enable_table @source_schema=N'dbo', @source_name=N'${table}', @role_name=NULL`);
}
const connection = simulator.connectionStringFor("testdb");

/** The configuration of the seed document, with nothing changed but server, credentials and storage account. */
const seed = (storage: string) => ({
  db_connection_string: connection,
  poll_interval: "5s",
  max_poll_interval: "5m",
  lock_config: { type: "azure_blob", connection_string: storage, container_name: "locks" },
  tables: ["dbo.customers", "dbo.orders", "dbo.products"],
});
const quick = {
  db_connection_string: connection,
  poll_interval: "50ms",
  max_poll_interval: "1s",
  lock_config: { type: "none" },
};

class Provider {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly log: string[] = [];
  readonly #lines: AsyncIterator<string>;

  constructor(input: string, { open = false }: { open?: boolean } = {}) {
    const args = ["--disable-warning=ExperimentalWarning", MAIN, "provider", "mssql"];
    this.process = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.ended = once(this.process, "exit").then(([code]) => code as number | null);
    createInterface({ input: this.process.stderr! }).on("line", (line) => this.log.push(line));
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
    this.process.stdin!.on("error", () => {});
    this.process.stdin!.write(input);
    if (!open) this.process.stdin!.end();
  }

  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value as string | undefined;
  }

  async json(): Promise<Envelope> {
    return JSON.parse((await this.line())!) as Envelope;
  }

  tell(line: object): void {
    this.process.stdin!.write(`${JSON.stringify(line)}\n`);
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.process.kill(signal);
    return await this.ended;
  }
}

interface Envelope {
  table_name: string;
  server_name: string;
  changes: { table_name: string; change_type: string; data: Record<string, unknown>; timestamp: string; lsn: string }[];
  metadata: { batch_size: number; poll_interval: string };
  status?: string;
  message?: string;
}

test("the seed's configuration gives the seed's envelopes, under a lease in the storage account's container", async () => {
  const azurite = await startAzurite();
  try {
    await query("INSERT INTO dbo.customers VALUES (123, N'John Doe', N'john@example.com')");
    const provider = new Provider(JSON.stringify(seed(azurite.url), null, 2));
    const envelope = await provider.json();
    const [change] = envelope.changes;
    assert.deepEqual(envelope, {
      table_name: "dbo.customers",
      server_name: "127.0.0.1",
      changes: [
        {
          table_name: "dbo.customers",
          change_type: "insert",
          data: { id: 123, name: "John Doe", email: "john@example.com" },
          timestamp: change!.timestamp,
          lsn: change!.lsn,
        },
      ],
      metadata: { batch_size: 1, poll_interval: "5s" },
    });
    assert.match(change!.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    assert.match(change!.lsn, /^[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{4}$/i);
    assert.equal(await provider.end(), 0);
    assert.equal(await provider.line(), undefined, "nothing but envelopes on standard output");
    for (const line of provider.log) assert.match(line, /^\[MSSQL-CDC\] /);
    assert.ok(provider.log.some((line) => line.includes("the configuration is loaded")));
  } finally {
    await azurite.close();
  }
});

test("updates and deletes, several tables, and a checkpoint that the next run goes on from", async () => {
  await query("INSERT INTO dbo.orders VALUES (1, N'a', NULL), (2, N'b', NULL)");
  const first = new Provider(JSON.stringify({ ...quick, tables: ["dbo.orders"] }));
  assert.deepEqual(
    (await first.json()).changes.map(({ change_type, data }) => [change_type, data["id"]]),
    [
      ["insert", 1],
      ["insert", 2],
    ],
  );
  assert.equal(await first.end(), 0);
  await query("UPDATE dbo.orders SET name = N'c' WHERE id = 1; DELETE FROM dbo.orders WHERE id = 2");
  const second = new Provider(JSON.stringify({ ...quick, tables: ["dbo.orders"] }));
  const seen: unknown[] = [];
  while (seen.length < 2)
    for (const { change_type, data } of (await second.json()).changes) seen.push([change_type, data["name"]]);
  assert.deepEqual(seen, [
    ["update", "c"],
    ["delete", "b"],
  ]);
  assert.equal(await second.end(), 0);
});

test("what is not acknowledged comes again after a SIGKILL, and what is does not", async () => {
  const envelope = `${JSON.stringify({ command: "run", acks: true, config: { ...quick, tables: ["dbo.acked"] } })}\n`;
  const ready = { status: "ready", acks: true };
  await query("INSERT INTO dbo.acked VALUES (1, N'one', NULL)");
  const first = new Provider(envelope, { open: true });
  assert.deepEqual(await first.json(), ready);
  assert.equal((await first.json()).changes[0]!.data["id"], 1);
  await first.end("SIGKILL");

  const second = new Provider(envelope, { open: true });
  assert.deepEqual(await second.json(), ready);
  assert.equal((await second.json()).changes[0]!.data["id"], 1, "nobody had acknowledged it");
  second.tell({ acked: 1 });
  await query("INSERT INTO dbo.acked VALUES (2, N'two', NULL)");
  assert.equal(
    (await second.json()).changes[0]!.data["id"],
    2,
    "the next batch is sent once the first is acknowledged and saved",
  );
  await second.end("SIGKILL");

  const third = new Provider(envelope, { open: true });
  assert.deepEqual(await third.json(), ready);
  assert.equal((await third.json()).changes[0]!.data["id"], 2);
  third.tell({ acked: 1 });
  third.process.stdin!.end();
  assert.equal(await third.ended, 0, "who acknowledges has gone");
});

test('output = "rows" writes row messages', async () => {
  await query("INSERT INTO dbo.products VALUES (7, N'nut', NULL)");
  const provider = new Provider(JSON.stringify({ ...quick, tables: ["dbo.products"], output: "rows" }));
  const row = JSON.parse((await provider.line())!) as { data: { id: number }; metadata: { OperationType: string } };
  assert.equal(row.data.id, 7);
  assert.equal(row.metadata.OperationType, "Insert");
  assert.equal(await provider.end(), 0);
});

test("a reader that goes away ends it cleanly", async () => {
  const provider = new Provider(JSON.stringify({ ...quick, tables: ["dbo.customers"], start: "now" }));
  while (!provider.log.some((line) => line.includes("tables to read")))
    await new Promise((resolve) => setTimeout(resolve, 20));
  provider.process.stdout!.destroy();
  for (let id = 1000; provider.process.exitCode === null; id++) {
    await query(`INSERT INTO dbo.customers VALUES (${id}, N'x', NULL)`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(await provider.ended, 0);
});

test("what is wrong with the configuration is said on standard error, and in the handshake where there is one", async () => {
  const run = (config: unknown) => `${JSON.stringify({ command: "run", config })}\n`;
  for (const [input, says] of [
    ["", /no configuration on standard input: it is empty/],
    ['{"tables": [', /no configuration on standard input: it is no JSON/],
    ["[1]", /it is no JSON object|is no JSON object/],
    [JSON.stringify({ ...quick, tables: ["dbo.customers"], tabels: [] }), /unknown key tabels.*/],
    [run({ ...quick, tables: ["dbo.customers"], poll_interval: "5 seconds" }), /is not a duration/],
    [run({ ...quick, tables: ["dbo.customers"], output: "xml" }), /output is "xml"/],
    [
      run({
        ...quick,
        tables: ["dbo.users"],
        db_connection_string: "server=localhost;database=test;trusted_connection=true",
      }),
      /trusted_connection.*use user id=/,
    ],
    [`${JSON.stringify({ command: "dance", config: {} })}\n`, /command "dance"/],
  ] as const) {
    const provider = new Provider(input);
    const line = await provider.line();
    assert.equal(await provider.ended, 1, input);
    assert.match(provider.log.join("\n"), says);
    for (const each of provider.log) assert.match(each, /^\[MSSQL-CDC\] /);
    if (input.includes('"command"')) assert.equal((JSON.parse(line!) as Envelope).status, "error");
    else assert.equal(line, undefined);
  }
});
