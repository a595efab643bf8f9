/**
 * Changes that the ingest queue could not take for good, one file of JSON lines a table: position, reason and the whole message.
 *
 * Files are only ever appended to, so that an ingester and `dstream dead-letters` may use one at the same time: what is
 * removed is marked as removed by a line of its own, `{"removed":id}`. A line that a crash cut short was never acknowledged;
 * the next one begins on a new line, and readers pass over it. The same message may have been appended twice; it is listed once.
 */
import { createReadStream } from "node:fs";
import { mkdir, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Message } from "../change/message.ts";
import type { Position } from "../change/position.ts";
import { TransportError } from "../errors.ts";
import { fullName, type TableName } from "../ingester/checkpoint.ts";

export interface StoredLetter {
  /** That of its message. */
  id: string;
  /** UTC. */
  time: Date;
  table: TableName;
  position: Position;
  reason: string;
  message: Message;
}

interface Line {
  time: string;
  table: TableName;
  position: Position;
  reason: string;
  message: { id: string; key: string; body: string; properties: Record<string, string> };
}

const SUFFIX = ".jsonl";
const NEWLINE = 0x0a;

export class DeadLetterStore {
  readonly folder: string;
  #last: Promise<void> = Promise.resolve();

  /** The folder is made with the first letter. */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** Resolves when the letter is on disk. A full or failing disk is TransportError `unavailable`. */
  async append(letter: { table: TableName; position: Position; reason: string; message: Message }): Promise<void> {
    const { table, position, reason } = letter;
    const { id, key, body, properties } = letter.message;
    const message = { id, key, body: body.toString(), properties };
    const line: Line = { time: new Date().toISOString(), table, position, reason, message };
    await this.#inTurn(() => this.#write(fileOf(table), line));
  }

  /** The oldest of each table first. */
  async list(limit: number): Promise<StoredLetter[]> {
    const letters: StoredLetter[] = [];
    for (const file of await this.#files()) {
      for (const letter of (await this.#read(file)).values()) {
        if (letters.length === limit) return letters;
        letters.push(letter);
      }
    }
    return letters;
  }

  async get(id: string): Promise<StoredLetter | null> {
    return (await this.#find(id))?.letter ?? null;
  }

  /** After it was sent again, or is not wanted any more. False: no such letter. Resolves when that is on disk. */
  async remove(id: string): Promise<boolean> {
    const found = await this.#find(id);
    if (found === null) return false;
    await this.#inTurn(() => this.#write(found.file, { removed: id }));
    return true;
  }

  async #find(id: string): Promise<{ file: string; letter: StoredLetter } | null> {
    for (const file of await this.#files()) {
      const letter = (await this.#read(file)).get(id);
      if (letter !== undefined) return { file, letter };
    }
    return null;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    await turn;
  }

  async #write(file: string, line: Line | { removed: string }): Promise<void> {
    const path = join(this.folder, file);
    try {
      await mkdir(this.folder, { recursive: true });
      await using handle = await open(path, "a+");
      const { size } = await handle.stat();
      const torn = size > 0 && (await handle.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0] !== NEWLINE;
      // In one call, so that nothing that another process appends comes in between.
      const bytes = Buffer.from(`${torn ? "\n" : ""}${JSON.stringify(line)}\n`);
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten < bytes.length) throw new Error(`Only ${bytesWritten} of ${bytes.length} bytes were written.`);
      await handle.sync();
      await syncFolder(this.folder);
    } catch (error) {
      throw new TransportError("unavailable", `Cannot write a dead letter to ${path}.`, {
        advice: "Make room, or make the folder writable; dead_letters in the configuration names another one.",
        cause: error,
      });
    }
  }

  async #files(): Promise<string[]> {
    try {
      return (await readdir(this.folder)).filter((name) => name.endsWith(SUFFIX)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  async #read(file: string): Promise<Map<string, StoredLetter>> {
    const letters = new Map<string, StoredLetter>();
    for await (const text of linesOf(createReadStream(join(this.folder, file), "utf8"))) {
      const line = parse(text);
      if (line === null) continue;
      if ("removed" in line) letters.delete(line.removed);
      else if (!letters.has(line.message.id)) letters.set(line.message.id, toLetter(line));
    }
    return letters;
  }
}

/** Table names may hold anything, a slash or `..` too. */
function fileOf(table: TableName): string {
  return encodeURIComponent(fullName(table).toWellFormed()) + SUFFIX;
}

/** Not node:readline, to which U+2028 and U+2029 end a line: JSON leaves them in its strings as they are. */
async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let parts: string[] = [];
  for await (const chunk of chunks) {
    const [first, ...rest] = chunk.split("\n") as [string, ...string[]];
    parts.push(first);
    for (const next of rest) {
      yield parts.join("");
      parts = [next];
    }
  }
  yield parts.join("");
}

function parse(text: string): Line | { removed: string } | null {
  try {
    return JSON.parse(text) as Line | { removed: string };
  } catch {
    return null;
  }
}

function toLetter({ time, table, position, reason, message }: Line): StoredLetter {
  const body = Buffer.from(message.body);
  return { id: message.id, time: new Date(time), table, position, reason, message: { ...message, body } };
}

/** A new file's name is on disk only when its folder is; what made the file may have been killed before. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  await using handle = await open(folder, "r");
  await handle.sync();
}
