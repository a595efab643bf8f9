/** What statements that change a table's definition begin and end with. */
import { unsupported } from "../errors.ts";
import { lookUp } from "../query/sources.ts";
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

/** What each statement says of a table that is not there. */
const MISSING = {
  4902: (name: string) => `Cannot find the object "${name}" because it does not exist or you do not have permissions.`,
  1088: (name: string) => `Cannot find the object "${name}" because it does not exist or you do not have permissions.`,
  2501: (name: string) => `Cannot find a table or object with the name "${name}". Check the system catalog.`,
  8197: (name: string) => `The object '${name}' does not exist or is invalid for this operation.`,
};

/** The table whose definition a statement changes, with the right to do so. */
export function ownTable(executor: Executor, parts: string[], missing: keyof typeof MISSING): Table {
  const found = lookUp(parts, executor.compiler());
  if (found?.kind === "view" && missing === 1088) throw unsupported("indexes on views");
  if (found?.kind !== "table") throw new SqlError(missing, MISSING[missing](parts.join(".")), 16, 1);
  requireAlter(executor, found.table, parts, 13);
  return found.table;
}
