/** Whole queries: common table expressions, UNION and its kin, ORDER BY and OFFSET over the result. */
import type { CommonTable, Expr, OrderItem, Query, QueryBody } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { cast } from "../expressions/arithmetic.ts";
import { type Compiled, type Frame, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import type { SequenceError } from "../expressions/next-value.ts";
import { type Names, Scope, type SourceColumn } from "../expressions/scope.ts";
import type { RowBlock } from "../row-block.ts";
import { PAUSE, type Run } from "../run.ts";
import { SqlError } from "../session.ts";
import { hashKeyOf } from "../types/comparison.ts";
import { INT, unify } from "../types/types.ts";
import { mergedBlocks, sliceBlocks } from "./blocks.ts";
import { formatted } from "./for-clause.ts";
import { compareRows, countOf, merged, rowKey, slice, sorted } from "./ordering.ts";
import type { OrderColumn, Plan } from "./plan.ts";
import { recursivePlan, refersTo } from "./recursion.ts";
import { compileSelect } from "./select.ts";

export interface QueryOptions {
  /** Common table expressions in sight, besides those of the blocks around. */
  names?: Names | null;
  /** Only whether there are rows matters (EXISTS). */
  existence?: boolean;
  /** Set where the query is a common table expression: it may refer to itself. */
  cte?: CommonTable;
  /** Its rows are to be changed: the plan says which stored rows they come from, where they do. */
  traced?: boolean;
  /** Its rows go to the client: FOR XML and FOR JSON send them in pieces. */
  client?: boolean;
  /** Why no sequence's numbers may be taken in its select list. */
  noSequences?: SequenceError;
}

export function compileQuery(query: Query, outer: Scope | null, compiler: Compiler, options: QueryOptions = {}): Plan {
  const { forClause, namespaces } = query;
  if (namespaces) {
    const before = compiler.namespaces;
    const { namespaces: _, ...plain } = query;
    compiler.namespaces = namespaces;
    const plan = compileQuery(plain, outer, compiler, options);
    compiler.namespaces = before;
    return plan;
  }
  if (forClause) {
    const { forClause: _, ...plain } = query;
    const plan = compileQuery(plain, outer, compiler, options);
    return formatted(plan, forClause, options.client === true, compiler.namespaces);
  }
  let names = options.names ?? null;
  for (const definition of query.ctes) names = { definition, before: names };
  const { cte } = options;
  if (cte && query.body.kind === "set" && query.body.op === "union_all" && refersTo(query.body.right, cte))
    return recursive(query, query.body, cte, names, compiler);
  return compileBody(query.body, outer, names, compiler, options, query);
}

function recursive(
  query: Query,
  body: QueryBody & { kind: "set" },
  cte: CommonTable,
  names: Names | null,
  compiler: Compiler,
): Plan {
  const key = {};
  const anchor = compileBody(body.left, null, names, compiler, {});
  const columns = anchor.columns.map((column, i) => ({
    ...column,
    name: cte.columns[i] ?? column.name,
    nullable: true,
  }));
  const step = compileBody(
    body.right,
    null,
    { definition: cte, recursion: { columns, key, used: false }, before: names },
    compiler,
    {},
  );
  if (step.columns.length !== columns.length) throw unequal();
  step.columns.forEach((column, i) => {
    const wanted = columns[i]!.type;
    if (
      column.type.id !== "null" &&
      (column.type.id !== wanted.id || column.type.length !== wanted.length) &&
      !sameEnough(wanted, column.type)
    )
      throw new SqlError(
        240,
        `Types don't match between the anchor and the recursive part in column "${columns[i]!.name}" of recursive query "${cte.name}".`,
        16,
        1,
      );
  });
  const hint = /maxrecursion\s+(\d+)/i.exec([...query.options, ...compiler.options].join(" "));
  return recursivePlan({ ...anchor, columns }, step, key, hint ? Number(hint[1]) : 100);
}

/** Text of another length does not match, unless the anchor's is the longer or unlimited. */
function sameEnough(anchor: SourceColumn["type"], step: SourceColumn["type"]): boolean {
  return (
    anchor.id === step.id &&
    (anchor.length === -1 || (step.length !== -1 && (step.length ?? 0) <= (anchor.length ?? 0)))
  );
}

type Tail = Pick<Query, "orderBy" | "offset" | "fetch">;

function compileBody(
  body: QueryBody,
  outer: Scope | null,
  names: Names | null,
  compiler: Compiler,
  { existence, traced, noSequences }: QueryOptions,
  tail?: Tail,
): Plan {
  if (body.kind === "select")
    return compileSelect(body, outer, names, compiler, tail, { existence, traced, noSequences });
  if (body.kind === "nested") {
    const plan = compileQuery(body.query, outer, compiler, { names });
    return tail ? finish(plan, tail, compiler) : plan;
  }
  const left = compileBody(body.left, outer, names, compiler, { noSequences: 11721 });
  const right = compileBody(body.right, outer, names, compiler, { noSequences: 11721 });
  const plan = combine(body.op, left, right, compiler);
  return tail ? finish(plan, tail, compiler) : plan;
}

function unequal(): SqlError {
  return new SqlError(
    205,
    "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
    16,
    1,
  );
}

// ---------------------------------------------------------------- UNION, EXCEPT, INTERSECT

function combine(op: (QueryBody & { kind: "set" })["op"], left: Plan, right: Plan, compiler: Compiler): Plan {
  if (left.columns.length !== right.columns.length) throw unequal();
  const columns = left.columns.map((column, i): SourceColumn => {
    const other = right.columns[i]!;
    const type = unify(column.type, other.type);
    return { name: column.name, type: type.id === "null" ? INT : type, nullable: column.nullable || other.nullable };
  });
  const a = adapted(left, columns);
  const b = adapted(right, columns);
  const reach = Math.max(left.reach, right.reach);
  if (op === "union_all") return concatenated(a, b, columns, reach, compiler);
  const keyOf = rowKey(columns.map(({ type }) => hashKeyOf(type, type.collation ?? compiler.collation)));
  return {
    columns,
    reach,
    *open(outer, run) {
      const seen = new Set<string>();
      if (op !== "union") {
        const others = new Set<string>();
        for (const row of b.open(outer, run)) {
          if (row === PAUSE) yield row;
          else others.add(keyOf(row));
        }
        for (const row of a.open(outer, run)) {
          if (row === PAUSE) {
            yield row;
            continue;
          }
          const key = keyOf(row);
          if (others.has(key) !== (op === "intersect") || seen.has(key)) continue;
          seen.add(key);
          yield row;
        }
        return;
      }
      for (const side of [a, b])
        for (const row of side.open(outer, run)) {
          if (row !== PAUSE) {
            const key = keyOf(row);
            if (seen.has(key)) continue;
            seen.add(key);
          }
          yield row;
        }
    },
  };
}

/** Both sides one after the other; or, if both can come sorted, in one order. */
function concatenated(a: Plan, b: Plan, columns: SourceColumn[], reach: number, compiler: Compiler): Plan {
  let order: OrderColumn[] | null = null;
  return {
    columns,
    reach,
    orderBy(wanted) {
      if (!a.orderBy || !b.orderBy || !a.orderBy(wanted) || !b.orderBy(wanted)) return false;
      order = wanted;
      return true;
    },
    *open(outer, run) {
      if (order) {
        yield* merged(a.open(outer, run), b.open(outer, run), compareRows(order, columns, compiler.collation));
        return;
      }
      yield* a.open(outer, run);
      yield* b.open(outer, run);
    },
    blocks(outer, run) {
      const left = a.blocks?.(outer, run);
      const right = b.blocks?.(outer, run);
      if (!left && !right) return null;
      const sides = [left ?? a.open(outer, run), right ?? b.open(outer, run)] as const;
      return order ? mergedBlocks(...sides, compareRows(order, columns, compiler.collation)) : chained(sides);
    },
  };
}

function* chained(sides: Iterable<Iterable<Row | RowBlock>>): Generator<Row | RowBlock> {
  for (const side of sides) yield* side;
}

/** The same rows with the common types. */
function adapted(plan: Plan, columns: SourceColumn[]): Plan {
  let current: Row = [];
  const conversions = plan.columns.map((column, i) => {
    const item: Compiled = { type: column.type, nullable: true, evaluate: () => current[i]! };
    const converted = cast(item, columns[i]!.type);
    return converted === item || column.type.id === "null" ? undefined : converted;
  });
  if (conversions.every((conversion) => conversion === undefined)) return plan;
  return {
    ...plan,
    // A conversion can change how values compare.
    orderBy: undefined as never,
    blocks: undefined as never,
    *open(outer: Frame | null, run: Run) {
      const frame = newFrame(0, outer, run);
      for (const row of plan.open(outer, run)) {
        if (row === PAUSE) {
          yield row;
          continue;
        }
        current = row;
        yield row.map((value, i) => (conversions[i] ? conversions[i].evaluate(frame) : value));
      }
    },
  };
}

// ---------------------------------------------------------------- ORDER BY over a combination

function finish(plan: Plan, tail: Tail, compiler: Compiler): Plan {
  if (tail.orderBy.length === 0) return plan;
  const columns = tail.orderBy.map((item) => outputColumn(item, plan.columns));
  const scope = new Scope(null);
  const offset = tail.offset ? compiler.expression(tail.offset, scope) : undefined;
  const fetch = tail.fetch ? compiler.expression(tail.fetch, scope) : undefined;
  const ordered = plan.orderBy?.(columns) === true;
  const compare = compareRows(columns, plan.columns, compiler.collation);
  return {
    columns: plan.columns,
    reach: plan.reach,
    order: columns.map(({ column }) => column + 1),
    *open(outer, run) {
      const frame = newFrame(0, outer, run);
      const { skip, take } = countOf(offset, fetch, frame);
      const rows = plan.open(outer, run);
      yield* slice(ordered ? rows : sorted(rows, compare, skip + take), skip, take);
    },
    blocks(outer, run) {
      const pieces = ordered ? plan.blocks?.(outer, run) : null;
      if (!pieces) return null;
      const { skip, take } = countOf(offset, fetch, newFrame(0, outer, run));
      return sliceBlocks(pieces, skip, take);
    },
  };
}

/** In a combination, ORDER BY names or counts the columns of the result. */
function outputColumn({ expr, descending }: OrderItem, columns: SourceColumn[]): OrderColumn {
  const column = ordinal(expr, columns.length) ?? named(expr, columns);
  if (column < 0)
    throw new SqlError(
      104,
      "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator.",
      16,
      1,
    );
  return { column, descending };
}

function named(expr: Expr, columns: SourceColumn[]): number {
  if (expr.kind !== "column") return -1;
  const name = expr.parts[expr.parts.length - 1]!.toLowerCase();
  return columns.findIndex((column) => column.name.toLowerCase() === name);
}

/** ORDER BY 2 */
export function ordinal(expr: Expr, count: number): number | undefined {
  if (expr.kind !== "literal" || expr.type !== "int") return undefined;
  const place = Number(expr.text);
  if (place < 1 || place > count)
    throw new SqlError(
      108,
      `The ORDER BY position number ${place} is out of range of the number of items in the select list.`,
      16,
      1,
    );
  return place - 1;
}
