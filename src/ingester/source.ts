/**
 * The contract between the ingester and a database that keeps changes. Everything here throws SourceError (see its
 * scopes), GapError or HistoryError, on a connection that heals itself: after `unavailable` the same call may be made again.
 */
import type { MessageRun } from "../change/message-run.ts";
import type { Lsn, Position } from "../change/position.ts";
import type { Checkpoint, TableName } from "./checkpoint.ts";

/** A table whose changes are to be delivered. */
export interface SourceTable extends TableName {
  /** `<server>/<database>/<schema>.<table>`: the lock's name. */
  readonly lockName: string;
  /** The topic that its messages end in. */
  readonly destination: string;
}

export interface Source {
  /** `<server>/<database>/`: what its tables' lock names begin with. */
  readonly lockPrefix: string;
  /** The tables that the configuration names, patterns resolved against the catalogue as of now. */
  tables(): Promise<SourceTable[]>;
  /** The largest LSN that the capture job has committed; null while it has none. One small query. */
  maximum(signal: AbortSignal): Promise<{ lsn: Lsn; commitTime: string | null } | null>;
  /**
   * Which of these tables have changes after their positions and not above `upTo`. One query for all. An instance change or a
   * gap counts as a change: the reader is to find it. For all others the caller's checkpoint becomes (upTo, +infinity): so
   * this throws `unavailable` where its own connection (to another replica, say) has not seen `upTo` yet.
   */
  changed(tables: { table: SourceTable; after: Position }[], upTo: Lsn, signal: AbortSignal): Promise<SourceTable[]>;
  /**
   * Where a table without checkpoint begins, by the configuration's `start`. One that `appeared` while the ingester ran begins
   * with all that CDC has of it where `start` is "now": between its first change and now somebody had to find it.
   */
  start(table: SourceTable, signal: AbortSignal, appeared?: boolean): Promise<Position>;
  /**
   * Reads on from a checkpoint. Before its first batch the reader holds the checkpoint against the history (HistoryError) and
   * the low watermark (GapError).
   */
  reader(table: SourceTable, from: Checkpoint): ChangeReader;
  close(): Promise<void>;
}

export interface BatchLimit {
  /** TOP (n); a reader may return fewer. */
  maxRows: number;
  /** Bound of the encoded messages; exceeded only by a single message larger than it. */
  maxBytes: number;
  /** The polled maximum: nothing above it is read. */
  upTo: Lsn;
}

export interface ChangeReader {
  /**
   * The next changes after the last batch, in order; the same again after an error. Reads its result to the end, then holds
   * the position that it read from against the low watermark once more (GapError: nothing of the batch may be used).
   */
  read(limit: BatchLimit, signal: AbortSignal): Promise<ChangeBatch>;
  /** on_gap = "skip": goes on from the low watermark; answers how the two stand. Nothing is lost that was not gone already. */
  skipGap(signal: AbortSignal): Promise<{ from: Lsn; to: Lsn }>;
  close(): Promise<void>;
}

export interface ChangeBatch {
  /** Row messages, one a change; in position order. */
  readonly changes: MessageRun;
  /** Everything up to here has been read; where nothing is left below `upTo`: (upTo, +infinity). */
  readonly position: Position;
  /** The time that goes with position.startLsn, as Checkpoint.commitTime. */
  readonly commitTime: string | null;
  /** There may be more up to the limit's `upTo`: read again without a pause. */
  readonly more: boolean;
}
