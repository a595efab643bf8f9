/** FORMAT: https://learn.microsoft.com/sql/t-sql/functions/format-transact-sql */
import type { Compiled } from "../expressions/compiled.ts";
import { SqlError } from "../session.ts";
import { convertValue } from "../types/conversion.ts";
import { asDecimal, isApproximate, isInteger, isNumber, isTemporal } from "../types/types.ts";
import type { Decimal, SqlType, Temporal, Value } from "../values.ts";
import { type Builtins, builtin, text } from "./builtin.ts";
import { cultureOf } from "./cultures.ts";
import { formatDate, formatTime } from "./format-dates.ts";
import { decimalOf, type Formattable, formatNumber } from "./format-numbers.ts";

export const formatFunctions: Builtins = {
  format: builtin(2, 3, ([value, format, culture]): Compiled => {
    const { type } = value!;
    if (!isTemporal(type) && (!isNumber(type) || type.id === "bit"))
      throw new SqlError(
        8116,
        `Argument data type ${type.id === "null" ? "NULL" : type.id} is invalid for argument 1 of format function.`,
        16,
        1,
      );
    const pattern = text(format!);
    const named = culture && text(culture);
    return {
      type: { id: "nvarchar", length: 4000 },
      nullable: true,
      constant: [value!, pattern, ...(named ? [named] : [])].every((arg) => arg.constant === true),
      evaluate: (frame) => {
        const given = value!.evaluate(frame);
        const written = pattern.evaluate(frame) as string | null;
        const name = named ? (named.evaluate(frame) as string | null) : "en-US";
        if (given === null || written === null) return null;
        const chosen = cultureOf(name ?? "en-US");
        // What is left empty is the general format.
        const wanted = written === "" ? "G" : written;
        if (type.id === "time") return formatTime(given as Temporal, written === "" ? "c" : written);
        if (isTemporal(type)) return formatDate(given as Temporal, wanted, chosen);
        const number = formattable(given, type);
        return number && formatNumber(number, wanted, chosen);
      },
    };
  }),
};

function formattable(value: NonNullable<Value>, type: SqlType): Formattable | null {
  if (isApproximate(type)) {
    const decimal = decimalOf(value as number);
    return decimal && { value: decimal, integral: false };
  }
  const decimal = convertValue(value, type, { id: "decimal", ...asDecimal(type) }) as Decimal;
  return { value: decimal, integral: isInteger(type) };
}
