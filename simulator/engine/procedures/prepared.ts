/**
 * sp_executesql and prepared statements. https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-executesql-transact-sql
 */

import type { ParameterDefinition, Statement } from "../../sql/ast.ts";
import { parseParameterDeclarations, SqlSyntaxError } from "../../sql/parser.ts";
import { Activation } from "../run.ts";
import { SqlError } from "../session.ts";
import { type Argument, type Caller, inside } from "../statements/calls.ts";
import { Executor } from "../statements/executor.ts";
import { checkParameters, declareParameter, giveBack } from "../statements/parameters.ts";
import type { Prepared } from "../statements/remote-calls.ts";
import { convertValue } from "../types/conversion.ts";
import { isText } from "../types/types.ts";
import { declaredType } from "../types/user-types.ts";
import type { SqlType, Value } from "../values.ts";

const INT: SqlType = { id: "int" };

export function textOf(arg: Argument | undefined, parameter: string, procedure: string): string {
  if (!arg)
    throw new SqlError(
      201,
      `Procedure or function '${procedure}' expects parameter '@${parameter}', which was not supplied.`,
      16,
      4,
    );
  if (arg.value === null) return "";
  if (!isText(arg.type))
    throw new SqlError(214, `Procedure expects parameter '@${parameter}' of type 'ntext/nchar/nvarchar'.`, 16, 2);
  return arg.value as string;
}

function declarations(text: string): ParameterDefinition[] {
  try {
    return parseParameterDeclarations(text);
  } catch (error) {
    if (error instanceof SqlSyntaxError)
      throw new SqlError(error.number, error.message, error.severity, error.state, error.line);
    throw error;
  }
}

export async function executeSql(caller: Caller, args: Argument[]): Promise<number> {
  const text = textOf(args[0], "statement", "sp_executesql");
  const [, second, ...values] = args;
  return runPrepared(
    caller,
    { text, declarations: second ? textOf(second, "parameters", "sp_executesql") : "" },
    values,
  );
}

/** A prepared text ready to run: its parameters hold the values. */
export async function activate(
  caller: Caller,
  { text, declarations: declared }: Prepared,
  values: Argument[],
): Promise<{ activation: Activation; statements: Statement[]; giveBack: () => void }> {
  const { session } = caller;
  const activation = new Activation(caller.activation);
  const parameters = declarations(declared);
  const bound = new Map<ParameterDefinition, Argument>();
  const inner = new Executor(session, activation, caller.sink, caller.signal);
  checkParameters(inner, parameters, session.currentDatabase);
  for (const [i, parameter] of parameters.entries()) {
    const wanted = parameter.name.toLowerCase();
    const arg =
      values.find((given) => given.name?.toLowerCase() === wanted) ??
      (values[i]?.name === undefined ? values[i] : undefined);
    const declared = await declareParameter(inner, parameter, arg, session.currentDatabase);
    if (declared && arg && !arg.default) bound.set(parameter, arg);
    else if (!declared && arg?.default) activation.declare(parameter.name, declaredType(parameter.type, session));
    else if (!declared)
      throw new SqlError(
        8178,
        `The parameterized query '(${declared})${text}' expects the parameter '${parameter.name}', which was not supplied.`.slice(
          0,
          2000,
        ),
        16,
        1,
      );
  }
  for (const { name } of values)
    if (name !== undefined && !parameters.some((parameter) => parameter.name.toLowerCase() === name.toLowerCase()))
      throw new SqlError(8145, `${name} is not a parameter for procedure sp_executesql.`, 16, 2);
  if (values.length > parameters.length)
    throw new SqlError(8144, "Procedure or function sp_executesql has too many arguments specified.", 16, 2);
  const statements = session.engine.batches.parse(text, session.options.quotedIdentifier);
  return { activation, statements, giveBack: () => giveBack(inner, bound) };
}

async function runPrepared(caller: Caller, prepared: Prepared, values: Argument[]): Promise<number> {
  const { activation, statements, giveBack: give } = await activate(caller, prepared, values);
  await inside({ ...caller, activation }, statements, null);
  give();
  return caller.session.lastError;
}

/** @handle OUTPUT, @params, @stmt, @options */
export async function prepare(caller: Caller, args: Argument[]): Promise<number> {
  const [handle, params, statement] = args;
  const text = textOf(statement, "stmt", "sp_prepare");
  caller.session.engine.batches.parse(text, caller.session.options.quotedIdentifier);
  keepPrepared(caller, handle, { declarations: params?.value ? textOf(params, "params", "sp_prepare") : "", text });
  return 0;
}

export function keepPrepared({ session }: Caller, handle: Argument | undefined, prepared: Prepared): void {
  const number = session.nextHandle++;
  session.prepared.set(number, prepared);
  handle?.give?.(number, INT);
}

export function preparedBy({ session }: Caller, handle: Argument | undefined): { number: number; prepared: Prepared } {
  const number = handle ? (convertValue(handle.value, handle.type, INT) as Value) : null;
  const prepared = typeof number === "number" ? session.prepared.get(number) : undefined;
  if (!prepared)
    throw new SqlError(8179, `Could not find prepared statement with handle ${String(number ?? 0)}.`, 16, 1);
  return { number: number as number, prepared };
}

export async function execute(caller: Caller, [handle, ...values]: Argument[]): Promise<number> {
  return runPrepared(caller, preparedBy(caller, handle).prepared, values);
}

/** @handle OUTPUT, @params, @stmt, values: prepares and runs at once. */
export async function prepareAndExecute(
  caller: Caller,
  [handle, params, statement, ...values]: Argument[],
): Promise<number> {
  const text = textOf(statement, "stmt", "sp_prepexec");
  const prepared = { declarations: params?.value ? textOf(params, "params", "sp_prepexec") : "", text };
  keepPrepared(caller, handle, prepared);
  return runPrepared(caller, prepared, values);
}

export async function unprepare(caller: Caller, [handle]: Argument[]): Promise<number> {
  caller.session.prepared.delete(preparedBy(caller, handle).number);
  return 0;
}

export async function resetConnection({ session }: Caller): Promise<number> {
  await session.reset(false);
  return 0;
}
