/**
 * One table while this process owns it: read a batch, send it, save the position.
 *
 *     idle      nothing is known to come; the watcher has the position and says what the table's turn is
 *       → reading  it has changes; or its checkpoint has to be held against the history, by a new reader
 *       → idle     it has none up to the maximum: the checkpoint becomes (that maximum, +infinity), written lazily
 *     reading   one batch, up to the latest maximum, once the budgets allow it; or the one that was read ahead
 *       → sending  with what was read, if anything
 *       → reading  a gap that the policy skips
 *     sending   until the queue has acknowledged it, however long that takes. Meanwhile, where there may be more, the next batch
 *               is read ahead, if the budgets allow that too
 *       → saving
 *       → reading  fewer rows: a message among them is too large and has to be looked at alone. What was read ahead is dropped
 *       → reading, idle  where the checkpoint was saved in one step with the send
 *     saving    the position after the batch
 *       → reading  there may be more: without a pause
 *       → idle     the table was read to its end
 *
 * From every state: `stop` (no new work; what was sent is still saved), `cut` (ownership is lost or time is up: nothing more
 * is sent or saved), or an error ends the stream. What was not saved is read again by the next owner.
 */

import { unlessAborted } from "../abort.ts";
import { afterTransaction, comparePositions } from "../change/position.ts";
import { GapError } from "../errors.ts";
import type { FencingToken } from "../locks/lock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Sender } from "../transports/transport.ts";
import type { BatchSizer } from "./batch-sizer.ts";
import type { Budget, Grant } from "./budget.ts";
import { type Checkpoint, type CheckpointStore, fullName } from "./checkpoint.ts";
import type { Delivery } from "./delivery.ts";
import type { Outage } from "./outage.ts";
import { lagSeconds, type ProgressLog } from "./progress.ts";
import type { QuietCheckpoints } from "./quiet-checkpoints.ts";
import type { ChangeBatch, ChangeReader, Source, SourceTable } from "./source.ts";
import type { Maximum, Watch } from "./watcher.ts";

export interface StreamParts {
  source: Source;
  checkpoints: CheckpointStore;
  quiet: QuietCheckpoints;
  database: Outage;
  /** Reads at once. */
  reads: Budget;
  /** Bytes read and not yet acknowledged, of all tables. */
  inFlight: Budget;
  progress: ProgressLog;
  /** The latest maximum that the watcher knows. */
  maximum: () => Maximum | null;
}

export interface Ownership {
  token: FencingToken;
  /** No new work. Aborts with `cut` at the latest. */
  stop: AbortSignal;
  /** Nothing more at all. */
  cut: AbortSignal;
  /** Another owner was found. */
  fenced: () => void;
}

export interface TableParts {
  table: SourceTable;
  onGap: "fail" | "skip";
  sizer: BatchSizer;
  delivery: Delivery;
  watch: Watch;
  logger: Logger;
  /** The first read was good: the table can be read from its checkpoint. */
  verified: () => void;
}

interface Read {
  batch: ChangeBatch;
  grant: Grant;
}

export class TableStream {
  #parts: StreamParts;
  #own: TableParts;
  #ownership: Ownership;
  /** Everything up to here is durable in the queue. */
  #checkpoint: Checkpoint;
  /** Everything up to here was read; it is ahead of the checkpoint while a batch is being sent. */
  #reached: Checkpoint;
  #verified = false;
  #reader: ChangeReader | undefined;
  #ahead: { reading: Promise<Read>; called: AbortController } | undefined;
  /** Of the next read alone. */
  #fewerRows: number | undefined;

  constructor(parts: StreamParts, own: TableParts, ownership: Ownership, checkpoint: Checkpoint) {
    this.#parts = parts;
    this.#own = own;
    this.#ownership = ownership;
    this.#checkpoint = checkpoint;
    this.#reached = checkpoint;
  }

  /** Rejects when `stop` aborts, and with whatever ends the table's work. */
  async run(): Promise<never> {
    const { watch } = this.#own;
    const { stop } = this.#ownership;
    try {
      for (;;) {
        const turn = await watch.next(this.#verified ? this.#checkpoint.position : null, stop);
        if (turn.kind === "quiet") {
          await this.#raise(turn.maximum);
          continue;
        }
        if (turn.kind === "verify") await this.#dropReader();
        await this.#readToEnd(turn.maximum);
      }
    } finally {
      await this.#startOver();
    }
  }

  async #readToEnd(first: Maximum): Promise<void> {
    for (let more = true; more; ) more = await this.#step(this.#parts.maximum() ?? first);
  }

