/**
 * SQL values as JSON.
 * https://learn.microsoft.com/sql/relational-databases/json/how-for-json-converts-sql-server-data-types-to-json-data-types-sql-server
 * https://learn.microsoft.com/sql/relational-databases/json/how-for-json-escapes-special-characters-and-control-characters-sql-server
 */
import type { Compiled } from "../expressions/compiled.ts";
import { plainText } from "../types/plain-text.ts";
import { isBinary, isNumber } from "../types/types.ts";
import type { SqlType, Value, Variant } from "../values.ts";

const ESCAPES: Record<string, string> = {
  '"': '\\"',
  "\\": "\\\\",
  "/": "\\/",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

export function escapeJson(text: string): string {
  return text.replace(/["\\/\p{Cc}]/gu, (c) => {
    const code = c.charCodeAt(0);
    return ESCAPES[c] ?? (code < 0x20 ? `\\u${code.toString(16).padStart(4, "0")}` : c);
  });
}

export function quoted(text: string): string {
  return `"${escapeJson(text)}"`;
}

/** `json`: the text is JSON already. */
export function jsonWriter({ type, json }: Pick<Compiled, "type" | "json">): (value: Value) => string {
  if (json) return (value) => (value === null ? "null" : (value as string));
  const write = writerFor(type);
  return (value) => (value === null ? "null" : write(value));
}

function writerFor(type: SqlType): (value: NonNullable<Value>) => string {
  if (type.id === "bit") return (value) => (value ? "true" : "false");
  if (type.id === "sql_variant")
    return (value) => {
      const { type: base, value: inner } = value as Variant;
      return inner === null ? "null" : writerFor(base)(inner);
    };
  const text = plainText(type);
  if (isNumber(type)) return text;
  if (isBinary(type)) return (value) => quoted((value as Buffer).toString("base64"));
  return (value) => quoted(text(value));
}
