/** Turns expressions of the syntax tree into closures: names are looked up, types decided and conversions chosen here, once. */
import type { Cond, Expr } from "../../sql/ast.ts";
import { findCollation } from "../collations.ts";
import { globalVariable } from "../functions/globals.ts";
import type { LockMode } from "../locks.ts";
import { aggregateNames } from "../query/aggregates.ts";
import { compileQuery } from "../query/query.ts";
import { windowOnly } from "../query/windows.ts";
import type { Activation } from "../run.ts";
import { PAUSE } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Database } from "../storage.ts";
import type { Table } from "../table.ts";
import type { StandIn } from "../triggers/views.ts";
import { converter } from "../types/conversion.ts";
import { INT, isText, NULL_TYPE, resolveType, unify } from "../types/types.ts";
import { scalarCall } from "../user-functions/calls.ts";
import type { Session } from "../user-session.ts";
import type { SqlType, Value } from "../values.ts";
import { compileMethod, type MethodCall, XML_METHODS } from "../xml/methods.ts";
import { binary, cast, unary } from "./arithmetic.ts";
import { compileCall, compileDateCall } from "./calls.ts";
import { mixCollations } from "./collation-rules.ts";
import type { Compiled, Condition, Frame } from "./compiled.ts";
import { comparison, compileCondition } from "./conditions.ts";
import { columnKey, expressionKey } from "./keys.ts";
import { literalValue } from "./literals.ts";
import { nextValue } from "./next-value.ts";
import type { Scope } from "./scope.ts";

/** Follows a compilation. What is compiled becomes what `expression` gives back. */
export interface CompileObserver {
  expression(expr: Expr, scope: Scope, compiler: Compiler, compile: () => Compiled): Compiled;
  condition<T>(cond: Cond, compiler: Compiler, compile: () => T): T;
}

export class Compiler {
  readonly session: Session;
  readonly activation: Activation;
  /** In which names without a database are looked up. */
  readonly database: Database;
  /** Variables that the statement assigns as it goes: not constant. */
  readonly assigned = new Set<string>();
  /** What the statement locks before it reads: by its tables' hints, and by the isolation level. */
  readonly locks = new Map<Table, LockMode>();
  /** The statement takes a sequence's number for every row of its own. */
  numbersRows = false;
  /** WITH XMLNAMESPACES of the query that is being compiled. */
  namespaces: [prefix: string, uri: string][] = [];
  /** Compiles a column's DEFAULT. */
  forDefault = false;
  observer: CompileObserver | null = null;
  standIn: StandIn | null = null;
  /** OPTION (…), as written. */
  readonly options: string[] = [];
  /** 20 views that refer to each other in a circle, say. */
  readonly nesting: number;

  constructor(session: Session, activation: Activation, database: Database = session.currentDatabase, nesting = 0) {
    this.session = session;
    this.activation = activation;
    this.database = database;
    this.nesting = nesting;
  }

  /** For the definition of a view: its own database, no variables. */
  inside(database: Database): Compiler {
    if (this.nesting >= 32)
      throw new SqlError(
        217,
        "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
        16,
        1,
      );
    return new Compiler(this.session, this.activation, database, this.nesting + 1);
  }

  lock(table: Table, mode: LockMode): void {
    const held = this.locks.get(table);
    if (held === undefined || held === "S" || mode === "X") this.locks.set(table, mode);
  }

  /**
   * Error 229 where the session's user may not. What a view or a procedure refers to is not asked for (its owner is the
   * tables' too). https://learn.microsoft.com/sql/relational-databases/tutorial-ownership-chains-and-context-switching
   */
  require(permission: string, database: Database, object: { objectId: number; schema: string; name: string }): void {
    if (this.nesting > 0 || this.activation.procedure !== undefined || this.session.login.sysadmin) return;
    const principal = this.session.principalIn(database);
    const { objectId, schema, name } = object;
    const securable = { objectId, schema, name, schemaId: database.schemaId(schema) };
    if (database.principals.allows(principal, permission, securable)) return;
    throw new SqlError(
      229,
      `The ${permission} permission was denied on the object '${object.name}', database '${database.name}', schema '${object.schema}'.`,
      14,
      5,
    );
  }

  get collation(): string {
    return this.database.collation;
  }

