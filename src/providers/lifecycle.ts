/** `init`, `plan`, `status` and `destroy` of a task: what its output provider needs is made, looked at and removed by itself. */
import type { TaskConfig } from "../config/tasks.ts";
import type { Logger } from "../telemetry/logger.ts";
import { linesOf } from "./byte-source.ts";
import { type Program, ProviderProcess } from "./process.ts";
import type { LifecycleCommand } from "./sdk/output.ts";

/** So long may it take in all. */
const WITHIN_MS = 5 * 60_000;

/** Prints what the provider says. Throws ProviderError where it fails. */
export async function runLifecycle(
  command: LifecycleCommand,
  { task, program, logger, print }: { task: TaskConfig; program: Program; logger: Logger; print(line: string): void },
  signal: AbortSignal,
): Promise<void> {
  const provider = await ProviderProcess.start("output", task.output, program, logger);
  const stop = () => void provider.stop(task.graceMs);
  signal.addEventListener("abort", stop, { once: true });
  try {
    provider.command(command, { acks: false, stays: false });
    await provider.handshake(signal);
    const printing = (async () => {
      for await (const line of linesOf(provider.printed)) print(line);
    })();
    if (await provider.endWithin(WITHIN_MS)) throw await provider.failure(`was killed: ${command} took too long`);
    await printing;
    const { code } = await provider.ended;
    if (code !== 0) throw await provider.failure(`has failed at ${command}`);
  } finally {
    signal.removeEventListener("abort", stop);
    await provider.stop(task.graceMs);
  }
}
