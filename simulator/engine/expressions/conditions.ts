/** Conditions as closures over three values: true, false and null for UNKNOWN. */

import type { Cond, Expr, Query } from "../../sql/ast.ts";
import { collationOf } from "../collations.ts";
import type { Row } from "../database.ts";
import { invalidColumn } from "../errors.ts";
import type { Plan } from "../query/plan.ts";
import { compileQuery } from "../query/query.ts";
import { PAUSE } from "../run.ts";
import { SqlError } from "../session.ts";
import { comparerOf, type HashKey, hashKeyOf } from "../types/comparison.ts";
import { isText, isUnicode, unify } from "../types/types.ts";
import type { Value } from "../values.ts";
import { cast } from "./arithmetic.ts";
import { mixCollations } from "./collation-rules.ts";
import type { Compiled, Condition, Frame } from "./compiled.ts";
import { align, type Compiler } from "./compiler.ts";
import { likeMatcher } from "./like.ts";
import type { Scope } from "./scope.ts";

export type Comparison = "=" | "<>" | "<" | "<=" | ">" | ">=";

const OPERATIONS: Record<Comparison, string> = {
  "=": "equal to",
  "<>": "not equal to",
  "<": "less than",
  "<=": "less than or equal to",
  ">": "greater than",
  ">=": "greater than or equal to",
};

const TESTS: Record<Comparison, (order: number) => boolean> = {
  "=": (order) => order === 0,
  "<>": (order) => order !== 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};

export function compileCondition(cond: Cond, scope: Scope, compiler: Compiler): Condition {
  switch (cond.kind) {
    case "and":
      return and(compiler.condition(cond.left, scope), compiler.condition(cond.right, scope));
    case "or":
      return or(compiler.condition(cond.left, scope), compiler.condition(cond.right, scope));
    case "not":
      return not(compiler.condition(cond.operand, scope));
    case "compare":
      return comparison(cond.op, compiler.expression(cond.left, scope), compiler.expression(cond.right, scope));
    case "quantified":
      return quantified(cond, scope, compiler);
    case "is_null": {
      const operand = compiler.nullTested(cond.operand, scope);
      return cond.not ? (frame) => operand.evaluate(frame) !== null : (frame) => operand.evaluate(frame) === null;
    }
    case "is_distinct":
      return distinct(compiler.expression(cond.left, scope), compiler.expression(cond.right, scope), cond.not);
    case "like":
      return like(cond, scope, compiler);
    case "between": {
      const operand = compiler.expression(cond.operand, scope);
      const both = and(
        comparison(">=", operand, compiler.expression(cond.low, scope)),
        comparison("<=", operand, compiler.expression(cond.high, scope)),
      );
      return cond.not ? not(both) : both;
    }
    case "in_list": {
      const found = inList(
        compiler.expression(cond.operand, scope),
        cond.list.map((item) => compiler.expression(item, scope)),
      );
      return cond.not ? not(found) : found;
    }
    case "in_query": {
      const found = inQuery(compiler.expression(cond.operand, scope), cond.query, scope, compiler);
      return cond.not ? not(found) : found;
    }
    case "exists":
      return exists(cond.query, scope, compiler);
    case "updated":
      return updated(cond.column, compiler);
  }
}

export function and(left: Condition, right: Condition): Condition {
  return (frame) => {
    const a = left(frame);
    if (a === false) return false;
    const b = right(frame);
    return b === false ? false : a === null || b === null ? null : true;
  };
}

function or(left: Condition, right: Condition): Condition {
  return (frame) => {
    const a = left(frame);
    if (a === true) return true;
    const b = right(frame);
    return b === true ? true : a === null || b === null ? null : false;
  };
}

function not(operand: Condition): Condition {
  return (frame) => {
    const value = operand(frame);
    return value === null ? null : !value;
  };
}

