import type { ExecArgument, ObjectName, Statement } from "./ast.ts";
import { expression, marker } from "./parser-expressions.ts";
import { constantArgument } from "./parser-types.ts";
import { UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/** https://learn.microsoft.com/sql/t-sql/language-elements/execute-transact-sql */
export function execute(p: TokenReader, line: number): Statement {
  p.expectOne("EXEC", "EXECUTE");
  if (p.at("AS")) throw new UnsupportedSyntax("EXECUTE AS");
  if (p.at("(")) return executeText(p, line);
  let returnVariable: string | undefined;
  if (p.token.kind === "variable" && p.peek().key === "=") {
    returnVariable = p.variable();
    p.advance();
  }
  const name = p.token.kind === "variable" ? { variable: p.variable() } : p.objectName();
  return procedureCall(p, line, name, returnVariable);
}

/** A procedure's name without EXEC, which only the first statement of a batch may be. */
export function bareExecute(p: TokenReader, line: number): Statement {
  return procedureCall(p, line, p.objectName(), undefined);
}

function executeText(p: TokenReader, line: number): Statement {
  p.expect("(");
  const text = expression(p);
  if (p.at(",")) throw new UnsupportedSyntax("EXECUTE … AT");
  p.expect(")");
  if (p.at("AS") || p.at("AT")) throw new UnsupportedSyntax(`EXECUTE … ${p.token.key}`);
  resultSets(p);
  return { line, kind: "execute_text", text };
}

function procedureCall(
  p: TokenReader,
  line: number,
  name: ObjectName | { variable: string },
  returnVariable: string | undefined,
): Statement {
  // `p;1`: the number of a procedure in a group.
  if (p.at(";") && p.peek().kind === "int") p.seek(p.pos + 2);
  const args: ExecArgument[] = [];
  if (argumentFollows(p)) args.push(...p.list(() => argument(p)));
  if (p.acceptAll("WITH", "RECOMPILE")) p.accept(",");
  resultSets(p);
  const statement: Statement = { line, kind: "execute", name, args };
  if (returnVariable !== undefined) statement.returnVariable = returnVariable;
  return statement;
}

function resultSets(p: TokenReader): void {
  if (!p.atAll("WITH", "RESULT", "SETS")) return;
  if (p.peek(3).key !== "UNDEFINED") throw new UnsupportedSyntax("EXECUTE … WITH RESULT SETS");
  p.seek(p.pos + 4);
}

function argumentFollows(p: TokenReader): boolean {
  const { kind, key } = p.token;
  if (kind === "end") return false;
  if (kind === "reserved") return key === "NULL" || key === "DEFAULT";
  if (kind === "symbol") return key === "-" || key === "+" || key === "?" || key === "{";
  return kind !== "word" || (key !== "THROW" && p.peek().key !== ":");
}

function argument(p: TokenReader): ExecArgument {
  if (p.token.kind === "variable" && p.peek().key === "=") {
    const name = p.variable();
    p.advance();
    return { name, ...value(p) };
  }
  return value(p);
}

function value(p: TokenReader): ExecArgument {
  if (p.accept("DEFAULT")) return { value: "default", output: false };
  const given = constantArgument(p);
  const output = p.accept("OUTPUT") || p.accept("OUT");
  return { value: given, output };
}

/** `{call p(@a, 1)}` and `{? = call p}`. https://learn.microsoft.com/sql/odbc/reference/develop-app/procedure-call-escape-sequence */
export function callEscape(p: TokenReader, line: number): Statement {
  p.expect("{");
  let returnVariable: string | undefined;
  if (!p.at("CALL")) {
    const result = p.at("?") ? marker(p) : undefined;
    returnVariable = result?.kind === "variable" ? result.name : p.variable();
    p.expect("=");
  }
  p.expect("CALL");
  const name = p.objectName();
  const args: ExecArgument[] = [];
  if (p.accept("(") && !p.accept(")")) {
    args.push(...p.list(() => argument(p)));
    p.expect(")");
  }
  p.expect("}");
  const statement: Statement = { line, kind: "execute", name, args };
  if (returnVariable !== undefined) statement.returnVariable = returnVariable;
  return statement;
}
