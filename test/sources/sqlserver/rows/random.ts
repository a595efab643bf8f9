/** A stream of random numbers that a seed repeats (mulberry32): https://github.com/cprosche/mulberry32 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 bits. */
  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** From 0 up to `bound - 1`. */
  below(bound: number): number {
    return Math.floor((this.bits() / 2 ** 32) * bound);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(part: number): boolean {
    return this.bits() < part * 2 ** 32;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** From 0 up to `bound - 1`, often at an edge. */
  edgy(bound: bigint): bigint {
    const digits = this.below(39);
    const some = this.pick([
      0n,
      1n,
      bound - 1n,
      10n ** BigInt(digits),
      10n ** BigInt(digits) - 1n,
      2n ** BigInt(this.below(128)),
    ]);
    if (this.chance(0.3)) return some % bound;
    const bits = BigInt(`0x${this.bytes(17).toString("hex")}`);
    return (bits % 10n ** BigInt(digits + 1)) % bound;
  }
}
