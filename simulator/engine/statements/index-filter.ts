/**
 * Which rows a filtered index is of: two that it is not of may have the same key of a unique one.
 * https://learn.microsoft.com/sql/relational-databases/indexes/create-filtered-indexes
 */
import type { Index, Row } from "../database.ts";
import { type Condition, newFrame } from "../expressions/compiled.ts";
import { Compiler } from "../expressions/compiler.ts";
import { Scope, sourceColumn } from "../expressions/scope.ts";
import { Activation, type Run } from "../run.ts";
import type { Table } from "../table.ts";
import type { Session } from "../user-session.ts";

const compiled = new WeakMap<Index, { version: number; test: Condition }>();

export function filterOf(index: Index, table: Table, session: Session): (row: Row, run: Run) => boolean {
  const { filter } = index;
  if (!filter) return () => true;
  let known = compiled.get(index);
  if (known?.version !== table.schemaVersion) {
    const scope = new Scope(null);
    scope.add({ slot: scope.slots++, parts: [table.schema, table.name], columns: table.columns.map(sourceColumn) });
    const compiler = new Compiler(session, new Activation(null, "filter"), table.database);
    known = { version: table.schemaVersion, test: compiler.condition(filter.test, scope) };
    compiled.set(index, known);
  }
  const { test } = known;
  return (row, run) => {
    const frame = newFrame(1, null, run);
    frame.rows[0] = row;
    return test(frame) === true;
  };
}
