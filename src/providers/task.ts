/**
 * A task: an input provider, whose messages go to an output provider.
 *
 *     starting   the output provider first, then the input provider: who sends finds a receiver
 *       → running   both are ready
 *       → failed    one is not
 *     running    messages go from one to the other; where the output acknowledges, the input hears of it
 *       → ending    the input has come to its end, or somebody wants the task to stop: it is told to (SIGTERM), and what it still
 *                   prints is brought over; then the output's standard input is closed, and it finishes
 *       → failed    either has ended by itself with an error, or prints what is no message
 *     ending
 *       → ended     both have ended with exit code 0
 *       → failed
 *     failed     both are ended: the input at once, the output after what it has. With a restart block, and as often as that says,
 *       → starting  after a wait that doubles
 *       → gone      with the first failure's error
 *
 * Nothing of a message is kept here. Both providers are started anew together: what the output had not acknowledged is read by the
 * input again, whose position never passed it.
 */
import { Backoff, waitFor } from "../backoff.ts";
import type { TaskConfig } from "../config/tasks.ts";
import type { Logger } from "../telemetry/logger.ts";
import { linesOf } from "./byte-source.ts";
import { type Handshake, type Program, ProviderError, ProviderProcess, type Role } from "./process.ts";
import { LineTooLong, Relay } from "./relay.ts";

export interface TaskParts {
  task: TaskConfig;
  /** Throws ProviderError. */
  program(role: Role): Promise<Program>;
  logger: Logger;
  /** What an output provider prints besides acknowledgements. */
  print(line: string): void;
}

const SAY_EVERY_MS = 60_000;

/** Resolves when the input has ended by itself and everything is delivered, or once the signal has aborted. Throws ProviderError. */
export async function runTask(parts: TaskParts, signal: AbortSignal): Promise<void> {
  const { task, logger } = parts;
  const { restart } = task;
  const backoff = new Backoff({ initial: restart?.minWaitMs ?? 0, max: restart?.maxWaitMs ?? 0 });
  for (let failures = 1; ; failures++) {
    const since = performance.now();
    try {
      return await new TaskRun(parts).run(signal);
    } catch (error) {
      if (signal.aborted || restart === null || !(error instanceof ProviderError) || !error.worthRestarting)
        throw error;
      if (performance.now() - since >= restart.resetAfterMs) {
        failures = 1;
        backoff.reset();
      }
      if (failures > restart.max) throw error;
      const wait = backoff.next();
      const { advice } = error;
      logger.error(
        { error, advice, failures, max: restart.max },
        `the task has failed: it is started again in ${wait} ms`,
      );
      await waitFor(wait, signal);
      if (signal.aborted) return;
    }
  }
}

class TaskRun {
  readonly #parts: TaskParts;
  readonly #relay = new Relay();
  #acked = 0;

