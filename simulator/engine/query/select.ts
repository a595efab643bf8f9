/**
 * One SELECT. Its rows go through: FROM and WHERE, GROUP BY and aggregates, HAVING, window functions, the select list, DISTINCT,
 * ORDER BY, OFFSET or TOP. What a query does not have costs nothing.
 */
import type { Expr, OrderItem, Query, SelectCore, SelectItem } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { assignOperator, cast } from "../expressions/arithmetic.ts";
import { type Compiled, type Condition, type Frame, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { expressionKey } from "../expressions/keys.ts";
import type { SequenceError } from "../expressions/next-value.ts";
import { matches, type Names, Scope, type SourceColumn } from "../expressions/scope.ts";
import { PAUSE, type Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Entry } from "../table.ts";
import { hashKeyOf } from "../types/comparison.ts";
import { INT, isText } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";
import { isProjectable, projected, sliceBlocks } from "./blocks.ts";
import { FromClause, type Order } from "./from.ts";
import { Groups } from "./groups.ts";
import { compareRows, countOf, percentOf, rowKey, slice, sorted, wholeNumber } from "./ordering.ts";
import type { OrderColumn, Plan } from "./plan.ts";
import { ordinal, type QueryOptions } from "./query.ts";
import { traceOf } from "./trace.ts";
import { Windows } from "./windows.ts";

export interface Output {
  column: SourceColumn;
  value: Compiled;
  /** The alias, lower case: what ORDER BY may call it. */
  alias: string | undefined;
  expr: Expr | undefined;
  /** The sources of the block that it depends on; null where it is another in each row. */
  slots: Set<number> | null;
}

interface Assignment {
  name: string;
  assign(frame: Frame): void;
}

type Tail = Pick<Query, "orderBy" | "offset" | "fetch">;

export function compileSelect(
  core: SelectCore,
  outer: Scope | null,
  names: Names | null,
  compiler: Compiler,
  tail: Tail = { orderBy: [] },
  { existence, traced, noSequences }: Pick<QueryOptions, "existence" | "traced" | "noSequences"> = {},
): Plan {
  const scope = new Scope(outer, names);
  scope.noSequences = outer ? 11719 : 11720;
  for (const item of core.items) if (item.kind === "assign") compiler.assigned.add(item.variable.toLowerCase());
  const from = new FromClause(core.from, scope, compiler, traced ? () => true : undefined);
  from.where(core.where);

  const groups = Groups.wanted(core, tail.orderBy) ? new Groups(core, scope, compiler) : null;
  const windows = new Windows(scope, compiler, core.windows ?? []);
  scope.window = (call, sequence) => windows.register(call, sequence);
  scope.noSequences = noSequences ?? sequenceRule(core, tail, outer);
  const outputs: Output[] = [];
  const assignments: Assignment[] = [];
  for (const item of core.items) {
    if (item.kind === "assign") assignments.push(assignment(item, scope, compiler));
    else if (!existence || item.kind !== "star") outputs.push(...expand(item, scope, compiler, groups !== null));
  }
  if (assignments.length > 0 && outputs.length > 0)
    throw new SqlError(
      141,
      "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.",
      15,
      1,
    );
  const numbered = compiler.numbersRows;
  scope.noSequences = 11720;
  const order = tail.orderBy.map((item) => orderKey(item, outputs, scope, compiler, core.distinct));
  const having = core.having ? compiler.condition(core.having, scope) : null;
  const bounds = new Scope(outer, names);
  const top = core.top ? { ...core.top, count: compiler.expression(core.top.count, bounds) } : null;
  const offset = tail.offset ? compiler.expression(tail.offset, bounds) : undefined;
  const fetch = tail.fetch ? compiler.expression(tail.fetch, bounds) : undefined;
  scope.reach = Math.max(scope.reach, bounds.reach);
  windows.finish();
  const limited = top !== null || fetch !== undefined || offset !== undefined;

  const plain = groups === null && !windows.used && !core.distinct;
  const wanted = plain && order.length > 0 ? storedOrder(order) : null;
  from.build(wanted);
  const presorted = order.length > 0 && wanted !== null && from.ordered;

  const columns = outputs.map((output) => output.column);
  const trace = traced && plainRows(core, groups) ? traceOf(from.leaves, outputs) : null;
  const values = [...outputs.map((output) => output.value), ...(trace?.entries ?? [])];
  const hidden = order.filter((key) => key.output === undefined).map((key) => key.value);
  let at = values.length;
  const keys: OrderColumn[] = order.map(({ output, descending }) => ({ column: output ?? at++, descending }));
  const wide: SourceColumn[] = [
    ...columns,
    ...(trace?.entries ?? []).map((): SourceColumn => ({ name: "", type: INT, nullable: true })),
    ...hidden.map((value) => ({ name: "", type: typeOf(value, compiler), nullable: true })),
  ];
  const compare = keys.length > 0 ? compareRows(keys, wide, compiler.collation) : null;
  const distinctKey = core.distinct
    ? rowKey(columns.map(({ type }) => hashKeyOf(type, type.collation ?? compiler.collation)))
    : null;
  const all = [...values, ...hidden];

  function* project(frame: Frame): Generator<Row> {
    const seen = distinctKey ? new Set<string>() : null;
    for (const found of rows(frame)) {
      if (!found) {
        yield PAUSE;
        continue;
      }
      if (numbered) frame.run.row++;
      for (const { assign } of assignments) assign(frame);
      const row = new Array<Value>(all.length);
      for (let i = 0; i < all.length; i++) row[i] = all[i]!.evaluate(frame);
      if (seen) {
        const key = distinctKey!(row.length === columns.length ? row : row.slice(0, columns.length));
        if (seen.has(key)) continue;
        seen.add(key);
      }
      yield row;
    }
  }

  function rows(frame: Frame): Iterable<boolean> {
    const found = from.open(frame);
    const grouped = groups ? filtered(groups.run(found, frame), having, frame) : found;
    return windows.used ? windows.run(grouped, frame) : grouped;
  }

  /** Whether the rows are those of the FROM clause as they come, as many as TOP or OFFSET let through. */
  function asTheyCome(): boolean {
    const cut = top?.percent || top?.ties;
    return plain && !cut && trace === null && assignments.length === 0 && (order.length === 0 || presorted);
  }

  return {
    columns,
    ...(trace ? { origins: trace.origins } : {}),
    ...orderOf(order),
    ...(groups ? {} : { tables: outputs.map(({ value }) => tableOf(value, scope)) }),
    get reach() {
      return scope.reach;
    },
    orderBy(asked) {
      if (!plain || limited) return order.length > 0 && presortedAs(keys, asked);
      if (order.length > 0) return presortedAs(keys, asked);
      const stored = storedOrder(
        asked.map(({ column, descending }) => ({ value: values[column]!, descending, output: column })),
      );
      if (!stored) return false;
      from.build(stored);
      return from.ordered;
    },
    *open(around: Frame | null, run: Run): Iterable<Row> {
      const frame = newFrame(scope.slots, around, run);
      if (trace) frame.entries = new Array<Entry | null>(scope.slots).fill(null);
      const cut = hidden.length > 0;
      const { skip, take } = limits(frame);
      if (take <= 0) return;
      let result: Iterable<Row> = project(frame);
      const ties = top?.ties === true && compare !== null;
      if (compare && !presorted) result = sorted(result, compare, ties ? Number.POSITIVE_INFINITY : skip + take);
      if (top?.percent) result = percent(result, frame);
      else if (ties) result = withTies(result, take, compare!);
      else if (limited) result = slice(result, skip, take);
      if (!cut) {
        yield* result;
        return;
      }
      for (const row of result) yield row === PAUSE ? row : row.slice(0, values.length);
    },
    blocks(around, run) {
      if (!asTheyCome()) return null;
      const frame = newFrame(scope.slots, around, run);
      const source = from.blocks(frame);
      if (!source || !isProjectable(outputs, source.slot)) return null;
      const { skip, take } = limits(frame);
      return sliceBlocks(projected(source.found, outputs, source.slot, frame), skip, take);
    },
  };

  function limits(frame: Frame): { skip: number; take: number } {
    if (!top) return countOf(offset, fetch, frame);
    if (top.percent) return { skip: 0, take: Number.POSITIVE_INFINITY };
    const take = wholeNumber(top.count.evaluate(frame));
    if (take < 0) throw new SqlError(1014, "A TOP or FETCH clause contains an invalid value.", 15, 1);
    return { skip: 0, take };
  }

  function* percent(result: Iterable<Row>, frame: Frame): Generator<Row> {
    const share = wholeNumber(top!.count.evaluate(frame));
    const held: Row[] = [];
    for (const row of result) {
      if (row === PAUSE) yield row;
      else held.push(row);
    }
    yield* held.slice(0, percentOf(held.length, share));
  }

  // A block that another one asks to come sorted is asked before it is opened.
  function presortedAs(own: OrderColumn[], asked: OrderColumn[]): boolean {
    return (
      asked.length <= own.length &&
      asked.every((wish, i) => own[i]!.column === wish.column && own[i]!.descending === wish.descending)
    );
  }
}

function tableOf({ column }: Compiled, scope: Scope): { slot: number; name: string } | undefined {
  if (column?.depth !== 0) return undefined;
  const source = scope.sources.find(({ slot }) => slot === column.slot);
  return source && { slot: column.slot, name: source.parts[source.parts.length - 1]! };
}

function orderOf(keys: { output: number | undefined }[]): Pick<Plan, "order"> {
  const places = keys.map(({ output }) => (output === undefined ? 0 : output + 1));
  return places.length > 0 && !places.includes(0) ? { order: places } : {};
}

/** Whether the select list may take a sequence's numbers. */
function sequenceRule(core: SelectCore, tail: Tail, outer: Scope | null): SequenceError | undefined {
  if (outer) return 11719;
  if (core.distinct) return 11721;
  if (core.top || tail.offset) return 11739;
  return tail.orderBy.length > 0 ? 11723 : undefined;
}

/** Whether each row of the result is one of the FROM clause. */
function plainRows(core: SelectCore, groups: Groups | null): boolean {
  return groups === null && !core.distinct;
}

function* withTies(rows: Iterable<Row>, take: number, compare: (a: Row, b: Row) => number): Generator<Row> {
  let count = 0;
  let last: Row | null = null;
  for (const row of rows) {
    if (row !== PAUSE) {
      if (count >= take && (last === null || compare(last, row) !== 0)) return;
      count++;
      if (count <= take) last = row;
    }
    yield row;
  }
}

function* filtered(rows: Iterable<boolean>, having: Condition | null, frame: Frame): Generator<boolean> {
  for (const found of rows) if (!found || having === null || having(frame) === true) yield found;
}

function typeOf(value: Compiled, compiler: Compiler): SqlType {
  if (value.type.id === "null") return INT;
  if (!isText(value.type)) return value.type;
  return { ...value.type, collation: value.collation?.name ?? value.type.collation ?? compiler.collation };
}

interface OrderKey {
  value: Compiled;
  descending: boolean;
  /** Its place in the select list, where it is there. */
  output: number | undefined;
}

/** The columns of sources that the keys are; null where one is something else. */
function storedOrder(order: OrderKey[]): Order[] | null {
  const columns: Order[] = [];
  for (const { value, descending } of order) {
    if (value.column?.depth !== 0) return null;
    columns.push({ slot: value.column.slot, column: value.column.column, descending });
  }
  return columns;
}

/** A name means an output column before it means a column of a source; a number counts output columns. */
function orderKey(item: OrderItem, outputs: Output[], scope: Scope, compiler: Compiler, distinct: boolean): OrderKey {
  const { expr, descending } = item;
  let output = ordinal(expr, outputs.length);
  if (output === undefined && expr.kind === "column" && expr.parts.length === 1) {
    const name = expr.parts[0]!.toLowerCase();
    const found = outputs.findIndex((candidate) => candidate.alias === name);
    if (found >= 0) output = found;
  }
  if (output === undefined) {
    const key = expressionKey(expr, scope);
    const found =
      key === undefined ? -1 : outputs.findIndex((other) => other.expr && expressionKey(other.expr, scope) === key);
    if (found >= 0) output = found;
  }
  if (output === undefined && distinct)
    throw new SqlError(145, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.", 15, 1);
  if (output === undefined) return { value: compiler.expression(expr, scope), descending, output };
  return { value: outputs[output]!.value, descending, output };
}

function assignment(item: SelectItem & { kind: "assign" }, scope: Scope, compiler: Compiler): Assignment {
  const key = item.variable.toLowerCase();
  const { type } = compiler.activation.variable(item.variable);
  const value = compiler.expression(item.expr, scope);
  if (item.op === "=") {
    const converted = cast(value, type);
    return {
      name: key,
      assign: (frame) => {
        frame.run.activation.variables.get(key)!.value = converted.evaluate(frame);
      },
    };
  }
  const apply = assignOperator(item.op.slice(0, -1) as "+", type, value);
  return {
    name: key,
    assign: (frame) => {
      const variable = frame.run.activation.variables.get(key)!;
      variable.value = apply(variable.value, frame);
    },
  };
}

/** A select item as output columns; `*` as all that it stands for. */
export function expand(
  item: SelectItem & { kind: "star" | "expr" },
  scope: Scope,
  compiler: Compiler,
  grouped = false,
): Output[] {
  if (item.kind === "expr") {
    const { touched } = scope;
    scope.touched = new Set();
    const value = compiler.expression(item.expr, scope);
    const slots = isVolatile(item.expr) ? null : scope.touched;
    for (const slot of scope.touched) touched?.add(slot);
    scope.touched = touched;
    const name = item.alias ?? (item.expr.kind === "column" ? headingOf(item.expr.parts, value) : "");
    const column: SourceColumn = { name, type: typeOf(value, compiler), nullable: value.nullable };
    if (value.column?.identity) column.identity = true;
    if (value.column?.computed) column.computed = true;
    if (value.json) column.json = true;
    return [
      {
        column,
        value: value.type.id === "null" ? cast(value, INT) : value,
        alias: name === "" ? undefined : name.toLowerCase(),
        expr: item.expr,
        slots,
      },
    ];
  }
  const { qualifier } = item;
  const sources = scope.sources.filter((source) => (qualifier ? matches(source, qualifier) : !source.hidden));
  if (sources.length === 0) {
    if (!qualifier) throw new SqlError(263, "Must specify table to select from.", 16, 1);
    throw new SqlError(
      107,
      `The column prefix '${qualifier.join(".")}' does not match with a table name or alias name used in the query.`,
      15,
      1,
    );
  }
  return sources.flatMap((source) =>
    source.columns.map((column, i): Output => {
      const parts = [...source.parts.slice(-1), column.name];
      // Says that a node cannot be used so.
      if (column.xmlNode) compiler.expression({ kind: "column", parts }, scope);
      const value = grouped
        ? compiler.expression({ kind: "column", parts }, scope)
        : reference(source.slot, i, column, compiler);
      scope.touched?.add(source.slot);
      return {
        column: { ...column, type: typeOf(value, compiler) },
        value,
        alias: column.name.toLowerCase(),
        expr: undefined,
        slots: new Set([source.slot]),
      };
    }),
  );
}

/**
 * A column is headed as the query spells it, not as its table does (SELECT id of a column ID gives id), as sessions of SQL Server
 * show: https://github.com/babelfish-for-postgresql/babelfish_extensions/issues/2371
 */
function headingOf(parts: string[], { column }: Compiled): string {
  const written = parts[parts.length - 1]!;
  return written.startsWith("$") ? (column?.name ?? written) : written;
}

function reference(slot: number, index: number, column: SourceColumn, compiler: Compiler): Compiled {
  const { type } = column;
  return {
    type,
    nullable: column.nullable,
    column: { slot, column: index, depth: 0, name: column.name },
    evaluate: (frame) => {
      const row = frame.rows[slot];
      return row ? row[index]! : null;
    },
    ...(isText(type) ? { collation: { name: type.collation ?? compiler.collation, label: "implicit" as const } } : {}),
  };
}

/** Functions that give another value in each row. */
const VOLATILE = new Set(["newid", "rand", "newsequentialid", "crypt_gen_random"]);

function isVolatile(expr: object): boolean {
  if ("kind" in expr && expr.kind === "next_value") return true;
  if ("kind" in expr && expr.kind === "call") {
    const { parts } = (expr as Expr & { kind: "call" }).name;
    if (VOLATILE.has(parts[parts.length - 1]!.toLowerCase())) return true;
  }
  return Object.values(expr).some((part) => typeof part === "object" && part !== null && isVolatile(part));
}
