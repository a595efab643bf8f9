/**
 * The FROM clause: which rows each source has, how they are found, and how they are joined.
 *
 * Joins run as nested loops, source by source. A source that has an index whose leading columns the conditions fix is sought
 * in it, for each row of those before it; one that is joined by equality without such an index is hashed once. Among inner
 * joins the order is chosen (a source with a seek goes first); outer joins and APPLY stay in their place.
 */
import type { Cond, Expr, TableSource } from "../../sql/ast.ts";
import type { Index, Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { type Compiled, type Condition, type Frame, newFrame } from "../expressions/compiled.ts";
import { align, type Compiler } from "../expressions/compiler.ts";
import { type Comparison, comparison } from "../expressions/conditions.ts";
import { type Scope, type Source, type SourceColumn, sourceColumn } from "../expressions/scope.ts";
import { PAUSE, type Run } from "../run.ts";
import { SqlError } from "../session.ts";
import { type Entry, type Range, type Table, visible } from "../table.ts";
import { type HashKey, hashKeyOf } from "../types/comparison.ts";
import { isBinary, isDecimal, isMoney, isNumber, isTemporal, isText } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";
import { findSource } from "./sources.ts";

/** One source of rows, in its slot. */
export interface Leaf {
  slot: number;
  source: Source;
  /** Rows in storage. */
  table?: Table;
  /** NOLOCK: also what is not committed. */
  dirty?: boolean;
  /** Locked by others: skipped (READPAST). */
  readPast?: boolean;
  /** Any other rows. `frame` is the block's own for a lateral one, the one around it else. */
  rows?(frame: Frame, run: Run): Iterable<Row>;
  /** Its rows depend on those of the sources before it. */
  lateral?: boolean;
  /** Its rows depend on blocks further out: not to be kept for the whole statement. */
  correlated?: boolean;
  orderBy?(columns: { column: number; descending: boolean }[]): boolean;
}

interface Conjunct {
  test: Condition;
  slots: Set<number>;
  /** Refers to blocks around this one. */
  outer: boolean;
  seeks: Seek[];
}

/** `column op value`, where the value can be had before the column's source is read. */
interface Seek {
  slot: number;
  column: number;
  op: Comparison;
  value: Compiled;
  slots: Set<number>;
  /** The value stays the same for the whole statement. */
  fixed: boolean;
  type: SqlType;
  collation: string | undefined;
  /** The column compares in the index as it does in the condition. */
  indexable: boolean;
}

type Item = { kind: "leaf"; leaf: Leaf } | { kind: "outer"; items: Item[]; conjuncts: Conjunct[]; full: boolean };

interface Step {
  open(frame: Frame): Iterable<boolean>;
  filters: Condition[];
}

export interface Order {
  slot: number;
  column: number;
  descending: boolean;
}

export class FromClause {
  readonly leaves: Leaf[] = [];
  readonly #scope: Scope;
  readonly #compiler: Compiler;
  readonly #items: Item[] = [];
  readonly #conjuncts: Conjunct[] = [];
  #steps: Step[] = [];
  #first: Condition[] = [];
  /** Whether the rows come in the order that was asked for. */
  ordered = false;

  constructor(sources: TableSource[], scope: Scope, compiler: Compiler) {
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

  // ---------------------------------------------------------------- sources

  #add(source: TableSource, items: Item[], conjuncts: Conjunct[]): void {
    switch (source.kind) {
      case "join":
        this.#join(source, items, conjuncts);
        return;
      case "apply": {
        this.#add(source.left, items, conjuncts);
        const leaf = this.#leaf(source.right, true);
        if (source.outer) items.push({ kind: "outer", items: [{ kind: "leaf", leaf }], conjuncts: [], full: false });
        else items.push({ kind: "leaf", leaf });
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
    const left: { items: Item[]; conjuncts: Conjunct[] } = { items: [], conjuncts: [] };
    const right: { items: Item[]; conjuncts: Conjunct[] } = { items: [], conjuncts: [] };
    this.#add(source.left, left.items, left.conjuncts);
    this.#add(source.right, right.items, right.conjuncts);
    const [kept, optional] = source.join === "right" ? [right, left] : [left, right];
    items.push(...kept.items);
    conjuncts.push(...kept.conjuncts);
    if (source.on) this.#conditions(source.on, optional.conjuncts);
    const full = source.join === "full";
    if (full && (kept.items.length !== 1 || optional.items.length !== 1 || optional.items[0]!.kind !== "leaf"))
      throw unsupported("FULL JOIN of more than two sources");
    items.push({ kind: "outer", ...optional, full });
  }

  #leaf(source: TableSource, lateral: boolean): Leaf {
    const leaf = findSource(source, this.#scope, this.#compiler, lateral);
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
      into.push(this.#comparison(condition));
      return;
    }
    const { result, slots, outer } = this.#watch(() => this.#compiler.condition(condition, this.#scope));
    into.push({ test: result, slots, outer, seeks: [] });
  }

  #comparison({ op, left, right }: { op: Comparison; left: Expr; right: Expr }): Conjunct {
    const a = this.#watch(() => this.#compiler.expression(left, this.#scope));
    const b = this.#watch(() => this.#compiler.expression(right, this.#scope));
    const test = comparison(op, a.result, b.result);
    const seeks = [seekOf(a, op, b), seekOf(b, MIRROR[op], a)].filter((seek) => seek !== undefined);
    return { test, slots: new Set([...a.slots, ...b.slots]), outer: a.outer || b.outer, seeks };
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
        steps.push({ open: step, filters: take(conjuncts, bound).map((conjunct) => conjunct.test) });
        if (item.full) steps.unshift(...fullJoin(steps.splice(0), item, [...bound]));
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
      });
    }
    return { steps, ordered };
  }

  /** The place of the item to go on with: the best of those before the first that must stay in its place. */
  #next(waiting: Item[], conjuncts: Conjunct[], bound: Set<number>): number {
    let best = 0;
    let bestScore = -1;
    for (const [i, item] of waiting.entries()) {
      if (item.kind === "outer" || item.leaf.lateral) break;
      const score = chooseAccess(item.leaf, conjuncts, bound, null).score;
      if (score > bestScore) {
        best = i;
        bestScore = score;
      }
    }
    return best;
  }
}

