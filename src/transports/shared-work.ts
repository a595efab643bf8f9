/** Work whose outcome serves all who asked before it began, as a write of how far things are: one at a time, and one more for who came meanwhile. */
export class SharedWork {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Settles as a run does that began after this call. */
  done(): Promise<void> {
    if (this.#running === null) {
      this.#running = this.#work().finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = null;
        return this.done();
      });
    return this.#next;
  }

  /** Resolves when nothing is under way, however it ends. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => {});
  }
}
