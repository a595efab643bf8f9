/**
 * The procedures that enable, disable and describe change data capture.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/change-data-capture-stored-procedures-transact-sql
 */
import { procedure, type RowObject, sendRows } from "../catalog/define.ts";
import { bracketed } from "../catalog/names.ts";
import type { Column } from "../engine/database.ts";
import { lsnToBuffer } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import type { Value } from "../engine/values.ts";
import { isOwner, mayRead, requireEnabled, requireOwnerWhereEnabled } from "./access.ts";
import { cleanUpChangeTable } from "./cleanup-procedure.ts";
import { disableDatabase, enableDatabase } from "./enable-database.ts";
import { disableTable, enableTable } from "./enable-table.ts";
import { cdcError } from "./errors.ts";
import type { CaptureInstance } from "./instances.ts";
import { LEADING_COLUMNS, upgradeChangeTables } from "./metadata-tables.ts";
import { WRAPPERS, wrapperFunctions } from "./wrapper-functions.ts";

type Args = Map<string, Value>;

function text(args: Args, name: string): string | null {
  const value = args.get(name);
  return typeof value === "string" ? value : null;
}

function flag(args: Args, name: string): boolean | null {
  const value = args.get(name);
  return typeof value === "boolean" ? value : null;
}

export function registerCdcProcedures(engine: Engine): void {
  const procedures = [
    procedure("sys", "sp_cdc_enable_db", "@fCreateCDCUserImplicit bit = NULL", (context, _, sink) => {
      enableDatabase(context, sink);
      return 0;
    }),
    procedure("sys", "sp_cdc_disable_db", "", (context, _, sink) => {
      disableDatabase(context, sink);
      return 0;
    }),
    procedure(
      "sys",
      "sp_cdc_enable_table",
      `@source_schema sysname, @source_name sysname, @capture_instance sysname = NULL, @supports_net_changes bit = NULL,
       @role_name sysname, @index_name sysname = NULL, @captured_column_list nvarchar(max) = NULL,
       @filegroup_name sysname = NULL, @allow_partition_switch bit = NULL,
       @enable_extended_ddl_handling bit = 0`,
      (context, args, sink) => {
        const request = {
          sourceSchema: text(args, "@source_schema") ?? "",
          sourceName: text(args, "@source_name") ?? "",
          captureInstance: text(args, "@capture_instance"),
          supportsNetChanges: flag(args, "@supports_net_changes"),
          roleName: text(args, "@role_name"),
          indexName: text(args, "@index_name"),
          capturedColumnList: text(args, "@captured_column_list"),
          filegroupName: text(args, "@filegroup_name"),
          allowPartitionSwitch: flag(args, "@allow_partition_switch"),
          extendedDdlHandling: flag(args, "@enable_extended_ddl_handling"),
        };
        enableTable(context, request, sink);
        return 0;
      },
    ),
    procedure(
      "sys",
      "sp_cdc_disable_table",
      "@source_schema sysname, @source_name sysname, @capture_instance sysname",
      (context, args) => {
        const captureInstance = text(args, "@capture_instance");
        if (!captureInstance) throw cdcError(22963, "@capture_instance");
        const sourceSchema = text(args, "@source_schema") ?? "";
        disableTable(context, { sourceSchema, sourceName: text(args, "@source_name") ?? "", captureInstance });
        return 0;
      },
    ),
    procedure(
      "sys",
      "sp_cdc_help_change_data_capture",
      "@source_schema sysname = NULL, @source_name sysname = NULL",
      async (context, args, sink) => {
        await sendRows(sink, HELP, describeInstances(context, args));
        return 0;
      },
    ),
    procedure("sys", "sp_cdc_get_captured_columns", "@capture_instance sysname", async (context, args, sink) => {
      await sendRows(sink, CAPTURED, describeColumns(context, namedInstance(context, args)));
      return 0;
    }),
    procedure("sys", "sp_cdc_get_ddl_history", "@capture_instance sysname", async (context, args, sink) => {
      await sendRows(sink, DDL_HISTORY, ddlHistory(context, namedInstance(context, args)));
      return 0;
    }),
    procedure(
      "sys",
      "sp_cdc_generate_wrapper_function",
      `@capture_instance sysname = NULL, @closed_high_end_point bit = 1, @column_list nvarchar(max) = NULL,
       @update_flag_list nvarchar(max) = NULL`,
      async (context, args, sink) => {
        await sendRows(sink, WRAPPERS, generateWrappers(context, args));
        return 0;
      },
    ),
    procedure("sys", "sp_cdc_vupgrade", "@force_metadata_fixup bit = 0", (context) => {
      upgradeChangeTables(requireOwnerWhereEnabled(context).cdc);
      return 0;
    }),
    procedure(
      "sys",
      "sp_cdc_cleanup_change_table",
      `@capture_instance sysname, @low_water_mark binary(10), @threshold bigint = 5000,
       @fCleanupFailed bit = 0 OUTPUT`,
      async (context, args) => {
        await cleanUpChangeTable(context, args);
        args.set("@fcleanupfailed", false);
        return 0;
      },
    ),
  ];
  for (const definition of procedures) engine.registerProcedure(definition);
}

const HELP = `source_schema sysname, source_table sysname, capture_instance sysname, object_id int, source_object_id int,
  start_lsn binary(10), end_lsn binary(10), supports_net_changes bit, has_drop_pending bit, role_name sysname,
  index_name sysname, filegroup_name sysname, create_date datetime, index_column_list nvarchar(max),
  captured_column_list nvarchar(max)`;

