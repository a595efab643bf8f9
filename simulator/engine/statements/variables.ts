/** DECLARE and SET of variables. */

import type { Expr, Statement } from "../../sql/ast.ts";
import { assignOperator, cast } from "../expressions/arithmetic.ts";
import { newFrame } from "../expressions/compiled.ts";
import { Scope } from "../expressions/scope.ts";
import { declaredType, userTypeOf } from "../types/user-types.ts";
import type { SqlType, Value } from "../values.ts";
import type { Kind } from "./changes.ts";
import { findCursor } from "./cursors.ts";
import type { Executor } from "./executor.ts";
import { beginImplicitly } from "./queries.ts";
import { declaresFirst, declareTable, declareTyped } from "./table-variables.ts";

export function declareVariables(executor: Executor, statement: Kind<"declare">): void {
  for (const variable of statement.variables) {
    declareVariable(executor, variable, statement);
    const { name, value } = variable;
    if (!value) continue;
    const declared = executor.activation.variable(name);
    declared.value = assigned(executor, value, declared.type);
  }
}

function declareVariable(
  executor: Executor,
  { name, type }: Kind<"declare">["variables"][number],
  statement: Statement,
): void {
  const { session, activation } = executor;
  if (!declaresFirst(activation, name, statement)) return;
  const user = userTypeOf(type, session);
  if (user?.table) declareTyped(executor, name, user);
  else activation.declare(name, declaredType(type, session));
}

/**
 * A variable is there from its DECLARE on to the end of the batch or procedure, as it is written: also where the DECLARE stands in a
 * branch that is not taken. https://learn.microsoft.com/sql/t-sql/language-elements/variables-transact-sql
 */
export function passOver(executor: Executor, statements: readonly Statement[]): void {
  for (const statement of statements)
    switch (statement.kind) {
      case "declare":
        for (const variable of statement.variables) declareVariable(executor, variable, statement);
        break;
      case "declare_table":
        declareTable(executor, statement);
        break;
      case "if":
        passOver(executor, statement.else ? [statement.then, statement.else] : [statement.then]);
        break;
      case "while":
        passOver(executor, [statement.body]);
        break;
      case "block":
        passOver(executor, statement.body);
        break;
      case "try":
        passOver(executor, [...statement.body, ...statement.handler]);
        break;
      default:
        break;
    }
}

function assigned(executor: Executor, expr: Expr, type: SqlType): Value {
  const { dateFormat } = executor.session.options;
  beginImplicitly(executor, expr);
  const compiled = cast(executor.compiler().expression(expr, new Scope(null)), type, dateFormat);
  return executor.evaluating((run) => compiled.evaluate(newFrame(0, null, run)));
}

export function assignVariable(executor: Executor, statement: Kind<"set_variable">): void {
  const { cursorVariables } = executor.activation;
  const key = statement.name.toLowerCase();
  if (cursorVariables.has(key) && statement.value.kind === "variable") {
    cursorVariables.set(key, findCursor(executor, { name: statement.value.name, global: false }));
    return;
  }
  const variable = executor.activation.variable(statement.name);
  if (statement.op === "=") variable.value = assigned(executor, statement.value, variable.type);
  else {
    beginImplicitly(executor, statement.value);
    const value = executor.compiler().expression(statement.value, new Scope(null));
    const apply = assignOperator(statement.op.slice(0, -1) as "+", variable.type, value);
    variable.value = executor.evaluating((run) => apply(variable.value, newFrame(0, null, run)));
  }
  executor.session.rowCount = 1;
  executor.sink.statementDone({});
}
