/** DECLARE @t TABLE (…): a table of the batch or procedure alone, not undone with its transaction. */
import type { Column } from "../database.ts";
import { SqlError } from "../session.ts";
import { Table } from "../table.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { makeColumn } from "./new-table.ts";
import { complete } from "./tables.ts";

export async function declareTable(executor: Executor, statement: Kind<"declare_table">): Promise<void> {
  const { session, activation } = executor;
  const key = statement.name.toLowerCase();
  if (activation.variables.has(key))
    throw new SqlError(
      134,
      `The variable name '${statement.name}' has already been declared. Variable names must be unique within a query batch or stored procedure.`,
      15,
      2,
    );
  const keyed = new Set<string>();
  for (const constraint of statement.constraints)
    if (constraint.kind === "primary_key") for (const { name } of constraint.columns) keyed.add(name.toLowerCase());
  const columns: Column[] = statement.columns.map((definition, i) => {
    const key =
      keyed.has(definition.name.toLowerCase()) || definition.constraints.some(({ kind }) => kind === "primary_key");
    return makeColumn(definition, i + 1, key, statement.name, session);
  });
  const tempdb = session.engine.database("tempdb")!;
  const table = new Table(tempdb, {
    objectId: -tempdb.allocateObjectId(),
    schema: "dbo",
    name: statement.name,
    createDate: session.engine.now(),
    columns,
  });
  table.temporary = true;
  complete(executor, table, statement.columns, statement.constraints);
  activation.tableVariables.set(key, table);
}
