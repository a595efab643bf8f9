/**
 * What a text's first result set would look like, without running it.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-first-result-set-transact-sql
 */

import { parseParameterDeclarations } from "../../sql/parser.ts";
import type { Row } from "../database.ts";
import { compileQuery } from "../query/query.ts";
import { Activation } from "../run.ts";
import type { ResultColumn } from "../session.ts";
import type { Argument, Caller } from "../statements/calls.ts";
import { Executor } from "../statements/executor.ts";
import { isText, isUnicode, typeText } from "../types/types.ts";
import { declaredType } from "../types/user-types.ts";
import type { SqlType, TypeId, Value } from "../values.ts";
import { Arguments } from "./arguments.ts";

const TEXT: SqlType = { id: "nvarchar", length: 128 };

/** system_type_id, and the bytes and digits of types of one size. */
const SYSTEM_TYPES: Partial<Record<TypeId, [id: number, bytes: number, precision: number, scale: number]>> = {
  image: [34, 16, 0, 0],
  text: [35, 16, 0, 0],
  uniqueidentifier: [36, 16, 0, 0],
  date: [40, 3, 10, 0],
  time: [41, 5, 16, 7],
  datetime2: [42, 8, 27, 7],
  datetimeoffset: [43, 10, 34, 7],
  tinyint: [48, 1, 3, 0],
  smallint: [52, 2, 5, 0],
  int: [56, 4, 10, 0],
  smalldatetime: [58, 4, 16, 0],
  real: [59, 4, 24, 0],
  money: [60, 8, 19, 4],
  datetime: [61, 8, 23, 3],
  float: [62, 8, 53, 0],
  sql_variant: [98, 8016, 0, 0],
  ntext: [99, 16, 0, 0],
  bit: [104, 1, 1, 0],
  decimal: [106, 17, 38, 0],
  numeric: [108, 17, 38, 0],
  smallmoney: [122, 4, 10, 4],
  bigint: [127, 8, 19, 0],
  varbinary: [165, 0, 0, 0],
  varchar: [167, 0, 0, 0],
  binary: [173, 0, 0, 0],
  char: [175, 0, 0, 0],
  timestamp: [189, 8, 0, 0],
  nvarchar: [231, 0, 0, 0],
  nchar: [239, 0, 0, 0],
  xml: [241, -1, 0, 0],
};

const COLUMNS: ResultColumn[] = (
  [
    ["is_hidden", "bit"],
    ["column_ordinal", "int"],
    ["name", "sysname"],
    ["is_nullable", "bit"],
    ["system_type_id", "int"],
    ["system_type_name", "sysname"],
    ["max_length", "smallint"],
    ["precision", "tinyint"],
    ["scale", "tinyint"],
    ["collation_name", "sysname"],
    ["user_type_id", "int"],
    ["user_type_database", "sysname"],
    ["user_type_schema", "sysname"],
    ["user_type_name", "sysname"],
    ["assembly_qualified_type_name", "sysname"],
    ["xml_collection_id", "int"],
    ["xml_collection_database", "sysname"],
    ["xml_collection_schema", "sysname"],
    ["xml_collection_name", "sysname"],
    ["is_xml_document", "bit"],
    ["is_case_sensitive", "bit"],
    ["is_fixed_length_clr_type", "bit"],
    ["source_server", "sysname"],
    ["source_database", "sysname"],
    ["source_schema", "sysname"],
    ["source_table", "sysname"],
    ["source_column", "sysname"],
    ["is_identity_column", "bit"],
    ["is_part_of_unique_key", "bit"],
    ["is_updateable", "bit"],
    ["is_computed_column", "bit"],
    ["is_sparse_column_set", "bit"],
    ["ordinal_in_order_by_list", "smallint"],
    ["order_by_is_descending", "smallint"],
    ["order_by_list_length", "smallint"],
    ["tds_type_id", "int"],
    ["tds_length", "int"],
    ["tds_collation_id", "int"],
    ["tds_collation_sort_id", "tinyint"],
  ] as const
).map(([name, type]) => ({ name, type: type === "sysname" ? TEXT : { id: type }, nullable: true }));

export async function describeFirstResultSet(caller: Caller, args: Argument[]): Promise<number> {
  const { session, sink, signal } = caller;
  const given = new Arguments(
    "sp_describe_first_result_set",
    ["tsql", "params", "browse_information_mode"],
    args,
    session,
  );
  const activation = new Activation(caller.activation);
  for (const { name, type } of parseParameterDeclarations(given.text("params", "") ?? ""))
    activation.declare(name, declaredType(type, session));
  const statements = session.engine.batches.parse(given.text("tsql") ?? "", session.options.quotedIdentifier);
  const executor = new Executor(session, activation, sink, signal);
  sink.columns(COLUMNS);
  const query = statements.find((statement) => statement.kind === "query");
  const columns = query ? compileQuery(query.query, null, executor.compiler()).columns : [];
  for (const [i, column] of columns.entries()) {
    const slow = sink.row(describe(column, i, session.collation));
    if (slow) await slow;
  }
  sink.statementDone({ rowCount: columns.length, select: true });
  return 0;
}

function describe(column: ResultColumn, place: number, collation: string): Row {
  const { type } = column;
  const [id, bytes, precision, scale] = SYSTEM_TYPES[type.id] ?? [56, 4, 10, 0];
  const length = type.length === undefined ? bytes : type.length === -1 ? -1 : type.length * (isUnicode(type) ? 2 : 1);
  const known: Record<string, Value> = {
    is_hidden: false,
    column_ordinal: place + 1,
    name: column.name === "" ? null : column.name,
    is_nullable: column.nullable,
    system_type_id: id,
    system_type_name: typeText(type),
    max_length: length,
    precision: type.precision ?? precision,
    scale: type.scale ?? scale,
    collation_name: isText(type) ? (type.collation ?? collation) : null,
    is_xml_document: false,
    is_case_sensitive: false,
    is_fixed_length_clr_type: false,
    is_identity_column: column.identity === true,
    is_updateable: column.identity !== true && column.computed !== true,
    is_computed_column: column.computed === true,
    is_sparse_column_set: false,
    tds_type_id: id,
    tds_length: length,
  };
  return COLUMNS.map(({ name }) => known[name] ?? null);
}
