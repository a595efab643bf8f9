/**
 * Queries whose rows come in blocks (row-block.ts), because the first source of their FROM clause holds rows of a series.
 *
 * Which queries do is a matter of their structure: columns as they are (or constants, or what belongs to a joined row), conditions
 * that compare columns, joins and TOP behind a source that comes in blocks, ORDER BY in the order in which that is stored,
 * UNION ALL. Whatever else a query has, its rows come one by one, as `Plan.open` gives them, and are the same.
 */
import type { Row } from "../database.ts";
import type { Compiled, Condition, Frame } from "../expressions/compiled.ts";
import { type BlockColumn, RowBlock } from "../row-block.ts";
import { PAUSE } from "../run.ts";
import type { Series } from "../series.ts";
import { firstWhere } from "../series-cursor.ts";
import type { Access, Conjunct } from "./access.ts";
import { blocksOf, runSteps, type Step } from "./joins.ts";

/** The combinations of a FROM clause as `runSteps` gives them, blocks for those of many rows; null where it has none. */
export function stepBlocks(steps: Step[], frame: Frame): Iterable<boolean | RowBlock> | null {
  const first = steps[0]?.shape;
  if (first?.kind !== "leaf") return null;
  const { slot } = first.leaf;
  const rest = steps.slice(1);
  const joined = new Set<number>();
  if (!rest.every((step) => columnsUsed(step, slot, joined))) return null;
  const filters = first.conjuncts.filter((conjunct) => !isSought(conjunct, first.access));
  if (!filters.every(({ operands }) => operands)) return null;
  const pieces = blocksOf(first.leaf, first.access, frame);
  return pieces && combined(pieces, { slot, frame, filters, all: steps[0]!.filters, rest, joined });
}

interface Combination {
  slot: number;
  frame: Frame;
  /** Those that the access does not see to, and all of them. */
  filters: Conjunct[];
  all: Condition[];
  rest: Step[];
  /** The first source's columns that the joins depend on. */
  joined: Set<number>;
}

function* combined(pieces: Iterable<boolean | RowBlock>, combination: Combination): Generator<boolean | RowBlock> {
  const { slot, frame, filters, all, rest, joined } = combination;
  for (const piece of pieces) {
    if (piece === false) yield false;
    else if (piece === true) {
      if (all.every((test) => test(frame) === true)) yield* theRest(rest, frame);
    } else {
      let blocks: Iterable<RowBlock> = [piece];
      for (const filter of filters) blocks = filtered(blocks, filter, slot, frame);
      for (const block of blocks) {
        if (rest.length === 0) yield block;
        else yield* joinedBlock(block, { slot, frame, rest, joined });
        if (frame.run.due()) yield false;
      }
    }
  }
}

function theRest(rest: Step[], frame: Frame): Iterable<boolean> {
  return rest.length === 0 ? [true] : runSteps(rest, 0, frame);
}

// ---------------------------------------------------------------- conditions

/** Whether the index gives no other rows than those that this lets through. */
function isSought(conjunct: Conjunct, { equal, from, to }: Access): boolean {
  return conjunct.seeks.some((seek) => equal.includes(seek) || seek === from || seek === to);
}

function columnsOf({ operands }: Conjunct, slot: number): number[] {
  return operands!.flatMap(({ column }) => (column?.depth === 0 && column.slot === slot ? [column.column] : []));
}

function* filtered(blocks: Iterable<RowBlock>, filter: Conjunct, slot: number, frame: Frame): Generator<RowBlock> {
  const used = columnsOf(filter, slot);
  const holds = (row: Row) => {
    frame.rows[slot] = row;
    return filter.test(frame) === true;
  };
  for (const block of blocks) {
    const { series } = block;
    const columns = used.map((column) => block.columns[column]!).filter((column) => typeof column === "number");
    if (columns.every((column) => !series.own.has(column))) {
      // The same for all rows of a pattern.
      const picked = block.pick((position) => holds(block.rowOf(series.patterns[position]!)));
      if (picked.length > 0) yield picked;
      continue;
    }
    let kept = block.from;
    for (let from = block.from; from < block.to; ) {
      const to = Math.min(block.to, sameUntil(series, columns, from));
      if (!holds(block.rowOf(series.row(from)))) {
        if (kept < from) yield block.between(kept, from);
        kept = to;
      }
      from = to;
    }
    if (kept < block.to) yield block.between(kept, block.to);
  }
}

/** The first row behind `from` in which one of the columns may have another value. */
function sameUntil(series: Series, columns: number[], from: number): number {
  let until = Number.POSITIVE_INFINITY;
  for (const column of columns) until = Math.min(until, series.own.get(column)?.until(from) ?? from + 1);
  return until;
}

// ---------------------------------------------------------------- joins

/** Adds the columns of a slot that a step depends on; false where that cannot be told, or rows come of missing ones. */
function columnsUsed({ shape }: Step, slot: number, into: Set<number>): boolean {
  if (!shape || (shape.kind === "leaf" && shape.leaf.lateral)) return false;
  for (const conjunct of shape.conjuncts) {
    if (!conjunct.slots.has(slot)) continue;
    if (!conjunct.operands) return false;
    for (const column of columnsOf(conjunct, slot)) into.add(column);
  }
  return shape.kind === "leaf" || shape.steps.every((step) => columnsUsed(step, slot, into));
}

