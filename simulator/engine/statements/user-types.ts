/** CREATE TYPE and DROP TYPE. https://learn.microsoft.com/sql/t-sql/statements/create-type-transact-sql */

import type { ObjectName, ParameterDefinition } from "../../sql/ast.ts";
import type { Column } from "../database.ts";
import { SqlError } from "../session.ts";
import type { Database, UserType } from "../storage.ts";
import type { Transaction } from "../transactions.ts";
import { resolveType } from "../types/types.ts";
import { userTypeOf } from "../types/user-types.ts";
import { inTransaction, type Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { placeOf, requireCreate } from "./new-table.ts";
import { typedTable } from "./table-variables.ts";

export async function createType(executor: Executor, statement: Kind<"create_type">): Promise<void> {
  const { session, sink } = executor;
  const { database, schema, name } = placeOf(executor, statement.name);
  requireCreate(executor, "CREATE TYPE", database);
  if (database.findType(schema, name))
    throw new SqlError(
      219,
      `The type '${schema}.${name}' already exists, or you do not have permission to create it.`,
      16,
      1,
    );
  const common = { userTypeId: database.allocateTypeId(), schema, name, createDate: session.engine.now() };
  const { base, columns, constraints, nullable = true } = statement;
  const type: UserType = base
    ? { ...common, base: resolveType(base), nullable }
    : {
        ...common,
        nullable: false,
        table: {
          objectId: database.allocateObjectId(),
          shape: typedTable(session, name, { columns, constraints }).columns,
          columns,
          constraints,
        },
      };
  await inTransaction(executor, async (transaction) => {
    database.addType(type);
    transaction.onRollback(() => database.removeType(type));
    for (const hook of database.hooks.onDdl)
      hook({ command: `CREATE TYPE ${schema}.${name}`, objectId: 0, session, transaction });
  });
  sink.statementDone({});
}

export function dropType(executor: Executor, { parts }: ObjectName, ifExists: boolean, transaction: Transaction): void {
  const { session } = executor;
  const database = session.currentDatabase;
  const [name, schema] = [...parts].reverse();
  const type = userTypeOf({ name: name!, args: [], ...(schema ? { schema } : {}) }, session);
  if (!type) {
    if (ifExists) return;
    throw new SqlError(
      218,
      `Could not find the type '${parts.join(".")}'. Either it does not exist or you do not have the necessary permission.`,
      16,
      1,
    );
  }
  const user = userOf(executor, database, type);
  if (user !== undefined)
    throw new SqlError(
      3732,
      `Cannot drop type '${parts.join(".")}' because it is being referenced by object '${user}'. There may be other objects that reference this type.`,
      16,
      1,
    );
  database.removeType(type);
  transaction.onRollback(() => database.addType(type));
}

/** A table, a table type or a procedure that is made with the type. */
function userOf({ session }: Executor, database: Database, type: UserType): string | undefined {
  const has = (columns: Column[]) => columns.some(({ userType }) => userType?.userTypeId === type.userTypeId);
  const takes = ({ parameters }: { parameters: ParameterDefinition[] }) =>
    parameters.some((parameter) => userTypeOf(parameter.type, session, database) === type);
  const table = [...database.tables.values()].find(({ columns }) => has(columns));
  const shape = [...database.types.values()].find((other) => other.table && has(other.table.shape));
  const module = [...database.procedures.values(), ...database.functions.values()].find(takes);
  return (table ?? shape ?? module)?.name;
}
