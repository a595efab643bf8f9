/** Which stored rows the rows of a SELECT come from, for statements that change them through it. */
import type { Compiled } from "../expressions/compiled.ts";
import type { Value } from "../values.ts";
import type { Leaf } from "./access.ts";
import type { Origin } from "./plan.ts";
import type { Output } from "./select.ts";

/** `entries`: what the rows have behind their columns. */
export function traceOf(leaves: Leaf[], outputs: Output[]): { origins: Origin[]; entries: Compiled[] } {
  const origins: Origin[] = [];
  const entries: Compiled[] = [];
  for (const leaf of leaves) {
    const { slot } = leaf;
    const own = leaf.table ? [{ table: leaf.table, place: -1, columns: null }] : (leaf.origins ?? []);
    for (const { table, place, columns: inner } of own) {
      const columns = new Map<number, number>();
      for (const [i, { value }] of outputs.entries()) {
        if (value.column?.depth !== 0 || value.column.slot !== slot) continue;
        const column = inner ? inner.get(value.column.column) : value.column.column;
        if (column !== undefined) columns.set(i, column);
      }
      origins.push({ table, place: outputs.length + entries.length, columns });
      entries.push({
        type: { id: "null" },
        nullable: true,
        evaluate: (frame) => {
          const row = frame.rows[slot];
          if (!row) return null;
          return (place < 0 ? frame.entries![slot] : row[place]) as unknown as Value;
        },
      });
    }
  }
  return { origins, entries };
}
