/** An output provider in TypeScript: what comes on standard input is delivered, and acknowledged when it is. */
import type { z } from "zod";
import { explainError } from "../../errors.ts";
import { type Context, checked, log, ProviderConfigError, untilSignal } from "./provider.ts";

export interface Output {
  /**
   * Resolves when all lines are delivered, durably: they are acknowledged then, and come no more. One call at a time, in order. Rejects
   * where they cannot be: the provider ends with exit code 1, and whatever was not acknowledged comes again.
   */
  deliver(batch: LineBatch): Promise<void>;
  close?(): Promise<void>;
}

export interface OutputProvider<S extends z.ZodType> {
  config: S;
  /** Everything that can be wrong is to be found here: then the provider says that it is ready. */
  open(context: Context<z.output<S>>): Output | Promise<Output>;
  /** What `dstream init`, `plan`, `status` and `destroy` do, for providers with something to make. Each yields lines for people. */
  lifecycle?: Partial<Record<LifecycleCommand, (context: Context<z.output<S>>) => AsyncIterable<string>>>;
}

export const lifecycleCommands = ["init", "plan", "status", "destroy"] as const;
export type LifecycleCommand = (typeof lifecycleCommands)[number];

/** Whole lines, as they came. */
export class LineBatch {
  /** Each with its line end. */
  readonly bytes: Buffer;
  readonly count: number;

  constructor(bytes: Buffer, count: number) {
    this.bytes = bytes;
    this.count = count;
  }

  /** Without their line ends. */
  lines(): string[] {
    return this.bytes.toString().split("\n").slice(0, -1);
  }
}

const LINE_FEED = 10;
const MOST_BYTES = 4 * 1024 * 1024;

/** Runs until standard input ends or the provider is told to; then the process exits, with 0 or 1. */
export async function runOutput<S extends z.ZodType>(provider: OutputProvider<S>): Promise<never> {
  let ready = false;
  const say = (answer: object) =>
    new Promise<void>((resolve) => process.stdout.write(`${JSON.stringify(answer)}\n`, () => resolve()));
  process.stdout.on("error", () => process.exit(1));
  try {
    const stop = untilSignal();
    const input = new Lines(process.stdin, stop.signal);
    const { command, config } = await commandOf(input);
    const context = { config: checked(provider.config, config), signal: stop.signal, log };
    if (command === "run") {
      const output = await provider.open(context);
      ready = true;
      await say({ status: "ready", acks: true });
      await deliverAll(input, output, (acked) => process.stdout.write(`{"acked":${acked}}\n`));
      await output.close?.();
    } else {
      const work = provider.lifecycle?.[command as LifecycleCommand];
      if (!(lifecycleCommands as readonly string[]).includes(command))
        throw new ProviderConfigError(`The command "${command}" is none of an output provider.`);
      ready = true;
      await say({ status: "ready" });
      if (work === undefined) process.stdout.write(`There is nothing to ${command}.\n`);
      else for await (const line of work(context)) process.stdout.write(`${line}\n`);
    }
    await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
    process.exit(0);
  } catch (error) {
    const message = explainError(error);
    log("error", message);
    if (!ready) await say({ status: "error", message });
    process.exit(1);
  }
}

async function deliverAll(input: Lines, output: Output, acknowledge: (lines: number) => void): Promise<void> {
  let acked = 0;
  for (;;) {
    const batch = await input.next();
    if (batch === null) break;
    await output.deliver(batch);
    acked += batch.count;
    acknowledge(acked);
  }
  if (!input.stopped && input.rest > 0)
    throw new Error(`standard input ended in the middle of a line: its ${input.rest} bytes are not delivered`);
}

/** The first line: a command envelope, or a configuration alone. */
async function commandOf(input: Lines): Promise<{ command: string; config: unknown }> {
  const line = await input.line();
  let json: { command?: unknown; config?: unknown } | undefined;
  try {
    if (line !== null) json = JSON.parse(line);
  } catch {
    // Its text is not repeated: it may hold a password.
  }
  if (typeof json !== "object" || json === null)
    throw new ProviderConfigError(
      line === null
        ? "There is no configuration on standard input."
        : "The first line on standard input is no JSON object.",
      { advice: 'It is the configuration, or {"command":"run","config":{…}}; messages follow, a line each.' },
    );
  if (typeof json.command !== "string") return { command: "run", config: json };
  return { command: json.command, config: json.config ?? {} };
}

/** Standard input, in whole lines. Reads on while a batch is delivered, as far as memory is meant to go. */
class Lines {
  readonly #stream: NodeJS.ReadStream;
  readonly #signal: AbortSignal;
  /** Whole lines that wait, and behind them what has come of one that has not ended. */
  #whole: Buffer[] = [];
  #open: Buffer[] = [];
  #ended = false;
  #come = Promise.withResolvers<void>();

  /** Ends early once the signal aborts. */
  constructor(stream: NodeJS.ReadStream, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#come.resolve());
    stream.on("data", (chunk: Buffer) => {
      const end = chunk.lastIndexOf(LINE_FEED) + 1;
      if (end > 0) {
        this.#whole.push(...this.#open, chunk.subarray(0, end));
        this.#open = [];
      }
      if (end < chunk.length) this.#open.push(chunk.subarray(end));
      if (this.#whole.length > 0 && bytesOf(this.#whole) + bytesOf(this.#open) >= MOST_BYTES) stream.pause();
      this.#come.resolve();
    });
    const end = () => {
      this.#ended = true;
      this.#come.resolve();
    };
    stream.on("end", end).on("error", end);
  }

  get stopped(): boolean {
    return this.#signal.aborted;
  }

  /** Of a line that has not ended. */
  get rest(): number {
    return bytesOf(this.#open);
  }

  async line(): Promise<string | null> {
    const whole = await this.#take();
    if (whole === null) {
      const rest = Buffer.concat(this.#open).toString();
      this.#open = [];
      return rest === "" ? null : rest;
    }
    const end = whole.indexOf(LINE_FEED) + 1;
    if (end < whole.length) this.#whole.unshift(whole.subarray(end));
    return whole.toString("utf8", 0, end);
  }

  /** All that has come; null at the end. */
  async next(): Promise<LineBatch | null> {
    const whole = await this.#take();
    if (whole === null) return null;
    let count = 0;
    for (let at = whole.indexOf(LINE_FEED); at >= 0; at = whole.indexOf(LINE_FEED, at + 1)) count++;
    return new LineBatch(whole, count);
  }

  async #take(): Promise<Buffer | null> {
    for (;;) {
      if (this.stopped) return null;
      if (this.#whole.length > 0) {
        const whole = Buffer.concat(this.#whole);
        this.#whole = [];
        this.#stream.resume();
        return whole;
      }
      if (this.#ended) return null;
      this.#come = Promise.withResolvers();
      await this.#come.promise;
    }
  }
}

function bytesOf(chunks: readonly Buffer[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}
