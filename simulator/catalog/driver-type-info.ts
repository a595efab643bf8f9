/**
 * sp_datatype_info: the types as ODBC's SQLGetTypeInfo and JDBC's getTypeInfo show them.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-datatype-info-transact-sql
 */
import type { EngineContext } from "../engine/engine.ts";
import type { TypeId, Value } from "../engine/values.ts";
import type { RowObject } from "./define.ts";
import { typeFacets } from "./driver-types.ts";

export const TYPE_INFO = `TYPE_NAME sysname!, DATA_TYPE smallint!, PRECISION int, LITERAL_PREFIX varchar(32), LITERAL_SUFFIX varchar(32),
  CREATE_PARAMS varchar(32), NULLABLE smallint!, CASE_SENSITIVE smallint!, SEARCHABLE smallint!, UNSIGNED_ATTRIBUTE smallint,
  MONEY smallint!, AUTO_INCREMENT smallint, LOCAL_TYPE_NAME sysname, MINIMUM_SCALE smallint, MAXIMUM_SCALE smallint,
  SQL_DATA_TYPE smallint!, SQL_DATETIME_SUB smallint, NUM_PREC_RADIX int, INTERVAL_PRECISION smallint, USERTYPE smallint`;

interface TypeInfo {
  name: string;
  id: TypeId;
  precision: number;
  userType: number;
  prefix?: string;
  parameters?: string;
  /** Of 0 to a number: what the scale may be. */
  scale?: [number, number];
}

const QUOTED = { prefix: "'" };
const UNICODE = { prefix: "N'" };
const BYTES = { prefix: "0x" };
const WHOLE = { scale: [0, 0] as [number, number] };
const TYPES: TypeInfo[] = [
  { name: "sql_variant", id: "sql_variant", precision: 8000, userType: 0, ...WHOLE },
  { name: "uniqueidentifier", id: "uniqueidentifier", precision: 36, userType: 0, ...QUOTED },
  { name: "ntext", id: "ntext", precision: 1_073_741_823, userType: 0, ...UNICODE },
  { name: "xml", id: "xml", precision: 0, userType: 0, ...UNICODE },
  { name: "nvarchar", id: "nvarchar", precision: 4000, userType: 0, parameters: "max length", ...UNICODE },
  { name: "sysname", id: "nvarchar", precision: 128, userType: 18, ...UNICODE },
  { name: "nchar", id: "nchar", precision: 4000, userType: 0, parameters: "length", ...UNICODE },
  { name: "bit", id: "bit", precision: 1, userType: 16, ...WHOLE },
  { name: "tinyint", id: "tinyint", precision: 3, userType: 5, ...WHOLE },
  { name: "tinyint identity", id: "tinyint", precision: 3, userType: 5, ...WHOLE },
  { name: "bigint", id: "bigint", precision: 19, userType: 0, ...WHOLE },
  { name: "bigint identity", id: "bigint", precision: 19, userType: 0, ...WHOLE },
  { name: "image", id: "image", precision: 2_147_483_647, userType: 20, ...BYTES },
  { name: "varbinary", id: "varbinary", precision: 8000, userType: 4, parameters: "max length", ...BYTES },
  { name: "binary", id: "binary", precision: 8000, userType: 3, parameters: "length", ...BYTES },
  { name: "timestamp", id: "timestamp", precision: 8, userType: 80, ...BYTES },
  { name: "text", id: "text", precision: 2_147_483_647, userType: 19, ...QUOTED },
  { name: "char", id: "char", precision: 8000, userType: 1, parameters: "length", ...QUOTED },
  { name: "numeric", id: "numeric", precision: 38, userType: 10, parameters: "precision,scale", scale: [0, 38] },
  { name: "numeric() identity", id: "numeric", precision: 38, userType: 10, parameters: "precision", ...WHOLE },
  { name: "decimal", id: "decimal", precision: 38, userType: 24, parameters: "precision,scale", scale: [0, 38] },
  { name: "money", id: "money", precision: 19, userType: 11, prefix: "$", scale: [4, 4] },
  { name: "smallmoney", id: "smallmoney", precision: 10, userType: 21, prefix: "$", scale: [4, 4] },
  { name: "decimal() identity", id: "decimal", precision: 38, userType: 24, parameters: "precision", ...WHOLE },
  { name: "int", id: "int", precision: 10, userType: 7, ...WHOLE },
  { name: "int identity", id: "int", precision: 10, userType: 7, ...WHOLE },
  { name: "smallint", id: "smallint", precision: 5, userType: 6, ...WHOLE },
  { name: "smallint identity", id: "smallint", precision: 5, userType: 6, ...WHOLE },
  { name: "float", id: "float", precision: 0, userType: 8 },
  { name: "real", id: "real", precision: 0, userType: 23 },
  { name: "varchar", id: "varchar", precision: 8000, userType: 2, parameters: "max length", ...QUOTED },
  { name: "date", id: "date", precision: 10, userType: 0, ...QUOTED },
  { name: "time", id: "time", precision: 16, userType: 0, parameters: "scale", scale: [0, 7], ...QUOTED },
  { name: "datetime2", id: "datetime2", precision: 27, userType: 0, parameters: "scale", scale: [0, 7], ...QUOTED },
  { name: "datetime", id: "datetime", precision: 23, userType: 12, scale: [3, 3], ...QUOTED },
  { name: "smalldatetime", id: "smalldatetime", precision: 16, userType: 22, ...WHOLE, ...QUOTED },
  {
    name: "datetimeoffset",
    id: "datetimeoffset",
    precision: 34,
    userType: 0,
    parameters: "scale",
    scale: [0, 7],
    ...QUOTED,
  },
];

