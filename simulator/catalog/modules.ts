/**
 * The texts of views, procedures and functions, and their parameters.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-sql-modules-transact-sql
 */
import type { Engine, EngineContext } from "../engine/engine.ts";
import { type ResultSink, SqlError } from "../engine/session.ts";
import type { Database, Procedure, Trigger, UserFunction, UserType, View } from "../engine/storage.ts";
import { resolveType } from "../engine/types/types.ts";
import { userTypeOf } from "../engine/types/user-types.ts";
import type { SqlType, Value } from "../engine/values.ts";
import { procedure, type RowObject, scalar, sendRows, view } from "./define.ts";
import { objectByName } from "./functions.ts";
import { maxLength, precisionOf, scaleOf, systemTypeId, TABLE_TYPE, userTypeId } from "./system-types.ts";

const MODULE = `object_id int!, definition nvarchar(max), uses_ansi_nulls bit, uses_quoted_identifier bit, is_schema_bound bit,
  uses_database_collation bit, is_recompiled bit, null_on_null_input bit, execute_as_principal_id int,
  uses_native_compilation bit, inline_type bit, is_inlineable bit`;

const PARAMETER = `object_id int!, name sysname, parameter_id int!, system_type_id tinyint!, user_type_id int!, max_length smallint!,
  precision tinyint!, scale tinyint!, is_output bit!, is_cursor_ref bit!, has_default_value bit!, is_xml_document bit!,
  default_value sql_variant, xml_collection_id int!, is_readonly bit!, is_nullable bit, encryption_type int,
  encryption_type_desc nvarchar(64), encryption_algorithm_name sysname, column_encryption_key_id int,
  column_encryption_key_database_name sysname`;

export function modulesOf(database: Database): (View | Procedure | UserFunction | Trigger)[] {
  const { views, procedures, functions, triggers } = database;
  return [...views.values(), ...procedures.values(), ...functions.values(), ...triggers.values()];
}

function* moduleRows({ database }: EngineContext): Generator<RowObject> {
  for (const module of modulesOf(database)) {
    const { objectId, text } = module;
    yield {
      object_id: objectId,
      definition: text ?? null,
      uses_ansi_nulls: true,
      uses_quoted_identifier: true,
      is_schema_bound: "schemaBound" in module && module.schemaBound === true,
      uses_database_collation: false,
      is_recompiled: false,
      null_on_null_input: false,
      uses_native_compilation: false,
      inline_type: false,
      is_inlineable: false,
    };
  }
}

interface Parameter {
  /** "" is what a function returns. */
  name: string;
  ordinal: number;
  /** null for a table's. */
  type: SqlType | null;
  user?: UserType;
  output: boolean;
}

/** Of what can be called; the result of a scalar function is parameter 0. */
export function parametersOfModule(
  module: Procedure | UserFunction,
  { session, database }: EngineContext,
): Parameter[] {
  const parameters = module.parameters.map(({ name, type, output }, i): Parameter => {
    const user = userTypeOf(type, session, database);
    const common = { name, ordinal: i + 1, output, ...(user ? { user } : {}) };
    return { ...common, type: user ? (user.base ?? null) : resolveType(type) };
  });
  if (!("returns" in module) || module.returns.kind !== "scalar") return parameters;
  return [{ name: "", ordinal: 0, type: resolveType(module.returns.type), output: true }, ...parameters];
}

function* parameterRows(context: EngineContext): Generator<RowObject> {
  const { database } = context;
  for (const module of [...database.procedures.values(), ...database.functions.values()])
    for (const { name, ordinal, type, user, output } of parametersOfModule(module, context))
      yield {
        object_id: module.objectId,
        name,
        parameter_id: ordinal,
        system_type_id: type ? systemTypeId(type) : TABLE_TYPE,
        user_type_id: user?.userTypeId ?? userTypeId(type!),
        max_length: type ? maxLength(type) : -1,
        precision: type ? precisionOf(type) : 0,
        scale: type ? scaleOf(type) : 0,
        is_output: output,
        is_readonly: type === null,
        is_nullable: true,
      };
}

function definitionOf(context: EngineContext, objectId: Value): string | null {
  return modulesOf(context.database).find((module) => module.objectId === objectId)?.text ?? null;
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-helptext-transact-sql */
async function helpText(context: EngineContext, args: Map<string, Value>, sink: ResultSink): Promise<number> {
  const name = String(args.get("@objname"));
  const object = objectByName(context, name);
  if (!object)
    throw new SqlError(
      15009,
      `The object '${name}' does not exist in database '${context.database.name}' or is invalid for this operation.`,
      16,
      1,
    );
  const text = definitionOf(context, object.objectId);
  if (text === null) throw new SqlError(15197, `There is no text for object '${name}'.`, 16, 1);
  // A row a line, its end included, of at most 255 characters.
  const rows = (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).flatMap((line) => line.match(/[\s\S]{1,255}/g) ?? []);
  await sendRows(
    sink,
    "Text nvarchar(255)",
    rows.map((Text) => ({ Text })),
  );
  return 0;
}

export function registerModules(engine: Engine): void {
  for (const name of ["sql_modules", "all_sql_modules"]) engine.registerView(view("sys", name, MODULE, moduleRows));
  // What old tools ask, FreeTDS' defncopy among them: 4,000 characters a row.
  // https://learn.microsoft.com/sql/relational-databases/system-compatibility-views/sys-syscomments-transact-sql
  engine.registerView(
    view(
      "sys",
      "syscomments",
      "id int!, number smallint, colid smallint, status smallint!, ctext varbinary(8000), texttype smallint, language smallint, encrypted bit!, compressed bit!, text nvarchar(4000)",
      ({ database }) =>
        modulesOf(database).flatMap(({ objectId, text = "" }) =>
          (text.match(/[\s\S]{1,4000}/g) ?? []).map((part, i) => ({
            id: objectId,
            number: 1,
            colid: i + 1,
            texttype: 2,
            language: 0,
            text: part,
          })),
        ),
    ),
  );
  for (const name of ["parameters", "all_parameters"]) engine.registerView(view("sys", name, PARAMETER, parameterRows));
  engine.registerFunction(
    scalar("object_definition", "int", "nvarchar(max)", (context, [id]) => definitionOf(context, id!)),
  );
  engine.registerProcedure(
    procedure("sys", "sp_helptext", "@objname nvarchar(776), @columnname sysname = NULL", helpText),
  );
}
