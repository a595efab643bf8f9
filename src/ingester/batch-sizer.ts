/**
 * How many rows the next read asks for, so that their messages about fill one send: estimated from the messages that came,
 * and estimated anew with every batch, since rows grow and shrink over a table's life.
 */
import type { MessageRun } from "../change/message-run.ts";

/** Bytes a message, before any was seen. */
const FIRST_GUESS = 1024;
/** How full a batch is to be: one that overflows has to be called off on the server. */
const FILL = 0.9;
/** How much a new batch counts against all before it. */
const WEIGHT = 0.25;

export class BatchSizer {
  readonly maxBytes: number;
  #maxRows: number;
  #estimate = FIRST_GUESS;
  #largest = 0;

  constructor(limits: { maxRows: number; maxBytes: number }) {
    this.#maxRows = limits.maxRows;
    this.maxBytes = limits.maxBytes;
  }

  /** At least one: a row larger than a batch goes alone. */
  get rows(): number {
    return Math.min(this.#maxRows, Math.max(1, Math.floor((FILL * this.maxBytes) / this.#estimate)));
  }

  /** What a read is likely to bring at most: a full batch, or another row as large as the last batch's largest. */
  get expectedBytes(): number {
    return Math.max(this.maxBytes, this.#largest);
  }

  measured(run: MessageRun): void {
    if (run.count === 0) return;
    this.#estimate += WEIGHT * (run.bytes / run.count - this.#estimate);
    // Only a message that is larger than a batch makes one larger, and it goes alone.
    this.#largest = run.bytes > this.maxBytes ? run.size(0) : 0;
  }
}
