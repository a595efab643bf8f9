/**
 * `dstream simulator`: the SQL Server stand-in, for trying pipelines out where no SQL Server is at hand. The password of sa is
 * Simulator!1, or what DSTREAM_SIMULATOR_PASSWORD says.
 */
import { describeError } from "../errors.ts";
import { createLogger } from "../telemetry/logger.ts";
import { type Part, runUntilSignal } from "./lifecycle.ts";

export interface SimulatorCommand {
  port: number;
  host: string;
  database: string;
  captureInterval: number;
}

export async function simulate({ port, host, database, captureInterval }: SimulatorCommand): Promise<number> {
  // Not an option: `ps` shows those.
  const password = process.env["DSTREAM_SIMULATOR_PASSWORD"];
  const { SqlServerSimulator } = await import("../../simulator/index.ts");
  const logger = createLogger("info");
  const simulator = await SqlServerSimulator.start({
    port,
    host,
    captureInterval,
    databases: [database],
    ...(password !== undefined && { password }),
    onProblem: (problem) => logger.warn(`closed a connection: ${describeError(problem)}`),
  });
  const shown = password === undefined ? simulator.password : "…";
  process.stdout.write(
    `SQL Server simulator on ${simulator.address}, database ${database} (its data is gone when it ends)\n` +
      `  sqlserver://sa:${shown}@${simulator.address}?database=${database}&TrustServerCertificate=true\n`,
  );
  const untilStopped: Part = (signal) =>
    new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve(simulator.close()), { once: true });
    });
  return await runUntilSignal([untilStopped], logger);
}
