/**
 * `dstream simulator`: the SQL Server stand-in, for trying pipelines out where no SQL Server is at hand. The password of sa is
 * Simulator!1, or what DSTREAM_SIMULATOR_PASSWORD says.
 */
import { readFile } from "node:fs/promises";
import type { SimulatorOptions, SqlServerSimulator } from "../../simulator/index.ts";
import { describeError } from "../errors.ts";
import { createLogger } from "../telemetry/logger.ts";
import { type Part, runUntilSignal } from "./lifecycle.ts";
import { UsageError } from "./usage-error.ts";

export interface SimulatorCommand {
  port: number;
  host: string;
  database: string[];
  captureInterval: number | "immediate";
  encryption: NonNullable<SimulatorOptions["encryption"]>;
  timeZone: string;
  serverName?: string;
  seed?: number;
  data?: string;
  init?: string[];
}

export async function simulate(command: SimulatorCommand): Promise<number> {
  const logger = createLogger("info");
  const scripts = await Promise.all((command.init ?? []).map(readScript));
  // Not an option: `ps` shows those.
  const password = process.env["DSTREAM_SIMULATOR_PASSWORD"];
  const simulator = await start(command, {
    ...(password !== undefined && { password }),
    onProblem: (problem) => logger.warn(`closed a connection: ${describeError(problem)}`),
  });
  if (simulator.fresh) for (const script of scripts) await runScript(simulator, command, script);
  process.stdout.write(greeting(simulator, command, password === undefined ? simulator.password : "…"));
  const untilStopped: Part = (signal) =>
    new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => simulator.close().then(resolve, reject), { once: true });
    });
  return await runUntilSignal([untilStopped], logger);
}

async function start(command: SimulatorCommand, more: SimulatorOptions): Promise<SqlServerSimulator> {
  const { port, host, database, captureInterval, encryption, timeZone, serverName, seed, data } = command;
  const { SqlServerSimulator } = await import("../../simulator/index.ts");
  try {
    return await SqlServerSimulator.start({
      port,
      host,
      captureInterval,
      encryption,
      timeZone: /^[+-]?\d+$/.test(timeZone) ? Number(timeZone) : timeZone,
      databases: database,
      ...(serverName !== undefined && { serverName }),
      ...(seed !== undefined && { seed }),
      ...(data !== undefined && { file: data }),
      ...more,
    });
  } catch (error) {
    throw new UsageError(reasonOf(error as NodeJS.ErrnoException, command), { cause: error });
  }
}

function reasonOf(error: NodeJS.ErrnoException, { port, host, timeZone }: SimulatorCommand): string {
  switch (error.code) {
    case "EADDRINUSE":
      return `port ${port} of ${host} is taken: stop what listens there (docker ps, lsof -i :${port}), or choose another with --port`;
    case "EACCES":
      return `port ${port} may not be listened on: choose one above 1023 with --port`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `this machine has no address ${host} to listen on (--host); 0.0.0.0 stands for all that it has`;
    default:
      if (error instanceof RangeError && /time zone/i.test(error.message))
        return `there is no time zone ${timeZone} (--time-zone): Europe/Berlin, W. Europe Standard Time or minutes east of UTC`;
      return error.message;
  }
}

interface Script {
  path: string;
  text: string;
}

async function readScript(path: string): Promise<Script> {
  try {
    return { path, text: (await readFile(path, "utf8")).replace(/^\uFEFF/, "") };
  } catch (error) {
    throw new UsageError(`${path} (--init) cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

async function runScript(simulator: SqlServerSimulator, { data }: SimulatorCommand, script: Script): Promise<void> {
  const { SqlError } = await import("../../simulator/index.ts");
  try {
    for (const { message } of await simulator.runScript(script.text)) process.stderr.write(`${message}\n`);
  } catch (error) {
    await simulator.close();
    if (!(error instanceof SqlError)) throw error;
    const left =
      data === undefined ? "" : `\nThe data file now has a part of it: remove ${data} before you start again.`;
    throw new UsageError(`${script.path}:${error.line}: error ${error.number}: ${error.message}${left}`, {
      cause: error,
    });
  }
}

function greeting(simulator: SqlServerSimulator, { data, host }: SimulatorCommand, password: string): string {
  const { port } = simulator;
  const name = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  const databases = simulator.userDatabases;
  const [first = "master"] = databases;
  const what = databases.length > 1 ? `databases ${databases.join(", ")}` : `database ${first}`;
  const where = data === undefined ? "its data is gone when it ends" : `its data is in ${data}`;
  return `SQL Server simulator on ${simulator.address}, ${what} (${where})
  sqlcmd             sqlcmd -S ${name},${port} -d ${first} -U sa -P '${password}' -C
  JDBC               jdbc:sqlserver://${name}:${port};databaseName=${first};user=sa;password=${password};trustServerCertificate=true
  connection string  Server=${name},${port};Database=${first};User ID=sa;Password=${password};TrustServerCertificate=true
  URL                sqlserver://sa:${encodeURIComponent(password).replaceAll("%E2%80%A6", "…")}@${name}:${port}?database=${first}&TrustServerCertificate=true
`;
}
