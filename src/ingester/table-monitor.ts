/**
 * One table, from the ingester's start to its end. What it does while it owns the table is the TableStream's.
 *
 *     waiting   until the table is this ingester's (Sharing); and before that, for a send of the last ownership that is
 *               still on its way
 *       → claiming
 *     claiming  the checkpoint, which raises the fencing token so that a former owner cannot save any more; a table without a
 *               checkpoint gets its start, saved at once so that a crash does not move it
 *       → streaming
 *     streaming (TableStream)
 *       → waiting   the lock is lost, or another owner has fenced this one off: work stops at once; after a pause
 *       → waiting   it is handed over to another ingester: what is in flight was saved, the lock is free
 *       → stopped   by an error
 *     stopped   the lock is kept. An error that somebody can mend at its place (a permission, CDC switched off) is looked at
 *               again after max_poll_interval; one that needs a decision (a gap, another history, a message too large) once
 *               the checkpoint was changed by hand
 *       → claiming
 *       → waiting   the lock is lost, or handed over
 *
 * The end of the ingester ends every state; a fatal error ends the ingester.
 */

import { unlessAborted } from "../abort.ts";
import { DStreamError, describeError, FencedError, GapError, HistoryError, SourceError } from "../errors.ts";
import type { Lock } from "../locks/lock.ts";
import { HandedOver, type Owned, type Sharing } from "../locks/sharing.ts";
import type { Logger } from "../telemetry/logger.ts";
import { BatchSizer } from "./batch-sizer.ts";
import { type Checkpoint, fullName } from "./checkpoint.ts";
import type { Clock } from "./clock.ts";
import { Delivery, type DeliveryParts, OversizeError } from "./delivery.ts";
import { PollInterval } from "./poll-interval.ts";
import type { SourceTable } from "./source.ts";
import { type Ownership, type StreamParts, TableStream } from "./table-stream.ts";
import type { Watcher } from "./watcher.ts";

export interface MonitorParts extends StreamParts {
  sharing: Sharing;
  watcher: Watcher;
  delivery: Omit<DeliveryParts, "logger">;
  clock: Clock;
  random: () => number;
  logger: Logger;
  /** How long a table whose lock was lost is left alone, at most. */
  lostPauseMs: number;
  drainMs: number;
  batch: { maxRows: number; maxBytes: number };
}

export interface MonitorSettings {
  pollIntervalMs: number;
  maxPollIntervalMs: number;
  onGap: "fail" | "skip";
  /** It came while the ingester ran: so nothing of it is older than `start = "now"`. */
  appeared: boolean;
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
    const { sharing, lostPauseMs } = this.#parts;
    try {
      while (!stopping.aborted) {
        await unlessAborted(this.#delivery.settled(), stopping);
        const owned = await sharing.own(this.#table.lockName, stopping);
        await this.#own(owned, stopping, deadline);
        if (!owned.handOver.aborted) await this.#pause(lostPauseMs, stopping);
      }
    } catch (error) {
      if (!stopping.aborted) throw error;
    }
  }

  /** Until the table is handed over or lost, or the ingester stops; the lock is free then. */
  async #own(owned: Owned, stopping: AbortSignal, deadline: AbortSignal): Promise<void> {
    const { lock, handOver } = owned;
    const fenced = new AbortController();
    const late = new AbortController();
    const released = new AbortController();
    const lost = AbortSignal.any([lock.lost, fenced.signal]);
    const stop = AbortSignal.any([stopping, handOver, lost]);
    const cut = AbortSignal.any([deadline, late.signal, lost]);
    handOver.addEventListener("abort", () => void this.#drain(late, released.signal), { once: true });
    const signals = { stop, cut, fenced: () => fenced.abort(new FencedError("found by a quiet checkpoint")) };
    try {
      while (!stop.aborted) {
        const stoppedBy = await this.#work(lock, signals, lost);
        if (stoppedBy !== undefined) await this.#stopped(stoppedBy, stop);
      }
    } catch (error) {
      if (!stop.aborted) throw error;
    } finally {
      await this.#giveBack(lock, lost, AbortSignal.any([deadline, late.signal]));
      released.abort();
    }
  }

  async #drain(late: AbortController, released: AbortSignal): Promise<void> {
    await this.#parts.clock.wait(this.#parts.drainMs, released);
    if (!released.aborted) late.abort(new HandedOver());
  }

  /** Answers what stops the table; undefined where its ownership has ended. */
  async #work(lock: Lock, signals: Omit<Ownership, "token">, lost: AbortSignal): Promise<unknown> {
    try {
      await this.#stream(lock, signals);
    } catch (error) {
      if (lost.aborted || error instanceof FencedError) {
        if (!lost.aborted) signals.fenced();
        this.#logger.warn(`${this.#name} has another owner, or may have: this one has stopped working on it`);
      } else if (!signals.stop.aborted) return error;
      else if (error !== signals.stop.reason) this.#logger.warn({ error }, "the last batch will be read again");
    }
    return undefined;
  }

  async #stream(lock: Lock, signals: Omit<Ownership, "token">): Promise<never> {
    const { watcher, clock } = this.#parts;
    const { token, checkpoint } = await this.#claim(lock, signals.stop);
    const { pollIntervalMs, maxPollIntervalMs, onGap } = this.#settings;
    const interval = new PollInterval(pollIntervalMs, maxPollIntervalMs, clock.now());
    this.#delivery.interval = interval;
    const watch = watcher.watch(this.#table, interval);
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
    const position = await database.ride(() => source.start(this.#table, stop, this.#settings.appeared), stop);
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
    this.#note(text);
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
    if (this.#stoppedBy !== "") this.#note(null);
    this.#stoppedBy = "";
    if (this.#parts.progress.going(this.#name)) this.#logger.info(`${this.#name} goes on`);
  }

  /** For `dstream status`; nothing hangs on it. */
  #note(failure: string | null): void {
    this.#parts.checkpoints
      .noteFailure(this.#table, failure)
      .catch((error: unknown) => this.#logger.debug({ error }, "what stops the table could not be noted"));
  }

  /** Between half of it and all of it, so that many tables and many ingesters do not come at once. */
  async #pause(ms: number, stopping: AbortSignal): Promise<void> {
    await this.#parts.clock.wait(ms * (0.5 + this.#parts.random() / 2), stopping);
  }
}
