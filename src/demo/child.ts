/** One dstream process of the demo, started as a user would start it, with its log in a file. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** The command line's entry beside us: main.ts in a checkout, main.js in the published package. */
const MAIN = fileURLToPath(new URL(`../cli/main${extname(fileURLToPath(import.meta.url))}`, import.meta.url));

export class DemoChild {
  readonly name: "ingester" | "router";
  /** Of several with one name. */
  readonly label: string;
  readonly logFile: string;
  readonly #args: string[];
  readonly #cwd: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #onDeath: (reason: string) => void;
  #process: ChildProcess | null = null;
  #expected = false;

  /** `onDeath` hears of an exit that nobody asked for, with the log's last lines. */
  constructor(
    name: "ingester" | "router",
    options: {
      label?: string;
      config: string;
      logFile: string;
      cwd: string;
      env: NodeJS.ProcessEnv;
      onDeath: (reason: string) => void;
    },
  ) {
    this.name = name;
    this.label = options.label ?? name;
    this.logFile = options.logFile;
    this.#args = [MAIN, name, "--config", options.config];
    this.#cwd = options.cwd;
    this.#env = options.env;
    this.#onDeath = options.onDeath;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(): void {
    const log = openSync(this.logFile, "a");
    const child = spawn(process.execPath, this.#args, {
      cwd: this.#cwd,
      env: { ...process.env, ...this.#env },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#process = child;
    this.#expected = false;
    // One that is stopped hears of nothing else when this process ends before it.
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", (code, signal) => {
      process.removeListener("exit", kill);
      if (this.#process !== child) return;
      this.#process = null;
      if (!this.#expected)
        this.#onDeath(`The ${this.label} ended by itself (${signal ?? `exit code ${code}`}).\n${this.lastLines()}`);
    });
  }

  /** Resolves with the exit code, null if a signal ended it. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const child = this.#process;
    if (!child) return null;
    this.#expected = true;
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }

  /** SIGSTOP and SIGCONT. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  lastLines(): string {
    return readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-15).join("\n");
  }
}
