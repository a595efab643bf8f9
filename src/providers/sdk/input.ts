/** An input provider in TypeScript: what it reads goes to standard output, and it hears what of that is delivered. */
import type { z } from "zod";
import { explainError } from "../../errors.ts";
import { acknowledgements } from "../acknowledgements.ts";
import { readInput } from "../input.ts";
import { LineOutput, standardOutput } from "../output.ts";
import { type Context, checked, log, ProviderConfigError, untilSignal } from "./provider.ts";

export interface InputProvider<S extends z.ZodType, T> {
  config: S;
  /**
   * Yields messages: JSON values, or text and bytes that are one line of JSON already, without a line end. It is asked for no more than
   * the pipe takes, and no more than 10,000 messages beyond what is delivered. Ends by itself, or soon after the signal aborts.
   */
  read(context: Context<z.output<S>>): AsyncIterable<T>;
  /**
   * Called once for each message, in order, when it is delivered: here a position may be saved. Where nobody acknowledges, when it is
   * in the pipe.
   */
  delivered?(message: T, context: Context<z.output<S>>): void | Promise<void>;
}

const MOST_OPEN = 10_000;
/** What is told together, when all of it is delivered: far less than may be open, since whoever takes it may wait for more first. */
const MOST_AT_ONCE = 1_000;
const MOST_WAITING_BYTES = 256 * 1024;
/** Of what is not delivered yet when the provider is told to end. */
const PATIENCE_MS = 5_000;

/** Runs until the input ends or the provider is told to; then the process exits, with 0 or 1. */
export async function runInput<S extends z.ZodType, T>(provider: InputProvider<S, T>): Promise<never> {
  const out = standardOutput();
  let handshakes = false;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  try {
    const input = await readInput(process.stdin);
    handshakes = input.command !== null;
    if (handshakes && input.command !== "run")
      throw new ProviderConfigError(`The command "${input.command}" is none of an input provider.`);
    const config = checked(provider.config, input.config);
    const stop = untilSignal();
    const output = new LineOutput(out, { acks: input.acks });
    output.ended.addEventListener("abort", () => stop.abort());
    const context = { config, signal: stop.signal, log };
    if (handshakes) await output.handshake(`${JSON.stringify({ status: "ready", acks: input.acks })}\n`);
    if (input.acks)
      void acknowledgements(input.lines, output, (error) => {
        if (error !== undefined) failed.reject(error);
        stop.abort();
      });
    try {
      await Promise.race([relay(provider, context, output), failed.promise]);
    } catch (error) {
      // Who reads has gone: that is no failure of this one.
      if (!output.ended.aborted) throw error;
    }
    process.exit(0);
  } catch (error) {
    const message = explainError(error);
    log("error", message);
    if (handshakes)
      await new Promise<void>((resolve) =>
        out.write(`${JSON.stringify({ status: "error", message })}\n`, () => resolve()),
      );
    process.exit(1);
  }
}

async function relay<S extends z.ZodType, T>(
  provider: InputProvider<S, T>,
  context: Context<z.output<S>>,
  output: LineOutput,
): Promise<void> {
  const writing = new Writing<T>(output, context.signal, async (messages) => {
    if (provider.delivered !== undefined) for (const message of messages) await provider.delivered(message, context);
  });
  for await (const message of provider.read(context)) {
    if (context.signal.aborted) break;
    await writing.put(message);
  }
  // Who reads may have gone: what was not delivered is read again.
  const { promise: impatience, resolve } = Promise.withResolvers<void>();
  const begin = () => setTimeout(resolve, PATIENCE_MS);
  if (context.signal.aborted) begin();
  else context.signal.addEventListener("abort", begin);
  await Promise.race([writing.done(), impatience]);
}

/** Puts together what comes while the pipe is busy, and tells in order what is delivered. */
class Writing<T> {
  readonly #output: LineOutput;
  readonly #stop: AbortSignal;
  readonly #delivered: (messages: readonly T[]) => Promise<void>;
  readonly #waiting: T[] = [];
  readonly #lines: Buffer[] = [];
  #bytes = 0;
  /** Put and not delivered. */
  #open = 0;
  #flushing = false;
  #telling = Promise.resolve();
  #failure: { error: unknown } | null = null;
  /** Called when something is taken or delivered, and when that fails. */
  #onChange: () => void = () => {};

  constructor(output: LineOutput, stop: AbortSignal, delivered: (messages: readonly T[]) => Promise<void>) {
    this.#output = output;
    this.#stop = stop;
    stop.addEventListener("abort", () => this.#onChange());
    this.#delivered = delivered;
  }

  /** Resolves when more may be put, or when nothing is to be any more. */
  async put(message: T): Promise<void> {
    const line = lineOf(message);
    this.#waiting.push(message);
    this.#lines.push(line);
    this.#bytes += line.length;
    this.#open++;
    if (!this.#flushing) void this.#flush();
    await this.#until(() => this.#stop.aborted || (this.#bytes < MOST_WAITING_BYTES && this.#open < MOST_OPEN));
  }

  async done(): Promise<void> {
    await this.#until(() => this.#open === 0);
  }

  async #until(met: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      if (met()) return;
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }

  /** After a turn of the event loop, in which more may come. */
  async #flush(): Promise<void> {
    this.#flushing = true;
    await turn();
    while (this.#lines.length > 0) {
      const messages = this.#waiting.splice(0, MOST_AT_ONCE);
      const data = Buffer.concat(this.#lines.splice(0, MOST_AT_ONCE));
      this.#bytes -= data.length;
      this.#onChange();
      const delivery = this.#output.write(data, messages.length);
      this.#telling = this.#telling
        .then(() => delivery)
        .then(() => this.#delivered(messages))
        .then(() => {
          this.#open -= messages.length;
        });
      // After a failure nothing is told any more; whoever puts the next one, or waits, hears of it.
      this.#telling
        .catch((error: unknown) => {
          this.#failure ??= { error };
        })
        .finally(() => this.#onChange());
      delivery.catch(() => {});
      await this.#output.taken;
    }
    this.#flushing = false;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function lineOf(message: unknown): Buffer {
  if (Buffer.isBuffer(message)) return Buffer.concat([message, LINE_FEED]);
  return Buffer.from(`${typeof message === "string" ? message : JSON.stringify(message)}\n`);
}

const LINE_FEED = Buffer.from("\n");
