/** Reads the catalogue: which tables are captured, by which instances, with which columns and keys. */
import type { TableName } from "../../ingester/checkpoint.ts";
import type { CapturedColumn, CapturedTable, CaptureInstance } from "./capture-instance.ts";
import { columnType } from "./column-type.ts";
import type { SqlConnection } from "./connection.ts";
import { lsnOrNull } from "./lsn.ts";
import { quoteName } from "./quote.ts";

/**
 * https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-change-tables-transact-sql. The change table's own
 * columns tell the types; cdc.captured_columns tells ordinals and what is computed. Only what the login may see comes.
 */
const instancesQuery = `
SELECT ct.source_object_id, s.name, t.name, ct.object_id, ct.capture_instance, OBJECT_SCHEMA_NAME(ct.object_id),
  OBJECT_NAME(ct.object_id), ct.start_lsn, ct.role_name
FROM cdc.change_tables AS ct
JOIN sys.tables AS t ON t.object_id = ct.source_object_id
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
ORDER BY ct.source_object_id, ct.create_date, ct.object_id`;

const columnsQuery = `
SELECT cc.object_id, cc.column_name, cc.column_ordinal, cc.is_computed, b.name, c.max_length, c.scale, sc.is_nullable,
  CONVERT(int, COLLATIONPROPERTY(c.collation_name, 'CodePage'))
FROM cdc.captured_columns AS cc
JOIN cdc.change_tables AS ct ON ct.object_id = cc.object_id
JOIN sys.columns AS c ON c.object_id = cc.object_id AND c.name = cc.column_name
LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id
LEFT JOIN sys.columns AS sc ON sc.object_id = ct.source_object_id AND sc.column_id = cc.column_id AND sc.name = cc.column_name
ORDER BY cc.object_id, cc.column_ordinal`;

const clusteredQuery = `
SELECT i.object_id, c.name
FROM cdc.change_tables AS ct
JOIN sys.indexes AS i ON i.object_id = ct.object_id AND i.type = 1
JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id AND ic.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
ORDER BY i.object_id, ic.key_ordinal`;

const commandQuery = `
SELECT ct.object_id, c.is_nullable
FROM cdc.change_tables AS ct
JOIN sys.columns AS c ON c.object_id = ct.object_id AND c.name = N'__$command_id'`;

const primaryKeyQuery = `
SELECT i.object_id, c.name
FROM sys.indexes AS i
JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id AND ic.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE i.is_primary_key = 1 AND i.object_id IN (SELECT source_object_id FROM cdc.change_tables)
ORDER BY i.object_id, ic.key_ordinal`;

const catalogQuery = [instancesQuery, columnsQuery, clusteredQuery, commandQuery, primaryKeyQuery].join(";\n");

type Row = unknown[];

/** All captured tables that the login may see, by name. */
export async function readCatalog(connection: SqlConnection, signal: AbortSignal): Promise<CapturedTable[]> {
  const { sets } = await connection.query(catalogQuery, [], signal, {
    doing: "reading the catalogue of captured tables",
  });
  const [instances, columns, clustered, commands, primaryKeys] = sets.map((set) => set.rows) as [
    Row[],
    Row[],
    Row[],
    Row[],
    Row[],
  ];
  const columnsOf = group(columns, readColumn);
  const clusteredOf = group(clustered, (row) => row[1] as string);
  const nullableOf = group(commands, (row) => row[1] as boolean);
  const keysOf = group(primaryKeys, (row) => row[1] as string);

  const tables = new Map<number, CapturedTable & { instances: CaptureInstance[] }>();
  for (const row of instances) {
    const [sourceId, schema, table, objectId, name, ctSchema, ctName, startLsn, roleName] = row;
    const id = sourceId as number;
    const known = tables.get(id) ?? {
      objectId: id,
      schema: schema as string,
      table: table as string,
      primaryKey: keysOf.get(id) ?? [],
      instances: [],
    };
    tables.set(id, known);
    const nullable = nullableOf.get(objectId as number)?.[0];
    known.instances.push({
      name: name as string,
      objectId: objectId as number,
      changeTable: `${quoteName(ctSchema as string)}.${quoteName(ctName as string)}`,
      startLsn: lsnOrNull(startLsn),
      roleName: roleName as string | null,
      columns: columnsOf.get(objectId as number) ?? [],
      clusteredKey: clusteredOf.get(objectId as number) ?? [],
      commandId: nullable === undefined ? "none" : nullable ? "nullable" : "always",
    });
  }
  const byName = (a: TableName, b: TableName) => compareText(a.schema, b.schema) || compareText(a.table, b.table);
  return [...tables.values()].sort(byName);
}

function readColumn(row: Row): CapturedColumn {
  const [, name, ordinal, computed, type, maxLength, scale, nullable, codePage] = row;
  return {
    name: name as string,
    ordinal: ordinal as number,
    computed: Boolean(computed),
    ...columnType(type, maxLength, scale),
    codePage: codePage as number | null,
    sourceNullable: nullable === null ? null : Boolean(nullable),
  };
}

function group<T>(rows: Row[], read: (row: Row) => T): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const row of rows) {
    const id = row[0] as number;
    const list = groups.get(id);
    if (list) list.push(read(row));
    else groups.set(id, [read(row)]);
  }
  return groups;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const forkQuery = "SELECT recovery_fork_guid FROM sys.database_recovery_status WHERE database_id = DB_ID()";

/** Tells one history of the database from another in message ids; null where the login or the server does not show it. */
export async function readRecoveryFork(connection: SqlConnection, signal: AbortSignal): Promise<string | null> {
  try {
    const { sets } = await connection.query(forkQuery, [], signal, { doing: "asking for the recovery fork" });
    return (sets[0]!.rows[0]?.[0] as string | null | undefined) ?? null;
  } catch (error) {
    if (isUnavailable(error)) throw error;
    return null;
  }
}

function isUnavailable(error: unknown): boolean {
  return (error as { scope?: string }).scope !== "table";
}
