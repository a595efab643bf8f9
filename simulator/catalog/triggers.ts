/**
 * sys.triggers, sys.trigger_events and sp_settriggerorder.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-triggers-transact-sql
 */
import { cdcTables } from "../cdc/instances.ts";
import { toDatetime } from "../cdc/server-time.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { SqlError } from "../engine/session.ts";
import type { Trigger, TriggerEvent } from "../engine/storage.ts";
import type { Value } from "../engine/values.ts";
import { procedure, type RowObject, view } from "./define.ts";
import { objectByName } from "./functions.ts";
import { systemObjectId } from "./objects.ts";

const TRIGGER = `name sysname!, object_id int!, parent_class tinyint!, parent_class_desc nvarchar(60), parent_id int!, type char(2)!,
  type_desc nvarchar(60), create_date datetime!, modify_date datetime!, is_ms_shipped bit!, is_disabled bit!,
  is_not_for_replication bit!, is_instead_of_trigger bit!`;

const EVENT = `object_id int!, type int!, type_desc nvarchar(60)!, is_first bit, is_last bit, event_group_type int,
  event_group_type_desc nvarchar(60), is_trigger_event bit`;

/** sys.trigger_event_types */
const EVENTS: Record<TriggerEvent, number> = { insert: 1, update: 2, delete: 3 };

function* triggerRows({ engine, database }: EngineContext): Generator<RowObject> {
  const changeTables = cdcTables(database)?.changeTables;
  if (changeTables) yield ddlTriggerRow(toDatetime(engine, changeTables.createDate));
  for (const trigger of database.triggers.values())
    yield {
      name: trigger.name,
      object_id: trigger.objectId,
      parent_class: 1,
      parent_class_desc: "OBJECT_OR_COLUMN",
      parent_id: trigger.tableId,
      type: "TR",
      type_desc: "SQL_TRIGGER",
      create_date: toDatetime(engine, trigger.createDate),
      modify_date: toDatetime(engine, trigger.modifyDate),
      is_disabled: trigger.disabled,
      is_instead_of_trigger: trigger.insteadOf,
    };
}

/** That which enabling change data capture makes: it hands the database's DDL to it. */
function ddlTriggerRow(created: Value): RowObject {
  return {
    name: "tr_MScdc_ddl_event",
    object_id: -systemObjectId("", "tr_MScdc_ddl_event"),
    parent_class: 0,
    parent_class_desc: "DATABASE",
    type: "TR",
    type_desc: "SQL_TRIGGER",
    create_date: created,
    modify_date: created,
    is_ms_shipped: true,
  };
}

function* eventRows({ database }: EngineContext): Generator<RowObject> {
  for (const { objectId, events, order } of database.triggers.values())
    for (const event of events)
      yield {
        object_id: objectId,
        type: EVENTS[event],
        type_desc: event.toUpperCase(),
        is_first: order?.[event] === "first",
        is_last: order?.[event] === "last",
        is_trigger_event: true,
      };
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-settriggerorder-transact-sql */
function setOrder(context: EngineContext, args: Map<string, Value>): number {
  const { database } = context;
  const name = String(args.get("@triggername"));
  const order = String(args.get("@order")).toLowerCase();
  const event = String(args.get("@stmttype")).toLowerCase() as TriggerEvent;
  const trigger = database.triggers.get(objectByName(context, name)?.objectId ?? 0);
  if (!trigger) throw new SqlError(15165, `Could not find object '${name}' or you do not have permission.`, 16, 1);
  if (trigger.insteadOf)
    throw new SqlError(15133, `INSTEAD OF trigger '${name}' cannot be associated with an order.`, 16, 1);
  if (!trigger.events.includes(event))
    throw new SqlError(15125, `Trigger '${name}' is not a trigger for '${event.toUpperCase()}'.`, 16, 1);
  if (order !== "none") refuseSecond(context, trigger, event, order as "first" | "last");
  const { [event]: _, ...others } = trigger.order ?? {};
  trigger.order = order === "none" ? others : { ...others, [event]: order as "first" | "last" };
  return 0;
}

function refuseSecond(
  { database }: EngineContext,
  trigger: Trigger,
  event: TriggerEvent,
  order: "first" | "last",
): void {
  for (const other of database.triggers.values())
    if (other !== trigger && other.tableId === trigger.tableId && other.order?.[event] === order)
      throw new SqlError(15130, `There already exists a '${order}' trigger for '${event.toUpperCase()}'.`, 16, 1);
}

export function registerTriggers(engine: Engine): void {
  engine.registerView(view("sys", "triggers", TRIGGER, triggerRows));
  engine.registerView(view("sys", "trigger_events", EVENT, eventRows));
  engine.registerProcedure(
    procedure(
      "sys",
      "sp_settriggerorder",
      "@triggername nvarchar(517), @order varchar(10), @stmttype varchar(50), @namespace varchar(10) = NULL",
      setOrder,
    ),
  );
}
