/**
 * A database's content at one moment, and going back to it as RESTORE does: what was committed since is gone, the log goes on from
 * the old LSN with other content, and recovery_fork_guid is another.
 * https://learn.microsoft.com/sql/relational-databases/backup-restore/recovery-paths-sql-server
 */

import type { CaptureSettings } from "../cdc/capture-job.ts";
import { CdcDatabase } from "../cdc/cdc-database.ts";
import type { CleanupSettings } from "../cdc/cleanup-job.ts";
import { resumeDatabase } from "../cdc/enable-database.ts";
import type { Column, Index, LoggedTransaction, Row } from "../engine/database.ts";
import type { Permission, Principal } from "../engine/principals.ts";
import type { Sequence } from "../engine/sequences.ts";
import {
  Database,
  type Procedure,
  type Schema,
  type Synonym,
  type UserFunction,
  type View,
} from "../engine/storage.ts";
import { Table } from "../engine/table.ts";
import { forkRecovery } from "./databases.ts";

interface TableSnapshot {
  table: Pick<
    Table,
    "objectId" | "schema" | "name" | "createDate" | "checks" | "foreignKeys" | "msShipped" | "trackedByCdc"
  >;
  columns: Column[];
  indexes: Index[];
  rows: Row[];
}

export interface DatabaseSnapshot {
  readonly database: Database;
  readonly tables: TableSnapshot[];
  readonly views: View[];
  readonly procedures: Procedure[];
  readonly functions: UserFunction[];
  readonly sequences: Sequence[];
  readonly synonyms: Synonym[];
  readonly schemas: Schema[];
  readonly principals: Principal[];
  readonly permissions: Permission[];
  readonly options: [string, string][];
  readonly log: LoggedTransaction[];
  readonly lsn: bigint;
  readonly cdc: {
    newInstances: [number, bigint][];
    capture: CaptureSettings | null;
    cleanup: CleanupSettings | null;
  };
}

/** As committed now. */
export function takeSnapshot(database: Database): DatabaseSnapshot {
  const cdc = CdcDatabase.of(database);
  return {
    database,
    tables: database.systemTransaction(({ snapshot }) =>
      [...database.tables.values()]
        .filter((table) => !table.temporary)
        .map((table) => ({
          table: pick(table),
          columns: table.columns.map(copyColumn),
          indexes: table.indexes.map((index) => ({ ...index })),
          rows: [...table.rows(snapshot)],
        })),
    ),
    views: [...database.views.values()],
    procedures: [...database.procedures.values()],
    functions: [...database.functions.values()],
    sequences: [...database.sequences.values()].map((sequence) => ({ ...sequence })),
    synonyms: [...database.synonyms.values()],
    schemas: [...database.schemas.values()],
    principals: [...database.principals.all.values()].map(copyPrincipal),
    permissions: database.principals.permissions.map((permission) => ({ ...permission })),
    options: [...database.options],
    log: [...database.log],
    lsn: database.lsn.current,
    cdc: {
      newInstances: [...cdc.capture.newInstances],
      capture: cdc.captureJob?.settings ?? null,
      cleanup: cdc.cleanupJob?.settings ?? null,
    },
  };
}

/** Takes the database's place. Sessions that are in it go on in the restored one; their open transactions must have ended. */
export function restoreSnapshot(snapshot: DatabaseSnapshot): Database {
  const { engine, name } = snapshot.database;
  const current = engine.database(name);
  if (!current) throw new Error(`there is no database ${name} to restore`);
  const running = CdcDatabase.of(current).capture.running;
  CdcDatabase.of(current).capture.stop();

  const { id, collation, createDate } = snapshot.database;
  const restored = new Database(engine, name, id, collation, createDate);
  fill(restored, snapshot);
  // `advance` goes to the next block: a block that has not begun yet is the next one.
  restored.lsn.advance((snapshot.lsn & 0xffffn) === 0n ? snapshot.lsn - 0x10000n : snapshot.lsn);
  restored.log.push(...snapshot.log);
  const recovery = current.properties.get("recovery");
  if (recovery) restored.properties.set("recovery", recovery);
  forkRecovery(restored);

  engine.databases.set(name.toLowerCase(), restored);
  engine.schemaVersion++;
  for (const session of engine.sessions.values())
    if (session.currentDatabase === current) session.currentDatabase = restored;
  resumeCapture(restored, snapshot, running);
  return restored;
}

function fill(restored: Database, snapshot: DatabaseSnapshot): void {
  restored.schemas.clear();
  for (const schema of snapshot.schemas) restored.schemas.set(schema.name.toLowerCase(), schema);
  restored.principals.all.clear();
  for (const principal of snapshot.principals)
    restored.principals.all.set(principal.name.toLowerCase(), copyPrincipal(principal));
  restored.principals.permissions.push(...snapshot.permissions.map((permission) => ({ ...permission })));
  for (const [option, value] of snapshot.options) restored.options.set(option, value);
  for (const { table, columns, indexes, rows } of snapshot.tables) {
    const made = new Table(restored, { ...table, columns: columns.map(copyColumn) });
    for (const index of indexes) made.addIndex({ ...index });
    restored.systemTransaction((system) => {
      for (const row of rows) system.insert(made, row);
    });
    made.checks = table.checks;
    made.foreignKeys = table.foreignKeys;
    made.msShipped = table.msShipped;
    made.trackedByCdc = table.trackedByCdc;
    restored.addTable(made);
  }
  for (const view of snapshot.views) restored.addView(view);
  for (const procedure of snapshot.procedures) restored.addProcedure(procedure);
  for (const made of snapshot.functions) restored.addFunction(made);
  for (const sequence of snapshot.sequences) restored.addSequence({ ...sequence });
  for (const synonym of snapshot.synonyms) restored.addSynonym(synonym);
}

function resumeCapture(restored: Database, { cdc: state }: DatabaseSnapshot, running: boolean): void {
  const cdc = CdcDatabase.of(restored);
  if (!cdc.enabled) return;
  resumeDatabase(cdc);
  for (const [objectId, lsn] of state.newInstances) cdc.capture.newInstances.set(objectId, lsn);
  if (state.capture) cdc.addCaptureJob(state.capture);
  if (state.cleanup) cdc.addCleanupJob(state.cleanup);
  if (running) cdc.start();
}

function pick(table: Table): TableSnapshot["table"] {
  const { objectId, schema, name, createDate, msShipped, trackedByCdc } = table;
  return {
    objectId,
    schema,
    name,
    createDate,
    checks: [...table.checks],
    foreignKeys: [...table.foreignKeys],
    msShipped,
    trackedByCdc,
  };
}

/** An identity's next value changes in place. */
function copyColumn(column: Column): Column {
  return column.identity ? { ...column, identity: { ...column.identity } } : { ...column };
}

function copyPrincipal(principal: Principal): Principal {
  return { ...principal, roles: new Set(principal.roles) };
}
