/** DECLARE and SET of variables. */

import type { Expr } from "../../sql/ast.ts";
import { assignOperator, cast } from "../expressions/arithmetic.ts";
import { newFrame } from "../expressions/compiled.ts";
import { Scope } from "../expressions/scope.ts";
import { declaredType, userTypeOf } from "../types/user-types.ts";
import type { SqlType, Value } from "../values.ts";
import type { Kind } from "./changes.ts";
import { findCursor } from "./cursors.ts";
import type { Executor } from "./executor.ts";
import { declareTyped } from "./table-variables.ts";

export function declareVariables(executor: Executor, statement: Kind<"declare">): void {
  const { activation } = executor;
  for (const { name, type, value } of statement.variables) {
    const key = name.toLowerCase();
    const user = userTypeOf(type, executor.session);
    if (user?.table) {
      declareTyped(executor, name, user);
      continue;
    }
    const resolved = declaredType(type, executor.session);
    // A loop passes its DECLARE again and again; only a second one is an error.
    if (activation.declaredBy.get(key) !== statement) activation.declare(name, resolved);
    activation.declaredBy.set(key, statement);
    if (value) activation.variable(name).value = assigned(executor, value, resolved);
  }
}

function assigned(executor: Executor, expr: Expr, type: SqlType): Value {
  const { dateFormat } = executor.session.options;
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
    const value = executor.compiler().expression(statement.value, new Scope(null));
    const apply = assignOperator(statement.op.slice(0, -1) as "+", variable.type, value);
    variable.value = executor.evaluating((run) => apply(variable.value, newFrame(0, null, run)));
  }
  executor.session.rowCount = 1;
  executor.sink.statementDone({});
}
