/**
 * The whole way: simulator, `dstream ingester`, embedded queue, `dstream router`, destination, each a process of its own; with row
 * messages and with batch messages between the two. Measured are
 * - a backlog: a filled change table (19 columns) that is drained as fast as it goes;
 * - a steady load of 1,000 changes a second: from commit (which is when a change is visible in the change table here) to
 *   its arrival at a reader of the destination; once all processes have done so for two seconds, in which their code is
 *   compiled;
 * - full load: changes are made as fast as they are delivered, 2,000 at most under way.
 *
 *     npm run bench -- pipeline [--changes 100000] [--seconds 5]
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, Request } from "tedious";
import { destinationName } from "../src/change/formats/destination.ts";
import { silent } from "../src/telemetry/logger.ts";
import { openTransport } from "../src/transports/registry.ts";
import type { Transport } from "../src/transports/transport.ts";
import { dstream, endOf, usageOf } from "./dstream-child.ts";
import { numbersOf, whole } from "./measure.ts";
import { type BenchServer, DATABASE, startServer, type Usage } from "./server.ts";
import { insertRows, shapeOf } from "./shapes.ts";

const POLL = "20ms";
const SHAPE = "orders";
const STEADY = 1_000;
const UNDER_WAY = 2_000;
const WARM_UP_SECONDS = 2;

export async function run(args: string[]): Promise<void> {
  const { changes, seconds } = numbersOf(args, { changes: 100_000, seconds: 5 });
  const summaries: { backlog: Backlog; steady: Latency }[] = [];
  for (const messages of ["row", "batch"] as const) {
    const server = await startServer([
      { name: "backlog", shape: SHAPE, filled: { changes, changesPerTransaction: 20 } },
      { name: "live", shape: SHAPE },
    ]);
    const backlog = await drainBacklog(server, messages, changes);
    const { steady, full } = await liveLoads(server, messages, seconds);
    await server.stop();
    summaries.push({ backlog, steady });
    console.log(
      `${messages} messages, backlog of ${whole(changes)}: ${whole(backlog.rate)} changes/s, ${whole((backlog.rate * backlog.bytes) / 1e6)} MB/s; ` +
        `${backlog.ingester.toFixed(1)} us CPU a change in the ingester, ${backlog.router.toFixed(1)} in the router; ` +
        `peak memory ${whole(backlog.memory[0] / 1e6)} and ${whole(backlog.memory[1] / 1e6)} MB`,
    );
    console.log(`${messages} messages, ${whole(STEADY)} changes/s: ${latencyText(steady)}`);
    console.log(`${messages} messages, full load (${whole(full.rate)} changes/s): ${latencyText(full)}`);
  }
  const best = summaries.reduce((a, b) => (b.backlog.rate > a.backlog.rate ? b : a));
  console.log(
    `pipeline: ${whole(best.backlog.rate)} changes/s, p99 ${Math.round(best.steady.p99)} ms at 1000/s, ` +
      `${(best.backlog.ingester + best.backlog.router).toFixed(1)} us CPU/change`,
  );
}

interface Backlog {
  /** Changes a second. */
  rate: number;
  /** Of a message's body. */
  bytes: number;
  /** Microseconds of CPU a change. */
  ingester: number;
  router: number;
  /** Bytes at most, of the two. */
  memory: [number, number];
}

interface Latency {
  rate: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
}

function latencyText({ p50, p99 }: Latency): string {
  return `p50 ${Math.round(p50)} ms, p99 ${Math.round(p99)} ms`;
}

async function drainBacklog(server: BenchServer, messages: "row" | "batch", changes: number): Promise<Backlog> {
  await using pipeline = await Pipeline.start(server, "backlog", messages);
  const { destination } = pipeline;
  await destination.until(1);
  const first = { count: destination.count, at: performance.now() };
  const before = await pipeline.usage();
  await destination.until(changes);
  const seconds = (performance.now() - first.at) / 1000;
  const after = await pipeline.usage();
  const count = changes - first.count;
  if (count === 0)
    throw new Error(`all ${changes} changes came at once: nothing was measured; ask for more with --changes`);
  return {
    rate: count / seconds,
    bytes: destination.bytes / destination.count,
    ingester: (after[0].cpu - before[0].cpu) / count,
    router: (after[1].cpu - before[1].cpu) / count,
    memory: [after[0].peakMemory, after[1].peakMemory],
  };
}

async function liveLoads(
  server: BenchServer,
  messages: "row" | "batch",
  seconds: number,
): Promise<{ steady: Latency; full: Latency }> {
  await using pipeline = await Pipeline.start(server, "live", messages);
  await using source = await Source.connect(server);
  const { destination } = pipeline;
  await source.insert(20);
  await destination.until(20);
  const steadily = async (began: number) => {
    const due = Math.floor(((performance.now() - began) / 1000) * STEADY) - source.made;
    if (due >= 20) await source.insert(20);
    else await sleep(1);
  };
  await load(destination, WARM_UP_SECONDS, steadily, source);
  const steady = await load(destination, seconds, steadily, source);
  const full = await load(
    destination,
    seconds,
    async () => {
      if (source.total - destination.count < UNDER_WAY) await source.insert(100);
      else await sleep(1);
    },
    source,
  );
  return { steady, full };
}

