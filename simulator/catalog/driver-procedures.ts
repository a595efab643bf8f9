/**
 * The catalogue procedures that drivers call for their metadata interfaces.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/catalog-stored-procedures-transact-sql
 */
import type { Column } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import type { ResultSink } from "../engine/session.ts";
import type { Table } from "../engine/table.ts";
import type { SqlType, TypeId, Value } from "../engine/values.ts";
import { procedure, type RowObject, sendRows } from "./define.ts";
import { maxLength, precisionOf, scaleOf, typeName } from "./system-types.ts";

type Args = Map<string, Value>;

/** A LIKE pattern of the catalogue procedures, or anything where it is NULL. */
export function matcher(pattern: Value | undefined): (name: string) => boolean {
  if (pattern === null || pattern === undefined) return () => true;
  const source = [...String(pattern).matchAll(/\[(.)\]|\\(.)|[\s\S]/g)].map(([token, bracketed, backslashed]) => {
    const literal = bracketed ?? backslashed;
    if (literal !== undefined) return escaped(literal);
    return token === "%" ? "[\\s\\S]*" : token === "_" ? "[\\s\\S]" : escaped(token);
  });
  const expression = new RegExp(`^${source.join("")}$`, "i");
  return (name) => expression.test(name);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

function same(wanted: Value | undefined): (name: string) => boolean {
  if (wanted === null || wanted === undefined) return () => true;
  return (name) => name.toLowerCase() === String(wanted).trimEnd().toLowerCase();
}

/** ODBC's SQL_ type codes: https://learn.microsoft.com/sql/odbc/reference/appendixes/sql-data-types */
const ODBC_TYPES: Partial<Record<TypeId, number>> = {
  bit: -7,
  tinyint: -6,
  smallint: 5,
  int: 4,
  bigint: -5,
  decimal: 3,
  numeric: 2,
  money: 3,
  smallmoney: 3,
  float: 6,
  real: 7,
  date: -9,
  time: -9,
  datetime: 11,
  smalldatetime: 11,
  datetime2: -9,
  datetimeoffset: -9,
  char: 1,
  varchar: 12,
  text: -1,
  nchar: -8,
  nvarchar: -9,
  ntext: -10,
  xml: -10,
  uniqueidentifier: -11,
  binary: -2,
  varbinary: -3,
  image: -4,
  timestamp: -2,
  sql_variant: -150,
};
/** With @ODBCVer = 3. */
const ODBC3_TYPES: Partial<Record<TypeId, number>> = {
  date: 91,
  time: -154,
  datetime: 93,
  smalldatetime: 93,
  datetime2: 93,
  datetimeoffset: -155,
  xml: -152,
};
/** ss_data_type: the type's number in older catalogues. */
const OLD_TYPES: Partial<Record<TypeId, number>> = {
  bit: 50,
  tinyint: 48,
  smallint: 52,
  int: 56,
  bigint: 63,
  decimal: 106,
  numeric: 108,
  money: 60,
  smallmoney: 122,
  float: 62,
  real: 59,
  datetime: 61,
  smalldatetime: 58,
  char: 47,
  varchar: 39,
  text: 35,
  nchar: 47,
  nvarchar: 39,
  ntext: 35,
  uniqueidentifier: 37,
  binary: 45,
  varbinary: 37,
  image: 34,
  timestamp: 45,
  date: 0,
  time: 0,
  datetime2: 0,
  datetimeoffset: 0,
  sql_variant: 39,
  xml: 0,
};

function odbcType(type: SqlType, version: number): number {
  if (version === 3 && ODBC3_TYPES[type.id] !== undefined) return ODBC3_TYPES[type.id]!;
  return ODBC_TYPES[type.id] ?? 0;
}

/** PRECISION and LENGTH as ODBC counts them. */
function odbcSize(type: SqlType): { precision: number; length: number } {
  const bytes = maxLength(type);
  if (type.id === "text" || type.id === "image") return { precision: 2_147_483_647, length: 2_147_483_647 };
  if (type.id === "ntext") return { precision: 1_073_741_823, length: 2_147_483_646 };
  if (bytes === -1) return { precision: 0, length: 0 };
  if (type.id === "uniqueidentifier") return { precision: 36, length: 16 };
  if (type.id === "decimal" || type.id === "numeric" || type.id.endsWith("money"))
    return { precision: precisionOf(type), length: precisionOf(type) + 2 };
  if (type.length !== undefined) return { precision: type.length, length: bytes };
  if (type.id === "timestamp") return { precision: 8, length: 8 };
  if (type.id === "float") return { precision: 15, length: 8 };
  if (type.id === "real") return { precision: 7, length: 4 };
  return { precision: precisionOf(type), length: type.id.includes("date") || type.id === "time" ? 16 : bytes };
}

const COLUMNS = `TABLE_QUALIFIER sysname, TABLE_OWNER sysname, TABLE_NAME sysname, COLUMN_NAME sysname, DATA_TYPE smallint,
  TYPE_NAME sysname, PRECISION int, LENGTH int, SCALE smallint, RADIX smallint, NULLABLE smallint, REMARKS varchar(254),
  COLUMN_DEF nvarchar(4000), SQL_DATA_TYPE smallint, SQL_DATETIME_SUB smallint, CHAR_OCTET_LENGTH int, ORDINAL_POSITION int,
  IS_NULLABLE varchar(254)`;
const COLUMNS_100 = `${COLUMNS}, SS_IS_SPARSE smallint, SS_IS_COLUMN_SET smallint, SS_IS_COMPUTED smallint, SS_IS_IDENTITY smallint,
  SS_UDT_CATALOG_NAME sysname, SS_UDT_SCHEMA_NAME sysname, SS_UDT_ASSEMBLY_TYPE_NAME nvarchar(4000),
  SS_XML_SCHEMACOLLECTION_CATALOG_NAME sysname, SS_XML_SCHEMACOLLECTION_SCHEMA_NAME sysname,
  SS_XML_SCHEMACOLLECTION_NAME sysname, SS_DATA_TYPE tinyint`;

function columnRow(context: EngineContext, table: Table, column: Column, ordinal: number, version: number): RowObject {
  const { type } = column;
  const name = typeName(type, column.declaredType);
  const { precision, length } = odbcSize(type);
  const number = precisionOf(type) > 0;
  const character = type.length !== undefined || ["text", "ntext", "image", "xml"].includes(type.id);
  const temporal = odbcType(type, 3) === 93 || type.id === "date";
  return {
    TABLE_QUALIFIER: context.database.name,
    TABLE_OWNER: table.schema,
    TABLE_NAME: table.name,
    COLUMN_NAME: column.name,
    DATA_TYPE: odbcType(type, version),
    TYPE_NAME: column.identity ? `${name} identity` : name,
    PRECISION: precision,
    LENGTH: length,
    SCALE: number && type.id !== "float" && type.id !== "real" && type.id !== "bit" ? scaleOf(type) : null,
    RADIX: number && !temporal && type.id !== "time" ? (type.id === "float" || type.id === "real" ? 2 : 10) : null,
    NULLABLE: column.nullable ? 1 : 0,
    COLUMN_DEF: column.default?.text ?? null,
    SQL_DATA_TYPE: temporal && version === 3 ? 9 : odbcType(type, version),
    SQL_DATETIME_SUB: temporal && version === 3 ? (type.id === "date" ? 1 : 3) : null,
    CHAR_OCTET_LENGTH: character ? length : null,
    ORDINAL_POSITION: ordinal,
    IS_NULLABLE: column.nullable ? "YES" : "NO",
    SS_IS_SPARSE: 0,
    SS_IS_COLUMN_SET: 0,
    SS_IS_COMPUTED: column.computed ? 1 : 0,
    SS_IS_IDENTITY: column.identity ? 1 : 0,
    SS_DATA_TYPE: nullableOldType(type, column.nullable),
  };
}

const NULLABLE_OLD: Partial<Record<TypeId, number>> = {
  tinyint: 38,
  smallint: 38,
  int: 38,
  bigint: 108,
  float: 109,
  real: 109,
  money: 110,
  smallmoney: 110,
  datetime: 111,
  smalldatetime: 111,
};

function nullableOldType(type: SqlType, nullable: boolean): number {
  return (nullable ? NULLABLE_OLD[type.id] : undefined) ?? OLD_TYPES[type.id] ?? 0;
}

function* columns(context: EngineContext, args: Args): Generator<RowObject> {
  const patterns = args.get("@fusepattern") !== false;
  const match = patterns ? matcher : same;
  const [table, owner, column] = ["@table_name", "@table_owner", "@column_name"].map((name) => match(args.get(name)));
  const version = Number(args.get("@odbcver") ?? 2);
  for (const found of context.database.tables.values()) {
    if (found.temporary || !table!(found.name) || !owner!(found.schema)) continue;
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

function namedTable({ database }: EngineContext, args: Args): Table | undefined {
  const owner = args.get("@table_owner");
  const name = String(args.get("@table_name"));
  if (owner != null) return database.findTable(String(owner), name);
  return database.findTable("dbo", name) ?? [...database.tables.values()].find((table) => same(name)(table.name));
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
  ];
  for (const definition of procedures) engine.registerProcedure(definition);
}
