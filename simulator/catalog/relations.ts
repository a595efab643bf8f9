/** Tables and views alike, with their columns: what is a column to sys.columns, sp_columns and INFORMATION_SCHEMA. */
import type { Column } from "../engine/database.ts";
import type { EngineContext } from "../engine/engine.ts";
import { Compiler } from "../engine/expressions/compiler.ts";
import { compileQuery } from "../engine/query/query.ts";
import { Activation } from "../engine/run.ts";
import { SqlError } from "../engine/session.ts";
import type { View } from "../engine/storage.ts";

export interface Relation {
  objectId: number;
  schema: string;
  name: string;
  trackedByCdc: boolean;
  columns: readonly Column[];
}

export function* relations(context: EngineContext): Generator<Relation> {
  for (const table of context.database.tables.values()) if (!table.temporary) yield table;
  yield* views(context);
}

export function* views(context: EngineContext): Generator<Relation> {
  for (const view of context.database.views.values())
    yield { ...view, trackedByCdc: false, columns: viewColumns(context, view) };
}

/** None, where what the view refers to is gone. */
function viewColumns({ session, database }: EngineContext, view: View): Column[] {
  try {
    const compiler = new Compiler(session, new Activation(null), database, 1);
    const plan = compileQuery(view.query, null, compiler);
    return plan.columns.map(({ name, type, nullable }, i) => ({
      name: view.columns[i] ?? name,
      columnId: i + 1,
      type,
      nullable,
    }));
  } catch (error) {
    if (error instanceof SqlError) return [];
    throw error;
  }
}
