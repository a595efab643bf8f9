/**
 * What stands in a checkpoint topic. A table has three records, each under a key of its own, the latest of which counts: who owns it
 * (its token), its checkpoint, and what stops it. A failure stands only until the next checkpoint: its offset tells.
 */
import { TransportError } from "../../../errors.ts";
import type { Checkpoint, Failure, StoredCheckpoint, TableName } from "../../../ingester/checkpoint.ts";
import { checkpointKey } from "../../../ingester/checkpoint.ts";
import type { FencingToken } from "../../../locks/lock.ts";

export type RecordKind = "owner" | "checkpoint" | "failure";

/** All that is known of one table. */
export interface TableRecords {
  owner?: { table: TableName; token: FencingToken };
  checkpoint?: StoredCheckpoint & { offset: bigint };
  failure?: Failure & { offset: bigint };
}

/** `scope`: server and database, since their names are the same elsewhere. */
export function tableKey(scope: string, table: TableName): string {
  return `${scope}/${checkpointKey(table)}`.toLowerCase();
}

export function recordKey(kind: RecordKind, key: string): Buffer {
  return Buffer.from(`${kind} ${key}`);
}

export function ownerValue({ schema, table }: TableName, token: FencingToken): Buffer {
  return json({ schema, table, token });
}

export function checkpointValue({ schema, table }: TableName, checkpoint: Checkpoint, token: FencingToken): Buffer {
  const { position, commitTime } = checkpoint;
  return json({ schema, table, token, position, commitTime, updatedAt: new Date().toISOString() });
}

export function failureValue({ schema, table }: TableName, error: string): Buffer {
  return json({ schema, table, error, since: new Date().toISOString() });
}

/** Takes in the next record. Throws where the topic holds something else: then nothing in it may be believed. */
export function takeIn(
  tables: Map<string, TableRecords>,
  record: { key: Buffer | null; value: Buffer | null; offset: bigint },
): void {
  const [, kind, key] = /^(owner|checkpoint|failure) (.+)$/s.exec(record.key?.toString() ?? "") ?? [];
  if (kind === undefined || key === undefined)
    throw new TransportError("rejected", "The topic that is to keep checkpoints holds records that are none.", {
      advice: "Name another one: checkpoints { topic = … }.",
    });
  const records: TableRecords = tables.get(key) ?? {};
  tables.set(key, records);
  if (record.value === null || record.value.length === 0) {
    delete records[kind as RecordKind];
    return;
  }
  const { offset } = record;
  const value = JSON.parse(record.value.toString());
  const table = { schema: value.schema, table: value.table };
  if (kind === "owner") records.owner = { table, token: value.token };
  else if (kind === "failure") records.failure = { table, error: value.error, since: new Date(value.since), offset };
  else {
    const { position, commitTime, token, updatedAt } = value;
    records.checkpoint = { table, position, commitTime, token, updatedAt: new Date(updatedAt), offset };
  }
}

export function checkpointOf({ checkpoint, owner }: TableRecords): StoredCheckpoint | null {
  if (checkpoint === undefined) return null;
  const { offset: _, ...stored } = checkpoint;
  return { ...stored, token: Math.max(stored.token, owner?.token ?? 0) };
}

/** What stops the table, unless its checkpoint has moved since. */
export function failureOf({ failure, checkpoint }: TableRecords): Failure | null {
  if (failure === undefined || failure.offset < (checkpoint?.offset ?? -1n)) return null;
  const { offset: _, ...rest } = failure;
  return rest;
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
