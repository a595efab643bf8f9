/**
 * sys.objects and the views that narrow it.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/object-catalog-views-transact-sql
 */
import { toDatetime } from "../cdc/server-time.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import type { Database } from "../engine/storage.ts";
import type { SystemObjects } from "../engine/system-objects.ts";
import type { Table } from "../engine/table.ts";
import { type RowObject, view } from "./define.ts";

export interface CatalogObject {
  objectId: number;
  name: string;
  schema: string;
  parentId: number;
  /** Two characters, as sys.objects.type has them. */
  type: string;
  created: Date;
  modified: Date;
  msShipped: boolean;
}

export const TYPE_NAMES: Record<string, string> = {
  "U ": "USER_TABLE",
  "V ": "VIEW",
  "P ": "SQL_STORED_PROCEDURE",
  PK: "PRIMARY_KEY_CONSTRAINT",
  UQ: "UNIQUE_CONSTRAINT",
  "D ": "DEFAULT_CONSTRAINT",
  "C ": "CHECK_CONSTRAINT",
  "F ": "FOREIGN_KEY_CONSTRAINT",
  TT: "TYPE_TABLE",
  TR: "SQL_TRIGGER",
  IF: "SQL_INLINE_TABLE_VALUED_FUNCTION",
  TF: "SQL_TABLE_VALUED_FUNCTION",
  SO: "SEQUENCE_OBJECT",
  SN: "SYNONYM",
  FN: "SQL_SCALAR_FUNCTION",
};

const FUNCTION_TYPES = { scalar: "FN", inline: "IF", table: "TF" };

/** Constraints of defaults have no id of their own: it follows from table and column. */
export function defaultObjectId(table: Pick<Table, "objectId">, columnId: number): number {
  return ((table.objectId + columnId * 2_097_169) % 2_147_483_647) + 1;
}

/** System objects have the same negative id in every database. */
export function systemObjectId(schema: string, name: string): number {
  let hash = 17;
  for (const char of `${schema}.${name}`.toLowerCase()) hash = (hash * 31 + char.charCodeAt(0)) % 1_073_741_789;
  return -hash - 1;
}

/** What users and CDC made. Temporary tables belong to tempdb. */
export function* databaseObjects(database: Database): Generator<CatalogObject> {
  for (const table of database.tables.values()) {
    if (table.temporary) continue;
    const common = {
      schema: table.schema,
      created: table.createDate,
      modified: table.modifyDate,
      msShipped: table.msShipped,
    };
    yield { objectId: table.objectId, name: table.name, parentId: 0, type: "U ", ...common };
    yield* constraintObjects(table, common);
  }
  // https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-table-types-transact-sql: they are the system's.
  for (const { table, name, createDate } of database.types.values())
    if (table) {
      const { objectId } = table;
      const unique = `TT_${name.slice(0, 8)}_${(objectId >>> 0).toString(16).toUpperCase().padStart(8, "0")}`;
      const times = { created: createDate, modified: createDate };
      yield { objectId, name: unique, schema: "sys", parentId: 0, type: "TT", ...times, msShipped: false };
    }
  for (const [type, modules] of [
    ["V ", database.views],
    ["P ", database.procedures],
    ["SO", database.sequences],
    ["SN", database.synonyms],
  ] as const)
    for (const { objectId, name, schema, createDate, modifyDate, msShipped } of modules.values())
      yield { objectId, name, schema, parentId: 0, type, created: createDate, modified: modifyDate, msShipped };
  for (const { objectId, name, schema, tableId, createDate, modifyDate, msShipped } of database.triggers.values())
    yield {
      objectId,
      name,
      schema,
      parentId: tableId,
      type: "TR",
      created: createDate,
      modified: modifyDate,
      msShipped,
    };
  for (const { objectId, name, schema, createDate, modifyDate, msShipped, returns } of database.functions.values()) {
    const type = FUNCTION_TYPES[returns.kind];
    yield { objectId, name, schema, parentId: 0, type, created: createDate, modified: modifyDate, msShipped };
  }
  // Those that read a capture instance's changes: they are not shipped, though change tables are.
  for (const { schema, name } of database.systemObjects.tableFunctions.values())
    yield {
      objectId: -systemObjectId(schema, name),
      name,
      schema,
      parentId: 0,
      type: "IF",
      created: database.createDate,
      modified: database.createDate,
      msShipped: false,
    };
}

