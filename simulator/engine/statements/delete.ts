/** DELETE. https://learn.microsoft.com/sql/t-sql/statements/delete-transact-sql */
import type { Row } from "../database.ts";
import { newFrame } from "../expressions/compiled.ts";
import type { Run } from "../run.ts";
import type { Entry } from "../table.ts";
import type { Transaction } from "../transactions.ts";
import { throughView } from "../triggers/views.ts";
import { type Changed, carryOut, type Kind, nothing, type Prepared, take } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { OutputClause } from "./output.ts";
import { TargetRows } from "./target-rows.ts";

export async function deleteRows(executor: Executor, statement: Kind<"delete">): Promise<void> {
  await throughView(executor, statement.target, statement.from, ["delete"], () =>
    carryOut(executor, prepareDelete(executor, statement), "delete"),
  );
}

export function prepareDelete(executor: Executor, statement: Kind<"delete">): Prepared {
  const compiler = executor.compiler();
  const targets = new TargetRows(executor, statement, compiler, "DELETE");
  const { target, scope } = targets;
  const { table } = target;
  const output = statement.output ? new OutputClause(executor, statement.output, target, scope, compiler, false) : null;
  targets.build();

  return { table, locks: compiler.locks, work, output };

  function* work(run: Run, transaction: Transaction): Generator<void, Changed> {
    const changed = nothing();
    output?.restart();
    const frame = targets.frame(run);
    const found: { entry: Entry; row: Row; sources: (Row | null)[] | null }[] = [];
    for (const token of targets.open(frame)) {
      if (token)
        found.push({ entry: target.entry(frame)!, row: target.row(frame)!, sources: output ? [...frame.rows] : null });
      else yield;
    }
    const scratch = newFrame(scope.slots, null, run);
    for (const { entry, row, sources } of found) {
      take(transaction, entry, row);
      transaction.delete(table, entry);
      changed.deleted.push(row);
      if (output) {
        scratch.rows = sources!;
        output.add(scratch, null, row);
      }
      if ((++changed.count & 127) === 0 && run.due()) yield;
    }
    output?.store(run, transaction, scratch);
    return changed;
  }
}
