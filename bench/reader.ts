/**
 * How fast changes are read: (a) rows by tedious' public API, each made JSON by JSON.stringify; (b) this reader, to messages that a
 * queue takes; (c) the socket drained by a client that only counts, which is what the server can give. In turn, in one
 * run, of the same filled change tables, from a simulator in a process of its own.
 *
 *     npm run bench -- reader [--rows 300000] [--runs 5] [--memory-rows 5000000]
 *
 * Peak memory is that of processes that do nothing but read: --memory-rows rows in transactions of 100, and in one.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Connection, Request } from "tedious";
import type { MessageRun } from "../src/change/message-run.ts";
import { parseTableName, type TablePattern } from "../src/config/tables.ts";
import { BatchSizer } from "../src/ingester/batch-sizer.ts";
import type { SourceTable } from "../src/ingester/source.ts";
import { parseConnectionString } from "../src/sources/sqlserver/connection-string.ts";
import { SqlServerSource } from "../src/sources/sqlserver/source.ts";
import { silent } from "../src/telemetry/logger.ts";
import { DrainingClient } from "./drain.ts";
import { interleaved, median, numbersOf, whole } from "./measure.ts";
import { type BenchServer, DATABASE, startServer } from "./server.ts";
import { SHAPES } from "./shapes.ts";

interface Sample {
  rows: number;
  /** Of messages, or of TDS when draining. */
  bytes: number;
  seconds: number;
  /** Of this process, microseconds. */
  cpu: number;
}

/** What a batch message may hold, as in the embedded queue, and what one read may. */
const MESSAGE_BYTES = 64_000_000;
const READ = { maxRows: 10_000, maxBytes: 4_000_000 };
const never = new AbortController().signal;

export async function run(args: string[]): Promise<void> {
  const numbers = numbersOf(args, { rows: 300_000, runs: 5, "memory-rows": 5_000_000 });
  const { rows, runs } = numbers;
  const tables = SHAPES.map(({ name }) => ({
    shape: name,
    name,
    filled: { changes: rows, changesPerTransaction: 100 },
  }));
  const server = await startServer(tables);
  const drainer = await DrainingClient.connect(server.port, "sa", server.password, DATABASE);
  const public_ = await connect(server);
  let head: Figures | undefined;
  for (const { name, description } of SHAPES) {
    await using reading = new Reading(server.connectionString, name);
    const measures: (() => Promise<Sample>)[] = [
      () => measured(rows, () => byTedious(public_, name)),
      () => measured(rows, () => reading.whole((run) => run.batches(MESSAGE_BYTES))),
      () => measured(rows, () => reading.whole((run) => run.messages())),
      () => measured(rows, () => drainer.drain(statement(name))),
    ];
    const [tedious, batches, messages, drained] = (await interleaved(measures, runs)).map(figuresOf);
    const line = (what: string, { rate, cpu, size }: Figures, unit: string) =>
      console.log(
        `${`${description}, ${what}:`.padEnd(56)} ${whole(rate).padStart(9)} rows/s, ${cpu.toFixed(2).padStart(5)} us CPU/row, ` +
          `${Math.round(size)} bytes of ${unit} a row`,
      );
    line("(a) tedious rows and JSON.stringify", tedious!, "JSON");
    line("(b) this reader, batch messages", batches!, "message");
    line("    this reader, an object for each row", messages!, "message");
    line("(c) draining the socket", drained!, "TDS");
    head ??= batches!;
    if (head === batches) summary = { tedious: tedious!, reader: batches!, drained: drained! };
  }
  drainer.close();
  public_.close();
  await server.stop();
  const peak = Math.max(
    ...[100, numbers["memory-rows"]].map((perTransaction) => peakOf(numbers["memory-rows"], perTransaction)),
  );
  const { tedious, reader, drained } = summary!;
  console.log(
    `reader: ${(reader.rate / tedious.rate).toFixed(1)} times tedious+JSON.stringify, ${Math.round((100 * reader.rate) / drained.rate)}% of socket drain, ` +
      `${whole(reader.rate)} rows/s, ${whole((reader.rate * drained.size) / 1e6)} MB/s TDS, ${reader.cpu.toFixed(2)} us CPU/row, ${whole(peak)} MB peak RSS`,
  );
}

interface Figures {
  /** Rows a second. */
  rate: number;
  /** Microseconds a row. */
  cpu: number;
  /** Bytes a row. */
  size: number;
}

let summary: { tedious: Figures; reader: Figures; drained: Figures } | undefined;

function figuresOf(samples: Sample[]): Figures {
  return {
    rate: median(samples.map(({ rows, seconds }) => rows / seconds)),
    cpu: median(samples.map(({ cpu, rows }) => cpu / rows)),
    size: samples[0]!.bytes / samples[0]!.rows,
  };
}

