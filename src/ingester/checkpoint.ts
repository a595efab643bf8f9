/** Where a table's reading stands, durably. Saving is a compare-and-set on the fencing token. */
import type { Message } from "../change/message.ts";
import type { Lsn, Position } from "../change/position.ts";
import type { FencingToken } from "../locks/lock.ts";

export interface Checkpoint {
  /** The last change whose message the queue has acknowledged, or (a maximum LSN, +infinity). */
  position: Position;
  /**
   * The commit time that the source maps position.startLsn to, as it says it (server-local, `2026-11-21T10:11:12.123`):
   * evidence that the history is still the one that was read. Null where it was not known.
   */
  commitTime: string | null;
}

export interface StoredCheckpoint extends Checkpoint {
  table: TableName;
  /** 0: written by a version without tokens, or by hand. */
  token: FencingToken;
  /** UTC. */
  updatedAt: Date;
}

/** What stopped a table, as its owner said it. */
export interface Failure {
  table: TableName;
  error: string;
  /** UTC. */
  since: Date;
}

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** As the seed names checkpoint rows: `Persons` for dbo, `sales.Orders` else. */
export function checkpointKey({ schema, table }: TableName): string {
  return schema.toLowerCase() === "dbo" ? table : `${schema}.${table}`;
}

/** `schema.table`, for locks, logs and errors. */
export function fullName({ schema, table }: TableName): string {
  return `${schema}.${table}`;
}

export interface CheckpointStore {
  /** Creates or upgrades what it needs. Safe from several processes at once, and again. */
  prepare(): Promise<void>;
  /**
   * Takes the table over, in one atomic step: from now on the stored token is the larger of `atLeast` and the stored one plus
   * one, so a former owner can no longer save. Answers that token and where to continue, null if the table has no checkpoint.
   */
  claim(table: TableName, atLeast: FencingToken): Promise<{ token: FencingToken; checkpoint: Checkpoint | null }>;
  /** Throws FencedError, and writes nothing, where the stored token is not this one. */
  save(table: TableName, checkpoint: Checkpoint, token: FencingToken): Promise<void>;
  /**
   * Where the store is part of the ingest queue's system: puts the messages into the queue and saves the checkpoint, both or neither.
   * Rejects as `save` does, and as Sender.send does; called again with the same after that, it does what was not done, nothing
   * twice. Never two calls for one table at once. Undefined elsewhere: then a checkpoint is saved after its messages.
   */
  sendAndSave?(
    messages: readonly Message[],
    table: TableName,
    checkpoint: Checkpoint,
    token: FencingToken,
  ): Promise<void>;
  /** Many at once, in one statement: for quiet tables. Answers those that were fenced off; nothing was written for these. */
  saveAll(entries: { table: TableName; checkpoint: Checkpoint; token: FencingToken }[]): Promise<TableName[]>;
  load(table: TableName): Promise<StoredCheckpoint | null>;
  list(): Promise<StoredCheckpoint[]>;
  /**
   * What stops a table, for others to see; null: nothing any more. Saving or forcing a checkpoint forgets it as well. Fences
   * nobody off, and is kept only for a table that was claimed once.
   */
  noteFailure(table: TableName, error: string | null): Promise<void>;
  failures(): Promise<Failure[]>;
  /** By an operator: sets the position whatever the token, and raises the token, so that a running owner is fenced off. */
  force(table: TableName, checkpoint: Checkpoint): Promise<void>;
  close(): Promise<void>;
}

export type { Lsn, Position };
