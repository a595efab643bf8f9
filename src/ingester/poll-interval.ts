/** How often one table is worth a question: from its base up to its maximum while nothing comes, and back at once. */
export class PollInterval {
  readonly base: number;
  #max: number;
  #current: number;
  #since: number;

  /** All in milliseconds. A maximum below the base counts as the base. */
  constructor(base: number, max: number, now: number) {
    this.base = base;
    this.#max = Math.max(base, max);
    this.#current = base;
    this.#since = now;
  }

  get current(): number {
    return this.#current;
  }

  /** Something came: ask again soon. */
  came(now: number): void {
    this.#current = this.base;
    this.#since = now;
  }

  /** The database was asked and had nothing. A question before this table's own interval was over is not held against it. */
  nothing(now: number): void {
    if (now - this.#since < this.#current) return;
    this.#current = Math.min(this.#max, this.#current * 2);
    this.#since = now;
  }
}