  expression(expr: Expr, scope: Scope): Compiled {
    return this.observer
      ? this.observer.expression(expr, scope, this, () => this.#expression(expr, scope))
      : this.#expression(expr, scope);
  }

  #expression(expr: Expr, scope: Scope): Compiled {
    const grouped = this.#groupedValue(expr, scope);
    if (grouped) return grouped;
    switch (expr.kind) {
      case "literal":
        return this.#literal(expr);
      case "column":
        return this.#column(expr.parts, scope);
      case "variable":
        return this.#variable(expr.name);
      case "global":
        return globalVariable(expr.name, this);
      case "unary":
        return unary(expr.op, this.expression(expr.operand, scope));
      case "binary":
        return binary(expr.op, this.expression(expr.left, scope), this.expression(expr.right, scope));
      case "collate":
        return this.#collate(this.expression(expr.operand, scope), expr.collation);
      case "call":
        return this.#call(expr, scope);
      case "cast":
        return this.convert(this.expression(expr.operand, scope), resolveType(expr.type, 30), expr.try);
      case "convert": {
        const style = expr.style ? this.expression(expr.style, scope) : undefined;
        return this.convert(this.expression(expr.operand, scope), resolveType(expr.type, 30), expr.try, style);
      }
      case "case":
        return scope.without(11741, () => this.#case(expr, scope));
      case "iif":
        return scope.without(11741, () =>
          choose(
            [{ when: this.condition(expr.test, scope), value: this.expression(expr.then, scope) }],
            this.expression(expr.else, scope),
          ),
        );
      case "subquery":
        return this.#subquery(expr.query, scope);
      case "datecall":
        return compileDateCall(
          expr.name,
          expr.part,
          expr.args.map((arg) => this.expression(arg, scope)),
          this,
        );
      case "at_time_zone":
        return compileCall(
          "at time zone",
          [this.expression(expr.operand, scope), this.expression(expr.zone, scope)],
          this,
        );
      case "method":
        return compileMethod(
          { operand: this.expression(expr.operand, scope), label: `${expr.name}()`, name: expr.name, args: expr.args },
          scope,
          this,
        );
      case "next_value":
        return nextValue(expr, scope, this);
    }
  }

  /** The operand of IS NULL, which may be a node of nodes(). */
  nullTested(expr: Expr, scope: Scope): Compiled {
    return expr.kind === "column" ? this.#column(expr.parts, scope, true) : this.expression(expr, scope);
  }

  condition(cond: Cond, scope: Scope): Condition {
    return this.observed(cond, () => compileCondition(cond, scope, this));
  }

  /** For those that compile a condition themselves. */
  observed<T>(cond: Cond, compile: () => T): T {
    return this.observer ? this.observer.condition(cond, this, compile) : compile();
  }

  // ---------------------------------------------------------------- kinds

  #groupedValue(expr: Expr, scope: Scope): Compiled | undefined {
    const { grouping } = scope;
    if (!grouping || expr.kind === "literal" || expr.kind === "variable") return undefined;
    const key = expressionKey(expr, scope);
    const found = key === undefined ? undefined : grouping.keys.get(key);
    if (!found) return undefined;
    const { slot } = grouping;
    const { index } = found;
    const { column: _, unlessNull: __, ...rest } = found.compiled;
    return { ...rest, constant: false, evaluate: (frame) => frame.rows[slot]![index]! };
  }