/** A block joined with the rest: once for all neighbours that the joins cannot tell apart. */
function* joinedBlock(
  block: RowBlock,
  { slot, frame, rest, joined }: Pick<Combination, "slot" | "frame" | "rest" | "joined">,
): Generator<boolean | RowBlock> {
  const { series } = block;
  const columns = [...joined].map((column) => block.columns[column]!).filter((column) => typeof column === "number");
  for (let from = block.from; from < block.to; ) {
    const to = Math.min(block.to, sameUntil(series, columns, from));
    const part = block.between(from, to);
    from = to;
    const { length } = part;
    if (length === 0) continue;
    const matches: (Row | null)[][] = [];
    if (length > 1) {
      frame.rows[slot] = part.row(0);
      for (const found of runSteps(rest, 0, frame)) {
        if (!found) yield false;
        else if (matches.push([...frame.rows]) > 1) break;
      }
      if (matches.length === 0) continue;
    }
    if (matches.length === 1) {
      frame.rows.splice(0, frame.rows.length, ...matches[0]!);
      yield part;
    } else {
      for (const row of part.rows()) {
        frame.rows[slot] = row;
        yield* runSteps(rest, 0, frame);
      }
    }
    if (frame.run.due()) yield false;
  }
}

// ---------------------------------------------------------------- select lists

/** An output column, and the slots that it depends on; null where it is another in each row. */
export interface BlockOutput {
  value: Compiled;
  slots: Set<number> | null;
}

/** Whether a block of the slot's rows can become one of rows of these columns. */
export function isProjectable(outputs: readonly BlockOutput[], slot: number): boolean {
  return outputs.every(({ value, slots }) => ownColumn(value, slot) !== undefined || (slots && !slots.has(slot)));
}

function ownColumn({ column, unlessNull }: Compiled, slot: number): number | undefined {
  const source = column ?? unlessNull;
  return source?.depth === 0 && source.slot === slot ? source.column : undefined;
}

/** Rows and blocks of a select list, whose FROM clause gives these combinations. */
export function* projected(
  found: Iterable<boolean | RowBlock>,
  outputs: readonly BlockOutput[],
  slot: number,
  frame: Frame,
): Generator<Row | RowBlock> {
  const project = () => outputs.map(({ value }) => value.evaluate(frame));
  for (const piece of found) {
    if (piece === false) yield PAUSE;
    else if (piece === true) yield project();
    else {
      const columns = outputs.map(({ value }): BlockColumn | null => {
        const own = ownColumn(value, slot);
        if (own === undefined) return { value: value.evaluate(frame) };
        const column = piece.columns[own]!;
        return value.column || !mayBeNull(piece, column) ? column : null;
      });
      if (columns.every((column) => column !== null)) yield piece.withColumns(columns);
      else
        for (const row of piece.rows()) {
          frame.rows[slot] = row;
          yield project();
          if (frame.run.due()) yield PAUSE;
        }
    }
  }
}

function mayBeNull({ series }: RowBlock, column: BlockColumn): boolean {
  return typeof column === "number" ? series.mayBeNull(column) : column.value === null;
}

// ---------------------------------------------------------------- order and number

export function* sliceBlocks(pieces: Iterable<Row | RowBlock>, skip: number, take: number): Generator<Row | RowBlock> {
  let over = skip;
  let left = take;
  if (left <= 0) return;
  for (const piece of pieces) {
    if (piece === PAUSE) {
      yield piece;
      continue;
    }
    const length = piece instanceof RowBlock ? piece.length : 1;
    const from = Math.min(over, length);
    const to = Math.min(length, from + left);
    over -= from;
    if (from < to) yield piece instanceof RowBlock ? piece.slice(from, to) : piece;
    left -= to - from;
    if (left <= 0) return;
  }
}

/** Two sorted inputs as one; of equal rows the left one's come first. */
export function* mergedBlocks(
  left: Iterable<Row | RowBlock>,
  right: Iterable<Row | RowBlock>,
  compare: (a: Row, b: Row) => number,
): Generator<Row | RowBlock> {
  const sides = [head(left), head(right)] as const;
  try {
    for (;;) {
      for (const side of sides)
        while (side.piece === PAUSE) {
          yield PAUSE;
          side.next();
        }
      const [a, b] = sides;
      if (!a.piece && !b.piece) return;
      const order = !b.piece ? -1 : !a.piece ? 1 : compare(firstRow(a.piece), firstRow(b.piece));
      const [mine, other] = order <= 0 ? [a, b] : [b, a];
      const piece = mine.piece!;
      if (!other.piece || !(piece instanceof RowBlock)) {
        yield piece;
        mine.next();
        continue;
      }
      const bound = firstRow(other.piece);
      const { length } = piece;
      const behind = order <= 0 ? (row: Row) => compare(row, bound) > 0 : (row: Row) => compare(row, bound) >= 0;
      const count = firstWhere(0, length, (i) => behind(piece.row(i)));
      yield piece.slice(0, count);
      if (count < length) mine.piece = piece.slice(count, length);
      else mine.next();
    }
  } finally {
    for (const side of sides) side.close();
  }
}

function firstRow(piece: Row | RowBlock): Row {
  return piece instanceof RowBlock ? piece.row(0) : piece;
}

interface Head {
  /** undefined at the end. */
  piece: Row | RowBlock | undefined;
  next(): void;
  close(): void;
}

function head(pieces: Iterable<Row | RowBlock>): Head {
  const iterator = pieces[Symbol.iterator]();
  const made: Head = {
    piece: undefined,
    next() {
      const { done, value } = iterator.next();
      made.piece = done ? undefined : value;
    },
    close() {
      iterator.return?.();
    },
  };
  made.next();
  return made;
}
