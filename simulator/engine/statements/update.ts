/** UPDATE. https://learn.microsoft.com/sql/t-sql/queries/update-transact-sql */
import type { SetClause } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { assignOperator, binary, cast } from "../expressions/arithmetic.ts";
import { type Compiled, type Frame, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import type { Scope } from "../expressions/scope.ts";
import type { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Entry } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { throughView } from "../triggers/views.ts";
import type { Value } from "../values.ts";
import type { ChangeTarget } from "./change-target.ts";
import { type Changed, carryOut, type Kind, nothing, type Prepared, take } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { OutputClause } from "./output.ts";
import { type RowWriter, stored, writerOf } from "./row-writer.ts";
import { TargetRows } from "./target-rows.ts";

export async function updateRows(executor: Executor, statement: Kind<"update">): Promise<void> {
  await throughView(executor, statement.target, statement.from, ["update"], () =>
    carryOut(executor, prepareUpdate(executor, statement), "update"),
  );
}

export function prepareUpdate(executor: Executor, statement: Kind<"update">): Prepared {
  const { session } = executor;
  const compiler = executor.compiler();
  for (const clause of statement.set)
    if (clause.kind === "variable") compiler.assigned.add(clause.variable.toLowerCase());
  const targets = new TargetRows(executor, statement, compiler, "UPDATE");
  const { target, scope } = targets;
  const { table } = target;
  const writer = writerOf(table, session);
  const assign = assignments(executor, statement.set, target, scope, compiler, writer);
  const output = statement.output ? new OutputClause(executor, statement.output, target, scope, compiler, false) : null;
  targets.build();

  const updated = new Set(
    statement.set.flatMap(({ column }) => (column === undefined ? [] : [target.columnIndex(column)])),
  );
  return { table, locks: compiler.locks, work, output, updated };

  function* work(run: Run, transaction: Transaction): Generator<void, Changed> {
    const changed = nothing();
    output?.restart();
    const frame = targets.frame(run);
    // New values are computed from the old ones of the whole statement, so all rows are read before the first is written.
    const found: { entry: Entry; before: Row; after: Row; sources: (Row | null)[] | null }[] = [];
    for (const token of targets.open(frame)) {
      if (!token) {
        yield;
        continue;
      }
      run.row++;
      const before = target.row(frame)!;
      const after = [...before];
      for (const each of assign) each(frame, after);
      found.push({ entry: target.entry(frame)!, before, after, sources: output ? [...frame.rows] : null });
    }
    const scratch = newFrame(scope.slots, null, run);
    for (const { entry, before, after, sources } of found) {
      take(transaction, entry, before);
      writer.finish(after, run, "UPDATE");
      const now = transaction.update(table, entry, after);
      changed.written.push({ entry: now, before, after });
      targets.changed(entry, now);
      if (output) {
        scratch.rows = sources!;
        output.add(scratch, after, before);
      }
      if ((++changed.count & 127) === 0 && run.due()) yield;
    }
    target.check(run, changed);
    output?.store(run, transaction, scratch);
    return changed;
  }
}

export type Assign = (frame: Frame, row: Row) => void;

export function assignments(
  executor: Executor,
  clauses: SetClause[],
  target: ChangeTarget,
  scope: Scope,
  compiler: Compiler,
  writer: RowWriter,
): Assign[] {
  const { dateFormat } = executor.session.options;
  const { table } = target;
  const seen = new Set<number>();
  const place = (name: string): number => {
    const index = target.columnIndex(name);
    const column = table.columns[index]!;
    if (column.identity) throw new SqlError(8102, `Cannot update identity column '${column.name}'.`, 16, 1);
    if (column.computed)
      throw new SqlError(
        271,
        `The column "${column.name}" cannot be modified because it is either a computed column or is the result of a UNION operator.`,
        16,
        1,
      );
    if (column.type.id === "timestamp") throw new SqlError(272, "Cannot update a timestamp column.", 16, 1);
    if (seen.has(index))
      throw new SqlError(
        264,
        `The column name '${column.name}' is specified more than once in the SET clause or column list of an INSERT. A column cannot be assigned more than one value in the same clause. Modify the clause to make sure that a column is updated only once. If this statement updates or inserts columns into a view, column aliasing can conceal the duplication in your code.`,
        16,
        1,
      );
    seen.add(index);
    return index;
  };
  return clauses.map((clause): Assign => {
    if (clause.kind === "column") {
      const index = place(clause.column);
      if (clause.value === "default") {
        return (frame, row) => {
          row[index] = writer.defaultOf(index, frame);
        };
      }
      const value = compiler.expression(clause.value, scope);
      const { type } = table.columns[index]!;
      if (clause.op === "=") {
        const store = stored(value, table, index, dateFormat);
        return (frame, row) => {
          row[index] = store(frame);
        };
      }
      value.storedIn?.(table.columns[index]!);
      const current: Compiled = { type, nullable: true, evaluate: (frame) => target.row(frame)![index]! };
      const combined = binary(clause.op.slice(0, -1) as "+", current, value);
      const store = stored(combined, table, index, dateFormat);
      return (frame, row) => {
        row[index] = store(frame);
      };
    }
    const key = clause.variable.toLowerCase();
    const { type } = compiler.activation.variable(clause.variable);
    const value = compiler.expression(clause.value, scope);
    const index = clause.column === undefined ? -1 : place(clause.column);
    const apply = clause.op === "=" ? null : assignOperator(clause.op.slice(0, -1) as "+", type, value);
    const plain = cast(value, type);
    let last: Value = null;
    const store =
      index < 0 ? null : stored({ type: value.type, nullable: true, evaluate: () => last }, table, index, dateFormat);
    return (frame, row) => {
      const variable = frame.run.activation.variables.get(key)!;
      if (store) {
        last = value.evaluate(frame);
        row[index] = store(frame);
        variable.value = cast(
          { type: table.columns[index]!.type, nullable: true, evaluate: () => row[index]! },
          type,
        ).evaluate(frame);
      } else variable.value = apply ? apply(variable.value, frame) : plain.evaluate(frame);
    };
  });
}
