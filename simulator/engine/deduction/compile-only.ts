/** Compiles statements for what their parameters are to be; nothing is run. */
import type { Expr, Statement } from "../../sql/ast.ts";
import { unsupported } from "../errors.ts";
import { Scope } from "../expressions/scope.ts";
import { compileQuery } from "../query/query.ts";
import { findProcedure } from "../statements/calls.ts";
import type { Kind } from "../statements/changes.ts";
import { prepareDelete } from "../statements/delete.ts";
import type { Executor } from "../statements/executor.ts";
import { prepareInsert } from "../statements/insert.ts";
import { prepareMerge } from "../statements/merge.ts";
import { prepareUpdate } from "../statements/update.ts";
import { INT, resolveType } from "../types/types.ts";
import { declaredType, userTypeOf } from "../types/user-types.ts";
import { findFunction } from "../user-functions/calls.ts";
import type { SqlType } from "../values.ts";
import type { ParameterUses } from "./uses.ts";

export function compileOnly(executor: Executor, statement: Statement, uses: ParameterUses): void {
  const each = (statements: (Statement | undefined)[]): void => {
    for (const one of statements) if (one) compileOnly(executor, one, uses);
  };
  const value = (expr: Expr | undefined, type?: SqlType): void => {
    if (!expr) return;
    executor.compiler().expression(expr, new Scope(null));
    if (type) uses.become(expr, { type, simple: true });
  };
  switch (statement.kind) {
    case "query":
      compileQuery(statement.query, null, executor.compiler());
      break;
    case "insert":
      if (statement.source.kind === "execute") each([statement.source.statement]);
      else prepareInsert(executor, statement, []);
      break;
    case "update":
      prepareUpdate(executor, statement);
      break;
    case "delete":
      prepareDelete(executor, statement);
      break;
    case "merge":
      prepareMerge(executor, statement);
      break;
    case "declare":
      for (const { name, value: given } of statement.variables)
        if (given) value(given, executor.activation.variable(name).type);
      break;
    case "set_variable":
      // An undeclared one takes the type of what is assigned.
      value(statement.value, uses.has(statement.name) ? undefined : executor.activation.variable(statement.name).type);
      break;
    case "execute":
      compileCall(executor, statement, uses, value);
      break;
    case "if":
      executor.compiler().condition(statement.test, new Scope(null));
      each([statement.then, statement.else]);
      break;
    case "while":
      executor.compiler().condition(statement.test, new Scope(null));
      each([statement.body]);
      break;
    case "block":
      each(statement.body);
      break;
    case "try":
      each([...statement.body, ...statement.handler]);
      break;
    case "return":
      value(statement.value, INT);
      break;
  }
}

function compileCall(
  executor: Executor,
  { name, args }: Kind<"execute">,
  uses: ParameterUses,
  value: (expr: Expr | undefined, type?: SqlType) => void,
): void {
  const given = args.flatMap(({ name: formal, value: expr }, place) =>
    expr === "default" || expr.kind === "column" ? [] : [{ formal: formal?.toLowerCase(), expr, place }],
  );
  for (const { expr } of given) value(expr);
  if ("variable" in name) throw unsupported("sp_describe_undeclared_parameters of EXEC @variable");
  const parameters = parametersOf(executor, name.parts);
  for (const { formal, expr, place } of given) {
    const parameter =
      formal === undefined ? parameters[place] : parameters.find((found) => found.name.toLowerCase() === formal);
    if (parameter?.type) uses.become(expr, { type: parameter.type, simple: true, formal: parameter.name });
  }
}

/** Without a type: tables. */
function parametersOf(executor: Executor, parts: string[]): { name: string; type?: SqlType }[] {
  const { session } = executor;
  const fn = findFunction(parts, executor.compiler());
  if (fn?.fn.returns.kind === "scalar")
    return fn.fn.parameters.map(({ name, type }) => ({ name, type: resolveType(type) }));
  const found = findProcedure(session, parts);
  if (found?.kind === "system") return found.procedure.parameters;
  if (found)
    return found.procedure.parameters.map(({ name, type }) =>
      userTypeOf(type, session, found.database)?.table
        ? { name }
        : { name, type: declaredType(type, session, found.database) },
    );
  throw unsupported(`sp_describe_undeclared_parameters of ${parts.join(".")}`);
}