async function measured(wanted: number, work: () => Promise<{ rows: number; bytes: number }>): Promise<Sample> {
  const before = process.cpuUsage();
  const start = performance.now();
  const { rows, bytes } = await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  if (rows !== wanted) throw new Error(`${rows} rows came instead of ${wanted}`);
  return { rows, bytes, seconds, cpu: user + system };
}

/** All columns (of which the reader asks for all but two short ones), of all changes, in order. */
function statement(table: string): string {
  return (
    `SELECT TOP (2000000000) c.*, m.tran_end_time FROM cdc.dbo_${table}_CT AS c ` +
    "LEFT JOIN cdc.lsn_time_mapping AS m ON m.start_lsn = c.[__$start_lsn] " +
    "WHERE c.[__$start_lsn] > 0x00000000000000000000 AND c.[__$start_lsn] <= sys.fn_cdc_get_max_lsn() " +
    "ORDER BY c.[__$start_lsn], c.[__$command_id], c.[__$seqval], c.[__$operation]"
  );
}

async function connect(server: BenchServer): Promise<Connection> {
  const connection = new Connection({
    server: "127.0.0.1",
    authentication: { type: "default", options: { userName: "sa", password: server.password } },
    options: { port: server.port, database: DATABASE, encrypt: false, requestTimeout: 0, packetSize: 32_767 },
  });
  await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
  return connection;
}

function byTedious(connection: Connection, table: string): Promise<{ rows: number; bytes: number }> {
  return new Promise((resolve, reject) => {
    let rows = 0;
    let bytes = 0;
    const request = new Request(statement(table), (error) => (error ? reject(error) : resolve({ rows, bytes })));
    request.on("row", (columns: { metadata: { colName: string }; value: unknown }[]) => {
      const data: Record<string, unknown> = {};
      // As messages have them; JSON.stringify would make a number of each byte.
      for (const { metadata, value } of columns)
        data[metadata.colName] = Buffer.isBuffer(value) ? value.toString("base64") : value;
      bytes += JSON.stringify({ data }).length;
      rows++;
    });
    connection.execSqlBatch(request);
  });
}

/** A reader's source, which is open for longer than one reading: its code is compiled once. */
class Reading implements AsyncDisposable {
  readonly #source: SqlServerSource;
  #table: SourceTable | undefined;

  constructor(connectionString: string, table: string) {
    this.#source = new SqlServerSource({
      target: parseConnectionString(connectionString),
      tables: [parseTableName(`dbo.${table}`) as TablePattern],
      ingestQueue: "ingest-queue",
      logger: silent,
    });
  }

  async whole(use: (run: MessageRun) => unknown): Promise<{ rows: number; bytes: number }> {
    const source = this.#source;
    // Once: asking for the tables reads the catalogue anew, and what is compiled for it begins cold.
    const table = (this.#table ??= (await source.tables())[0]!);
    const { lsn: upTo } = (await source.maximum(never))!;
    const reader = source.reader(table, { position: await source.start(table, never), commitTime: null });
    const sizer = new BatchSizer(READ);
    let rows = 0;
    let bytes = 0;
    for (let more = true; more; ) {
      const { changes, ...batch } = await reader.read({ maxRows: sizer.rows, maxBytes: sizer.maxBytes, upTo }, never);
      sizer.measured(changes);
      use(changes);
      rows += changes.count;
      bytes += changes.bytes;
      changes.release();
      ({ more } = batch);
    }
    return { rows, bytes };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#source.close();
  }
}

/** Megabytes that a process takes at most which reads so many rows of the 19-column shape. */
function peakOf(rows: number, changesPerTransaction: number): number {
  const told = execFileSync(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      // As the command line has it (src/cli/main.ts).
      "--max-semi-space-size=4",
      fileURLToPath(import.meta.url),
      String(rows),
      String(changesPerTransaction),
    ],
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  );
  const peak = Number(told);
  console.log(
    `peak memory of reading ${whole(rows)} rows, ${whole(changesPerTransaction)} a transaction: ${whole(peak)} MB`,
  );
  return peak;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [rows, changesPerTransaction] = process.argv.slice(2).map(Number) as [number, number];
  const server = await startServer([
    { name: "orders", shape: "orders", filled: { changes: rows, changesPerTransaction } },
  ]);
  await using reading = new Reading(server.connectionString, "orders");
  const read = await reading.whole((run) => run.batches(MESSAGE_BYTES));
  if (read.rows !== rows) throw new Error(`${read.rows} rows came instead of ${rows}`);
  await server.stop();
  if (process.env["BENCH_MEM"]) console.error(process.memoryUsage());
  console.log(process.resourceUsage().maxRSS / 1000);
}
