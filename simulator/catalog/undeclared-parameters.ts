/**
 * What drivers ask for the metadata of parameters, mssql-jdbc's getParameterMetaData and SQLDescribeParam of Microsoft's ODBC driver:
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-undeclared-parameters-transact-sql
 */
import { collationOf } from "../engine/collations.ts";
import { type UndeclaredParameter, undeclaredParameters } from "../engine/deduction/undeclared.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { Activation } from "../engine/run.ts";
import { messageOf, SqlError } from "../engine/session.ts";
import { Executor } from "../engine/statements/executor.ts";
import { isMax, isText, typeText } from "../engine/types/types.ts";
import { declaredType } from "../engine/types/user-types.ts";
import type { TypeId } from "../engine/values.ts";
import { parseParameterDeclarations, SqlSyntaxError } from "../sql/parser.ts";
import { procedure, type RowObject, sendRows } from "./define.ts";
import { maxLength, precisionOf, scaleOf, systemTypeId } from "./system-types.ts";

const COLUMNS = `parameter_ordinal int!, name sysname!, suggested_system_type_id int!, suggested_system_type_name nvarchar(256),
  suggested_max_length smallint!, suggested_precision tinyint!, suggested_scale tinyint!, suggested_user_type_id int,
  suggested_user_type_database sysname, suggested_user_type_schema sysname, suggested_user_type_name sysname,
  suggested_assembly_qualified_type_name nvarchar(4000), suggested_xml_collection_id int,
  suggested_xml_collection_database sysname, suggested_xml_collection_schema sysname, suggested_xml_collection_name sysname,
  suggested_is_xml_document bit!, suggested_is_case_sensitive bit!, suggested_is_fixed_length_clr_type bit!,
  suggested_is_input bit!, suggested_is_output bit!, formal_parameter_name sysname, suggested_tds_type_id int!,
  suggested_tds_length int!`;

export function registerUndeclaredParameters(engine: Engine): void {
  engine.registerProcedure(
    procedure(
      "sys",
      "sp_describe_undeclared_parameters",
      "@tsql nvarchar(max), @params nvarchar(max) = NULL",
      async (context, args, sink, signal) => {
        const { session, database } = context;
        const activation = new Activation(null);
        const text = String(args.get("@tsql") ?? "");
        let found: UndeclaredParameter[];
        try {
          for (const { name, type } of declarations(String(args.get("@params") ?? "")))
            activation.declare(name, declaredType(type, session, database));
          const statements = session.engine.batches.parse(text, session.options.quotedIdentifier);
          found = undeclaredParameters(new Executor(session, activation, sink, signal), text, statements);
        } catch (error) {
          if (!(error instanceof SqlError) || (error.number > 11501 && error.number < 11600) || error.number === 40510)
            throw error;
          // Of several errors at once a CATCH block sees the last, and the client none.
          if (session.tries === 0) sink.message(messageOf(error));
          throw new SqlError(11501, "The batch could not be analyzed because of compile errors.", 16, 2);
        }
        await sendRows(
          sink,
          COLUMNS,
          found.map((parameter, i) => rowOf(parameter, i + 1, context)),
        );
        return 0;
      },
    ),
  );
}

function declarations(text: string): ReturnType<typeof parseParameterDeclarations> {
  try {
    return parseParameterDeclarations(text);
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    throw new SqlError(error.number, error.message, error.severity, error.state, error.line);
  }
}

function rowOf(parameter: UndeclaredParameter, ordinal: number, { database }: EngineContext): RowObject {
  const { name, type, alias, formal, input, output } = parameter;
  return {
    parameter_ordinal: ordinal,
    name,
    suggested_system_type_id: systemTypeId(type),
    suggested_system_type_name: typeText(type),
    suggested_max_length: maxLength(type),
    suggested_precision: precisionOf(type),
    suggested_scale: scaleOf(type),
    suggested_user_type_id: alias?.userTypeId ?? null,
    suggested_user_type_database: alias ? database.name : null,
    suggested_user_type_schema: alias?.schema ?? null,
    suggested_user_type_name: alias?.name ?? null,
    suggested_is_case_sensitive: isText(type) && collationOf(type.collation ?? database.collation).caseSensitive,
    suggested_is_input: input,
    suggested_is_output: output,
    formal_parameter_name: formal ?? null,
    suggested_tds_type_id: TDS_TYPES[type.id] ?? systemTypeId(type),
    suggested_tds_length: isMax(type) ? 65535 : maxLength(type),
  };
}

/** Types that can be NULL have another number on the wire: MS-TDS 2.2.5.4.2. */
const TDS_TYPES: Partial<Record<TypeId, number>> = {
  bit: 104,
  tinyint: 38,
  smallint: 38,
  int: 38,
  bigint: 38,
  real: 109,
  float: 109,
  smallmoney: 110,
  money: 110,
  smalldatetime: 111,
  datetime: 111,
  timestamp: 173,
};