export function comparison(op: Comparison, a: Compiled, b: Compiled): Condition {
  refuseLarge(a, b, op);
  const { left, right, type, collation } = align(a, b, OPERATIONS[op]);
  const compare = comparerOf(type, collation);
  const test = TESTS[op];
  return (frame) => {
    const x = left.evaluate(frame);
    if (x === null) return null;
    const y = right.evaluate(frame);
    return y === null ? null : test(compare(x, y));
  };
}

function refuseLarge(a: Compiled, b: Compiled, op: Comparison): void {
  for (const [side, other] of [
    [a, b],
    [b, a],
  ] as const)
    if (side.type.id === "text" || side.type.id === "ntext" || side.type.id === "image")
      throw new SqlError(
        402,
        `The data types ${side.type.id} and ${other.type.id} are incompatible in the ${OPERATIONS[op]} operator.`,
        16,
        1,
      );
}

function distinct(a: Compiled, b: Compiled, negated: boolean): Condition {
  const equal = comparison("=", a, b);
  return (frame) => {
    const x = a.evaluate(frame);
    const y = b.evaluate(frame);
    const differ = x === null || y === null ? x !== y : equal(frame) !== true;
    return differ !== negated;
  };
}

function like(cond: Cond & { kind: "like" }, scope: Scope, compiler: Compiler): Condition {
  const asText = (expr: Expr): Compiled => {
    const compiled = compiler.expression(expr, scope);
    return isText(compiled.type) ? compiled : cast(compiled, { id: "nvarchar", length: -1 });
  };
  const operand = asText(cond.operand);
  const pattern = asText(cond.pattern);
  const escaping = cond.escape ? asText(cond.escape) : undefined;
  const label = mixCollations(operand, pattern, "like");
  const collation = collationOf(label?.name ?? compiler.collation);
  const padded = !isUnicode(operand.type) && !isUnicode(pattern.type);
  const matchers = new Map<string, (text: string) => boolean>();
  return (frame) => {
    const text = operand.evaluate(frame);
    if (text === null) return null;
    const wanted = pattern.evaluate(frame);
    if (wanted === null) return null;
    const sign = escaping ? escaping.evaluate(frame) : "";
    if (sign === null) return null;
    if (typeof sign !== "string" || sign.length > 1)
      throw new SqlError(
        506,
        `The invalid escape character "${String(sign)}" was specified in a LIKE predicate.`,
        16,
        1,
      );
    const key = sign + "\0" + (wanted as string);
    let matcher = matchers.get(key);
    if (!matcher) {
      if (matchers.size > 1000) matchers.clear();
      matchers.set(key, (matcher = likeMatcher(wanted as string, sign, collation, padded)));
    }
    return matcher(text as string) !== cond.not;
  };
}

function inList(operand: Compiled, list: Compiled[]): Condition {
  const constants = list.length > 4 && list.every((item) => item.literal !== undefined && item.literal !== null);
  return constants ? inConstants(operand, list) : inExpressions(operand, list);
}

function inExpressions(operand: Compiled, list: Compiled[]): Condition {
  const comparisons = list.map((item) => comparison("=", operand, item));
  return (frame) => {
    let result: boolean | null = false;
    for (const equal of comparisons) {
      const value = equal(frame);
      if (value === true) return true;
      if (value === null) result = null;
    }
    return result;
  };
}

/** A long list of literals is looked up, not gone through. */
function inConstants(operand: Compiled, list: Compiled[]): Condition {
  const type = list.reduce((common, item) => unify(common, item.type), operand.type);
  const converted = isText(type) ? operand : cast(operand, type);
  const keyOf = hashKeyOf(type, operand.collation?.name);
  const items = isText(type) ? list : list.map((item) => cast(item, type));
  let keys: Set<HashKey> | undefined;
  return (frame) => {
    const value = converted.evaluate(frame);
    if (value === null) return null;
    keys ??= new Set(items.map((item) => keyOf(item.evaluate(frame)!)));
    return keys.has(keyOf(value));
  };
}

