/** EXEC: procedures of users, of the system and of the engine itself; and texts. */

import type { ExecArgument, Statement } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import type { EngineContext } from "../engine.ts";
import { newFrame } from "../expressions/compiled.ts";
import { Scope, type SourceColumn } from "../expressions/scope.ts";
import { engineProcedures } from "../procedures/engine-procedures.ts";
import type { SystemProcedure } from "../registry.ts";
import { Activation, Run } from "../run.ts";
import { type ResultColumn, type ResultSink, SqlError, type TableValue } from "../session.ts";
import type { Database, Procedure } from "../storage.ts";
import type { Table } from "../table.ts";
import { convertValue } from "../types/conversion.ts";
import { INT, NULL_TYPE, resolveType } from "../types/types.ts";
import { callScalar, defaultOf, type FoundFunction, findFunction } from "../user-functions/calls.ts";
import type { Session } from "../user-session.ts";
import type { SqlType, Value } from "../values.ts";
import type { Kind } from "./changes.ts";
import { Executor, ScopeAborted } from "./executor.ts";
import { declareParameter, giveBack, tableArgument, typeClash } from "./parameters.ts";

/** An argument as a procedure gets it. */
export interface Argument {
  /** With its @; undefined for a positional one. */
  name: string | undefined;
  type: SqlType;
  value: Value;
  /** Take the parameter's default. */
  default: boolean;
  /** In place of a value. */
  table?: Table | TableValue;
  /** Takes what the parameter holds at the end, where it is an OUTPUT one. */
  give: ((value: Value, type: SqlType) => void) | null;
}

/** What a call runs in. */
export interface Caller {
  session: Session;
  activation: Activation;
  sink: ResultSink;
  signal: AbortSignal;
}

export async function executeProcedure(executor: Executor, statement: Kind<"execute">): Promise<void> {
  const { activation, sink } = executor;
  const args = argumentsOf(executor, statement.args);
  const parts =
    "variable" in statement.name
      ? parseName(String(activation.variable(statement.name.variable).value ?? ""))
      : statement.name.parts;
  const fn = findFunction(parts, executor.compiler());
  if (fn?.fn.returns.kind === "scalar") {
    const value = callFunction(executor, fn, args);
    if (statement.returnVariable !== undefined) {
      const variable = activation.variable(statement.returnVariable);
      variable.value = convertValue(value, resolveType(fn.fn.returns.type), variable.type, { implicit: true });
    }
    return;
  }
  const status = await callProcedure(executor, parts, args);
  if (statement.returnVariable !== undefined) {
    const variable = activation.variable(statement.returnVariable);
    variable.value = convertValue(status, INT, variable.type, { implicit: true });
  }
  sink.returnStatus(status);
}

/** EXEC of a scalar function: parameters with a default need no argument. */
function callFunction(executor: Executor, found: FoundFunction, args: Argument[]): Value {
  const { fn } = found;
  const bound = bind(fn.name, fn.parameters, args);
  return executor.evaluating((run) => {
    const values = fn.parameters.map((parameter) => {
      const arg = bound.get(parameter);
      const type = resolveType(parameter.type);
      if (arg && !arg.default) return argumentValue(arg, type, executor.session);
      if (!parameter.default) throw notSupplied(fn.name, parameter.name);
      return defaultOf(parameter, type, executor.compiler()).evaluate(newFrame(0, null, run));
    });
    return callScalar(found, values, run);
  });
}

function argumentsOf(executor: Executor, written: ExecArgument[]): Argument[] {
  const { activation, session } = executor;
  return written.map(({ name, value, output }): Argument => {
    if (value === "default") return { name, type: INT, value: null, default: true, give: null };
    const table = value.kind === "variable" ? tableArgument(executor, value.name) : undefined;
    if (table) return { name, type: NULL_TYPE, value: null, default: false, table, give: null };
    // A bare word is text: EXEC sp_help Persons.
    const expr =
      value.kind === "column" ? ({ kind: "literal", type: "nstring", text: value.parts.join(".") } as const) : value;
    const compiled = executor.compiler().expression(expr, new Scope(null));
    const given = executor.evaluating((run) => compiled.evaluate(newFrame(0, null, run)));
    const target = output && value.kind === "variable" ? activation.variable(value.name) : null;
    return {
      name,
      type: compiled.type,
      value: given,
      default: false,
      give: target
        ? (result, type) => {
            target.value = convertValue(result, type, target.type, {
              implicit: true,
              dateFormat: session.options.dateFormat,
            });
          }
        : null,
    };
  });
}

/** "[a].b" as its parts. */
export function parseName(text: string): string[] {
  const parts: string[] = [];
  const pattern = /\s*(?:\[((?:[^\]]|\]\])*)\]|"((?:[^"]|"")*)"|([^.[\]"]*))\s*(?:\.|$)/y;
  while (pattern.lastIndex < text.length) {
    const found = pattern.exec(text);
    if (!found) break;
    parts.push(found[1]?.replace(/\]\]/g, "]") ?? found[2]?.replace(/""/g, '"') ?? (found[3] ?? "").trim());
  }
  return parts;
}

