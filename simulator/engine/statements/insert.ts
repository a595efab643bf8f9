/** INSERT. https://learn.microsoft.com/sql/t-sql/statements/insert-transact-sql */
import type { Statement } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { type Compiled, type Frame, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { type Names, Scope, type SourceColumn } from "../expressions/scope.ts";
import { tableLeaf } from "../query/from.ts";
import { wholeNumber } from "../query/ordering.ts";
import { compileQuery } from "../query/query.ts";
import { findObject, findSource } from "../query/sources.ts";
import { PAUSE, type Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { throughView } from "../triggers/views.ts";
import { isInteger } from "../types/types.ts";
import { Decimal, type Value } from "../values.ts";
import { captureResults } from "./calls.ts";
import { ChangeTarget } from "./change-target.ts";
import { type Changed, carryOut, type Kind, nothing, type Prepared, SchemaChanged, targetTable } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { OutputClause } from "./output.ts";
import { type RowWriter, stored, writerOf } from "./row-writer.ts";

/** Gives the rows to insert: each value already as its column keeps it, null for "the default". */
type Rows = (run: Run) => Iterable<Row>;

/** Stands for DEFAULT in a row. */
export const DEFAULT: unique symbol = Symbol("default");
type Cell = ((frame: Frame) => Value) | typeof DEFAULT;

type Captured = Awaited<ReturnType<typeof captureResults>>;

export async function insertRows(executor: Executor, statement: Kind<"insert">): Promise<void> {
  const { source } = statement;
  // A procedure runs once, even if what is done with its rows must be compiled anew.
  const captured = source.kind === "execute" ? await captureResults(executor, source.statement as Statement) : [];
  for (;;) {
    try {
      await throughView(executor, statement.target, [], ["insert"], () =>
        carryOut(executor, prepareInsert(executor, statement, captured), "insert"),
      );
      return;
    } catch (error) {
      if (!(error instanceof SchemaChanged)) throw error;
    }
  }
}

export function prepareInsert(executor: Executor, statement: Kind<"insert">, captured: Captured): Prepared {
  const { session } = executor;
  const compiler = executor.compiler();
  const names = statement.ctes.reduce<Names | null>((before, definition) => ({ definition, before }), null);
  const target = targetOf(executor, statement, compiler, names);
  const { table } = target;
  const explicit = session.identityInsert === table;
  const columns = targetColumns(target, statement, explicit);
  const writer = writerOf(table, session);
  const source = sourceOf(executor, statement, table, columns, compiler, names, captured);
  const scope = new Scope(null);
  const top = statement.top ? compiler.expression(statement.top.count, new Scope(null)) : null;
  const output = statement.output ? new OutputClause(executor, statement.output, target, scope, compiler, false) : null;

  return { table, locks: compiler.locks, work, output };

  function* work(run: Run, transaction: Transaction): Generator<void, Changed> {
    const changed = nothing();
    output?.restart();
    const frame = newFrame(scope.slots, null, run);
    const limit = top ? wholeNumber(top.evaluate(frame)) : Number.POSITIVE_INFINITY;
    const rows: Row[] = [];
    // All rows are read before the first is written: the source may be the target.
    for (const row of source(run)) {
      if (rows.length >= limit) break;
      if (row !== PAUSE) rows.push(row);
      else yield;
    }
    for (const given of rows) {
      run.row++;
      const row = complete(table, writer, columns, given, frame, executor, explicit);
      writer.finish(row, run, "INSERT");
      const entry = transaction.insert(table, row);
      changed.written.push({ entry, before: null, after: row });
      output?.add(frame, row, null);
      if ((++changed.count & 127) === 0 && run.due()) yield;
    }
    target.check(run, changed);
    output?.store(run, transaction, frame);
    return changed;
  }
}

function targetOf(
  executor: Executor,
  { target, columns }: Kind<"insert">,
  compiler: Compiler,
  names: Names | null,
): ChangeTarget {
  const scope = new Scope(null, names);
  if (target.kind === "table") {
    const { parts } = target.name;
    const found = parts.length === 1 && scope.findNamed(parts[0]!) ? undefined : findObject(parts, compiler);
    if (found === undefined || found.kind === "view") {
      const leaf = findSource({ kind: "table", name: target.name, hints: [] }, scope, compiler, false, true);
      const written = columns.length > 0 ? columns : leaf.source.columns.map((column) => column.name);
      const made = new ChangeTarget(leaf, parts[parts.length - 1]!, written);
      made.require(compiler, "INSERT");
      return made;
    }
  }
  const table = targetTable(executor, target, "INSERT");
  return new ChangeTarget(tableLeaf(table, [table.name], scope), table.name, null);
}

/** The columns that are given, in the order of the values. */
function targetColumns(target: ChangeTarget, statement: Kind<"insert">, explicit: boolean): number[] {
  const { table } = target;
  if (statement.source.kind === "default_values") return [];
  const { columns } = statement;
  const identity = table.columns.findIndex((column) => column.identity);
  if (columns.length === 0) {
    const plain = target.columns.flatMap(({ name }) => {
      const place = target.columnIndex(name);
      return table.columns[place]!.computed || (place === identity && !explicit) ? [] : [place];
    });
    if (explicit && identity >= 0)
      throw new SqlError(
        8101,
        `An explicit value for the identity column in table '${table.name}' can only be specified when a column list is used and IDENTITY_INSERT is ON.`,
        16,
        1,
      );
    return plain;
  }
  const places = columns.map((name) => {
    const place = target.columnIndex(name);
    const column = table.columns[place]!;
    if (column.computed)
      throw new SqlError(
        271,
        `The column "${column.name}" cannot be modified because it is either a computed column or is the result of a UNION operator.`,
        16,
        1,
      );
    return place;
  });
  for (const [i, place] of places.entries())
    if (places.indexOf(place) !== i)
      throw new SqlError(
        264,
        `The column name '${columns[i]}' is specified more than once in the SET clause or column list of an INSERT. A column cannot be assigned more than one value in the same clause. Modify the clause to make sure that a column is updated only once. If this statement updates or inserts columns into a view, column aliasing can conceal the duplication in your code.`,
        16,
        1,
      );
  if (identity >= 0 && places.includes(identity) && !explicit)
    throw new SqlError(
      544,
      `Cannot insert explicit value for identity column in table '${table.name}' when IDENTITY_INSERT is set to OFF.`,
      16,
      1,
    );
  if (identity >= 0 && explicit && !places.includes(identity))
    throw new SqlError(
      545,
      `Explicit value must be specified for identity column in table '${table.name}' either when IDENTITY_INSERT is set to ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.`,
      16,
      1,
    );
  return places;
}

function sourceOf(
  executor: Executor,
  statement: Kind<"insert">,
  table: Table,
  columns: number[],
  compiler: Compiler,
  names: Names | null,
  captured: Captured,
): Rows {
  const { source } = statement;
  const { dateFormat } = executor.session.options;
  const listed = statement.columns.length > 0;
  const store = (value: Compiled, i: number): Cell => {
    const column = table.columns[columns[i]!]!;
    if (column.type.id === "timestamp")
      throw new SqlError(
        273,
        "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp column, or insert a DEFAULT into the timestamp column.",
        16,
        1,
      );
    return stored(value, table, columns[i]!, dateFormat);
  };
  switch (source.kind) {
    case "default_values":
      return () => [[]];
    case "values": {
      const scope = new Scope(null, names);
      const rows = source.rows.map((row) => {
        checkWidth(row.length, columns, listed);
        return row.map(
          (value, i): Cell => (value === "default" ? DEFAULT : store(compiler.expression(value, scope), i)),
        );
      });
      return (run) => valueRows(rows, run);
    }
    case "query": {
      const plan = compileQuery(source.query, null, compiler, { names });
      checkWidth(plan.columns.length, columns, listed);
      return fromPlan(plan.columns, (run) => plan.open(null, run), store);
    }
    case "execute":
      return (run) => {
        const all: Row[] = [];
        for (const { columns: given, rows } of captured) {
          checkWidth(given.length, columns, listed);
          for (const row of fromPlan(given, () => rows, store)(run) as Iterable<Row>) all.push(row);
        }
        return all;
      };
  }
}

function checkWidth(given: number, columns: number[], listed: boolean): void {
  if (given === columns.length) return;
  if (!listed)
    throw new SqlError(213, "Column name or number of supplied values does not match table definition.", 16, 1);
  if (given < columns.length)
    throw new SqlError(
      109,
      "There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
      15,
      1,
    );
  throw new SqlError(
    110,
    "There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
    15,
    1,
  );
}

function* valueRows(rows: Cell[][], run: Run): Generator<Row> {
  const frame = newFrame(0, null, run);
  for (const row of rows) {
    run.row++;
    yield row.map((cell) => (cell === DEFAULT ? (DEFAULT as unknown as Value) : cell(frame)));
  }
}

function fromPlan(
  columns: readonly SourceColumn[],
  open: (run: Run) => Iterable<Row>,
  store: (value: Compiled, i: number) => Cell,
): Rows {
  let current: Row = [];
  const cells = columns.map(
    ({ type }, i) => store({ type, nullable: true, evaluate: () => current[i]! }, i) as (frame: Frame) => Value,
  );
  return function* (run) {
    const frame = newFrame(0, null, run);
    for (const row of open(run)) {
      if (row === PAUSE) {
        yield row;
        continue;
      }
      current = row;
      yield cells.map((cell) => cell(frame));
    }
  };
}

/** A whole row: given values, identity, defaults. */
export function complete(
  table: Table,
  writer: RowWriter,
  columns: number[],
  given: Row,
  frame: Frame,
  executor: Executor,
  explicit: boolean,
): Row {
  const row = new Array<Value | undefined>(table.columns.length).fill(undefined);
  columns.forEach((column, i) => {
    if ((given[i] as unknown) !== DEFAULT) row[column] = given[i]!;
  });
  for (const [i, column] of table.columns.entries()) {
    if (column.identity) {
      const value = row[i] === undefined ? nextIdentity(table, i) : row[i]!;
      row[i] = value;
      const number = value === null ? null : BigInt(String(value).split(".")[0]!);
      if (
        explicit &&
        number !== null &&
        number * sign(column.identity.increment) >= column.identity.next * sign(column.identity.increment)
      )
        column.identity.next = number + column.identity.increment;
      executor.activation.identity = number;
      executor.session.lastIdentity = number;
    } else if (row[i] === undefined) row[i] = column.computed ? null : writer.defaultOf(i, frame);
  }
  return row as Row;
}

function sign(increment: bigint): bigint {
  return increment < 0n ? -1n : 1n;
}

const LIMITS: Record<string, bigint> = { tinyint: 255n, smallint: 32767n, int: 2147483647n, bigint: 2n ** 63n - 1n };

/** Never given back: gaps stay where a statement is undone. */
export function nextIdentity(table: Table, index: number): Value {
  const { identity, type } = table.columns[index]!;
  const value = identity!.next;
  const limit = LIMITS[type.id];
  if (limit !== undefined && value > limit)
    throw new SqlError(8115, `Arithmetic overflow error converting IDENTITY to data type ${type.id}.`, 16, 1);
  identity!.next += identity!.increment;
  if (type.id === "bigint") return value;
  return isInteger(type) ? Number(value) : new Decimal(value * 10n ** BigInt(type.scale ?? 0), type.scale ?? 0);
}
