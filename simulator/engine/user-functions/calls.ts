/** Calls of functions that users made: in expressions, and in FROM. */
import type { Expr, ParameterDefinition } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { cast } from "../expressions/arithmetic.ts";
import { type Compiled, type Frame, newFrame } from "../expressions/compiled.ts";
import { Compiler } from "../expressions/compiler.ts";
import { Scope, type SourceColumn } from "../expressions/scope.ts";
import { compileQuery } from "../query/query.ts";
import { Activation, Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Database, UserFunction } from "../storage.ts";
import { isText, resolveType } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";
import { FunctionBody, tableColumns } from "./body.ts";

export interface FoundFunction {
  fn: UserFunction;
  database: Database;
}

/** A function by its name's parts. One without a schema is looked for in the user's own and in dbo. */
export function findFunction(
  parts: string[],
  compiler: Pick<Compiler, "session" | "database">,
): FoundFunction | undefined {
  const name = parts[parts.length - 1]!;
  const named = parts.length === 3 ? parts[0]! : "";
  const database = named === "" ? compiler.database : compiler.session.engine.database(named);
  if (!database || parts.length > 3) return undefined;
  const written = parts.length > 1 ? parts[parts.length - 2]! : "";
  const schemas = written !== "" ? [written] : [compiler.session.principalIn(database).defaultSchema, "dbo"];
  for (const schema of schemas) {
    const synonym = database.findSynonym(schema, name);
    if (synonym) return findFunction(synonym.target, { session: compiler.session, database });
    const fn = database.findFunction(schema, name);
    if (fn) return { fn, database };
  }
  return undefined;
}

/** A scalar function in an expression; undefined where there is none of that name. */
export function scalarCall(parts: string[], args: Expr[], scope: Scope, compiler: Compiler): Compiled | undefined {
  const found = parts.length > 1 ? findFunction(parts, compiler) : undefined;
  if (found?.fn.returns.kind !== "scalar") return undefined;
  const { fn, database } = found;
  compiler.require("EXECUTE", database, fn);
  const given = bind(found, args, scope, compiler);
  return scalarOf(found, given);
}

/** The function's value for arguments that have its parameters' types. */
export function scalarOf({ fn, database }: FoundFunction, args: Compiled[]): Compiled {
  const returns = fn.returns as UserFunction["returns"] & { kind: "scalar" };
  const type = resolveType(returns.type);
  const body = new FunctionBody(fn, returns.body);
  return {
    type,
    nullable: true,
    ...(isText(type) ? { collation: { name: database.collation, label: "default" as const } } : {}),
    evaluate: (frame) => {
      const values = args.map((arg) => arg.evaluate(frame));
      if (returns.strict && values.includes(null)) return null;
      const activation = activationOf(fn, values, frame.run);
      return body.value(activation, frame.run, database, type);
    },
  };
}

/** A table-valued function in FROM; `open` gives its rows for the arguments that hold in a frame. */
export function tableCall(
  { fn, database }: FoundFunction,
  args: Compiled[],
  compiler: Compiler,
): { columns: SourceColumn[]; open(frame: Frame): Iterable<Row> } {
  const { returns } = fn;
  compiler.require("SELECT", database, fn);
  if (returns.kind === "table") {
    const body = new FunctionBody(fn, returns.body);
    return {
      columns: tableColumns(compiler.session, returns),
      open: (frame) => {
        const values = args.map((arg) => arg.evaluate(frame));
        return body.rows(activationOf(fn, values, frame.run), frame.run, database, returns);
      },
    };
  }
  if (returns.kind === "scalar") throw new SqlError(208, `Invalid object name '${fn.schema}.${fn.name}'.`, 16, 3);
  const types = new Activation(null, fn.name);
  for (const { name, type } of fn.parameters) types.declare(name, resolveType(type));
  const plan = compileQuery(returns.query, null, inlined(compiler, types, database));
  return {
    columns: plan.columns,
    open: (frame) => {
      const values = args.map((arg) => arg.evaluate(frame));
      const activation = activationOf(fn, values, frame.run);
      return plan.open(null, within(frame.run, activation, database));
    },
  };
}

/** Checks an inline function's query when it is made, and gives its columns. */
export function inlineColumns(
  parameters: ParameterDefinition[],
  query: (UserFunction["returns"] & { kind: "inline" })["query"],
  compiler: Compiler,
  database: Database,
): SourceColumn[] {
  const types = new Activation(null, "function");
  for (const { name, type } of parameters) types.declare(name, resolveType(type));
  return compileQuery(query, null, inlined(compiler, types, database)).columns;
}

function inlined(compiler: Compiler, activation: Activation, database: Database): Compiler {
  const { nesting } = compiler.inside(database);
  return new Compiler(compiler.session, activation, database, nesting);
}

/** The same statement's run in an activation of its own. */
export function within(run: Run, activation: Activation, database: Database): Run {
  return new Run(run.session, activation, run.snapshot, run.signal, database, run.now());
}

function activationOf(fn: UserFunction, values: Value[], run: Run): Activation {
  const activation = new Activation(run.activation, fn.name);
  if (activation.nesting > 32)
    throw new SqlError(
      217,
      "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
      16,
      1,
    );
  for (const [i, { name, type }] of fn.parameters.entries()) activation.declare(name, resolveType(type), values[i]!);
  return activation;
}

/** The arguments as the parameters' types. DEFAULT stands for a parameter's default; every parameter wants an argument. */
export function bind({ fn }: FoundFunction, args: Expr[], scope: Scope, compiler: Compiler): Compiled[] {
  const { parameters } = fn;
  const name = `${fn.schema}.${fn.name}`;
  if (args.length < parameters.length)
    throw new SqlError(
      313,
      `An insufficient number of arguments were supplied for the procedure or function ${name}.`,
      16,
      fn.returns.kind === "scalar" ? 2 : 3,
    );
  if (args.length > parameters.length)
    throw new SqlError(8144, `Procedure or function ${name} has too many arguments specified.`, 16, 3);
  return parameters.map((parameter, i) => {
    const type = resolveType(parameter.type);
    const arg = args[i]!;
    if (!isDefault(arg)) return cast(compiler.expression(arg, scope), type);
    return defaultOf(parameter, type, compiler);
  });
}

function isDefault(arg: Expr): boolean {
  return arg.kind === "literal" && arg.type === "null" && arg.text === "DEFAULT";
}

/** A parameter's default; NULL where it has none. */
export function defaultOf(parameter: ParameterDefinition, type: SqlType, compiler: Compiler): Compiled {
  if (!parameter.default) return { type, nullable: true, constant: true, evaluate: () => null };
  return cast(compiler.expression(parameter.default, new Scope(null)), type);
}

/** Runs a scalar function for values: what EXEC @r = dbo.f does. */
export function callScalar(found: FoundFunction, values: Value[], run: Run): Value {
  const args = values.map(
    (value, i): Compiled => ({
      type: resolveType(found.fn.parameters[i]!.type),
      nullable: true,
      evaluate: () => value,
    }),
  );
  return scalarOf(found, args).evaluate(newFrame(0, null, run));
}
