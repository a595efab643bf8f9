/**
 * SQL Server's types as the catalogue numbers and measures them.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-types-transact-sql
 */
import { isText } from "../engine/types/types.ts";
import type { SqlType, TypeId } from "../engine/values.ts";

/** sys.types.system_type_id; the user_type_id is the same, but for sysname's 256. */
export const SYSTEM_TYPES: Record<Exclude<TypeId, "null">, number> = {
  image: 34,
  text: 35,
  uniqueidentifier: 36,
  date: 40,
  time: 41,
  datetime2: 42,
  datetimeoffset: 43,
  tinyint: 48,
  smallint: 52,
  int: 56,
  smalldatetime: 58,
  real: 59,
  money: 60,
  datetime: 61,
  float: 62,
  sql_variant: 98,
  ntext: 99,
  bit: 104,
  decimal: 106,
  numeric: 108,
  smallmoney: 122,
  bigint: 127,
  varbinary: 165,
  varchar: 167,
  binary: 173,
  char: 175,
  timestamp: 189,
  nvarchar: 231,
  nchar: 239,
  xml: 241,
};
export const SYSNAME_ID = 256;
/** The system type of all table types. */
export const TABLE_TYPE = 243;

export function systemTypeId(type: SqlType): number {
  return type.id === "null" ? SYSTEM_TYPES.int : SYSTEM_TYPES[type.id];
}

export function userTypeId(type: SqlType, declaredType?: string): number {
  return declaredType?.toLowerCase() === "sysname" ? SYSNAME_ID : systemTypeId(type);
}

const BYTES: Partial<Record<TypeId, number>> = {
  bit: 1,
  tinyint: 1,
  smallint: 2,
  int: 4,
  bigint: 8,
  money: 8,
  smallmoney: 4,
  float: 8,
  real: 4,
  date: 3,
  datetime: 8,
  smalldatetime: 4,
  uniqueidentifier: 16,
  timestamp: 8,
  text: 16,
  ntext: 16,
  image: 16,
  sql_variant: 8016,
  xml: -1,
};

/** max_length: bytes, -1 for max types. */
export function maxLength(type: SqlType): number {
  const fixed = BYTES[type.id];
  if (fixed !== undefined) return fixed;
  if (type.id === "decimal" || type.id === "numeric") {
    const precision = type.precision ?? 18;
    return precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17;
  }
  if (type.id === "time" || type.id === "datetime2" || type.id === "datetimeoffset") {
    const scale = type.scale ?? 7;
    const time = scale <= 2 ? 3 : scale <= 4 ? 4 : 5;
    return time + (type.id === "time" ? 0 : type.id === "datetime2" ? 3 : 5);
  }
  const length = type.length ?? 1;
  if (length === -1) return -1;
  return type.id === "nvarchar" || type.id === "nchar" ? length * 2 : length;
}

const NUMBERS: Partial<Record<TypeId, [precision: number, scale: number]>> = {
  bit: [1, 0],
  tinyint: [3, 0],
  smallint: [5, 0],
  int: [10, 0],
  bigint: [19, 0],
  money: [19, 4],
  smallmoney: [10, 4],
  float: [53, 0],
  real: [24, 0],
  date: [10, 0],
  datetime: [23, 3],
  smalldatetime: [16, 0],
};
const TIME_DIGITS: Partial<Record<TypeId, number>> = { time: 8, datetime2: 19, datetimeoffset: 26 };

export function precisionOf(type: SqlType): number {
  const digits = TIME_DIGITS[type.id];
  if (digits !== undefined) return digits + ((type.scale ?? 7) > 0 ? (type.scale ?? 7) + 1 : 0);
  return type.precision ?? NUMBERS[type.id]?.[0] ?? 0;
}

export function scaleOf(type: SqlType): number {
  if (TIME_DIGITS[type.id] !== undefined) return type.scale ?? 7;
  return type.scale ?? NUMBERS[type.id]?.[1] ?? 0;
}

/** Character types only. */
export function collationOfType(type: SqlType, databaseCollation: string): string | null {
  return isText(type) && type.id !== "xml" ? (type.collation ?? databaseCollation) : null;
}

/** The name that sys.types has for it. */
export function typeName(type: SqlType, declaredType?: string): string {
  if (declaredType?.toLowerCase() === "sysname") return "sysname";
  return type.id === "null" ? "int" : type.id;
}
