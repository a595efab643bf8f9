/**
 * `npm run chaos -- --kills 200 [--queue kafka] [--locks azure_blob] [--instances 3] [--seed 1]`: the demo's workload and verdict over
 * several ingesters and routers, to which everything happens that happens: SIGKILL, always with a backlog while the workload runs;
 * SIGSTOP for longer than a lease, and SIGCONT; the broker and the lock store killed and started again; connections to the database,
 * the broker and the lock store dropped and stalled; deadlocks and a database that is not available; clocks that are hours ahead or
 * behind for a while. The seed repeats the schedule.
 *
 * Last line: `committed=… delivered=… lost=0 duplicated=… reordered=0 kills=… seed=…`. Exit code 1 where anything is lost, reordered,
 * or duplicated under another id.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { destinationName } from "../../src/change/formats/destination.ts";
import { loadConfig } from "../../src/config/load.ts";
import { brokerOf } from "../../src/demo/broker.ts";
import { DemoChild } from "../../src/demo/child.ts";
import { Consumer } from "../../src/demo/consumer.ts";
import { Display } from "../../src/demo/display.ts";
import { seededRandom } from "../../src/demo/random.ts";
import { DATABASE, SETUP, TABLES } from "../../src/demo/tables.ts";
import { judge, passed, verdictLine } from "../../src/demo/verdict.ts";
import { Workload } from "../../src/demo/workload.ts";
import { Writer } from "../../src/demo/writer.ts";
import { silent } from "../../src/telemetry/logger.ts";
import { openTransport } from "../../src/transports/registry.ts";
import type { BrokerType } from "../../src/transports/settings.ts";
import { startAzurite } from "../support/azurite.ts";
import { behindProxy, brokers, startBehindProxy } from "../support/brokers.ts";
import { TcpProxy } from "../support/proxy.ts";
import type { TestServer } from "../support/server.ts";

/** Of every lock store, and how long a stopped process is stopped: longer. */
const LEASE_MS = 15_000;
const STOPPED_MS = LEASE_MS + 3_000;
/** How long nothing may arrive at the end before the rest counts as lost. */
const STALL_MS = 120_000;
const RATE = 150;
const CLOCK = new URL("./shifted-clock.ts", import.meta.url).href;
/** How long a process takes until it has begun to work. */
const AT_WORK_MS = 2_500;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    queue: { type: "string", default: "embedded" },
    locks: { type: "string" },
    instances: { type: "string", default: "3" },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    keep: { type: "boolean", default: false },
  },
});
const started = new Map<DemoChild, number>();
const [kills, instances, seed] = [Number(values.kills), Number(values.instances), Number(values.seed)];
const random = seededRandom(seed);
const display = new Display(process.stdout);
const stop = new AbortController();
process.once("SIGINT", () => stop.abort(new Error("interrupted")));
const cleanup = new AsyncDisposableStack();

const dir = await mkdtemp(join(tmpdir(), "dstream-chaos-"));
if (!values.keep) cleanup.defer(() => rm(dir, { recursive: true, force: true }));
display.line(
  `seed ${seed}: ${kills} kills over ${instances} ingesters and ${instances} routers, queue ${values.queue}`,
);

const simulator = await SqlServerSimulator.start({ captureInterval: 50 });
cleanup.defer(() => simulator.close());
const proxy = await TcpProxy.start(simulator.port);
cleanup.defer(() => proxy.close());
const writer = await Writer.connect(simulator.host, simulator.port, simulator.password);
cleanup.defer(() => writer.close());
for (const sql of SETUP) await writer.execute(sql);

const behind = values.queue === "embedded" ? null : await startBroker(values.queue);
const server: TestServer | null = behind?.server ?? null;
if (behind !== null) {
  cleanup.defer(() => behind.server.close());
  cleanup.defer(() => behind.proxy.close());
}
const broker = server === null ? undefined : await brokerOf(values.queue, server.url, server);
const storage = values.locks === "azure_blob" ? await behindProxy(await startAzurite()) : null;
const blobs = storage?.server ?? null;
if (storage !== null) {
  cleanup.defer(() => storage.server.close());
  cleanup.defer(() => storage.proxy.close());
}

