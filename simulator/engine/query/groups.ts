/** GROUP BY: rows into groups, by hashing the keys; and the aggregates of each. */
import type { Expr, OrderItem, SelectCore } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { columnKey, expressionKey } from "../expressions/keys.ts";
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
  /** The keys of each grouping set; null: all of them, once. */
  readonly #sets: Set<number>[] | null;
  readonly #aggregates: Aggregate[] = [];
  readonly #known = new Map<string, number>();

  /** Compiles the keys; from then on the scope is in its grouped phase. */
  constructor({ groupBy, groupingSets }: SelectCore, scope: Scope, compiler: Compiler) {
    this.#scope = scope;
    this.#compiler = compiler;
    const places = new Map<Expr, number>();
    for (const expr of groupBy) {
      if (expr.kind === "literal")
        throw new SqlError(
          164,
          "Each GROUP BY expression must contain at least one column that is not an outer reference.",
          15,
          1,
        );
      const key = expressionKey(expr, scope);
      const known = key === undefined ? undefined : this.keys.get(key);
      if (known) {
        places.set(expr, known.index);
        continue;
      }
      const plain = compiler.expression(expr, scope);
      // A set that leaves the expression out has NULL in its place.
      const compiled = groupingSets ? { ...plain, nullable: true } : plain;
      const index = this.#keys.push(compiled) - 1;
      places.set(expr, index);
      if (key !== undefined) this.keys.set(key, { index, compiled });
      if (compiled.column?.depth === 0)
        this.keys.set(columnKey(compiled.column.slot, compiled.column.column), { index, compiled });
    }
    this.#sets = groupingSets?.map((set) => new Set(set.map((expr) => places.get(expr)!))) ?? null;
    this.slot = scope.slots++;
    scope.grouping = this;
  }

  static wanted(core: SelectCore, orderBy: OrderItem[]): boolean {
    if (core.groupBy.length > 0 || core.groupingSets || core.having) return true;
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
      return { index: this.#keys.length + 1 + place, type, nullable };
    } finally {
      scope.grouping = this;
    }
  }

  /**
   * GROUPING and GROUPING_ID: a bit for each argument, 1 where the group's set leaves it out. Error 8161.
   * https://learn.microsoft.com/sql/t-sql/functions/grouping-id-transact-sql
   */
  grouping(call: Expr & { kind: "call" }): Compiled {
    const name = call.name.parts[0]!.toUpperCase();
    const places = call.args.map((arg, i) => {
      const key = expressionKey(arg, this.#scope);
      const found = key === undefined ? undefined : this.keys.get(key);
      if (found) return found.index;
      throw new SqlError(
        8161,
        `Argument ${i + 1} of the ${name} function does not match any of the expressions in the GROUP BY clause.`,
        16,
        1,
      );
    });
    if (name === "GROUPING" && places.length !== 1)
      throw new SqlError(174, "The grouping function requires 1 argument(s).", 15, 1);
    const bits = this.#sets?.map((set) => places.reduce((sum, place) => sum * 2 + (set.has(place) ? 0 : 1), 0)) ?? [0];
    const { slot } = this;
    const at = this.#keys.length;
    return {
      type: { id: name === "GROUPING" ? "tinyint" : "int" },
      nullable: false,
      evaluate: (frame) => bits[frame.rows[slot]![at] as number]!,
    };
  }

  /** Sets the frame's group row to each group in turn: its keys, the number of its set, its aggregates. */
  *run(rows: Iterable<boolean>, frame: Frame): Generator<boolean> {
    const keyOf = rowKey(
      this.#keys.map(({ type, collation }) => hashKeyOf(type, collation?.name ?? this.#compiler.collation)),
    );
    const start = () => this.#aggregates.map((each) => each.start());
    const all = new Set(this.#keys.keys());
    const sets = (this.#sets ?? [all]).map((set) => ({
      set,
      groups: new Map<string, { key: Row; accumulators: Accumulator[] }>(),
    }));
    for (const found of rows) {
      if (!found) {
        yield false;
        continue;
      }
      const whole = this.#keys.map((each) => each.evaluate(frame));
      for (const { set, groups } of sets) {
        const key = set.size === whole.length ? whole : whole.map((value, i) => (set.has(i) ? value : null));
        const hash = keyOf(key);
        let group = groups.get(hash);
        if (!group) groups.set(hash, (group = { key, accumulators: start() }));
        for (const accumulator of group.accumulators) accumulator.add(frame);
      }
    }
    for (const [i, { set, groups }] of sets.entries()) {
      // Where nothing is grouped by, there is one group, even of no rows.
      if (groups.size === 0 && set.size === 0)
        groups.set("", { key: this.#keys.map(() => null), accumulators: start() });
      for (const { key, accumulators } of groups.values()) {
        frame.rows[this.slot] = [...key, i, ...accumulators.map((accumulator) => accumulator.result())];
        yield true;
      }
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
