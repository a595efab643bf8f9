/** Sources whose rows are computed. */
import type { Scope, Source, SourceColumn } from "../expressions/scope.ts";
import { SqlError } from "../session.ts";
import type { Leaf } from "./from.ts";
import type { Plan } from "./plan.ts";

export function rowsLeaf(
  scope: Scope,
  parts: string[],
  columns: readonly SourceColumn[],
  leaf: Omit<Leaf, "slot" | "source">,
): Leaf {
  const source: Source = { slot: scope.slots++, parts, columns };
  scope.add(source);
  return { slot: source.slot, source, ...leaf };
}

export function planLeaf(scope: Scope, parts: string[], plan: Plan, names: string[], lateral: boolean): Leaf {
  const columns = renamed(plan.columns, names, parts[parts.length - 1]!);
  if (!lateral) scope.reach = Math.max(scope.reach, plan.reach);
  return rowsLeaf(scope, parts, columns, {
    rows: (frame, run) => plan.open(frame, run),
    ...(lateral ? { lateral } : {}),
    ...(plan.reach > 0 ? { correlated: true } : {}),
    ...(plan.blocks ? { blocks: (frame, run) => plan.blocks!(frame, run) } : {}),
    ...(plan.origins ? { origins: plan.origins } : {}),
    ...(plan.orderBy ? { orderBy: (order) => plan.orderBy!(order) } : {}),
  });
}

export function renamed(columns: SourceColumn[], names: string[], alias: string): SourceColumn[] {
  if (names.length > 0 && names.length !== columns.length) {
    const [number, more] = names.length > columns.length ? [8159, "fewer"] : [8158, "more"];
    throw new SqlError(number, `'${alias}' has ${more} columns than were specified in the column list.`, 16, 1);
  }
  return columns.map((column, i) => {
    const name = names[i] ?? column.name;
    if (name === "") throw new SqlError(8155, `No column name was specified for column ${i + 1} of '${alias}'.`, 16, 2);
    return name === column.name ? column : { ...column, name };
  });
}
