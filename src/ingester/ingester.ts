/** From the source's change tables into the ingest queue: one TableMonitor a table, and what they share. */

import { unlessAborted } from "../abort.ts";
import { SourceError, TransportError } from "../errors.ts";
import type { LockStore } from "../locks/lock.ts";
import { Sharing } from "../locks/sharing.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Entity, Sender, Transport } from "../transports/transport.ts";
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
  table: (table: TableName) => Omit<MonitorSettings, "appeared">;
  /** Ingesters of one group have the same tables in their configuration, and divide them among themselves. */
  group: string;
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
  /** Between two looks at who shares the tables; also how long a table whose lock was lost is left alone. */
  sharingMs: number;
  /** Between two looks for tables that patterns of the configuration have come to match; null where it has no patterns. */
  discoveryMs: number | null;
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
  sharingMs: 5_000,
  discoveryMs: null,
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

/** How the ingester's run goes on. */
interface Course {
  stopping: AbortSignal;
  deadline: AbortSignal;
  /** Ends the whole ingester. */
  fail: (error: unknown) => void;
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
      const fail = (error: unknown) => failure.abort(error);
      await this.#work(tables, sender, { stopping, deadline: deadline.signal, fail });
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

  /** Until all has ended. */
  async #work(tables: SourceTable[], sender: Sender, { stopping, deadline, fail }: Course): Promise<void> {
    const { source, checkpoints, locks, transport, settings, deadLetters } = this.#parts;
    const shared = { clock: this.#clock, logger: this.#logger };
    const progress = new ProgressLog({ ...shared, listener: this.#parts.onProgress });
    const watcher = new Watcher({ ...shared, source, database: this.#database });
    const quiet = new QuietCheckpoints(checkpoints);
    const sharing = new Sharing({
      ...shared,
      locks,
      lockStore: this.#outage("the lock store", () => true),
      requests: new Budget(LOCK_REQUESTS),
      prefix: source.lockPrefix,
      group: settings.group,
      words: { members: "ingesters", things: "tables" },
      roundMs: this.#timings.sharingMs,
    });
    const { maxBatchRows, maxBatchBytes, messages, onOversize } = settings;
    const { limits } = transport;
    const parts = {
      ...shared,
      source,
      checkpoints,
      sharing,
      quiet,
      progress,
      watcher,
      random: this.#random,
      database: this.#database,
      reads: new Budget(settings.maxConcurrentTables),
      inFlight: new Budget(settings.maxInFlightBytes),
      maximum: () => watcher.maximum,
      lostPauseMs: this.#timings.sharingMs,
      drainMs: this.#timings.drainMs,
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
    const monitors: Promise<void>[] = [];
    const begin = (table: SourceTable, appeared: boolean) => {
      sharing.add(table.lockName);
      const monitor = new TableMonitor(table, { ...settings.table(table), appeared }, parts);
      monitors.push(monitor.run(stopping, deadline).catch(fail));
    };
    for (const table of tables) begin(table, false);
    const others = [
      watcher.run(stopping),
      sharing.run(stopping, deadline),
      progress.run({ report: this.#timings.progressMs, remind: this.#timings.reminderMs }, stopping),
      this.#writeQuietCheckpoints(quiet, stopping),
      this.#ensureDestinations(tables, stopping),
      this.#discover(tables, (table) => begin(table, true), stopping),
    ];
    await Promise.all(others.map((each) => each.catch(fail)));
    await Promise.all(monitors);
  }

  /** Tables that a pattern has come to match since the start, or since CDC was switched on for them. */
  async #discover(tables: readonly SourceTable[], begin: (table: SourceTable) => void, stopping: AbortSignal) {
    const { discoveryMs } = this.#timings;
    if (discoveryMs === null) return;
    const known = new Set(tables.map(({ lockName }) => lockName));
    for (;;) {
      await this.#clock.wait(discoveryMs, stopping);
      if (stopping.aborted) return;
      try {
        const found = await this.#database.ride(() => this.#parts.source.tables(), stopping);
        const appeared = found.filter(({ lockName }) => !known.has(lockName));
        if (appeared.length === 0) continue;
        this.#logger.info({ count: appeared.length }, `tables that appeared: ${appeared.map(fullName).join(", ")}`);
        for (const table of appeared) {
          known.add(table.lockName);
          begin(table);
        }
        void this.#ensureDestinations(appeared, stopping).catch((error: unknown) =>
          this.#logger.error({ error }, "the destinations of tables that appeared could not be made"),
        );
      } catch (error) {
        if (stopping.aborted) return;
        this.#logger.warn({ error }, "tables that may have appeared are looked for again later");
      }
    }
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