  #literal(expr: Expr & { kind: "literal" }): Compiled {
    const { value, type } = literalValue(expr.type, expr.text);
    return {
      type,
      nullable: value === null,
      constant: true,
      literal: value,
      evaluate: () => value,
      ...(isText(type) ? { collation: { name: this.collation, label: "default" as const } } : {}),
      ...(type.id === "int" ? { literalDigits: expr.text.replace(/^[-+]?0*(?=\d)/, "").length } : {}),
    };
  }

  #column(parts: string[], scope: Scope, method = false): Compiled {
    const { scope: found, depth, source, column } = scope.resolve(parts);
    const definition = source.columns[column]!;
    if (definition.xmlNode && !method)
      throw new SqlError(
        493,
        `The column '${definition.name}' that was returned from the nodes() method cannot be used directly. It can only be used with one of the four XML data type methods, exist(), nodes(), query(), and value(), or in IS NULL and IS NOT NULL checks.`,
        16,
        1,
      );
    const { slot } = source;
    const { grouping } = found;
    if (grouping) {
      const grouped = grouping.keys.get(columnKey(slot, column));
      if (!grouped)
        throw new SqlError(
          8120,
          `Column '${[...source.parts.slice(-1), definition.name].join(".")}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.`,
          16,
          1,
        );
      return this.#reference(definition.type, grouped.compiled.nullable, grouping.slot, grouped.index, depth);
    }
    const reference = this.#reference(definition.type, definition.nullable, slot, column, depth);
    return {
      ...reference,
      column: {
        slot,
        column,
        depth,
        name: definition.name,
        ...(definition.identity ? { identity: true } : {}),
        ...(definition.computed ? { computed: true } : {}),
      },
    };
  }

  #reference(type: SqlType, nullable: boolean, slot: number, column: number, depth: number): Compiled {
    const collation = isText(type)
      ? { collation: { name: type.collation ?? this.collation, label: "implicit" as const } }
      : {};
    return { type, nullable, ...collation, evaluate: columnReader(slot, column, depth) };
  }

  #variable(name: string): Compiled {
    const { type } = this.activation.variable(name);
    const key = name.toLowerCase();
    return {
      type,
      nullable: true,
      constant: !this.assigned.has(key),
      evaluate: (frame) => frame.run.activation.variables.get(key)!.value,
      ...(isText(type) ? { collation: { name: this.collation, label: "default" as const } } : {}),
    };
  }

  #collate(operand: Compiled, name: string): Compiled {
    if (!isText(operand.type))
      throw new SqlError(447, `Expression type ${operand.type.id} is invalid for COLLATE clause.`, 16, 0);
    const wanted = name.toLowerCase() === "database_default" ? this.collation : name;
    const found = findCollation(wanted);
    if (!found) throw new SqlError(448, `Invalid collation '${name}'.`, 16, 1);
    const { column: _, unlessNull: __, ...rest } = operand;
    return {
      ...rest,
      type: { ...operand.type, collation: found.name },
      collation: { name: found.name, label: "explicit" },
    };
  }

  #call(expr: Expr & { kind: "call" }, scope: Scope): Compiled {
    const { parts } = expr.name;
    const name = parts[parts.length - 1]!.toLowerCase();
    if (expr.over) {
      if (!scope.window)
        throw new SqlError(4108, "Windowed functions can only appear in the SELECT or ORDER BY clauses.", 15, 1);
      const { index, type, slot } = scope.window(expr);
      return { type, nullable: true, evaluate: (frame) => frame.rows[slot]![index]!, ...this.#label(type) };
    }
    if (parts.length === 1 && windowOnly(name))
      throw new SqlError(10753, `The function '${name}' must have an OVER clause.`, 15, 3);
    if (parts.length === 1 && aggregateNames.has(name)) {
      const { grouping } = scope;
      if (!grouping)
        throw new SqlError(
          147,
          "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.",
          15,
          1,
        );
      const { index, type, nullable } = grouping.aggregate(expr);
      const { slot } = grouping;
      return { type, nullable, evaluate: (frame) => frame.rows[slot]![index]!, ...this.#label(type) };
    }
    if (parts.length > 1 && XML_METHODS.has(parts[parts.length - 1]!) && scope.knows(parts.slice(0, -1)))
      return compileMethod(this.columnMethod(parts, expr.args, scope), scope, this);
    if (parts.length === 1 && (name === "grouping" || name === "grouping_id") && scope.grouping)
      return scope.grouping.grouping(expr);
    const own = scalarCall(parts, expr.args, scope, this);
    if (own) return own;
    const args = expr.args.map((arg) => this.expression(arg, scope));
    return compileCall(expr.name, args, this);
  }

  /** A method of a column: `c.value(…)`, `t.c.nodes(…)`. */
  columnMethod(parts: string[], args: Expr[], scope: Scope): MethodCall {
    const operand = this.#column(parts.slice(0, -1), scope, true);
    const { source, column } = scope.resolve(parts.slice(0, -1));
    const label = `${source.parts[source.parts.length - 1]}.${source.columns[column]!.name}`;
    const name = parts[parts.length - 1]!;
    return { operand, label: `${label}.${name}()`, name, args };
  }

  #label(type: SqlType): { collation?: Compiled["collation"] & object } {
    return isText(type) ? { collation: { name: type.collation ?? this.collation, label: "implicit" } } : {};
  }

  convert(operand: Compiled, type: SqlType, forgiving: boolean, style?: Compiled): Compiled {
    const { dateFormat } = this.session.options;
    const options = { dateFormat, collation: this.collation };
    const label = isText(type)
      ? {
          collation:
            operand.collation && isText(operand.type)
              ? operand.collation
              : { name: this.collation, label: "default" as const },
        }
      : {};
    // A cast to text keeps the collation of the text that it was made from.
    const result: SqlType =
      isText(type) && type.collation === undefined && operand.type.collation !== undefined && isText(operand.type)
        ? { ...type, collation: operand.type.collation }
        : type;
    const make = (chosen: number | undefined) =>
      converter(operand.type, result, chosen === undefined ? options : { ...options, style: chosen });
    const fixed = style === undefined || style.literal !== undefined;
    const chosen = style?.literal;
    const ready = fixed ? make(chosen === undefined || chosen === null ? undefined : Number(chosen)) : undefined;
    const byStyle = new Map<number, ReturnType<typeof make>>();
    const apply = (value: NonNullable<Value>, frame: Frame): Value => {
      if (fixed) return ready ? ready(value) : value;
      const now = style!.evaluate(frame);
      if (now === null) return null;
      const number = Number(now);
      if (!byStyle.has(number)) byStyle.set(number, make(number));
      const convert = byStyle.get(number);
      return convert ? convert(value) : value;
    };
    return {
      type: result,
      nullable: forgiving || operand.nullable,
      constant: operand.constant === true && (style === undefined || style.constant === true),
      ...label,
      evaluate: (frame) => {
        const value = operand.evaluate(frame);
        if (value === null) return null;
        if (!forgiving) return apply(value, frame);
        try {
          return apply(value, frame);
        } catch (error) {
          if (error instanceof SqlError) return null;
          throw error;
        }
      },
    };
  }

  #case(expr: Expr & { kind: "case" }, scope: Scope): Compiled {
    const operand = expr.operand ? this.expression(expr.operand, scope) : undefined;
    const branches = expr.whens.map(({ when, then }) => ({
      when: operand
        ? comparison("=", operand, this.expression(when as Expr, scope))
        : this.condition(when as Cond, scope),
      value: this.expression(then, scope),
    }));
    const otherwise = expr.else ? this.expression(expr.else, scope) : undefined;
    if (
      branches.every(({ value }) => value.type.id === "null") &&
      (otherwise === undefined || otherwise.type.id === "null")
    )
      throw new SqlError(
        8133,
        "At least one of the result expressions in a CASE specification must be an expression other than the NULL constant.",
        16,
        1,
      );
    return choose(branches, otherwise);
  }

  #subquery(query: Parameters<typeof compileQuery>[0], scope: Scope): Compiled {
    const plan = compileQuery(query, scope, this);
    if (plan.columns.length !== 1)
      throw new SqlError(
        116,
        "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
        16,
        1,
      );
    const { type, json } = plan.columns[0]!;
    const once = (frame: Frame): Value => {
      let result: Value = null;
      let count = 0;
      for (const row of plan.open(frame, frame.run)) {
        if (row === PAUSE) continue;
        if (++count > 1)
          throw new SqlError(
            512,
            "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.",
            16,
            1,
          );
        result = row[0]!;
      }
      return result;
    };
    const key = {};
    return {
      type,
      nullable: true,
      ...this.#label(type),
      ...(json ? { json } : {}),
      constant: plan.reach === 0,
      evaluate:
        plan.reach > 0
          ? once
          : (frame) => {
              const { cache } = frame.run;
              if (!cache.has(key)) cache.set(key, once(frame));
              return cache.get(key) as Value;
            },
    };
  }
}

