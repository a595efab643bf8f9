/**
 * What a thousand tables cost in which nothing happens, and one busy table among them: one `dstream ingester` at a poll interval of 1 s,
 * under each of the lock stores that need no server of their own. Counted are the requests that reach the server (TDS messages of the
 * types SQL batch, RPC and transaction manager, MS-TDS 2.2.3.1.1, by their packet headers, on all connections together), the statements
 * that read a change table, and the processor time of the ingester.
 *
 *     npm run bench -- idle [--tables 1000] [--seconds 30]
 *
 * Last line: `idle: <n> tables, <locks> <requests>/s and <cpu>% of a core, with one busy <requests>/s and <cpu>%; …`
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SqlServerSimulator } from "../simulator/index.ts";
import { TcpProxy } from "../test/support/proxy.ts";
import { dstream, endOf, mustRun, usageOf } from "./dstream-child.ts";
import { numbersOf, whole } from "./measure.ts";

const DATABASE = "Bench";
/** The pace of the busy table. */
const EVERY_MS = 100;
/** It has started once so many seconds one after the other were as quiet as this. */
const QUIET_SECONDS = 3;
const QUIET_REQUESTS = 10;

interface Cost {
  requestsPerSecond: number;
  /** Of a core, 0 to 100 and more. */
  cpuPercent: number;
  /** Change tables that were read, by how often. */
  reads: Map<string, number>;
}

export async function run(args: string[]): Promise<void> {
  const { tables, seconds } = numbersOf(args, { tables: 1_000, seconds: 30 });
  const told: string[] = [];
  for (const locks of ["embedded", "sqlserver"] as const) {
    const { startedAfter, idle, busy } = await measured(locks, tables, seconds);
    console.log(`${locks} locks: ${whole(tables)} tables were being read ${startedAfter.toFixed(1)} s after the start`);
    console.log(`${locks} locks, idle: ${costOf(idle)}`);
    console.log(`${locks} locks, one table busy (${1000 / EVERY_MS} changes/s): ${costOf(busy)}`);
    told.push(`${locks} ${shortly(idle)}, with one busy ${shortly(busy)}`);
  }
  console.log(`idle: ${whole(tables)} tables, ${told.join("; ")}`);
}

async function measured(
  locks: string,
  tables: number,
  seconds: number,
): Promise<{ startedAfter: number; idle: Cost; busy: Cost }> {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "dstream-bench-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const simulator = await SqlServerSimulator.start({ databases: [DATABASE], captureInterval: 50 });
  stack.defer(() => simulator.close());
  await simulator.query("EXEC sys.sp_cdc_enable_db", DATABASE);
  for (let n = 1; n <= tables; n++) {
    await simulator.query(`CREATE TABLE dbo.T${n} (ID int NOT NULL PRIMARY KEY)`, DATABASE);
    await simulator.query(`EXEC sys.sp_cdc_enable_table N'dbo', N'T${n}', @role_name = NULL`, DATABASE);
  }
  const counter = new RequestCounter();
  const proxy = await TcpProxy.start(simulator.port, () => counter.watch());
  stack.defer(() => proxy.close());
  let reads = new Map<string, number>();
  simulator.faults.failStatements({
    error: 1205,
    when: ({ text }) => {
      // Not the watcher's question, which of all tables have anything: that is a seek in the index of each.
      const [, table] = /^(?!.*EXISTS).*FROM \[cdc\]\.\[dbo_(T\d+)_CT\]/s.exec(text) ?? [];
      if (table !== undefined) reads.set(table, (reads.get(table) ?? 0) + 1);
      return false;
    },
  });
  const config = join(dir, "dstream.hcl");
  await writeFile(config, configuration(locks));
  const began = performance.now();
  const ingester = dstream("ingester", config, {
    DSTREAM_DB_CONNECTION_STRING: proxy.through(simulator.connectionStringFor(DATABASE)),
  });
  stack.defer(() => endOf(ingester));

  let startedAfter = 0;
  for (let quiet = 0; quiet < QUIET_SECONDS; ) {
    const before = counter.requests;
    await sleep(1_000);
    mustRun(ingester);
    const many = counter.requests - before;
    quiet = many > 0 && many <= QUIET_REQUESTS ? quiet + 1 : 0;
    if (quiet === 0) startedAfter = (performance.now() - began) / 1000;
  }

  const cost = async (during: () => Promise<void>): Promise<Cost> => {
    reads = new Map();
    const [requests, before, at] = [counter.requests, await usageOf(ingester), performance.now()];
    await during();
    const elapsed = performance.now() - at;
    const after = await usageOf(ingester);
    return {
      requestsPerSecond: ((counter.requests - requests) / elapsed) * 1000,
      cpuPercent: ((after.cpu - before.cpu) / 1000 / elapsed) * 100,
      reads,
    };
  };
  const idle = await cost(() => sleep(seconds * 1_000));
  const busy = await cost(async () => {
    for (
      const end = performance.now() + seconds * 1_000, n = { row: 0 };
      performance.now() < end;
      await sleep(EVERY_MS)
    )
      await simulator.query(`INSERT INTO dbo.T1 VALUES (${++n.row})`, DATABASE);
  });
  return { startedAfter, idle, busy };
}

/** Requests, by the packet headers of what clients say. */
class RequestCounter {
  requests = 0;

  /** Answers what is to hear every chunk of one client. */
  watch(): (chunk: Buffer) => void {
    const header = Buffer.alloc(8);
    let had = 0;
    let skip = 0;
    return (chunk) => {
      for (let at = 0; at < chunk.length; ) {
        if (skip > 0) {
          const step = Math.min(skip, chunk.length - at);
          skip -= step;
          at += step;
          continue;
        }
        header[had++] = chunk[at++]!;
        if (had < header.length) continue;
        had = 0;
        skip = header.readUInt16BE(2) - header.length;
        const [type, status] = [header[0]!, header[1]!];
        // The last packet of a message.
        if (REQUESTS.has(type) && (status & 1) === 1) this.requests++;
      }
    };
  }
}

const REQUESTS = new Set([0x01, 0x03, 0x0e]);

function configuration(locks: string): string {
  return `ingester {
    db_type = "sqlserver"
    db_connection_string = "{{ env "DSTREAM_DB_CONNECTION_STRING" }}"
    poll_interval_defaults {
        poll_interval = "1s"
        max_poll_interval = "1s"
    }
    tables = ["dbo.*"]
    locks {
        type = "${locks}"
    }
}
`;
}

function costOf({ requestsPerSecond, cpuPercent, reads }: Cost): string {
  const read =
    reads.size === 0
      ? "no change table was read"
      : `change tables read: ${[...reads.keys()].slice(0, 5).join(", ")}${reads.size > 5 ? ` and ${reads.size - 5} more` : ""}`;
  return `${requestsPerSecond.toFixed(2)} requests/s, ${cpuPercent.toFixed(1)}% of a core; ${read}`;
}

function shortly({ requestsPerSecond, cpuPercent }: Cost): string {
  return `${requestsPerSecond.toFixed(1)}/s and ${cpuPercent.toFixed(1)}% of a core`;
}