  constructor(parts: TaskParts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { task } = this.#parts;
    const [input, output] = await Promise.all([this.#parts.program("input"), this.#parts.program("output")]);
    if (signal.aborted) return;
    const { logger } = this.#parts;
    await using started = new AsyncDisposableStack();
    const start = async (role: Role, program: Program) => {
      const process = await ProviderProcess.start(role, task[role], program, logger);
      started.defer(() => process.stop(task.graceMs));
      return process;
    };
    const to = await start("output", output);
    let from: ProviderProcess | undefined;
    try {
      to.command("run", { acks: false, stays: true });
      const receiving = await to.handshake(signal);
      from = await start("input", input);
      // Where there is nothing to acknowledge, its standard input has nothing more to say: an older one may read to its end.
      const acks = receiving.acks && task.input.handshake !== false;
      from.command("run", { acks, stays: acks });
      const sending = await from.handshake(signal);
      this.#sayWhatHolds(receiving, sending);
      await this.#relayed(from, to, receiving.acks && sending.acks, signal);
    } catch (error) {
      from?.printed.destroy();
      // It has what it has: it may finish that, and the input hears of it.
      to.child.stdin.end();
      await Promise.all([from?.stop(task.graceMs), to.endWithin(task.graceMs)]);
      if (error !== signal.reason) throw error;
    }
  }

  async #relayed(from: ProviderProcess, to: ProviderProcess, acks: boolean, signal: AbortSignal): Promise<void> {
    const { task, logger } = this.#parts;
    const listening = this.#listen(from, to, acks);
    const saying = setInterval(() => this.#say("relaying"), SAY_EVERY_MS);
    const stop = () => void from.stop(task.graceMs);
    signal.addEventListener("abort", stop, { once: true });
    // An input that prints nothing would not notice that nobody takes anything any more.
    void to.ended.then(() => from.printed.destroy());
    try {
      if (signal.aborted) stop();
      const broken = await this.#relay.run(from.printed, to.child.stdin, task.maxLineBytes).then(
        () => null,
        (error: unknown) => error,
      );
      if (broken instanceof LineTooLong)
        throw await from.failure(`prints a line of more than ${task.maxLineBytes} bytes`, {
          ending: true,
          restart: false,
          advice: "Raise max_line in the task if that is a message.",
        });
      // It takes nothing any more; or the input's standard output was closed for that, or because it had to be killed.
      if (broken !== null && !from.killed) throw await to.failure("has ended while the input provider runs");
      await this.#inputEnded(from, signal);
      to.child.stdin.end();
      if (await to.endWithin(task.graceMs))
        throw await to.failure(`was killed: it was not done ${task.graceMs} ms after the end of its input`);
      const { code } = await to.ended;
      // Its last words, unless somebody who has left it holds its standard output.
      await Promise.race([listening, waitFor(1_000)]);
      if (code !== 0) throw await to.failure("has failed at the end");
      this.#say("relayed");
    } finally {
      clearInterval(saying);
      signal.removeEventListener("abort", stop);
      logger.debug({ bytes: this.#relay.bytes }, "the relay has ended");
    }
  }

  async #inputEnded(from: ProviderProcess, signal: AbortSignal): Promise<void> {
    const { graceMs } = this.#parts.task;
    if ((await from.endWithin(graceMs)) || from.killed)
      throw await from.failure(`was killed: it had not ended after ${graceMs} ms`);
    const { code } = await from.ended;
    const { openBytes } = this.#relay;
    if (openBytes > 0) throw await from.failure(`has ended in the middle of a line, after ${openBytes} bytes of it`);
    // Who was told to end may end by the signal.
    if (code !== 0 && !signal.aborted) throw await from.failure("has failed");
  }

  /** To what the output says: acknowledgements go to the input, the rest to whoever looks. */
  async #listen(from: ProviderProcess, to: ProviderProcess, acks: boolean): Promise<void> {
    const { print } = this.#parts;
    const { stdin } = from.child;
    // An input that does not read is not told each: the last one says it all.
    const acknowledge = () => {
      if (acks && stdin.writable && !stdin.writableNeedDrain) stdin.write(`{"acked":${this.#acked}}\n`);
    };
    stdin.on("drain", acknowledge);
    for await (const line of linesOf(to.printed)) {
      const acked = ACK.exec(line)?.[1];
      if (acked === undefined) print(line);
      else {
        this.#acked = Number(acked);
        acknowledge();
      }
    }
  }

  #sayWhatHolds(receiving: Handshake, sending: Handshake): void {
    const { logger } = this.#parts;
    if (receiving.acks && sending.acks) {
      logger.info("both providers are ready, and acknowledge: what is not delivered is read again");
      return;
    }
    const who = receiving.acks ? "input" : "output";
    logger.warn(
      `both providers are ready. The ${who} provider does not acknowledge: what is under way is lost if one of them, or dstream, is killed`,
    );
  }

  #say(what: string): void {
    const { bytes } = this.#relay;
    this.#parts.logger.info({ bytes, ...(this.#acked > 0 && { count: this.#acked }) }, what);
  }
}

const ACK = /^\{"acked":\s*(\d+)\}$/;
