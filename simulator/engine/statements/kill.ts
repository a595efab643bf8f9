/** KILL. https://learn.microsoft.com/sql/t-sql/language-elements/kill-transact-sql */
import type { Expr } from "../../sql/ast.ts";
import { SqlError } from "../session.ts";
import type { Executor } from "./executor.ts";

export async function killSession(executor: Executor, expr: Expr): Promise<void> {
  const spid = Number(await executor.value(expr, { id: "int" }));
  if (!executor.session.login.sysadmin)
    throw new SqlError(6102, "User does not have permission to use the KILL statement.", 14, 1);
  if (spid === executor.session.spid) throw new SqlError(6104, "Cannot use KILL to kill your own process.", 16, 1);
  const target = executor.session.engine.sessions.get(spid);
  if (!target) throw new SqlError(6106, `Process ID ${spid} is not an active process ID.`, 16, 1);
  target.kill();
  executor.sink.statementDone({});
}