/** Resolves to the return status. */
export async function callProcedure(caller: Caller, parts: string[], args: Argument[]): Promise<number> {
  const { session } = caller;
  if (caller.activation.nesting >= 32)
    throw new SqlError(
      217,
      "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
      16,
      1,
    );
  const name = parts[parts.length - 1]!;
  const found = findProcedure(session, parts);
  // Procedures of the system have no statements that could be described.
  if (session.options.formatOnly && found?.kind !== "user" && !RUNS_TEXT.has(name.toLowerCase())) return 0;
  if (found?.kind === "user") return callUserProcedure(caller, found.procedure, found.database, args);
  const own = engineProcedures.get(name.toLowerCase());
  if (own) return own(caller, args);
  if (found) return callSystemProcedure(caller, found.procedure, found.database, args, name);
  throw new SqlError(2812, `Could not find stored procedure '${parts.join(".")}'.`, 16, 62);
}

/** They run what they are given, which SET FMTONLY ON describes. */
const RUNS_TEXT = new Set(["sp_executesql", "sp_prepexec", "sp_execute", "sp_prepare", "sp_unprepare"]);

type FoundProcedure =
  | { kind: "user"; procedure: Procedure; database: Database }
  | { kind: "system"; procedure: SystemProcedure<EngineContext>; database: Database };

export function findProcedure(session: Session, parts: string[]): FoundProcedure | undefined {
  const name = parts[parts.length - 1]!;
  const { engine } = session;
  const temporary = session.temporaryProcedures.get(name.toLowerCase());
  if (temporary) return { kind: "user", procedure: temporary, database: session.currentDatabase };
  const named = parts.length >= 3 ? parts[parts.length - 3]! : "";
  const database = named === "" ? session.currentDatabase : engine.database(named);
  if (!database)
    throw new SqlError(911, `Database '${named}' does not exist. Make sure that the name is entered correctly.`, 16, 1);
  const schema = parts.length > 1 ? parts[parts.length - 2]! : "";
  const schemas =
    schema !== ""
      ? [schema, ...(schema.toLowerCase() === "dbo" ? ["sys"] : [])]
      : [session.principalIn(database).defaultSchema, "dbo", "sys"];
  for (const each of schemas) {
    const synonym = database.findSynonym(each, name);
    if (synonym) return findProcedure(session, inDatabase(synonym.target, database));
    const procedure = database.findProcedure(each, name);
    if (procedure) return { kind: "user", procedure, database };
    const system = database.systemObjects.procedure(each, name) ?? engine.systemObjects.procedure(each, name);
    if (system) return { kind: "system", procedure: system, database };
  }
  return undefined;
}

/** A synonym's target, of two parts or fewer, is in the synonym's own database. */
function inDatabase(parts: string[], database: Database): string[] {
  return parts.length >= 3 ? parts : [database.name, ...(parts.length === 2 ? parts : ["", ...parts])];
}

/** Arguments to parameters: by name or place. `required` says whether a parameter must be given. */
function bind<P extends { name: string }>(procedure: string, parameters: P[], args: Argument[]): Map<P, Argument> {
  const bound = new Map<P, Argument>();
  let named = false;
  for (const [i, arg] of args.entries()) {
    if (arg.name === undefined || arg.name === "") {
      if (named)
        throw new SqlError(
          119,
          `Must pass parameter number ${i + 1} and subsequent parameters as '@name = value'. After the form '@name = value' has been used, all subsequent parameters must be passed in the form '@name = value'.`,
          15,
          1,
        );
      const parameter = parameters[i];
      if (!parameter)
        throw new SqlError(8144, `Procedure or function ${procedure} has too many arguments specified.`, 16, 2);
      bound.set(parameter, arg);
      continue;
    }
    named = true;
    const wanted = arg.name.toLowerCase();
    const parameter = parameters.find((candidate) => candidate.name.toLowerCase() === wanted);
    if (!parameter) throw new SqlError(8145, `${arg.name} is not a parameter for procedure ${procedure}.`, 16, 2);
    if (bound.has(parameter)) throw new SqlError(8143, `Parameter '${arg.name}' was supplied multiple times.`, 16, 1);
    bound.set(parameter, arg);
  }
  return bound;
}

function notSupplied(procedure: string, parameter: string): SqlError {
  return new SqlError(
    201,
    `Procedure or function '${procedure}' expects parameter '${parameter}', which was not supplied.`,
    16,
    4,
  );
}