const file = join(dir, "dstream.hcl");
await writeFile(file, configuration());
const env = {
  DSTREAM_DB_CONNECTION_STRING: proxy.through(simulator.connectionStringFor(DATABASE)),
  DSTREAM_LOG_LEVEL: "info",
  ...broker?.env,
  ...(blobs !== null && { DSTREAM_BLOB_CONNECTION_STRING: blobs.url }),
};
const ways: readonly [string, TcpProxy][] = [
  ["the database", proxy],
  ...(behind === null ? [] : [["the broker", behind.proxy] as [string, TcpProxy]]),
  ...(storage === null ? [] : [["the lock store", storage.proxy] as [string, TcpProxy]]),
];
const config = await loadConfig(file, { ...process.env, ...env });
const children = (["ingester", "router"] as const).flatMap((name) =>
  Array.from({ length: instances }, (_, n) => {
    const label = `${name} ${n + 1}`;
    const logFile = join(dir, `${name}-${n + 1}.log`);
    const onDeath = (reason: string) => stop.abort(new Error(reason));
    const own = { ...env, NODE_OPTIONS: `--import=${CLOCK}`, CHAOS_CLOCK: clockOf(label) };
    return new DemoChild(name, { label, config: file, logFile, cwd: dir, env: own, onDeath });
  }),
);
cleanup.defer(async () => {
  for (const child of children) child.signal("SIGCONT");
  await Promise.all(children.map((child) => child.end("SIGKILL")));
});
for (const child of children) start(child);

const queue = await patiently(() => openTransport(config.router.output, silent));
cleanup.defer(() => queue.close());
const topics = TABLES.map((table) => destinationName({ host: "127.0.0.1", database: DATABASE, ...table }));
const consumer = new Consumer(queue, topics, display);
const consuming = consumer.run(stop.signal);
consuming.catch((error: unknown) => stop.abort(error));

const writing = new AbortController();
const written = writer.run(
  new Workload(random),
  Number.MAX_SAFE_INTEGER,
  () => RATE,
  AbortSignal.any([writing.signal, stop.signal]),
);
written.catch((error: unknown) => stop.abort(error));
const done = await misfortunes();
writing.abort();
await written;

display.line(`the workload has ended after ${writer.committed} changes and ${done} kills; what is left is awaited`);
let before = -1;
for (let quiet = performance.now(); consumer.distinct < writer.committed && !stop.signal.aborted; await sleep(250)) {
  if (consumer.distinct !== before) [before, quiet] = [consumer.distinct, performance.now()];
  if (performance.now() - quiet > STALL_MS) break;
}
if (stop.signal.aborted) await giveUp(stop.signal.reason);
const codes = await Promise.all(children.map((child) => child.end("SIGTERM")));
await consumer.settle();
stop.abort();
await consuming.catch(() => {});

const verdict = await judge(consumer.received, TABLES, (sql) => simulator.query(sql, DATABASE));
for (const finding of verdict.findings) display.line(`  ${finding}`);
if (codes.some((code) => code !== 0)) display.line(`Exit codes on SIGTERM: ${codes.join(", ")}.`);
display.line(`${verdictLine(verdict, done)} seed=${seed}`);
const good = passed(verdict) && verdict.committed === writer.committed;
await cleanup.disposeAsync();
// Clients may leave timers behind that would keep the process.
process.exit(good ? 0 : 1);

