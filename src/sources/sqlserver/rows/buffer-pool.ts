/** Buffers that encoded changes are written into, used again once the changes are durable elsewhere. */

const FIRST_SIZE = 256 * 1024;
/** One being filled, one being sent. */
const KEPT = 2;

export class BufferPool {
  readonly #largest: number;
  readonly #free: Uint8Array[] = [];

  /** A buffer that grew beyond `largest` bytes, for some giant row, is not kept. */
  constructor(largest: number) {
    this.#largest = largest;
  }

  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(FIRST_SIZE);
  }

  /** Nobody looks at it any more. */
  giveBack(buffer: Uint8Array): void {
    if (buffer.length <= this.#largest && this.#free.length < KEPT && !this.#free.includes(buffer))
      this.#free.push(buffer);
  }
}
