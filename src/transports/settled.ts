/**
 * How far a stream of numbered messages is settled: all up to a floor, and single ones beyond it, since keys are settled in any
 * order. Numbers rise, and may have gaps: a gap is settled with what stands before it.
 */
export interface SettledState {
  /** All messages up to here are settled, this one included. */
  floor: number;
  /** Beyond it, in order: from and to, both included, with no received and unsettled number between them. */
  beyond: readonly (readonly [number, number])[];
}

const MOST_RANGES = 1_000;

export class Settled {
  #floor: number;
  /** Received and not settled, in order of arrival, which is that of the numbers. */
  readonly #open = new Set<number>();
  /** Settled, with something open before them. */
  readonly #beyond = new Set<number>();
  /** The highest number that was received. */
  #last: number;

  constructor({ floor, beyond }: SettledState = { floor: 0, beyond: [] }) {
    this.#floor = floor;
    this.#last = floor;
    for (const [from, to] of beyond) for (let n = from; n <= to; n++) this.#beyond.add(n);
  }

  get floor(): number {
    return this.#floor;
  }

  /** False: it was settled before, or received before. Numbers come in rising order. */
  receive(number: number): boolean {
    if (number <= this.#last) return false;
    this.#last = number;
    if (this.#beyond.has(number)) {
      this.#rise();
      return false;
    }
    this.#open.add(number);
    return true;
  }

  /** True if the floor has risen. */
  settle(numbers: Iterable<number>): boolean {
    for (const number of numbers) if (this.#open.delete(number)) this.#beyond.add(number);
    return this.#rise();
  }

  /** With the first thousand ranges beyond the floor: what is left out comes again, after a crash. */
  state(): SettledState {
    const ranges: [number, number][] = [];
    for (const number of [...this.#beyond].sort((a, b) => a - b)) {
      const before = ranges.at(-1);
      if (before !== undefined && before[1] === number - 1) before[1] = number;
      else ranges.push([number, number]);
    }
    return { floor: this.#floor, beyond: ranges.slice(0, MOST_RANGES) };
  }

  /** To just below the first that is open, or to the last that was received. */
  #rise(): boolean {
    const { value: open } = this.#open.values().next();
    const floor = open === undefined ? this.#last : open - 1;
    if (floor <= this.#floor) return false;
    this.#floor = floor;
    for (const number of this.#beyond) if (number <= floor) this.#beyond.delete(number);
    return true;
  }
}
