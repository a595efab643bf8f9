/**
 * The tables that enabling a database makes in its schema cdc, and the shape of change tables.
 * https://learn.microsoft.com/sql/relational-databases/system-tables/change-data-capture-tables-transact-sql
 */
import { columnsOf } from "../catalog/define.ts";
import type { Column, Index } from "../engine/database.ts";
import { type CommandIdColumn, capturedType } from "./captured-row.ts";
import type { CdcDatabase } from "./cdc-database.ts";

export interface TableShape {
  name: string;
  columns: Column[];
  indexes: Index[];
}

function columns(spec: string): Column[] {
  return columnsOf(spec).map(({ name, type, nullable }, i) => ({ name, columnId: i + 1, type, nullable }));
}

function index(shape: Column[], name: string, options: { id: number; unique: boolean }, keys: string[]): Index {
  return {
    name,
    indexId: options.id,
    unique: options.unique,
    clustered: options.id === 1,
    primaryKey: false,
    uniqueConstraint: false,
    columns: keys.map((key) => ({ column: shape.findIndex((column) => column.name === key), descending: false })),
    include: [],
  };
}

function metadataTable(name: string, spec: string, clustered: string[], unique: string[] = []): TableShape {
  const shape = columns(spec);
  const indexes = [index(shape, `${name}_clustered_idx`, { id: 1, unique: true }, clustered)];
  if (unique.length > 0) indexes.push(index(shape, `${name}_unique_idx`, { id: 2, unique: true }, unique));
  return { name, columns: shape, indexes };
}

/** Made anew for every database: a table owns its columns. */
export function metadataTables(): TableShape[] {
  const changeTables = metadataTable(
    "change_tables",
    `object_id int!, version int, source_object_id int, capture_instance sysname!, start_lsn binary(10), end_lsn binary(10),
       supports_net_changes bit, has_drop_pending bit, role_name sysname, index_name sysname, filegroup_name sysname,
       create_date datetime, partition_switch bit!`,
    ["object_id"],
    ["capture_instance"],
  );
  const bySource = { id: 3, unique: false };
  changeTables.indexes.push(index(changeTables.columns, "source_object_id_idx", bySource, ["source_object_id"]));
  return [
    changeTables,
    metadataTable(
      "ddl_history",
      `source_object_id int, object_id int!, required_column_update bit, ddl_command nvarchar(max), ddl_lsn binary(10)!,
       ddl_time datetime`,
      ["object_id", "ddl_lsn"],
    ),
    metadataTable(
      "lsn_time_mapping",
      `start_lsn binary(10)!, tran_begin_time datetime, tran_end_time datetime, tran_id varbinary(10),
       tran_begin_lsn binary(10)`,
      ["start_lsn"],
      ["tran_end_time", "start_lsn"],
    ),
    metadataTable(
      "captured_columns",
      `object_id int!, column_name sysname!, column_id int, column_type sysname!, column_ordinal int!, is_computed bit,
       masking_function nvarchar(4000)`,
      ["object_id", "column_ordinal"],
    ),
    metadataTable("index_columns", "object_id int!, column_name sysname!, index_ordinal tinyint!, column_id int!", [
      "object_id",
      "index_ordinal",
      "column_id",
    ]),
  ];
}

/** dbo.systranschemas: versions of replicated tables' schemas, which nobody needs to read. */
export function schemaVersionsTable(): TableShape {
  const shape = columns("tabid int!, startlsn binary(10)!, endlsn binary(10)!, typeid int!");
  const keys = ["startlsn"];
  return {
    name: "systranschemas",
    columns: shape,
    indexes: [index(shape, "uncsystranschemas", { id: 1, unique: true }, keys)],
  };
}

/** Columns of a change table before those captured. */
export const LEADING_COLUMNS = 5;

/**
 * A change table. Current servers cluster it on (start LSN, command id, seqval, operation); an upgraded one has no command id
 * in the index, or no such column: https://support.microsoft.com/help/3030352
 */
export function changeTable(
  captureInstance: string,
  captured: readonly Column[],
  options: { commandId: CommandIdColumn; netChangesKey: string[] },
): TableShape {
  const shape = columns(
    "__$start_lsn binary(10)!, __$end_lsn binary(10), __$seqval binary(10)!, __$operation int!, __$update_mask varbinary(128)",
  );
  for (const source of captured) {
    const column: Column = {
      name: source.name,
      columnId: shape.length + 1,
      type: capturedType(source.type),
      nullable: true,
    };
    if (source.declaredType !== undefined && source.type.id !== "timestamp") column.declaredType = source.declaredType;
    if (source.masked !== undefined) column.masked = source.masked;
    shape.push(column);
  }
  if (options.commandId !== "missing")
    shape.push({ name: "__$command_id", columnId: shape.length + 1, type: { id: "int" }, nullable: true });
  const order =
    options.commandId === "current"
      ? ["__$start_lsn", "__$command_id", "__$seqval", "__$operation"]
      : ["__$start_lsn", "__$seqval", "__$operation"];
  const name = `${captureInstance}_CT`;
  const indexes = [index(shape, `${name}_clustered_idx`, { id: 1, unique: true }, order)];
  if (options.netChangesKey.length > 0)
    indexes.push({
      ...index(shape, `${name}_idx`, { id: 2, unique: true }, [...options.netChangesKey, ...order]),
      include: [shape.findIndex((column) => column.name === "__$update_mask")],
    });
  return { name, columns: shape, indexes };
}

/**
 * sys.sp_cdc_vupgrade: change tables of an older server get their __$command_id, which stays NULL, as their clustered index is not
 * rebuilt. Those made from now on are like any.
 */
export function upgradeChangeTables(cdc: CdcDatabase): void {
  for (const { changeTable, commandId } of cdc.instances()) {
    if (commandId !== "missing") continue;
    const columnId = Math.max(...changeTable.columns.map((column) => column.columnId)) + 1;
    const added: Column = { name: "__$command_id", columnId, type: { id: "int" }, nullable: true };
    changeTable.columns = [...changeTable.columns, added];
    changeTable.rebuild((row) => [...row, null]);
  }
  cdc.database.engine.schemaVersion++;
  cdc.commandId = "current";
}
