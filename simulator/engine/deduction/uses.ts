/**
 * Where a text uses parameters that nobody declared, as its compilation comes upon them: which expressions have no type because
 * of such a parameter, and what type each of them is to become. These are the first two steps of
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-undeclared-parameters-transact-sql#parameter-selection-algorithm
 */
import type { Cond, Expr, ObjectName } from "../../sql/ast.ts";
import type { Column } from "../database.ts";
import type { Compiled } from "../expressions/compiled.ts";
import type { CompileObserver, Compiler } from "../expressions/compiler.ts";
import type { Scope } from "../expressions/scope.ts";
import { SqlError } from "../session.ts";
import { INT, NULL_TYPE, resolveType } from "../types/types.ts";
import { findFunction } from "../user-functions/calls.ts";
import type { SqlType } from "../values.ts";

/** What an expression with a parameter is to become. */
export interface Target {
  type: SqlType;
  /** A parameter that is the whole expression gets the very type; else the type is chosen among the candidates. */
  simple: boolean;
  /** Both sides of a comparison can be converted; what is assigned is converted itself. */
  compared?: boolean;
  /** The parameter of a procedure or function that it is an argument of. */
  formal?: string;
  alias?: Column["userType"];
}

/** The largest expression around a parameter that has no type without it. */
export interface Use {
  name: string;
  target: Target | null;
  compiler: Compiler;
}

export class ParameterUses implements CompileObserver {
  readonly uses = new Map<Expr, Use>();
  /** What the expressions without undeclared parameters are. */
  readonly known = new Map<Expr, Compiled>();
  readonly #names: ReadonlySet<string>;
  readonly #aliases = new Map<Expr, Column["userType"]>();
  /** Errors that are the text's own, not those of types that are not known yet. */
  readonly #own = new WeakSet<SqlError>();
  #inside = false;

  /** `names`: the undeclared parameters, lower case. */
  constructor(names: ReadonlySet<string>) {
    this.#names = names;
  }

  /** Whether it is one of the undeclared parameters. */
  has(name: string): boolean {
    return this.#names.has(name.toLowerCase());
  }

  expression(expr: Expr, scope: Scope, compiler: Compiler, compile: () => Compiled): Compiled {
    const [name, second] = this.#untyped(expr, compiler);
    if (name === undefined) {
      const compiled = this.#outside(compile);
      this.known.set(expr, compiled);
      if (expr.kind === "column") this.#aliases.set(expr, scope.userTypeOf(expr.parts));
      this.#arguments(expr, compiler);
      return compiled;
    }
    if (second !== undefined) throw this.#refused(twoUntyped(name, second));
    if (!this.#inside && !this.uses.has(expr)) this.uses.set(expr, { name, target: null, compiler });
    if (expr.kind !== "variable") this.#compileParts(compile);
    return {
      type: NULL_TYPE,
      nullable: true,
      evaluate: () => null,
      storedIn: ({ type, userType }) => this.become(expr, { type, simple: true, ...(userType && { alias: userType }) }),
    };
  }

  condition<T>(cond: Cond, compiler: Compiler, compile: () => T): T {
    const compiled = this.#outside(compile);
    this.#operands(cond, compiler);
    return compiled;
  }

  #operands(cond: Cond, compiler: Compiler): void {
    switch (cond.kind) {
      case "compare":
        this.#compare(cond.left, cond.right, compiler, cond.op === "=" || cond.op === "<>");
        break;
      case "is_distinct":
        this.#compare(cond.left, cond.right, compiler, true);
        break;
      case "like":
        this.#compare(cond.operand, cond.pattern, compiler, false);
        break;
      case "between":
        this.#compare(cond.operand, cond.low, compiler, false);
        this.#compare(cond.operand, cond.high, compiler, false);
        break;
      case "in_list":
        for (const item of cond.list) this.#compare(cond.operand, item, compiler, true);
        break;
      case "in_query":
      case "quantified": {
        const { body } = cond.query;
        const item = body.kind === "select" ? body.items[0] : undefined;
        const operand = cond.kind === "in_query" ? cond.operand : cond.left;
        if (item?.kind === "expr") this.#compare(operand, item.expr, compiler, cond.kind === "in_query");
        break;
      }
    }
  }

  /** The first target that an expression is told of counts. */
  become(expr: Expr, target: Target): void {
    const use = this.uses.get(expr);
    if (use && !use.target && target.type.id !== "null") use.target = target;
  }

