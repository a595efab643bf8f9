/** CREATE, ALTER, ENABLE and DISABLE TRIGGER; DROP TRIGGER is among the modules. */
import { unsupported } from "../errors.ts";
import { lookUp } from "../query/sources.ts";
import { SqlError } from "../session.ts";
import type { Database, Trigger, TriggerEvent } from "../storage.ts";
import { inTransaction, type Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { alreadyThere, placeOf } from "./new-table.ts";
import { ownTable } from "./own-table.ts";
import { requireAlter } from "./permissions.ts";

export async function createTrigger(executor: Executor, statement: Kind<"create_trigger">): Promise<void> {
  const { session, sink } = executor;
  const { insteadOf, events, body, text } = statement;
  await inTransaction(executor, async (transaction) => {
    const table = triggerTarget(executor, statement.table.parts, insteadOf);
    const { database, schema, name } = placeOf(executor, {
      parts: statement.name.parts.length > 1 ? statement.name.parts : [table.schema, ...statement.name.parts],
    });
    if (schema.toLowerCase() !== table.schema.toLowerCase() || database !== table.database)
      throw new SqlError(
        2103,
        `Cannot ${statement.mustExist ? "alter" : "create"} trigger '${statement.name.parts.join(".")}' because its schema is different from the schema of the target table or view.`,
        15,
        1,
      );
    const existing = database.findTrigger(schema, name);
    if (existing && !statement.orAlter) throw alreadyThere(name);
    if (!existing && statement.mustExist) throw new SqlError(208, `Invalid object name '${name}'.`, 16, 1);
    if (!existing && database.findObjectId(schema, name) !== undefined) throw alreadyThere(name);
    if (insteadOf) refuseSecond(database, table, events, existing);
    const now = session.engine.now();
    const trigger: Trigger = {
      objectId: existing?.objectId ?? database.allocateObjectId(),
      schema,
      name: existing?.name ?? name,
      createDate: existing?.createDate ?? now,
      modifyDate: now,
      msShipped: false,
      tableId: table.objectId,
      insteadOf,
      events,
      body,
      disabled: false,
      ...(text === undefined ? {} : { text }),
    };
    if (existing) database.removeObject(existing);
    transaction.onRollback(() => {
      database.removeObject(trigger);
      if (existing) database.addTrigger(existing);
    });
    database.addTrigger(trigger);
    for (const hook of database.hooks.onDdl)
      hook({ command: text ?? "", objectId: trigger.objectId, session, transaction });
  });
  sink.statementDone({});
}

/** A table, or a view, which has INSTEAD OF triggers alone. */
interface TriggerTarget {
  objectId: number;
  schema: string;
  name: string;
  qualifiedName: string;
  database: Database;
}

function triggerTarget(executor: Executor, parts: string[], insteadOf: boolean): TriggerTarget {
  const found = lookUp(parts, executor.compiler());
  if (found?.kind !== "view" || !insteadOf) return ownTable(executor, parts, 8197);
  const { view, database } = found;
  requireAlter(executor, { database, temporary: false }, parts, 13);
  if (view.checked) throw unsupported("an INSTEAD OF trigger on a view WITH CHECK OPTION");
  const { objectId, schema, name } = view;
  return { objectId, schema, name, qualifiedName: `${schema}.${name}`, database };
}

/** Error 2111: one INSTEAD OF trigger for each kind of change. */
function refuseSecond(
  database: Database,
  table: TriggerTarget,
  events: TriggerEvent[],
  existing: Trigger | undefined,
): void {
  for (const other of database.triggers.values()) {
    const event = events.find((each) => other.events.includes(each));
    if (other.tableId === table.objectId && other.insteadOf && other !== existing && event)
      throw new SqlError(
        2111,
        `Cannot create trigger on table '${table.qualifiedName}' because an INSTEAD OF ${event.toUpperCase()} trigger already exists on this object.`,
        16,
        1,
      );
  }
}

/** Those of a table by their names, or all. */
export async function switchTriggers(executor: Executor, statement: Kind<"switch_triggers">): Promise<void> {
  await inTransaction(executor, async (transaction) => {
    const table = triggerTarget(executor, statement.table.parts, true);
    const own = [...table.database.triggers.values()].filter((trigger) => trigger.tableId === table.objectId);
    const chosen = statement.names.map(({ parts }) => {
      const name = parts.at(-1)!.toLowerCase();
      const found = own.find((trigger) => trigger.name.toLowerCase() === name);
      if (found) return found;
      throw new SqlError(
        4920,
        `ALTER TABLE failed because trigger '${parts.at(-1)}' on table '${table.name}' does not exist.`,
        16,
        0,
      );
    });
    for (const trigger of statement.names.length > 0 ? chosen : own) {
      const { disabled } = trigger;
      trigger.disabled = !statement.enable;
      transaction.onRollback(() => {
        trigger.disabled = disabled;
      });
    }
  });
  executor.sink.statementDone({});
}
