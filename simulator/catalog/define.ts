/** Notation for system objects: columns as one string, rows as objects by column name. */
import type { EngineContext } from "../engine/engine.ts";
import type {
  SystemFunction,
  SystemParameter,
  SystemProcedure,
  SystemTableFunction,
  SystemView,
} from "../engine/registry.ts";
import { type ResultColumn, type ResultSink, SqlError } from "../engine/session.ts";
import type { SqlType, TypeId, Value } from "../engine/values.ts";

export type RowObject = Record<string, Value>;

/** `int`, `nvarchar(max)`, `decimal(10,2)`, `datetime2(7)`, `sysname`. */
export function typeOf(text: string): SqlType {
  if (text === "sysname") return { id: "nvarchar", length: 128 };
  const match = /^(\w+)(?:\((max|\d+)(?:,\s*(\d+))?\))?$/.exec(text);
  if (!match) throw new Error(`no type: ${text}`);
  const id = match[1] as TypeId;
  if (match[2] === undefined) return { id };
  const first = match[2] === "max" ? -1 : Number(match[2]);
  if (id === "decimal" || id === "numeric") return { id, precision: first, scale: Number(match[3] ?? 0) };
  if (id === "time" || id === "datetime2" || id === "datetimeoffset") return { id, scale: first };
  return { id, length: first };
}

/** "name sysname!, object_id int!, principal_id int": `!` is NOT NULL. */
export function columnsOf(spec: string): ResultColumn[] {
  return spec
    .split(/,\s*(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const match = /^(\S+)\s+(\S+?)(!?)$/.exec(part);
      if (!match) throw new Error(`no column: ${part}`);
      return { name: match[1]!, type: typeOf(match[2]!), nullable: match[3] !== "!" };
    });
}

/** A row in column order; what the object leaves out is NULL, or the type's zero where the column is NOT NULL. */
export function rowOf(columns: readonly ResultColumn[], object: RowObject): Value[] {
  return columns.map((column) => {
    const value = object[column.name];
    return value === undefined ? (column.nullable ? null : zeroOf(column.type)) : value;
  });
}

function zeroOf(type: SqlType): Value {
  switch (type.id) {
    case "bit":
      return false;
    case "bigint":
      return 0n;
    case "nvarchar":
    case "varchar":
    case "nchar":
    case "char":
      return "";
    case "uniqueidentifier":
      return "00000000-0000-0000-0000-000000000000";
    case "binary":
    case "varbinary":
      return Buffer.alloc(Math.max(0, type.length ?? 0) && type.id === "binary" ? type.length! : 0);
    default:
      return 0;
  }
}

export function view(
  schema: string,
  name: string,
  spec: string,
  rows: (context: EngineContext) => Iterable<RowObject>,
): SystemView<EngineContext> {
  const columns = columnsOf(spec);
  return {
    schema,
    name,
    columns,
    *rows(context) {
      for (const object of rows(context)) yield rowOf(columns, object);
    },
  };
}

/**
 * A dynamic management view: error 262 without VIEW DATABASE STATE, or 300 without VIEW SERVER STATE, which sysadmins have.
 * https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/system-dynamic-management-views
 */
export function stateView(
  scope: "DATABASE" | "SERVER",
  name: string,
  spec: string,
  rows: (context: EngineContext) => Iterable<RowObject>,
): SystemView<EngineContext> {
  return view("sys", name, spec, (context) => {
    const { database, session } = context;
    if (scope === "SERVER" && !session.login.sysadmin)
      throw new SqlError(300, "VIEW SERVER STATE permission was denied on object 'server', database 'master'.", 14, 1);
    if (!database.principals.allows(session.principalIn(database), "VIEW DATABASE STATE"))
      throw new SqlError(262, `VIEW DATABASE STATE permission was denied in database '${database.name}'.`, 14, 1);
    return rows(context);
  });
}

/** A view that the simulator has nothing to show in. */
export function emptyView(schema: string, name: string, spec: string): SystemView<EngineContext> {
  return view(schema, name, spec, () => []);
}

/** "@name sysname, @owner sysname = NULL, @flag bit = 1": what has a default may be left out. */
export function parametersOf(spec: string): SystemParameter[] {
  return spec
    .split(/,\s*(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const match = /^(@\S+)\s+(\S+?)(?:\s*=\s*(NULL|\d+|N'[^']*'))?(\s+OUTPUT)?$/.exec(part);
      if (!match) throw new Error(`no parameter: ${part}`);
      const parameter: SystemParameter = { name: match[1]!, type: typeOf(match[2]!) };
      if (match[3]) parameter.default = defaultOf(match[3], parameter.type);
      if (match[4]) parameter.output = true;
      return parameter;
    });
}

function defaultOf(text: string, { id }: SqlType): Value {
  if (text === "NULL") return null;
  if (text.startsWith("N'")) return text.slice(2, -1);
  if (id === "bigint") return BigInt(text);
  return id === "bit" ? text !== "0" : Number(text);
}

export function procedure(
  schema: string,
  name: string,
  parameters: string,
  run: SystemProcedure<EngineContext>["run"],
): SystemProcedure<EngineContext> {
  return { schema, name, parameters: parametersOf(parameters), run };
}

/** A scalar function: "int" or "sys.fn_cdc_x" and so on; parameter types as a list, those with `?` may be left out. */
export function scalar(
  name: string,
  parameters: string,
  returns: string,
  call: SystemFunction<EngineContext>["call"],
): SystemFunction<EngineContext> {
  const dot = name.indexOf(".");
  const types = parameters.split(/\s*;\s*/).filter((part) => part !== "");
  const minimum = types.filter((type) => !type.endsWith("?")).length;
  const definition: SystemFunction<EngineContext> = {
    name: name.slice(dot + 1),
    parameters: types.map((type) => typeOf(type.replace("?", ""))),
    returns: typeOf(returns),
    call,
  };
  if (minimum < types.length) definition.minimum = minimum;
  if (dot > 0) definition.schema = name.slice(0, dot);
  return definition;
}

export function tableFunction(
  schema: string,
  name: string,
  parameters: string,
  spec: string,
  rows: (context: EngineContext, args: Value[]) => Iterable<RowObject>,
): SystemTableFunction<EngineContext> {
  const columns = columnsOf(spec);
  return {
    schema,
    name,
    parameters: parameters.split(/\s*;\s*/).map(typeOf),
    columns,
    *rows(context, args) {
      for (const object of rows(context, args)) yield rowOf(columns, object);
    },
  };
}

/** Sends a result set. */
export async function sendRows(sink: ResultSink, spec: string, rows: Iterable<RowObject>): Promise<void> {
  const columns = columnsOf(spec);
  sink.columns(columns);
  let count = 0;
  for (const object of rows) {
    await sink.row(rowOf(columns, object));
    count++;
  }
  sink.statementDone({ rowCount: count, select: true });
}
