/**
 * sys.columns, sys.types and the views that narrow sys.columns.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-columns-transact-sql
 */
import { toDatetime } from "../cdc/server-time.ts";
import type { Column } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import type { Database, UserType } from "../engine/storage.ts";
import { Variant } from "../engine/values.ts";
import { type RowObject, view } from "./define.ts";
import { defaultObjectId, systemObjectId } from "./objects.ts";
import { type Relation, views } from "./relations.ts";
import {
  collationOfType,
  maxLength,
  precisionOf,
  SYSNAME_ID,
  SYSTEM_TYPES,
  scaleOf,
  systemTypeId,
  TABLE_TYPE,
  userTypeId,
} from "./system-types.ts";

const COLUMN = `object_id int!, name sysname, column_id int!, system_type_id tinyint!, user_type_id int!, max_length smallint!,
  precision tinyint!, scale tinyint!, collation_name sysname, is_nullable bit, is_ansi_padded bit!, is_rowguidcol bit!,
  is_identity bit!, is_computed bit!, is_filestream bit!, is_replicated bit, is_non_sql_subscribed bit, is_merge_published bit,
  is_dts_replicated bit, is_xml_document bit!, xml_collection_id int!, default_object_id int!, rule_object_id int!,
  is_sparse bit, is_column_set bit, generated_always_type tinyint, generated_always_type_desc nvarchar(60),
  encryption_type int, encryption_type_desc nvarchar(64), encryption_algorithm_name sysname, column_encryption_key_id int,
  column_encryption_key_database_name sysname, is_hidden bit!, is_masked bit!, graph_type int, graph_type_desc nvarchar(60),
  is_data_deletion_filter_column bit, ledger_view_column_type int, ledger_view_column_type_desc nvarchar(60),
  is_dropped_ledger_column bit`;

function columnRow(
  { database }: EngineContext,
  table: Pick<Relation, "objectId" | "trackedByCdc">,
  column: Column,
): RowObject {
  const { type } = column;
  const text = collationOfType(type, database.collation);
  return {
    object_id: table.objectId,
    name: column.name,
    column_id: column.columnId,
    system_type_id: systemTypeId(type),
    user_type_id: column.userType?.userTypeId ?? userTypeId(type, column.declaredType),
    max_length: maxLength(type),
    precision: precisionOf(type),
    scale: scaleOf(type),
    collation_name: text,
    is_nullable: column.nullable,
    is_ansi_padded: text !== null || type.id.endsWith("binary"),
    is_rowguidcol: column.rowGuid === true,
    is_identity: column.identity !== undefined,
    is_computed: column.computed !== undefined,
    is_replicated: table.trackedByCdc,
    is_non_sql_subscribed: false,
    is_merge_published: false,
    is_dts_replicated: false,
    default_object_id: column.default ? defaultObjectId(table, column.columnId) : 0,
    is_sparse: false,
    is_column_set: false,
    generated_always_type: 0,
    generated_always_type_desc: "NOT_APPLICABLE",
    is_masked: column.masked !== undefined,
    is_data_deletion_filter_column: false,
    is_dropped_ledger_column: false,
  };
}

export function* tableColumns(
  context: EngineContext,
): Generator<{ table: Pick<Relation, "objectId" | "trackedByCdc">; column: Column }> {
  for (const table of context.database.tables.values())
    if (!table.temporary) for (const column of table.columns) yield { table, column };
  for (const { table } of context.database.types.values())
    if (table)
      for (const column of table.shape) yield { table: { objectId: table.objectId, trackedByCdc: false }, column };
}

function* columnRows(context: EngineContext): Generator<RowObject> {
  for (const { table, column } of tableColumns(context)) yield columnRow(context, table, column);
  for (const view of views(context)) for (const column of view.columns) yield columnRow(context, view, column);
}

function* systemColumnRows({ engine, database }: EngineContext): Generator<RowObject> {
  for (const directory of [engine.systemObjects, database.systemObjects])
    for (const { schema, name, columns } of directory.views.values())
      for (const [i, column] of columns.entries())
        yield {
          object_id: systemObjectId(schema, name),
          name: column.name,
          column_id: i + 1,
          system_type_id: systemTypeId(column.type),
          user_type_id: systemTypeId(column.type),
          max_length: maxLength(column.type),
          precision: precisionOf(column.type),
          scale: scaleOf(column.type),
          collation_name: collationOfType(column.type, database.collation),
          is_nullable: column.nullable,
        };
}

/** sys.columns with what kind of column it is. */
function narrowed(extra: string): string {
  return `${COLUMN}, ${extra}`;
}

const TYPE = `name sysname!, system_type_id tinyint!, user_type_id int!, schema_id int!, principal_id int, max_length smallint!,
  precision tinyint!, scale tinyint!, collation_name sysname, is_nullable bit, is_user_defined bit!, is_assembly_type bit!,
  default_object_id int!, rule_object_id int!, is_table_type bit!`;

