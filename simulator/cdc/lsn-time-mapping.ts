/** Questions to cdc.lsn_time_mapping. */
import { lsnFromBuffer, lsnToBuffer, type Row } from "../engine/database.ts";
import type { Snapshot, Table } from "../engine/table.ts";
import type { Temporal } from "../engine/values.ts";
import { compareTimes } from "./server-time.ts";

export const START_LSN = 0;
export const END_TIME = 2;

/** tran_id */
export function transactionIdBytes(id: bigint): Buffer {
  return Buffer.from(id.toString(16).padStart(12, "0"), "hex");
}

/** For an LSN that belongs to no transaction. */
export function entryWithoutTransaction(lsn: bigint, time: Temporal): Row {
  return [lsnToBuffer(lsn), time, time, Buffer.alloc(1), Buffer.alloc(10)];
}

function edge(mapping: Table, snapshot: Snapshot, descending: boolean): Row | undefined {
  for (const row of mapping.rows(snapshot, { index: mapping.clusteredIndex!, descending })) return row;
  return undefined;
}

/** sys.fn_cdc_get_max_lsn: the largest start_lsn, null while there is none. */
export function maximumLsn(mapping: Table, snapshot: Snapshot): bigint | null {
  const row = edge(mapping, snapshot, true);
  return row ? lsnFromBuffer(row[START_LSN] as Buffer) : null;
}

export function latestEntry(mapping: Table, snapshot: Snapshot): Row | undefined {
  return edge(mapping, snapshot, true);
}

export function entryOf(mapping: Table, snapshot: Snapshot, lsn: bigint): Row | undefined {
  const key = lsnToBuffer(lsn);
  for (const row of mapping.rows(snapshot, { index: mapping.clusteredIndex!, prefix: [key] })) return row;
  return undefined;
}

/** Of the entries with this entry's commit time, the smallest LSN. */
export function smallestWithTimeOf(mapping: Table, snapshot: Snapshot, entry: Row): bigint {
  const time = mapping.indexes.find((index) => !index.clustered)!;
  for (const row of mapping.rows(snapshot, { index: time, prefix: [entry[END_TIME]!] }))
    return lsnFromBuffer(row[START_LSN] as Buffer);
  return lsnFromBuffer(entry[START_LSN] as Buffer);
}

export const RELATIONS = [
  "largest less than",
  "largest less than or equal",
  "smallest greater than",
  "smallest greater than or equal",
] as const;
export type Relation = (typeof RELATIONS)[number];

/** sys.fn_cdc_map_time_to_lsn. */
export function lsnOfTime(mapping: Table, snapshot: Snapshot, relation: Relation, time: Temporal): bigint | null {
  const index = mapping.indexes.find((candidate) => !candidate.clustered)!;
  const bound = { value: time, inclusive: relation.endsWith("or equal") };
  const largest = relation.startsWith("largest");
  const range = largest ? { index, to: bound, descending: true } : { index, from: bound };
  for (const row of mapping.rows(snapshot, range)) {
    const found = row[END_TIME] as Temporal | null;
    if (found === null || (bound.inclusive ? false : compareTimes(found, time) === 0)) continue;
    return lsnFromBuffer(row[START_LSN] as Buffer);
  }
  return null;
}
