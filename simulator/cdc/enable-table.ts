/**
 * sys.sp_cdc_enable_table and sys.sp_cdc_disable_table.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-enable-table-transact-sql
 */
import { configuration } from "../catalog/databases.ts";
import { type Column, type Index, lsnToBuffer } from "../engine/database.ts";
import type { EngineContext } from "../engine/engine.ts";
import type { ResultSink } from "../engine/session.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import type { SystemTransaction } from "../engine/transactions.ts";
import { requireOwnerWhereEnabled, write } from "./access.ts";
import { CAPTURE_DEFAULTS, type CdcDatabase, CLEANUP_DEFAULTS } from "./cdc-database.ts";
import { parseColumnList } from "./column-list.ts";
import { cdcError, notice } from "./errors.ts";
import { type CaptureInstance, type CdcTables, CHANGE_TABLE } from "./instances.ts";
import { type JobType, jobName } from "./job-settings.ts";
import { changeTable } from "./metadata-tables.ts";
import { allChangesFunction, netChangesFunction } from "./query-functions.ts";
import { toDatetime } from "./server-time.ts";

export interface EnableTable {
  sourceSchema: string;
  sourceName: string;
  captureInstance: string | null;
  supportsNetChanges: boolean | null;
  /** null: none. */
  roleName: string | null;
  indexName: string | null;
  capturedColumnList: string | null;
  filegroupName: string | null;
  allowPartitionSwitch: boolean | null;
  extendedDdlHandling: boolean | null;
}

/** Of an index that net changes go by. */
const MOST_KEY_COLUMNS = 14;

const RESERVED = ["__$start_lsn", "__$end_lsn", "__$seqval", "__$operation", "__$update_mask"];

export function enableTable(context: EngineContext, request: EnableTable, sink: ResultSink): void {
  const { cdc, tables } = requireOwnerWhereEnabled(context);
  if (request.extendedDdlHandling) throw cdcError(22874);
  const { database } = context;
  const source = sourceTable(database, request);
  const instances = cdc.instances();
  const name = instanceName(request, source, instances);
  if (instances.filter((instance) => instance.sourceObjectId === source.objectId).length >= 2)
    throw cdcError(22962, request.sourceSchema, request.sourceName);
  const key = keyIndex(request, source);
  const net = request.supportsNetChanges ?? key !== undefined;
  if (net && !key) throw cdcError(22939);
  if (net && key!.columns.length > MOST_KEY_COLUMNS) throw cdcError(22865, key!.name, source.schema, source.name);
  const columns = capturedColumns(request, source, key);
  if (request.filegroupName !== null && request.filegroupName.toUpperCase() !== "PRIMARY")
    throw cdcError(22973, request.filegroupName, database.name);
  const role = gatingRole(context, request.roleName);

  hold(context, cdc);
  write(context, (system) => {
    const shape = changeTable(name, columns, {
      commandId: cdc.commandId,
      netChangesKey: net ? key!.columns.map(({ column }) => source.columns[column]!.name) : [],
    });
    const table = database.createTable({ schema: "cdc", ...shape, msShipped: true, createDate: context.now() });
    const startLsn = ownLsn(database);
    describe(system, tables, { table, source, name, columns, key, net, role, startLsn, request, context });
    cdc.capture.newInstances.set(table.objectId, startLsn);
    const wasTracked = source.trackedByCdc;
    source.trackedByCdc = true;
    database.engine.schemaVersion++;
    registerQueryFunctions(database, name, net);
    system.onRollback(() => {
      source.trackedByCdc = wasTracked;
      database.removeTable(table);
      unregisterQueryFunctions(database, name);
      cdc.capture.newInstances.delete(table.objectId);
    });
  });
  if (request.allowPartitionSwitch === false) notice(sink, 22857);
  if (net && configuration(context.engine, "clr enabled") === 0) notice(sink, 22969);
  startJobs(cdc, sink);
  cdc.nudge();
}

/** A log record of its own: where the validity of an instance begins, and of no other. The next one is `enablingCommit`. */
function ownLsn(database: Database): bigint {
  database.lsn.flush();
  const lsn = database.lsn.append(84);
  database.lsn.append(84);
  database.lsn.flush();
  return lsn;
}

