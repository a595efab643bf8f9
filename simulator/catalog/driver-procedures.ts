/**
 * The catalogue procedures that drivers call for their metadata interfaces.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/catalog-stored-procedures-transact-sql
 */
import type { Column } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import type { ResultSink } from "../engine/session.ts";
import type { Value } from "../engine/values.ts";
import { procedure, type RowObject, sendRows } from "./define.ts";
import { FOREIGN_KEYS, foreignKeys, SPECIAL_COLUMNS, specialColumns } from "./driver-keys.ts";
import {
  PROCEDURE_COLUMNS,
  PROCEDURE_COLUMNS_100,
  PROCEDURES,
  procedureColumns,
  storedProcedures,
} from "./driver-modules.ts";
import { matcher, namedTable, same } from "./driver-names.ts";
import { COLUMN_PRIVILEGES, columnPrivileges, TABLE_PRIVILEGES, tablePrivileges } from "./driver-privileges.ts";
import { TYPE_INFO, typeInfo } from "./driver-type-info.ts";
import { nullableOldType, typeFacets } from "./driver-types.ts";
import { type Relation, relations } from "./relations.ts";
import { typeName } from "./system-types.ts";

type Args = Map<string, Value>;

const COLUMNS = `TABLE_QUALIFIER sysname, TABLE_OWNER sysname, TABLE_NAME sysname, COLUMN_NAME sysname, DATA_TYPE smallint,
  TYPE_NAME sysname, PRECISION int, LENGTH int, SCALE smallint, RADIX smallint, NULLABLE smallint, REMARKS varchar(254),
  COLUMN_DEF nvarchar(4000), SQL_DATA_TYPE smallint, SQL_DATETIME_SUB smallint, CHAR_OCTET_LENGTH int, ORDINAL_POSITION int,
  IS_NULLABLE varchar(254)`;
const COLUMNS_100 = `${COLUMNS}, SS_IS_SPARSE smallint, SS_IS_COLUMN_SET smallint, SS_IS_COMPUTED smallint, SS_IS_IDENTITY smallint,
  SS_UDT_CATALOG_NAME sysname, SS_UDT_SCHEMA_NAME sysname, SS_UDT_ASSEMBLY_TYPE_NAME nvarchar(4000),
  SS_XML_SCHEMACOLLECTION_CATALOG_NAME sysname, SS_XML_SCHEMACOLLECTION_SCHEMA_NAME sysname,
  SS_XML_SCHEMACOLLECTION_NAME sysname, SS_DATA_TYPE tinyint`;

function columnRow(
  context: EngineContext,
  table: Relation,
  column: Column,
  ordinal: number,
  version: number,
): RowObject {
  const { type } = column;
  const name = typeName(type, column.declaredType);
  return {
    TABLE_QUALIFIER: context.database.name,
    TABLE_OWNER: table.schema,
    TABLE_NAME: table.name,
    COLUMN_NAME: column.name,
    TYPE_NAME: column.identity ? `${name} identity` : name,
    ...typeFacets(type, version),
    NULLABLE: column.nullable ? 1 : 0,
    COLUMN_DEF: column.default?.text ?? null,
    ORDINAL_POSITION: ordinal,
    IS_NULLABLE: column.nullable ? "YES" : "NO",
    SS_IS_SPARSE: 0,
    SS_IS_COLUMN_SET: 0,
    SS_IS_COMPUTED: column.computed ? 1 : 0,
    SS_IS_IDENTITY: column.identity ? 1 : 0,
    SS_DATA_TYPE: nullableOldType(type, column.nullable),
  };
}

function* columns(context: EngineContext, args: Args): Generator<RowObject> {
  const patterns = args.get("@fusepattern") !== false;
  const match = patterns ? matcher : same;
  const [table, owner, column] = ["@table_name", "@table_owner", "@column_name"].map((name) => match(args.get(name)));
  const version = Number(args.get("@odbcver") ?? 2);
  for (const found of relations(context)) {
    if (!table!(found.name) || !owner!(found.schema)) continue;
    for (const [i, one] of found.columns.entries())
      if (column!(one.name)) yield columnRow(context, found, one, i + 1, version);
  }
}

