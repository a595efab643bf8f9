/**
 * A provider's standard output: lines, and nothing else. A write resolves when the pipe has taken it; where acknowledgements were
 * asked for, when all its lines are acknowledged.
 *
 * Pipes are written without blocking (Node writes to those of standard output synchronously): a reader that stands still must not
 * stop the renewal of locks.
 */
import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { TransportError } from "../errors.ts";

export class LineOutput {
  readonly #stream: Writable;
  readonly #acks: boolean;
  readonly #ending = new AbortController();
  #last: Promise<void> = Promise.resolve();
  /** Lines written, and of those the acknowledged. */
  #written = 0;
  #acked = 0;
  #waiting: { upTo: number; resolve: () => void }[] = [];

  constructor(stream: Writable, { acks }: { acks: boolean }) {
    this.#stream = stream;
    this.#acks = acks;
    stream.on("error", (error) => this.#ending.abort(error));
    stream.on("close", () => this.#ending.abort(new Error("it was closed")));
  }

  /** Aborts when the reader has gone. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /** `data`: whole lines. Rejects when the reader goes away before it has all, and all is acknowledged. */
  async write(data: Buffer, lines: number): Promise<void> {
    const turn = this.#last.then(() => this.#put(data));
    this.#last = turn.catch(() => {});
    await turn;
    this.#written += lines;
    if (this.#acks) await this.#acknowledged(this.#written);
  }

  /** A line that is no data: nobody acknowledges it. */
  async handshake(line: string): Promise<void> {
    await this.#put(Buffer.from(line));
  }

  /** So many lines, counted from the first, are delivered durably. Fewer than before is no news. */
  acknowledge(lines: number): void {
    if (lines > this.#written) throw new Error(`${lines} lines are acknowledged, and ${this.#written} were written`);
    this.#acked = Math.max(this.#acked, lines);
    this.#waiting = this.#waiting.filter(({ upTo, resolve }) => {
      if (upTo <= this.#acked) resolve();
      return upTo > this.#acked;
    });
  }

  async #put(data: Buffer): Promise<void> {
    if (this.ended.aborted) throw this.#gone();
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(data, (error) => (error ? reject(this.#gone(error)) : resolve()));
    });
  }

  async #acknowledged(upTo: number): Promise<void> {
    if (upTo <= this.#acked) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = () => reject(this.#gone());
    if (this.ended.aborted) throw this.#gone();
    this.ended.addEventListener("abort", fail, { once: true });
    this.#waiting.push({ upTo, resolve });
    await promise.finally(() => this.ended.removeEventListener("abort", fail));
  }

  #gone(cause: unknown = this.ended.reason): TransportError {
    return new TransportError("rejected", "Cannot write to standard output: its reader has gone.", { cause });
  }
}

export function standardOutput(): Writable {
  const stat = fstatSync(1);
  return stat.isFIFO() || stat.isSocket() ? new Socket({ fd: 1, readable: false, writable: true }) : process.stdout;
}
