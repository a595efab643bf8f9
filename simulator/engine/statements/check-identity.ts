/** DBCC CHECKIDENT: https://learn.microsoft.com/sql/t-sql/database-console-commands/dbcc-checkident-transact-sql */
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { inTransaction, type Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { ownTable } from "./own-table.ts";

export async function checkIdentity(executor: Executor, statement: Kind<"check_identity">): Promise<void> {
  const { sink, session } = executor;
  const value = statement.value ? ((await executor.value(statement.value, { id: "bigint" })) as bigint) : undefined;
  await inTransaction(executor, async (transaction) => {
    const table = ownTable(executor, statement.table.parts, 2501);
    const place = table.columns.findIndex((column) => column.identity);
    if (place < 0) throw new SqlError(7997, `'${table.name}' does not contain an identity column.`, 16, 1);
    await session.lock(table, transaction, "X", executor.signal);
    const { current, largest } = reseed(table, place, statement.reseed, value, transaction);
    if (statement.quiet) return;
    const column = value === undefined ? `, current column value '${largest ?? "NULL"}'` : "";
    const shown = `Checking identity information: current identity value '${current ?? "NULL"}'${column}.`;
    for (const [number, message] of [
      [value === undefined ? 7998 : 7999, shown],
      [2528, "DBCC execution completed. If DBCC printed error messages, contact your system administrator."],
    ] as const)
      sink.message({ number, severity: 0, state: 1, message, line: statement.line });
  });
  sink.statementDone({});
}

/** Gives the current identity value as it was, NULL where none was given yet, and the largest one in the table. */
function reseed(
  table: Table,
  place: number,
  wanted: boolean,
  value: bigint | undefined,
  transaction: Transaction,
): { current: bigint | null; largest: bigint | null } {
  const identity = table.columns[place]!.identity!;
  const { seed, increment, next } = identity;
  let largest: bigint | null = null;
  for (const row of table.rows({ seq: Number.MAX_SAFE_INTEGER, transaction })) {
    const number = BigInt(String(row[place]));
    if (largest === null || (increment > 0n ? number > largest : number < largest)) largest = number;
  }
  const unused = next === seed && largest === null;
  const current = unused ? null : next - increment;
  if (wanted) {
    // The first row of a table that never had one, or was truncated, gets the new value itself.
    if (value !== undefined) identity.next = unused ? value : value + increment;
    else if (largest !== null && (increment > 0n ? next <= largest : next >= largest))
      identity.next = largest + increment;
    transaction.onRollback(() => {
      identity.next = next;
    });
  }
  return { current, largest };
}
