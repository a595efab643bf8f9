/**
 * What capture makes of a transaction's log records: inserts, deletes and updates, in the order in which they can be applied.
 *
 * An update that changes a column of a unique index is a delete and an insert ("deferred update"):
 * https://learn.microsoft.com/troubleshoot/sql/database-engine/replication/update-statements-replicated-as-delete-insert
 * One such row: both come from one log record and share its LSN. Several rows in one statement, or deletes and inserts in one
 * (MERGE): the server splits updates into deletes and inserts, sorts them by key and collapses a delete and an insert of the
 * same key into an update, so that no key is inserted before it was deleted. `UPDATE t SET id = id + 1` over the ids 1, 2, 3 is
 * delete 1, update 2, update 3, insert 4. See Split, Sort and Collapse in
 * https://learn.microsoft.com/sql/relational-databases/showplan-logical-and-physical-operators-reference
 * Deletes come first here and inserts last, whatever unique index was sorted by, because a table may have several.
 */
import type { LogRecord, Row } from "../engine/database.ts";

export interface ChangeStep {
  objectId: number;
  kind: "insert" | "delete" | "update";
  before: Row | null;
  after: Row | null;
  /** Becomes __$seqval. */
  lsn: bigint;
  /** The statement's number in its transaction. */
  statement: number;
}

/** A row's identity as text: of its primary key, or undefined in a table without one. */
export type KeyOf = (objectId: number, row: Row, lsn: bigint) => string | undefined;

export function* changeSteps(records: readonly LogRecord[], keyOf: KeyOf): Generator<ChangeStep> {
  for (let start = 0; start < records.length; ) {
    const first = records[start]!;
    let end = start + 1;
    while (end < records.length && sameStatement(first, records[end]!)) end++;
    yield* statementSteps(records.slice(start, end), keyOf);
    start = end;
  }
}

function sameStatement(a: LogRecord, b: LogRecord): boolean {
  return a.command === b.command && a.objectId === b.objectId;
}

function* statementSteps(records: LogRecord[], keyOf: KeyOf): Generator<ChangeStep> {
  if (records.length > 1 && needsSorting(records)) {
    yield* sorted(records, keyOf);
    return;
  }
  for (const record of records) {
    if (record.kind === "update" && record.keyChanged) {
      yield step(record, "delete", record.before, null);
      yield step(record, "insert", null, record.after);
    } else yield step(record, record.kind, record.before, record.after);
  }
}

function needsSorting(records: LogRecord[]): boolean {
  const kinds = new Set(records.map((record) => (record.keyChanged ? "moved" : record.kind)));
  return kinds.has("moved") || (kinds.has("delete") && kinds.has("insert"));
}

function* sorted(records: LogRecord[], keyOf: KeyOf): Generator<ChangeStep> {
  const deletes: ChangeStep[] = [];
  const updates: ChangeStep[] = [];
  const inserts: ChangeStep[] = [];
  for (const record of records) {
    const moved = record.kind === "update" && record.keyChanged;
    if (moved || record.kind === "delete") deletes.push(step(record, "delete", record.before, null));
    if (moved || record.kind === "insert") {
      const insert = step(record, "insert", null, record.after);
      if (moved && record.insertLsn !== undefined) insert.lsn = record.insertLsn;
      inserts.push(insert);
    }
    if (record.kind === "update" && !moved) updates.push(step(record, "update", record.before, record.after));
  }
  yield* collapse(deletes, updates, inserts, keyOf);
}

function* collapse(
  deletes: ChangeStep[],
  updates: ChangeStep[],
  inserts: ChangeStep[],
  keyOf: KeyOf,
): Generator<ChangeStep> {
  const deleted = new Map<string, ChangeStep>();
  for (const step of deletes) {
    const key = keyOf(step.objectId, step.before!, step.lsn);
    if (key !== undefined) deleted.set(key, step);
  }
  const collapsed = new Set<ChangeStep>();
  for (const insert of inserts) {
    const key = keyOf(insert.objectId, insert.after!, insert.lsn);
    const gone = key === undefined ? undefined : deleted.get(key);
    if (!gone) continue;
    collapsed.add(gone).add(insert);
    updates.push({ ...insert, kind: "update", before: gone.before });
  }
  updates.sort((a, b) => (a.lsn < b.lsn ? -1 : 1));
  for (const step of [...deletes, ...updates, ...inserts]) if (!collapsed.has(step)) yield step;
}

function step(record: LogRecord, kind: ChangeStep["kind"], before: Row | null, after: Row | null): ChangeStep {
  return { objectId: record.objectId, kind, before, after, lsn: record.lsn, statement: record.command };
}
