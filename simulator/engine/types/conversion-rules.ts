/** What all conversions share: their options, their form, and the error of a value that does not fit. */
import { SqlError } from "../session.ts";
import type { SqlType, Value } from "../values.ts";

export interface ConversionOptions {
  /** CONVERT's third argument. */
  style?: number;
  /** SET DATEFORMAT */
  dateFormat?: string;
  /** The database's, for character types without one. */
  collation?: string;
  /** An assignment or a mixed expression rather than CAST or CONVERT: some pairs are refused then. */
  implicit?: boolean;
}

export type Present = NonNullable<Value>;
export type Converter = (value: Present) => Value;

/** The name in "Error converting data type x to y": decimal is called numeric. */
function spoken(type: SqlType): string {
  return type.id === "decimal" ? "numeric" : type.id;
}

export function overflow(to: SqlType, from?: SqlType): SqlError {
  const what = from ? `${spoken(from)} to data type ${spoken(to)}` : `expression to data type ${spoken(to)}`;
  return new SqlError(8115, `Arithmetic overflow error converting ${what}.`, 16, from ? 8 : 2);
}