function* constraintObjects(
  table: Table,
  common: Pick<CatalogObject, "schema" | "created" | "modified" | "msShipped">,
): Generator<CatalogObject> {
  const parentId = table.objectId;
  for (const index of table.indexes) {
    if (index.constraintObjectId === undefined) continue;
    const type = index.primaryKey ? "PK" : "UQ";
    yield { objectId: index.constraintObjectId, name: index.name, parentId, type, ...common };
  }
  for (const check of table.checks)
    yield { objectId: check.objectId, name: check.name, parentId, type: "C ", ...common };
  for (const key of table.foreignKeys)
    yield { objectId: key.objectId, name: key.name, parentId, type: "F ", ...common };
  for (const column of table.columns)
    if (column.default)
      yield {
        objectId: defaultObjectId(table, column.columnId),
        name: column.default.name,
        parentId,
        type: "D ",
        ...common,
      };
}

/** What is in every database, of the engine's and the database's own directories. */
export function* systemObjects(engine: Engine, database: Database): Generator<CatalogObject> {
  const common = { parentId: 0, created: engine.startTime, modified: engine.startTime, msShipped: true };
  const directories: [SystemObjects<EngineContext>, boolean][] = [
    [engine.systemObjects, true],
    [database.systemObjects, false],
  ];
  for (const [directory, shared] of directories) {
    const listed: [string, Iterable<{ schema?: string; name: string }>][] = [
      ["V ", directory.views.values()],
      ["P ", directory.procedures.values()],
      ["FN", directory.functions.values()],
      ["IF", shared ? directory.tableFunctions.values() : []],
    ];
    for (const [type, objects] of listed)
      for (const { schema, name } of objects)
        if (schema) yield { objectId: systemObjectId(schema, name), name, schema, type, ...common };
  }
}

export function findObject(
  engine: Engine,
  database: Database,
  wanted: (object: CatalogObject) => boolean,
): CatalogObject | undefined {
  for (const object of databaseObjects(database)) if (wanted(object)) return object;
  for (const object of systemObjects(engine, database)) if (wanted(object)) return object;
  return undefined;
}

export const OBJECT = `name sysname!, object_id int!, principal_id int, schema_id int!, parent_object_id int!, type char(2), type_desc nvarchar(60),
  create_date datetime!, modify_date datetime!, is_ms_shipped bit!, is_published bit!, is_schema_published bit!`;

export function objectRow({ engine, database }: EngineContext, object: CatalogObject): RowObject {
  return {
    name: object.name,
    object_id: object.objectId,
    schema_id: database.schemaId(object.schema),
    parent_object_id: object.parentId,
    type: object.type,
    type_desc: TYPE_NAMES[object.type] ?? null,
    create_date: toDatetime(engine, object.created),
    modify_date: toDatetime(engine, object.modified),
    is_ms_shipped: object.msShipped,
  };
}

const TABLE = `${OBJECT}, lob_data_space_id int!, filestream_data_space_id int, max_column_id_used int!, lock_on_bulk_load bit!,
  uses_ansi_nulls bit!, is_replicated bit!, has_replication_filter bit!, is_merge_published bit!,
  is_sync_tran_subscribed bit!, has_unchecked_assembly_data bit!, text_in_row_limit int!, large_value_types_out_of_row bit!,
  is_tracked_by_cdc bit!, lock_escalation tinyint!, lock_escalation_desc nvarchar(60), is_filetable bit!,
  is_memory_optimized bit!, durability tinyint!, durability_desc nvarchar(60), temporal_type tinyint!,
  temporal_type_desc nvarchar(60), history_table_id int, is_remote_data_archive_enabled bit!, is_external bit!,
  history_retention_period int, history_retention_period_unit int, history_retention_period_unit_desc nvarchar(10),
  is_node bit!, is_edge bit!, ledger_type tinyint!, ledger_type_desc nvarchar(60)!, ledger_view_id int,
  is_dropped_ledger_table bit!`;

