/**
 * One for a database: asks for the maximum LSN, and while that stands still, for nothing else. When it moved, one query
 * tells which of the tables that wait have changes.
 *
 * The next question is due after the smallest interval that any table has reached. A table that was just claimed does not
 * wait for it: its first turn comes with the next maximum, which is then asked for at once, since an older one may be older
 * than its checkpoint. A table is not asked about again while its turn is due but its base interval is not yet over.
 */

import { unlessAborted } from "../abort.ts";
import { afterTransaction, comparePositions, type Lsn, type Position } from "../change/position.ts";
import { SourceError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { fullName } from "./checkpoint.ts";
import type { Clock } from "./clock.ts";
import type { Outage } from "./outage.ts";
import type { PollInterval } from "./poll-interval.ts";
import type { Source, SourceTable } from "./source.ts";

export interface Maximum {
  lsn: Lsn;
  commitTime: string | null;
}

/**
 * What a waiting table learns.
 * - `read`: it has changes after the position that it waited with.
 * - `quiet`: it has none, up to and including the maximum.
 * - `verify`: the history may be another one than it was (or was never looked at since the table was claimed); only a new
 *   reader can tell.
 */
export interface Turn {
  kind: "read" | "quiet" | "verify";
  maximum: Maximum;
}

/** However many tables are claimed one after the other, the maximum is not asked for more often for their sake. */
const CLAIMS_PAUSE = 100;
/** Longer pauses are cut into these: a timer cannot be set for ever. */
const LONGEST_PAUSE = 3_600_000;

interface Waiting {
  watch: Watch;
  /** Null: to be read whatever there is. */
  after: Position | null;
  /** Whether the watcher has asked the database since this table began to wait. */
  asked: boolean;
  answer: (turn: Turn) => void;
}

interface Behind {
  table: SourceTable;
  after: Position;
}

interface Answer {
  maximum: Maximum | null;
  /** Full names of the tables with changes. */
  changed: Set<string>;
}

function mustVerify(watch: Watch, after: Position | null, end: Position): boolean {
  return after === null || watch.suspicious || comparePositions(after, end) > 0;
}

export class Watcher {
  #source: Source;
  #database: Outage;
  #clock: Clock;
  #logger: Logger;
  #watches = new Set<Watch>();
  #waiting = new Set<Waiting>();
  #maximum: Maximum | null = null;
  #saidEmpty = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #nudged = new AbortController();

  constructor(parts: { source: Source; database: Outage; clock: Clock; logger: Logger }) {
    this.#source = parts.source;
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  /** The latest that is known; null before the first answer. */
  get maximum(): Maximum | null {
    return this.#maximum;
  }

  /** From now until `end`, the table's interval counts. */
  watch(table: SourceTable, interval: PollInterval): Watch {
    const watch: Watch = new Watch(table, interval, this.#clock, {
      wait: (after, signal) => this.#wait(watch, after, signal),
      hurry: () => this.#nudged.abort(),
      end: () => this.#watches.delete(watch),
      latest: () => this.#maximum,
    });
    this.#watches.add(watch);
    return watch;
  }

  /** Until the signal aborts. Rejects with what stops the whole ingester. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#nudged.abort(), { once: true });
    while (await this.#untilDue(signal)) {
      try {
        await this.#ask(signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  async #untilDue(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      const pause = this.#pause();
      if (pause <= 0) return true;
      this.#nudged = new AbortController();
      await this.#clock.wait(pause, this.#nudged.signal);
    }
    return false;
  }

  /** Until the next question is due: never while no table is ours. */
  #pause(): number {
    let interval = LONGEST_PAUSE;
    if (this.#watches.size === 0) return interval;
    for (const watch of this.#watches) interval = Math.min(interval, watch.interval.current);
    const claimed = [...this.#waiting].some(({ after, asked }) => after === null && !asked);
    if (claimed) interval = Math.min(interval, CLAIMS_PAUSE);
    return this.#askedAt + interval - this.#clock.now();
  }

  async #wait(watch: Watch, after: Position | null, signal: AbortSignal): Promise<Turn> {
    const { promise, resolve } = Promise.withResolvers<Turn>();
    const waiting: Waiting = { watch, after, asked: false, answer: resolve };
    this.#waiting.add(waiting);
    if (after === null) this.#nudged.abort();
    try {
      return await unlessAborted(promise, signal);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const waiting = [...this.#waiting];
    for (const each of waiting) each.asked = true;
    this.#askedAt = this.#clock.now();
    const { maximum, changed } = await this.#question(waiting, signal);
    if (maximum === null) this.#sayEmpty();
    else {
      this.#maximum = maximum;
      for (const each of waiting) this.#tell(each, maximum, changed);
    }
    for (const each of waiting) if (this.#waiting.has(each)) each.watch.interval.nothing(this.#askedAt);
  }

  #sayEmpty(): void {
    if (!this.#saidEmpty) this.#logger.info("CDC has captured nothing yet: waiting for the capture job's first scan");
    this.#saidEmpty = true;
  }

  /**
   * Both questions, or both again: a maximum from before an outage means nothing after it. Behind a lost connection a
   * database may have been restored, or have failed over, so that every table's next turn is to verify.
   */
  async #question(waiting: Waiting[], signal: AbortSignal): Promise<Answer> {
    let attempts = 0;
    const ask = async (): Promise<Answer> => {
      if (attempts++ > 0) for (const watch of this.#watches) watch.suspicious = true;
      const maximum = await this.#source.maximum(signal);
      if (maximum === null) return { maximum, changed: new Set() };
      const end = afterTransaction(maximum.lsn);
      const behind = waiting.flatMap(({ watch, after }) =>
        mustVerify(watch, after, end) || comparePositions(after!, end) === 0
          ? []
          : [{ table: watch.table, after: after! }],
      );
      return { maximum, changed: behind.length === 0 ? new Set() : await this.#changed(behind, maximum, signal) };
    };
    return await this.#database.ride(ask, signal);
  }

  #tell(waiting: Waiting, maximum: Maximum, changed: Set<string>): void {
    const { watch, after } = waiting;
    const end = afterTransaction(maximum.lsn);
    if (mustVerify(watch, after, end)) this.#answer(waiting, "verify", maximum);
    else if (comparePositions(after!, end) < 0)
      this.#answer(waiting, changed.has(fullName(watch.table)) ? "read" : "quiet", maximum);
  }

  async #changed(behind: Behind[], maximum: Maximum, signal: AbortSignal): Promise<Set<string>> {
    try {
      const changed = await this.#source.changed(behind, maximum.lsn, signal);
      return new Set(changed.map(fullName));
    } catch (error) {
      if (!(error instanceof SourceError && error.scope === "table")) throw error;
      this.#logger.debug(
        { error },
        "one table spoils the question for all: each is read, and the one at fault will say so",
      );
      return new Set(behind.map(({ table }) => fullName(table)));
    }
  }

  #answer(waiting: Waiting, kind: Turn["kind"], maximum: Maximum): void {
    if (!this.#waiting.delete(waiting)) return;
    if (kind === "quiet") waiting.watch.interval.nothing(this.#askedAt);
    if (kind === "verify") waiting.watch.suspicious = false;
    waiting.answer({ kind, maximum });
  }
}

/** What a Watch asks of its watcher. */
interface WatcherSide {
  wait(after: Position | null, signal: AbortSignal): Promise<Turn>;
  /** The table's interval has become shorter. */
  hurry(): void;
  latest(): Maximum | null;
  end(): void;
}

/** One table's side of the watcher, for as long as this process owns the table. */
export class Watch {
  readonly table: SourceTable;
  readonly interval: PollInterval;
  /** The next turn is to verify. */
  suspicious = false;
  #clock: Clock;
  #watcher: WatcherSide;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(table: SourceTable, interval: PollInterval, clock: Clock, watcher: WatcherSide) {
    this.table = table;
    this.interval = interval;
    this.#clock = clock;
    this.#watcher = watcher;
  }

  /**
   * Waits until there is something to say of what comes after this position (null: a table not yet read since it was
   * claimed). A turn to read or verify is given once the base interval since the last one has passed. Rejects when the signal aborts.
   */
  async next(after: Position | null, signal: AbortSignal): Promise<Turn> {
    const turn = await this.#watcher.wait(after, signal);
    if (turn.kind === "quiet") return turn;
    const backedOff = this.interval.current > this.interval.base;
    this.interval.came(this.#clock.now());
    if (backedOff) this.#watcher.hurry();
    const pause = this.#readAt + this.interval.base - this.#clock.now();
    if (pause > 0) await this.#clock.wait(pause, signal);
    signal.throwIfAborted();
    this.#readAt = this.#clock.now();
    return { kind: turn.kind, maximum: this.#watcher.latest() ?? turn.maximum };
  }

  end(): void {
    this.#watcher.end();
  }
}
