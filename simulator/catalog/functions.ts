/**
 * Metadata and security functions, as far as they are not the engine's own (USER_NAME, IS_MEMBER and their like).
 * https://learn.microsoft.com/sql/t-sql/functions/metadata-functions-transact-sql
 */
import { findCollation } from "../engine/collations.ts";
import type { Column, Index } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import type { Principal, Securable } from "../engine/principals.ts";
import type { Database } from "../engine/storage.ts";
import type { Table } from "../engine/table.ts";
import { Session } from "../engine/user-session.ts";
import { type Value, Variant } from "../engine/values.ts";
import { scalar } from "./define.ts";
import { parseName } from "./names.ts";
import { type CatalogObject, findObject } from "./objects.ts";
import { collationProperty, databaseProperty, serverProperty } from "./server-properties.ts";
import { maxLength, precisionOf, SYSNAME_ID, SYSTEM_TYPES, scaleOf } from "./system-types.ts";

type Context = EngineContext;

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function databaseOf(context: Context, id: Value | undefined): Database | undefined {
  if (id === undefined || id === null) return context.session.currentDatabase;
  return context.engine.databaseById(Number(id));
}

function byId(context: Context, id: Value, databaseId?: Value): CatalogObject | undefined {
  const database = databaseOf(context, databaseId);
  if (!database || id === null) return undefined;
  return findObject(context.engine, database, (object) => object.objectId === id);
}

/** A name of one to three parts, as OBJECT_ID takes it; without a schema the user's own is tried, then dbo and sys. */
export function objectByName(context: Context, text: string, type?: string): CatalogObject | undefined {
  const parts = parseName(text);
  const name = parts.at(-1);
  if (!name) return undefined;
  const databaseName = parts.at(-3);
  const database = databaseName ? context.engine.database(databaseName) : context.session.currentDatabase;
  if (!database) return undefined;
  if (name.startsWith("#") && same(database.name, "tempdb")) return temporaryTable(context, name, type);
  const schema = parts.at(-2);
  const schemas = schema ? [schema] : [context.session.principalIn(database).defaultSchema, "dbo", "sys"];
  const wanted = type?.trim().toUpperCase().padEnd(2);
  for (const candidate of schemas) {
    const found = findObject(
      context.engine,
      database,
      (object) =>
        same(object.name, name) && same(object.schema, candidate) && (wanted === undefined || object.type === wanted),
    );
    if (found) return found;
  }
  return undefined;
}

/** The session's own: others' are not found by their names. */
function temporaryTable({ session }: Context, name: string, type: string | undefined): CatalogObject | undefined {
  const table = session.temporaryTables.get(name.toLowerCase());
  if (!table || (type !== undefined && type.trim().toUpperCase() !== "U")) return undefined;
  return {
    objectId: table.objectId,
    name: table.name,
    schema: table.schema,
    parentId: 0,
    type: "U ",
    created: table.createDate,
    modified: table.modifyDate,
    msShipped: false,
  };
}

function tableById({ session }: Context, id: Value): Table | undefined {
  return typeof id === "number" ? session.currentDatabase.tables.get(id) : undefined;
}

function columnOf(table: Table | undefined, name: Value): Column | undefined {
  return table?.columns[table.columnIndex(String(name))];
}

function indexOf(table: Table | undefined, id: Value): Index | undefined {
  return table?.indexes.find((index) => index.indexId === id);
}

const bool = (value: boolean) => (value ? 1 : 0);

