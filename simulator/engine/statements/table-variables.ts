/** DECLARE @t TABLE (…): a table of the batch or procedure alone, not undone with its transaction. */
import type { Column } from "../database.ts";
import type { Activation } from "../run.ts";
import { SqlError } from "../session.ts";
import { Table } from "../table.ts";
import type { Session } from "../user-session.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { makeColumn, primaryKeyColumns } from "./new-table.ts";
import { complete } from "./tables.ts";

export async function declareTable({ session, activation }: Executor, statement: Kind<"declare_table">): Promise<void> {
  tableVariable(session, activation, statement);
}

export function tableVariable(
  session: Session,
  activation: Activation,
  statement: Pick<Kind<"declare_table">, "name" | "columns" | "constraints">,
): Table {
  const key = statement.name.toLowerCase();
  if (activation.variables.has(key))
    throw new SqlError(
      134,
      `The variable name '${statement.name}' has already been declared. Variable names must be unique within a query batch or stored procedure.`,
      15,
      2,
    );
  const keys = primaryKeyColumns(statement.columns, statement.constraints);
  const columns: Column[] = statement.columns.map((definition, i) =>
    makeColumn(definition, i + 1, keys.has(definition.name.toLowerCase()), statement.name, session),
  );
  const tempdb = session.engine.database("tempdb")!;
  const table = new Table(tempdb, {
    objectId: -tempdb.allocateObjectId(),
    schema: "dbo",
    name: statement.name,
    createDate: session.engine.now(),
    columns,
  });
  table.temporary = true;
  complete({ session }, table, statement.columns, statement.constraints);
  activation.tableVariables.set(key, table);
  return table;
}
