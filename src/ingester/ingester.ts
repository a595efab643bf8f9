/** From the source's change tables into the ingest queue: one TableMonitor a table, and what they share. */

import { SourceError, TransportError } from "../errors.ts";
import type { LockStore } from "../locks/lock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Entity, Sender, Transport } from "../transports/transport.ts";
import { unlessAborted } from "./abort.ts";
import { Budget } from "./budget.ts";
import { type CheckpointStore, fullName, type TableName } from "./checkpoint.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { DeadLetterBin } from "./delivery.ts";
import { Outage } from "./outage.ts";
import { type Progress, ProgressLog } from "./progress.ts";
import { QuietCheckpoints } from "./quiet-checkpoints.ts";
import type { Source, SourceTable } from "./source.ts";
import { type MonitorSettings, TableMonitor } from "./table-monitor.ts";
import { Watcher } from "./watcher.ts";

export interface IngesterSettings {
  /** What may differ from table to table. */
  table: (table: TableName) => MonitorSettings;
  messages: "row" | "batch";
  onOversize: "stop" | "dead_letter";
  maxConcurrentTables: number;
  maxBatchRows: number;
  maxBatchBytes: number;
  maxInFlightBytes: number;
  timings?: Partial<IngesterTimings>;
}

/** In milliseconds. */
export interface IngesterTimings {
  /** Between two attempts at a lock that somebody else has. */
  lockRetryMs: number;
  /** How old the stored checkpoint of a quiet table may become; well inside CDC's retention time. */
  quietCheckpointMs: number;
  /** Between two lines of progress in the log. */
  progressMs: number;
  /** Between two reminders that tables are stopped. */
  reminderMs: number;
  /** How long what is in flight may take once the ingester is told to stop. */
  drainMs: number;
}

const TIMINGS: IngesterTimings = {
  lockRetryMs: 5_000,
  quietCheckpointMs: 300_000,
  progressMs: 60_000,
  reminderMs: 600_000,
  drainMs: 8_000,
};

/** Questions to the lock store at once, so that a thousand tables do not come together. */
const LOCK_REQUESTS = 16;

export interface IngesterParts {
  source: Source;
  checkpoints: CheckpointStore;
  locks: LockStore;
  transport: Transport;
  /** The ingest queue. */
  queue: Entity;
  /** Where the router will bring the messages: made sure of here too, so that nothing is sent before a reader could come. */
  destinations?: { transport: Transport; entity: (table: SourceTable) => Entity };
  settings: IngesterSettings;
  deadLetters: DeadLetterBin;
  logger: Logger;
  onProgress?: (progress: Progress) => void;
  clock?: Clock;
  /** Numbers in [0, 1), for jitter. */
  random?: () => number;
}

export class Ingester {
  #parts: IngesterParts;
  #timings: IngesterTimings;
  #clock: Clock;
  #random: () => number;
  #logger: Logger;
  #database: Outage;
  #queue: Outage;

  /** The parts stay the caller's to close. */
  constructor(parts: IngesterParts) {
    this.#parts = parts;
    this.#timings = { ...TIMINGS, ...parts.settings.timings };
    this.#clock = parts.clock ?? systemClock;
    this.#random = parts.random ?? Math.random;
    this.#logger = parts.logger;
    this.#database = this.#outage("the database");
    this.#queue = this.#outage("the ingest queue");
  }

  /**
   * Runs until the signal aborts: then no read is begun, what is in flight is brought to its end (for `drainMs` at most), and
   * the locks are released. Rejects, after the same, where nothing can be read or sent at all. Once for each ingester.
   */
  async run(signal: AbortSignal): Promise<void> {
    const failure = new AbortController();
    const stopping = AbortSignal.any([signal, failure.signal]);
    const deadline = new AbortController();
    const ended = new AbortController();
    stopping.addEventListener("abort", () => this.#drain(deadline, ended.signal), { once: true });
    try {
      const { tables, sender } = await this.#prepare(stopping);
      const work = this.#work(tables, sender, stopping, deadline.signal);
      await Promise.all(work.map((each) => each.catch((error: unknown) => failure.abort(error))));
      await unlessAborted(sender.close(), deadline.signal).catch((error: unknown) =>
        this.#logger.debug({ error }, "the sender was left without being closed"),
      );
    } catch (error) {
      if (!stopping.aborted) throw error;
    } finally {
      ended.abort();
    }
    if (failure.signal.aborted) throw failure.signal.reason;
  }

  async #drain(deadline: AbortController, ended: AbortSignal): Promise<void> {
    await this.#clock.wait(this.#timings.drainMs, ended);
    if (ended.aborted) return;
    this.#logger.warn(`what was in flight did not end within ${this.#timings.drainMs / 1000} s: it will be sent again`);
    deadline.abort();
  }