/** Until the enabling is committed, capture waits: it does not see the instance yet, which is valid from here on. */
function hold({ session }: EngineContext, cdc: CdcDatabase): void {
  const transaction = session.currentTransaction;
  if (!transaction) return;
  cdc.capture.heldBy++;
  transaction.onEnd.push(() => {
    cdc.capture.heldBy--;
    cdc.nudge();
  });
}

function sourceTable(database: Database, request: EnableTable): Table {
  for (const [parameter, value] of [
    ["@source_schema", request.sourceSchema],
    ["@source_name", request.sourceName],
  ] as const)
    if (!value) throw cdcError(22963, parameter);
  if (request.roleName !== null && request.roleName.trim() === "") throw cdcError(22907);
  if (request.sourceSchema.toLowerCase() === "cdc") throw cdcError(22974);
  const source = database.findTable(request.sourceSchema, request.sourceName);
  if (!source || source.msShipped) throw cdcError(22931, request.sourceSchema, request.sourceName);
  return source;
}

function instanceName(request: EnableTable, source: Table, instances: CaptureInstance[]): string {
  const name = (request.captureInstance ?? `${source.schema}_${source.name}`).trimEnd();
  if (name === "") throw cdcError(22932, name);
  if (name.length > 100) throw cdcError(22927, name);
  if (instances.some((instance) => instance.name.toLowerCase() === name.toLowerCase())) throw cdcError(22926, name);
  return name;
}

/** The index that tells rows apart: the one named, or the primary key. */
function keyIndex(request: EnableTable, source: Table): Index | undefined {
  if (request.indexName === null) return source.indexes.find((index) => index.primaryKey);
  const wanted = request.indexName.toLowerCase();
  const index = source.indexes.find((candidate) => candidate.name.toLowerCase() === wanted);
  if (!index) throw cdcError(22928, request.indexName, source.schema, source.name);
  if (!index.unique) throw cdcError(22929, request.indexName, source.schema, source.name);
  if (index.columns.some(({ column }) => source.columns[column]!.nullable))
    throw cdcError(22838, request.indexName, source.schema, source.name);
  return index;
}

function capturedColumns(request: EnableTable, source: Table, key: Index | undefined): Column[] {
  if (request.capturedColumnList === null || request.capturedColumnList.trim() === "") {
    if (source.columns.some((column) => RESERVED.includes(column.name.toLowerCase())))
      throw cdcError(22975, `${source.schema}.${source.name}`);
    return source.columns;
  }
  const wanted = new Set<number>();
  for (const name of parseColumnList(request.capturedColumnList)) {
    const at = source.columnIndex(name);
    if (at < 0) throw cdcError(22930, name, source.schema, source.name);
    wanted.add(at);
  }
  if (key?.columns.some(({ column }) => !wanted.has(column))) throw cdcError(22943);
  return source.columns.filter((_, i) => wanted.has(i));
}

/** An existing role, database's or server's, or a new one of that name. */
function gatingRole(context: EngineContext, name: string | null): string | null {
  const { database } = context;
  if (name === null) return null;
  const trimmed = name.trimEnd();
  if (trimmed.length > 128) throw cdcError(22938, trimmed);
  const known = database.principals.find(trimmed);
  if (known) return known.name;
  return database.principals.create(trimmed, "role", context.now()).name;
}

interface Description {
  table: Table;
  source: Table;
  name: string;
  columns: Column[];
  key: Index | undefined;
  net: boolean;
  role: string | null;
  startLsn: bigint;
  request: EnableTable;
  context: EngineContext;
}

/**
 * start_lsn is there at once, with every instance. Materialize measured it so on SQL Server:
 * https://github.com/MaterializeInc/materialize/pull/33184
 */
function describe(system: SystemTransaction, tables: CdcTables, description: Description): void {
  const { table, source, columns, key, context } = description;
  const { engine } = context;
  system.insert(tables.changeTables, [
    table.objectId,
    0,
    source.objectId,
    description.name,
    lsnToBuffer(description.startLsn),
    null,
    description.net,
    null,
    description.role,
    key?.name ?? null,
    description.request.filegroupName,
    toDatetime(engine, context.now()),
    true,
  ]);
  for (const [i, column] of columns.entries())
    system.insert(tables.capturedColumns, [
      table.objectId,
      column.name,
      column.columnId,
      column.declaredType ?? column.type.id,
      i + 1,
      column.computed !== undefined,
      column.masked ?? null,
    ]);
  for (const [i, { column }] of (key?.columns ?? []).entries())
    system.insert(tables.indexColumns, [
      table.objectId,
      source.columns[column]!.name,
      i + 1,
      source.columns[column]!.columnId,
    ]);
}