function viewRow(context: EngineContext, object: CatalogObject): RowObject {
  const view = context.database.findView(object.schema, object.name);
  return { ...objectRow(context, object), with_check_option: view?.checked === true };
}

const VIEW = `${OBJECT}, is_replicated bit!, has_replication_filter bit!, has_opaque_metadata bit!, has_unchecked_assembly_data bit!,
  with_check_option bit!, is_date_correlation_view bit!, is_tracked_by_cdc bit!, has_snapshot bit!`;

const PROCEDURE = `${OBJECT}, is_auto_executed bit!, is_execution_replicated bit!, is_repl_serializable_only bit!,
  skips_repl_constraints bit!`;

export function registerObjectViews(engine: Engine): void {
  const views = [
    view("sys", "objects", OBJECT, function* (context) {
      for (const object of databaseObjects(context.database)) yield objectRow(context, object);
    }),
    view("sys", "all_objects", OBJECT, function* (context) {
      for (const object of databaseObjects(context.database)) yield objectRow(context, object);
      for (const object of systemObjects(context.engine, context.database)) yield objectRow(context, object);
    }),
    view("sys", "system_objects", OBJECT, function* (context) {
      for (const object of systemObjects(context.engine, context.database)) yield objectRow(context, object);
    }),
    view("sys", "tables", TABLE, function* (context) {
      for (const object of databaseObjects(context.database)) if (object.type === "U ") yield tableRow(context, object);
    }),
    view("sys", "views", VIEW, function* (context) {
      for (const object of databaseObjects(context.database)) if (object.type === "V ") yield viewRow(context, object);
    }),
    view("sys", "all_views", VIEW, function* (context) {
      for (const object of databaseObjects(context.database)) if (object.type === "V ") yield viewRow(context, object);
      for (const object of systemObjects(context.engine, context.database))
        if (object.type === "V ") yield objectRow(context, object);
    }),
    view("sys", "system_views", VIEW, function* (context) {
      for (const object of systemObjects(context.engine, context.database))
        if (object.type === "V ") yield objectRow(context, object);
    }),
    view("sys", "procedures", PROCEDURE, function* (context) {
      for (const object of databaseObjects(context.database))
        if (object.type === "P ") yield objectRow(context, object);
    }),
    view("sys", "schemas", "name sysname!, schema_id int!, principal_id int", ({ database }) =>
      [...database.schemas.values()].map(({ name, schemaId, principalId }) => ({
        name,
        schema_id: schemaId,
        principal_id: principalId,
      })),
    ),
    // What old tools still ask: https://learn.microsoft.com/sql/relational-databases/system-compatibility-views/sys-sysobjects-transact-sql
    view(
      "sys",
      "sysobjects",
      `name sysname!, id int!, xtype char(2)!, uid smallint, info smallint, status int, base_schema_ver int, replinfo int,
       parent_obj int!, crdate datetime!, ftcatid smallint, schema_ver int, stats_schema_ver int, type char(2), userstat smallint,
       sysstat smallint, indexdel smallint, refdate datetime!, version int, deltrig int, instrig int, updtrig int, seltrig int,
       category int, cache smallint`,
      function* (context) {
        for (const object of databaseObjects(context.database))
          yield {
            name: object.name,
            id: object.objectId,
            xtype: object.type,
            type: object.type,
            uid: context.database.schemaId(object.schema),
            parent_obj: object.parentId,
            crdate: toDatetime(context.engine, object.created),
            refdate: toDatetime(context.engine, object.created),
          };
      },
    ),
  ];
  for (const definition of views) engine.registerView(definition);
}

function tableRow(context: EngineContext, object: CatalogObject): RowObject {
  const table = context.database.tables.get(object.objectId)!;
  return {
    ...objectRow(context, object),
    max_column_id_used: Math.max(0, ...table.columns.map((column) => column.columnId)),
    uses_ansi_nulls: true,
    is_tracked_by_cdc: table.trackedByCdc,
    lock_escalation_desc: "TABLE",
    durability_desc: "SCHEMA_AND_DATA",
    temporal_type_desc: "NON_TEMPORAL_TABLE",
    is_replicated: table.trackedByCdc,
    ledger_type_desc: "NON_LEDGER_TABLE",
  };
}
