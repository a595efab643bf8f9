/**
 * Brings what the input provider prints to the output provider, byte for byte: nothing is parsed, and of a chunk only its last line
 * end is looked for. A chunk is not read before the one before it is taken.
 */
import type { Readable, Writable } from "node:stream";

const LINE_FEED = 10;

export class Relay {
  /** Taken by the output provider's pipe. */
  bytes = 0;
  /** Of the line that has not ended yet. */
  #open = 0;

  /**
   * Resolves at the end of the input; rejects with LineTooLong, or once the output takes nothing any more. The output is not ended
   * here. Whether the input ended in the middle of a line is told by `openBytes`.
   */
  async run(input: Readable, output: Writable, maxLineBytes: number): Promise<void> {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      const end = chunk.lastIndexOf(LINE_FEED);
      const first = end < 0 ? chunk.length : chunk.indexOf(LINE_FEED);
      if (this.#open + first > maxLineBytes) throw new LineTooLong();
      this.#open = end < 0 ? this.#open + chunk.length : chunk.length - end - 1;
      this.bytes += chunk.length;
      if (!output.write(chunk)) await drained(output);
    }
  }

  /** What has come of a line that has not ended. */
  get openBytes(): number {
    return this.#open;
  }
}

export class LineTooLong extends Error {}

async function drained(output: Writable): Promise<void> {
  if (output.destroyed || output.errored) throw output.errored ?? new Error("it was closed");
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error) => {
      output.off("drain", taken).off("close", gone).off("error", gone);
      if (error) reject(error);
      else resolve();
    };
    const taken = () => settle();
    const gone = (error?: Error) => settle(error ?? new Error("it was closed"));
    output.on("drain", taken).on("close", gone).on("error", gone);
  });
}