  async #prepare(stopping: AbortSignal): Promise<{ tables: SourceTable[]; sender: Sender }> {
    const { source, checkpoints, transport, queue } = this.#parts;
    const tables = await this.#database.ride(() => source.tables(), stopping);
    if (tables.length === 0) {
      throw new SourceError("fatal", "There is no table to read: none matches `tables`.", {
        advice: "Name tables that have CDC enabled; `dstream check` lists what the configuration means.",
      });
    }
    await this.#database.ride(() => checkpoints.prepare(), stopping);
    await this.#queue.ride(() => transport.ensure(queue), stopping);
    const sender = await this.#queue.ride(() => transport.sender(queue), stopping);
    this.#logger.info({ count: tables.length }, `tables to read: ${tables.map(fullName).join(", ")}`);
    return { tables, sender };
  }

  #work(tables: SourceTable[], sender: Sender, stopping: AbortSignal, deadline: AbortSignal): Promise<void>[] {
    const { source, checkpoints, locks, transport, settings, deadLetters } = this.#parts;
    const shared = { clock: this.#clock, logger: this.#logger };
    const progress = new ProgressLog({ ...shared, listener: this.#parts.onProgress });
    const watcher = new Watcher({ ...shared, source, database: this.#database });
    const quiet = new QuietCheckpoints(checkpoints);
    const { maxBatchRows, maxBatchBytes, messages, onOversize } = settings;
    const { limits } = transport;
    const parts = {
      ...shared,
      source,
      checkpoints,
      locks,
      quiet,
      progress,
      watcher,
      random: this.#random,
      database: this.#database,
      lockStore: this.#outage("the lock store", () => true),
      lockRequests: new Budget(LOCK_REQUESTS),
      reads: new Budget(settings.maxConcurrentTables),
      inFlight: new Budget(settings.maxInFlightBytes),
      maximum: () => watcher.maximum,
      lockRetryMs: this.#timings.lockRetryMs,
      batch: {
        maxRows: maxBatchRows,
        maxBytes: Math.min(limits.maxSendBytes, maxBatchBytes, settings.maxInFlightBytes),
      },
      delivery: {
        sender,
        limits,
        messages,
        onOversize,
        deadLetters,
        queue: this.#queue,
        deadLetterStore: this.#outage("the dead letters"),
      },
    };
    const monitors = tables.map((table) => new TableMonitor(table, settings.table(table), parts));
    return [
      watcher.run(stopping),
      progress.run({ report: this.#timings.progressMs, remind: this.#timings.reminderMs }, stopping),
      this.#writeQuietCheckpoints(quiet, stopping),
      this.#ensureDestinations(tables, stopping),
      ...monitors.map((monitor) => monitor.run(stopping, deadline)),
    ];
  }

  async #writeQuietCheckpoints(quiet: QuietCheckpoints, stopping: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.wait(this.#timings.quietCheckpointMs, stopping);
      if (stopping.aborted) return;
      await quiet
        .flush()
        .catch((error: unknown) => this.#logger.warn({ error }, "quiet checkpoints wait for the next time"));
    }
  }

  /** Beside the reading: a destination that is down holds up its router, not the ingest queue. */
  async #ensureDestinations(tables: SourceTable[], stopping: AbortSignal): Promise<void> {
    const { destinations } = this.#parts;
    if (destinations === undefined) return;
    const outage = this.#outage("the destinations");
    for (const table of tables) {
      try {
        await outage.ride(() => destinations.transport.ensure(destinations.entity(table)), stopping);
      } catch (error) {
        if (stopping.aborted) return;
        if (!(error instanceof TransportError)) throw error;
        const { advice } = error;
        this.#logger.error(
          { table: fullName(table), destination: table.destination, error, advice },
          "no such destination",
        );
      }
    }
  }

  #outage(what: string, passes?: (error: unknown) => boolean): Outage {
    const common = { logger: this.#logger, clock: this.#clock, random: this.#random };
    return new Outage(what, passes === undefined ? common : { ...common, passes });
  }
}
