/**
 * Brings what the input provider prints to the output provider, byte for byte: nothing is parsed or copied, and of a chunk only its last
 * line end is looked for. No more is under way than the source has buffers.
 */
import type { Writable } from "node:stream";
import type { ByteSource } from "./byte-source.ts";

const LINE_FEED = 10;

export class Relay {
  /** Given to the output provider's pipe. */
  bytes = 0;
  /** Of the line that has not ended yet. */
  #open = 0;

  /**
   * Resolves at the end of the input; rejects with LineTooLong, or where the output takes nothing any more, or the source was destroyed.
   * The output is not ended here. Whether the input ended in the middle of a line is told by `openBytes`.
   */
  async run(input: ByteSource, output: Writable, maxLineBytes: number): Promise<void> {
    for (let chunk = await input.next(); chunk !== null; chunk = await input.next()) {
      const taken = chunk;
      const { bytes } = taken;
      const end = bytes.lastIndexOf(LINE_FEED);
      // Those that begin and end in one chunk are not looked at: they are shorter than a buffer.
      const first = end < 0 ? bytes.length : bytes.indexOf(LINE_FEED);
      if (this.#open + first > maxLineBytes) throw new LineTooLong();
      this.#open = end < 0 ? this.#open + bytes.length : bytes.length - end - 1;
      this.bytes += bytes.length;
      output.write(bytes, () => input.done(taken));
      if (output.errored || output.destroyed) throw output.errored ?? new Error("it was closed");
    }
    if (input.destroyed) throw new Error("its standard output was closed");
  }

  /** What has come of a line that has not ended. */
  get openBytes(): number {
    return this.#open;
  }
}

export class LineTooLong extends Error {}