/** https://learn.microsoft.com/sql/t-sql/functions/objectproperty-transact-sql */
function objectProperty(context: Context, id: Value, property: Value): number | null {
  const object = byId(context, id);
  if (!object) return null;
  const table = context.session.currentDatabase.tables.get(object.objectId);
  switch (String(property).trimEnd().toLowerCase()) {
    case "istable":
    case "isusertable":
      return bool(object.type === "U " && !(object.msShipped && object.schema === "sys"));
    case "isview":
      return bool(object.type === "V ");
    case "isprocedure":
      return bool(object.type === "P ");
    case "isprimarykey":
      return bool(object.type === "PK");
    case "isuniquecnst":
      return bool(object.type === "UQ");
    case "isconstraint":
      return bool(["PK", "UQ", "D ", "C ", "F "].includes(object.type));
    case "ismsshipped":
      return bool(object.msShipped);
    case "issystemtable":
      return 0;
    case "ownerid":
      return 1;
    case "schemaid":
      return context.session.currentDatabase.schemaId(object.schema);
    case "tablehasprimarykey":
      return table ? bool(table.indexes.some((index) => index.primaryKey)) : null;
    case "tablehasidentity":
      return table ? bool(table.columns.some((column) => column.identity)) : null;
    case "tablehasclustindex":
      return table ? bool(table.clusteredIndex !== null) : null;
    case "tablehasindex":
      return table ? bool(table.indexes.length > 0) : null;
    case "tablehastimestamp":
      return table ? bool(table.columns.some((column) => column.type.id === "timestamp")) : null;
    case "cardinality":
      return table ? table.rowCount : null;
    default:
      return null;
  }
}

/** https://learn.microsoft.com/sql/t-sql/functions/columnproperty-transact-sql */
function columnProperty(context: Context, id: Value, name: Value, property: Value): number | null {
  const column = columnOf(tableById(context, id), name);
  if (!column) return null;
  const { type } = column;
  switch (String(property).trimEnd().toLowerCase()) {
    case "allowsnull":
      return bool(column.nullable);
    case "columnid":
    case "ordinal":
      return column.columnId;
    case "iscomputed":
      return bool(column.computed !== undefined);
    case "isidentity":
      return bool(column.identity !== undefined);
    case "isrowguidcol":
      return bool(column.rowGuid === true);
    case "ishidden":
    case "issparse":
    case "isxmlindexable":
      return 0;
    case "precision":
      return maxLength(type) === -1 ? -1 : (type.length ?? precisionOf(type));
    case "scale":
      return scaleOf(type);
    case "charmaxlen":
      return type.length ?? null;
    default:
      return null;
  }
}

function principal({ session }: Context): Principal {
  return session.principalIn(session.currentDatabase);
}

/** https://learn.microsoft.com/sql/t-sql/functions/has-perms-by-name-transact-sql */
function hasPermission(context: Context, securable: Value, securableClass: Value, permission: Value): number | null {
  const { session } = context;
  const wanted = String(permission ?? "")
    .trim()
    .toUpperCase();
  const kind = String(securableClass ?? "")
    .trim()
    .toUpperCase();
  if (wanted === "") return null;
  if (kind === "" || kind === "SERVER") return bool(session.login.sysadmin);
  if (kind === "DATABASE") {
    const database =
      securable === null ? session.currentDatabase : context.engine.database(parseName(String(securable))[0]!);
    if (!database) return null;
    if (!Session.mayUse(database, session.login)) return 0;
    return bool(wanted === "CONNECT" || allows(context, database, wanted));
  }
  if (kind === "SCHEMA") {
    const schema = session.currentDatabase.schemas.get(String(securable).toLowerCase());
    if (!schema) return null;
    return bool(allows(context, session.currentDatabase, wanted, schemaSecurable(schema.schemaId, schema.name)));
  }
  const object = objectByName(context, String(securable));
  if (!object) return null;
  const schemaId = session.currentDatabase.schemaId(object.schema);
  const target = { objectId: object.objectId, schemaId, schema: object.schema, name: object.name };
  const known = wanted === "ANY" ? ["SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE"] : [wanted];
  return bool(object.objectId < 0 || known.some((one) => allows(context, session.currentDatabase, one, target)));
}

function schemaSecurable(schemaId: number, schema: string): Securable {
  return { objectId: 0, schemaId, schema, name: "" };
}

function allows({ session }: Context, database: Database, permission: string, securable?: Securable): boolean {
  return database.principals.allows(session.principalIn(database), permission, securable);
}

