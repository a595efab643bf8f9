/** Buffers that encoded changes are written into, used again once the changes are durable elsewhere. */

const FIRST_SIZE = 256 * 1024;

export class BufferPool {
  readonly #kept: number;
  readonly #largest: number;
  readonly #free: Uint8Array[] = [];

  /** Keeps up to `kept` buffers, of up to `largest` bytes each. */
  constructor({ kept, largest }: { kept: number; largest: number }) {
    this.#kept = kept;
    this.#largest = largest;
  }

  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(FIRST_SIZE);
  }

  /** Nobody looks at it any more. */
  giveBack(buffer: Uint8Array): void {
    if (buffer.length <= this.#largest && this.#free.length < this.#kept && !this.#free.includes(buffer))
      this.#free.push(buffer);
  }
}
