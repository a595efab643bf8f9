/** DBCC CHECKIDENT, the one DBCC that programs say: https://learn.microsoft.com/sql/t-sql/database-console-commands/dbcc-checkident-transact-sql */
import type { Statement } from "./ast.ts";
import { unsupported } from "./parser-ddl.ts";
import { expression } from "./parser-expressions.ts";
import { TokenReader } from "./token-reader.ts";

export function dbcc(p: TokenReader, line: number): Statement {
  if (p.peek().key !== "CHECKIDENT") return unsupported(p, line, p.pos, 2);
  p.expectAll("DBCC", "CHECKIDENT");
  p.expect("(");
  const quoted = p.token.kind === "string" || p.token.kind === "nstring";
  const table = quoted ? new TokenReader(p.string()).objectName() : p.objectName();
  const statement: Statement & { kind: "check_identity" } = {
    line,
    kind: "check_identity",
    table,
    reseed: true,
    quiet: false,
  };
  if (p.accept(",")) {
    statement.reseed = p.expectOne("RESEED", "NORESEED") === "RESEED";
    if (statement.reseed && p.accept(",")) statement.value = expression(p);
  }
  p.expect(")");
  statement.quiet = p.acceptAll("WITH", "NO_INFOMSGS");
  return statement;
}