async function callSystemProcedure(
  caller: Caller,
  procedure: SystemProcedure<EngineContext>,
  database: Database,
  args: Argument[],
  name: string,
): Promise<number> {
  const { session, activation, sink, signal } = caller;
  const bound = bind(name, procedure.parameters, args);
  const values = new Map<string, Value>();
  for (const parameter of procedure.parameters) {
    const arg = bound.get(parameter);
    if (arg?.table) throw typeClash(arg.table, parameter.type.id);
    if (!arg || arg.default) {
      if (parameter.default === undefined) throw notSupplied(name, parameter.name);
      values.set(parameter.name.toLowerCase(), parameter.default);
    } else values.set(parameter.name.toLowerCase(), argumentValue(arg, parameter.type, session));
  }
  const snapshot = session.openSnapshot(session.currentTransaction);
  try {
    const run = new Run(session, new Activation(activation, name), snapshot, signal, database);
    const status = await procedure.run(run, values, sink, signal);
    for (const [parameter, arg] of bound)
      if (parameter.output && arg.give) arg.give(values.get(parameter.name.toLowerCase()) ?? null, parameter.type);
    return status;
  } catch (error) {
    if (error instanceof SqlError) error.procedure ??= name;
    throw error;
  } finally {
    session.closeSnapshot(snapshot);
  }
}

export function argumentValue(arg: Argument, type: SqlType, session: Session): Value {
  const options = { dateFormat: session.options.dateFormat, collation: session.currentDatabase.collation };
  try {
    return convertValue(arg.value, arg.type, type, options);
  } catch (error) {
    if (!(error instanceof SqlError) || error.number !== 245) throw error;
    throw new SqlError(8114, `Error converting data type ${arg.type.id} to ${type.id}.`, 16, 5);
  }
}

async function callUserProcedure(
  caller: Caller,
  procedure: Procedure,
  database: Database,
  args: Argument[],
): Promise<number> {
  const { session, sink, signal } = caller;
  const { name, parameters } = procedure;
  requireExecute(caller, procedure, database);
  const activation = new Activation(caller.activation, name);
  const bound = bind(name, parameters, args);
  const inner = new Executor(session, activation, sink, signal);
  for (const parameter of parameters)
    if (!(await declareParameter(inner, parameter, bound.get(parameter), database)))
      throw notSupplied(name, parameter.name);
  const { transactionCount } = session;
  const status = await inside({ ...caller, activation }, procedure.body, database);
  giveBack(inner, bound);
  if (session.transactionCount !== transactionCount) {
    const previous = transactionCount;
    throw new SqlError(
      266,
      `Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous count = ${previous}, current count = ${session.transactionCount}.`,
      16,
      2,
    );
  }
  return status;
}

function requireExecute({ session, activation }: Caller, procedure: Procedure, database: Database): void {
  if (session.login.sysadmin || activation.procedure !== undefined) return;
  const securable = { ...procedure, schemaId: database.schemaId(procedure.schema) };
  if (database.principals.allows(session.principalIn(database), "EXECUTE", securable)) return;
  throw new SqlError(
    229,
    `The EXECUTE permission was denied on the object '${procedure.name}', database '${database.name}', schema '${procedure.schema}'.`,
    14,
    5,
  );
}

/** Runs statements in an activation of their own; what they SET, USE and #make does not outlast them. */
export async function inside(caller: Caller, statements: Statement[], database: Database | null): Promise<number> {
  const { session, activation, sink, signal } = caller;
  const options = session.options;
  const { currentDatabase, isolation } = session;
  session.options = { ...options };
  if (database) session.currentDatabase = database;
  try {
    const outcome = await new Executor(session, activation, sink, signal).run(statements);
    return outcome?.kind === "return" ? outcome.status : 0;
  } catch (error) {
    if (!(error instanceof ScopeAborted)) throw error;
    return -6;
  } finally {
    session.options = options;
    session.isolation = isolation;
    if (session.currentDatabase !== currentDatabase) {
      const from = session.currentDatabase.name;
      session.currentDatabase = currentDatabase;
      if (!database) sink.environment({ kind: "database", from, to: currentDatabase.name });
    }
    for (const table of activation.temporaryTables)
      if (session.temporaryTables.get(table.name.toLowerCase()) === table)
        session.temporaryTables.delete(table.name.toLowerCase());
  }
}

export async function executeText(executor: Executor, text: Kind<"execute_text">["text"]): Promise<void> {
  const { session } = executor;
  const value = await executor.value(text);
  const source = String(value ?? "");
  const statements = session.engine.batches.parse(source, session.options.quotedIdentifier);
  await inside({ ...executor, activation: new Activation(executor.activation) }, statements, null);
}

/** Runs a statement and keeps its result sets: for INSERT … EXEC. */
export async function captureResults(
  executor: Executor,
  statement: Statement,
): Promise<{ columns: SourceColumn[]; rows: Row[] }[]> {
  const results: { columns: SourceColumn[]; rows: Row[] }[] = [];
  const { sink } = executor;
  const capture: ResultSink = {
    columns(columns: ResultColumn[]) {
      results.push({ columns, rows: [] });
    },
    row(values) {
      results[results.length - 1]!.rows.push([...values]);
    },
    statementDone() {},
    message: (message) => sink.message(message),
    environment: (change) => sink.environment(change),
    output() {},
    returnStatus() {},
  };
  const inner = new Executor(executor.session, executor.activation, capture, executor.signal);
  if (statement.kind === "execute") await executeProcedure(inner, statement);
  else await inner.run([statement]);
  return results;
}
