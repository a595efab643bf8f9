/**
 * One table, from the ingester's start to its end. What it does while it owns the table is the TableStream's.
 *
 *     waiting   for the lock: somebody else has the table, or the lock store cannot be asked; and before that, for a send of
 *               the last ownership that is still on its way
 *       → claiming
 *     claiming  the checkpoint, which raises the fencing token so that a former owner cannot save any more; a table without a
 *               checkpoint gets its start, saved at once so that a crash does not move it
 *       → streaming
 *     streaming (TableStream)
 *       → waiting   the lock is lost, or another owner has fenced this one off: work stops at once; after a pause
 *       → stopped   by an error
 *     stopped   the lock is free. An error that somebody can mend at its place (a permission, CDC switched off) is looked at
 *               again after max_poll_interval; one that needs a decision (a gap, another history, a message too large) once
 *               the checkpoint was changed by hand
 *       → waiting
 *
 * The end of the ingester ends every state; a fatal error ends the ingester.
 */
import { DStreamError, describeError, FencedError, GapError, HistoryError, SourceError } from "../errors.ts";
import type { Lock, LockStore } from "../locks/lock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { unlessAborted } from "./abort.ts";
import { BatchSizer } from "./batch-sizer.ts";
import type { Budget } from "./budget.ts";
import { type Checkpoint, fullName } from "./checkpoint.ts";
import type { Clock } from "./clock.ts";
import { Delivery, type DeliveryParts, OversizeError } from "./delivery.ts";
import type { Outage } from "./outage.ts";
import { PollInterval } from "./poll-interval.ts";
import type { SourceTable } from "./source.ts";
import { type Ownership, type StreamParts, TableStream } from "./table-stream.ts";
import type { Watcher } from "./watcher.ts";

export interface MonitorParts extends StreamParts {
  locks: LockStore;
  lockStore: Outage;
  /** Questions to the lock store at once. */
  lockRequests: Budget;
  watcher: Watcher;
  delivery: Omit<DeliveryParts, "logger">;
  clock: Clock;
  random: () => number;
  logger: Logger;
  lockRetryMs: number;
  batch: { maxRows: number; maxBytes: number };
}

export interface MonitorSettings {
  pollIntervalMs: number;
  maxPollIntervalMs: number;
  onGap: "fail" | "skip";
}

export class TableMonitor {
  #table: SourceTable;
  #name: string;
  #settings: MonitorSettings;
  #parts: MonitorParts;
  #logger: Logger;
  #delivery: Delivery;
  #sizer: BatchSizer;
  #stoppedBy = "";

  constructor(table: SourceTable, settings: MonitorSettings, parts: MonitorParts) {
    this.#table = table;
    this.#name = fullName(table);
    this.#settings = settings;
    this.#parts = parts;
    this.#logger = parts.logger.child({ table: this.#name });
    this.#delivery = new Delivery(table, { ...parts.delivery, logger: this.#logger });
    this.#sizer = new BatchSizer(parts.batch);
  }

