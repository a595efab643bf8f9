/**
 * When triggers run: INSTEAD OF triggers in place of a statement's changes, AFTER triggers when all of them are made and the
 * constraints hold. They see the rows as `inserted` and `deleted`, and are part of the statement and its transaction.
 *
 * NESTED_TRIGGERS is on and RECURSIVE_TRIGGERS off, as they are by default: what a trigger changes fires others, but not itself.
 * XACT_ABORT is on in a trigger: an error undoes the transaction and ends the batch.
 * https://learn.microsoft.com/sql/t-sql/statements/create-trigger-transact-sql
 */

import type { Row } from "../database.ts";
import { Activation } from "../run.ts";
import { SqlError } from "../session.ts";
import { inside } from "../statements/calls.ts";
import type { Changed } from "../statements/changes.ts";
import type { Executor } from "../statements/executor.ts";
import { raised } from "../statements/raising.ts";
import type { Database, Trigger, TriggerEvent } from "../storage.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { tableOf } from "./rows.ts";
import { refuseNulls } from "./views.ts";

/** What a trigger's statements can ask of the one that fired it. */
export interface Firing {
  trigger: Trigger;
  inserted: Table;
  deleted: Table;
  /** Places of the columns for which UPDATE() is true. */
  updated: Set<number>;
}

export interface Fired {
  after: { event: TriggerEvent; triggers: Trigger[] }[];
  insteadOf: { event: TriggerEvent; trigger: Trigger } | null;
}

/** null where no trigger is to run. */
export function firedBy(executor: Executor, table: Table, events: TriggerEvent[]): Fired | null {
  const { database, objectId } = table.standsFor ?? table;
  if ((table.temporary && !table.standsFor) || database.triggers.size === 0) return null;
  const running = executor.activation.firing?.trigger;
  const own = [...database.triggers.values()].filter(
    (trigger) => trigger.tableId === objectId && !trigger.disabled && trigger.objectId !== running?.objectId,
  );
  const of = (event: TriggerEvent, instead: boolean) =>
    own.filter((trigger) => trigger.insteadOf === instead && trigger.events.includes(event));
  const instead = events.flatMap((event) => of(event, true).map((trigger) => ({ event, trigger })));
  const after = events.map((event) => ({ event, triggers: inOrder(of(event, false), event) }));
  if (instead.length === 0 && after.every(({ triggers }) => triggers.length === 0)) return null;
  return { after, insteadOf: instead[0] ?? null };
}

/** sp_settriggerorder; those without an order as they were made. */
function inOrder(triggers: Trigger[], event: TriggerEvent): Trigger[] {
  const rank = (trigger: Trigger) => ({ first: 0, none: 1, last: 2 })[trigger.order?.[event] ?? "none"];
  return triggers.sort((a, b) => rank(a) - rank(b));
}

/** Runs what a statement has fired. Error 3609 if that ended the transaction. */
export async function runTriggers(
  executor: Executor,
  transaction: Transaction,
  table: Table,
  fired: Fired,
  changed: Changed,
  updated: Set<number>,
): Promise<void> {
  const { session } = executor;
  // In autocommit mode the statement's own transaction is the trigger's.
  const own = session.currentTransaction !== transaction;
  if (own) {
    session.currentTransaction = transaction;
    session.transactionCount = 1;
  }
  const { options } = session;
  session.options = { ...options, xactAbort: true, nocount: false };
  try {
    const runs = fired.insteadOf
      ? [{ event: fired.insteadOf.event, triggers: [fired.insteadOf.trigger] }]
      : fired.after;
    for (const { event, triggers } of runs) {
      if (triggers.length === 0) continue;
      const rows = rowsOf(changed, event);
      if (fired.insteadOf && event === "insert") rows.inserted = rows.inserted.map((row) => withoutNumber(table, row));
      refuseNulls(table, rows.inserted);
      const { database } = table.standsFor ?? table;
      const shape = { database, createDate: table.createDate, columns: table.columns };
      const tables = {
        inserted: tableOf(shape, "inserted", rows.inserted),
        deleted: tableOf(shape, "deleted", rows.deleted),
      };
      for (const trigger of triggers)
        await run(
          executor,
          transaction,
          database,
          { trigger, ...tables, updated: event === "delete" ? new Set() : updated },
          rows,
        );
    }
  } catch (error) {
    // A CATCH block can only roll back.
    if (error instanceof SqlError && transaction.state === "active" && !raised.has(error)) transaction.doomed = true;
    throw error;
  } finally {
    session.options = options;
    if (own && session.currentTransaction === transaction) {
      session.currentTransaction = null;
      session.transactionCount = 0;
    }
  }
}

async function run(
  executor: Executor,
  transaction: Transaction,
  database: Database,
  firing: Firing,
  rows: { inserted: Row[]; deleted: Row[] },
): Promise<void> {
  const { session, sink, signal } = executor;
  const { trigger } = firing;
  if (executor.activation.nesting >= 32)
    throw new SqlError(
      217,
      "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
      16,
      1,
    );
  const activation = new Activation(executor.activation, trigger.name);
  activation.firing = firing;
  session.rowCount = Math.max(rows.inserted.length, rows.deleted.length);
  await inside({ session, sink, signal, activation }, trigger.body, database);
  if (transaction.state !== "active")
    throw new SqlError(3609, "The transaction ended in the trigger. The batch has been aborted.", 16, 1);
}

function rowsOf({ written, deleted }: Changed, event: TriggerEvent): { inserted: Row[]; deleted: Row[] } {
  if (event === "delete") return { inserted: [], deleted };
  const rows = written.filter(({ before }) => (before === null) === (event === "insert"));
  return {
    inserted: rows.map(({ after }) => after),
    deleted: rows.flatMap(({ before }) => (before ? [before] : [])),
  };
}

/** An identity that is not given yet is 0. */
function withoutNumber(table: Table, row: Row): Row {
  return row.map((value, i) => {
    const { identity, type } = table.columns[i]!;
    if (!identity) return value;
    return type.id === "bigint" ? 0n : 0;
  });
}
