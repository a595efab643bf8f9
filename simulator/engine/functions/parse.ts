/**
 * PARSE and TRY_PARSE, in the culture en-US: numbers by .NET's NumberStyles, dates and times.
 * https://learn.microsoft.com/sql/t-sql/functions/parse-transact-sql
 */
import { parseTypeName } from "../../sql/parser.ts";
import { unsupported } from "../errors.ts";
import type { Compiled } from "../expressions/compiled.ts";
import { SqlError } from "../session.ts";
import { converter } from "../types/conversion.ts";
import { isApproximate, isMoney, isNumber, isTemporal, resolveType } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";
import { type Builtins, builtin } from "./builtin.ts";

const TEXT: SqlType = { id: "nvarchar", length: 4000 };

/** NumberStyles.Number, .Float and .Currency. */
const NUMBER = /^[+-]?(\d[\d,]*)?(\.\d*)?[+-]?$/;
const FLOAT = /^[+-]?\d*(\.\d*)?(e[+-]?\d+)?$/i;
const CURRENCY = /^[+-]?\$?[+-]?(\d[\d,]*)?(\.\d*)?[+-]?$|^\(\$?(\d[\d,]*)?(\.\d*)?\)$/;
const DAY = /^(mon|tues|wednes|thurs|fri|satur|sun)day,?\s+/i;

/** A number as CAST takes it; null where .NET would not read it. */
function plainNumber(text: string, type: SqlType): string | null {
  const style = isApproximate(type) ? FLOAT : isMoney(type) ? CURRENCY : NUMBER;
  if (!style.test(text) || !/\d/.test(text) || (text.match(/[+-]/g) ?? []).length > (/e/i.test(text) ? 2 : 1))
    return null;
  const digits = text.replace(/[,$()]/g, "").replace(/^[+-]|[+-]$/g, "");
  const plain = isNumber(type) && !isApproximate(type) ? digits.replace(/\.0*$/, "") || "0" : digits;
  return (text.startsWith("(") || /^\$?-|-$/.test(text) ? "-" : "") + plain;
}

function parse(args: Compiled[], tries: boolean): Compiled {
  const [operand, asType, culture] = args as [Compiled, Compiled, Compiled?];
  const written = String(asType.literal);
  const type = resolveType(parseTypeName(written));
  if (type.id === "bit" || !(isNumber(type) || isTemporal(type)))
    throw new SqlError(10761, `Invalid data type ${type.id} in function ${tries ? "TRY_PARSE" : "PARSE"}.`, 15, 3);
  if (operand.type.id === "null")
    throw new SqlError(
      8116,
      `Argument data type NULL is invalid for argument 1 of ${tries ? "try_" : ""}parse function.`,
    );
  const toText = converter(operand.type, TEXT, { implicit: true });
  const toType = converter(TEXT, type)!;
  const read = (value: Value, name: string): Value => {
    const text = String(toText && value !== null ? toText(value) : value).trim();
    try {
      const plain = isNumber(type) ? plainNumber(text, type) : text.replace(DAY, "");
      if (plain) return toType(plain);
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
    }
    if (tries) return null;
    throw new SqlError(
      9819,
      `Error converting string value '${text}' into data type ${written} using culture '${name}'.`,
      16,
      1,
    );
  };
  return {
    type,
    nullable: operand.nullable || tries,
    constant: operand.constant === true && (culture === undefined || culture.constant === true),
    evaluate: (frame) => {
      const value = operand.evaluate(frame);
      const name = culture ? String(culture.evaluate(frame)) : "";
      if (!/^(en(-US)?)?$/i.test(name)) throw unsupported(`PARSE with the culture ${name}`);
      return value === null ? null : read(value, name);
    },
  };
}

export const parseFunctions: Builtins = {
  parse: builtin(2, 3, (args) => parse(args, false)),
  try_parse: builtin(2, 3, (args) => parse(args, true)),
};
