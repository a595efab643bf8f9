/**
 * Extended properties: what programs write their comments on tables and columns as (MS_Description).
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-addextendedproperty-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-functions/sys-fn-listextendedproperty-transact-sql
 */
import type { Engine, EngineContext } from "../engine/engine.ts";
import { unsupported } from "../engine/errors.ts";
import { SqlError } from "../engine/session.ts";
import type { Database } from "../engine/storage.ts";
import type { Value } from "../engine/values.ts";
import { procedure, type RowObject, tableFunction, view } from "./define.ts";
import { type CatalogObject, databaseObjects } from "./objects.ts";

/** What a property is of: sys.extended_properties' class, major_id and minor_id. */
interface Place {
  class: keyof typeof CLASSES;
  majorId: number;
  minorId: number;
}

interface Property extends Place {
  name: string;
  value: Value;
}

const CLASSES = { 0: "DATABASE", 1: "OBJECT_OR_COLUMN", 2: "PARAMETER", 3: "SCHEMA", 7: "INDEX" };

const KEY = "extended properties";

function propertiesOf(database: Database): readonly Property[] {
  return (database.properties.get(KEY) as Property[] | undefined) ?? [];
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function isOf({ class: kind, majorId, minorId }: Place, property: Property): boolean {
  return property.class === kind && property.majorId === majorId && property.minorId === minorId;
}

// ---------------------------------------------------------------- what can have properties

/** Types of level 1 and what they are in sys.objects. */
const OBJECTS: Record<string, string[]> = {
  TABLE: ["U "],
  VIEW: ["V "],
  PROCEDURE: ["P "],
  FUNCTION: ["FN", "IF", "TF"],
  SEQUENCE: ["SO"],
  SYNONYM: ["SN"],
};
const CONSTRAINTS = ["PK", "UQ", "C ", "F ", "D "];

interface Named extends Place {
  name: string;
}

function objects(database: Database, types: string[], matches: (object: CatalogObject) => boolean): Named[] {
  return [...databaseObjects(database)]
    .filter((object) => types.includes(object.type) && matches(object))
    .map(({ name, objectId }) => ({ class: 1, majorId: objectId, minorId: 0, name }));
}

function schemas(database: Database): Named[] {
  return [...database.schemas.values()].map(({ name, schemaId }) => ({
    class: 3,
    majorId: schemaId,
    minorId: 0,
    name,
  }));
}

/** All of a type at level 2, within an object. */
function parts(database: Database, type: string, { majorId }: Place): Named[] {
  const table = database.tables.get(majorId);
  const columns = table?.columns ?? [];
  switch (type) {
    case "COLUMN":
      return columns.map(({ name, columnId }) => ({ class: 1, majorId, minorId: columnId, name }));
    case "INDEX":
      return (table?.indexes ?? []).map(({ name, indexId }) => ({ class: 7, majorId, minorId: indexId, name }));
    case "CONSTRAINT":
      return objects(database, CONSTRAINTS, (object) => object.parentId === majorId);
    case "TRIGGER":
      return objects(database, ["TR"], (object) => object.parentId === majorId);
    case "PARAMETER": {
      const module = database.procedures.get(majorId);
      return (module?.parameters ?? []).map(({ name }, i) => ({ class: 2, majorId, minorId: i + 1, name }));
    }
    default:
      throw unsupported(`extended properties of a ${type}`);
  }
}

interface Level {
  type: string | null;
  name: string | null;
}

function levelsOf(values: readonly (Value | undefined)[]): Level[] {
  const text = (value: Value | undefined) => (value === null || value === undefined ? null : String(value));
  return [0, 2, 4].map((i) => ({ type: text(values[i])?.toUpperCase() ?? null, name: text(values[i + 1]) }));
}

/** All that the last of the levels names; where its name is left out, all of its type. */
function found(database: Database, levels: Level[]): Named[] {
  const [schema, object, part] = levels;
  if (schema!.type === null) return [{ class: 0, majorId: 0, minorId: 0, name: "" }];
  if (schema!.type !== "SCHEMA") throw unsupported(`extended properties of a ${schema!.type}`);
  const only = (all: Named[], { name }: Level) => all.filter((one) => name === null || sameName(one.name, name));
  const inSchema = only(schemas(database), schema!);
  if (object!.type === null) return inSchema;
  const types = OBJECTS[object!.type];
  if (!types) throw unsupported(`extended properties of a ${object!.type}`);
  if (schema!.name === null) return [];
  const all = objects(database, types, (one) => sameName(one.schema, schema!.name!));
  if (part!.type === null) return only(all, object!);
  if (object!.name === null) return [];
  return only(all, object!).flatMap((one) => only(parts(database, part!.type!, one), part!));
}

// ---------------------------------------------------------------- the procedures

const PARAMETERS = `@level0type varchar(128) = NULL, @level0name sysname = NULL, @level1type varchar(128) = NULL,
  @level1name sysname = NULL, @level2type varchar(128) = NULL, @level2name sysname = NULL`;
const LEVELS = ["@level0type", "@level0name", "@level1type", "@level1name", "@level2type", "@level2name"];

type Args = Map<string, Value>;

interface Asked {
  place: Place;
  name: string;
  existing: Property | undefined;
  /** "dbo.T1.id" */
  shown: string;
}

function asked({ database, session }: EngineContext, args: Args, procedureName: string): Asked {
  const levels = levelsOf(LEVELS.map((level) => args.get(level)));
  const halfSaid = levels.some(({ type, name }) => (type === null) !== (name === null));
  const gap = levels.some(({ type }, i) => type !== null && i > 0 && levels[i - 1]!.type === null);
  if (args.get("@name") === null || halfSaid || gap)
    throw new SqlError(15600, `An invalid parameter or option was specified for procedure '${procedureName}'.`, 15, 1);
  const shown = levels.flatMap(({ name }) => name ?? []).join(".") || "object specified";
  const place = found(database, levels)[0];
  if (!place || !database.principals.allows(session.principalIn(database), "ALTER"))
    throw new SqlError(
      15135,
      `Object is invalid. Extended properties are not permitted on '${shown}', or the object does not exist.`,
      16,
      8,
    );
  const name = String(args.get("@name"));
  const existing = propertiesOf(database).find((one) => isOf(place, one) && sameName(one.name, name));
  return { place, name, existing, shown };
}

function keep({ database, session }: EngineContext, properties: Property[]): void {
  const before = database.properties.get(KEY);
  database.properties.set(KEY, properties);
  session.currentTransaction?.onRollback(() => database.properties.set(KEY, before ?? []));
}

function required({ existing, name, shown }: Asked): Property {
  if (existing) return existing;
  throw new SqlError(
    15217,
    `Property cannot be updated or deleted. Property '${name}' does not exist for '${shown}'.`,
    16,
    2,
  );
}

function add(context: EngineContext, args: Args): number {
  const { place, name, existing, shown } = asked(context, args, "sp_addextendedproperty");
  if (existing)
    throw new SqlError(15233, `Property cannot be added. Property '${name}' already exists for '${shown}'.`, 16, 1);
  const { class: kind, majorId, minorId } = place;
  const value = args.get("@value") ?? null;
  keep(context, [...propertiesOf(context.database), { class: kind, majorId, minorId, name, value }]);
  return 0;
}

function update(context: EngineContext, args: Args): number {
  const existing = required(asked(context, args, "sp_updateextendedproperty"));
  const changed = { ...existing, value: args.get("@value") ?? null };
  keep(
    context,
    propertiesOf(context.database).map((one) => (one === existing ? changed : one)),
  );
  return 0;
}

function drop(context: EngineContext, args: Args): number {
  const existing = required(asked(context, args, "sp_dropextendedproperty"));
  keep(
    context,
    propertiesOf(context.database).filter((one) => one !== existing),
  );
  return 0;
}

// ---------------------------------------------------------------- the views

/** What was dropped has none any more: object and column ids are not given twice. */
function there(database: Database, { class: kind, majorId, minorId }: Property, ids: Set<number>): boolean {
  if (kind === 0) return true;
  if (kind === 3) return [...database.schemas.values()].some(({ schemaId }) => schemaId === majorId);
  if (!ids.has(majorId)) return false;
  const table = database.tables.get(majorId);
  if (!table || minorId === 0) return true;
  if (kind === 7) return table.indexes.some(({ indexId }) => indexId === minorId);
  return table.columns.some(({ columnId }) => columnId === minorId);
}

function* rows({ database }: EngineContext): Generator<RowObject> {
  const ids = new Set([...databaseObjects(database)].map(({ objectId }) => objectId));
  for (const property of propertiesOf(database))
    if (there(database, property, ids))
      yield {
        class: property.class,
        class_desc: CLASSES[property.class],
        major_id: property.majorId,
        minor_id: property.minorId,
        name: property.name,
        value: property.value,
      };
}

function* listed({ database }: EngineContext, [name, ...values]: Value[]): Generator<RowObject> {
  const levels = levelsOf(values);
  const type = levels.findLast((level) => level.type !== null)?.type ?? null;
  for (const place of found(database, levels))
    for (const property of propertiesOf(database))
      if (isOf(place, property) && (name === null || sameName(property.name, String(name))))
        yield {
          objtype: type,
          objname: type === null ? null : place.name,
          name: property.name,
          value: property.value,
        };
}

export function registerExtendedProperties(engine: Engine): void {
  const named = "@name sysname";
  const valued = `${named}, @value sql_variant = NULL, ${PARAMETERS}`;
  engine.registerProcedure(procedure("sys", "sp_addextendedproperty", valued, add));
  engine.registerProcedure(procedure("sys", "sp_updateextendedproperty", valued, update));
  engine.registerProcedure(procedure("sys", "sp_dropextendedproperty", `${named}, ${PARAMETERS}`, drop));
  engine.registerView(
    view(
      "sys",
      "extended_properties",
      "class tinyint!, class_desc nvarchar(60), major_id int!, minor_id int!, name sysname!, value sql_variant",
      rows,
    ),
  );
  engine.registerTableFunction(
    tableFunction(
      "sys",
      "fn_listextendedproperty",
      Array.from({ length: 7 }, () => "sysname").join(";"),
      "objtype sysname, objname sysname, name sysname!, value sql_variant",
      listed,
    ),
  );
}
