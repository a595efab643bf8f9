/**
 * The parameters of procedures and of sp_executesql: variables of the activation that their statements run in, with what the
 * caller gave. Tables come by name (a table variable of the caller's) or by value (table-valued parameters of clients).
 * https://learn.microsoft.com/sql/relational-databases/tables/use-table-valued-parameters-database-engine
 */
import type { ParameterDefinition } from "../../sql/ast.ts";
import { cast } from "../expressions/arithmetic.ts";
import { newFrame } from "../expressions/compiled.ts";
import { Scope } from "../expressions/scope.ts";
import { SqlError, type TableValue } from "../session.ts";
import type { Database, UserType } from "../storage.ts";
import { Table } from "../table.ts";
import { declaredType, userTypeOf } from "../types/user-types.ts";
import { insertValues } from "./bulk-load.ts";
import { type Argument, argumentValue } from "./calls.ts";
import type { Executor } from "./executor.ts";
import { addTableVariable, declareTyped, typeOfVariable } from "./table-variables.ts";

/** Error 352 and 346: tables are read-only, and only tables are. */
export function checkParameters(executor: Executor, parameters: ParameterDefinition[], database: Database): void {
  for (const { name, type, readOnly } of parameters) {
    const table = userTypeOf(type, executor.session, database)?.table;
    if (table && !readOnly)
      throw new SqlError(352, `The table-valued parameter "${name}" must be declared with the READONLY option.`, 15, 1);
    if (!table && readOnly)
      throw new SqlError(
        346,
        `The parameter "${name}" can not be declared READONLY since it is not a table-valued parameter.`,
        15,
        1,
      );
    if (!table) declaredType(type, executor.session, database);
  }
}

/** Declares a parameter in the executor's activation. False where nothing was given and it has no default. */
export async function declareParameter(
  executor: Executor,
  parameter: ParameterDefinition,
  arg: Argument | undefined,
  database: Database,
): Promise<boolean> {
  const { session, activation } = executor;
  const user = userTypeOf(parameter.type, session, database);
  if (user?.table) {
    await declareTableParameter(executor, parameter.name, user, arg);
    return true;
  }
  const type = declaredType(parameter.type, session, database);
  if (arg?.table) throw typeClash(arg.table, user?.name ?? type.id);
  if (arg && !arg.default) activation.declare(parameter.name, type, argumentValue(arg, type, session));
  else if (parameter.default) {
    const value = cast(executor.compiler().expression(parameter.default, new Scope(null)), type);
    activation.declare(
      parameter.name,
      type,
      executor.evaluating((run) => value.evaluate(newFrame(0, null, run))),
    );
  } else return false;
  return true;
}

/** One that is not given is an empty table. */
async function declareTableParameter(
  executor: Executor,
  name: string,
  type: UserType,
  arg: Argument | undefined,
): Promise<void> {
  const given = arg?.table;
  if (arg && !arg.default && !given && arg.value !== null) throw typeClash(arg.type.id, type.name);
  executor.activation.readOnlyTables.add(name.toLowerCase());
  if (given instanceof Table) {
    if (typeOfVariable(given)?.userTypeId !== type.userTypeId) throw typeClash(given, type.name);
    addTableVariable(executor.activation, name, given);
    return;
  }
  if (given && given.name !== "" && given.name.toLowerCase() !== type.name.toLowerCase())
    throw typeClash(given, type.name);
  const table = declareTyped(executor, name, type);
  if (given && given.columns.length > 0) await fill(executor, table, given);
}

export function typeClash(value: Table | TableValue | string, wanted: string): SqlError {
  const given =
    typeof value === "string" ? value : value instanceof Table ? (typeOfVariable(value)?.name ?? "table") : value.name;
  return new SqlError(206, `Operand type clash: ${given} is incompatible with ${wanted}`, 16, 2);
}

async function fill(executor: Executor, table: Table, { columns, rows }: TableValue): Promise<void> {
  if (columns.length !== table.columns.length)
    throw new SqlError(
      500,
      `Trying to pass a table-valued parameter with ${columns.length} column(s) where the corresponding user-defined table type requires ${table.columns.length} column(s).`,
      16,
      1,
    );
  const given = columns.flatMap((column, i) => (column.default ? [] : [i]));
  const load = { columns: given.map((i) => ({ name: table.columns[i]!.name, type: columns[i]!.type })), rows };
  await insertValues(executor, table, given, load, { keepNulls: true, unchecked: false, lockTable: false, events: [] });
}

/** A table variable that stands where a value is expected: the argument of a call. */
export function tableArgument({ activation }: Executor, name: string): Table | undefined {
  return activation.tableVariables.get(name.toLowerCase());
}

/** Hands what an OUTPUT parameter holds now to the caller. */
export function giveBack({ activation }: Executor, bound: Iterable<[ParameterDefinition, Argument]>): void {
  for (const [parameter, arg] of bound) {
    if (!parameter.output || !arg.give) continue;
    const { value, type } = activation.variable(parameter.name);
    arg.give(value, type);
  }
}
