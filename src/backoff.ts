/** Waiting between attempts: exponential, with jitter, so that many waiting processes do not all come back at once. */

export interface BackoffOptions {
  /** Milliseconds; the first wait is between half of it and all of it. */
  initial: number;
  /** Milliseconds; no wait is longer. */
  max: number;
  /** Numbers in [0, 1); for tests that want the same waits every time. */
  random?: () => number;
}

export class Backoff {
  #initial: number;
  #max: number;
  #random: () => number;
  #ceiling: number;

  constructor(options: BackoffOptions) {
    this.#initial = options.initial;
    this.#max = Math.max(options.initial, options.max);
    this.#random = options.random ?? Math.random;
    this.#ceiling = this.#initial;
  }

  /** Milliseconds to wait before the next attempt: between half and all of a ceiling that doubles with every call. */
  next(): number {
    const wait = this.#ceiling * (0.5 + this.#random() / 2);
    this.#ceiling = Math.min(this.#max, this.#ceiling * 2);
    return Math.round(wait);
  }

  /** After a success. */
  reset(): void {
    this.#ceiling = this.#initial;
  }
}

/** Resolves after `ms`, or as soon as the signal aborts: the caller looks at the signal. Never rejects. */
export function waitFor(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/**
 * For looking again and again at something that says nothing by itself: how long to pause after so long a wait. An eighth of
 * it: what has just begun is soon looked at, and looking late never adds more than an eighth. All in milliseconds.
 */
export function pauseAfter(waited: number, { least, most }: { least: number; most: number }): number {
  return Math.min(most, Math.max(least, waited / 8));
}