const UNSEARCHABLE = 0;
const LIKE_ONLY = 1;
const ALL_EXCEPT_LIKE = 2;
const SEARCHABLE = 3;

function searchable({ id, prefix }: TypeInfo): number {
  if (id === "image" || id === "xml") return UNSEARCHABLE;
  if (id === "text" || id === "ntext") return LIKE_ONLY;
  return prefix === undefined || prefix === "$" || prefix === "0x" || id === "uniqueidentifier"
    ? ALL_EXCEPT_LIKE
    : SEARCHABLE;
}

export function typeInfo({ database }: EngineContext, args: Map<string, Value>): RowObject[] {
  const version = Number(args.get("@odbcver") ?? 2);
  const wanted = Number(args.get("@data_type") ?? 0);
  const caseSensitive = !database.collation.includes("_CI");
  const rows = TYPES.map((info): RowObject => {
    const { id, name, prefix, scale } = info;
    const type = ["nvarchar", "nchar", "varchar", "char", "varbinary", "binary"].includes(id)
      ? { id, length: 1 }
      : { id };
    const facets = typeFacets(type, version);
    const approximate = id === "float" || id === "real";
    const number = prefix === undefined || prefix === "$";
    const counts = number && id !== "bit" && id !== "sql_variant";
    const character = prefix === "'" || prefix === "N'";
    return {
      TYPE_NAME: name,
      DATA_TYPE: facets["DATA_TYPE"]!,
      PRECISION: approximate ? facets["PRECISION"]! : info.precision,
      LITERAL_PREFIX: prefix ?? null,
      LITERAL_SUFFIX: character ? "'" : null,
      CREATE_PARAMS: info.parameters ?? null,
      NULLABLE: name.endsWith("identity") || id === "timestamp" || name === "sysname" ? 0 : 1,
      CASE_SENSITIVE: character && facets["CHAR_OCTET_LENGTH"] !== null && caseSensitive ? 1 : 0,
      SEARCHABLE: searchable(info),
      UNSIGNED_ATTRIBUTE: counts ? (id === "tinyint" ? 1 : 0) : null,
      MONEY: prefix === "$" ? 1 : 0,
      AUTO_INCREMENT: counts ? (name.endsWith("identity") ? 1 : 0) : null,
      LOCAL_TYPE_NAME: name,
      MINIMUM_SCALE: scale?.[0] ?? null,
      MAXIMUM_SCALE: scale?.[1] ?? null,
      SQL_DATA_TYPE: facets["SQL_DATA_TYPE"]!,
      SQL_DATETIME_SUB: facets["SQL_DATETIME_SUB"]!,
      NUM_PREC_RADIX: counts ? (approximate ? facets["RADIX"]! : 10) : null,
      USERTYPE: info.userType,
    };
  });
  const number = (row: RowObject, column: string) => Number(row[column] ?? -1);
  return rows
    .filter((row) => wanted === 0 || row["DATA_TYPE"] === wanted)
    .sort(
      (a, b) =>
        number(a, "DATA_TYPE") - number(b, "DATA_TYPE") ||
        number(a, "AUTO_INCREMENT") - number(b, "AUTO_INCREMENT") ||
        number(a, "MONEY") - number(b, "MONEY") ||
        number(a, "USERTYPE") - number(b, "USERTYPE"),
    );
}
