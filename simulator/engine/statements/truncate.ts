/** TRUNCATE TABLE: all rows at once, and the identity back to its seed. */
import { findObject } from "../query/sources.ts";
import { SqlError } from "../session.ts";
import { inTransaction, type Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { requireAlter } from "./permissions.ts";
import { isReferenced } from "./references.ts";

export async function truncateTable(executor: Executor, statement: Kind<"truncate">): Promise<void> {
  const { session, sink } = executor;
  const { parts } = statement.name;
  await inTransaction(executor, async (transaction) => {
    const found = findObject(parts, executor.compiler());
    const { database } = found;
    if (found.kind !== "table")
      throw new SqlError(4708, `Could not truncate object '${parts.join(".")}' because it is not a table.`, 16, 1);
    const { table } = found;
    requireAlter(executor, table, parts, 7);
    // No table is partitioned here.
    if (statement.partitions)
      throw new SqlError(
        7729,
        `Cannot specify partition number in the truncate table statement as the table '${table.name}' is not partitioned.`,
        16,
        1,
      );
    for (const hook of database.hooks.beforeTruncate) hook(table, session);
    if (isReferenced(table))
      throw new SqlError(
        4712,
        `Cannot truncate table '${parts.join(".")}' because it is being referenced by a FOREIGN KEY constraint.`,
        16,
        1,
      );
    await session.lock(table, transaction, "X", executor.signal);
    // Row by row, so that others go on seeing them until this is committed.
    const snapshot = { seq: Number.MAX_SAFE_INTEGER, transaction };
    for (const { entry } of table.entries(snapshot)) {
      transaction.lock(entry);
      transaction.delete(table, entry);
    }
    const identity = table.columns.find((column) => column.identity)?.identity;
    const next = identity?.next ?? 0n;
    if (identity) identity.next = identity.seed;
    transaction.onRollback(() => {
      if (identity) identity.next = next;
    });
  });
  session.rowCount = 0;
  sink.statementDone({});
}