/** A one-column query that IN and the quantifiers hold a value against: `item` is its value in the row told last. */
function candidates(
  query: Query,
  scope: Scope,
  compiler: Compiler,
): { plan: Plan; item: Compiled; at: (row: Row) => void } {
  const plan = compileQuery(query, scope, compiler);
  if (plan.columns.length !== 1)
    throw new SqlError(
      116,
      "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
      16,
      1,
    );
  const { type } = plan.columns[0]!;
  let current: Value = null;
  return {
    plan,
    item: {
      type,
      nullable: true,
      evaluate: () => current,
      ...(isText(type) ? { collation: { name: type.collation ?? compiler.collation, label: "implicit" } } : {}),
    },
    at: (row) => {
      current = row[0] ?? null;
    },
  };
}

function inQuery(operand: Compiled, query: Query, scope: Scope, compiler: Compiler): Condition {
  const { plan, item, at } = candidates(query, scope, compiler);
  const { left, right, type, collation } = align(operand, item, "equal to");
  const keyOf = hashKeyOf(type, collation);
  const cacheKey = {};
  const collect = (frame: Frame): { keys: Set<HashKey>; hasNull: boolean } => {
    const keys = new Set<HashKey>();
    let hasNull = false;
    for (const row of plan.open(frame, frame.run)) {
      if (row === PAUSE) continue;
      at(row);
      const value = right.evaluate(frame);
      if (value === null) hasNull = true;
      else keys.add(keyOf(value));
    }
    return { keys, hasNull };
  };
  const search = (frame: Frame, value: NonNullable<Value>): boolean | null => {
    let unknown = false;
    for (const row of plan.open(frame, frame.run)) {
      if (row === PAUSE) continue;
      at(row);
      const other = right.evaluate(frame);
      if (other === null) unknown = true;
      else if (keyOf(other) === keyOf(value)) return true;
    }
    return unknown ? null : false;
  };
  return (frame) => {
    const value = left.evaluate(frame);
    if (plan.reach > 0) {
      if (value !== null) return search(frame, value);
      for (const row of plan.open(frame, frame.run)) if (row !== PAUSE) return null;
      return false;
    }
    const { cache } = frame.run;
    let all = cache.get(cacheKey) as ReturnType<typeof collect> | undefined;
    if (!all) cache.set(cacheKey, (all = collect(frame)));
    if (value === null) return all.keys.size === 0 && !all.hasNull ? false : null;
    return all.keys.has(keyOf(value)) ? true : all.hasNull ? null : false;
  };
}

function quantified(cond: Cond & { kind: "quantified" }, scope: Scope, compiler: Compiler): Condition {
  const { plan, item, at } = candidates(cond.query, scope, compiler);
  const operand = compiler.expression(cond.left, scope);
  const test = comparison(cond.op, operand, item);
  const decisive = cond.quantifier === "any";
  return (frame) => {
    let unknown = false;
    for (const row of plan.open(frame, frame.run)) {
      if (row === PAUSE) continue;
      at(row);
      const value = test(frame);
      if (value === decisive) return decisive;
      if (value === null) unknown = true;
    }
    return unknown ? null : !decisive;
  };
}

function exists(query: Query, scope: Scope, compiler: Compiler): Condition {
  const plan = compileQuery(query, scope, compiler, { existence: true });
  const once = (frame: Frame): boolean => {
    for (const row of plan.open(frame, frame.run)) if (row !== PAUSE) return true;
    return false;
  };
  if (plan.reach > 0) return once;
  const key = {};
  return (frame) => {
    const { cache } = frame.run;
    if (!cache.has(key)) cache.set(key, once(frame));
    return cache.get(key) as boolean;
  };
}

/** UPDATE(column). https://learn.microsoft.com/sql/t-sql/functions/update-trigger-functions-transact-sql */
function updated(column: string, { activation }: Compiler): Condition {
  const { firing } = activation;
  if (!firing) throw new SqlError(4104, `The multi-part identifier "UPDATE(${column})" could not be bound.`, 16, 1);
  const place = firing.inserted.columnIndex(column);
  if (place < 0) throw invalidColumn(column);
  return () => firing.updated.has(place);
}