/** One after the other, until there were enough kills. Resolves with their number. */
async function misfortunes(): Promise<number> {
  let killed = 0;
  let stopped: Promise<void> | null = null;
  let shifted: Promise<void> | null = null;
  const happen = {
    kill: async () => {
      const child = random.pick(children);
      const backlog = writer.committed - consumer.distinct;
      // Always with something under way, and one that is at work.
      if (backlog === 0 || performance.now() - started.get(child)! < AT_WORK_MS) return;
      await child.end("SIGKILL");
      killed++;
      display.line(`kill ${killed}: ${child.label}, with ${backlog} changes under way`);
      start(child);
    },
    stop: async () => {
      if (stopped !== null) return;
      const child = random.pick(children);
      child.signal("SIGSTOP");
      display.line(`SIGSTOP for ${STOPPED_MS / 1000} s: ${child.label}`);
      stopped = sleep(STOPPED_MS).then(() => {
        child.signal("SIGCONT");
        stopped = null;
      });
    },
    drop: async () => {
      const [to, way] = random.pick(ways);
      display.line(`every connection to ${to} is dropped`);
      way.drop();
    },
    stall: async () => {
      const [to, way] = random.pick(ways);
      display.line(`every connection to ${to} stands still for 2 s`);
      way.stall(2_000);
    },
    clock: async () => {
      if (shifted !== null) return;
      const hours = random.pick([-5, -1, 1, 5]);
      // What is one machine's by its nature has one clock.
      const one = [values.queue, values.locks].includes("embedded") ? null : random.pick(children);
      display.line(
        `the clock of ${one?.label ?? "all"} is ${Math.abs(hours)} h ${hours < 0 ? "behind" : "ahead"} for 8 s`,
      );
      await setClocks(one === null ? children : [one], hours);
      shifted = sleep(8_000).then(async () => {
        await setClocks(children, 0);
        shifted = null;
      });
    },
    deadlock: async () => {
      display.line("the next three reads of change tables and checkpoints are deadlock victims");
      simulator.faults.failStatements({ error: 1205, times: 3, when: ({ text }) => /\bcdc[._]/i.test(text) });
    },
    unavailable: async () => {
      display.line("the database is not available to the next three who sign in");
      simulator.faults.failLogins({ error: 40613, times: 3 });
      proxy.drop();
    },
    broker: async () => {
      if (server === null) return;
      display.line(`the broker is killed, and started again`);
      await server.kill();
      await sleep(random.between(0, 1_000));
      await server.start();
    },
    locks: async () => {
      if (blobs === null) return;
      display.line("the lock store is killed, and started again");
      await blobs.kill();
      await sleep(random.between(0, 1_000));
      await blobs.start();
    },
  };
  const chances: [keyof typeof happen, number][] = [
    ["kill", 20],
    ["drop", 3],
    ["stall", 3],
    ["deadlock", 2],
    ["unavailable", 1],
    ["stop", 1],
    ["broker", 1],
    ["locks", 1],
    ["clock", 1],
  ];
  const wheel = chances.flatMap(([what, weight]) => Array.from({ length: weight }, () => what));
  while (killed < kills && !stop.signal.aborted) {
    await sleep(random.between(50, 700));
    await happen[random.pick(wheel)]();
  }
  await stopped;
  await shifted;
  await simulator.faults.heal();
  return killed;
}

function clockOf(label: string): string {
  return join(dir, `${label}.clock`);
}

async function setClocks(of: readonly DemoChild[], hours: number): Promise<void> {
  await Promise.all(of.map(({ label }) => writeFile(clockOf(label), String(hours * 3_600_000))));
}

async function giveUp(reason: unknown): Promise<never> {
  console.error(reason instanceof Error ? reason.message : reason);
  await cleanup.disposeAsync();
  process.exit(1);
}

function start(child: DemoChild): void {
  child.start();
  started.set(child, performance.now());
}

async function startBroker(name: string): Promise<{ server: TestServer; proxy: TcpProxy }> {
  const startable = brokers[name as keyof typeof brokers];
  if (startable === undefined) throw new Error(`--queue ${name}: one of embedded, ${Object.keys(brokers).join(", ")}`);
  const lack = startable.missing();
  if (lack !== null) throw new Error(lack);
  return await startBehindProxy(name as BrokerType);
}

async function patiently<T>(open: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await open();
    } catch (error) {
      if (tries === 20) throw error;
    }
    await sleep(500);
  }
}

function configuration(): string {
  const variable = { azure_blob: "DSTREAM_BLOB_CONNECTION_STRING", nats: "DSTREAM_INGEST_CONNECTION_STRING" }[
    values.locks ?? ""
  ];
  const address = variable === undefined ? "" : `        connection_string = "{{ env "${variable}" }}"\n`;
  const locks = values.locks === undefined ? "" : `    locks {\n        type = "${values.locks}"\n${address}    }\n`;
  return `ingester {
    db_type = "sqlserver"
    db_connection_string = "{{ env "DSTREAM_DB_CONNECTION_STRING" }}"
    poll_interval_defaults {
        poll_interval = "100ms"
        max_poll_interval = "1s"
    }
    max_batch_rows = 20
    tables = ["Persons", "Cars", "sales.Orders"]
${broker === undefined ? "" : `    queue {\n${broker.settings("DSTREAM_INGEST_CONNECTION_STRING")}    }\n`}${locks}}
${broker === undefined ? "" : `router {\n    output {\n${broker.settings("DSTREAM_PUBLISHER_CONNECTION_STRING")}    }\n}\n`}`;
}