interface Watched<T> {
  result: T;
  slots: Set<number>;
  outer: boolean;
}

const MIRROR: Record<Comparison, Comparison> = { "=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

function seekOf(side: Watched<Compiled>, op: Comparison, other: Watched<Compiled>): Seek | undefined {
  const { column } = side.result;
  if (op === "<>" || !column || column.depth !== 0 || other.slots.has(column.slot)) return undefined;
  const { left, right, type, collation } = align(side.result, other.result, "equal to");
  return {
    slot: column.slot,
    column: column.column,
    op,
    value: right,
    slots: other.slots,
    fixed: other.slots.size === 0 && !other.outer && other.result.constant === true,
    type,
    collation,
    indexable: left === side.result ? true : comparable(side.result.type, type),
  };
}

/** Whether values of the common type can be compared with stored ones as they are. */
function comparable(stored: SqlType, common: SqlType): boolean {
  if (isText(stored)) return isText(common);
  if (isDecimal(stored) || isMoney(stored)) return isDecimal(common) || isMoney(common);
  if (isNumber(stored)) return isNumber(common) && !isDecimal(common) && !isMoney(common);
  if (isTemporal(stored)) return isTemporal(common);
  return isBinary(stored) ? isBinary(common) : stored.id === common.id;
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
  return item.kind === "leaf" ? [item.leaf] : item.items.flatMap(leavesOf);
}

interface Access {
  score: number;
  index?: Index | null;
  equal: Seek[];
  from?: Seek;
  to?: Seek;
  hash: Seek[];
  descending: boolean;
  ordered: boolean;
}

function chooseAccess(leaf: Leaf, conjuncts: Conjunct[], bound: Set<number>, order: Order[] | null): Access {
  const seeks = conjuncts
    .flatMap((conjunct) => conjunct.seeks)
    .filter((seek) => seek.slot === leaf.slot && [...seek.slots].every((slot) => bound.has(slot)));
  const hash = leaf.lateral ? [] : seeks.filter((seek) => seek.op === "=" && !seek.fixed);
  let best: Access = { score: hash.length > 0 ? 2 : 0, equal: [], hash, descending: false, ordered: false };
  const { table } = leaf;
  if (!table) {
    if (order && leaf.orderBy && order.every((column) => column.slot === leaf.slot)) best.ordered = leaf.orderBy(order);
    return best;
  }
  const collationOf = (column: number) => table.columns[column]!.type.collation ?? table.database.collation;
  const usable = (seek: Seek) =>
    seek.indexable &&
    (!isText(table.columns[seek.column]!.type) ||
      seek.collation === undefined ||
      seek.collation === collationOf(seek.column));
  for (const index of table.indexes) {
    const equal: Seek[] = [];
    for (const { column } of index.columns) {
      const found = seeks.find((seek) => seek.column === column && seek.op === "=" && usable(seek));
      if (!found) break;
      equal.push(found);
    }
    const next = index.columns[equal.length];
    const bounds = next ? seeks.filter((seek) => seek.column === next.column && seek.op !== "=" && usable(seek)) : [];
    const from = bounds.find((seek) => seek.op === ">" || seek.op === ">=");
    const to = bounds.find((seek) => seek.op === "<" || seek.op === "<=");
    let score = equal.length * 10 + (from || to ? 4 : 0) + (index.clustered ? 1 : 0);
    if (index.unique && equal.length === index.columns.length) score += 100;
    const direction = order ? orderDirection(leaf.slot, index, equal.length, order) : 0;
    if (direction !== 0) score += 3;
    // An index that is neither sought nor in the wanted order is no better than the table itself.
    if (equal.length === 0 && !from && !to && direction === 0) continue;
    if (equal.length === 0 && !from && !to && hash.length > 0) continue;
    if (score <= best.score) continue;
    best = {
      score,
      index,
      equal,
      ...(from ? { from } : {}),
      ...(to ? { to } : {}),
      hash: [],
      descending: direction < 0,
      ordered: direction !== 0,
    };
  }
  return best;
}

/** 1 if the index, its first `fixed` columns given, is in that order, -1 if read backwards, 0 if not. */
function orderDirection(slot: number, index: Index, fixed: number, order: Order[]): number {
  const given = new Set(index.columns.slice(0, fixed).map((column) => column.column));
  let at = fixed;
  let direction = 0;
  for (const wanted of order) {
    if (wanted.slot !== slot) return 0;
    if (given.has(wanted.column)) continue;
    const column = index.columns[at];
    // Behind a whole unique key nothing is left to order.
    if (!column) return index.unique ? direction || 1 : 0;
    if (column.column !== wanted.column) return 0;
    const here = column.descending === wanted.descending ? 1 : -1;
    if (direction !== 0 && direction !== here) return 0;
    direction = here;
    given.add(wanted.column);
    at++;
  }
  return direction || 1;
}

// ---------------------------------------------------------------- running

function* runSteps(steps: Step[], at: number, frame: Frame): Generator<boolean> {
  const { open, filters } = steps[at]!;
  const last = at + 1 === steps.length;
  next: for (const found of open(frame)) {
    if (!found) {
      yield false;
      continue;
    }
    for (let i = 0; i < filters.length; i++) if (filters[i]!(frame) !== true) continue next;
    if (last) yield true;
    else yield* runSteps(steps, at + 1, frame);
  }
}

function open(leaf: Leaf, access: Access, local: Condition[]): (frame: Frame) => Iterable<boolean> {
  if (access.hash.length > 0 && access.index === undefined) return hashed(leaf, access.hash, local);
  if (leaf.table) return (frame) => scan(leaf, leaf.table!, frame, rangeOf(access, frame));
  const { slot } = leaf;
  return function* (frame) {
    let count = 0;
    for (const row of rowsOf(leaf, frame)) {
      if (row === PAUSE || ((++count & 127) === 0 && frame.run.due())) yield false;
      if (row === PAUSE) continue;
      frame.rows[slot] = row;
      yield true;
    }
  };
}

/** The range of a seek; null where a comparison with NULL lets no row through. */
function rangeOf({ index, equal, from, to, descending }: Access, frame: Frame): Range | null {
  const range: Range = descending ? { descending } : {};
  if (!index) return range;
  range.index = index;
  const prefix: Value[] = [];
  for (const seek of equal) {
    const value = seek.value.evaluate(frame);
    if (value === null) return null;
    prefix.push(value);
  }
  range.prefix = prefix;
  if (from) {
    const value = from.value.evaluate(frame);
    if (value === null) return null;
    range.from = { value, inclusive: from.op === ">=" };
  }
  if (to) {
    const value = to.value.evaluate(frame);
    if (value === null) return null;
    range.to = { value, inclusive: to.op === "<=" };
    // NULLs come first in an index, and are not below anything.
    range.from ??= { value: null, inclusive: false };
  }
  return range;
}

function* scan(leaf: Leaf, table: Table, frame: Frame, range: Range | null): Generator<boolean> {
  if (!range) return;
  const { slot } = leaf;
  const { run, entries } = frame;
  const snapshot = leaf.dirty ? { ...run.snapshot, dirty: true } : run.snapshot;
  const next = table.cursor(range);
  const { schemaVersion } = table;
  let count = 0;
  for (let found = next(); found; found = next()) {
    if (table.schemaVersion !== schemaVersion) throw changedMeanwhile(table);
    if ((++count & 127) === 0 && run.due()) yield false;
    const { entry } = found;
    const row = visible(entry, snapshot);
    if (row === null || (found.row !== null && !table.sameKey(range.index!, row, found.row))) continue;
    if (leaf.readPast && entry.owner !== null && entry.owner !== snapshot.transaction) continue;
    frame.rows[slot] = row;
    if (entries) entries[slot] = entry;
    yield true;
  }
}

/** Another session's DDL came while the rows were being read: their columns are not those that were asked for. */
function changedMeanwhile(table: Table): SqlError {
  return new SqlError(
    3961,
    `Snapshot isolation transaction failed in database '${table.database.name}' because the object accessed by the statement has been modified by a DDL statement in another concurrent transaction since the start of this transaction. It is disallowed because the metadata is not versioned. A concurrent update to metadata can lead to inconsistency if mixed with snapshot isolation.`,
    16,
    1,
  );
}

/** Rows of a source that is no table: once a statement, unless they depend on other rows. */
function rowsOf(leaf: Leaf, frame: Frame): Iterable<Row> {
  const { run } = frame;
  if (leaf.lateral) return leaf.rows!(frame, run);
  const around = frame.outer ?? newFrame(0, null, run);
  if (leaf.correlated) return leaf.rows!(around, run);
  const known = run.cache.get(leaf) as Row[] | typeof ONCE | undefined;
  if (Array.isArray(known)) return known;
  if (known === ONCE) return keep(leaf, leaf.rows!(around, run), run);
  // Most are read once only; what is read again is kept from then on.
  run.cache.set(leaf, ONCE);
  return leaf.rows!(around, run);
}

const ONCE: unique symbol = Symbol("read once");

/** Hands the rows on, and keeps them for the next time if they were read to the end. */
function* keep(leaf: Leaf, rows: Iterable<Row>, run: Run): Generator<Row> {
  const kept: Row[] = [];
  for (const row of rows) {
    if (row !== PAUSE) kept.push(row);
    yield row;
  }
  run.cache.set(leaf, kept);
}

interface Hashed {
  row: Row;
  entry: Entry | null;
}

/** Looks rows up by the values that they are joined by; the table is made once a statement. */
function hashed(leaf: Leaf, seeks: Seek[], local: Condition[]): (frame: Frame) => Iterable<boolean> {
  const { slot } = leaf;
  const sides = seeks.map((seek) => ({
    seek,
    keyOf: hashKeyOf(seek.type, seek.collation),
    convert: columnAs(leaf, seek),
  }));
  const cacheKey = {};
  const keyOf = (values: (side: (typeof sides)[number]) => Value): HashKey | undefined => {
    if (sides.length === 1) {
      const value = values(sides[0]!);
      return value === null ? undefined : sides[0]!.keyOf(value);
    }
    let key = "";
    for (const side of sides) {
      const value = values(side);
      if (value === null) return undefined;
      const part = String(side.keyOf(value));
      key += `${part.length}:${part}`;
    }
    return key;
  };
  return function* (frame) {
    const { run, entries } = frame;
    let buckets = leaf.correlated ? undefined : (run.cache.get(cacheKey) as Map<HashKey, Hashed[]> | undefined);
    if (!buckets) {
      buckets = new Map();
      const inner = newFrame(frame.rows.length, frame.outer, run);
      if (entries) inner.entries = [];
      const source = leaf.table
        ? scan(leaf, leaf.table, inner, {})
        : open(leaf, { score: 0, equal: [], hash: [], descending: false, ordered: false }, [])(inner);
      next: for (const found of source) {
        if (!found) {
          yield false;
          continue;
        }
        for (const test of local) if (test(inner) !== true) continue next;
        const key = keyOf(({ convert }) => convert(inner));
        if (key === undefined) continue;
        const item = { row: inner.rows[slot]!, entry: inner.entries?.[slot] ?? null };
        const bucket = buckets.get(key);
        if (bucket) bucket.push(item);
        else buckets.set(key, [item]);
      }
      if (!leaf.correlated) run.cache.set(cacheKey, buckets);
    }
    const key = keyOf(({ seek }) => seek.value.evaluate(frame));
    if (key === undefined) return;
    for (const { row, entry } of buckets.get(key) ?? []) {
      frame.rows[slot] = row;
      if (entries) entries[slot] = entry;
      yield true;
    }
  };
}

function columnAs(leaf: Leaf, seek: Seek): (frame: Frame) => Value {
  const definition = leaf.source.columns[seek.column]!;
  const column: Compiled = {
    type: definition.type,
    nullable: true,
    evaluate: (frame) => frame.rows[leaf.slot]![seek.column]!,
  };
  const { left } = align(column, { type: seek.type, nullable: true, evaluate: () => null }, "equal to");
  return left.evaluate;
}

/** Each combination of the optional sources, or one without them. */
function outerJoin(optional: Step[], slots: number[], full: Leaf | null): (frame: Frame) => Iterable<boolean> {
  return function* (frame) {
    let found = false;
    for (const token of runSteps(optional, 0, frame)) {
      if (token) {
        found = true;
        if (full) matchedRows(frame, full).add(frame.rows[full.slot]!);
      }
      yield token;
    }
    if (found) return;
    for (const slot of slots) {
      frame.rows[slot] = null;
      if (frame.entries) frame.entries[slot] = null;
    }
    yield true;
  };
}

const matched = new WeakMap<Frame, Map<Leaf, Set<Row>>>();

/** Rows of a FULL JOIN's right side that had a match, for this opening of the block. */
function matchedRows(frame: Frame, leaf: Leaf): Set<Row> {
  let leaves = matched.get(frame);
  if (!leaves) matched.set(frame, (leaves = new Map()));
  let rows = leaves.get(leaf);
  if (!rows) leaves.set(leaf, (rows = new Set()));
  return rows;
}

/** After all rows of the left side, those of the right side that had no match. */
function fullJoin(steps: Step[], item: Item & { kind: "outer" }, bound: number[]): Step[] {
  const { leaf } = item.items[0] as { leaf: Leaf };
  const rest = open(leaf, { score: 0, equal: [], hash: [], descending: false, ordered: false }, []);
  const { filters } = steps[steps.length - 1]!;
  const joined = [...steps.slice(0, -1), { ...steps[steps.length - 1]!, filters: [] }];
  return [
    {
      filters,
      open: function* (frame) {
        yield* runSteps(joined, 0, frame);
        const seen = matchedRows(frame, leaf);
        for (const slot of bound) frame.rows[slot] = null;
        for (const token of rest(frame)) if (!token || !seen.has(frame.rows[leaf.slot]!)) yield token;
      },
    },
  ];
}

/** A source of stored rows. */
export function tableLeaf(table: Table, parts: string[], scope: Scope, hidden = false): Leaf {
  const columns: SourceColumn[] = table.columns.map(sourceColumn);
  const source: Source = { slot: scope.slots++, parts, columns, ...(hidden ? { hidden } : {}) };
  scope.add(source);
  return { slot: source.slot, source, table };
}