const TABLES =
  "TABLE_QUALIFIER sysname, TABLE_OWNER sysname, TABLE_NAME sysname, TABLE_TYPE varchar(32), REMARKS varchar(254)";

function* tableRows({ database }: EngineContext, args: Args): Generator<RowObject> {
  const name = matcher(args.get("@table_name"));
  const owner = matcher(args.get("@table_owner"));
  const types = String(args.get("@table_type") ?? "");
  const wants = (type: string) => types === "" || types.includes(`'${type}'`);
  const row = (found: { schema: string; name: string }, type: string): RowObject => ({
    TABLE_QUALIFIER: database.name,
    TABLE_OWNER: found.schema,
    TABLE_NAME: found.name,
    TABLE_TYPE: type,
  });
  if (wants("TABLE"))
    for (const table of database.tables.values())
      if (!table.temporary && name(table.name) && owner(table.schema)) yield row(table, "TABLE");
  if (wants("VIEW"))
    for (const found of database.views.values()) if (name(found.name) && owner(found.schema)) yield row(found, "VIEW");
}

const KEYS =
  "TABLE_QUALIFIER sysname, TABLE_OWNER sysname, TABLE_NAME sysname, COLUMN_NAME sysname!, KEY_SEQ smallint, PK_NAME sysname";

function* primaryKeys(context: EngineContext, args: Args): Generator<RowObject> {
  const table = namedTable(context, args);
  const key = table?.indexes.find((index) => index.primaryKey);
  for (const [i, { column }] of (key?.columns ?? []).entries())
    yield {
      TABLE_QUALIFIER: context.database.name,
      TABLE_OWNER: table!.schema,
      TABLE_NAME: table!.name,
      COLUMN_NAME: table!.columns[column]!.name,
      KEY_SEQ: i + 1,
      PK_NAME: key!.name,
    };
}

const STATISTICS = `TABLE_QUALIFIER sysname, TABLE_OWNER sysname, TABLE_NAME sysname, NON_UNIQUE smallint, INDEX_QUALIFIER sysname,
  INDEX_NAME sysname, TYPE smallint, SEQ_IN_INDEX smallint, COLUMN_NAME sysname, COLLATION char(1), CARDINALITY int, PAGES int,
  FILTER_CONDITION varchar(128)`;

function* statistics(context: EngineContext, args: Args): Generator<RowObject> {
  const table = namedTable(context, args);
  if (!table) return;
  const common = { TABLE_QUALIFIER: context.database.name, TABLE_OWNER: table.schema, TABLE_NAME: table.name };
  yield { ...common, TYPE: 0, CARDINALITY: table.rowCount, PAGES: 1 };
  const uniqueOnly = String(args.get("@is_unique") ?? "N").toUpperCase() === "Y";
  for (const index of table.indexes) {
    if (uniqueOnly && !index.unique) continue;
    for (const [i, { column, descending }] of index.columns.entries())
      yield {
        ...common,
        NON_UNIQUE: index.unique ? 0 : 1,
        INDEX_QUALIFIER: table.name,
        INDEX_NAME: index.name,
        TYPE: index.clustered ? 1 : 3,
        SEQ_IN_INDEX: i + 1,
        COLUMN_NAME: table.columns[column]!.name,
        COLLATION: descending ? "D" : "A",
        CARDINALITY: table.rowCount,
        PAGES: 1,
      };
  }
}

