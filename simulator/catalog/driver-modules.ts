/** sp_stored_procedures and sp_sproc_columns: what can be called, and with what. */

import type { EngineContext } from "../engine/engine.ts";
import type { Procedure, UserFunction } from "../engine/storage.ts";
import { resolveType } from "../engine/types/types.ts";
import type { SqlType, Value } from "../engine/values.ts";
import type { RowObject } from "./define.ts";
import { matcher } from "./driver-names.ts";
import { nullableOldType, typeFacets } from "./driver-types.ts";
import { typeName } from "./system-types.ts";

type Args = Map<string, Value>;

export const PROCEDURES = `PROCEDURE_QUALIFIER sysname, PROCEDURE_OWNER sysname, PROCEDURE_NAME nvarchar(134)!, NUM_INPUT_PARAMS int,
  NUM_OUTPUT_PARAMS int, NUM_RESULT_SETS int, REMARKS varchar(254), PROCEDURE_TYPE smallint`;

interface Callable {
  schema: string;
  name: string;
  /** Behind the name: the number of a procedure, 0 of a function. */
  number: 0 | 1;
  module: Procedure | UserFunction;
}

function callables({ database }: EngineContext, name: Value | undefined, owner: Value | undefined): Callable[] {
  const [named, owned] = [matcher(name), matcher(owner)];
  const all: Callable[] = [
    ...[...database.procedures.values()].map((module) => ({ ...module, number: 1 as const, module })),
    ...[...database.functions.values()].map((module) => ({ ...module, number: 0 as const, module })),
  ];
  return all
    .filter((one) => named(one.name) && owned(one.schema))
    .sort((a, b) => (a.schema === b.schema ? (a.name < b.name ? -1 : 1) : a.schema < b.schema ? -1 : 1));
}

/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-stored-procedures-transact-sql */
export function* storedProcedures(context: EngineContext, args: Args): Generator<RowObject> {
  for (const { schema, name, number } of callables(context, args.get("@sp_name"), args.get("@sp_owner")))
    yield {
      PROCEDURE_QUALIFIER: context.database.name,
      PROCEDURE_OWNER: schema,
      PROCEDURE_NAME: `${name};${number}`,
      NUM_INPUT_PARAMS: -1,
      NUM_OUTPUT_PARAMS: -1,
      NUM_RESULT_SETS: -1,
      PROCEDURE_TYPE: 2,
    };
}

const PARAMETERS = `PROCEDURE_QUALIFIER sysname, PROCEDURE_OWNER sysname, PROCEDURE_NAME nvarchar(134)!, COLUMN_NAME sysname,
  COLUMN_TYPE smallint, DATA_TYPE smallint, TYPE_NAME sysname, PRECISION int, LENGTH int, SCALE smallint, RADIX smallint,
  NULLABLE smallint, REMARKS varchar(254), COLUMN_DEF nvarchar(4000), SQL_DATA_TYPE smallint, SQL_DATETIME_SUB smallint,
  CHAR_OCTET_LENGTH int, ORDINAL_POSITION int, IS_NULLABLE varchar(254)`;
export const PROCEDURE_COLUMNS = `${PARAMETERS}, SS_DATA_TYPE tinyint`;
export const PROCEDURE_COLUMNS_100 = `${PARAMETERS}, SS_TYPE_CATALOG_NAME sysname, SS_TYPE_SCHEMA_NAME sysname,
  SS_UDT_CATALOG_NAME sysname, SS_UDT_SCHEMA_NAME sysname, SS_UDT_ASSEMBLY_TYPE_NAME nvarchar(4000),
  SS_XML_SCHEMACOLLECTION_CATALOG_NAME sysname, SS_XML_SCHEMACOLLECTION_SCHEMA_NAME sysname,
  SS_XML_SCHEMACOLLECTION_NAME sysname, SS_DATA_TYPE tinyint`;

/** ODBC's SQL_PARAM_INPUT, SQL_PARAM_INPUT_OUTPUT, SQL_RESULT_COL and SQL_RETURN_VALUE. */
const COLUMN_TYPE = { input: 1, output: 2, result: 3, returned: 5 };

/**
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-sproc-columns-transact-sql
 * COLUMN_DEF stays NULL: the catalogue has no defaults of T-SQL parameters (sys.parameters' page).
 */
export function* procedureColumns(context: EngineContext, args: Args): Generator<RowObject> {
  const wanted = matcher(args.get("@column_name"));
  const version = Number(args.get("@odbcver") ?? 2);
  // The name may carry the number that sp_stored_procedures gave it.
  const name = args.get("@procedure_name");
  const found = callables(
    context,
    typeof name === "string" ? name.replace(/;\d+$/, "") : name,
    args.get("@procedure_owner"),
  );
  for (const { schema, name: called, number, module } of found) {
    const row = (column: string, kind: number, type: SqlType, ordinal: number, more: RowObject = {}): RowObject => ({
      PROCEDURE_QUALIFIER: context.database.name,
      PROCEDURE_OWNER: schema,
      PROCEDURE_NAME: `${called};${number}`,
      COLUMN_NAME: column,
      COLUMN_TYPE: kind,
      TYPE_NAME: typeName(type),
      ...typeFacets(type, version),
      NULLABLE: 1,
      ORDINAL_POSITION: ordinal,
      IS_NULLABLE: "YES",
      SS_DATA_TYPE: nullableOldType(type, true),
      ...more,
    });
    const returns = returned(module);
    if (returns) {
      const column = returns.table ? "@TABLE_RETURN_VALUE" : "@RETURN_VALUE";
      const kind = returns.table ? COLUMN_TYPE.result : COLUMN_TYPE.returned;
      if (wanted(column)) yield row(column, kind, returns.type, 0, returns.notNull);
    }
    for (const [i, parameter] of module.parameters.entries()) {
      if (!wanted(parameter.name)) continue;
      const kind = parameter.output ? COLUMN_TYPE.output : COLUMN_TYPE.input;
      yield row(parameter.name, kind, resolveType(parameter.type), i + 1);
    }
  }
}

/** A procedure's status, or what a function gives. */
function returned(module: Procedure | UserFunction): { type: SqlType; table: boolean; notNull: RowObject } | undefined {
  if (!("returns" in module))
    return {
      type: { id: "int" },
      table: false,
      notNull: { NULLABLE: 0, IS_NULLABLE: "NO", SS_DATA_TYPE: nullableOldType({ id: "int" }, false) },
    };
  if (module.returns.kind !== "scalar") return undefined;
  return { type: resolveType(module.returns.type), table: false, notNull: {} };
}
