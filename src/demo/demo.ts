/**
 * `dstream demo`: the main job on one machine. A SQL Server simulator with a workload; `dstream ingester` and
 * `dstream router` as processes of their own with a real dstream.hcl, over the embedded queue or any other; a consumer at the
 * destinations; and a verdict that asks none of them.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { destinationName } from "../change/formats/destination.ts";
import { loadConfig } from "../config/load.ts";
import { DStreamError } from "../errors.ts";
import { silent } from "../telemetry/logger.ts";
import { openTransport } from "../transports/registry.ts";
import type { Entity, Transport } from "../transports/transport.ts";
import { type Broker, brokerOf } from "./broker.ts";
import { DemoChild } from "./child.ts";
import { Consumer } from "./consumer.ts";
import { Display } from "./display.ts";
import { Killer } from "./kills.ts";
import { seededRandom } from "./random.ts";
import { DATABASE, SETUP, TABLES } from "./tables.ts";
import { judge, passed, type Verdict, verdictLine } from "./verdict.ts";
import { Workload } from "./workload.ts";
import { Writer } from "./writer.ts";

export interface DemoOptions {
  changes: number;
  /** SIGKILLs in all; 0: none. */
  kills: number;
  /** Changes a second that the workload makes, while nothing is killed. */
  rate: number;
  seed: number;
  /** The messaging system; undefined: the embedded queue. */
  queue?: string | undefined;
  /** How it is reached; undefined: the demo starts one of its own. */
  connectionString?: string | undefined;
  /** Keeps the demo's folder, to look into. */
  keep: boolean;
}

/** The demo ends without a verdict. */
class DemoEnded extends DStreamError {
  readonly code = "DSTREAM_DEMO";
}

const QUEUE = "ingest-queue";
/** How long nothing may arrive before the demo gives up waiting. */
const STALL_MS = 30_000;

const configuration = (broker: Broker | undefined): string => `ingester {
    db_type = "sqlserver"
    db_connection_string = "{{ env "DSTREAM_DB_CONNECTION_STRING" }}"

    poll_interval_defaults {
        poll_interval = "100ms"
        max_poll_interval = "1s"
    }

    # Small batches, so that the demo shows many steps (and --kill lands between them).
    max_batch_rows = 20

    tables = ["Persons", "Cars", "sales.Orders"]
${broker === undefined ? "" : `\n    queue {\n${broker.settings("DSTREAM_INGEST_CONNECTION_STRING")}    }\n`}}
${broker === undefined ? "" : `\nrouter {\n    output {\n${broker.settings("DSTREAM_PUBLISHER_CONNECTION_STRING")}    }\n}\n`}`;

