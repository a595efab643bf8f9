/**
 * Bulk load: INSERT BULK announces the table, the columns and the options, and the client's next message brings the rows.
 * https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/ab4a7d62-cd1f-4db1-b67d-ecae58f493e3
 *
 * The options have the meaning that BULK INSERT documents for them. A column of NULL takes its default unless KEEP_NULLS is
 * given; CHECK and FOREIGN KEY constraints are passed over unless CHECK_CONSTRAINTS is. What the server makes itself where no
 * value comes (identity) is kept where one does: a client that wants to keep the server's leaves the column out.
 * https://learn.microsoft.com/sql/t-sql/statements/bulk-insert-transact-sql
 */

import type { Row } from "../database.ts";
import { invalidColumn, unsupported } from "../errors.ts";
import { type Compiled, newFrame } from "../expressions/compiled.ts";
import type { LockMode } from "../locks.ts";
import type { Run } from "../run.ts";
import { type BulkLoad, SqlError } from "../session.ts";
import type { TriggerEvent } from "../storage.ts";
import type { Table } from "../table.ts";
import type { Value } from "../values.ts";
import { change, finish, type Kind, nothing, targetTable } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { complete, DEFAULT } from "./insert.ts";
import { requireAlter } from "./permissions.ts";
import { stored, writerOf } from "./row-writer.ts";

export interface AnnouncedLoad {
  statement: Kind<"insert_bulk">;
  options: LoadOptions;
}

interface LoadOptions {
  keepNulls: boolean;
  checkConstraints: boolean;
  fireTriggers: boolean;
  lockTable: boolean;
}

/** Sizes and orders say how the rows come, which changes nothing here. */
const WITHOUT_EFFECT = /^(?:ROWS_PER_BATCH|KILOBYTES_PER_BATCH) = \d+$|^ORDER \(.*\)$|^KEEP_IDENTITY$/;

export function announceLoad(executor: Executor, statement: Kind<"insert_bulk">): void {
  const options: LoadOptions = { keepNulls: false, checkConstraints: false, fireTriggers: false, lockTable: false };
  for (const option of statement.options) {
    if (option === "KEEP_NULLS") options.keepNulls = true;
    else if (option === "CHECK_CONSTRAINTS") options.checkConstraints = true;
    else if (option === "FIRE_TRIGGERS") options.fireTriggers = true;
    else if (option === "TABLOCK") options.lockTable = true;
    else if (!WITHOUT_EFFECT.test(option)) throw unsupported(`INSERT BULK … WITH (${option})`);
  }
  columnsOf(targetOf(executor, statement, options), statement);
  executor.session.announcedLoad = { statement, options };
  executor.sink.statementDone({});
}

/** To pass constraints and triggers over takes the right to alter the table, as bcp's documentation says. */
function targetOf(executor: Executor, { table: name }: Kind<"insert_bulk">, options: LoadOptions): Table {
  const table = targetTable(executor, { kind: "table", name, hints: [] }, "INSERT");
  const constrained = table.checks.length + table.foreignKeys.length > 0;
  if (constrained && !options.checkConstraints) requireAlter(executor, table, name.parts, 13);
  return table;
}

/** The places of the columns that come, in their order. */
function columnsOf(table: Table, { columns }: Kind<"insert_bulk">): number[] {
  if (columns.length === 0)
    return table.columns.flatMap(({ computed, type }, i) => (computed || type.id === "timestamp" ? [] : [i]));
  return columns.map(({ name }) => {
    const place = table.columnIndex(name);
    const column = table.columns[place];
    if (!column) throw invalidColumn(name);
    if (column.computed || column.type.id === "timestamp")
      throw new SqlError(
        271,
        `The column "${name}" cannot be modified because it is either a computed column or is the result of a UNION operator.`,
        16,
        1,
      );
    return place;
  });
}

export async function insertLoad(executor: Executor, announced: AnnouncedLoad | null, load: BulkLoad): Promise<void> {
  if (!announced)
    throw new SqlError(4002, "The incoming tabular data stream (TDS) protocol stream is incorrect: no INSERT BULK.");
  const { statement, options } = announced;
  const table = targetOf(executor, statement, options);
  const columns = columnsOf(table, statement);
  if (load.columns.length !== columns.length)
    throw new SqlError(213, "Column name or number of supplied values does not match table definition.", 16, 1);
  const { keepNulls, lockTable } = options;
  const count = await insertValues(executor, table, columns, load, {
    keepNulls,
    lockTable,
    unchecked: !options.checkConstraints,
    events: options.fireTriggers ? ["insert"] : [],
  });
  finish(executor, count, "insert", false);
}

/** Puts rows of values in, as one statement; `columns` are their places in the table. Resolves to their number. */
export async function insertValues(
  executor: Executor,
  table: Table,
  columns: number[],
  load: BulkLoad,
  options: { keepNulls: boolean; unchecked: boolean; lockTable: boolean; events: TriggerEvent[] },
): Promise<number> {
  const { unchecked, events } = options;
  const given = valuesOf(executor, table, columns, load);
  const writer = writerOf(table, executor.session);
  const locks = new Map<Table, LockMode>(options.lockTable ? [[table, "X"]] : []);
  const rows = [...load.rows];
  const result = await change(
    executor,
    table,
    locks,
    async (run, transaction) => {
      const changed = nothing();
      const frame = newFrame(0, null, run);
      for (const values of rows) {
        const row = complete(table, writer, columns, given(values, run, options.keepNulls), frame, executor, true);
        writer.finish(row, run, "INSERT", unchecked);
        changed.written.push({ entry: transaction.insert(table, row), before: null, after: row });
        if ((++changed.count & 127) === 0 && run.due()) await run.breathe();
      }
      return changed;
    },
    { unchecked, events },
  );
  return result.count;
}

/** Values of the wire as the table's columns keep them. */
function valuesOf(executor: Executor, table: Table, columns: number[], load: BulkLoad) {
  let current: Value[] = [];
  const cells = load.columns.map(({ type }, i) => {
    const value: Compiled = { type, nullable: true, evaluate: () => current[i]! };
    return stored(value, table, columns[i]!, executor.session.options.dateFormat);
  });
  const defaults = columns.map((column) => table.columns[column]!.default !== undefined);
  return (values: Value[], run: Run, keepNulls: boolean): Row => {
    current = values;
    const frame = newFrame(0, null, run);
    return cells.map((cell, i) =>
      values[i] === null && defaults[i] && !keepNulls ? (DEFAULT as unknown as Value) : cell(frame),
    );
  };
}
