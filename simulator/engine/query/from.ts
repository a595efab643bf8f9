/**
 * The FROM clause: which rows each source has, how they are found, and how they are joined.
 *
 * Joins run as nested loops, source by source. A source that has an index whose leading columns the conditions fix is sought
 * in it, for each row of those before it; one that is joined by equality without such an index is hashed once. Among inner
 * joins the order is chosen (a source with a seek goes first); outer joins and APPLY stay in their place.
 */
import type { Cond, Expr, TableSource } from "../../sql/ast.ts";
import type { Compiled, Condition, Frame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { type Comparison, comparison } from "../expressions/conditions.ts";
import { mayBeMissing, type Scope, type Source, type SourceColumn, sourceColumn } from "../expressions/scope.ts";
import type { RowBlock } from "../row-block.ts";
import type { Table } from "../table.ts";
import {
  type Conjunct,
  chooseAccess,
  type Leaf,
  MIRROR,
  type Order,
  type Seek,
  seekOf,
  seekOfNull,
  type Watched,
} from "./access.ts";
import { stepBlocks } from "./blocks.ts";
import { fullJoin, fullJoinOfSides, open, outerJoin, runSteps, type Step, type StepShape } from "./joins.ts";
import { findSource } from "./sources.ts";

export type { Leaf, Order } from "./access.ts";

/** Sources that are joined, and what holds of them. */
interface Side {
  items: Item[];
  conjuncts: Conjunct[];
}

type Item =
  | { kind: "leaf"; leaf: Leaf }
  | { kind: "outer"; items: Item[]; conjuncts: Conjunct[]; full: boolean }
  /** A FULL JOIN with more than one source on a side. */
  | { kind: "full"; left: Side; right: Side; on: Conjunct[] };

export class FromClause {
  readonly leaves: Leaf[] = [];
  readonly #scope: Scope;
  readonly #compiler: Compiler;
  readonly #traced: ((name: string) => boolean) | undefined;
  readonly #items: Item[] = [];
  readonly #conjuncts: Conjunct[] = [];
  #steps: Step[] = [];
  #first: Condition[] = [];
  /** Whether the rows come in the order that was asked for. */
  ordered = false;

  /** `traced`: which sources' rows are to be changed, by the name that each is exposed by. */
  constructor(sources: TableSource[], scope: Scope, compiler: Compiler, traced?: (name: string) => boolean) {
    this.#traced = traced;
    this.#scope = scope;
    this.#compiler = compiler;
    for (const source of sources) this.#add(source, this.#items, this.#conjuncts);
  }

  /** Adds a source that is not written in the FROM clause (the target of an UPDATE, say). */
  addLeaf(leaf: Leaf): void {
    this.leaves.push(leaf);
    this.#items.push({ kind: "leaf", leaf });
  }

  /** Adds a source to the right of a LEFT JOIN with all those before it. */
  addOuterLeaf(leaf: Leaf, on: Cond): void {
    this.leaves.push(leaf);
    mayBeMissing(leaf.source);
    const conjuncts: Conjunct[] = [];
    this.#conditions(on, conjuncts);
    this.#items.push({ kind: "outer", items: [{ kind: "leaf", leaf }], conjuncts, full: false });
  }

  where(condition: Cond | undefined): void {
    if (condition) this.#conditions(condition, this.#conjuncts);
  }

  /** Decides how the rows are found. `order`: preferred, where one source can give it. */
  build(order: Order[] | null): void {
    const conjuncts = [...this.#conjuncts];
    this.#first = take(conjuncts, new Set()).map((conjunct) => conjunct.test);
    const { steps, ordered } = this.#plan(this.#items, conjuncts, new Set(), order);
    this.#steps = steps;
    this.ordered = ordered;
  }

  /** Sets the frame's rows to each combination in turn: true for a row, false to let others have their turn. */
  open(frame: Frame): Iterable<boolean> {
    for (const test of this.#first) if (test(frame) !== true) return [];
    if (this.#steps.length === 0) return [true];
    return runSteps(this.#steps, 0, frame);
  }

  /** As `open`, with blocks of rows of the source in `slot`; null where there are none. */
  blocks(frame: Frame): { slot: number; found: Iterable<boolean | RowBlock> } | null {
    const shape = this.#steps[0]?.shape;
    if (shape?.kind !== "leaf" || !this.#first.every((test) => test(frame) === true)) return null;
    const found = stepBlocks(this.#steps, frame);
    return found && { slot: shape.leaf.slot, found };
  }

  // ---------------------------------------------------------------- sources

  #add(source: TableSource, items: Item[], conjuncts: Conjunct[]): void {
    switch (source.kind) {
      case "join":
        this.#join(source, items, conjuncts);
        return;
      case "apply": {
        this.#add(source.left, items, conjuncts);
        const leaf = this.#leaf(source.right, true);
        if (source.outer) {
          mayBeMissing(leaf.source);
          items.push({ kind: "outer", items: [{ kind: "leaf", leaf }], conjuncts: [], full: false });
        } else items.push({ kind: "leaf", leaf });
        return;
      }
      default:
        items.push({ kind: "leaf", leaf: this.#leaf(source, false) });
    }
  }

  #join(source: TableSource & { kind: "join" }, items: Item[], conjuncts: Conjunct[]): void {
    if (source.join === "inner" || source.join === "cross") {
      this.#add(source.left, items, conjuncts);
      this.#add(source.right, items, conjuncts);
      if (source.on) this.#conditions(source.on, conjuncts);
      return;
    }
    // Names are found in the order in which they are written, whichever side is the outer one.
    const left: Side = { items: [], conjuncts: [] };
    const right: Side = { items: [], conjuncts: [] };
    this.#add(source.left, left.items, left.conjuncts);
    this.#add(source.right, right.items, right.conjuncts);
    const [kept, optional] = source.join === "right" ? [right, left] : [left, right];
    const full = source.join === "full";
    for (const leaf of (full ? [...kept.items, ...optional.items] : optional.items).flatMap(leavesOf))
      mayBeMissing(leaf.source);
    if (full && (kept.items.length !== 1 || optional.items.length !== 1 || !keepsRows(optional.items[0]!))) {
      const on: Conjunct[] = [];
      if (source.on) this.#conditions(source.on, on);
      items.push({ kind: "full", left, right, on });
      return;
    }
    if (full) (optional.items[0] as Item & { kind: "leaf" }).leaf.kept = true;
    items.push(...kept.items);
    conjuncts.push(...kept.conjuncts);
    if (source.on) this.#conditions(source.on, optional.conjuncts);
    items.push({ kind: "outer", ...optional, full });
  }

  #leaf(source: TableSource, lateral: boolean): Leaf {
    const traced = this.#traced?.(exposedName(source));
    const leaf = findSource(source, this.#scope, this.#compiler, lateral, traced);
    this.leaves.push(leaf);
    return leaf;
  }

  // ---------------------------------------------------------------- conditions

  #conditions(condition: Cond, into: Conjunct[]): void {
    if (condition.kind === "and") {
      this.#conditions(condition.left, into);
      this.#conditions(condition.right, into);
      return;
    }
    if (condition.kind === "between" && !condition.not) {
      this.#conditions({ kind: "compare", op: ">=", left: condition.operand, right: condition.low }, into);
      this.#conditions({ kind: "compare", op: "<=", left: condition.operand, right: condition.high }, into);
      return;
    }
    if (condition.kind === "compare") {
      into.push(this.#compiler.observed(condition, () => this.#comparison(condition)));
      return;
    }
    const { result, slots, outer } = this.#watch(() => this.#compiler.condition(condition, this.#scope));
    const operands = this.#operands(condition);
    const seeks = this.#nullSeeks(condition);
    into.push({ test: result, slots, outer, seeks, ...(operands ? { operands } : {}) });
  }

  #comparison({ op, left, right }: { op: Comparison; left: Expr; right: Expr }): Conjunct {
    const a = this.#watch(() => this.#compiler.expression(left, this.#scope));
    const b = this.#watch(() => this.#compiler.expression(right, this.#scope));
    const test = comparison(op, a.result, b.result);
    const seeks = [seekOf(a, op, b), seekOf(b, MIRROR[op], a)].filter((seek) => seek !== undefined);
    const operands = [a.result, b.result];
    return {
      test,
      slots: new Set([...a.slots, ...b.slots]),
      outer: a.outer || b.outer,
      seeks,
      ...(operands.every(isPlain) ? { operands } : {}),
    };
  }

  /** Of one source alone: what an outer join leaves out is NULL too, and in no index. */
  #nullSeeks(condition: Cond): Seek[] {
    if (condition.kind !== "is_null" || condition.not || this.leaves.length !== 1) return [];
    const seek = seekOfNull(this.#watch(() => this.#compiler.expression(condition.operand, this.#scope)));
    return seek ? [seek] : [];
  }

  #operands(condition: Cond): Compiled[] | undefined {
    const written =
      condition.kind === "is_null"
        ? [condition.operand]
        : condition.kind === "in_list"
          ? [condition.operand, ...condition.list]
          : null;
    const operands = written?.map((operand) => this.#compiler.expression(operand, this.#scope));
    return operands?.every(isPlain) ? operands : undefined;
  }

  /** Compiles, and notes which sources of this block and whether outer ones are referred to. */
  #watch<T>(compile: () => T): Watched<T> {
    const scope = this.#scope;
    const touched = scope.touched;
    const reach = scope.reach;
    scope.touched = new Set();
    scope.reach = 0;
    const result = compile();
    const watched = { result, slots: scope.touched, outer: scope.reach > 0 };
    for (const slot of watched.slots) touched?.add(slot);
    scope.touched = touched;
    scope.reach = Math.max(reach, scope.reach);
    return watched;
  }

  // ---------------------------------------------------------------- planning

  #plan(
    items: Item[],
    conjuncts: Conjunct[],
    bound: Set<number>,
    order: Order[] | null,
  ): { steps: Step[]; ordered: boolean } {
    const waiting = [...items];
    const steps: Step[] = [];
    let ordered = false;
    // A FULL JOIN makes rows without a left side: nothing may be filtered before it.
    const held = items.some((item) => item.kind === "outer" && item.full) ? conjuncts.splice(0) : [];
    while (waiting.length > 0) {
      const item = waiting.splice(this.#next(waiting, conjuncts, bound), 1)[0]!;
      if (item.kind === "outer") {
        const inner = [...item.conjuncts];
        const slots = new Set<number>();
        for (const leaf of leavesOf(item)) slots.add(leaf.slot);
        const { steps: optional } = this.#plan(item.items, inner, new Set(bound), null);
        for (const slot of slots) bound.add(slot);
        if (item.full) conjuncts.push(...held.splice(0));
        const step = outerJoin(optional, [...slots], item.full ? (item.items[0] as { leaf: Leaf }).leaf : null);
        const behind = take(conjuncts, bound);
        const shape: StepShape | undefined = item.full
          ? undefined
          : { kind: "outer", steps: optional, conjuncts: [...behind, ...inner] };
        steps.push({ open: step, filters: behind.map(({ test }) => test), ...(shape ? { shape } : {}) });
        if (item.full) steps.unshift(...fullJoin(steps.splice(0), (item.items[0] as { leaf: Leaf }).leaf, [...bound]));
        continue;
      }
      if (item.kind === "full") {
        steps.push(this.#fullStep(item, bound));
        steps[steps.length - 1]!.filters = take(conjuncts, bound).map(({ test }) => test);
        continue;
      }
      const { leaf } = item;
      const access = chooseAccess(leaf, conjuncts, bound, steps.length === 0 ? order : null);
      if (access.ordered) ordered = true;
      bound.add(leaf.slot);
      const filters = take(conjuncts, bound);
      const local = filters.filter(({ slots, outer }) => slots.size === 1 && slots.has(leaf.slot) && !outer);
      steps.push({
        open: open(
          leaf,
          access,
          local.map((conjunct) => conjunct.test),
        ),
        filters: filters.map((conjunct) => conjunct.test),
        shape: { kind: "leaf", leaf, access, conjuncts: filters },
      });
    }
    return { steps, ordered };
  }

  #fullStep({ left, right, on }: Item & { kind: "full" }, bound: Set<number>): Step {
    const sides = [left, right].map(({ items, conjuncts }) => ({
      steps: this.#plan(items, [...conjuncts], new Set(bound), null).steps,
      slots: items.flatMap(leavesOf).map(({ slot }) => slot),
    }));
    for (const { slots } of sides) for (const slot of slots) bound.add(slot);
    return {
      open: fullJoinOfSides(
        sides[0]!,
        sides[1]!,
        on.map(({ test }) => test),
      ),
      filters: [],
    };
  }

  /** The place of the item to go on with: the best of those before the first that must stay in its place. */
  #next(waiting: Item[], conjuncts: Conjunct[], bound: Set<number>): number {
    let best = 0;
    let bestScore = -1;
    for (const [i, item] of waiting.entries()) {
      if (item.kind !== "leaf" || item.leaf.lateral) break;
      const score = chooseAccess(item.leaf, conjuncts, bound, null).score;
      if (score > bestScore) {
        best = i;
        bestScore = score;
      }
    }
    return best;
  }
}

/** A column, or the same for all rows. */
function isPlain({ column, constant }: Compiled): boolean {
  return column !== undefined || constant === true;
}

/** An alias, or the last part of a table's name. */
function exposedName(source: TableSource): string {
  if ("alias" in source && source.alias !== undefined) return source.alias;
  return source.kind === "table" ? source.name.parts[source.name.parts.length - 1]! : "";
}

/** Takes out those whose sources are all there. */
function take(conjuncts: Conjunct[], bound: Set<number>): Conjunct[] {
  const ready: Conjunct[] = [];
  for (let i = 0; i < conjuncts.length; ) {
    if ([...conjuncts[i]!.slots].every((slot) => bound.has(slot))) ready.push(...conjuncts.splice(i, 1));
    else i++;
  }
  return ready;
}

function leavesOf(item: Item): Leaf[] {
  if (item.kind === "leaf") return [item.leaf];
  return (item.kind === "full" ? [...item.left.items, ...item.right.items] : item.items).flatMap(leavesOf);
}

/** A source of stored rows. */
export function tableLeaf(table: Table, parts: string[], scope: Scope, hidden = false): Leaf {
  const columns: SourceColumn[] = table.columns.map(sourceColumn);
  const source: Source = { slot: scope.slots++, parts, columns, ...(hidden ? { hidden } : {}) };
  scope.add(source);
  return { slot: source.slot, source, table };
}

/** Whether a source has, or can be given, the same row objects each time it is gone through, by which a FULL JOIN knows them again. */
function keepsRows(item: Item): item is Item & { kind: "leaf" } {
  if (item.kind !== "leaf") return false;
  const { table, correlated, lateral } = item.leaf;
  return table ? !table.hasSeries : !correlated && !lateral;
}