  /** Until `stopping` aborts; what is in flight then has until `deadline`. Rejects with what ends the whole ingester. */
  async run(stopping: AbortSignal, deadline: AbortSignal): Promise<void> {
    try {
      while (!stopping.aborted) {
        await unlessAborted(this.#delivery.settled(), stopping);
        const lock = await this.#acquire(stopping);
        const stoppedBy = await this.#own(lock, stopping, deadline);
        if (stoppedBy === undefined) await this.#pause(this.#parts.lockRetryMs, stopping);
        else await this.#stopped(stoppedBy, stopping);
      }
    } catch (error) {
      if (!stopping.aborted) throw error;
    }
  }

  async #acquire(stopping: AbortSignal): Promise<Lock> {
    const { locks, lockStore, lockRequests, lockRetryMs } = this.#parts;
    const ask = () =>
      lockRequests.during(1, stopping, async () => {
        const lock = await locks.acquire(this.#table.lockName, stopping);
        // Nobody waits for the answer any more.
        if (stopping.aborted) await lock?.release();
        return lock;
      });
    for (let attempt = 1; ; attempt++) {
      const lock = await lockStore.ride(ask, stopping);
      if (lock !== null) return lock;
      if (attempt === 1) this.#logger.info(`${this.#name} is another ingester's: standing by`);
      await this.#pause(lockRetryMs, stopping);
      stopping.throwIfAborted();
    }
  }

  /** Answers what stops the table; undefined where it may be owned again. */
  async #own(lock: Lock, stopping: AbortSignal, deadline: AbortSignal): Promise<unknown> {
    const fenced = new AbortController();
    const lost = AbortSignal.any([lock.lost, fenced.signal]);
    const stop = AbortSignal.any([stopping, lost]);
    const cut = AbortSignal.any([deadline, lost]);
    try {
      await this.#stream(lock, {
        stop,
        cut,
        fenced: () => fenced.abort(new FencedError("found by a quiet checkpoint")),
      });
    } catch (error) {
      if (lost.aborted || error instanceof FencedError) {
        this.#logger.warn(`${this.#name} has another owner, or may have: this one has stopped working on it`);
      } else if (!stopping.aborted) return error;
      else if (error !== stopping.reason) this.#logger.warn({ error }, "the last batch will be read again");
    } finally {
      await this.#giveBack(lock, lost, deadline);
    }
    return undefined;
  }

  async #stream(lock: Lock, signals: Omit<Ownership, "token">): Promise<never> {
    const { watcher, clock } = this.#parts;
    const { token, checkpoint } = await this.#claim(lock, signals.stop);
    const { pollIntervalMs, maxPollIntervalMs, onGap } = this.#settings;
    const watch = watcher.watch(this.#table, new PollInterval(pollIntervalMs, maxPollIntervalMs, clock.now()));
    try {
      const own = {
        table: this.#table,
        onGap,
        sizer: this.#sizer,
        delivery: this.#delivery,
        watch,
        logger: this.#logger,
        verified: () => this.#going(),
      };
      return await new TableStream(this.#parts, own, { ...signals, token }, checkpoint).run();
    } finally {
      watch.end();
    }
  }

  async #claim(lock: Lock, stop: AbortSignal): Promise<{ token: number; checkpoint: Checkpoint }> {
    const { database, reads, checkpoints, source } = this.#parts;
    const claim = () => reads.during(1, stop, () => checkpoints.claim(this.#table, lock.token));
    const { token, checkpoint } = await database.ride(claim, stop);
    if (checkpoint !== null) return { token, checkpoint };
    const position = await database.ride(() => source.start(this.#table, stop), stop);
    const first = { position, commitTime: null };
    await database.ride(() => checkpoints.save(this.#table, first, token), stop);
    this.#logger.info({ lsn: position.startLsn }, `${this.#name} has no checkpoint yet: starts at this LSN`);
    return { token, checkpoint: first };
  }

  /** Writes what quiet tables still have to write (the first that ends writes for all), and frees the lock. */
  async #giveBack(lock: Lock, lost: AbortSignal, deadline: AbortSignal): Promise<void> {
    const { quiet } = this.#parts;
    const writing = lost.aborted ? quiet.withdraw(this.#table) : quiet.flush();
    await unlessAborted(writing, AbortSignal.any([lost, deadline])).catch((error: unknown) =>
      this.#logger.debug({ error }, "quiet checkpoints were not written: a look at empty ranges will be repeated"),
    );
    await unlessAborted(lock.release(), deadline).catch((error: unknown) =>
      this.#logger.warn({ error }, `the lock of ${this.#name} was not released: it is free when its lease ends`),
    );
  }

  async #stopped(error: unknown, stopping: AbortSignal): Promise<void> {
    if (error instanceof SourceError && error.scope === "fatal") throw error;
    const needsDecision = error instanceof GapError || error instanceof HistoryError || error instanceof OversizeError;
    const text = describeError(error);
    if (text !== this.#stoppedBy) {
      const advice = error instanceof DStreamError ? error.advice : undefined;
      const stack = error instanceof DStreamError || !(error instanceof Error) ? undefined : error.stack;
      const then = needsDecision ? "until its checkpoint is changed" : "and tries again now and then";
      this.#logger.error({ advice, stack }, `${this.#name} stops, ${then}, while the other tables go on: ${text}`);
    }
    this.#stoppedBy = text;
    this.#parts.progress.stopped(this.#name, error);
    if (needsDecision) await this.#untilChangedByHand(stopping);
    else await this.#pause(this.#settings.maxPollIntervalMs, stopping);
  }

  async #untilChangedByHand(stopping: AbortSignal): Promise<void> {
    for (let before = await this.#stored(stopping); !stopping.aborted; ) {
      await this.#pause(this.#settings.maxPollIntervalMs, stopping);
      const now = await this.#stored(stopping);
      if (before !== undefined && now !== undefined && now !== before) return;
      before ??= now;
    }
  }

  /** The stored checkpoint, to compare; undefined where it cannot be had. */
  async #stored(stopping: AbortSignal): Promise<string | undefined> {
    const { database, checkpoints } = this.#parts;
    try {
      const stored = await database.ride(() => checkpoints.load(this.#table), stopping);
      return JSON.stringify([stored?.position, stored?.commitTime]);
    } catch (error) {
      this.#logger.debug({ error }, "the checkpoint of a stopped table could not be looked at");
      return undefined;
    }
  }

  #going(): void {
    this.#stoppedBy = "";
    if (this.#parts.progress.going(this.#name)) this.#logger.info(`${this.#name} goes on`);
  }

  /** Between half of it and all of it, so that many tables and many ingesters do not come at once. */
  async #pause(ms: number, stopping: AbortSignal): Promise<void> {
    await this.#parts.clock.wait(ms * (0.5 + this.#parts.random() / 2), stopping);
  }
}
