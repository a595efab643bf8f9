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
  /** Who waits for acknowledgements, the earliest first. */
  #waiting: { upTo: number; settle: (gone?: Error) => void }[] = [];

  constructor(stream: Writable, { acks }: { acks: boolean }) {
    this.#stream = stream;
    this.#acks = acks;
    stream.on("error", (error) => this.#ending.abort(error));
    stream.on("close", () => this.#ending.abort(new Error("it was closed")));
    this.ended.addEventListener("abort", () => {
      for (const { settle } of this.#waiting.splice(0)) settle(this.#gone());
    });
  }

  /** Aborts when the reader has gone. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /** Resolves when the pipe has taken all that was written so far. */
  get taken(): Promise<void> {
    return this.#last;
  }

  /** `data`: whole lines. Rejects when the reader goes away before it has all, and all is acknowledged. */
  async write(data: Buffer, lines: number): Promise<void> {
    // Counted before it is written: the acknowledgement may be here before the pipe says that it has taken it.
    this.#written += lines;
    const upTo = this.#written;
    const turn = this.#last.then(() => this.#put(data));
    this.#last = turn.catch(() => {});
    await turn;
    if (this.#acks) await this.#acknowledged(upTo);
  }

  /** A line that is no data: nobody acknowledges it. */
  async handshake(line: string): Promise<void> {
    await this.#put(Buffer.from(line));
  }

  /** So many lines, counted from the first, are delivered durably. Fewer than before is no news. */
  acknowledge(lines: number): void {
    if (lines > this.#written) throw new Error(`${lines} lines are acknowledged, and ${this.#written} were written`);
    this.#acked = Math.max(this.#acked, lines);
    const later = this.#waiting.findIndex(({ upTo }) => upTo > this.#acked);
    for (const { settle } of this.#waiting.splice(0, later < 0 ? this.#waiting.length : later)) settle();
  }

  async #put(data: Buffer): Promise<void> {
    if (this.ended.aborted) throw this.#gone();
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(data, (error) => (error ? reject(this.#gone(error)) : resolve()));
    });
  }

  async #acknowledged(upTo: number): Promise<void> {
    if (upTo <= this.#acked) return;
    if (this.ended.aborted) throw this.#gone();
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ upTo, settle: (gone) => (gone === undefined ? resolve() : reject(gone)) });
    });
  }

  #gone(cause: unknown = this.ended.reason): TransportError {
    return new TransportError("rejected", "Cannot write to standard output: its reader has gone.", { cause });
  }
}

export function standardOutput(): Writable {
  const stat = fstatSync(1);
  return stat.isFIFO() || stat.isSocket() ? new Socket({ fd: 1, readable: false, writable: true }) : process.stdout;
}
