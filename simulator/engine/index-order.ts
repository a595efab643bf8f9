/** How the rows of an index are ordered, and where a range of it lies. */
import type { Index, Row } from "./database.ts";
import type { Probe } from "./ordered-pages.ts";
import type { Range } from "./table.ts";
import type { Value } from "./values.ts";

/** Of one key column, ascending or descending as the index has it. */
export type Comparer = (a: Value, b: Value) => number;

export function rowOrder(index: Index | null, comparers: Comparer[]): (a: Row, b: Row) => number {
  if (!index) return () => 0;
  const columns = index.columns.map((column) => column.column);
  if (columns.length === 1) {
    const column = columns[0]!;
    const compare = comparers[0]!;
    return (a, b) => compare(a[column]!, b[column]!);
  }
  return (a, b) => {
    for (let i = 0; i < columns.length; i++) {
      const order = comparers[i]!(a[columns[i]!]!, b[columns[i]!]!);
      if (order !== 0) return order;
    }
    return 0;
  };
}

export function probeOf(index: Index | null, comparers: Comparer[], range: Range): Probe {
  const { prefix = [], from, to } = range;
  if (!index || (prefix.length === 0 && !from && !to)) return () => 0;
  const columns = index.columns.map((column) => column.column);
  const count = prefix.length;
  const next = index.columns[count];
  const descending = next?.descending === true;
  const low = descending ? to : from;
  const high = descending ? from : to;
  const compareNext = comparers[count]!;
  const column = next?.column ?? 0;
  return (row) => {
    for (let i = 0; i < count; i++) {
      const order = comparers[i]!(row[columns[i]!]!, prefix[i]!);
      if (order !== 0) return order;
    }
    if (low) {
      const order = compareNext(row[column]!, low.value);
      if (order < 0 || (order === 0 && !low.inclusive)) return -1;
    }
    if (high) {
      const order = compareNext(row[column]!, high.value);
      if (order > 0 || (order === 0 && !high.inclusive)) return 1;
    }
    return 0;
  };
}
