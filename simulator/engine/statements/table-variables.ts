/**
 * DECLARE @t TABLE (…), variables of table types, and table-valued parameters: tables of the batch or procedure alone, not undone
 * with its transaction.
 */
import type { ColumnDefinition, Statement, TableConstraint } from "../../sql/ast.ts";
import { undeclared } from "../errors.ts";
import type { Activation } from "../run.ts";
import { SqlError } from "../session.ts";
import type { UserType } from "../storage.ts";
import { Table } from "../table.ts";
import type { Session } from "../user-session.ts";
import type { Kind } from "./changes.ts";
import { complete } from "./create-table.ts";
import type { Executor } from "./executor.ts";
import { makeColumn, primaryKeyColumns } from "./new-table.ts";

export function declareTable({ session, activation }: Executor, statement: Kind<"declare_table">): void {
  if (declaresFirst(activation, statement.name, statement)) tableVariable(session, activation, statement);
}

/** A loop passes its DECLARE again and again, and the variable stays as it is; only another DECLARE is an error. */
export function declaresFirst({ declaredBy }: Activation, name: string, statement: Statement): boolean {
  const key = name.toLowerCase();
  if (declaredBy.get(key) === statement) return false;
  declaredBy.set(key, statement);
  return true;
}

export function tableVariable(
  session: Session,
  activation: Activation,
  statement: Pick<Kind<"declare_table">, "name" | "columns" | "constraints">,
): Table {
  return addTableVariable(activation, statement.name, typedTable(session, statement.name, statement));
}

/** A variable of a table type. */
export function declareTyped(executor: Executor, name: string, type: UserType): Table {
  const table = typedTable(executor.session, name, type.table!);
  addTableVariable(executor.activation, name, table);
  tableTypes.set(table, type);
  return table;
}

export function addTableVariable(activation: Activation, name: string, table: Table): Table {
  const key = name.toLowerCase();
  if (activation.variables.has(key) || activation.tableVariables.has(key))
    throw new SqlError(
      134,
      `The variable name '${name}' has already been declared. Variable names must be unique within a query batch or stored procedure.`,
      15,
      2,
    );
  activation.tableVariables.set(key, table);
  return table;
}

const tableTypes = new WeakMap<Table, UserType>();

/** The type that a table variable was declared with; undefined for one that was written out. */
export function typeOfVariable(table: Table): UserType | undefined {
  return tableTypes.get(table);
}

/** An empty table that nobody else sees. */
export function typedTable(
  session: Session,
  name: string,
  { columns, constraints }: { columns: ColumnDefinition[]; constraints: TableConstraint[] },
): Table {
  const keys = primaryKeyColumns(columns, constraints);
  const tempdb = session.engine.database("tempdb")!;
  const table = new Table(tempdb, {
    objectId: -tempdb.allocateObjectId(),
    schema: "dbo",
    name,
    createDate: session.engine.now(),
    columns: columns.map((definition, i) =>
      makeColumn(definition, i + 1, keys.has(definition.name.toLowerCase()), name, session),
    ),
  });
  table.temporary = true;
  complete({ session }, table, columns, constraints);
  return table;
}

/** The table that a statement writes to by a variable's name. */
export function writableVariable({ activation }: Executor, name: string): Table {
  const key = name.toLowerCase();
  const table = activation.tableVariables.get(key);
  if (!table) throw undeclared(name);
  if (activation.readOnlyTables.has(key))
    throw new SqlError(10700, `The table-valued parameter "${name}" is READONLY and cannot be modified.`, 16, 1);
  return table;
}