  /** Answers whether there may be more. */
  async #step(maximum: Maximum): Promise<boolean> {
    const read = await this.#nextBatch(maximum);
    if (read === "skipped") return true;
    const { batch, grant } = read;
    try {
      const { stop, cut } = this.#ownership;
      if (batch.more) this.#readAhead(maximum);
      const together = this.#savingSender(batch);
      const outcome = await this.#own.delivery.deliver(batch, stop, cut, together);
      if (typeof outcome === "object") {
        await this.#startOver();
        this.#fewerRows = outcome.rows;
        return true;
      }
      await this.#save(batch, maximum, together !== undefined && outcome === "delivered");
    } finally {
      grant.release();
    }
    return batch.more;
  }

  async #nextBatch(maximum: Maximum): Promise<Read | "skipped"> {
    const { stop } = this.#ownership;
    stop.throwIfAborted();
    const ahead = this.#ahead;
    this.#ahead = undefined;
    try {
      const read = await (ahead === undefined ? this.#reading(maximum, stop) : ahead.reading);
      if (!this.#verified) this.#own.verified();
      this.#verified = true;
      return read;
    } catch (error) {
      if (!(error instanceof GapError) || this.#own.onGap !== "skip") throw error;
      await this.#skipGap(error);
      return "skipped";
    }
  }

  /** Errors are the matter of whoever takes the batch. */
  #readAhead(maximum: Maximum): void {
    const called = new AbortController();
    const signal = AbortSignal.any([this.#ownership.stop, called.signal]);
    const reading = this.#reading(this.#parts.maximum() ?? maximum, signal);
    reading.catch(() => {});
    this.#ahead = { reading, called };
  }

  #reading(maximum: Maximum, signal: AbortSignal): Promise<Read> {
    const fewerRows = this.#fewerRows;
    this.#fewerRows = undefined;
    return this.#parts.database.ride(() => this.#readOnce(maximum, fewerRows, signal), signal);
  }

  #readOnce(maximum: Maximum, fewerRows: number | undefined, signal: AbortSignal): Promise<Read> {
    const { reads, inFlight } = this.#parts;
    const { sizer } = this.#own;
    // The bytes come second, when the reads before this one have shown how many they are.
    return reads.during(1, signal, async () => {
      const grant = await inFlight.take(sizer.expectedBytes, signal);
      const reader = this.#openReader();
      try {
        const limit = { maxRows: fewerRows ?? sizer.rows, maxBytes: sizer.maxBytes, upTo: maximum.lsn };
        const batch = await reader.read(limit, signal);
        // Nobody waits for it any more.
        signal.throwIfAborted();
        grant.resize(batch.changes.bytes);
        sizer.measured(batch.changes);
        this.#reached = { position: batch.position, commitTime: batch.commitTime };
        return { batch, grant };
      } catch (error) {
        grant.release();
        // The next attempt looks at the history again: behind a new connection there may be a restored database.
        if (!(error instanceof GapError) && this.#reader === reader) await this.#dropReader();
        throw error;
      }
    });
  }

  #openReader(): ChangeReader {
    return (this.#reader ??= this.#parts.source.reader(this.#own.table, this.#reached));
  }

  async #skipGap(gap: GapError): Promise<void> {
    const { logger } = this.#own;
    const { stop } = this.#ownership;
    const { from, to } = await this.#parts.database.ride(() => this.#openReader().skipGap(stop), stop);
    const count = this.#parts.progress.skippedGap();
    logger.warn(
      { lsn: from, to, count, error: gap },
      `changes from LSN ${from} to ${to} are lost: on_gap = "skip" goes on`,
    );
  }

  /** Where a send can save the checkpoint too, both or neither. */
  #savingSender({ position, commitTime }: ChangeBatch): Pick<Sender, "send"> | undefined {
    const { checkpoints, quiet } = this.#parts;
    if (checkpoints.sendAndSave === undefined) return undefined;
    return {
      send: async (messages) => {
        const { token, cut } = this.#ownership;
        await quiet.withdraw(this.#own.table);
        cut.throwIfAborted();
        await checkpoints.sendAndSave!(messages, this.#own.table, { position, commitTime }, token);
      },
    };
  }

  /** `saved`: it was, with the send. */
  async #save(batch: ChangeBatch, maximum: Maximum, saved: boolean): Promise<void> {
    const { table, logger } = this.#own;
    const { token, stop, cut, fenced } = this.#ownership;
    const { quiet, checkpoints, database, progress } = this.#parts;
    // Never backwards: a maximum that is older than the checkpoint makes for an older position.
    if (comparePositions(batch.position, this.#checkpoint.position) <= 0) return;
    const checkpoint = { position: batch.position, commitTime: batch.commitTime };
    const { count, bytes } = batch.changes;
    if (count === 0) {
      this.#checkpoint = checkpoint;
      quiet.note(table, checkpoint, token, fenced);
      return;
    }
    const save = async () => {
      await quiet.withdraw(table);
      cut.throwIfAborted();
      await checkpoints.save(table, checkpoint, token);
    };
    if (!saved) await database.ride(save, stop, cut);
    this.#checkpoint = checkpoint;
    const lsn = batch.position.startLsn;
    const lag = lagSeconds(batch.commitTime, maximum.commitTime);
    logger.debug({ lsn, count, bytes }, "batch delivered");
    progress.sent({ table: fullName(table), lsn, count, bytes, lagSeconds: lag });
  }

  /** Everything up to the maximum is acknowledged: there is nothing of this table in between. */
  async #raise(maximum: Maximum): Promise<void> {
    this.#checkpoint = { position: afterTransaction(maximum.lsn), commitTime: maximum.commitTime };
    this.#parts.quiet.note(this.#own.table, this.#checkpoint, this.#ownership.token, this.#ownership.fenced);
    // The reader stands where it last read: the watermark may pass that place without a change being lost.
    this.#reached = this.#checkpoint;
    await this.#dropReader();
  }

  /** Calls off what was read ahead; the next read begins at the checkpoint. */
  async #startOver(): Promise<void> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined) {
      ahead.called.abort(new Error("what was read ahead is not wanted any more"));
      const ended = ahead.reading.then(
        ({ grant }) => grant.release(),
        () => {},
      );
      await unlessAborted(ended, this.#ownership.cut).catch(() => {});
    }
    this.#reached = this.#checkpoint;
    await this.#dropReader();
  }

  async #dropReader(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) return;
    const closed = unlessAborted(reader.close(), this.#ownership.cut);
    await closed.catch((error: unknown) => this.#own.logger.debug({ error }, "a reader was left without being closed"));
  }
}