/** Runs the demo; true if every change arrived once, in order, as it was. */
export async function runDemo(options: DemoOptions, out: NodeJS.WriteStream): Promise<boolean> {
  const dir = await mkdtemp(join(tmpdir(), "dstream-demo-"));
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new DemoEnded("Interrupted."));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    if (!options.keep) await rm(dir, { recursive: true, force: true });
  });
  const display = new Display(out);

  const broker = options.queue === undefined ? undefined : await brokerOf(options.queue, options.connectionString);
  if (broker !== undefined) {
    cleanup.defer(() => broker.close());
    display.line(broker.description);
  }

  const simulator = await SqlServerSimulator.start({ captureInterval: 50 });
  cleanup.defer(() => simulator.close());
  const writer = await Writer.connect(simulator.host, simulator.port, simulator.password);
  cleanup.defer(() => writer.close());
  for (const sql of SETUP) await writer.execute(sql);
  display.line(
    `SQL Server simulator on 127.0.0.1:${simulator.port}, database ${DATABASE}, CDC on for ${TABLES.map((t) => `${t.schema}.${t.table}`).join(", ")}`,
  );

  const file = join(dir, "dstream.hcl");
  await writeFile(file, configuration(broker));
  const env = {
    DSTREAM_DB_CONNECTION_STRING: simulator.connectionStringFor(DATABASE),
    DSTREAM_LOG_LEVEL: "info",
    ...broker?.env,
  };
  const config = await loadConfig(file, { ...process.env, ...env });
  const children = (["ingester", "router"] as const).map(
    (name) =>
      new DemoChild(name, {
        config: file,
        logFile: join(dir, `${name}.log`),
        cwd: dir,
        env,
        onDeath: (reason) => stop.abort(new DemoEnded(reason)),
      }),
  );
  const [ingester, router] = children as [DemoChild, DemoChild];
  cleanup.defer(async () => {
    await Promise.all(children.map((child) => child.end("SIGKILL")));
  });
  for (const child of children) {
    child.start();
    display.line(`dstream ${child.name} --config dstream.hcl   (pid ${child.pid}, log in ${child.logFile})`);
  }

  const queue = await openTransport(config.router.output, silent);
  cleanup.defer(() => queue.close());
  // The demo asks for its counts before either process has made it.
  await queue.ensure({ kind: "queue", name: QUEUE });
  const topics = TABLES.map((table) => destinationName({ host: "127.0.0.1", database: DATABASE, ...table }));
  const consumer = new Consumer(queue, topics, display);
  const consuming = consumer.run(stop.signal);
  display.line("");

  const random = seededRandom(options.seed);
  const workload = new Workload(random);
  let writing = true;
  const killer = new Killer(
    options.kills,
    seededRandom(options.seed + 1),
    () => writing,
    (text) => display.line(text),
  );
  const queued = async (): Promise<number> =>
    (await queue.inspect?.({ kind: "queue", name: QUEUE }))?.pending ?? writer.committed - consumer.distinct;
  const killing = killer.run(
    [
      {
        child: ingester,
        backlog: async () => writer.committed - consumer.distinct - (queue.inspect ? await queued() : 0),
        progress: async () => consumer.distinct + (queue.inspect ? await queued() : 0),
      },
      { child: router, backlog: queued, progress: async () => consumer.distinct },
    ],
    stop.signal,
  );
  killing.catch((error: unknown) => stop.abort(error));
  const rate = (): number => (options.kills > 0 ? killer.rate(options.changes - writer.committed) : options.rate);
  const began = performance.now();
  const written = writer.run(workload, options.changes, rate, stop.signal).finally(() => {
    writing = false;
  });
  written.catch((error: unknown) => stop.abort(error));

  await watch(display, writer, consumer, options.changes, stop.signal);
  const seconds = (performance.now() - began) / 1000;
  if (stop.signal.aborted) {
    display.line("");
    throw stop.signal.reason;
  }
  await Promise.all([written, killing]);
  const codes = await Promise.all(children.map((child) => child.end("SIGTERM")));
  await consumer.settle();
  stop.abort();
  await consuming;

  const verdict = await judge(consumer.received, TABLES, (sql) => simulator.query(sql, DATABASE));
  verdict.repeats += await swallowedRepeats(queue, topics);
  summarize(display, verdict, consumer, seconds);
  const clean = codes.every((code) => code === 0);
  if (!clean) display.line(`A process did not end cleanly on SIGTERM: exit codes ${codes.join(", ")}.`);
  if (options.keep) display.line(`Kept: ${dir}`);
  display.line(verdictLine(verdict, options.kills > 0 ? killer.done : undefined));
  return passed(verdict) && clean && verdict.committed === options.changes;
}

/** Shows progress until everything arrived, nothing arrives any more, or the signal aborts. */
async function watch(
  display: Display,
  writer: Writer,
  consumer: Consumer,
  total: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    display.progress({ committed: writer.committed, delivered: consumer.distinct, total, lag: consumer.lag });
    if (consumer.distinct >= total) break;
    if (writer.committed >= total && consumer.idle > STALL_MS) break;
    await sleep(100, undefined, { signal }).catch(() => {});
  }
  display.line("");
}

/** Messages that the queue already had under their id, and so dropped, where it tells. */
async function swallowedRepeats(transport: Transport, topics: readonly string[]): Promise<number> {
  const entities: Entity[] = [
    { kind: "queue", name: QUEUE },
    ...topics.map((name): Entity => ({ kind: "topic", name, subscription: "sub1" })),
  ];
  let repeats = 0;
  for (const entity of entities) repeats += (await transport.inspect?.(entity))?.repeats ?? 0;
  return repeats;
}

function summarize(display: Display, verdict: Verdict, consumer: Consumer, seconds: number): void {
  const counts = new Map<string, number>();
  for (const { body } of consumer.received) {
    const topic = /"Destination":"([^"]+)"/.exec(body)?.[1] ?? "?";
    counts.set(topic, (counts.get(topic) ?? 0) + 1);
  }
  for (const [topic, count] of [...counts].sort()) display.line(`  ${String(count).padStart(7)}  ${topic}`);
  const sorted = consumer.latencies.toSorted((a, b) => a - b);
  const at = (share: number): string => `${Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)} ms`;
  display.line(
    `${verdict.delivered} changes in ${seconds.toFixed(1)} s (${Math.round(verdict.delivered / seconds)}/s); from commit to destination p50 ${at(0.5)}, p99 ${at(0.99)}`,
  );
  display.line(
    verdict.replayed
      ? "The received changes, applied in order to empty tables, give the source tables."
      : "The received changes, applied in order to empty tables, do NOT give the source tables.",
  );
  for (const finding of verdict.findings) display.line(`  ${finding}`);
}
