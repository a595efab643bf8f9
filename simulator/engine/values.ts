/**
 * SQL Server's types and how their values are held in memory. One JavaScript form a type, so that no code has to ask.
 *
 * | type | form |
 * | --- | --- |
 * | bit | boolean |
 * | tinyint, smallint, int | number |
 * | bigint | bigint |
 * | decimal, numeric, money (scale 4), smallmoney (scale 4) | Decimal |
 * | float, real | number (real rounded to single precision) |
 * | date, time, datetime, smalldatetime, datetime2, datetimeoffset | Temporal |
 * | char, varchar, text, nchar, nvarchar, ntext, xml, sysname | string (char and nchar padded to their length) |
 * | uniqueidentifier | string, upper case, with hyphens |
 * | binary, varbinary, image, rowversion (timestamp) | Buffer (binary padded to its length) |
 * | sql_variant | Variant |
 * | NULL of every type | null |
 */
export type Value = null | boolean | number | bigint | string | Buffer | Decimal | Temporal | Variant;

/** `unscaled` × 10^-scale. */
export class Decimal {
  readonly unscaled: bigint;
  readonly scale: number;
  constructor(unscaled: bigint, scale: number) {
    this.unscaled = unscaled;
    this.scale = scale;
  }
  toString(): string {
    const digits = (this.unscaled < 0n ? -this.unscaled : this.unscaled).toString().padStart(this.scale + 1, "0");
    const sign = this.unscaled < 0n ? "-" : "";
    if (this.scale === 0) return sign + digits;
    return `${sign}${digits.slice(0, -this.scale)}.${digits.slice(-this.scale)}`;
  }
}

/**
 * A date, a time of day, or both. The type says which parts count: `date` has ticks 0, `time` has days 0.
 * For datetime, ticks are the nearest 100 ns to the 1/300 s that the server keeps: round(n × 100000 / 3).
 * For datetimeoffset, days and ticks are UTC, as TDS sends them, and `offset` is in minutes.
 */
export class Temporal {
  /** Days since 0001-01-01. */
  readonly days: number;
  /** 100 ns since midnight, 0 to 863,999,999,999. */
  readonly ticks: number;
  readonly offset: number;
  constructor(days: number, ticks: number, offset = 0) {
    this.days = days;
    this.ticks = ticks;
    this.offset = offset;
  }
}

/** A sql_variant's value with its base type. */
export class Variant {
  readonly type: SqlType;
  readonly value: Value;
  constructor(type: SqlType, value: Value) {
    this.type = type;
    this.value = value;
  }
}

export type TypeId =
  | "bit"
  | "tinyint"
  | "smallint"
  | "int"
  | "bigint"
  | "decimal"
  | "numeric"
  | "money"
  | "smallmoney"
  | "float"
  | "real"
  | "date"
  | "time"
  | "datetime"
  | "smalldatetime"
  | "datetime2"
  | "datetimeoffset"
  | "char"
  | "varchar"
  | "text"
  | "nchar"
  | "nvarchar"
  | "ntext"
  | "xml"
  | "uniqueidentifier"
  | "binary"
  | "varbinary"
  | "image"
  | "timestamp"
  | "sql_variant"
  /** A cursor or table type never reaches a column; an untyped NULL literal has this one (sent as int). */
  | "null";

export interface SqlType {
  readonly id: TypeId;
  /** Characters for (n)char and (n)varchar, bytes for binary and varbinary; -1 is max. */
  readonly length?: number;
  /** decimal, numeric: 1 to 38. */
  readonly precision?: number;
  /** decimal and numeric; time, datetime2, datetimeoffset: 0 to 7. */
  readonly scale?: number;
  /** Character types; undefined: the database's. */
  readonly collation?: string;
}
