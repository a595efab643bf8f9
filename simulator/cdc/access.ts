/**
 * Who may read a capture instance: db_owner and sysadmin; others with SELECT on the source table's captured columns and, where the
 * instance has a gating role, membership of it.
 * https://learn.microsoft.com/sql/relational-databases/track-changes/enable-and-disable-change-data-capture-sql-server
 */
import type { EngineContext } from "../engine/engine.ts";
import { SystemTransaction } from "../engine/transactions.ts";
import { CdcDatabase } from "./cdc-database.ts";
import { cdcError } from "./errors.ts";
import type { CaptureInstance, CdcTables } from "./instances.ts";

export function isOwner({ database, session }: EngineContext): boolean {
  const principal = session.principalIn(database);
  return principal.name === "dbo" || database.principals.identities(principal).has("db_owner");
}

export function mayRead(context: EngineContext, instance: CaptureInstance): boolean {
  return isOwner(context) || (passesGate(context, instance) && maySelectSource(context, instance));
}

/** No gating role, or a member of it. */
export function passesGate(context: EngineContext, { roleName }: CaptureInstance): boolean {
  const { database, session } = context;
  if (roleName === null || isOwner(context)) return true;
  return database.principals.identities(session.principalIn(database)).has(roleName.toLowerCase());
}

/** SELECT on every captured column of the source table. */
export function maySelectSource(context: EngineContext, instance: CaptureInstance): boolean {
  if (isOwner(context)) return true;
  const { database, session } = context;
  const principal = session.principalIn(database);
  const source = database.tables.get(instance.sourceObjectId);
  if (!source) return false;
  const schemaId = database.schemaId(source.schema);
  const securable = { objectId: source.objectId, schemaId, schema: source.schema, name: source.name };
  return instance.columns.every(({ name }) => database.principals.allows(principal, "SELECT", securable, name));
}

/** Error 22904 for those who are not db_owner. */
export function requireOwner(context: EngineContext): void {
  if (!isOwner(context)) throw cdcError(22904);
}

/** Error 22902 for those who are not sysadmin. */
export function requireSysadmin({ session }: EngineContext): void {
  if (!session.login.sysadmin) throw cdcError(22902);
}

/** Error 22901 in a database that is not enabled. */
export function requireEnabled({ database }: EngineContext): { cdc: CdcDatabase; tables: CdcTables } {
  const cdc = CdcDatabase.of(database);
  const { tables } = cdc;
  if (!tables) throw cdcError(22901, database.name);
  return { cdc, tables };
}

/** What procedures for owners ask first, in SQL Server's order: who calls, then where. */
export function requireOwnerWhereEnabled(context: EngineContext): { cdc: CdcDatabase; tables: CdcTables } {
  requireOwner(context);
  return requireEnabled(context);
}

/** In the session's transaction, where it has one, or in one of the system's. */
export function write<T>({ database, session }: EngineContext, work: (system: SystemTransaction) => T): T {
  const current = session.currentTransaction;
  return current ? work(new SystemTransaction(current)) : database.systemTransaction(work);
}
