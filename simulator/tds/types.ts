/** Type tokens of MS-TDS 2.2.5.4 and what both directions know of a type. */
import type { SqlType, TypeId } from "../engine/values.ts";

export const TYPE = {
  null: 0x1f,
  image: 0x22,
  guid: 0x24,
  varbinary: 0x25,
  intN: 0x26,
  varchar: 0x27,
  dateN: 0x28,
  timeN: 0x29,
  datetime2N: 0x2a,
  datetimeoffsetN: 0x2b,
  binary: 0x2d,
  char: 0x2f,
  int1: 0x30,
  bit: 0x32,
  int2: 0x34,
  decimal: 0x37,
  int4: 0x38,
  smalldatetime: 0x3a,
  float4: 0x3b,
  money: 0x3c,
  datetime: 0x3d,
  float8: 0x3e,
  numeric: 0x3f,
  sqlVariant: 0x62,
  ntext: 0x63,
  bitN: 0x68,
  decimalN: 0x6a,
  numericN: 0x6c,
  floatN: 0x6d,
  moneyN: 0x6e,
  datetimeN: 0x6f,
  smallmoney: 0x7a,
  int8: 0x7f,
  bigVarbinary: 0xa5,
  bigVarchar: 0xa7,
  bigBinary: 0xad,
  bigChar: 0xaf,
  nvarchar: 0xe7,
  nchar: 0xef,
  udt: 0xf0,
  xml: 0xf1,
  table: 0xf3,
  text: 0x23,
} as const;

/** USHORTLEN of a max type. */
export const MAX_LENGTH = 0xffff;
export const USHORT_NULL = 0xffff;
export const PLP_NULL = 0xffff_ffff_ffff_ffffn;
export const PLP_UNKNOWN_LENGTH = 0xffff_ffff_ffff_fffen;

export interface FixedType {
  /** The token of a NOT NULL column, and the base type of a sql_variant. */
  readonly fixed: number;
  /** The token of a nullable one. */
  readonly nullable: number;
  readonly size: number;
}

/** Types that have a token of their own when they cannot be NULL. */
export const FIXED_TYPES: Partial<Record<TypeId, FixedType>> = {
  bit: { fixed: TYPE.bit, nullable: TYPE.bitN, size: 1 },
  tinyint: { fixed: TYPE.int1, nullable: TYPE.intN, size: 1 },
  smallint: { fixed: TYPE.int2, nullable: TYPE.intN, size: 2 },
  int: { fixed: TYPE.int4, nullable: TYPE.intN, size: 4 },
  bigint: { fixed: TYPE.int8, nullable: TYPE.intN, size: 8 },
  real: { fixed: TYPE.float4, nullable: TYPE.floatN, size: 4 },
  float: { fixed: TYPE.float8, nullable: TYPE.floatN, size: 8 },
  smallmoney: { fixed: TYPE.smallmoney, nullable: TYPE.moneyN, size: 4 },
  money: { fixed: TYPE.money, nullable: TYPE.moneyN, size: 8 },
  smalldatetime: { fixed: TYPE.smalldatetime, nullable: TYPE.datetimeN, size: 4 },
  datetime: { fixed: TYPE.datetime, nullable: TYPE.datetimeN, size: 8 },
};

/** By token of the fixed type, and by nullable token and size. */
export function fixedTypeOf(token: number, size?: number): TypeId | undefined {
  for (const [id, type] of Object.entries(FIXED_TYPES) as [TypeId, FixedType][]) {
    if (token === type.fixed || (token === type.nullable && size === type.size)) return id;
  }
  return undefined;
}

/** Bytes of a decimal of that precision, its sign included (2.2.5.5.1.6). */
export function decimalBytes(precision: number): number {
  return precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17;
}

export function isCharacter(type: SqlType): boolean {
  return ["char", "varchar", "text", "nchar", "nvarchar", "ntext"].includes(type.id);
}
