/** Views WITH SCHEMABINDING: what they are made of stays. https://learn.microsoft.com/sql/t-sql/statements/create-view-transact-sql */
import { SqlError } from "../session.ts";
import type { Database, View } from "../storage.ts";

/** Error 3729 for a table or view that a schema-bound view names. */
export function refuseBound(database: Database, kind: "TABLE" | "VIEW", schema: string, name: string): void {
  for (const view of database.views.values()) {
    if (!view.schemaBound || !names(view, schema, name)) continue;
    throw new SqlError(
      3729,
      `Cannot DROP ${kind} '${schema}.${name}' because it is being referenced by object '${view.name}'.`,
      16,
      1,
    );
  }
}

/** Names are of two parts in such a view. */
function names(view: View, schema: string, name: string): boolean {
  const wanted = `${schema}.${name}`.toLowerCase();
  const found = (node: unknown): boolean => {
    if (typeof node !== "object" || node === null) return false;
    if ("kind" in node && node.kind === "table" && "name" in node) {
      const { parts } = node.name as { parts: string[] };
      if (parts.join(".").toLowerCase() === wanted) return true;
    }
    return Object.values(node).some(found);
  };
  return found(view.query);
}
