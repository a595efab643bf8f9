/** Capture instances as cdc.change_tables, cdc.captured_columns and cdc.index_columns describe them. */
import { lsnFromBuffer, type Row } from "../engine/database.ts";
import type { Database } from "../engine/storage.ts";
import type { Snapshot, Table } from "../engine/table.ts";
import type { Temporal } from "../engine/values.ts";
import type { CapturedColumn, CommandIdColumn } from "./captured-row.ts";

export interface CdcTables {
  changeTables: Table;
  capturedColumns: Table;
  indexColumns: Table;
  lsnTimeMapping: Table;
  ddlHistory: Table;
}

export interface CaptureInstance {
  name: string;
  /** Of the change table. */
  objectId: number;
  changeTable: Table;
  sourceObjectId: number;
  startLsn: bigint | null;
  supportsNetChanges: boolean;
  roleName: string | null;
  indexName: string | null;
  filegroupName: string | null;
  createDate: Temporal | null;
  columns: CapturedColumn[];
  commandId: CommandIdColumn;
  /** Names of the columns that tell rows apart, in index order. */
  keyColumns: string[];
}

/** The row of cdc.change_tables, by position. */
export const CHANGE_TABLE = { objectId: 0, sourceObjectId: 2, captureInstance: 3, startLsn: 4 } as const;

/**
 * The commit of the transaction that enabled an instance is behind the instance's low endpoint: Debezium switches to a new instance only
 * where its start_lsn is below the LSN that it reads to, and does so on SQL Server (addColumnToTable of its SqlServerChangeTableSetIT).
 */
export function enablingCommit(startLsn: bigint): bigint {
  return startLsn + 1n;
}

/** The metadata tables; undefined in a database that is not enabled. */
export function cdcTables(database: Database): CdcTables | undefined {
  const find = (name: string) => database.findTable("cdc", name);
  const changeTables = find("change_tables");
  const capturedColumns = find("captured_columns");
  const indexColumns = find("index_columns");
  const lsnTimeMapping = find("lsn_time_mapping");
  const ddlHistory = find("ddl_history");
  if (!changeTables || !capturedColumns || !indexColumns || !lsnTimeMapping || !ddlHistory) return undefined;
  return { changeTables, capturedColumns, indexColumns, lsnTimeMapping, ddlHistory };
}

/** All of them, oldest first. Those whose change table is gone are left out. */
export function captureInstances(database: Database, tables: CdcTables, snapshot: Snapshot): CaptureInstance[] {
  const found: CaptureInstance[] = [];
  for (const row of tables.changeTables.rows(snapshot)) {
    const instance = instanceOf(row, database, tables, snapshot);
    if (instance) found.push(instance);
  }
  const created = ({ createDate }: CaptureInstance) => (createDate?.days ?? 0) * 864e9 + (createDate?.ticks ?? 0);
  return found.sort((a, b) => created(a) - created(b));
}

/** By its name, whatever the case. */
export function findInstance(
  database: Database,
  tables: CdcTables,
  snapshot: Snapshot,
  name: string,
): CaptureInstance | undefined {
  const index = tables.changeTables.indexes.find((candidate) => !candidate.clustered)!;
  for (const row of tables.changeTables.rows(snapshot, { index, prefix: [name] }))
    return instanceOf(row, database, tables, snapshot);
  return undefined;
}

function instanceOf(row: Row, database: Database, tables: CdcTables, snapshot: Snapshot): CaptureInstance | undefined {
  const [objectId, , sourceObjectId, name, startLsn, , net, , roleName, indexName, filegroupName, createDate] = row;
  const changeTable = database.tables.get(objectId as number);
  if (!changeTable) return undefined;
  // Both are clustered on (object_id, ordinal).
  const own = (table: Table) => table.rows(snapshot, { index: table.clusteredIndex!, prefix: [objectId!] });
  const columns: CapturedColumn[] = [];
  for (const [, column, columnId, , , computed] of own(tables.capturedColumns))
    columns.push({ name: column as string, columnId: columnId as number, computed: computed === true });
  return {
    name: name as string,
    objectId: objectId as number,
    changeTable,
    sourceObjectId: sourceObjectId as number,
    startLsn: startLsn === null ? null : lsnFromBuffer(startLsn as Buffer),
    supportsNetChanges: net === true,
    roleName: (roleName ?? null) as string | null,
    indexName: (indexName ?? null) as string | null,
    filegroupName: (filegroupName ?? null) as string | null,
    createDate: (createDate ?? null) as Temporal | null,
    columns,
    commandId: commandIdOf(changeTable),
    keyColumns: [...own(tables.indexColumns)].map(([, column]) => column as string),
  };
}

/** A change table whose clustered index leaves the command id out was upgraded without being rebuilt: it stays NULL. */
function commandIdOf(changeTable: Table): CommandIdColumn {
  const at = changeTable.columnIndex("__$command_id");
  if (at < 0) return "missing";
  return changeTable.clusteredIndex?.columns.some(({ column }) => column === at) ? "current" : "null";
}
