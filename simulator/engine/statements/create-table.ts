/** CREATE TABLE: https://learn.microsoft.com/sql/t-sql/statements/create-table-transact-sql */
import type { ColumnDefinition, TableConstraint } from "../../sql/ast.ts";
import type { Column } from "../database.ts";
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import { inTransaction, type Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { addConstraint, makeColumn, makeTable, primaryKeyColumns, typeComputed } from "./new-table.ts";
import { tell } from "./own-table.ts";

const MAX_COLUMNS = 1024;

export async function createTable(executor: Executor, statement: Kind<"create_table">): Promise<void> {
  const { session, sink } = executor;
  await inTransaction(executor, async (transaction) => {
    const columns = columnsOf(
      executor,
      statement.name.parts[statement.name.parts.length - 1]!,
      statement.columns,
      statement.constraints,
    );
    const table = makeTable(executor, statement.name, columns, transaction);
    complete(executor, table, statement.columns, statement.constraints);
    if (!table.temporary) tell(executor, table, `CREATE TABLE ${table.qualifiedName}`, transaction);
  });
  session.rowCount = 0;
  sink.statementDone({});
}

function columnsOf(
  executor: Executor,
  table: string,
  definitions: ColumnDefinition[],
  constraints: TableConstraint[],
): Column[] {
  const keys = primaryKeyColumns(definitions, constraints);
  const columns = definitions.map((definition, i) =>
    makeColumn(definition, i + 1, keys.has(definition.name.toLowerCase()), table, executor.session),
  );
  const names = new Set<string>();
  for (const { name } of columns) {
    if (names.has(name.toLowerCase()))
      throw new SqlError(
        2705,
        `Column names in each table must be unique. Column name '${name}' in table '${table}' is specified more than once.`,
        16,
        3,
      );
    names.add(name.toLowerCase());
  }
  // https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server
  if (columns.length > MAX_COLUMNS)
    throw new SqlError(
      1702,
      `CREATE TABLE failed because column '${columns[MAX_COLUMNS]!.name}' in table '${table}' exceeds the maximum of ${MAX_COLUMNS} columns.`,
      16,
      1,
    );
  if (columns.filter((column) => column.identity).length > 1)
    throw new SqlError(
      2744,
      `Multiple identity columns specified for table '${table}'. Only one identity column per table is allowed.`,
      16,
      2,
    );
  return columns;
}

/** Constraints of the columns and of the table; a statement's own clustered key goes first. */
export function complete(
  executor: Pick<Executor, "session">,
  table: Table,
  definitions: ColumnDefinition[],
  constraints: TableConstraint[],
): void {
  typeComputed(table, executor.session);
  const all = [
    ...definitions.flatMap(({ name, constraints: own }) => own.map((constraint) => ofColumn(constraint, name))),
    ...constraints,
  ];
  const clusteredFirst = (constraint: TableConstraint) =>
    "clustered" in constraint && constraint.clustered === true ? 0 : 1;
  all.sort((a, b) => clusteredFirst(a) - clusteredFirst(b));
  for (const constraint of all) addConstraint(table, constraint, executor.session);
}

/** A constraint written behind a column is about that column. */
export function ofColumn(constraint: TableConstraint, column: string): TableConstraint {
  if ((constraint.kind === "primary_key" || constraint.kind === "unique") && constraint.columns.length === 0)
    return { ...constraint, columns: [{ name: column, descending: false }] };
  if (constraint.kind === "foreign_key" && constraint.columns.length === 0) return { ...constraint, columns: [column] };
  return constraint;
}
