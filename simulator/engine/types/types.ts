/**
 * Types by name, how they are written, which of two types wins, and what type a combination of several has.
 * https://learn.microsoft.com/sql/t-sql/data-types/data-type-precedence-transact-sql
 * https://learn.microsoft.com/sql/t-sql/data-types/precision-scale-and-length-transact-sql
 */
import type { TypeName } from "../../sql/ast.ts";
import { findCollation } from "../collations.ts";
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";
import type { SqlType, TypeId } from "../values.ts";
import { isText } from "./comparison.ts";

export { isText };

export const INT: SqlType = { id: "int" };
export const BIGINT: SqlType = { id: "bigint" };
export const FLOAT: SqlType = { id: "float" };
export const DATETIME: SqlType = { id: "datetime" };
export const NULL_TYPE: SqlType = { id: "null" };
export const SYSNAME: SqlType = { id: "nvarchar", length: 128 };

/** Highest first. */
const PRECEDENCE: TypeId[] = [
  "sql_variant",
  "xml",
  "datetimeoffset",
  "datetime2",
  "datetime",
  "smalldatetime",
  "date",
  "time",
  "float",
  "real",
  "decimal",
  "numeric",
  "money",
  "smallmoney",
  "bigint",
  "int",
  "smallint",
  "tinyint",
  "bit",
  "ntext",
  "text",
  "image",
  "timestamp",
  "uniqueidentifier",
  "nvarchar",
  "nchar",
  "varchar",
  "char",
  "varbinary",
  "binary",
  "null",
];
const RANK = new Map(PRECEDENCE.map((id, i) => [id, i]));

export function rank(type: SqlType): number {
  return RANK.get(type.id)!;
}

const INTEGER_DIGITS: Partial<Record<TypeId, number>> = { bit: 1, tinyint: 3, smallint: 5, int: 10, bigint: 19 };
const TEMPORAL = new Set<TypeId>(["date", "time", "datetime", "smalldatetime", "datetime2", "datetimeoffset"]);
const BINARY = new Set<TypeId>(["binary", "varbinary", "image", "timestamp"]);

export function isInteger(type: SqlType): boolean {
  return type.id in INTEGER_DIGITS;
}
export function isDecimal(type: SqlType): boolean {
  return type.id === "decimal" || type.id === "numeric";
}
export function isMoney(type: SqlType): boolean {
  return type.id === "money" || type.id === "smallmoney";
}
export function isApproximate(type: SqlType): boolean {
  return type.id === "float" || type.id === "real";
}
export function isNumber(type: SqlType): boolean {
  return isInteger(type) || isDecimal(type) || isMoney(type) || isApproximate(type);
}
export function isTemporal(type: SqlType): boolean {
  return TEMPORAL.has(type.id);
}
export function isBinary(type: SqlType): boolean {
  return BINARY.has(type.id);
}
export function isUnicode(type: SqlType): boolean {
  return type.id === "nchar" || type.id === "nvarchar" || type.id === "ntext" || type.id === "xml";
}
export function isMax(type: SqlType): boolean {
  return type.length === -1 || type.id === "text" || type.id === "ntext" || type.id === "image" || type.id === "xml";
}

/** A number type as a decimal: what decimal arithmetic takes it for. */
export function asDecimal(type: SqlType): { precision: number; scale: number } {
  if (type.id === "money") return { precision: 19, scale: 4 };
  if (type.id === "smallmoney") return { precision: 10, scale: 4 };
  const digits = INTEGER_DIGITS[type.id];
  if (digits !== undefined) return { precision: digits, scale: 0 };
  return { precision: type.precision ?? 18, scale: type.scale ?? 0 };
}

/** A decimal type; where more than 38 digits would be needed, the scale gives way to the integral part. */
export function decimalType(precision: number, scale: number, id: "decimal" | "numeric" = "decimal"): SqlType {
  if (precision <= 38) return { id, precision, scale };
  const integral = precision - scale;
  return { id, precision: 38, scale: Math.max(0, Math.min(scale, 38 - integral)) };
}

const ALIASES: Record<string, string> = {
  integer: "int",
  dec: "decimal",
  character: "char",
  rowversion: "timestamp",
  "double precision": "float",
  "character varying": "varchar",
  "char varying": "varchar",
  "national character": "nchar",
  "national char": "nchar",
  "national character varying": "nvarchar",
  "national char varying": "nvarchar",
  "national text": "ntext",
  "binary varying": "varbinary",
};

/** Of the system, but of .NET: https://learn.microsoft.com/sql/t-sql/data-types/data-types-transact-sql */
export const CLR_TYPES: ReadonlySet<string> = new Set(["hierarchyid", "geometry", "geography"]);

