/** A shared allowance (bytes in flight, reads at once) that is handed out first come, first served. */
export interface Grant {
  /** The true amount, once it is known; more than was asked for is possible, and delays the next grant. */
  resize(amount: number): void;
  /** Safe to call twice. */
  release(): void;
}

interface Waiting {
  amount: number;
  granted: (grant: Grant) => void;
}

export class Budget {
  #capacity: number;
  #used = 0;
  #waiting: Waiting[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get used(): number {
    return this.#used;
  }

  /** An amount above the whole capacity is granted when nothing else is out. Rejects with the signal's reason. */
  take(amount: number, signal: AbortSignal): Promise<Grant> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const aborted = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        reject(signal.reason);
        this.#handOut();
      };
      const waiting: Waiting = {
        amount,
        granted: (grant) => {
          signal.removeEventListener("abort", aborted);
          resolve(grant);
        },
      };
      signal.addEventListener("abort", aborted, { once: true });
      this.#waiting.push(waiting);
      this.#handOut();
    });
  }

  /** Holds the amount while the work runs. */
  async during<T>(amount: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const grant = await this.take(amount, signal);
    try {
      return await work();
    } finally {
      grant.release();
    }
  }

  #handOut(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#used > 0 && this.#used + next.amount > this.#capacity) return;
      this.#waiting.shift();
      next.granted(this.#grant(next.amount));
    }
  }

  #grant(amount: number): Grant {
    let held = amount;
    this.#used += held;
    const resize = (actual: number) => {
      this.#used += actual - held;
      held = actual;
      this.#handOut();
    };
    let released = false;
    return {
      resize,
      release: () => {
        if (released) return;
        released = true;
        resize(0);
      },
    };
  }
}
