/** https://learn.microsoft.com/sql/relational-databases/system-information-schema-views/routines-transact-sql */
import { toDatetime } from "../cdc/server-time.ts";
import type { EngineContext } from "../engine/engine.ts";
import type { Procedure, UserFunction } from "../engine/storage.ts";
import { resolveType } from "../engine/types/types.ts";
import type { RowObject } from "./define.ts";
import { facets } from "./information-schema.ts";
import { typeName } from "./system-types.ts";

export const ROUTINES = `SPECIFIC_CATALOG nvarchar(128), SPECIFIC_SCHEMA nvarchar(128), SPECIFIC_NAME nvarchar(128)!,
  ROUTINE_CATALOG nvarchar(128), ROUTINE_SCHEMA nvarchar(128), ROUTINE_NAME nvarchar(128)!, ROUTINE_TYPE nvarchar(20),
  MODULE_CATALOG nvarchar(128), MODULE_SCHEMA nvarchar(128), MODULE_NAME nvarchar(128), UDT_CATALOG nvarchar(128),
  UDT_SCHEMA nvarchar(128), UDT_NAME nvarchar(128), DATA_TYPE nvarchar(128), CHARACTER_MAXIMUM_LENGTH int,
  CHARACTER_OCTET_LENGTH int, COLLATION_CATALOG nvarchar(128), COLLATION_SCHEMA nvarchar(128), COLLATION_NAME nvarchar(128),
  CHARACTER_SET_CATALOG nvarchar(128), CHARACTER_SET_SCHEMA nvarchar(128), CHARACTER_SET_NAME nvarchar(128),
  NUMERIC_PRECISION smallint, NUMERIC_PRECISION_RADIX smallint, NUMERIC_SCALE smallint, DATETIME_PRECISION smallint,
  INTERVAL_TYPE nvarchar(30), INTERVAL_PRECISION smallint, TYPE_UDT_CATALOG nvarchar(128), TYPE_UDT_SCHEMA nvarchar(128),
  TYPE_UDT_NAME nvarchar(128), SCOPE_CATALOG nvarchar(128), SCOPE_SCHEMA nvarchar(128), SCOPE_NAME nvarchar(128),
  MAXIMUM_CARDINALITY bigint, DTD_IDENTIFIER nvarchar(128), ROUTINE_BODY nvarchar(30), ROUTINE_DEFINITION nvarchar(4000),
  EXTERNAL_NAME nvarchar(128), EXTERNAL_LANGUAGE nvarchar(30), PARAMETER_STYLE nvarchar(30), IS_DETERMINISTIC nvarchar(10),
  SQL_DATA_ACCESS nvarchar(30), IS_NULL_CALL nvarchar(10), SQL_PATH nvarchar(128), SCHEMA_LEVEL_ROUTINE nvarchar(10),
  MAX_DYNAMIC_RESULT_SETS smallint, IS_USER_DEFINED_CAST nvarchar(10), IS_IMPLICITLY_INVOCABLE nvarchar(10),
  CREATED datetime!, LAST_ALTERED datetime!`;

export function* routines(context: EngineContext): Generator<RowObject> {
  for (const procedure of context.database.procedures.values())
    yield {
      ...common(context, procedure),
      ROUTINE_TYPE: "PROCEDURE",
      SQL_DATA_ACCESS: "MODIFIES",
      MAX_DYNAMIC_RESULT_SETS: -1,
    };
  for (const fn of context.database.functions.values())
    yield {
      ...common(context, fn),
      ...returned(fn, context),
      ROUTINE_TYPE: "FUNCTION",
      SQL_DATA_ACCESS: "READS",
      // Only a scalar function can be told not to be called with NULL.
      IS_NULL_CALL: fn.returns.kind === "scalar" && fn.returns.strict ? "NO" : "YES",
      MAX_DYNAMIC_RESULT_SETS: 0,
    };
}

function common({ engine, database }: EngineContext, routine: Procedure | UserFunction): RowObject {
  const { schema, name, text, createDate, modifyDate } = routine;
  return {
    SPECIFIC_CATALOG: database.name,
    SPECIFIC_SCHEMA: schema,
    SPECIFIC_NAME: name,
    ROUTINE_CATALOG: database.name,
    ROUTINE_SCHEMA: schema,
    ROUTINE_NAME: name,
    ROUTINE_BODY: "SQL",
    ROUTINE_DEFINITION: text?.slice(0, 4000) ?? null,
    // Functions can be deterministic WITH SCHEMABINDING alone, which is not kept.
    IS_DETERMINISTIC: "NO",
    SCHEMA_LEVEL_ROUTINE: "YES",
    IS_USER_DEFINED_CAST: "NO",
    IS_IMPLICITLY_INVOCABLE: "NO",
    CREATED: toDatetime(engine, createDate),
    LAST_ALTERED: toDatetime(engine, modifyDate),
  };
}

function returned({ returns }: UserFunction, { database }: EngineContext): RowObject {
  if (returns.kind !== "scalar") return { DATA_TYPE: "table" };
  const type = resolveType(returns.type);
  return { DATA_TYPE: typeName(type), ...facets({ type }, database.collation) };
}
