/** GROUP BY: rows into groups, by hashing the keys; and the aggregates of each. */
import type { Expr, OrderItem, SelectCore } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import { type Compiler, columnKey, expressionKey } from "../expressions/compiler.ts";
import type { Grouping, Scope } from "../expressions/scope.ts";
import { SqlError } from "../session.ts";
import { hashKeyOf } from "../types/comparison.ts";
import { type Accumulator, type Aggregate, aggregate, aggregateNames } from "./aggregates.ts";
import { rowKey } from "./ordering.ts";

export class Groups implements Grouping {
  readonly keys = new Map<string, { index: number; compiled: Compiled }>();
  readonly slot: number;
  readonly #scope: Scope;
  readonly #compiler: Compiler;
  readonly #keys: Compiled[] = [];
  readonly #aggregates: Aggregate[] = [];
  readonly #known = new Map<string, number>();

  /** Compiles the keys; from then on the scope is in its grouped phase. */
  constructor(groupBy: Expr[], scope: Scope, compiler: Compiler) {
    this.#scope = scope;
    this.#compiler = compiler;
    for (const expr of groupBy) {
      if (expr.kind === "literal")
        throw new SqlError(
          164,
          "Each GROUP BY expression must contain at least one column that is not an outer reference.",
          15,
          1,
        );
      const compiled = compiler.expression(expr, scope);
      const index = this.#keys.push(compiled) - 1;
      const key = expressionKey(expr, scope);
      if (key !== undefined) this.keys.set(key, { index, compiled });
      if (compiled.column?.depth === 0)
        this.keys.set(columnKey(compiled.column.slot, compiled.column.column), { index, compiled });
    }
    this.slot = scope.slots++;
    scope.grouping = this;
  }

  static wanted(core: SelectCore, orderBy: OrderItem[]): boolean {
    if (core.groupBy.length > 0 || core.having) return true;
    const exprs = [
      ...core.items.flatMap((item) => (item.kind === "star" ? [] : [item.expr])),
      ...orderBy.map((item) => item.expr),
    ];
    return exprs.some(containsAggregate);
  }

  aggregate(call: Expr & { kind: "call" }): { index: number; type: Compiled["type"]; nullable: boolean } {
    const scope = this.#scope;
    // Its arguments are of the rows, not of the groups.
    scope.grouping = null;
    try {
      const key = expressionKey(call, scope);
      const known = key === undefined ? undefined : this.#known.get(key);
      let place = known;
      if (place === undefined) {
        const made = aggregate({
          name: call.name.parts[0]!.toLowerCase(),
          star: call.star === true,
          distinct: call.distinct === true,
          args: call.args.map((arg) => this.#compiler.expression(arg, scope)),
          order: (call.withinGroup ?? []).map(({ expr, descending }) => ({
            compiled: this.#compiler.expression(expr, scope),
            descending,
          })),
        });
        place = this.#aggregates.push(made) - 1;
        if (key !== undefined) this.#known.set(key, place);
      }
      const { type, nullable } = this.#aggregates[place]!;
      return { index: this.#keys.length + place, type, nullable };
    } finally {
      scope.grouping = this;
    }
  }

  /** Sets the frame's group row to each group in turn. */
  *run(rows: Iterable<boolean>, frame: Frame): Generator<boolean> {
    const groups = new Map<string, { key: Row; accumulators: Accumulator[] }>();
    const keyOf = rowKey(
      this.#keys.map(({ type, collation }) => hashKeyOf(type, collation?.name ?? this.#compiler.collation)),
    );
    const start = () => this.#aggregates.map((each) => each.start());
    for (const found of rows) {
      if (!found) {
        yield false;
        continue;
      }
      const key = this.#keys.map((each) => each.evaluate(frame));
      const hash = keyOf(key);
      let group = groups.get(hash);
      if (!group) groups.set(hash, (group = { key, accumulators: start() }));
      for (const accumulator of group.accumulators) accumulator.add(frame);
    }
    // Without GROUP BY there is one group, even of no rows.
    if (groups.size === 0 && this.#keys.length === 0) groups.set("", { key: [], accumulators: start() });
    for (const { key, accumulators } of groups.values()) {
      frame.rows[this.slot] = [...key, ...accumulators.map((accumulator) => accumulator.result())];
      yield true;
    }
  }
}

/** Not looking into subqueries: their aggregates are their own. */
function containsAggregate(expr: Expr): boolean {
  let found = false;
  JSON.stringify(expr, (_key, value: unknown) => {
    if (found || value === null || typeof value !== "object") return found ? undefined : value;
    const node = value as Expr | { kind: "exists" | "in_query" | "quantified" };
    if (node.kind === "subquery" || node.kind === "exists" || node.kind === "in_query" || node.kind === "quantified")
      return undefined;
    if (
      node.kind === "call" &&
      !node.over &&
      node.name.parts.length === 1 &&
      aggregateNames.has(node.name.parts[0]!.toLowerCase())
    )
      found = true;
    return value;
  });
  return found;
}
