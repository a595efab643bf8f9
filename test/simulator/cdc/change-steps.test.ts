import assert from "node:assert/strict";
import { test } from "node:test";
import { changeSteps } from "../../../simulator/cdc/change-steps.ts";
import type { LogRecord, Row } from "../../../simulator/engine/database.ts";

const keyOf = (_: number, row: Row) => String(row[0]);

function update(lsn: bigint, before: Row, after: Row): LogRecord {
  const keyChanged = before[0] !== after[0];
  const record: LogRecord = { lsn, objectId: 1, kind: "update", before, after, keyChanged, command: 1 };
  if (keyChanged) record.insertLsn = lsn + 1n;
  return record;
}

function told(records: LogRecord[]): string[] {
  return [...changeSteps(records, keyOf)].map(
    ({ kind, before, after, lsn }) => `${lsn} ${kind} ${before ?? "-"} > ${after ?? "-"}`,
  );
}

// https://learn.microsoft.com/troubleshoot/sql/database-engine/replication/update-statements-replicated-as-delete-insert
test("an update of one row's key is a delete and an insert that share a sequence value", () => {
  assert.deepEqual(told([update(10n, [1, "a"], [3, "a"])]), ["10 delete 1,a > -", "10 insert - > 3,a"]);
});

test("keys moved far away are all deleted before any is inserted, with sequence values of their own", () => {
  assert.deepEqual(told([update(10n, [1, "a"], [101, "a"]), update(12n, [2, "b"], [102, "b"])]), [
    "10 delete 1,a > -",
    "12 delete 2,b > -",
    "11 insert - > 101,a",
    "13 insert - > 102,b",
  ]);
});

// Split, Sort, Collapse: https://learn.microsoft.com/sql/relational-databases/showplan-logical-and-physical-operators-reference
test("keys shifted onto one another collapse into updates", () => {
  assert.deepEqual(
    told([update(10n, [1, "a"], [2, "a"]), update(12n, [2, "b"], [3, "b"]), update(14n, [3, "c"], [4, "c"])]),
    ["10 delete 1,a > -", "11 update 2,b > 2,a", "13 update 3,c > 3,b", "15 insert - > 4,c"],
  );
});

test("two statements are not mixed", () => {
  const first = update(10n, [1, "a"], [2, "a"]);
  const second = { ...update(12n, [2, "a"], [1, "a"]), command: 2 };
  assert.deepEqual(told([first, second]), [
    "10 delete 1,a > -",
    "10 insert - > 2,a",
    "12 delete 2,a > -",
    "12 insert - > 1,a",
  ]);
});
