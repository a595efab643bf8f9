/** DELETE. https://learn.microsoft.com/sql/t-sql/statements/delete-transact-sql */
import type { Row } from "../database.ts";
import { newFrame } from "../expressions/compiled.ts";
import type { Entry } from "../table.ts";
import { change, finish, type Kind, nothing, take } from "./changes.ts";
import type { Executor } from "./executor.ts";
import { OutputClause } from "./output.ts";
import { TargetRows } from "./target-rows.ts";

export async function deleteRows(executor: Executor, statement: Kind<"delete">): Promise<void> {
  const compiler = executor.compiler();
  const targets = new TargetRows(executor, statement, compiler, "DELETE");
  const { target, scope } = targets;
  const { table } = target;
  const output = statement.output ? new OutputClause(executor, statement.output, target, scope, compiler, false) : null;
  targets.build();

  const result = await change(executor, table, compiler.locks, async (run, transaction) => {
    const changed = nothing();
    output?.restart();
    const frame = targets.frame(run);
    const found: { entry: Entry; row: Row; sources: (Row | null)[] | null }[] = [];
    for (const token of targets.open(frame)) {
      if (token)
        found.push({ entry: target.entry(frame)!, row: target.row(frame)!, sources: output ? [...frame.rows] : null });
      else await run.breathe();
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
      if ((++changed.count & 127) === 0 && run.due()) await run.breathe();
    }
    output?.store(run, transaction, scratch);
    return changed;
  });
  if (output) await output.send();
  finish(executor, result.count, "delete", output?.visible === true);
}
