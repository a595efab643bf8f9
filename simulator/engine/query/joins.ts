/** Running a FROM clause: nested loops over steps, each of which sets one or more slots of the frame. */
import type { Row } from "../database.ts";
import { type Compiled, type Condition, type Frame, newFrame } from "../expressions/compiled.ts";
import { align } from "../expressions/compiler.ts";
import { blockOf, RowBlock, rowsOf as rowsOfStretch } from "../row-block.ts";
import { PAUSE, type Run } from "../run.ts";
import { SqlError } from "../session.ts";
import { type Entry, type Range, type Table, visible } from "../table.ts";
import { type HashKey, hashKeyOf } from "../types/comparison.ts";
import type { Value } from "../values.ts";
import { type Access, type Conjunct, type Leaf, type Seek, uniqueForAll } from "./access.ts";

export interface Step {
  open(frame: Frame): Iterable<boolean>;
  filters: Condition[];
  /** What it is made of, where rows of it may be joined in blocks; `conjuncts` are those of `filters`. */
  shape?: StepShape;
}

export type StepShape =
  | { kind: "leaf"; leaf: Leaf; access: Access; conjuncts: Conjunct[] }
  | { kind: "outer"; steps: Step[]; conjuncts: Conjunct[] };

export function* runSteps(steps: Step[], at: number, frame: Frame): Generator<boolean> {
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

export function open(leaf: Leaf, access: Access, local: Condition[]): (frame: Frame) => Iterable<boolean> {
  if (access.hash.length > 0 && access.index === undefined) return hashed(leaf, access.hash, local);
  const { index, equal } = access;
  if (
    leaf.table &&
    !leaf.dirty &&
    !leaf.readPast &&
    index &&
    equal.length === index.columns.length &&
    uniqueForAll(index)
  )
    return (frame) => lookUp(leaf, leaf.table!, access, frame);
  if (leaf.table) return (frame) => scan(leaf, leaf.table!, frame, rangeOf(access, frame), false) as Iterable<boolean>;
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

const FOUND: readonly boolean[] = [true];

/** The row with a unique key. Neighbours often ask for the same one, as the changes of a transaction do for its commit time. */
function lookUp(leaf: Leaf, table: Table, access: Access, frame: Frame): Iterable<boolean> {
  const { run } = frame;
  const range = rangeOf(access, frame);
  if (!range) return [];
  if (frame.entries) return scan(leaf, table, frame, range, false) as Iterable<boolean>;
  const asked = range.prefix!;
  let last = run.cache.get(access) as { asked: Value[]; row: Row | null } | undefined;
  if (!last || !asked.every((value, i) => identical(value, last!.asked[i]!))) {
    const [row] = table.rows(run.snapshot, range);
    run.cache.set(access, (last = { asked, row: row ?? null }));
  }
  if (!last.row) return [];
  frame.rows[leaf.slot] = last.row;
  return FOUND;
}

function identical(a: Value, b: Value): boolean {
  return a === b || (Buffer.isBuffer(a) && Buffer.isBuffer(b) && a.equals(b));
}

/** The rows of a leaf in blocks where it has them; null where it has none. */
export function blocksOf(leaf: Leaf, access: Access, frame: Frame): Iterable<boolean | RowBlock> | null {
  if (access.hash.length > 0 || frame.entries) return null;
  if (leaf.table) return leaf.table.hasSeries ? scan(leaf, leaf.table, frame, rangeOf(access, frame), true) : null;
  const pieces = leaf.blocks?.(frame.outer ?? newFrame(0, null, frame.run), frame.run);
  return pieces ? piecesInto(frame, leaf.slot, pieces) : null;
}

function* piecesInto(frame: Frame, slot: number, pieces: Iterable<Row | RowBlock>): Generator<boolean | RowBlock> {
  for (const piece of pieces) {
    if (piece === PAUSE) yield false;
    else if (piece instanceof RowBlock) yield piece;
    else {
      frame.rows[slot] = piece;
      yield true;
    }
  }
}

/** The range of a seek; null where a comparison with NULL lets no row through. */
function rangeOf({ index, equal, from, to, descending }: Access, frame: Frame): Range | null {
  const range: Range = descending ? { descending } : {};
  if (!index) return range;
  range.index = index;
  const prefix: Value[] = [];
  for (const seek of equal) {
    const value = seek.value.evaluate(frame);
    if (value === null && !seek.ofNull) return null;
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

/** `blocks`: of rows that come in stretches. */
function* scan(
  leaf: Leaf,
  table: Table,
  frame: Frame,
  range: Range | null,
  blocks: boolean,
): Generator<boolean | RowBlock> {
  if (!range) return;
  const { slot } = leaf;
  const { run, entries } = frame;
  const snapshot = leaf.dirty ? { ...run.snapshot, dirty: true } : run.snapshot;
  const descending = range.descending === true;
  const next = entries ? table.cursor(range) : table.reader(range, snapshot);
  const { schemaVersion } = table;
  let count = 0;
  for (let found = next(); found; found = next()) {
    if (table.schemaVersion !== schemaVersion) throw changedMeanwhile(table);
    if ("rows" in found) {
      const block = blocks ? blockOf(found, table.columns.length, descending) : null;
      if (block) {
        yield block;
        continue;
      }
      for (const row of rowsOfStretch(found, descending)) {
        if ((++count & 127) === 0 && run.due()) yield false;
        if (table.schemaVersion !== schemaVersion) throw changedMeanwhile(table);
        frame.rows[slot] = row;
        yield true;
      }
      continue;
    }
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
  if (known === ONCE || leaf.kept) return keep(leaf, leaf.rows!(around, run), run);
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
        ? (scan(leaf, leaf.table, inner, {}, false) as Iterable<boolean>)
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
export function outerJoin(optional: Step[], slots: number[], full: Leaf | null): (frame: Frame) => Iterable<boolean> {
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
export function fullJoin(steps: Step[], leaf: Leaf, bound: number[]): Step[] {
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

/** FULL JOIN of sides with any number of sources: the right one's rows are kept and gone through for each of the left one's. */
export function fullJoinOfSides(
  left: { steps: Step[]; slots: number[] },
  right: { steps: Step[]; slots: number[] },
  on: Condition[],
): (frame: Frame) => Iterable<boolean> {
  const put = (frame: Frame, slots: number[], rows: (Row | null)[] | null): void => {
    for (const [i, slot] of slots.entries()) frame.rows[slot] = rows ? rows[i]! : null;
  };
  return function* (frame) {
    const kept: (Row | null)[][] = [];
    for (const token of runSteps(right.steps, 0, frame)) {
      if (token) kept.push(right.slots.map((slot) => frame.rows[slot]!));
      else yield false;
    }
    const matched = new Set<(Row | null)[]>();
    for (const token of runSteps(left.steps, 0, frame)) {
      if (!token) {
        yield false;
        continue;
      }
      let found = false;
      for (const rows of kept) {
        put(frame, right.slots, rows);
        if (!on.every((test) => test(frame) === true)) continue;
        found = true;
        matched.add(rows);
        yield true;
      }
      if (found) continue;
      put(frame, right.slots, null);
      yield true;
    }
    put(frame, left.slots, null);
    for (const rows of kept) {
      if (matched.has(rows)) continue;
      put(frame, right.slots, rows);
      yield true;
    }
  };
}
