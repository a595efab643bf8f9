/**
 * Indexes, keys, constraints and partitions.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-indexes-transact-sql and its neighbours
 */

import type { Enforcement } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import type { Table } from "../engine/table.ts";
import type { ReferentialAction } from "../sql/ast.ts";
import { emptyView, type RowObject, stateView, view } from "./define.ts";
import { type CatalogObject, databaseObjects, defaultObjectId, objectRow } from "./objects.ts";

const INDEX = `object_id int!, name sysname, index_id int!, type tinyint!, type_desc nvarchar(60), is_unique bit, data_space_id int,
  ignore_dup_key bit, is_primary_key bit, is_unique_constraint bit, fill_factor tinyint!, is_padded bit, is_disabled bit,
  is_hypothetical bit, is_ignored_in_optimization bit, allow_row_locks bit, allow_page_locks bit, has_filter bit,
  filter_definition nvarchar(max), compression_delay int, suppress_dup_key_messages bit, auto_created bit,
  optimize_for_sequential_key bit`;

const OBJECT = `name sysname!, object_id int!, principal_id int, schema_id int!, parent_object_id int!, type char(2), type_desc nvarchar(60),
  create_date datetime!, modify_date datetime!, is_ms_shipped bit!, is_published bit!, is_schema_published bit!`;

function* tables({ database }: EngineContext): Generator<Table> {
  for (const table of database.tables.values()) if (!table.temporary) yield table;
}

function* indexRows(context: EngineContext): Generator<RowObject> {
  for (const table of tables(context)) {
    const common = {
      object_id: table.objectId,
      data_space_id: 1,
      ignore_dup_key: false,
      is_padded: false,
      is_disabled: false,
      is_hypothetical: false,
      is_ignored_in_optimization: false,
      allow_row_locks: true,
      allow_page_locks: true,
      suppress_dup_key_messages: false,
      auto_created: false,
      optimize_for_sequential_key: false,
    };
    if (!table.clusteredIndex)
      yield {
        ...common,
        index_id: 0,
        type: 0,
        type_desc: "HEAP",
        is_unique: false,
        is_primary_key: false,
        is_unique_constraint: false,
        has_filter: false,
      };
    for (const index of table.indexes)
      yield {
        ...common,
        name: index.name,
        index_id: index.indexId,
        type: index.clustered ? 1 : 2,
        type_desc: index.clustered ? "CLUSTERED" : "NONCLUSTERED",
        is_unique: index.unique,
        is_primary_key: index.primaryKey,
        is_unique_constraint: index.uniqueConstraint,
        has_filter: index.filter !== undefined,
        filter_definition: index.filter?.text ?? null,
      };
  }
}

function* indexColumnRows(context: EngineContext): Generator<RowObject> {
  for (const table of tables(context))
    for (const index of table.indexes) {
      const common = { object_id: table.objectId, index_id: index.indexId, partition_ordinal: 0 };
      for (const [i, { column, descending }] of index.columns.entries())
        yield {
          ...common,
          index_column_id: i + 1,
          column_id: table.columns[column]!.columnId,
          key_ordinal: i + 1,
          is_descending_key: descending,
          is_included_column: false,
        };
      for (const [i, column] of index.include.entries())
        yield {
          ...common,
          index_column_id: index.columns.length + i + 1,
          column_id: table.columns[column]!.columnId,
          key_ordinal: 0,
          is_descending_key: false,
          is_included_column: true,
        };
    }
}

function* constraints(context: EngineContext, types: string[]): Generator<{ object: CatalogObject; table: Table }> {
  for (const object of databaseObjects(context.database))
    if (types.includes(object.type)) yield { object, table: context.database.tables.get(object.parentId)! };
}

function* partitionRows(context: EngineContext): Generator<RowObject> {
  for (const table of tables(context)) {
    const ids = table.indexes.map((index) => index.indexId);
    for (const indexId of table.clusteredIndex ? ids : [0, ...ids]) {
      const id = 72_057_594_000_000_000n + BigInt(table.objectId) * 256n + BigInt(indexId);
      yield {
        partition_id: id,
        object_id: table.objectId,
        index_id: indexId,
        partition_number: 1,
        hobt_id: id,
        rows: BigInt(table.rowCount),
        filestream_filegroup_id: 0,
        data_compression: 0,
        data_compression_desc: "NONE",
        xml_compression: false,
        xml_compression_desc: "OFF",
      };
    }
  }
}

