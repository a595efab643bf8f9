/** What a statement needs besides the rights that its own names ask for. */
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import type { Executor } from "./executor.ts";

/**
 * Error 1088 without the right to alter the table: whoever may not is not told that it is there. `state` is that of the
 * statement, by which support tells where the error came from.
 */
export function requireAlter(
  { session }: Executor,
  table: Pick<Table, "database" | "temporary">,
  parts: string[],
  state: number,
): void {
  const { database } = table;
  if (table.temporary || session.login.sysadmin) return;
  if (database.principals.allows(session.principalIn(database), "ALTER")) return;
  throw new SqlError(
    1088,
    `Cannot find the object "${parts.join(".")}" because it does not exist or you do not have permissions.`,
    16,
    state,
  );
}