function* describeInstances(context: EngineContext, args: Args): Generator<RowObject> {
  const { cdc } = requireEnabled(context);
  const { database } = context;
  const schema = text(args, "@source_schema") ?? "";
  const name = text(args, "@source_name") ?? "";
  if ((schema === "") !== (name === "")) throw cdcError(22972);
  const only = schema === "" ? undefined : database.findTable(schema, name);
  if (schema !== "" && !only) throw cdcError(22931, schema, name);
  if (only && !only.trackedByCdc) throw cdcError(22985, schema, name);
  for (const instance of cdc.instances()) {
    const source = database.tables.get(instance.sourceObjectId);
    if (!source || (only && source !== only) || !mayRead(context, instance)) continue;
    yield {
      source_schema: source.schema,
      source_table: source.name,
      capture_instance: instance.name,
      object_id: instance.objectId,
      source_object_id: instance.sourceObjectId,
      start_lsn: instance.startLsn === null ? null : lsnToBuffer(instance.startLsn),
      supports_net_changes: instance.supportsNetChanges,
      role_name: instance.roleName,
      index_name: instance.indexName,
      filegroup_name: instance.filegroupName,
      create_date: instance.createDate,
      index_column_list: instance.keyColumns.length > 0 ? quoted(instance.keyColumns) : null,
      captured_column_list: quoted(instance.columns.map((column) => column.name)),
    };
  }
}

function quoted(names: string[]): string {
  return names.map(bracketed).join(", ");
}

/** Error 22981 where there is no such instance, or no access. */
function namedInstance(context: EngineContext, args: Args): CaptureInstance {
  const { cdc } = requireEnabled(context);
  const name = text(args, "@capture_instance");
  if (!name) throw cdcError(22963, "@capture_instance");
  const found = cdc.instances().find((instance) => instance.name.toLowerCase() === name.trimEnd().toLowerCase());
  if (!found && isOwner(context)) throw cdcError(22920, name, context.database.name);
  if (!found || !mayRead(context, found)) throw cdcError(22981);
  return found;
}

const CAPTURED = `source_schema sysname, source_table sysname, capture_instance sysname, column_name sysname, column_id int,
  column_ordinal int, data_type sysname, character_maximum_length int, numeric_precision tinyint,
  numeric_precision_radix smallint, numeric_scale int, datetime_precision smallint`;

function* describeColumns({ database }: EngineContext, instance: CaptureInstance): Generator<RowObject> {
  const source = database.tables.get(instance.sourceObjectId);
  for (const [i, column] of instance.columns.entries()) {
    const shape = instance.changeTable.columns[LEADING_COLUMNS + i]!;
    yield {
      source_schema: source?.schema ?? null,
      source_table: source?.name ?? null,
      capture_instance: instance.name,
      column_name: column.name,
      column_id: column.columnId,
      column_ordinal: i + 1,
      data_type: shape.declaredType ?? shape.type.id,
      ...typeFacets(shape),
    };
  }
}

const PRECISION: Record<string, number> = { tinyint: 3, smallint: 5, int: 10, bigint: 19, money: 19, smallmoney: 10 };
const FRACTION: Record<string, number> = { date: 0, datetime: 3, smalldatetime: 0 };

/** As INFORMATION_SCHEMA.COLUMNS has them. */
function typeFacets({ type }: Column): RowObject {
  const precision = type.precision ?? PRECISION[type.id] ?? null;
  const temporal = type.id in FRACTION || /^(time|datetime2|datetimeoffset)$/.test(type.id);
  return {
    character_maximum_length: type.length ?? null,
    numeric_precision: precision,
    numeric_precision_radix: precision === null ? null : 10,
    numeric_scale: precision === null ? null : (type.scale ?? (type.id.endsWith("money") ? 4 : 0)),
    datetime_precision: temporal ? (FRACTION[type.id] ?? type.scale ?? 7) : null,
  };
}

const DDL_HISTORY = `source_schema sysname, source_table sysname, capture_instance sysname, required_column_update bit,
  ddl_command nvarchar(max), ddl_lsn binary(10), ddl_time datetime`;

function* ddlHistory(context: EngineContext, instance: CaptureInstance): Generator<RowObject> {
  const { tables } = requireEnabled(context);
  const source = context.database.tables.get(instance.sourceObjectId);
  const history = tables.ddlHistory;
  const own = history.rows(context.snapshot, { index: history.clusteredIndex!, prefix: [instance.objectId] });
  for (const [, , required, command, lsn, time] of own)
    yield {
      source_schema: source?.schema ?? null,
      source_table: source?.name ?? null,
      capture_instance: instance.name,
      required_column_update: required!,
      ddl_command: command!,
      ddl_lsn: lsn!,
      ddl_time: time!,
    };
}

function* generateWrappers(context: EngineContext, args: Args): Generator<RowObject> {
  const { cdc } = requireEnabled(context);
  const options = {
    closedHighEndPoint: flag(args, "@closed_high_end_point") !== false,
    columnList: text(args, "@column_list"),
    updateFlagList: text(args, "@update_flag_list"),
  };
  const all = text(args, "@capture_instance") === null;
  if (all && (options.columnList?.trim() || options.updateFlagList?.trim())) throw cdcError(22921);
  const instances = all ? cdc.instances() : [namedInstance(context, args)];
  for (const instance of instances) if (mayRead(context, instance)) yield* wrapperFunctions(instance, options);
}
