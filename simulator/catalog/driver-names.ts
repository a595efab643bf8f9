/** How the catalogue procedures take names. */
import type { EngineContext } from "../engine/engine.ts";
import type { Table } from "../engine/table.ts";
import type { Value } from "../engine/values.ts";

/**
 * A LIKE pattern of the catalogue procedures, or anything where it is NULL. A backslash is one: drivers, whose escape character it
 * is, send `[_]` for `\_`.
 */
export function matcher(pattern: Value | undefined): (name: string) => boolean {
  if (pattern === null || pattern === undefined) return () => true;
  const source = [...String(pattern).matchAll(/\[(.)\]|[\s\S]/g)].map(([token, bracketed]) => {
    if (bracketed !== undefined) return escaped(bracketed);
    return token === "%" ? "[\\s\\S]*" : token === "_" ? "[\\s\\S]" : escaped(token);
  });
  const expression = new RegExp(`^${source.join("")}$`, "i");
  return (name) => expression.test(name);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** Exactly that name, or any where it is NULL. */
export function same(wanted: Value | undefined): (name: string) => boolean {
  if (wanted === null || wanted === undefined) return () => true;
  return (name) => name.toLowerCase() === String(wanted).trimEnd().toLowerCase();
}

/** The table that @table_name and @table_owner name: without an owner dbo's, or the only one. */
export function namedTable({ database }: EngineContext, args: Map<string, Value>): Table | undefined {
  const owner = args.get("@table_owner");
  const name = String(args.get("@table_name"));
  if (owner != null) return database.findTable(String(owner), name);
  return database.findTable("dbo", name) ?? [...database.tables.values()].find((table) => same(name)(table.name));
}
