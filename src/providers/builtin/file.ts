/**
 * Appends what comes to a file, as JSON lines. Acknowledged is what the disk has: written, and flushed (fdatasync).
 *
 * Killed between two lines of this: what was written and not acknowledged comes again, and stands twice. Half a line at the end of the
 * file was never acknowledged: it is cut off at the next start, before anything is written behind it. The file is renamed only between
 * two deliveries.
 */

import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { size } from "../../config/fields.ts";
import type { LineBatch, Output, OutputProvider } from "../sdk/output.ts";

const config = z.strictObject({
  path: z.string().min(1).describe("The file. Its folder is made. Relative paths start at the working directory."),
  max_size: size()
    .optional()
    .describe('Once the file has it, it is renamed to `<file>.<n>`, and a new one begun: `"100MB"`. Default: never.'),
  max_files: z.int().min(0).prefault(0).describe("So many renamed ones are kept, the oldest are deleted. 0: all."),
});

export const file: OutputProvider<typeof config> = {
  config,
  async open({ config: { path, max_size: maxBytes, max_files: kept }, log }) {
    const whole = resolve(path);
    await mkdir(dirname(whole), { recursive: true });
    const output = new FileOutput(whole, maxBytes ?? Number.POSITIVE_INFINITY, kept);
    const cut = await output.open();
    if (cut > 0)
      log("warn", `${whole} ended in half a line, of a delivery that was broken off: its ${cut} bytes are cut off`);
    return output;
  },
};

class FileOutput implements Output {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #kept: number;
  #file!: FileHandle;
  #bytes = 0;

  constructor(path: string, maxBytes: number, kept: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#kept = kept;
  }

  /** Answers how many bytes of half a line it has cut off. */
  async open(): Promise<number> {
    // Not for appending alone: what is cut off has to be looked for.
    this.#file = await open(this.#path, "a+");
    // The name is to outlive a loss of power, as what stands in the file does.
    await syncFolder(dirname(this.#path));
    const { size: bytes } = await this.#file.stat();
    this.#bytes = await endOfLastLine(this.#file, bytes);
    if (this.#bytes < bytes) await this.#file.truncate(this.#bytes);
    return bytes - this.#bytes;
  }

  async deliver({ bytes }: LineBatch): Promise<void> {
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#maxBytes) await this.#turn();
    for (let at = 0; at < bytes.length; ) at += (await this.#file.write(bytes, at)).bytesWritten;
    await this.#file.datasync();
    this.#bytes += bytes.length;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #turn(): Promise<void> {
    await this.#file.close();
    const turned = await this.#turned();
    await rename(this.#path, `${this.#path}.${(turned.at(-1) ?? 0) + 1}`);
    if (this.#kept > 0)
      for (const number of turned.slice(0, turned.length + 1 - this.#kept))
        await rm(`${this.#path}.${number}`, { force: true });
    await this.open();
  }

  /** The numbers behind the names of the renamed ones, the oldest first. */
  async #turned(): Promise<number[]> {
    const prefix = `${basename(this.#path)}.`;
    const names = await readdir(join(this.#path, ".."));
    const numbers = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
    return numbers
      .filter((number) => /^\d+$/.test(number))
      .map(Number)
      .sort((a, b) => a - b);
  }
}

async function endOfLastLine(handle: FileHandle, size: number): Promise<number> {
  const piece = Buffer.alloc(64 * 1024);
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - piece.length);
    const { bytesRead } = await handle.read(piece, 0, end - start, start);
    const at = piece.subarray(0, bytesRead).lastIndexOf(10);
    if (at >= 0) return start + at + 1;
    end = start;
  }
  return 0;
}

async function syncFolder(path: string): Promise<void> {
  // Windows has no such thing.
  const folder = await open(path, "r").catch(() => null);
  await folder?.sync().catch(() => {});
  await folder?.close();
}
