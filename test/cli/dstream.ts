/** dstream as an operator starts it: a process of its own, its folder, and what it says. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { SqlServerSimulator } from "../../simulator/index.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
/** Far above what anything here takes: what hangs fails with what was said until then. */
const PATIENCE_MS = 60_000;

export interface LogLine {
  level: string;
  msg: string;
  [key: string]: unknown;
}

export interface Change {
  data: Record<string, unknown>;
  before?: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A folder with a dstream.hcl, and the environment of what is started in it. */
export class Workplace {
  readonly folder: string;
  readonly env: Record<string, string>;
  readonly #started: Running[] = [];

  /** Everything that was started in it is killed, and the folder removed, when the test ends. */
  constructor(t: TestContext, configuration: string | null, env: Record<string, string> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "dstream-cli-"));
    this.env = env;
    t.after(async () => {
      await Promise.all(this.#started.map((running) => running.kill()));
      rmSync(this.folder, { recursive: true, force: true });
    });
    if (configuration !== null) this.configure(configuration);
  }

  configure(configuration: string): void {
    writeFileSync(join(this.folder, "dstream.hcl"), configuration);
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  start(command: string, env: Record<string, string> = {}): Running {
    const running = new Running(command, this.folder, { ...this.env, ...env });
    this.#started.push(running);
    return running;
  }

  /** Runs a command to its end. */
  async run(command: string, env: Record<string, string> = {}): Promise<Outcome> {
    const running = this.start(command, env);
    const code = await running.exit();
    return { code, stdout: running.stdout, stderr: running.stderr };
  }
}

/** One dstream process. */
export class Running {
  readonly command: string;
  stdout = "";
  stderr = "";
  readonly process: ChildProcess;
  readonly #heard = new EventEmitter().setMaxListeners(0);
  readonly #closed: Promise<number | null>;
  #over = false;

  constructor(command: string, cwd: string, env: Record<string, string>) {
    this.command = command;
    const args = ["--disable-warning=ExperimentalWarning", MAIN, ...command.split(" ").filter(Boolean)];
    const { DSTREAM_LOG_LEVEL: _, ...inherited } = process.env;
    this.process = spawn(process.execPath, args, {
      cwd,
      env: { ...inherited, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#heard.emit("more");
    });
    this.process.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#heard.emit("more");
    });
    this.#closed = once(this.process, "close").then(([code]) => {
      this.#over = true;
      this.#heard.emit("more");
      return code as number | null;
    });
  }

  get log(): LogLine[] {
    const whole = this.stderr.slice(0, this.stderr.lastIndexOf("\n") + 1);
    return whole
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** The lines of the log whose message matches. */
  said(pattern: RegExp): LogLine[] {
    return this.log.filter(({ msg }) => pattern.test(msg));
  }

  /** What the console output has shown so far. */
  get changes(): Change[] {
    const whole = this.stdout.slice(0, this.stdout.lastIndexOf("\n") + 1);
    return whole
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Change);
  }

  /** Resolves when the log has such a line. */
  async says(pattern: RegExp): Promise<LogLine> {
    await this.until(() => this.said(pattern).length > 0, `a log line like ${pattern}`);
    return this.said(pattern)[0]!;
  }

  /** Resolves when the console has shown so many changes. */
  async shows(count: number): Promise<Change[]> {
    await this.until(() => this.changes.length >= count, `${count} changes`);
    return this.changes;
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const deadline = AbortSignal.timeout(PATIENCE_MS);
    while (!condition()) {
      assert.ok(!this.#over, `dstream ${this.command} ended, and there was never ${what}:\n${this.#everything()}`);
      await once(this.#heard, "more", { signal: deadline }).catch(() => {
        throw new Error(`dstream ${this.command}: waited in vain for ${what}:\n${this.#everything()}`);
      });
    }
  }

  /** Resolves with the exit code; null where a signal ended it. */
  async exit(): Promise<number | null> {
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => timeout.reject(new Error(`dstream ${this.command} does not end:\n${this.#everything()}`)),
      PATIENCE_MS,
    );
    try {
      return await Promise.race([this.#closed, timeout.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks it to end, and resolves with the exit code. */
  async end(signal: "SIGTERM" | "SIGINT" = "SIGTERM"): Promise<number | null> {
    this.process.kill(signal);
    return await this.exit();
  }

  async kill(): Promise<void> {
    if (!this.#over) this.process.kill("SIGKILL");
    await this.#closed;
  }

  #everything(): string {
    return `--- standard output\n${this.stdout}\n--- standard error\n${this.stderr}`;
  }
}

export const PERSONS = `CREATE TABLE dbo.Persons (
  ID int NOT NULL PRIMARY KEY, FirstName nvarchar(50) NULL, LastName nvarchar(50) NOT NULL)`;
export const CARS = "CREATE TABLE dbo.Cars (CarID int NOT NULL PRIMARY KEY, Brand nvarchar(max) NULL)";

/** A server with TestDB, captured tables Persons and Cars; closed when the test ends. */
export async function startServer(t: TestContext): Promise<SqlServerSimulator> {
  const server = await startBareServer(t);
  for (const sql of [PERSONS, CARS, "EXEC sys.sp_cdc_enable_db", capture("Persons"), capture("Cars")])
    await server.query(sql);
  return server;
}

/** A server with TestDB, empty, where nothing is captured yet. */
export async function startBareServer(t: TestContext, port = 0): Promise<SqlServerSimulator> {
  const server = await SqlServerSimulator.start({ captureInterval: 20, databases: ["TestDB"], port });
  t.after(() => server.close());
  return server;
}

export function capture(table: string): string {
  return `EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'${table}', @role_name = NULL`;
}

/** Polls quickly, shows changes on the console. `ingester` and `router` are lines to add to these blocks. */
export function configuration({ tables = ["Persons", "Cars"], ingester = "", router = "" } = {}): string {
  return `ingester {
  db_connection_string = "{{ env "DSTREAM_DB_CONNECTION_STRING" }}"
  poll_interval_defaults {
    poll_interval     = "50ms"
    max_poll_interval = "500ms"
  }
  tables = ${JSON.stringify(tables)}
  ${ingester}
}
router {
  output {
    type = "console"
  }
  ${router}
}
`;
}

/** A workplace beside a server. */
export function workplaceOf(
  t: TestContext,
  server: SqlServerSimulator,
  settings: Parameters<typeof configuration>[0] = {},
): Workplace {
  const env = { DSTREAM_DB_CONNECTION_STRING: server.connectionStringFor("TestDB") };
  return new Workplace(t, configuration(settings), env);
}

/** The same as another login. */
export function signedInAs(server: SqlServerSimulator, user: string, password: string): Record<string, string> {
  const url = new URL(server.connectionStringFor("TestDB"));
  url.username = user;
  url.password = encodeURIComponent(password);
  return { DSTREAM_DB_CONNECTION_STRING: url.href };
}

/** Message ids, by which a repeat is recognised, are not in the body: what a change is and where it stands. */
export function places(changes: readonly Change[]): string[] {
  return changes.map(
    ({ metadata: { TableName, LSN, CommandID, Seq, OperationID } }) =>
      `${TableName} ${LSN} ${CommandID} ${Seq} ${OperationID}`,
  );
}
