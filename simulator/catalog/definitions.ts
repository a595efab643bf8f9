/**
 * Everything of a database that is no row and no log record, as plain data in documents: one for each object (a table, a view,
 * a procedure) and one for the rest. Whatever the classes hold is taken as it is, so that what is added to them is kept too;
 * what is left out is named here.
 */
import { CDC_PROPERTY, CdcDatabase } from "../cdc/cdc-database.ts";
import { type CdcState, cdcState, restoreCdc } from "../cdc/state.ts";
import type { Index } from "../engine/database.ts";
import type { Database } from "../engine/storage.ts";
import { Table } from "../engine/table.ts";
import { recoveryOf } from "./databases.ts";

/** By "<map of Database>:<object id>", or "database". */
export type Definitions = Map<string, unknown>;

const REST = "database";
/** Made by the constructor, held in other ways, or no definition. */
const NOT_OF_DATABASE = new Set(["engine", "systemObjects", "hooks", "log", "lsn", "principals", "properties"]);
const NOT_OF_TABLE = new Set(["database", "rowCount", "schemaVersion", "temporary", "rewrites"]);

type Plain = Record<string, unknown>;

export function definitionsOf(database: Database): Definitions {
  const definitions: Definitions = new Map();
  const rest: Plain = {};
  for (const [name, value] of Object.entries(database)) {
    if (NOT_OF_DATABASE.has(name)) continue;
    if (!(value instanceof Map) || !holdsObjects(value)) rest[name] = value;
    else for (const object of value.values()) definitions.set(`${name}:${object.objectId}`, plain(object));
  }
  // Made when it is asked for first: it has to be there before.
  recoveryOf(database);
  const properties = new Map(database.properties);
  properties.delete(CDC_PROPERTY);
  rest["properties"] = properties;
  rest["principals"] = { ...database.principals };
  rest["cdc"] = cdcState(CdcDatabase.of(database));
  definitions.set(REST, rest);
  return definitions;
}

/** Of "tables:123". */
export function objectIdOf(key: string): number | undefined {
  return key === REST ? undefined : Number(key.slice(key.indexOf(":") + 1));
}

function holdsObjects(map: Map<unknown, unknown>): map is Map<unknown, { objectId: number }> {
  for (const value of map.values()) return typeof value === "object" && value !== null && "objectId" in value;
  return false;
}

function plain(object: object): Plain {
  const skipped = object instanceof Table ? NOT_OF_TABLE : new Set<string>();
  return Object.fromEntries(Object.entries(object).filter(([name]) => !skipped.has(name)));
}

/** What a new database is made with. */
export function identityOf(definitions: Definitions): Pick<Database, "name" | "id" | "collation" | "createDate"> {
  return definitions.get(REST) as Pick<Database, "name" | "id" | "collation" | "createDate">;
}

/** Makes a database that has nothing yet what `definitions` say. Its tables are empty, and CDC is not resumed. */
export function define(database: Database, definitions: Definitions): void {
  for (const [key, definition] of definitions) {
    if (key === REST) continue;
    const map = (database as unknown as Record<string, Map<unknown, unknown>>)[key.slice(0, key.indexOf(":"))]!;
    const object = key.startsWith("tables:") ? madeTable(database, definition as Plain) : definition;
    map.set((object as { objectId: number }).objectId, object);
  }
  const { properties, principals, cdc, ...rest } = definitions.get(REST) as Plain;
  for (const [name, value] of Object.entries(rest)) {
    const current = (database as unknown as Plain)[name];
    if (current instanceof Map) refill(current, value as Map<unknown, unknown>);
    else Object.assign(database, { [name]: value });
  }
  for (const [name, value] of Object.entries(principals as Plain)) {
    const current = (database.principals as unknown as Plain)[name];
    if (current instanceof Map) refill(current, value as Map<unknown, unknown>);
    else if (Array.isArray(current)) current.splice(0, current.length, ...(value as unknown[]));
    else Object.assign(database.principals, { [name]: value });
  }
  refill(database.properties, properties as Map<string, unknown>);
  database.namesChanged();
  restoreCdc(CdcDatabase.of(database), cdc as CdcState);
}

function refill<K, V>(map: Map<K, V>, values: Map<K, V>): void {
  map.clear();
  for (const [key, value] of values) map.set(key, value);
}

function madeTable(database: Database, definition: Plain): Table {
  const table = new Table(database, definition as unknown as Table);
  Object.assign(table, definition, { indexes: definition["indexes"] as Index[] });
  table.rebuild();
  return table;
}
