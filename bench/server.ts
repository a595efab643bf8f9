/** A simulator in a process of its own, with filled change tables: what runs in the child, and how to start and stop it. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { SqlServerSimulator } from "../simulator/index.ts";
import { createTable, insertRows, shapeOf } from "./shapes.ts";

export const DATABASE = "Bench";
/** How many rows a filled table repeats. */
const PATTERNS = 500;

/** A table dbo.<name>, with its capture instance dbo_<name>. */
export interface BenchTable {
  name: string;
  /** Of shapes.ts. */
  shape: string;
  /** Rows that are computed (SqlServerSimulator.fillChangeTable). */
  filled?: { changes: number; changesPerTransaction?: number };
  /** Rows that were captured one by one. */
  captured?: number;
}

export interface Usage {
  /** Microseconds, user and system. */
  cpu: number;
  /** Bytes at most. */
  peakMemory: number;
}

/** It ends with `stop`, and with the process that started it. */
export interface BenchServer {
  readonly connectionString: string;
  readonly port: number;
  readonly password: string;
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

type Message =
  | { kind: "ready"; connectionString: string; port: number; password: string }
  | { kind: "usage"; usage: Usage };

export async function startServer(tables: readonly BenchTable[]): Promise<BenchServer> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(tables)], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const ready = await next(child, "ready");
  return {
    connectionString: ready.connectionString,
    port: ready.port,
    password: ready.password,
    async usage() {
      child.send("usage");
      return (await next(child, "usage")).usage;
    },
    async stop() {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}

async function next<K extends Message["kind"]>(child: ChildProcess, kind: K): Promise<Message & { kind: K }> {
  const done = new AbortController();
  const failed = once(child, "exit", { signal: done.signal }).then(([code]) => {
    throw new Error(`the simulator's process ended with ${code}`);
  });
  try {
    for (;;) {
      const answer = once(child, "message", { signal: done.signal });
      const [message] = (await Promise.race([answer, failed])) as [Message];
      if (message.kind === kind) return message as Message & { kind: K };
    }
  } finally {
    failed.catch(() => {});
    done.abort();
  }
}

/** In the child: serves until the parent lets go of it. */
async function serve(tables: readonly BenchTable[]): Promise<void> {
  const simulator = await SqlServerSimulator.start({ databases: [DATABASE], captureInterval: "immediate" });
  await simulator.query("EXEC sys.sp_cdc_enable_db");
  for (const { name, shape: shapeName, filled, captured } of tables) {
    const shape = shapeOf(shapeName);
    await simulator.query(createTable(shape, name));
    if (filled) await simulator.query(insertRows(shape, name, PATTERNS));
    await simulator.query(`EXEC sys.sp_cdc_enable_table N'dbo', N'${name}', @role_name = NULL;`);
    if (filled) await simulator.fillChangeTable(DATABASE, `dbo_${name}`, filled);
    if (captured) await simulator.query(insertRows(shape, name, captured));
  }
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    const peakMemory = process.resourceUsage().maxRSS * 1024;
    send({ kind: "usage", usage: { cpu: user + system, peakMemory } });
  });
  process.on("disconnect", () => void simulator.close().then(() => process.exit(0)));
  const { connectionString, port, password } = simulator;
  send({ kind: "ready", connectionString, port, password });
}

function send(message: Message): void {
  process.send!(message);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.send) await serve(JSON.parse(process.argv[2]!));
