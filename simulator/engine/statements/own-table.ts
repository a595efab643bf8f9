/** What statements that change a table's definition begin and end with. */
import { findObject } from "../query/sources.ts";
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import type { Executor } from "./executor.ts";
import { requireAlter } from "./permissions.ts";

/** Lets the hooks know of a DDL statement. */
export function tell(executor: Executor, table: Table, command: string, transaction: Transaction): void {
  const { session } = executor;
  for (const hook of table.database.hooks.onDdl) hook({ command, objectId: table.objectId, session, transaction });
}

/** The table whose definition a statement changes, with the right to do so. */
export function ownTable(executor: Executor, parts: string[]): Table {
  const found = findObject(parts, executor.compiler());
  if (found.kind !== "table")
    throw new SqlError(
      4902,
      `Cannot find the object "${parts.join(".")}" because it does not exist or you do not have permissions.`,
      16,
      1,
    );
  requireAlter(executor, found.table, parts, 13);
  return found.table;
}