async function load(
  destination: Destination,
  seconds: number,
  step: (began: number) => Promise<void>,
  source: Source,
): Promise<Latency> {
  destination.latencies.length = 0;
  source.made = 0;
  const began = performance.now();
  while (performance.now() - began < seconds * 1000) await step(began);
  await destination.until(source.total);
  const elapsed = (performance.now() - began) / 1000;
  const sorted = destination.latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  return { rate: source.made / elapsed, p50: at(0.5), p99: at(0.99) };
}

/** Ingester and router of one table, and a reader at its destination. */
class Pipeline implements AsyncDisposable {
  readonly destination: Destination;
  readonly #children: readonly [ChildProcess, ChildProcess];
  readonly #transport: Transport;
  readonly #dir: string;

  private constructor(
    destination: Destination,
    children: readonly [ChildProcess, ChildProcess],
    transport: Transport,
    dir: string,
  ) {
    this.destination = destination;
    this.#children = children;
    this.#transport = transport;
    this.#dir = dir;
  }

  static async start(server: BenchServer, table: string, messages: "row" | "batch"): Promise<Pipeline> {
    const dir = await mkdtemp(join(tmpdir(), "dstream-bench-"));
    const config = join(dir, "dstream.hcl");
    await writeFile(
      config,
      `ingester {
    db_type = "sqlserver"
    db_connection_string = "{{ env "DSTREAM_DB_CONNECTION_STRING" }}"
    poll_interval_defaults {
        poll_interval = "${POLL}"
        max_poll_interval = "${POLL}"
    }
    queue {
        type = "embedded"
        name = "ingest-queue"
        messages = "${messages}"
    }
    tables = ["${table}"]
}
`,
    );
    const transport = await openTransport({ type: "embedded", path: join(dir, ".dstream", "queue.db") }, silent);
    const topic = destinationName({ host: "127.0.0.1", database: DATABASE, schema: "dbo", table });
    const destination = new Destination(transport, topic);
    const env = {
      DSTREAM_DB_CONNECTION_STRING: server.connectionString.replace(/database=[^&]*/, `database=${DATABASE}`),
    };
    const children = [dstream("ingester", config, env), dstream("router", config, env)] as const;
    return new Pipeline(destination, children, transport, dir);
  }

  async usage(): Promise<[Usage, Usage]> {
    const [ingester, router] = await Promise.all(this.#children.map(usageOf));
    return [ingester!, router!];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map(endOf));
    await this.destination.close();
    await this.#transport.close();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** Reads a destination as an application does, and counts. */
class Destination {
  count = 0;
  /** Of bodies. */
  bytes = 0;
  /** Milliseconds from commit to arrival. */
  readonly latencies: number[] = [];
  readonly #stop = new AbortController();
  readonly #reading: Promise<void>;

  constructor(transport: Transport, topic: string) {
    this.#reading = this.#read(transport, topic);
  }

  async until(count: number): Promise<void> {
    let quiet = performance.now();
    for (let before = -1; this.count < count; await sleep(2)) {
      if (this.count !== before) quiet = performance.now();
      before = this.count;
      if (performance.now() - quiet > 60_000) throw new Error(`${this.count} of ${count} changes arrived, then none`);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#reading;
  }

  async #read(transport: Transport, topic: string): Promise<void> {
    const entity = { kind: "topic", name: topic, subscription: "sub1" } as const;
    await transport.ensure(entity);
    const receiver = await transport.receiver(entity);
    for await (const delivery of receiver.deliveries(this.#stop.signal)) {
      const now = Date.now();
      for (const { body } of delivery.messages) {
        const at = body.lastIndexOf('"CommitTime":"') + 14;
        this.latencies.push(now - Date.parse(body.toString("latin1", at, at + 24)));
        this.bytes += body.length;
      }
      await delivery.complete();
      this.count += delivery.messages.length;
    }
  }
}

/** Makes changes in dbo.live. */
class Source implements AsyncDisposable {
  /** Since it was set to 0. */
  made = 0;
  total = 0;
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async connect(server: BenchServer): Promise<Source> {
    const connection = new Connection({
      server: "127.0.0.1",
      authentication: { type: "default", options: { userName: "sa", password: server.password } },
      options: { port: server.port, database: DATABASE, encrypt: false },
    });
    await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
    return new Source(connection);
  }

  async insert(count: number): Promise<void> {
    const shape = shapeOf(SHAPE);
    const from = this.total;
    const sql = insertRows({ ...shape, values: (n) => shape.values(from + n) }, "live", count);
    await new Promise<void>((resolve, reject) => {
      this.#connection.execSqlBatch(new Request(sql, (error) => (error ? reject(error) : resolve())));
    });
    this.total += count;
    this.made += count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#connection, "end");
    this.#connection.close();
    await ended;
  }
}