export function registerDriverProcedures(engine: Engine): void {
  const reply =
    (spec: string, rows: (context: EngineContext, args: Args) => Iterable<RowObject>) =>
    async (context: EngineContext, args: Args, sink: ResultSink): Promise<number> => {
      await sendRows(sink, spec, rows(context, args));
      return 0;
    };
  const table = "@table_name nvarchar(384)";
  const columnParameters = `${table} = NULL, @table_owner nvarchar(384) = NULL, @table_qualifier sysname = NULL,
    @column_name nvarchar(384) = NULL`;
  const procedures = [
    procedure("sys", "sp_columns", `${columnParameters}, @ODBCVer int = NULL`, reply(COLUMNS, columns)),
    ...["sp_columns_90", "sp_columns_100"].map((name) =>
      procedure(
        "sys",
        name,
        `${columnParameters}, @NameScope int = NULL, @ODBCVer int = NULL, @fUsePattern bit = NULL`,
        reply(COLUMNS_100, columns),
      ),
    ),
    procedure(
      "sys",
      "sp_tables",
      `${table} = NULL, @table_owner nvarchar(384) = NULL, @table_qualifier sysname = NULL, @table_type varchar(100) = NULL,
       @fUsePattern bit = NULL`,
      reply(TABLES, tableRows),
    ),
    procedure(
      "sys",
      "sp_pkeys",
      "@table_name sysname, @table_owner sysname = NULL, @table_qualifier sysname = NULL",
      reply(KEYS, primaryKeys),
    ),
    ...["sp_statistics", "sp_statistics_100"].map((name) =>
      procedure(
        "sys",
        name,
        `@table_name sysname, @table_owner sysname = NULL, @table_qualifier sysname = NULL, @index_name sysname = NULL,
         @is_unique char(1) = NULL, @accuracy char(1) = NULL`,
        reply(STATISTICS, statistics),
      ),
    ),
    procedure(
      "sys",
      "sp_fkeys",
      `@pktable_name sysname = NULL, @pktable_owner sysname = NULL, @pktable_qualifier sysname = NULL,
       @fktable_name sysname = NULL, @fktable_owner sysname = NULL, @fktable_qualifier sysname = NULL`,
      reply(FOREIGN_KEYS, foreignKeys),
    ),
    ...["sp_special_columns", "sp_special_columns_90", "sp_special_columns_100"].map((name) =>
      procedure(
        "sys",
        name,
        `@table_name sysname, @table_owner sysname = NULL, @qualifier sysname = NULL, @col_type char(1) = NULL,
         @scope char(1) = NULL, @nullable char(1) = NULL, @ODBCVer int = NULL`,
        reply(SPECIAL_COLUMNS, specialColumns),
      ),
    ),
    procedure(
      "sys",
      "sp_stored_procedures",
      `@sp_name nvarchar(390) = NULL, @sp_owner nvarchar(384) = NULL, @sp_qualifier sysname = NULL, @fUsePattern bit = NULL`,
      reply(PROCEDURES, storedProcedures),
    ),
    ...(
      [
        ["sp_sproc_columns", PROCEDURE_COLUMNS],
        ["sp_sproc_columns_90", PROCEDURE_COLUMNS_100],
        ["sp_sproc_columns_100", PROCEDURE_COLUMNS_100],
      ] as const
    ).map(([name, spec]) =>
      procedure(
        "sys",
        name,
        `@procedure_name nvarchar(390) = NULL, @procedure_owner nvarchar(384) = NULL, @procedure_qualifier sysname = NULL,
         @column_name nvarchar(384) = NULL, @ODBCVer int = NULL, @fUsePattern bit = NULL`,
        reply(spec, procedureColumns),
      ),
    ),
    ...["sp_datatype_info", "sp_datatype_info_90", "sp_datatype_info_100"].map((name) =>
      procedure("sys", name, "@data_type int = NULL, @ODBCVer tinyint = NULL", reply(TYPE_INFO, typeInfo)),
    ),
    procedure(
      "sys",
      "sp_table_privileges",
      `@table_name nvarchar(384), @table_owner nvarchar(384) = NULL, @table_qualifier sysname = NULL, @fUsePattern bit = NULL`,
      reply(TABLE_PRIVILEGES, tablePrivileges),
    ),
    procedure(
      "sys",
      "sp_column_privileges",
      `@table_name sysname, @table_owner sysname = NULL, @table_qualifier sysname = NULL, @column_name nvarchar(384) = NULL`,
      reply(COLUMN_PRIVILEGES, columnPrivileges),
    ),
  ];
  for (const definition of procedures) engine.registerProcedure(definition);
}