/** Where no length is written: 1 in declarations, 30 in CAST and CONVERT. */
export function resolveType(name: TypeName, defaultLength = 1): SqlType {
  const written = name.name.toLowerCase();
  if (written === "sysname") return SYSNAME;
  const id = ALIASES[written] ?? written;
  const [first, second] = name.args;
  const collation = name.collation === undefined ? undefined : knownCollation(name.collation);
  const text = collation === undefined ? {} : { collation };
  switch (id) {
    case "char":
    case "varchar":
    case "binary":
    case "varbinary":
    case "nchar":
    case "nvarchar": {
      const limit = id.startsWith("n") ? 4000 : 8000;
      const length = first ?? defaultLength;
      const fixed = id === "char" || id === "nchar" || id === "binary";
      if (length > limit || (fixed && length === -1))
        throw new SqlError(
          131,
          `The size (${length}) given to the type '${id}' exceeds the maximum allowed for any data type (8000).`,
          15,
          2,
        );
      if (length === 0) throw new SqlError(1001, `Line 1: Length or precision specification 0 is invalid.`, 15, 1);
      return { id, length, ...(id.includes("char") ? text : {}) };
    }
    case "decimal":
    case "numeric": {
      const precision = first ?? 18;
      const scale = second ?? 0;
      if (precision > 38 || precision < 1)
        throw new SqlError(
          2750,
          `Column or parameter #1: Specified column precision ${precision} is greater than the maximum precision of 38.`,
          16,
          1,
        );
      if (scale > precision) throw new SqlError(192, "The scale must be less than or equal to the precision.", 15, 1);
      return { id, precision, scale };
    }
    case "time":
    case "datetime2":
    case "datetimeoffset":
      if (first !== undefined && first > 7)
        throw new SqlError(1002, `Line 1: Specified scale ${first} is invalid.`, 15, 1);
      return { id, scale: first ?? 7 };
    case "float":
      return { id: first !== undefined && first <= 24 ? "real" : "float" };
    case "text":
    case "ntext":
      return { id, ...text };
    case "bit":
    case "tinyint":
    case "smallint":
    case "int":
    case "bigint":
    case "money":
    case "smallmoney":
    case "real":
    case "date":
    case "datetime":
    case "smalldatetime":
    case "xml":
    case "uniqueidentifier":
    case "image":
    case "timestamp":
    case "sql_variant":
      return { id };
    default:
      if (CLR_TYPES.has(id)) throw unsupported(`the type ${id}`);
      throw new SqlError(243, `Type ${name.name} is not a defined system type.`, 16, 1);
  }
}

function knownCollation(name: string): string | undefined {
  if (name.toLowerCase() === "database_default" || name.toLowerCase() === "catalog_default") return undefined;
  const found = findCollation(name);
  if (!found) throw new SqlError(448, `Invalid collation '${name}'.`, 16, 1);
  return found.name;
}

/** "decimal(12,4)", as a person would write it. */
export function typeText(type: SqlType): string {
  const length = type.length === -1 ? "max" : type.length;
  if (isDecimal(type)) return `${type.id}(${type.precision},${type.scale})`;
  if (type.length !== undefined) return `${type.id}(${length})`;
  if (type.scale !== undefined && isTemporal(type)) return `${type.id}(${type.scale})`;
  return type.id;
}

/** The type that values of both become in CASE, UNION, COALESCE, comparisons and the like. */
export function unify(a: SqlType, b: SqlType): SqlType {
  if (a.id === "null") return b;
  if (b.id === "null") return a;
  const [high, low] = rank(a) <= rank(b) ? [a, b] : [b, a];
  if (isDecimal(high) && isNumber(low)) {
    const x = asDecimal(high);
    const y = asDecimal(low);
    const scale = Math.max(x.scale, y.scale);
    return decimalType(Math.max(x.precision - x.scale, y.precision - y.scale) + scale, scale, high.id as "decimal");
  }
  if (isText(high) && isText(low) && high.length !== undefined) {
    const length = isMax(high) || isMax(low) ? -1 : Math.max(high.length, low.length ?? 0);
    const id =
      length === -1 || (low.id === "varchar" && high.id === "nchar")
        ? isUnicode(high)
          ? "nvarchar"
          : "varchar"
        : high.id;
    return { ...high, id, length };
  }
  if (isBinary(high) && isBinary(low) && high.length !== undefined) {
    const length = isMax(high) || isMax(low) ? -1 : Math.max(high.length, low.length ?? 8);
    return { ...high, length };
  }
  if (high.scale !== undefined && isTemporal(high) && isTemporal(low)) {
    const other = low.scale ?? (low.id === "datetime" ? 3 : 0);
    return { ...high, scale: Math.max(high.scale, other) };
  }
  return high;
}