  /** The arguments of a function or procedure become what its parameters are. */
  passed(args: readonly Expr[], parameters: readonly { type: SqlType; name?: string }[]): void {
    args.forEach((arg, i) => {
      const { type, name } = parameters[i] ?? {};
      if (type) this.become(arg, { type, simple: true, ...(name === undefined ? {} : { formal: name }) });
    });
  }

  // ---------------------------------------------------------------- what has no type

  /** The parameters for lack of whose types an expression has none. */
  #untyped(expr: Expr, compiler: Compiler): string[] {
    const all = (parts: (Expr | undefined)[]) => parts.flatMap((part) => (part ? this.#untyped(part, compiler) : []));
    switch (expr.kind) {
      case "variable":
        return this.has(expr.name) ? [expr.name] : [];
      case "unary":
      case "collate":
        return this.#untyped(expr.operand, compiler);
      case "binary":
        return all([expr.left, expr.right]);
      case "call":
        return parametersOf(expr.name, compiler) ? [] : all(expr.args);
      case "datecall":
        return all(expr.args);
      case "case":
        return all([...expr.whens.map(({ then }) => then), expr.else]);
      case "iif":
        return all([expr.then, expr.else]);
      case "at_time_zone":
        return all([expr.operand, expr.zone]);
      case "method":
        return this.#untyped(expr.operand, compiler);
      default:
        return [];
    }
  }

  /** What stands in an expression that has a type all the same. */
  #arguments(expr: Expr, compiler: Compiler): void {
    switch (expr.kind) {
      case "cast":
      case "convert":
        this.become(expr.operand, { type: resolveType(expr.type, 30), simple: true });
        if (expr.kind === "convert" && expr.style) this.become(expr.style, { type: INT, simple: true });
        break;
      case "call":
        this.passed(expr.args, parametersOf(expr.name, compiler) ?? []);
        break;
      case "case":
        for (const { when } of expr.whens) if (expr.operand) this.#compare(expr.operand, when as Expr, compiler, true);
        break;
    }
  }

  #compare(left: Expr, right: Expr, compiler: Compiler, simple: boolean): void {
    const [a] = this.#untyped(left, compiler);
    const [b] = this.#untyped(right, compiler);
    if (a !== undefined && b !== undefined) throw this.#refused(twoUntyped(a, b));
    const [open, other] = a === undefined ? [right, left] : [left, right];
    const type = this.known.get(other)?.type;
    const alias = this.#aliases.get(other);
    if (type) this.become(open, { type, simple, compared: true, ...(alias && { alias }) });
  }

  // ---------------------------------------------------------------- compiling

  #outside<T>(compile: () => T): T {
    const inside = this.#inside;
    this.#inside = false;
    try {
      return compile();
    } catch (error) {
      if (error instanceof SqlError) this.#own.add(error);
      throw error;
    } finally {
      this.#inside = inside;
    }
  }

  /** That the whole cannot be compiled without the parameter's type says nothing. */
  #compileParts(compile: () => Compiled): void {
    const inside = this.#inside;
    this.#inside = true;
    try {
      compile();
    } catch (error) {
      if (!(error instanceof SqlError) || this.#own.has(error)) throw error;
    } finally {
      this.#inside = inside;
    }
  }

  #refused(error: SqlError): SqlError {
    this.#own.add(error);
    return error;
  }
}

function twoUntyped(first: string, second: string): SqlError {
  return new SqlError(
    11503,
    `The parameter type cannot be deduced because a single expression contains two untyped parameters, '${first}' and '${second}'.`,
    16,
    1,
  );
}

/** Of a scalar function that declares them: those of users and of the catalogue. */
export function parametersOf(
  { parts }: ObjectName,
  compiler: Compiler,
): { type: SqlType; name?: string }[] | undefined {
  const found = parts.length > 1 ? findFunction(parts, compiler) : undefined;
  if (found?.fn.returns.kind === "scalar")
    return found.fn.parameters.map(({ name, type }) => ({ name, type: resolveType(type) }));
  const schema = parts.length === 1 ? "" : parts[parts.length - 2]! || "dbo";
  const name = parts[parts.length - 1]!;
  const { systemObjects } = compiler.session.engine;
  const fn = compiler.database.systemObjects.function(schema, name) ?? systemObjects.function(schema, name);
  return fn?.parameters.map((type) => ({ type }));
}
