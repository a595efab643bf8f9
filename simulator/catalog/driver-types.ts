/** How ODBC and the catalogue procedures number and measure SQL Server's types. */
import type { SqlType, TypeId } from "../engine/values.ts";
import type { RowObject } from "./define.ts";
import { maxLength, precisionOf, scaleOf } from "./system-types.ts";

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
  if (version >= 3 && ODBC3_TYPES[type.id] !== undefined) return ODBC3_TYPES[type.id]!;
  return ODBC_TYPES[type.id] ?? 0;
}

/**
 * ODBC's structures, in bytes: https://learn.microsoft.com/sql/relational-databases/native-client-odbc-date-time/metadata-catalog
 */
const STRUCTURES: Partial<Record<TypeId, number>> = {
  date: 6,
  time: 10,
  smalldatetime: 16,
  datetime: 16,
  datetime2: 16,
  datetimeoffset: 20,
};

/** PRECISION and LENGTH as ODBC counts them. */
function odbcSize(type: SqlType, version: number): { precision: number; length: number } {
  const bytes = maxLength(type);
  if (type.id === "text" || type.id === "image") return { precision: 2_147_483_647, length: 2_147_483_647 };
  if (type.id === "ntext") return { precision: 1_073_741_823, length: 2_147_483_646 };
  if (bytes === -1) return { precision: 0, length: 0 };
  if (type.id === "uniqueidentifier") return { precision: 36, length: 16 };
  if (type.id === "decimal" || type.id === "numeric" || type.id.endsWith("money"))
    return { precision: precisionOf(type), length: precisionOf(type) + 2 };
  if (type.length !== undefined) return { precision: type.length, length: bytes };
  if (type.id === "timestamp") return { precision: 8, length: 8 };
  // ODBC 3 counts them in bits.
  if (type.id === "float") return { precision: version >= 3 ? 53 : 15, length: 8 };
  if (type.id === "real") return { precision: version >= 3 ? 24 : 7, length: 4 };
  return { precision: precisionOf(type), length: STRUCTURES[type.id] ?? bytes };
}

/** What the columns of sp_columns and its like say of a type. */
export function typeFacets(type: SqlType, version: number): RowObject {
  const { precision, length } = odbcSize(type, version);
  const number = precisionOf(type) > 0;
  const character = type.length !== undefined || ["text", "ntext", "image", "xml"].includes(type.id);
  const temporal = odbcType(type, 3) === 93 || type.id === "date";
  const approximate = type.id === "float" || type.id === "real";
  return {
    DATA_TYPE: odbcType(type, version),
    PRECISION: precision,
    LENGTH: length,
    SCALE: number && !approximate && type.id !== "bit" ? scaleOf(type) : null,
    RADIX:
      number && !temporal && type.id !== "time" && type.id !== "datetimeoffset"
        ? approximate && version >= 3
          ? 2
          : 10
        : null,
    SQL_DATA_TYPE: temporal && version >= 3 ? 9 : odbcType(type, version),
    SQL_DATETIME_SUB: temporal && version >= 3 ? (type.id === "date" ? 1 : 3) : null,
    CHAR_OCTET_LENGTH: character ? length : null,
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

export function nullableOldType(type: SqlType, nullable: boolean): number {
  return (nullable ? NULLABLE_OLD[type.id] : undefined) ?? OLD_TYPES[type.id] ?? 0;
}
