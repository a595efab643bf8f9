/** `dstream run`, `list`, `init`, `plan`, `status` and `destroy`: the tasks of a configuration, by name. */
import { fileURLToPath } from "node:url";
import { listTasks, loadTask, type ProviderConfig } from "../config/tasks.ts";
import { checkBuiltIn } from "../providers/builtin/registry.ts";
import { runLifecycle } from "../providers/lifecycle.ts";
import { type Program, programOf, type Role } from "../providers/process.ts";
import type { LifecycleCommand } from "../providers/sdk/output.ts";
import { runTask } from "../providers/task.ts";
import type { Logger } from "../telemetry/logger.ts";
import { runUntilSignal } from "./lifecycle.ts";
import { type CommonOptions, loggerFor } from "./wiring.ts";

export async function run(name: string, options: CommonOptions): Promise<number> {
  const { task, log } = await loadTask(options.config, process.env, name);
  const logger = loggerFor(options, log);
  const parts = { task, logger, print, program: (role: Role) => programFor(role, task[role], logger) };
  return await runUntilSignal([(signal) => runTask(parts, signal)], logger);
}

export async function lifecycle(command: LifecycleCommand, name: string, options: CommonOptions): Promise<number> {
  const { task, log } = await loadTask(options.config, process.env, name);
  const logger = loggerFor({ logLevel: "warn", ...options }, log);
  const program = await programFor("output", task.output, logger);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort()).once("SIGTERM", () => stop.abort());
  await runLifecycle(command, { task, program, logger, print }, stop.signal);
  return stop.signal.aborted ? 1 : 0;
}

/** One line a task: its name, and its two providers. */
export async function list({ config }: CommonOptions): Promise<number> {
  const { tasks } = await listTasks(config);
  const width = Math.max(0, ...tasks.map(({ name }) => name.length));
  for (const { name, input, output } of tasks)
    process.stdout.write(`${name.padEnd(width)}  ${named(input)} → ${named(output)}\n`);
  if (tasks.length === 0) process.stderr.write(`There is no task in ${config}.\n`);
  return 0;
}

function named({ program }: ProviderConfig): string {
  if ("builtIn" in program) return program.builtIn;
  return "path" in program ? program.path : program.ref;
}

async function programFor(role: Role, of: ProviderConfig, logger: Logger): Promise<Program> {
  return await programOf(of, {
    builtIn: (name) => {
      checkBuiltIn(role, name);
      const main = new URL(import.meta.url.endsWith(".ts") ? "./main.ts" : "./main.js", import.meta.url);
      return { command: process.execPath, args: [...process.execArgv, fileURLToPath(main), "provider", name] };
    },
    pull: async (ref) => (await (await import("./provider-registry.ts")).pulled(ref, logger)).path,
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
