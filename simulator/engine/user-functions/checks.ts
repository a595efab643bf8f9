/**
 * What a function may not do, said when it is made.
 * https://learn.microsoft.com/sql/t-sql/statements/create-function-transact-sql#limitations
 */
import type { Statement } from "../../sql/ast.ts";
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";

export function checkBody(body: Statement[]): void {
  for (const statement of body) checkStatement(statement);
  if (!returns(body[body.length - 1]))
    throw new SqlError(455, "The last statement included within a function must be a return statement.", 16, 2);
}

function returns(last: Statement | undefined): boolean {
  if (last?.kind === "block") return returns(last.body[last.body.length - 1]);
  return last?.kind === "return";
}

function checkStatement(statement: Statement): void {
  switch (statement.kind) {
    case "block":
      for (const inner of statement.body) checkStatement(inner);
      return;
    case "if":
      checkStatement(statement.then);
      if (statement.else) checkStatement(statement.else);
      return;
    case "while":
      checkStatement(statement.body);
      return;
    case "declare":
    case "declare_table":
    case "set_variable":
    case "return":
    case "break":
    case "continue":
      return;
    case "unsupported":
      throw unsupported(statement.what);
    case "query": {
      const { body } = statement.query;
      if (body.kind === "select" && body.into) throw sideEffect("SELECT INTO");
      if (body.kind !== "select" || body.items.some((item) => item.kind !== "assign"))
        throw new SqlError(444, "Select statements included within a function cannot return data to a client.", 16, 2);
      return;
    }
    case "insert":
    case "update":
    case "delete":
      // The alias of a FROM clause may be a table variable's.
      if (statement.target.kind === "table" && !(statement.kind !== "insert" && statement.from.length > 0))
        throw sideEffect(statement.kind.toUpperCase());
      return;
    default:
      throw sideEffect(SPOKEN[statement.kind] ?? statement.kind.replaceAll("_", " ").toUpperCase());
  }
}

const SPOKEN: Partial<Record<Statement["kind"], string>> = {
  try: "BEGIN TRY",
  execute: "EXECUTE",
  execute_text: "EXECUTE STRING",
  save_transaction: "SAVEPOINT",
  begin_transaction: "BEGIN TRANSACTION",
  commit: "COMMIT TRANSACTION",
  rollback: "ROLLBACK TRANSACTION",
  set_option: "SET OPTION ON",
};

export function sideEffect(what: string): SqlError {
  return new SqlError(443, `Invalid use of a side-effecting operator '${what}' within a function.`, 16, 14);
}
