/**
 * Checkpoints that moved without a message: written lazily, all of them in one statement, since losing one costs nothing
 * but a look at an empty range. They only must not age past the retention time.
 */

import type { FencingToken } from "../locks/lock.ts";
import { type Checkpoint, type CheckpointStore, fullName, type TableName } from "./checkpoint.ts";

interface Note {
  table: TableName;
  checkpoint: Checkpoint;
  token: FencingToken;
  fenced: () => void;
}

export class QuietCheckpoints {
  #store: CheckpointStore;
  #notes = new Map<string, Note>();
  /** Flushes run one after the other; never rejects. */
  #flushing: Promise<void> = Promise.resolve();

  constructor(store: CheckpointStore) {
    this.#store = store;
  }

  /** To be written with the next flush, in place of an earlier note; `fenced` is called if another owner is found then. */
  note(table: TableName, checkpoint: Checkpoint, token: FencingToken, fenced: () => void): void {
    this.#notes.set(fullName(table), { table, checkpoint, token, fenced });
  }

  /**
   * Forgets the table's note. When this resolves no flush holds it either, so none can undo a save that follows.
   */
  async withdraw(table: TableName): Promise<void> {
    this.#notes.delete(fullName(table));
    await this.#flushing;
  }

  /** Writes everything noted so far. When it fails, the notes stand for the next time, unless newer ones have come. */
  flush(): Promise<void> {
    const flushed = this.#flushing.then(() => this.#write());
    this.#flushing = flushed.catch(() => {});
    return flushed;
  }

  async #write(): Promise<void> {
    if (this.#notes.size === 0) return;
    const notes = [...this.#notes];
    const fencedOff = await this.#store.saveAll(
      notes.map(([, { table, checkpoint, token }]) => ({ table, checkpoint, token })),
    );
    for (const [name, note] of notes) if (this.#notes.get(name) === note) this.#notes.delete(name);
    const names = new Set(fencedOff.map(fullName));
    for (const [name, note] of notes) if (names.has(name)) note.fenced();
  }
}
