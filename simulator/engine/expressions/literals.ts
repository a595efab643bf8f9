/** Constants: https://learn.microsoft.com/sql/t-sql/data-types/constants-transact-sql */
import type { Expr } from "../../sql/ast.ts";
import { invalidColumn } from "../errors.ts";
import { SqlError } from "../session.ts";
import { converter } from "../types/conversion.ts";
import { parseDecimal } from "../types/decimals.ts";
import { INT, NULL_TYPE } from "../types/types.ts";
import { Decimal, type SqlType, type Value } from "../values.ts";

export function literalValue(
  kind: (Expr & { kind: "literal" })["type"],
  text: string,
): { type: SqlType; value: Value } {
  switch (kind) {
    case "int": {
      const number = BigInt(text);
      if (number <= 2147483647n) return { type: INT, value: Number(number) };
      const digits = text.replace(/^0+/, "").length;
      return { type: { id: "numeric", precision: digits, scale: 0 }, value: new Decimal(number, 0) };
    }
    case "decimal": {
      const value = parseDecimal(text);
      if (!value) throw invalidColumn(text);
      const digits = value.unscaled.toString().length;
      const precision = Math.max(digits, value.scale, 1);
      if (precision > 38)
        throw new SqlError(
          1007,
          `The number '${text}' is out of the range for numeric representation (maximum precision 38).`,
          15,
          1,
        );
      return { type: { id: "numeric", precision, scale: value.scale }, value };
    }
    case "float":
      return { type: { id: "float" }, value: Number(text) };
    case "money": {
      const value = parseDecimal(text.replace(/[$£€¥,\s]/g, "") || "0");
      if (!value)
        throw new SqlError(235, "Cannot convert a char value to money. The char value has incorrect syntax.", 16, 0);
      return {
        type: { id: "money" },
        value: converter({ id: "decimal", precision: 38, scale: value.scale }, { id: "money" })!(value),
      };
    }
    case "string":
      return { type: { id: "varchar", length: text.length > 8000 ? -1 : Math.max(1, text.length) }, value: text };
    case "nstring":
      return { type: { id: "nvarchar", length: text.length > 4000 ? -1 : Math.max(1, text.length) }, value: text };
    case "binary": {
      const hex = text.replace(/^0x/i, "").replace(/\\\r?\n/g, "");
      const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, "hex");
      return { type: { id: "varbinary", length: bytes.length > 8000 ? -1 : Math.max(1, bytes.length) }, value: bytes };
    }
    case "null":
      return { type: NULL_TYPE, value: null };
  }
}
