/**
 * sys.sp_cdc_enable_db and sys.sp_cdc_disable_db.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-enable-db-transact-sql
 */
import { configuration } from "../catalog/databases.ts";
import type { Row } from "../engine/database.ts";
import type { EngineContext } from "../engine/engine.ts";
import { type ResultSink, SqlError } from "../engine/session.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import { requireSysadmin, write } from "./access.ts";
import { CdcDatabase } from "./cdc-database.ts";
import { dropInstances, registerQueryFunctions } from "./enable-table.ts";
import { cdcError, notice } from "./errors.ts";
import { metadataTables, schemaVersionsTable } from "./metadata-tables.ts";

export function enableDatabase(context: EngineContext, sink: ResultSink): void {
  requireSysadmin(context);
  const { database } = context;
  if (database.id <= 4) throw cdcError(22989, database.name);
  const cdc = CdcDatabase.of(database);
  if (cdc.enabled) {
    notice(sink, 22905, database.name);
    return;
  }
  if (database.schemas.has("cdc") || database.principals.find("cdc")) throw cdcError(22906, database.name);
  write(context, (system) => {
    const user = database.principals.create("cdc", "user", context.now());
    user.defaultSchema = "cdc";
    user.roles.add("db_owner");
    database.createSchema("cdc", user.principalId);
    const common = { msShipped: true, createDate: context.now() };
    for (const shape of metadataTables()) database.createTable({ schema: "cdc", ...shape, ...common });
    database.createTable({ schema: "dbo", ...schemaVersionsTable(), ...common });
    system.onRollback(() => void removeObjects(database));
  });
  installHooks(cdc);
}

export function disableDatabase(context: EngineContext, sink: ResultSink): void {
  requireSysadmin(context);
  const { database } = context;
  const cdc = CdcDatabase.of(database);
  if (!cdc.enabled) {
    notice(sink, 22901, database.name);
    return;
  }
  write(context, (system) => {
    dropInstances(context, cdc, cdc.instances());
    system.onRollback(cdc.dropJobs());
    const log = database.log.splice(0);
    system.onRollback(() => database.log.unshift(...log));
    system.onRollback(removeObjects(database));
  });
}

/** Gives back how to undo it. */
function removeObjects(database: Database): () => void {
  const { principals, schemas } = database;
  const tables = [...database.tables.values()].filter(
    (table) => table.schema === "cdc" || (table.msShipped && table.name === "systranschemas"),
  );
  const [user, schema] = [principals.find("cdc"), schemas.get("cdc")];
  const permissions = [...principals.permissions];
  for (const table of tables) database.removeTable(table);
  if (user) principals.drop("cdc");
  database.dropSchema("cdc");
  return () => {
    if (schema) schemas.set("cdc", schema);
    if (user) principals.all.set("cdc", user);
    principals.permissions.splice(0, Infinity, ...permissions);
    for (const table of tables) database.addTable(table);
  };
}

/** Databases whose hooks are in place, through disabling and enabling again. */
const hooked = new WeakSet<Database>();

/** DDL on tracked tables: what is refused, what is remembered, and what goes with the table. */
export function installHooks(cdc: CdcDatabase): void {
  const { database } = cdc;
  if (hooked.has(database)) return;
  hooked.add(database);
  const { hooks } = database;
  hooks.beforeTruncate.push((table) => {
    if (!cdc.tracked(table)) return;
    throw new SqlError(
      4711,
      `Cannot truncate table '${table.name}' because it is published for replication or enabled for Change Data Capture.`,
      16,
      1,
    );
  });
  hooks.beforeTrackedWrite.push(refuseLongValues);
  // A statement that changes several columns is one entry of the history: its first change logs it.
  let altering: Table | null = null;
  hooks.beforeAlterTable.push((table, session) => {
    altering = cdc.tracked(table) ? table : null;
    if (!altering) return;
    const forget = cdc.layouts.changing(table, database.lsn.current);
    session.currentTransaction?.onRollback(forget);
  });
  hooks.afterAlterTable.push(({ table, command, transaction, change }) => {
    if (!cdc.tracked(table)) return;
    if (change.kind === "rename")
      throw new SqlError(4928, `Cannot alter column '${change.before}' because it is 'REPLICATED'.`);
    const lost = lostIndex(cdc, table);
    if (lost) throw cdcError(22979, lost, table.name);
    if (change.kind === "other" || altering !== table) return;
    altering = null;
    transaction.logDdl(table, command, database.engine.now());
  });
  hooks.onDdl.push(({ objectId }) => {
    const table = database.tables.get(objectId);
    const lost = table && cdc.tracked(table) ? lostIndex(cdc, table) : undefined;
    if (lost) throw cdcError(22983, lost, table!.name);
  });
  hooks.beforeDropTable.push((table, session) => {
    if (!cdc.tracked(table)) return;
    const context: EngineContext = {
      engine: database.engine,
      database,
      session,
      snapshot: { seq: Number.MAX_SAFE_INTEGER, transaction: session.currentTransaction },
      now: () => database.engine.now(),
    };
    const own = cdc.instances().filter((instance) => instance.sourceObjectId === table.objectId);
    if (own.length > 0) dropInstances(context, cdc, own);
  });
}

/** The index that tells an instance's rows apart, if the table no longer has it. */
function lostIndex(cdc: CdcDatabase, table: Table): string | undefined {
  const names = new Set(table.indexes.map((index) => index.name.toLowerCase()));
  for (const { sourceObjectId, indexName } of cdc.instances())
    if (sourceObjectId === table.objectId && indexName !== null && !names.has(indexName.toLowerCase()))
      return indexName;
  return undefined;
}

const LARGE = new Set(["text", "ntext", "image", "xml"]);

/**
 * "max text repl size": a large value that a tracked column gets may not be longer.
 * https://learn.microsoft.com/sql/database-engine/configure-windows/configure-the-max-text-repl-size-server-configuration-option
 */
function refuseLongValues(table: Table, row: Row, before: Row | null): void {
  const limit = configuration(table.database.engine, "max text repl size (B)");
  if (limit < 0) return;
  for (const [i, { type }] of table.columns.entries()) {
    const value = row[i];
    if ((type.length !== -1 && !LARGE.has(type.id)) || value === before?.[i]) continue;
    const wide = type.id === "nvarchar" || type.id === "ntext" || type.id === "xml";
    const length =
      typeof value === "string" ? value.length * (wide ? 2 : 1) : Buffer.isBuffer(value) ? value.length : 0;
    if (length > limit)
      throw new SqlError(
        7139,
        `Length of LOB data (${length}) to be replicated exceeds configured maximum ${limit}. Use the stored procedure sp_configure to increase the configured maximum value for max text repl size option, which defaults to 65536. A configured value of -1 indicates no limit, other than the limit imposed by the data type.`,
        16,
        1,
      );
  }
}

/** For a database whose definitions and rows were read back. */
export function resumeDatabase(cdc: CdcDatabase): void {
  if (!cdc.enabled) return;
  for (const instance of cdc.instances())
    registerQueryFunctions(cdc.database, instance.name, instance.supportsNetChanges);
  installHooks(cdc);
}