const CONNECTION: Record<string, string> = {
  net_transport: "TCP",
  protocol_type: "TSQL",
  auth_scheme: "SQL",
  local_net_address: "127.0.0.1",
  client_net_address: "127.0.0.1",
  physical_net_transport: "TCP",
};

export function registerMetadataFunctions(engine: Engine): void {
  const functions = [
    scalar("SERVERPROPERTY", "nvarchar(128)", "sql_variant", (context, [name]) =>
      name === null ? null : serverProperty(context.engine, String(name)),
    ),
    scalar("DATABASEPROPERTYEX", "sysname; nvarchar(128)", "sql_variant", (context, [name, property]) => {
      const database = name === null ? undefined : context.engine.database(String(name).trimEnd());
      return database ? databaseProperty(database, String(property)) : null;
    }),
    scalar("COLLATIONPROPERTY", "nvarchar(128); varchar(255)", "sql_variant", (_context, [name, property]) => {
      const collation = name === null ? undefined : findCollation(String(name));
      return collation && property !== null ? collationProperty(collation, String(property)) : null;
    }),
    scalar("DB_NAME", "int?", "sysname", (context, [id]) => databaseOf(context, id)?.name ?? null),
    scalar("DB_ID", "sysname?", "smallint", (context, [name]) =>
      name === undefined
        ? context.session.currentDatabase.id
        : (context.engine.database(String(name).trimEnd())?.id ?? null),
    ),
    scalar("ORIGINAL_DB_NAME", "", "sysname", ({ session }) => session.currentDatabase.name),
    scalar("OBJECT_ID", "nvarchar(4000); nvarchar(2)?", "int", (context, [name, type]) =>
      name === null
        ? null
        : (objectByName(context, String(name), type == null ? undefined : String(type))?.objectId ?? null),
    ),
    scalar(
      "OBJECT_NAME",
      "int; int?",
      "sysname",
      (context, [id, database]) => byId(context, id!, database)?.name ?? null,
    ),
    scalar(
      "OBJECT_SCHEMA_NAME",
      "int; int?",
      "sysname",
      (context, [id, database]) => byId(context, id!, database)?.schema ?? null,
    ),
    scalar("OBJECTPROPERTY", "int; nvarchar(128)", "int", (context, [id, property]) =>
      objectProperty(context, id!, property!),
    ),
    scalar("OBJECTPROPERTYEX", "int; nvarchar(128)", "sql_variant", (context, [id, property]) => {
      if (same(String(property).trimEnd(), "BaseType")) {
        const object = byId(context, id!);
        return object ? new Variant({ id: "char", length: 2 }, object.type) : null;
      }
      const value = objectProperty(context, id!, property!);
      return value === null ? null : new Variant({ id: "int" }, value);
    }),
    scalar("SCHEMA_NAME", "int?", "sysname", (context, [id]) => {
      const database = context.session.currentDatabase;
      if (id === undefined) return principal(context).defaultSchema;
      return [...database.schemas.values()].find((schema) => schema.schemaId === id)?.name ?? null;
    }),
    scalar("SCHEMA_ID", "sysname?", "int", (context, [name]) => {
      const database = context.session.currentDatabase;
      const wanted = name === undefined ? principal(context).defaultSchema : String(name).trimEnd();
      return database.schemas.get(wanted.toLowerCase())?.schemaId ?? null;
    }),
    scalar(
      "COL_NAME",
      "int; int",
      "sysname",
      (context, [id, column]) => tableById(context, id!)?.columns.find((one) => one.columnId === column)?.name ?? null,
    ),
    scalar("COL_LENGTH", "nvarchar(4000); sysname", "smallint", (context, [name, column]) => {
      const object = objectByName(context, String(name));
      const found = columnOf(object && tableById(context, object.objectId), column!);
      return found ? maxLength(found.type) : null;
    }),
    scalar("COLUMNPROPERTY", "int; sysname; nvarchar(128)", "int", (context, [id, name, property]) =>
      columnProperty(context, id!, name!, property!),
    ),
    scalar("INDEX_COL", "nvarchar(4000); int; int", "sysname", (context, [name, id, position]) => {
      const object = objectByName(context, String(name));
      const table = object && tableById(context, object.objectId);
      const key = indexOf(table, id!)?.columns[Number(position) - 1];
      return key ? table!.columns[key.column]!.name : null;
    }),
    scalar("INDEXPROPERTY", "int; sysname; nvarchar(128)", "int", (context, [id, name, property]) => {
      const index = tableById(context, id!)?.indexes.find((one) => same(one.name, String(name)));
      if (!index) return null;
      switch (String(property).trimEnd().toLowerCase()) {
        case "indexid":
          return index.indexId;
        case "isunique":
          return bool(index.unique);
        case "isclustered":
          return bool(index.clustered);
        case "isdisabled":
          return 0;
        default:
          return null;
      }
    }),
    scalar("TYPE_NAME", "int", "sysname", ({ database }, [id]) => {
      if (id === SYSNAME_ID) return "sysname";
      const user = [...database.types.values()].find((type) => type.userTypeId === id);
      return user?.name ?? Object.entries(SYSTEM_TYPES).find(([, number]) => number === id)?.[0] ?? null;
    }),
    scalar("TYPE_ID", "sysname", "int", ({ database }, [name]) => {
      const parts = parseName(String(name));
      const wanted = parts.at(-1)!.toLowerCase();
      const user = database.findType(parts.at(-2) || "dbo", wanted);
      if (user) return user.userTypeId;
      if (wanted === "sysname") return SYSNAME_ID;
      return SYSTEM_TYPES[(wanted === "rowversion" ? "timestamp" : wanted) as keyof typeof SYSTEM_TYPES] ?? null;
    }),
    scalar(
      "HAS_PERMS_BY_NAME",
      "nvarchar(4000); nvarchar(60); nvarchar(128); nvarchar(128)?; nvarchar(60)?",
      "int",
      (context, [securable, kind, permission]) => hasPermission(context, securable!, kind!, permission!),
    ),
    scalar("HAS_DBACCESS", "sysname", "int", ({ engine: server, session }, [name]) => {
      const database = server.database(String(name).trimEnd());
      return database ? bool(Session.mayUse(database, session.login)) : null;
    }),
    scalar("SUSER_ID", "nvarchar(128)?", "int", ({ engine: server, session }, [name]) =>
      name === undefined
        ? session.login.principalId
        : (server.logins.get(String(name).trimEnd().toLowerCase())?.principalId ?? null),
    ),
    scalar("SUSER_SID", "nvarchar(128)?", "varbinary(85)", ({ session }) =>
      session.login.principalId === 1 ? Buffer.from([1]) : Buffer.from(session.login.name),
    ),
    scalar("USER_ID", "sysname?", "int", (context, [name]) =>
      name === undefined
        ? principal(context).principalId
        : (context.session.currentDatabase.principals.find(String(name).trimEnd())?.principalId ?? null),
    ),
    scalar("DATABASE_PRINCIPAL_ID", "sysname?", "int", (context, [name]) =>
      name === undefined
        ? principal(context).principalId
        : (context.session.currentDatabase.principals.find(String(name).trimEnd())?.principalId ?? null),
    ),
    scalar("PROGRAM_NAME", "", "nvarchar(128)", ({ session }) => session.application),
    scalar("HOST_ID", "", "char(10)", () => String(process.pid).padEnd(10)),
    scalar("CONNECTIONPROPERTY", "nvarchar(128)", "sql_variant", (_, [name]) => {
      const found = CONNECTION[String(name).trimEnd().toLowerCase()];
      return found === undefined ? null : new Variant({ id: "nvarchar", length: 40 }, found);
    }),
  ];
  for (const definition of functions) engine.registerFunction(definition);
}
