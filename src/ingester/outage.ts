/**
 * Waits for something that many depend on (the database, the queue, the lock store) and says so once: when the first call
 * fails, and when the last of those that failed has succeeded. Every call waits by its own jittered backoff.
 */

import { unlessAborted } from "../abort.ts";
import { Backoff } from "../backoff.ts";
import { DStreamError, describeError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Clock } from "./clock.ts";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;

export class Outage {
  #what: string;
  #logger: Logger;
  #clock: Clock;
  #random: () => number;
  #passes: (error: unknown) => boolean;
  #failing = new Set<object>();
  #since = 0;

  /** `what` as in "waiting for <what>"; `passes` tells errors that go away by themselves from those that do not. */
  constructor(
    what: string,
    options: { logger: Logger; clock: Clock; random: () => number; passes?: (error: unknown) => boolean },
  ) {
    this.#what = what;
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#passes = options.passes ?? isTransient;
  }

  /**
   * Calls until a call succeeds, or fails with what waiting does not heal. Once `stop` has aborted, no failed call is made
   * again; once `cut` has, none is begun and one under way is left to itself. Both reject.
   */
  async ride<T>(call: () => Promise<T>, stop: AbortSignal, cut: AbortSignal = stop): Promise<T> {
    const caller = {};
    const backoff = new Backoff({ initial: FIRST_WAIT, max: LONGEST_WAIT, random: this.#random });
    try {
      for (;;) {
        cut.throwIfAborted();
        const asked = this.#clock.now();
        try {
          const answer = await unlessAborted(call(), cut);
          this.#succeeded(caller);
          return answer;
        } catch (error) {
          if (stop.aborted || !this.#passes(error)) throw error;
          this.#failed(caller, asked, error);
        }
        await this.#clock.wait(backoff.next(), stop);
        stop.throwIfAborted();
      }
    } finally {
      this.#failing.delete(caller);
    }
  }

  #failed(caller: object, asked: number, error: unknown): void {
    if (this.#failing.size === 0) {
      this.#since = asked;
      const advice = error instanceof DStreamError ? error.advice : undefined;
      this.#logger.warn({ advice }, `waiting for ${this.#what}: ${describeError(error)}`);
    }
    this.#failing.add(caller);
  }

  #succeeded(caller: object): void {
    if (!this.#failing.delete(caller) || this.#failing.size > 0) return;
    const seconds = Math.round((this.#clock.now() - this.#since) / 1000);
    this.#logger.info(`${this.#what} is back after ${seconds} s`);
  }
}

function isTransient(error: unknown): boolean {
  return error instanceof DStreamError && error.transient;
}
