/** How the rows of one source are found: by which index, in which order, or by hashing. */
import type { Index, Row } from "../database.ts";
import type { Compiled, Condition, Frame } from "../expressions/compiled.ts";
import { align } from "../expressions/compiler.ts";
import type { Comparison } from "../expressions/conditions.ts";
import type { Source } from "../expressions/scope.ts";
import type { RowBlock } from "../row-block.ts";
import type { Run } from "../run.ts";
import type { Database, View } from "../storage.ts";
import type { Table } from "../table.ts";
import { isBinary, isDecimal, isMoney, isNumber, isTemporal, isText } from "../types/types.ts";
import type { SqlType } from "../values.ts";
import type { Origin } from "./plan.ts";

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
  /** Its rows are told apart as objects: they are made once for the whole statement. */
  kept?: boolean;
  /** Its rows depend on blocks further out: not to be kept for the whole statement. */
  correlated?: boolean;
  /** As `rows`, in blocks where it has them; null where it has none. */
  blocks?(frame: Frame, run: Run): Iterable<Row | RowBlock> | null;
  orderBy?(columns: { column: number; descending: boolean }[]): boolean;
  /** The tables behind its rows, where a statement is about to change them. */
  origins?: Origin[];
  /** The view that it is. */
  view?: { database: Database; view: View };
}

export interface Conjunct {
  test: Condition;
  /** Where it does no more than compare columns with values that stay the same while the rows of this block are read: all of them. */
  operands?: Compiled[];
  slots: Set<number>;
  /** Refers to blocks around this one. */
  outer: boolean;
  seeks: Seek[];
}

/** `column op value`, where the value can be had before the column's source is read. */
export interface Seek {
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
  /** IS NULL: the value is NULL itself. */
  ofNull?: true;
}

export interface Order {
  slot: number;
  column: number;
  descending: boolean;
}

export interface Watched<T> {
  result: T;
  slots: Set<number>;
  outer: boolean;
}

export const MIRROR: Record<Comparison, Comparison> = {
  "=": "=",
  "<>": "<>",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};

export function seekOf(side: Watched<Compiled>, op: Comparison, other: Watched<Compiled>): Seek | undefined {
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

/** `column IS NULL`, which an index finds as it finds a value. */
export function seekOfNull({ result: { column, type } }: Watched<Compiled>): Seek | undefined {
  if (column?.depth !== 0) return undefined;
  const value: Compiled = { type, nullable: true, constant: true, evaluate: () => null };
  const { slot } = column;
  return {
    slot,
    column: column.column,
    op: "=",
    value,
    slots: new Set(),
    fixed: true,
    type,
    collation: undefined,
    indexable: true,
    ofNull: true,
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

export interface Access {
  score: number;
  index?: Index | null;
  equal: Seek[];
  from?: Seek;
  to?: Seek;
  hash: Seek[];
  descending: boolean;
  ordered: boolean;
}

export function chooseAccess(leaf: Leaf, conjuncts: Conjunct[], bound: Set<number>, order: Order[] | null): Access {
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
    if (!table.followedBySeries(index)) continue;
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
    if (uniqueForAll(index) && equal.length === index.columns.length) score += 100;
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

/** No two rows have the same key. */
export function uniqueForAll(index: Index): boolean {
  return index.unique && !index.filter;
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
    if (!column) return uniqueForAll(index) ? direction || 1 : 0;
    if (column.column !== wanted.column) return 0;
    const here = column.descending === wanted.descending ? 1 : -1;
    if (direction !== 0 && direction !== here) return 0;
    direction = here;
    given.add(wanted.column);
    at++;
  }
  return direction || 1;
}
