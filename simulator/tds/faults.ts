/** Faults of the network, on demand: what a test asks of one connection or of all new ones. Bytes count before encryption. */
export interface NetworkFaults {
  /** The connection is reset once the server has sent this many more bytes. */
  dropAfter?: number;
  /** The server falls silent once it has sent this many more bytes, until the faults are changed. */
  stallAfter?: number;
  /** Each write carries at most this many bytes, and waits for the event loop between two. */
  splitEvery?: number;
  /** A slow network. */
  bytesPerSecond?: number;
}

export interface FaultTarget {
  write(bytes: Buffer): void;
  reset(): void;
}

/** Stands between a connection's packets and its socket while faults are set. Order is kept; nothing is lost but by a drop. */
export class FaultyWriter {
  readonly #target: FaultTarget;
  #faults: NetworkFaults = {};
  #sent = 0;
  #queue: Buffer[] = [];
  #running = false;
  #wake: (() => void) | null = null;
  #idle: (() => void)[] = [];

  constructor(target: FaultTarget) {
    this.#target = target;
  }

  set(faults: NetworkFaults): void {
    this.#faults = faults;
    this.#sent = 0;
    this.#wake?.();
  }

  /** True: this writer has to be used, not the socket. */
  get active(): boolean {
    return this.#running || Object.values(this.#faults).some((fault) => fault !== undefined);
  }

  /** Something waits to be sent. */
  get busy(): boolean {
    return this.#running;
  }

  write(bytes: Buffer): void {
    this.#queue.push(bytes);
    if (!this.#running) void this.#run();
  }

  /** Resolves when everything was handed to the socket. */
  drained(): Promise<void> {
    return this.#running ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /** The connection is gone. */
  close(): void {
    this.#queue = [];
    this.#faults = {};
    this.#wake?.();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      const rest = await this.#piece(next);
      if (rest.length > 0) this.#queue.unshift(rest);
    }
    this.#running = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Sends the first piece of `bytes` that the faults allow and returns what is left. */
  async #piece(bytes: Buffer): Promise<Buffer> {
    const { dropAfter, stallAfter, splitEvery, bytesPerSecond } = this.#faults;
    const slice = bytesPerSecond === undefined ? bytes.length : Math.max(1, Math.ceil(bytesPerSecond / 100));
    const untilDrop = dropAfter === undefined ? bytes.length : dropAfter - this.#sent;
    const untilStall = stallAfter === undefined ? bytes.length : stallAfter - this.#sent;
    if (untilDrop <= 0) {
      this.#target.reset();
      return Buffer.alloc(0);
    }
    if (untilStall <= 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
      return bytes;
    }
    const length = Math.min(bytes.length, slice, splitEvery ?? bytes.length, untilDrop, untilStall);
    this.#sent += length;
    this.#target.write(bytes.subarray(0, length));
    if (bytesPerSecond !== undefined)
      await new Promise((resolve) => setTimeout(resolve, (1000 * length) / bytesPerSecond));
    else if (splitEvery !== undefined) await new Promise((resolve) => setImmediate(resolve));
    return bytes.subarray(length);
  }
}
