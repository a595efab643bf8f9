/** Window functions: https://learn.microsoft.com/sql/t-sql/queries/select-over-clause-transact-sql */
import type { Expr, FrameBound, OrderItem, SelectCore, Window } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { unsupported } from "../errors.ts";
import { cast } from "../expressions/arithmetic.ts";
import { type Compiled, type Frame, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import type { Scope } from "../expressions/scope.ts";
import { type Sequence, takeNumber } from "../sequences.ts";
import { SqlError } from "../session.ts";
import { compareNullable, comparerOf, hashKeyOf } from "../types/comparison.ts";
import { BIGINT, FLOAT } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";
import { type Aggregate, aggregate, aggregateNames } from "./aggregates.ts";
import { rowKey, wholeNumber } from "./ordering.ts";

interface Registered {
  name: string;
  type: SqlType;
  args: Compiled[];
  partition: Compiled[];
  order: { compiled: Compiled; descending: boolean }[];
  frame: Window["frame"];
  bounds: { from?: Compiled; to?: Compiled };
  aggregate: Aggregate | null;
  /** IGNORE NULLS */
  ignoreNulls: boolean;
  sequence?: Sequence;
}

/** One row of the block, put aside. */
interface Held {
  rows: (Row | null)[];
  entries: Frame["entries"];
  values: Row;
}

/** Functions that have a meaning only with OVER. */
export const windowOnly = (name: string): boolean => RANKING.has(name) || VALUES.has(name) || isPercentile(name);

const RANKING = new Set(["row_number", "rank", "dense_rank", "ntile", "percent_rank", "cume_dist"]);
const VALUES = new Set(["lag", "lead", "first_value", "last_value"]);
const DISTRIBUTIONS = new Set(["percent_rank", "cume_dist"]);

export class Windows {
  readonly #scope: Scope;
  readonly #compiler: Compiler;
  readonly #calls: Registered[] = [];
  readonly #named: NonNullable<SelectCore["windows"]>;
  #slot = -1;

  constructor(scope: Scope, compiler: Compiler, named: NonNullable<SelectCore["windows"]>) {
    this.#scope = scope;
    this.#compiler = compiler;
    this.#named = named;
  }

  get used(): boolean {
    return this.#calls.length > 0;
  }

  /** `sequence`: whose numbers the rows take in the window's order. */
  register(call: Expr & { kind: "call" }, sequence?: Sequence): { index: number; type: SqlType; slot: number } {
    if (this.#slot < 0) this.#slot = this.#scope.slots++;
    const scope = this.#scope;
    const over = this.#whole(call.over!);
    const name = call.name.parts[call.name.parts.length - 1]!.toLowerCase();
    // A window function's own arguments hold no others.
    const register = scope.window;
    scope.window = null;
    const compile = (expr: Expr) => this.#compiler.expression(expr, scope);
    const args = call.args.map(compile);
    const partition = over.partitionBy.map(compile);
    const orderBy = isPercentile(name) ? percentileOrder(call, over) : over.orderBy;
    for (const { expr } of orderBy) refuseConstant(expr);
    const order = orderBy.map(({ expr, descending }) => ({ compiled: compile(expr), descending }));
    const bounds: Registered["bounds"] = {};
    if (over.frame?.from.kind === "preceding" || over.frame?.from.kind === "following")
      bounds.from = compile(over.frame.from.offset);
    if (over.frame?.to.kind === "preceding" || over.frame?.to.kind === "following")
      bounds.to = compile(over.frame.to.offset);
    scope.window = register;
    if (over.frame?.unit === "range" && (bounds.from || bounds.to))
      throw new SqlError(
        4194,
        "RANGE is only supported with UNBOUNDED and CURRENT ROW window frame delimiters.",
        16,
        1,
      );
    if (over.frame && (RANKING.has(name) || name === "lag" || name === "lead" || isPercentile(name)))
      throw new SqlError(10752, `The function '${name}' may not have a window frame.`, 15, RANKING.has(name) ? 3 : 1);
    if ((RANKING.has(name) || VALUES.has(name)) && order.length === 0)
      throw new SqlError(4112, `The function '${name}' must have an OVER clause with ORDER BY.`, 15, 1);
    const entry: Registered = {
      name,
      type: BIGINT,
      args,
      partition,
      order,
      frame: over.frame,
      bounds,
      aggregate: null,
      ignoreNulls: call.ignoreNulls === true,
    };
    if (call.ignoreNulls && !VALUES.has(name)) throw new SqlError(102, "Incorrect syntax near 'IGNORE'.", 15, 1);
    if (sequence) {
      entry.sequence = sequence;
      entry.type = sequence.type;
    } else if (aggregateNames.has(name)) {
      if (call.distinct) throw new SqlError(10759, "Use of DISTINCT is not allowed with the OVER clause.", 15, 1);
      entry.aggregate = aggregate({ name, star: call.star === true, distinct: false, args, order: [] });
      entry.type = entry.aggregate.type;
    } else if (VALUES.has(name)) {
      const value = args[0]!;
      entry.type = value.type;
      if (args[2]) args[2] = cast(args[2], value.type);
    } else if (isPercentile(name)) {
      entry.type = name === "percentile_cont" ? FLOAT : order[0]!.compiled.type;
      if (name === "percentile_cont") order[0]!.compiled = cast(order[0]!.compiled, FLOAT);
      args[0] = cast(args[0]!, FLOAT);
    } else if (DISTRIBUTIONS.has(name)) entry.type = FLOAT;
    else if (!RANKING.has(name)) throw unsupported(`the window function ${name.toUpperCase()}`);
    return { index: this.#calls.push(entry) - 1, type: entry.type, slot: this.#slot };
  }

  /** With what it takes from a window of the WINDOW clause. Error 5362. */
  #whole(over: Window, seen: string[] = []): Window {
    const { base } = over;
    if (base === undefined) return over;
    const named = this.#named.find(({ name }) => name.toLowerCase() === base.toLowerCase());
    if (!named) throw new SqlError(5362, `Window '${base}' is undefined.`, 15, 1);
    if (seen.includes(base.toLowerCase()))
      throw new SqlError(5365, `Cyclic window references are not permitted.`, 15, 1);
    const under = this.#whole(named.window, [...seen, base.toLowerCase()]);
    const both = (own: unknown[], inherited: unknown[]) => own.length > 0 && inherited.length > 0;
    if (both(over.partitionBy, under.partitionBy) || both(over.orderBy, under.orderBy) || (over.frame && under.frame))
      throw new SqlError(
        4123,
        "Window element in OVER clause can not also be specified in WINDOW clause.",
        15,
        under.frame ? 2 : 3,
      );
    const frame = over.frame ?? under.frame;
    return {
      partitionBy: [...under.partitionBy, ...over.partitionBy],
      orderBy: [...under.orderBy, ...over.orderBy],
      ...(frame ? { frame } : {}),
    };
  }

  /** After this no more may be registered. */
  finish(): void {
    this.#scope.window = null;
  }

  /** Holds all rows, computes, and gives them back one by one, in no particular order. */
  *run(rows: Iterable<boolean>, frame: Frame): Generator<boolean> {
    const held: Held[] = [];
    for (const found of rows) {
      if (!found) {
        yield false;
        continue;
      }
      held.push({
        rows: [...frame.rows],
        entries: frame.entries && [...frame.entries],
        values: new Array<Value>(this.#calls.length).fill(null),
      });
    }
    const scratch = newFrame(frame.rows.length, frame.outer, frame.run);
    for (const [index, call] of this.#calls.entries()) {
      for (const partition of partitions(call, held, scratch, this.#compiler)) compute(call, partition, index, scratch);
      if (frame.run.due()) yield false;
    }
    for (const { rows: kept, entries, values } of held) {
      frame.rows = kept;
      frame.entries = entries;
      frame.rows[this.#slot] = values;
      yield true;
    }
  }
}

interface Partition {
  items: Held[];
  /** Whether two neighbours are equal in the order of the window. */
  peers: (a: number, b: number) => boolean;
}

function partitions(call: Registered, held: Held[], frame: Frame, compiler: Compiler): Partition[] {
  const keyOf = rowKey(
    call.partition.map(({ type, collation }) => hashKeyOf(type, collation?.name ?? compiler.collation)),
  );
  const groups = new Map<string, { item: Held; keys: Value[] }[]>();
  for (const item of held) {
    frame.rows = item.rows;
    const key = keyOf(call.partition.map((each) => each.evaluate(frame)));
    const entry = { item, keys: call.order.map(({ compiled }) => compiled.evaluate(frame)) };
    const group = groups.get(key);
    if (group) group.push(entry);
    else groups.set(key, [entry]);
  }
  const comparers = call.order.map(({ compiled, descending }) => {
    const compare = compareNullable(comparerOf(compiled.type, compiled.collation?.name ?? compiler.collation));
    return descending ? (a: Value, b: Value) => compare(b, a) : compare;
  });
  const compare = (a: { keys: Value[] }, b: { keys: Value[] }): number => {
    for (const [i, each] of comparers.entries()) {
      const result = each(a.keys[i]!, b.keys[i]!);
      if (result !== 0) return result;
    }
    return 0;
  };
  return [...groups.values()].map((group) => {
    if (comparers.length > 0) group.sort(compare);
    return { items: group.map(({ item }) => item), peers: (a, b) => compare(group[a]!, group[b]!) === 0 };
  });
}

function compute(call: Registered, partition: Partition, index: number, frame: Frame): void {
  const { items } = partition;
  if (call.aggregate) {
    windowed(call, partition, frame, (place, value) => {
      items[place]!.values[index] = value;
    });
    return;
  }
  if (isPercentile(call.name)) {
    const value = percentile(call, items, frame);
    for (const item of items) item.values[index] = value;
    return;
  }
  const at = (place: number): Frame => {
    frame.rows = items[place]!.rows;
    return frame;
  };
  let rank = 1;
  let dense = 0;
  const tiles = call.name === "ntile" ? wholeNumber(call.args[0]!.evaluate(at(0))) : 1;
  for (const [place, item] of items.entries()) {
    const first = place === 0 || !partition.peers(place - 1, place);
    if (first) {
      rank = place + 1;
      dense++;
    }
    item.values[index] = one(place);
  }

  /** The place of the nth value that is not NULL, that way; -1 where there is none. */
  function beyondNulls(place: number, step: 1 | -1, count: number): number {
    let left = count;
    for (let i = place + step; i >= 0 && i < items.length; i += step)
      if (call.args[0]!.evaluate(at(i)) !== null && --left === 0) return i;
    return -1;
  }

  function one(place: number): Value {
    if (call.sequence) return takeNumber(call.sequence);
    switch (call.name) {
      case "row_number":
        return BigInt(place + 1);
      case "rank":
        return BigInt(rank);
      case "dense_rank":
        return BigInt(dense);
      case "percent_rank":
        return items.length === 1 ? 0 : (rank - 1) / (items.length - 1);
      case "cume_dist": {
        let last = place;
        while (last + 1 < items.length && partition.peers(last, last + 1)) last++;
        return (last + 1) / items.length;
      }
      case "ntile": {
        const size = Math.floor(items.length / tiles);
        const larger = items.length % tiles;
        const inLarger = larger * (size + 1);
        return BigInt(
          place < inLarger ? Math.floor(place / (size + 1)) + 1 : larger + Math.floor((place - inLarger) / size) + 1,
        );
      }
      case "lag":
      case "lead": {
        const distance = call.args[1] ? wholeNumber(call.args[1].evaluate(at(place))) : 1;
        const step = call.name === "lag" ? -1 : 1;
        const target = call.ignoreNulls ? beyondNulls(place, step, distance) : place + step * distance;
        if (target >= 0 && target < items.length) return call.args[0]!.evaluate(at(target));
        return call.args[2] ? call.args[2].evaluate(at(place)) : null;
      }
      default: {
        const { from, to } = extent(call, partition, place, at(place));
        if (to < from) return null;
        if (call.ignoreNulls) {
          const [first, step] = call.name === "first_value" ? [from, 1] : [to, -1];
          for (let i = first; i >= from && i <= to; i += step) {
            const value = call.args[0]!.evaluate(at(i));
            if (value !== null) return value;
          }
          return null;
        }
        return call.args[0]!.evaluate(at(call.name === "first_value" ? from : to));
      }
    }
  }
}

function isPercentile(name: string): boolean {
  return name === "percentile_cont" || name === "percentile_disc";
}

/** What the percentile is taken of; the window itself has no order. */
function percentileOrder(call: Expr & { kind: "call" }, over: Window): OrderItem[] {
  const order = call.withinGroup ?? [];
  if (order.length === 1 && over.orderBy.length === 0) return order;
  if (order.length === 0)
    throw new SqlError(10754, `The function '${call.name.parts[0]}' must have a WITHIN GROUP clause.`, 15, 1);
  throw new SqlError(10758, `The function '${call.name.parts[0]}' may not have ORDER BY in OVER clause.`, 15, 1);
}

/** https://learn.microsoft.com/sql/t-sql/functions/percentile-cont-transact-sql: NULLs do not count. */
function percentile(call: Registered, items: Held[], frame: Frame): Value {
  const values: NonNullable<Value>[] = [];
  for (const item of items) {
    frame.rows = item.rows;
    const value = call.order[0]!.compiled.evaluate(frame);
    if (value !== null) values.push(value);
  }
  const share = call.args[0]!.evaluate(frame) as number | null;
  if (share === null || share < 0 || share > 1) throw unsupported("a percentile outside of 0 to 1");
  if (values.length === 0) return null;
  if (call.name === "percentile_disc") return values[Math.max(0, Math.ceil(share * values.length) - 1)]!;
  const place = share * (values.length - 1);
  const [low, high] = [values[Math.floor(place)] as number, values[Math.ceil(place)] as number];
  return low + (high - low) * (place - Math.floor(place));
}

/** An aggregate over each row's frame; the usual one, which begins at the first row, is added up as it goes. */
function windowed(
  call: Registered,
  partition: Partition,
  frame: Frame,
  put: (place: number, value: Value) => void,
): void {
  const { items } = partition;
  const running = !call.frame || call.frame.from.kind === "unbounded_preceding";
  let accumulator = call.aggregate!.start();
  let done = 0;
  for (let place = 0; place < items.length; place++) {
    frame.rows = items[place]!.rows;
    const { from, to } = extent(call, partition, place, frame);
    if (!running) {
      accumulator = call.aggregate!.start();
      done = from;
    }
    for (; done <= to; done++) {
      frame.rows = items[done]!.rows;
      accumulator.add(frame);
    }
    put(place, accumulator.result());
  }
}

/** The first and last place of a row's frame. */
function extent(
  call: Registered,
  { items, peers }: Partition,
  place: number,
  frame: Frame,
): { from: number; to: number } {
  const last = items.length - 1;
  if (!call.frame && call.order.length === 0) return { from: 0, to: last };
  const unit = call.frame?.unit ?? "range";
  const from = bound(call.frame?.from ?? { kind: "unbounded_preceding" }, call.bounds.from, -1);
  const to = bound(call.frame?.to ?? { kind: "current_row" }, call.bounds.to, 1);
  return { from: Math.max(0, from), to: Math.min(last, to) };

  function bound(written: FrameBound, offset: Compiled | undefined, side: -1 | 1): number {
    switch (written.kind) {
      case "unbounded_preceding":
        return 0;
      case "unbounded_following":
        return last;
      case "preceding":
        return place - wholeNumber(offset!.evaluate(frame));
      case "following":
        return place + wholeNumber(offset!.evaluate(frame));
      case "current_row": {
        let at = place;
        if (unit === "range") while (at + side >= 0 && at + side <= last && peers(at, at + side)) at += side;
        return at;
      }
    }
  }
}

/** A window's order is no place in the select list; who wants any order writes (SELECT 1). */
function refuseConstant(expr: Expr): void {
  if (expr.kind !== "literal") return;
  const [number, what] = expr.type === "int" ? [5308, "integer indices"] : [5309, "constants"];
  throw new SqlError(
    number,
    `Windowed functions, aggregates and NEXT VALUE FOR functions do not support ${what} as ORDER BY clause expressions.`,
    16,
    1,
  );
}