function startJobs(cdc: CdcDatabase, sink: ResultSink): void {
  const started = (type: JobType) => notice(sink, 14243, jobName(cdc, type));
  if (!cdc.captureJob) {
    cdc.addCaptureJob({ ...CAPTURE_DEFAULTS });
    if (cdc.startCapture) {
      cdc.start();
      started("capture");
    }
  }
  if (!cdc.cleanupJob) {
    cdc.addCleanupJob({ ...CLEANUP_DEFAULTS });
    started("cleanup");
  }
}

// ---------------------------------------------------------------- disabling

/** `captureInstance` "all": all of the table's. */
export function disableTable(
  context: EngineContext,
  request: { sourceSchema: string; sourceName: string; captureInstance: string },
): void {
  const { cdc } = requireOwnerWhereEnabled(context);
  const { sourceSchema, sourceName, captureInstance } = request;
  const source = context.database.findTable(sourceSchema, sourceName);
  if (!source) throw cdcError(22931, sourceSchema, sourceName);
  const all = captureInstance.toLowerCase() === "all";
  const found = cdc
    .instances()
    .filter((instance) => instance.sourceObjectId === source.objectId)
    .filter((instance) => all || instance.name.toLowerCase() === captureInstance.toLowerCase());
  // "All" of none is no error (Debezium's integration tests disable tables twice).
  if (found.length === 0 && !all) throw cdcError(22960, captureInstance, sourceSchema, sourceName);
  dropInstances(context, cdc, found);
}

/** With the last instance of a database its jobs go, and all of cdc.lsn_time_mapping. */
export function dropInstances(context: EngineContext, cdc: CdcDatabase, instances: CaptureInstance[]): void {
  for (const instance of instances) dropInstance(context, cdc, instance);
  const { tables } = cdc;
  if (!tables) return;
  write(context, (system) => {
    for (const _ of tables.changeTables.entries(system.snapshot)) return;
    for (const { entry } of [...tables.lsnTimeMapping.entries(system.snapshot)])
      system.delete(tables.lsnTimeMapping, entry);
    system.onRollback(cdc.dropJobs());
  });
}

/** Takes an instance's change table, functions and descriptions away. */
export function dropInstance(context: EngineContext, cdc: CdcDatabase, instance: CaptureInstance): void {
  const { database } = context;
  const { tables } = cdc;
  if (!tables) return;
  write(context, (system) => {
    for (const table of [tables.changeTables, tables.capturedColumns, tables.indexColumns])
      for (const { entry, row } of [...table.entries(system.snapshot)])
        if (row[0] === instance.objectId) system.delete(table, entry);
    for (const { entry, row } of [...tables.ddlHistory.entries(system.snapshot)])
      if (row[1] === instance.objectId) system.delete(tables.ddlHistory, entry);
    const source = database.tables.get(instance.sourceObjectId);
    if (source) source.trackedByCdc = hasInstance(system, tables, source);
    database.removeTable(instance.changeTable);
    unregisterQueryFunctions(database, instance.name);
    system.onRollback(() => {
      if (source) source.trackedByCdc = true;
      database.addTable(instance.changeTable);
      registerQueryFunctions(database, instance.name, instance.supportsNetChanges);
    });
  });
  cdc.capture.newInstances.delete(instance.objectId);
}

function hasInstance(system: SystemTransaction, tables: CdcTables, source: Table): boolean {
  for (const row of tables.changeTables.rows(system.snapshot))
    if (row[CHANGE_TABLE.sourceObjectId] === source.objectId) return true;
  return false;
}

export function registerQueryFunctions(database: Database, instance: string, net: boolean): void {
  const all = allChangesFunction(database, instance);
  if (all) database.systemObjects.registerTableFunction(all);
  const changes = net ? netChangesFunction(database, instance) : undefined;
  if (changes) database.systemObjects.registerTableFunction(changes);
  database.engine.schemaVersion++;
}

function unregisterQueryFunctions(database: Database, instance: string): void {
  database.systemObjects.unregister("cdc", `fn_cdc_get_all_changes_${instance}`);
  database.systemObjects.unregister("cdc", `fn_cdc_get_net_changes_${instance}`);
  database.engine.schemaVersion++;
}
