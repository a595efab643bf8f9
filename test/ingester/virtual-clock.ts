/** Time that stands still until the test moves it: a wait of an hour costs nothing, and every order of events is repeatable. */
import type { Clock } from "../../src/ingester/clock.ts";

interface Timer {
  at: number;
  order: number;
  fire: () => void;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const timer: Timer = { at: this.#now + ms, order: this.#order++, fire: () => {} };
      timer.fire = () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
        signal.removeEventListener("abort", timer.fire);
        resolve();
      };
      signal.addEventListener("abort", timer.fire, { once: true });
      this.#timers.push(timer);
    });
  }

  /** Calls back at a time, without anybody waiting. */
  at(time: number, call: () => void): void {
    this.#timers.push({ at: time, order: this.#order++, fire: call });
  }

  /** Lets everything happen that can happen without time passing. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Moves on by so many milliseconds, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.at);
      this.#timers = this.#timers.filter((other) => other !== next);
      next.fire();
      await this.settle();
    }
    this.#now = end;
  }

  /** Moves on until the condition holds; throws when it does not within a (virtual) time. */
  async until(condition: () => boolean, withinMs = 3_600_000): Promise<void> {
    const end = this.#now + withinMs;
    for (await this.settle(); !condition(); await this.settle()) {
      const next = this.#next(end);
      if (next === undefined) throw new Error(`not within ${withinMs} ms of virtual time: ${condition}`);
      this.#now = Math.max(this.#now, next.at);
      this.#timers = this.#timers.filter((other) => other !== next);
      next.fire();
    }
  }

  #next(end: number): Timer | undefined {
    let found: Timer | undefined;
    for (const timer of this.#timers) {
      if (
        timer.at <= end &&
        (found === undefined || timer.at < found.at || (timer.at === found.at && timer.order < found.order))
      )
        found = timer;
    }
    return found;
  }
}
