/**
 * SET FMTONLY ON: statements are only described. A SELECT gives the columns of its result and no rows, nothing is changed, and
 * both sides of an IF are gone through, since no condition is looked at.
 * https://learn.microsoft.com/sql/t-sql/statements/set-fmtonly-transact-sql
 */
import type { Statement } from "../../sql/ast.ts";
import { compileQuery } from "../query/query.ts";
import type { Executor } from "./executor.ts";

/** Those that are run as ever: what comes after them needs them, or they lead to what is to be described. */
const RUN = new Set<Statement["kind"]>([
  "set_option",
  "use",
  "declare",
  "declare_table",
  "execute",
  "execute_text",
  "block",
  "label",
]);

/** Describes the statement; false where it is to be run as ever. */
export async function describeOnly(executor: Executor, statement: Statement): Promise<boolean> {
  if (RUN.has(statement.kind)) return false;
  switch (statement.kind) {
    case "query": {
      const { columns } = compileQuery(statement.query, null, executor.compiler());
      if (columns.length > 0) executor.sink.columns(columns);
      break;
    }
    case "if":
      await executor.run(statement.else ? [statement.then, statement.else] : [statement.then]);
      return true;
    case "while":
      await executor.run([statement.body]);
      return true;
    case "try":
      await executor.run([...statement.body, ...statement.handler]);
      return true;
  }
  executor.sink.statementDone({ select: statement.kind === "query" });
  return true;
}
