/** A dstream process, started as a user would start it, that tells what it has used. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Usage } from "./server.ts";

export function dstream(command: string, config: string, env: Record<string, string>): ChildProcess {
  const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  return fork(file("../src/cli/main.ts"), [command, "--config", config], {
    execArgv: ["--disable-warning=ExperimentalWarning", "--import", file("usage-preload.ts")],
    env: { ...process.env, DSTREAM_LOG_LEVEL: "error", ...env },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

/** Throws where it has ended: nothing that it was waited for comes then. */
export function mustRun({ exitCode, signalCode }: ChildProcess): void {
  if (exitCode !== null || signalCode !== null)
    throw new Error(`a dstream process ended before it was told to (${signalCode ?? `exit code ${exitCode}`})`);
}

export async function usageOf(child: ChildProcess): Promise<Usage> {
  mustRun(child);
  const answer = once(child, "message");
  child.send("usage");
  const [{ usage }] = (await answer) as [{ usage: Usage }];
  return usage;
}

/** Ends it as its supervisor would. Rejects where it has ended before. */
export async function endOf(child: ChildProcess): Promise<void> {
  mustRun(child);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