// ---------------------------------------------------------------- shared with conditions and queries

export function columnReader(slot: number, column: number, depth: number): (frame: Frame) => Value {
  const read = (frame: Frame): Value => {
    const row = frame.rows[slot];
    return row ? row[column]! : null;
  };
  if (depth === 0) return read;
  if (depth === 1) return (frame) => read(frame.outer!);
  return (frame) => {
    let at = frame;
    for (let i = 0; i < depth; i++) at = at.outer!;
    return read(at);
  };
}

/** The first branch whose condition holds; all results as one type. */
export function choose(branches: { when: Condition; value: Compiled }[], otherwise: Compiled | undefined): Compiled {
  const results = [...branches.map(({ value }) => value), ...(otherwise ? [otherwise] : [])];
  const type = results.reduce((common, { type: next }) => unify(common, next), NULL_TYPE as SqlType);
  const shown = type.id === "null" ? INT : type;
  const ready = branches.map(({ when, value }) => ({ when, value: cast(value, shown) }));
  const last = otherwise ? cast(otherwise, shown) : undefined;
  const collation = results.map((result) => result.collation).find((label) => label !== undefined);
  return {
    type: collation && isText(shown) ? { ...shown, collation: collation.name } : shown,
    nullable: otherwise === undefined || results.some((result) => result.nullable),
    ...(collation && isText(shown) ? { collation } : {}),
    evaluate: (frame) => {
      for (const { when, value } of ready) if (when(frame) === true) return value.evaluate(frame);
      return last ? last.evaluate(frame) : null;
    },
  };
}

/** Both operands as their common type, with the collation of their comparison. */
export function align(
  left: Compiled,
  right: Compiled,
  operation: string,
): { left: Compiled; right: Compiled; type: SqlType; collation?: string } {
  const type = unify(left.type, right.type);
  if (!isText(type)) return { left: cast(left, type), right: cast(right, type), type };
  const collation = mixCollations(left, right, operation);
  return {
    left: isText(left.type) ? left : cast(left, { ...type, length: -1 }),
    right: isText(right.type) ? right : cast(right, { ...type, length: -1 }),
    type,
    ...(collation ? { collation: collation.name } : {}),
  };
}
