/**
 * What a process prints, in a few large buffers that are read into again and again: half the CPU of streams, which allocate each chunk
 * (`npm run bench -- relay`). The process writes into a socket of ours, since buffers can be given to sockets alone, and those that
 * `spawn` makes take none.
 *
 * A buffer is in one of these places:
 *
 *     free      nobody looks at it
 *       → next     what comes is read into it. There is always one, also while reading is paused
 *     next      → read     it was filled, and reading goes on into another one; with the last free one, it pauses
 *     read      waiting to be taken, or taken
 *       → free     `done`: whoever took it needs it no more; reading goes on
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Chunk {
  readonly bytes: Buffer;
  /** The whole buffer that holds them; null: of nobody's. */
  readonly buffer: Buffer | null;
}

/** As much as a socket holds, on Linux, and some. */
const BUFFER_BYTES = 256 * 1024;
const BUFFERS = 4;

export class ByteSource {
  readonly #free: Buffer[] = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafeSlow(BUFFER_BYTES));
  #socket: Socket | null = null;
  #paused = false;
  readonly #read: Chunk[] = [];
  #come = Promise.withResolvers<void>();
  #ended = false;
  #destroyed = false;

  /** `end`: what a process is to have as its standard output; destroyed here once it has it. */
  static async open(): Promise<{ source: ByteSource; end: Socket }> {
    const source = new ByteSource();
    const folder = await privateFolder();
    const path = folder === null ? nameWithoutFile() : join(folder, "out");
    const server = createServer({ pauseOnConnect: true });
    try {
      await once(server.listen(path), "listening");
      const accepted = once(server, "connection") as Promise<[Socket]>;
      source.#attach(path);
      const [end] = await accepted;
      return { source, end };
    } finally {
      server.close();
      if (folder !== null) await rm(folder, { recursive: true, force: true });
    }
  }

  /** The process has ended its standard output, or `destroy` was called; what came before may still be taken. */
  get ended(): boolean {
    return this.#ended;
  }

  get destroyed(): boolean {
    return this.#destroyed;
  }

  /** Null at the end, or once the signal aborts. What is taken is given back with `done`. */
  async next(signal?: AbortSignal): Promise<Chunk | null> {
    const stop = () => this.#come.resolve();
    signal?.addEventListener("abort", stop);
    try {
      for (;;) {
        const chunk = this.#read.shift();
        if (chunk !== undefined) return chunk;
        if (this.#ended || signal?.aborted) return null;
        await this.#come.promise;
        this.#come = Promise.withResolvers();
      }
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  done({ buffer }: Chunk): void {
    if (buffer === null) return;
    this.#free.push(buffer);
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  /** Stands before all that has come. The bytes are the source's from then on. */
  unshift(bytes: Buffer): void {
    if (bytes.length > 0) this.#read.unshift({ bytes, buffer: null });
  }

  /** Ends it: who still writes hears that nobody reads. */
  destroy(): void {
    this.#destroyed = true;
    this.#read.length = 0;
    this.#socket?.destroy();
    this.#end();
  }

  #attach(path: string): void {
    const socket = connect({
      path,
      onread: {
        // Asked for at once, and behind each `callback`, whatever that answers.
        buffer: () => this.#free.pop()!,
        callback: (length, buffer) => this.#take(length, buffer as Buffer),
      },
    });
    socket.on("end", () => this.#end()).on("close", () => this.#end());
    // It ends then, too.
    socket.on("error", () => {});
    this.#socket = socket;
  }

  /** False pauses. */
  #take(length: number, buffer: Buffer): boolean {
    this.#read.push({ bytes: buffer.subarray(0, length), buffer });
    this.#come.resolve();
    this.#paused = this.#free.length <= 1;
    return !this.#paused;
  }

  #end(): void {
    this.#ended = true;
    this.#come.resolve();
  }
}

/** Nobody else may connect to what is in it. Null where there is none to be had: in a container that nobody may write in. */
async function privateFolder(): Promise<string | null> {
  if (process.platform === "win32") return null;
  try {
    return await mkdtemp(join(tmpdir(), "dstream-pipe-"));
  } catch (error) {
    if (process.platform === "linux") return null;
    throw error;
  }
}

/** Names that are in no folder, and that nobody can guess. https://nodejs.org/api/net.html#identifying-paths-for-ipc-connections */
function nameWithoutFile(): string {
  const name = `dstream-${randomUUID()}`;
  return process.platform === "win32" ? `\\\\.\\pipe\\${name}` : `\0${name}`;
}

/** Whole lines, without their ends; what follows the last line end is left out. */
export async function* linesOf(source: ByteSource): AsyncGenerator<string> {
  let rest = "";
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
    rest += chunk.bytes.toString("latin1");
    source.done(chunk);
    const lines = rest.split("\n");
    rest = lines.pop()!;
    // Split as bytes: a character may be cut between two chunks.
    for (const line of lines) yield Buffer.from(line, "latin1").toString().replace(/\r$/, "");
  }
}
