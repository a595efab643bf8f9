/** What the ingester tells of its work: to the log now and then, to whoever counts at once. */
import type { Lsn } from "../change/position.ts";
import { describeError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Clock } from "./clock.ts";

/** The queue has acknowledged a batch of one table, and its checkpoint is saved. */
export interface Progress {
  /** `schema.table` */
  table: string;
  lsn: Lsn;
  /** Changes. */
  count: number;
  bytes: number;
  /** How far the batch's commit time is behind that of the maximum LSN; undefined where times are not known. */
  lagSeconds: number | undefined;
}

export class ProgressLog {
  #logger: Logger;
  #clock: Clock;
  #listener: ((progress: Progress) => void) | undefined;
  #count = 0;
  #bytes = 0;
  #tables = new Set<string>();
  #skippedGaps = 0;
  #stopped = new Map<string, string>();

  constructor(parts: { logger: Logger; clock: Clock; listener?: ((progress: Progress) => void) | undefined }) {
    this.#logger = parts.logger;
    this.#clock = parts.clock;
    this.#listener = parts.listener;
  }

  sent(progress: Progress): void {
    this.#count += progress.count;
    this.#bytes += progress.bytes;
    this.#tables.add(progress.table);
    this.#listener?.(progress);
  }

  /** Answers how many gaps were skipped so far. */
  skippedGap(): number {
    return ++this.#skippedGaps;
  }

  stopped(table: string, error: unknown): void {
    this.#stopped.set(table, describeError(error));
  }

  /** The table is stopped no more. Answers whether it was. */
  going(table: string): boolean {
    return this.#stopped.delete(table);
  }

  /** Until the signal aborts. Both in milliseconds: between two reports, between two reminders of stopped tables. */
  async run(intervals: { report: number; remind: number }, signal: AbortSignal): Promise<void> {
    let reported = this.#clock.now();
    let reminded = reported;
    while (!signal.aborted) {
      await this.#clock.wait(intervals.report, signal);
      const now = this.#clock.now();
      this.#report(now - reported);
      reported = now;
      if (now - reminded < intervals.remind) continue;
      this.#remind();
      reminded = now;
    }
  }

  #report(elapsedMs: number): void {
    if (this.#count > 0) {
      const rate = Math.round(this.#count / Math.max(elapsedMs / 1000, 0.001));
      const numbers = { count: this.#count, bytes: this.#bytes, rate, tables: this.#tables.size };
      const seconds = Math.round(elapsedMs / 1000);
      this.#logger.info(
        numbers,
        `${counted(this.#count, "change")} of ${counted(this.#tables.size, "table")} in ${seconds} s (${rate}/s)`,
      );
    }
    this.#count = 0;
    this.#bytes = 0;
    this.#tables.clear();
  }

  #remind(): void {
    const [first] = this.#stopped;
    if (first === undefined) return;
    const names = [...this.#stopped.keys()].join(", ");
    this.#logger.error(`still stopped by errors: ${names} (${first[0]}: ${first[1]})`);
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Both as the server says them, in its own local time: only their difference means anything. Undefined: not known. */
export function lagSeconds(commitTime: string | null, maximum: string | null): number | undefined {
  if (commitTime === null || maximum === null) return undefined;
  const lag = (Date.parse(`${maximum}Z`) - Date.parse(`${commitTime}Z`)) / 1000;
  return Number.isNaN(lag) ? undefined : Math.max(0, lag);
}
