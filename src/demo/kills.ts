/**
 * SIGKILLs the ingester and the router in turn at random moments, and starts them again at once. A kill lands only while the
 * workload still writes, the process has made progress since it was started, and changes wait in front of it. Every other
 * one follows at once on a step of the process, so that some fall between a send and its checkpoint or settlement: there a
 * repeat is due, and nothing may be lost.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { DemoChild } from "./child.ts";
import type { Random } from "./random.ts";

export interface KillTarget {
  child: DemoChild;
  /** Changes that wait in front of this process. */
  backlog(): Promise<number>;
  /** Rises whenever this process has moved a change. */
  progress(): Promise<number>;
}

const PATIENCE_MS = 40_000;
/** Changes a second. */
const SLOWEST = 5;

export class Killer {
  done = 0;
  readonly #total: number;
  readonly #random: Random;
  readonly #writing: () => boolean;
  readonly #say: (text: string) => void;
  #cycle = 1500;

  constructor(total: number, random: Random, writing: () => boolean, say: (text: string) => void) {
    this.#total = total;
    this.#random = random;
    this.#writing = writing;
    this.#say = say;
  }

  /**
   * Changes a second at which the workload lasts twice as long as the remaining kills, by what they took so far: some take longer, where
   * a messaging system waits for the one who was killed, and then there has to be something left.
   */
  rate(remaining: number): number {
    const left = this.#total - this.done;
    return left === 0 ? 5000 : Math.max(SLOWEST, (remaining * 500) / ((left + 1) * this.#cycle));
  }

  async run(targets: readonly KillTarget[], signal: AbortSignal): Promise<void> {
    const started: number[] = [];
    for (const target of targets) started.push(await target.progress());
    while (this.done < this.#total && !signal.aborted) {
      const began = performance.now();
      const at = this.#random.between(0, targets.length - 1);
      const target = targets[at]!;
      await this.#until(
        async () => (await target.progress()) > started[at]!,
        `${target.child.name} to move a change`,
        signal,
      );
      await sleep(this.#random.between(0, 150));
      if (this.done % 2 === 1) {
        const before = await target.progress();
        await this.#until(
          async () => (await target.progress()) > before,
          `${target.child.name} to move a change`,
          signal,
        );
      }
      let waiting = 0;
      await this.#until(
        async () => (waiting = await target.backlog()) > 0,
        `a backlog for the ${target.child.name}`,
        signal,
      );
      if (signal.aborted) return;
      if (!this.#writing())
        throw new Error(`The workload ended after ${this.done} of ${this.#total} kills: ask for more changes.`);
      const pid = target.child.pid;
      await target.child.end("SIGKILL");
      this.done++;
      this.#say(
        `kill ${this.done}: SIGKILL to the ${target.child.name} (pid ${pid}) with ${waiting} changes waiting for it`,
      );
      started[at] = await target.progress();
      target.child.start();
      this.#cycle = 0.7 * this.#cycle + 0.3 * (performance.now() - began);
    }
  }

  async #until(condition: () => Promise<boolean>, what: string, signal: AbortSignal): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!signal.aborted && !(await condition())) {
      if (performance.now() > end) throw new Error(`Waited ${PATIENCE_MS / 1000} s for ${what}.`);
      await nextTurn();
    }
  }
}
