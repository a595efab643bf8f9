import type { Statement } from "./ast.ts";
import { statement, statementList } from "./parser.ts";
import { condition } from "./parser-conditions.ts";
import { unsupported } from "./parser-ddl.ts";
import { expression, startsExpression } from "./parser-expressions.ts";
import { UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/** https://learn.microsoft.com/sql/t-sql/language-elements/control-of-flow */
export function ifStatement(p: TokenReader, line: number): Statement {
  p.expect("IF");
  const test = condition(p);
  const then = statement(p);
  // One semicolon may end the first statement and ELSE still follow.
  if (p.at("ELSE") || p.atAll(";", "ELSE")) {
    p.accept(";");
    p.expect("ELSE");
    return { line, kind: "if", test, then, else: statement(p) };
  }
  return { line, kind: "if", test, then };
}

export function whileStatement(p: TokenReader, line: number): Statement {
  p.expect("WHILE");
  const test = condition(p);
  return { line, kind: "while", test, body: statement(p) };
}

/** BEGIN … END, BEGIN TRY, BEGIN TRANSACTION. */
export function begin(p: TokenReader, line: number): Statement {
  const start = p.pos;
  p.expect("BEGIN");
  switch (p.token.key) {
    case "TRY":
      return tryCatch(p, line);
    case "TRAN":
    case "TRANSACTION": {
      p.advance();
      const name = transactionName(p);
      if (p.acceptAll("WITH", "MARK") && (p.token.kind === "string" || p.token.kind === "nstring")) p.advance();
      return name === undefined ? { line, kind: "begin_transaction" } : { line, kind: "begin_transaction", name };
    }
    case "DISTRIBUTED":
    case "DIALOG":
    case "CONVERSATION":
    case "ATOMIC":
      return unsupported(p, line, start, 2);
  }
  const body = statementList(p, "END");
  if (body.length === 0) p.fail();
  p.expect("END");
  return { line, kind: "block", body };
}

function tryCatch(p: TokenReader, line: number): Statement {
  p.expect("TRY");
  const body = statementList(p, "END");
  if (body.length === 0) p.fail();
  p.expectAll("END", "TRY", "BEGIN", "CATCH");
  const handler = statementList(p, "END");
  p.expectAll("END", "CATCH");
  return { line, kind: "try", body, handler };
}

/** A name or a variable that holds it; a word before a colon is a label. */
function transactionName(p: TokenReader): string | undefined {
  if (p.token.kind === "variable") return p.variable();
  if (p.atIdentifier() && p.peek().key !== ":") return p.identifier();
  return undefined;
}

export function commit(p: TokenReader, line: number): Statement {
  p.expect("COMMIT");
  const name = p.accept("TRAN") || p.accept("TRANSACTION") ? transactionName(p) : undefined;
  if (name === undefined) p.accept("WORK");
  if (p.atAll("WITH", "(", "DELAYED_DURABILITY")) {
    p.advance();
    p.skipParenthesised();
  }
  return name === undefined ? { line, kind: "commit" } : { line, kind: "commit", name };
}

export function rollback(p: TokenReader, line: number): Statement {
  p.expect("ROLLBACK");
  const name = p.accept("TRAN") || p.accept("TRANSACTION") ? transactionName(p) : undefined;
  if (name === undefined) p.accept("WORK");
  return name === undefined ? { line, kind: "rollback" } : { line, kind: "rollback", name };
}

export function saveTransaction(p: TokenReader, line: number): Statement {
  p.expect("SAVE");
  p.expectOne("TRAN", "TRANSACTION");
  return { line, kind: "save_transaction", name: transactionName(p) ?? p.fail() };
}

export function returnStatement(p: TokenReader, line: number): Statement {
  p.expect("RETURN");
  return startsExpression(p) ? { line, kind: "return", value: expression(p) } : { line, kind: "return" };
}

export function throwStatement(p: TokenReader, line: number): Statement {
  p.expect("THROW");
  if (p.token.kind !== "int" && p.token.kind !== "variable") return { line, kind: "throw" };
  const number = expression(p);
  p.expect(",");
  const message = expression(p);
  p.expect(",");
  return { line, kind: "throw", number, message, state: expression(p) };
}

export function raiserror(p: TokenReader, line: number): Statement {
  p.expectAll("RAISERROR", "(");
  const message = expression(p);
  p.expect(",");
  const severity = expression(p);
  p.expect(",");
  const state = expression(p);
  const args = p.accept(",") ? p.list(() => expression(p)) : [];
  p.expect(")");
  const options = p.accept("WITH") ? p.list(() => p.expectOne("LOG", "NOWAIT", "SETERROR")) : [];
  return { line, kind: "raiserror", message, severity, state, args, options };
}

export function waitfor(p: TokenReader, line: number): Statement {
  p.expect("WAITFOR");
  if (p.at("(")) throw new UnsupportedSyntax("WAITFOR (…)");
  if (p.expectOne("DELAY", "TIME") === "DELAY") return { line, kind: "waitfor", delay: expression(p) };
  return { line, kind: "waitfor", time: expression(p) };
}

export function goto(p: TokenReader, line: number): Statement {
  p.expect("GOTO");
  return { line, kind: "goto", label: p.identifier() };
}
