/** Functions in FROM that need no schema. */
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { cast } from "../expressions/arithmetic.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { SourceColumn } from "../expressions/scope.ts";
import { SqlError } from "../session.ts";
import { converter } from "../types/conversion.ts";
import { isDecimal, isInteger, isUnicode, NULL_TYPE, unify } from "../types/types.ts";
import { Decimal, type SqlType } from "../values.ts";
import { text } from "./builtin.ts";

export interface TableFunction {
  columns: SourceColumn[];
  rows(frame: Frame): Iterable<Row>;
}

export function builtinTableFunction(name: string, args: Compiled[]): TableFunction | undefined {
  switch (name.toLowerCase()) {
    case "string_split":
      return stringSplit(args);
    case "generate_series":
      return generateSeries(args);
    case "openquery":
    case "openrowset":
      throw unsupported(name.toUpperCase());
    default:
      return undefined;
  }
}

/** https://learn.microsoft.com/sql/t-sql/functions/string-split-transact-sql */
function stringSplit(args: Compiled[]): TableFunction {
  const [source, separator, ordinal] = args;
  if (!source || !separator)
    throw new SqlError(
      313,
      "An insufficient number of arguments were supplied for the procedure or function string_split.",
      16,
      3,
    );
  const value = text(source);
  const numbered = ordinal?.literal === 1;
  const type: SqlType = { id: isUnicode(value.type) ? "nvarchar" : "varchar", length: value.type.length ?? -1 };
  return {
    columns: [
      { name: "value", type, nullable: false },
      ...(numbered ? [{ name: "ordinal", type: { id: "bigint" } as const, nullable: false }] : []),
    ],
    rows(frame) {
      const whole = value.evaluate(frame) as string | null;
      const by = text(separator).evaluate(frame) as string | null;
      if (whole === null) return [];
      if (by === null || by.length !== 1)
        throw new SqlError(214, "Procedure expects parameter 'separator' of type 'nchar(1)/nvarchar(1)'.", 16, 11);
      return whole.split(by).map((part, i) => (numbered ? [part, BigInt(i + 1)] : [part]));
    },
  };
}

/** https://learn.microsoft.com/sql/t-sql/functions/generate-series-transact-sql */
function generateSeries(args: Compiled[]): TableFunction {
  const [start, stop, step] = args;
  if (!start || !stop)
    throw new SqlError(
      313,
      "An insufficient number of arguments were supplied for the procedure or function generate_series.",
      16,
      3,
    );
  const type = args.reduce((common, arg) => unify(common, arg.type), NULL_TYPE as SqlType);
  if (
    type.id === "bit" ||
    !(isInteger(type) || isDecimal(type)) ||
    args.some((arg) => isDecimal(arg.type) !== isDecimal(type) && arg.type.id !== "null")
  )
    throw new SqlError(
      5373,
      "All the input parameters should be of the same type. Supported types are tinyint, smallint, int, bigint, decimal and numeric.",
      16,
      1,
    );
  const scale = type.scale ?? 0;
  const exact: SqlType = { id: "decimal", precision: 38, scale };
  const ends = [start, stop, ...(step ? [step] : [])].map((end) => cast(end, exact));
  const shown = converter(exact, type);
  return {
    columns: [{ name: "value", type, nullable: false }],
    *rows(frame) {
      const [from, to, by] = ends.map((end) => (end.evaluate(frame) as Decimal | null)?.unscaled);
      if (from === undefined || to === undefined || (step && by === undefined)) return;
      const one = 10n ** BigInt(scale);
      const stride = by ?? (from <= to ? one : -one);
      if (stride === 0n)
        throw new SqlError(4199, "Argument value 0 is invalid for argument 3 of generate_series function.", 16, 1);
      for (let value = from; stride > 0n ? value <= to : value >= to; value += stride) {
        const number = new Decimal(value, scale);
        yield [shown ? shown(number) : number];
      }
    },
  };
}
