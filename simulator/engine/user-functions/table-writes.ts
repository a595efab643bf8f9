/** INSERT, UPDATE and DELETE of a function's table variables: at once, for nobody else can see them. */
import { unsupported } from "../errors.ts";
import { Run } from "../run.ts";
import { type Changed, checkUnique, type Kind, type Prepared } from "../statements/changes.ts";
import { prepareDelete } from "../statements/delete.ts";
import type { Executor } from "../statements/executor.ts";
import { prepareInsert } from "../statements/insert.ts";
import { prepareUpdate } from "../statements/update.ts";
import { sideEffect } from "./checks.ts";

export function writeTableVariable(
  executor: Executor,
  statement: Kind<"insert"> | Kind<"update"> | Kind<"delete">,
): void {
  const { session, activation, signal } = executor;
  const { table, work, output } = prepared(executor, statement);
  if (!table.name.startsWith("@")) throw sideEffect(statement.kind.toUpperCase());
  if (output?.visible) throw unsupported("OUTPUT to the client in a function");
  const transaction = session.engine.beginTransaction(session, "", session.isolation);
  const snapshot = session.openSnapshot(transaction);
  try {
    const run = new Run(session, activation, snapshot, signal);
    const steps = work(run, transaction);
    let step: IteratorResult<void, Changed>;
    do step = steps.next();
    while (!step.done);
    checkUnique(table, transaction, step.value, run);
    transaction.commit(session.engine.now());
    session.rowCount = step.value.count;
  } catch (error) {
    if (transaction.state === "active") transaction.rollback();
    throw error;
  } finally {
    session.closeSnapshot(snapshot);
  }
}

function prepared(executor: Executor, statement: Kind<"insert"> | Kind<"update"> | Kind<"delete">): Prepared {
  if (statement.kind === "update") return prepareUpdate(executor, statement);
  return statement.kind === "delete" ? prepareDelete(executor, statement) : prepareInsert(executor, statement, []);
}
