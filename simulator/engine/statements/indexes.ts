/** CREATE INDEX: https://learn.microsoft.com/sql/t-sql/statements/create-index-transact-sql */
import type { Index, Row } from "../database.ts";
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { duplicateKey, inTransaction, type Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { filterOf } from "./index-filter.ts";
import { newIndex } from "./new-table.ts";
import { ownTable, tell } from "./own-table.ts";

export async function createIndex(executor: Executor, statement: Kind<"create_index">): Promise<void> {
  await inTransaction(executor, async (transaction) => {
    const table = ownTable(executor, statement.table.parts, 1088);
    if (table.indexes.some((index) => index.name.toLowerCase() === statement.name.toLowerCase()))
      throw new SqlError(
        1913,
        `The operation failed because an index or statistics with name '${statement.name}' already exists on table '${table.qualifiedName}'.`,
        16,
        1,
      );
    await executor.session.lock(table, transaction, "X", executor.signal);
    const index = newIndex(table, statement);
    // Only its use shows whether a condition can be one of the table's rows.
    if (index.filter) filterOf(index, table, executor.session);
    install(executor, table, index, transaction);
    tell(executor, table, `CREATE INDEX ${index.name}`, transaction);
  });
  executor.sink.statementDone({});
}

function install(executor: Executor, table: Table, index: Index, transaction: Transaction): void {
  table.addIndex(index);
  transaction.onRollback(() => table.dropIndex(index));
  table.database.engine.schemaVersion++;
  if (index.unique) refuseDuplicates(executor, table, index);
}

export function refuseDuplicates(executor: Executor, table: Table, index: Index): void {
  const covers = filterOf(index, table, executor.session);
  executor.evaluating((run) => refuseDuplicatesOf(table, index, (row) => covers(row, run)));
}

function refuseDuplicatesOf(table: Table, index: Index, covers: (row: Row) => boolean): void {
  let last: Row | null = null;
  const snapshot = { seq: Number.MAX_SAFE_INTEGER, transaction: null, dirty: true };
  for (const row of table.rows(snapshot, { index })) {
    if (!covers(row)) continue;
    if (last && table.sameKey(index, last, row)) {
      const { message } = duplicateKey(table, index, row);
      throw new SqlError(
        1505,
        `The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '${table.qualifiedName}' and the index name '${index.name}'. ${message.slice(message.indexOf("The duplicate key"))}`,
        16,
        1,
      );
    }
    last = row;
  }
}

/** Nothing here depends on how an index is kept: it only has to be there. */
export function alterIndex(executor: Executor, { name, table: { parts } }: Kind<"alter_index">): void {
  const table = ownTable(executor, parts, 1088);
  const wanted = name?.toLowerCase();
  if (wanted !== undefined && !table.indexes.some((index) => index.name.toLowerCase() === wanted))
    throw new SqlError(2727, `Cannot find index '${name}'.`, 11, 1);
  executor.sink.statementDone({});
}
