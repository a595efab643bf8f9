/** What encoded changes are written into, used again once the changes are durable elsewhere. */
import { POSITION_BYTES } from "../../../change/encoded-run.ts";

const FIRST_SIZE = 256 * 1024;
const FIRST_ROWS = 256;

export interface RowBuffers {
  /** Bodies. */
  bytes: Uint8Array;
  /** Where each body ends. */
  ends: Uint32Array;
  /** POSITION_BYTES a row. */
  positions: Buffer;
}

export class BufferPool {
  readonly #kept: number;
  readonly #largest: number;
  readonly #free: RowBuffers[] = [];

  /** Keeps up to `kept` sets of buffers, of up to `largest` bytes of bodies each. */
  constructor({ kept, largest }: { kept: number; largest: number }) {
    this.#kept = kept;
    this.#largest = largest;
  }

  take(): RowBuffers {
    return (
      this.#free.pop() ?? {
        bytes: Buffer.allocUnsafeSlow(FIRST_SIZE),
        ends: new Uint32Array(FIRST_ROWS),
        positions: Buffer.allocUnsafeSlow(FIRST_ROWS * POSITION_BYTES),
      }
    );
  }

  /** Nobody looks at them any more. */
  giveBack(buffers: RowBuffers): void {
    if (buffers.bytes.length <= this.#largest && this.#free.length < this.#kept) this.#free.push(buffers);
  }
}
