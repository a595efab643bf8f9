/**
 * Runs a function's statements, while an expression is evaluated: so nothing here waits. A function reads tables and writes only
 * its own table variables; other statements are refused when the function is made (`checks.ts`).
 */
import type { Cond, Expr, Statement } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { assignOperator, cast } from "../expressions/arithmetic.ts";
import { newFrame } from "../expressions/compiled.ts";
import { Compiler } from "../expressions/compiler.ts";
import { Scope, type SourceColumn, sourceColumn } from "../expressions/scope.ts";
import type { Plan } from "../query/plan.ts";
import { compileQuery } from "../query/query.ts";
import { Activation, Run } from "../run.ts";
import type { ResultSink } from "../session.ts";
import { Executor } from "../statements/executor.ts";
import { tableVariable } from "../statements/table-variables.ts";
import type { Database, UserFunction } from "../storage.ts";
import { resolveType } from "../types/types.ts";
import type { Session } from "../user-session.ts";
import type { SqlType, Value } from "../values.ts";
import { writeTableVariable } from "./table-writes.ts";

export type TableReturns = UserFunction["returns"] & { kind: "table" };

/** How a statement ended: null goes on with the next. */
type Outcome = null | "break" | "continue" | { value: Value };

/** One call: where its variables are, and the statement that calls. */
interface Call {
  activation: Activation;
  caller: Run;
  database: Database;
  /** What a scalar function returns. */
  type: SqlType | null;
}

export class FunctionBody {
  readonly #statements: Statement[];
  /** By expression; null where the function has table variables, which are others in every call. */
  readonly #compiled: Map<object, unknown> | null;

  constructor(fn: UserFunction, statements: Statement[]) {
    this.#statements = statements;
    this.#compiled = fn.returns.kind === "table" || declaresTable(statements) ? null : new Map();
  }

  /** A scalar function's value. */
  value(activation: Activation, caller: Run, database: Database, type: SqlType): Value {
    const outcome = this.#entered({ activation, caller, database, type });
    return outcome !== null && typeof outcome === "object" ? outcome.value : null;
  }

  /** A multi-statement function's rows. */
  rows(activation: Activation, caller: Run, database: Database, returns: TableReturns): Row[] {
    const call: Call = { activation, caller, database, type: null };
    const table = tableVariable(caller.session, activation, { ...returns, name: returns.variable });
    this.#entered(call);
    return reading(call, (run) => [...table.rows(run.snapshot)]);
  }

  #entered(call: Call): Outcome {
    const { session } = call.caller;
    const { currentDatabase } = session;
    session.currentDatabase = call.database;
    try {
      return this.#list(call, this.#statements);
    } finally {
      session.currentDatabase = currentDatabase;
    }
  }

  #list(call: Call, statements: Statement[]): Outcome {
    for (const statement of statements) {
      const outcome = this.#one(call, statement);
      if (outcome !== null) return outcome;
    }
    return null;
  }

  #one(call: Call, statement: Statement): Outcome {
    const { activation } = call;
    switch (statement.kind) {
      case "block":
        return this.#list(call, statement.body);
      case "if":
        if (this.#holds(call, statement.test)) return this.#one(call, statement.then);
        return statement.else ? this.#one(call, statement.else) : null;
      case "while":
        while (this.#holds(call, statement.test)) {
          const outcome = this.#one(call, statement.body);
          if (outcome === "break") return null;
          if (outcome !== null && outcome !== "continue") return outcome;
        }
        return null;
      case "break":
      case "continue":
        return statement.kind;
      case "return":
        return { value: statement.value && call.type ? this.#value(call, statement.value, call.type) : null };
      case "declare":
        for (const { name, type, value } of statement.variables) {
          const resolved = resolveType(type);
          if (!activation.variables.has(name.toLowerCase())) activation.declare(name, resolved);
          if (value) activation.variable(name).value = this.#value(call, value, resolved);
        }
        return null;
      case "declare_table":
        if (!activation.tableVariables.has(statement.name.toLowerCase()))
          tableVariable(call.caller.session, activation, statement);
        return null;
      case "set_variable": {
        const variable = activation.variable(statement.name);
        if (statement.op === "=") variable.value = this.#value(call, statement.value, variable.type);
        else {
          const value = this.#expression(call, statement.value);
          const apply = assignOperator(statement.op.slice(0, -1) as "+", variable.type, value);
          variable.value = reading(call, (run) => apply(variable.value, newFrame(0, null, run)));
        }
        return null;
      }
      case "query": {
        const plan = this.#kept<Plan>(statement, () => compileQuery(statement.query, null, compilerOf(call)));
        // Only assignments: what would go to the client is refused when the function is made.
        reading(call, (run) => {
          let rows = 0;
          for (const _ of plan.open(null, run)) rows++;
          return rows;
        });
        return null;
      }
      case "insert":
      case "update":
      case "delete":
        writeTableVariable(new Executor(call.caller.session, activation, NOWHERE, call.caller.signal), statement);
        return null;
      default:
        throw unsupported(`${statement.kind} in a function`);
    }
  }

  #value(call: Call, expr: Expr, type: SqlType): Value {
    const value = cast(this.#expression(call, expr), type);
    return reading(call, (run) => value.evaluate(newFrame(0, null, run)));
  }

  #holds(call: Call, cond: Cond): boolean {
    const test = this.#kept(cond, () => compilerOf(call).condition(cond, new Scope(null)));
    return reading(call, (run) => test(newFrame(0, null, run)) === true);
  }

  #expression(call: Call, expr: Expr): ReturnType<Compiler["expression"]> {
    return this.#kept(expr, () => compilerOf(call).expression(expr, new Scope(null)));
  }

  #kept<T>(of: object, make: () => T): T {
    if (!this.#compiled) return make();
    if (!this.#compiled.has(of)) this.#compiled.set(of, make());
    return this.#compiled.get(of) as T;
  }
}

/** The columns of RETURNS @t TABLE (…). */
export function tableColumns(session: Session, returns: TableReturns): SourceColumn[] {
  const table = tableVariable(session, new Activation(null), { ...returns, name: returns.variable });
  return table.columns.map((column) => {
    const { name, type, nullable } = sourceColumn(column);
    return { name, type, nullable };
  });
}

function declaresTable(statements: Statement[]): boolean {
  return statements.some((statement) => {
    if (statement.kind === "block" || statement.kind === "if" || statement.kind === "while") {
      const inner =
        statement.kind === "block"
          ? statement.body
          : statement.kind === "while"
            ? [statement.body]
            : [statement.then, ...(statement.else ? [statement.else] : [])];
      return declaresTable(inner);
    }
    return statement.kind === "declare_table";
  });
}

function compilerOf({ caller, activation, database }: Call): Compiler {
  return new Compiler(caller.session, activation, database, 1);
}

/** Every statement sees what was there when it began. */
function reading<T>({ caller, activation, database }: Call, work: (run: Run) => T): T {
  const { session } = caller;
  const snapshot = session.openSnapshot(caller.snapshot.transaction);
  try {
    return work(new Run(session, activation, snapshot, caller.signal, database, caller.now()));
  } finally {
    session.closeSnapshot(snapshot);
  }
}

const NOWHERE: ResultSink = {
  columns() {},
  row() {},
  statementDone() {},
  message() {},
  environment() {},
  output() {},
  returnStatus() {},
};
