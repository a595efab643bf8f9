/** Functions in FROM that need no schema. */
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { SourceColumn } from "../expressions/scope.ts";
import { SqlError } from "../session.ts";
import { INT, isUnicode } from "../types/types.ts";
import type { SqlType } from "../values.ts";
import { bigint, text } from "./builtin.ts";

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

function generateSeries(args: Compiled[]): TableFunction {
  const [start, stop, step] = args;
  if (!start || !stop)
    throw new SqlError(
      313,
      "An insufficient number of arguments were supplied for the procedure or function generate_series.",
      16,
      3,
    );
  const big = start.type.id === "bigint" || stop.type.id === "bigint";
  const ends = [start, stop, ...(step ? [step] : [])].map(bigint);
  return {
    columns: [{ name: "value", type: big ? { id: "bigint" } : INT, nullable: false }],
    *rows(frame) {
      const [from, to, by] = ends.map((end) => end.evaluate(frame) as bigint | null);
      if (from === null || to === null || from === undefined || to === undefined || by === null) return;
      const stride = by ?? (from <= to ? 1n : -1n);
      if (stride === 0n)
        throw new SqlError(4199, "Argument value 0 is invalid for argument 3 of generate_series function.", 16, 1);
      for (let value = from; stride > 0n ? value <= to : value >= to; value += stride)
        yield [big ? value : Number(value)];
    },
  };
}
