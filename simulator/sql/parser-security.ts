import type { ObjectName, Statement } from "./ast.ts";
import { UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/** CREATE USER, LOGIN, ROLE. https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql */
export function createPrincipal(p: TokenReader, line: number): Statement {
  const kind = p.expectOne("USER", "LOGIN", "ROLE");
  const name = p.identifier();
  if (kind === "ROLE") {
    if (p.accept("AUTHORIZATION")) p.identifier();
    return { line, kind: "create_role", name };
  }
  const statement: Statement = { line, kind: kind === "USER" ? "create_user" : "create_login", name };
  if (p.at("FOR") || p.at("FROM")) {
    const from = p.advance();
    if (kind !== "USER" || !p.accept("LOGIN"))
      throw new UnsupportedSyntax(`CREATE ${kind} … ${from.key} ${p.near().toUpperCase()}`);
    statement.login = p.identifier();
  } else {
    p.acceptAll("WITHOUT", "LOGIN");
  }
  if (p.accept("WITH")) {
    p.list(() => {
      const option = p.identifier().toUpperCase();
      p.expect("=");
      if (option === "PASSWORD") statement.password = password(p);
      else p.advance();
    });
  }
  return statement;
}

function password(p: TokenReader): string {
  if (p.token.kind === "binary") throw new UnsupportedSyntax("a hashed password");
  const text = p.string();
  p.accept("MUST_CHANGE");
  return text;
}

/** `ALTER ROLE r ADD MEMBER m`; undefined for what else it can do. */
export function alterRole(p: TokenReader, line: number): Statement {
  p.expectAll("ALTER", "ROLE");
  const name = p.identifier();
  if (p.at("WITH")) throw new UnsupportedSyntax("ALTER ROLE … WITH NAME");
  const action = p.expectOne("ADD", "DROP") === "ADD" ? "add" : "drop";
  p.expect("MEMBER");
  return { line, kind: "alter_role", name, action, member: p.identifier() };
}

/** GRANT, DENY, REVOKE. https://learn.microsoft.com/sql/t-sql/statements/grant-transact-sql */
export function permissionStatement(p: TokenReader, line: number): Statement {
  const kind = p.expectOne("GRANT", "DENY", "REVOKE").toLowerCase() as "grant" | "deny" | "revoke";
  if (kind === "revoke") p.acceptAll("GRANT", "OPTION", "FOR");
  let columns: string[] = [];
  const permissions = p.list(() => {
    const from = p.pos;
    while (p.token.kind === "word" || (p.token.kind === "reserved" && !["ON", "TO", "FROM"].includes(p.token.key))) {
      p.advance();
    }
    if (p.pos === from) p.fail();
    const permission = p.rawFrom(from);
    if (p.at("(")) columns = p.columnNames();
    return permission;
  });
  const statement: Statement = { line, kind, permissions, to: [] };
  if (p.accept("ON")) statement.on = securable(p, columns);
  if (kind !== "revoke" || !p.accept("FROM")) p.expect("TO");
  statement.to = p.list(() => principal(p));
  p.accept("CASCADE");
  p.acceptAll("WITH", "GRANT", "OPTION");
  if (p.accept("AS")) principal(p);
  return statement;
}

function principal(p: TokenReader): string {
  return p.accept("PUBLIC") ? "public" : p.identifier();
}

function securable(p: TokenReader, columns: string[]): NonNullable<(Statement & { kind: "grant" })["on"]> {
  let kind: "object" | "schema" | "database" = "object";
  if (p.peek().key === "::") {
    const word = p.advance().key;
    if (word === "SCHEMA") kind = "schema";
    else if (word === "DATABASE") kind = "database";
    else if (word !== "OBJECT") throw new UnsupportedSyntax(`permissions on ${word}::`);
    p.advance();
  }
  const name: ObjectName = p.objectName();
  return { class: kind, name, columns: p.at("(") ? p.columnNames() : columns };
}
