/** Which expressions mean the same. */
import type { Expr } from "../../sql/ast.ts";
import type { Scope } from "./scope.ts";

export function columnKey(slot: number, column: number): string {
  return `c:${slot}:${column}`;
}

/**
 * A text that is equal for expressions that mean the same, for GROUP BY and ORDER BY; undefined for what has none (subqueries,
 * and names that mean nothing here).
 */
export function expressionKey(expr: Expr, scope: Scope): string | undefined {
  let valid = true;
  const seen = JSON.stringify(expr, (_key, value: unknown) => {
    if (value === null || typeof value !== "object") return value;
    const node = value as { kind?: string; parts?: string[]; name?: unknown };
    if (node.kind === "subquery" || node.kind === "exists" || node.kind === "in_query" || node.kind === "quantified")
      valid = false;
    if (node.kind === "column" && node.parts) {
      if (!scope.knows(node.parts)) {
        valid = false;
        return "?";
      }
      const { depth, source, column } = scope.resolve(node.parts);
      return depth === 0 ? columnKey(source.slot, column) : `o:${depth}:${source.slot}:${column}`;
    }
    if (node.kind === "variable") return { variable: String(node.name).toLowerCase() };
    return value;
  });
  return valid ? unquoted(seen) : undefined;
}

/** A lone column's key is the bare one. */
function unquoted(text: string): string {
  return text.startsWith('"') ? (JSON.parse(text) as string) : text;
}
