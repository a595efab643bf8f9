/** Starts and stops a simulator in a process of its own, with filled change tables. What runs there is served.ts. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const DATABASE = "Bench";

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

export type Message =
  | { kind: "ready"; connectionString: string; port: number; password: string }
  | { kind: "usage"; usage: Usage };

export async function startServer(tables: readonly BenchTable[]): Promise<BenchServer> {
  const child = fork(fileURLToPath(new URL("./served.ts", import.meta.url)), [JSON.stringify(tables)], {
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