function enforcement({ disabled, notTrusted }: Enforcement): RowObject {
  return { is_disabled: disabled === true, is_not_trusted: notTrusted === true };
}

const ACTIONS: ReferentialAction[] = ["no action", "cascade", "set null", "set default"];

function actionText(action: ReferentialAction = "no action"): string {
  return action.toUpperCase().replace(" ", "_");
}

export function registerConstraintViews(engine: Engine): void {
  const views = [
    view("sys", "indexes", INDEX, indexRows),
    view(
      "sys",
      "index_columns",
      `object_id int!, index_id int!, index_column_id int!, column_id int!, key_ordinal tinyint!, partition_ordinal tinyint!,
       is_descending_key bit, is_included_column bit, column_store_order_ordinal tinyint!`,
      indexColumnRows,
    ),
    // Of indexes; there are no others here, and no histograms.
    view(
      "sys",
      "stats",
      `object_id int!, name sysname, stats_id int!, auto_created bit, user_created bit, no_recompute bit, has_filter bit,
       filter_definition nvarchar(max), is_temporary bit, is_incremental bit, has_persisted_sample bit,
       stats_generation_method int!, stats_generation_method_desc varchar(80)!, auto_drop bit`,
      function* (context) {
        for (const row of indexRows(context))
          if (row["name"] !== null && row["name"] !== undefined)
            yield {
              object_id: row["object_id"]!,
              name: row["name"],
              stats_id: row["index_id"]!,
              auto_created: false,
              user_created: false,
              no_recompute: false,
              has_filter: row["has_filter"] ?? false,
              filter_definition: row["filter_definition"] ?? null,
              is_temporary: false,
              is_incremental: false,
              has_persisted_sample: false,
              stats_generation_method_desc: "Sort based statistics",
              auto_drop: false,
            };
      },
    ),
    view(
      "sys",
      "stats_columns",
      "object_id int!, stats_id int!, stats_column_id int, column_id int",
      function* (context) {
        for (const row of indexColumnRows(context))
          if (row["is_included_column"] !== true)
            yield {
              object_id: row["object_id"]!,
              stats_id: row["index_id"]!,
              stats_column_id: row["index_column_id"]!,
              column_id: row["column_id"]!,
            };
      },
    ),
    view(
      "sys",
      "key_constraints",
      `${OBJECT}, unique_index_id int, is_system_named bit!, is_enforced bit!`,
      function* (context) {
        for (const { object, table } of constraints(context, ["PK", "UQ"])) {
          const index = table.indexes.find((one) => one.constraintObjectId === object.objectId);
          yield {
            ...objectRow(context, object),
            unique_index_id: index?.indexId ?? null,
            is_system_named: /__[0-9A-F]{8,16}$/.test(object.name),
            is_enforced: true,
          };
        }
      },
    ),
    view(
      "sys",
      "default_constraints",
      `${OBJECT}, parent_column_id int!, definition nvarchar(max), is_system_named bit!`,
      function* (context) {
        for (const { object, table } of constraints(context, ["D "])) {
          const column = table.columns.find((one) => defaultObjectId(table, one.columnId) === object.objectId)!;
          yield {
            ...objectRow(context, object),
            parent_column_id: column.columnId,
            definition: column.default!.text,
            is_system_named: /^DF__/.test(object.name),
          };
        }
      },
    ),
    view(
      "sys",
      "check_constraints",
      `${OBJECT}, is_disabled bit!, is_not_for_replication bit!, is_not_trusted bit!, parent_column_id int!,
       definition nvarchar(max), uses_database_collation bit, is_system_named bit!`,
      function* (context) {
        for (const { object, table } of constraints(context, ["C "])) {
          const check = table.checks.find((one) => one.objectId === object.objectId)!;
          yield {
            ...objectRow(context, object),
            ...enforcement(check),
            definition: check.text,
            uses_database_collation: true,
            is_system_named: /^CK__/.test(object.name),
          };
        }
      },
    ),
    view(
      "sys",
      "foreign_keys",
      `${OBJECT}, referenced_object_id int, key_index_id int, is_disabled bit!, is_not_for_replication bit!,
       is_not_trusted bit!, delete_referential_action tinyint, delete_referential_action_desc nvarchar(60),
       update_referential_action tinyint, update_referential_action_desc nvarchar(60), is_system_named bit!`,
      function* (context) {
        for (const { object, table } of constraints(context, ["F "])) {
          const key = foreignKey(context, table, object.objectId);
          yield {
            ...objectRow(context, object),
            ...enforcement(table.foreignKeys.find((one) => one.objectId === object.objectId)!),
            referenced_object_id: key?.referenced.objectId ?? null,
            key_index_id: key?.referenced.indexes.find((index) => index.unique)?.indexId ?? null,
            delete_referential_action: ACTIONS.indexOf(key?.onDelete ?? "no action"),
            delete_referential_action_desc: actionText(key?.onDelete),
            update_referential_action: ACTIONS.indexOf(key?.onUpdate ?? "no action"),
            update_referential_action_desc: actionText(key?.onUpdate),
            is_system_named: /^FK__/.test(object.name),
          };
        }
      },
    ),
    view(
      "sys",
      "foreign_key_columns",
      `constraint_object_id int!, constraint_column_id int!, parent_object_id int!, parent_column_id int!,
       referenced_object_id int!, referenced_column_id int!`,
      function* (context) {
        for (const { object, table } of constraints(context, ["F "])) {
          const key = foreignKey(context, table, object.objectId);
          for (const [i, name] of (key?.columns ?? []).entries())
            yield {
              constraint_object_id: object.objectId,
              constraint_column_id: i + 1,
              parent_object_id: table.objectId,
              parent_column_id: table.columns[table.columnIndex(name)]!.columnId,
              referenced_object_id: key!.referenced.objectId,
              referenced_column_id:
                key!.referenced.columns[key!.referenced.columnIndex(key!.referencedColumns[i]!)]?.columnId ?? 0,
            };
        }
      },
    ),
    view(
      "sys",
      "partitions",
      `partition_id bigint!, object_id int!, index_id int!, partition_number int!, hobt_id bigint!, rows bigint,
       filestream_filegroup_id smallint!, data_compression tinyint!, data_compression_desc nvarchar(60), xml_compression bit,
       xml_compression_desc varchar(3)`,
      partitionRows,
    ),
    stateView(
      "DATABASE",
      "dm_db_partition_stats",
      `partition_id bigint, object_id int!, index_id int!, partition_number int!, in_row_data_page_count bigint,
       in_row_used_page_count bigint, in_row_reserved_page_count bigint, lob_used_page_count bigint,
       lob_reserved_page_count bigint, row_overflow_used_page_count bigint, row_overflow_reserved_page_count bigint,
       used_page_count bigint, reserved_page_count bigint, row_count bigint`,
      function* (context) {
        for (const row of partitionRows(context)) yield { ...row, row_count: row["rows"]! };
      },
    ),
    emptyView("sys", "partition_schemes", "name sysname!, data_space_id int!, type char(2)!, function_id int!"),
  ];
  for (const definition of views) engine.registerView(definition);
}

/** A foreign key by its object id: what it refers to, and by which columns. */
export function foreignKey({ database }: EngineContext, table: Table, objectId: number) {
  const key = table.foreignKeys.find((one) => one.objectId === objectId);
  if (key?.constraint.kind !== "foreign_key") return undefined;
  const { columns, references, referenced: named, onDelete, onUpdate } = key.constraint;
  const schema = references.parts.at(-2) || "dbo";
  const referenced = database.findTable(schema, references.parts.at(-1)!);
  if (!referenced) return undefined;
  const primary = referenced.indexes.find((index) => index.primaryKey);
  const keyColumns = primary?.columns.map(({ column }) => referenced.columns[column]!.name) ?? [];
  return { columns, referenced, referencedColumns: named.length > 0 ? named : keyColumns, onDelete, onUpdate };
}
