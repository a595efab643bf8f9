/**
 * A real server that a test starts for itself: on loopback, on free ports, with its data in a temporary folder, stopped by its
 * process id. One file a server beside this one.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

export interface TestServer {
  /** A connection string of the transport's own kind. */
  readonly url: string;
  /** What processes that connect need in their environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Lines for the transport's block in dstream.hcl, where it needs more than the connection string. */
  readonly block?: string;
  /** SIGKILL: what it has not made durable is lost. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Again, on the same ports and data; resolves when it answers. */
  start(): Promise<void>;
  /** SIGKILLs it and removes its folder. */
  close(): Promise<void>;
}

/** Where a server is missing: one skipped test that says how to get it; where nothing may skip, a failed one. */
export function missingServer(name: string, advice: string): void {
  if (!process.env["DSTREAM_CI_NO_SKIP"]) test(name, { skip: advice });
  else test(name, () => Promise.reject(new Error(advice)));
}

export function isOnPath(command: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, command)));
}

/** A port of loopback that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `dstream-${name}-`));
}

/** Resolves when something listens there. */
export async function listening(port: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const answers = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (answers) return;
    await sleep(50);
  }
}

export interface ServerCommand {
  name: string;
  /** Holds the server's data and log; removed at the end. */
  folder: string;
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** Resolves when the server answers. Aborts when it ended or takes too long. */
  ready: (signal: AbortSignal) => Promise<void>;
}

const READY_WITHIN_MS = 60_000;

/** One process of a server. Its whole process group is killed, since some are started by scripts. */
export class ServerProcess {
  readonly #options: ServerCommand;
  readonly #logFile: string;
  #process: ChildProcess | null = null;

  constructor(options: ServerCommand) {
    this.#options = options;
    this.#logFile = join(options.folder, "server.log");
    process.once("exit", () => this.#signal("SIGKILL"));
  }

  /** What it has written since its first start. */
  get said(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, "utf8") : "";
  }

  /** Resolves when it answers; rejects with the end of its log when it ends instead. */
  async start(): Promise<void> {
    const { name, folder, command, args, env, ready } = this.#options;
    const log = openSync(this.#logFile, "a");
    const child = spawn(command, args, {
      detached: true,
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", log, log],
    });
    this.#process = child;
    const gone = new AbortController();
    child.once("error", (error) => gone.abort(error));
    child.once("exit", (code, signal) => gone.abort(new Error(`it ended with ${signal ?? code}`)));
    try {
      await ready(AbortSignal.any([gone.signal, AbortSignal.timeout(READY_WITHIN_MS)]));
    } catch (error) {
      this.#signal("SIGKILL");
      throw new Error(`${name} did not start: ${command} ${args.join(" ")}\n${this.said.slice(-2_000)}`, {
        cause: error,
      });
    }
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    this.#signal("SIGKILL");
    await exited;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#options.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // Gone already.
    }
  }
}
