/** PRINT, RAISERROR and THROW, and what an error that they raise is known by. */
import type { Expr } from "../../sql/ast.ts";
import { newFrame } from "../expressions/compiled.ts";
import { Scope } from "../expressions/scope.ts";
import { formatMessage } from "../functions/session-info.ts";
import { SqlError } from "../session.ts";
import { convertValue } from "../types/conversion.ts";
import type { Value } from "../values.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";

/** By THROW: ends the batch. */
export const thrown = new WeakSet<SqlError>();
/** By RAISERROR: XACT_ABORT does not honour it. */
export const raised = new WeakSet<SqlError>();
/** Those that are not to wait for what comes after them. */
export const raisedAtOnce = new WeakSet<SqlError>();

export async function throwError(executor: Executor, statement: Kind<"throw">): Promise<void> {
  const { caught } = executor.session;
  if (!statement.number || !statement.message || !statement.state) {
    const error = caught[caught.length - 1];
    if (!error)
      throw new SqlError(
        10704,
        "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a CATCH block, or add error parameters to the THROW statement.",
        15,
        1,
      );
    thrown.add(error);
    throw error;
  }
  const number = (await executor.value(statement.number, { id: "int" })) as number;
  const message = (await executor.value(statement.message, { id: "nvarchar", length: 2048 })) as string | null;
  const state = (await executor.value(statement.state, { id: "int" })) as number;
  if (number < 50000)
    throw new SqlError(
      35100,
      `Error number ${number} in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647.`,
      16,
      10,
    );
  const error = new SqlError(number, message ?? "", 16, state);
  thrown.add(error);
  throw error;
}

export async function raiseError(executor: Executor, statement: Kind<"raiserror">): Promise<void> {
  const severity = Number((await executor.value(statement.severity, { id: "int" })) ?? 0);
  const state = Math.max(0, Number((await executor.value(statement.state, { id: "int" })) ?? 0));
  const format = await executor.value(statement.message);
  const args: Value[] = [];
  for (const arg of statement.args) args.push(await executor.value(arg));
  const known = typeof format === "number" || typeof format === "bigint";
  const number = known ? Number(format) : 50000;
  if (known)
    throw new SqlError(
      18054,
      `Error ${number}, severity ${severity}, state ${state} was raised, but no message with that error number was found in sys.messages. If error is larger than 50000, make sure the user-defined message is added using sp_addmessage.`,
      16,
      1,
    );
  const message = formatMessage(String(format ?? ""), args).slice(0, 2047);
  const chosen = new Set(statement.options.map((option) => option.toUpperCase()));
  if (severity <= 10) {
    executor.sink.message({
      number: severity === 0 ? 0 : number,
      state,
      // https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-error-severities
      severity: severity === 10 ? 0 : Math.max(0, severity),
      message,
      line: statement.line,
      ...procedureOf(executor),
      atOnce: chosen.has("NOWAIT"),
    });
    executor.session.lastError = chosen.has("SETERROR") ? number : 0;
    return;
  }
  // https://learn.microsoft.com/sql/t-sql/language-elements/raiserror-transact-sql: "For severity levels from 19 through 25, the WITH LOG
  // option is required."
  if (severity > 18 && !(chosen.has("LOG") && executor.session.login.sysadmin))
    throw new SqlError(
      2754,
      "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using the WITH LOG option.",
      16,
      1,
    );
  const error = new SqlError(number, message, Math.min(severity, 25), state === 0 ? 1 : state);
  raised.add(error);
  if (chosen.has("NOWAIT")) raisedAtOnce.add(error);
  throw error;
}

function procedureOf({ activation: { procedure } }: Executor): { procedure?: string } {
  return procedure === undefined ? {} : { procedure };
}

export async function printText(executor: Executor, expr: Expr): Promise<void> {
  const compiled = executor.compiler().expression(expr, new Scope(null));
  const value = executor.evaluating((run) => compiled.evaluate(newFrame(0, null, run)));
  const text = convertValue(value, compiled.type, { id: "nvarchar", length: 4000 }) as string | null;
  executor.sink.message({ number: 0, state: 1, severity: 0, message: text ?? "", line: 1, ...procedureOf(executor) });
  executor.session.rowCount = 0;
}
