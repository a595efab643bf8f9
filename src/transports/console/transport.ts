/**
 * Writes messages to a stream, standard output as a rule: for people on a terminal, as JSON lines (the bodies as they are)
 * anywhere else. Output only.
 *
 * A send resolves when the stream has taken everything, so a slow reader slows dstream down. When the reader goes away (EPIPE, as
 * `| head` does), `ended` aborts, and this and every later send is `rejected`: nothing sent since is acknowledged.
 */
import type { Writable } from "node:stream";
import type { Message } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import type { Receiver, Sender, Traits, Transport } from "../transport.ts";
import { prettyLine } from "./pretty.ts";

export type ConsoleStream = Writable & { isTTY?: boolean; columns?: number };

const NEWLINE = Buffer.from("\n");

export class ConsoleTransport implements Transport {
  readonly type = "console";
  readonly limits = { maxMessageBytes: 256 * 1024 * 1024, maxSendBytes: 1024 * 1024 };
  readonly traits: Traits = { deduplicates: false, keepsOrder: true };
  readonly ended: AbortSignal;
  #ending = new AbortController();
  #stream: ConsoleStream;
  #colours: boolean;
  /** Sends of several lanes: one at a time, so that lines of one send stay together. */
  #last: Promise<void> = Promise.resolve();
  #failed = (error: Error) => this.#ending.abort(error);

  constructor(stream: ConsoleStream, options: { colours?: boolean } = {}) {
    this.#stream = stream;
    this.#colours = options.colours ?? !process.env["NO_COLOR"];
    this.ended = this.#ending.signal;
    stream.on("error", this.#failed);
  }

  async ensure(): Promise<void> {}

  async exists(): Promise<boolean> {
    return true;
  }

  async sender(): Promise<Sender> {
    return { send: (messages) => this.#send(messages), close: async () => {} };
  }

  async receiver(): Promise<Receiver> {
    throw new TransportError("rejected", "The console is for output only; nothing can be received from it.", {
      advice: "Use another type for the queue and for the router's source.",
    });
  }

  /** Waits for nobody: a write that its reader does not take was not acknowledged, and comes again. */
  async close(): Promise<void> {
    this.#stream.off("error", this.#failed);
    // A write that fails later has nobody to tell; without a listener it would end the process.
    this.#stream.on("error", () => {});
  }

  async #send(messages: readonly Message[]): Promise<void> {
    const turn = this.#last.then(() => this.#write(this.#render(messages)));
    this.#last = turn.catch(() => {});
    await turn;
  }

  #render(messages: readonly Message[]): Buffer | string {
    if (!this.#stream.isTTY) return Buffer.concat(messages.flatMap(({ body }) => [body, NEWLINE]));
    const width = this.#stream.columns ?? 120;
    return messages.map((message) => `${prettyLine(message, width, this.#colours)}\n`).join("");
  }

  async #write(text: Buffer | string): Promise<void> {
    if (this.ended.aborted) throw this.#gone(this.ended.reason);
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(text, (error) => (error ? reject(this.#gone(error)) : resolve()));
    });
  }

  #gone(cause: unknown): TransportError {
    if (!this.ended.aborted) this.#ending.abort(cause);
    return new TransportError("rejected", "Cannot write to standard output: its reader has gone.", { cause });
  }
}