const WIDEST: Record<string, { length?: number; precision?: number; scale?: number }> = {
  decimal: { precision: 38, scale: 38 },
  numeric: { precision: 38, scale: 38 },
  time: { scale: 7 },
  datetime2: { scale: 7 },
  datetimeoffset: { scale: 7 },
  varchar: { length: 8000 },
  char: { length: 8000 },
  nvarchar: { length: 4000 },
  nchar: { length: 4000 },
  varbinary: { length: 8000 },
  binary: { length: 8000 },
};

function* typeRows({ database }: EngineContext): Generator<RowObject> {
  for (const [id, number] of Object.entries(SYSTEM_TYPES)) {
    const type = { id: id as keyof typeof SYSTEM_TYPES, ...WIDEST[id] };
    yield {
      name: id,
      system_type_id: number,
      user_type_id: number,
      schema_id: 4,
      max_length: maxLength(type),
      precision: precisionOf(type),
      scale: scaleOf(type),
      collation_name: collationOfType(type, database.collation),
      is_nullable: id !== "timestamp",
    };
  }
  yield {
    name: "sysname",
    system_type_id: SYSTEM_TYPES.nvarchar,
    user_type_id: SYSNAME_ID,
    schema_id: 4,
    max_length: 256,
    collation_name: database.collation,
    is_nullable: false,
  };
  for (const type of database.types.values()) yield userTypeRow(database, type);
}

/** A table type's system type is 243, and it has no size. */
function userTypeRow(database: Database, { userTypeId, schema, name, base, nullable, table }: UserType): RowObject {
  return {
    name,
    system_type_id: base ? systemTypeId(base) : TABLE_TYPE,
    user_type_id: userTypeId,
    schema_id: database.schemaId(schema),
    max_length: base ? maxLength(base) : -1,
    precision: base ? precisionOf(base) : 0,
    scale: base ? scaleOf(base) : 0,
    collation_name: base ? collationOfType(base, database.collation) : null,
    is_nullable: nullable,
    is_user_defined: true,
    is_table_type: table !== undefined,
  };
}

export function registerColumnViews(engine: Engine): void {
  const catalogue = [
    view("sys", "columns", COLUMN, columnRows),
    view("sys", "system_columns", COLUMN, systemColumnRows),
    view("sys", "all_columns", COLUMN, function* (context) {
      yield* columnRows(context);
      yield* systemColumnRows(context);
    }),
    view("sys", "types", TYPE, typeRows),
    view("sys", "table_types", `${TYPE}, type_table_object_id int!, is_memory_optimized bit`, function* ({ database }) {
      for (const type of database.types.values())
        if (type.table)
          yield {
            ...userTypeRow(database, type),
            type_table_object_id: type.table.objectId,
            is_memory_optimized: false,
          };
    }),
    view(
      "sys",
      "computed_columns",
      narrowed("definition nvarchar(max), uses_database_collation bit!, is_persisted bit!"),
      function* (context) {
        for (const { table, column } of tableColumns(context))
          if (column.computed)
            yield {
              ...columnRow(context, table, column),
              definition: column.computed.text,
              uses_database_collation: true,
              is_persisted: column.computed.persisted,
            };
      },
    ),
    view(
      "sys",
      "identity_columns",
      narrowed(
        "seed_value sql_variant, increment_value sql_variant, last_value sql_variant, is_not_for_replication bit",
      ),
      function* (context) {
        for (const { table, column } of tableColumns(context)) {
          if (!column.identity) continue;
          const { seed, increment, next } = column.identity;
          const bigint = { id: "bigint" } as const;
          yield {
            ...columnRow(context, table, column),
            seed_value: new Variant(bigint, seed),
            increment_value: new Variant(bigint, increment),
            last_value: next === seed ? null : new Variant(bigint, next - increment),
            is_not_for_replication: false,
          };
        }
      },
    ),
    // https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-xml-schema-collections-transact-sql
    view(
      "sys",
      "xml_schema_collections",
      "xml_collection_id int!, schema_id int!, principal_id int, name sysname!, create_date datetime!, modify_date datetime!",
      ({ database, engine: server }) => {
        const created = toDatetime(server, database.createDate);
        return [{ xml_collection_id: 1, schema_id: 4, name: "sys", create_date: created, modify_date: created }];
      },
    ),
    view("sys", "masked_columns", narrowed("masking_function nvarchar(4000)"), function* (context) {
      for (const { table, column } of tableColumns(context))
        if (column.masked !== undefined)
          yield { ...columnRow(context, table, column), masking_function: column.masked };
    }),
  ];
  for (const definition of catalogue) engine.registerView(definition);
}
