/** https://learn.microsoft.com/sql/t-sql/statements/create-trigger-transact-sql */
import type { ObjectName, Statement } from "./ast.ts";
import { checkControl } from "./control-checks.ts";
import { statementList } from "./parser.ts";
import { onlyFirst } from "./parser-ddl.ts";
import { UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

type Trigger = Statement & { kind: "create_trigger" };

export function createTrigger(
  p: TokenReader,
  line: number,
  start: number,
  orAlter: boolean,
  mustExist: boolean,
): Statement {
  p.expect("TRIGGER");
  const name = p.objectName();
  onlyFirst(p, start, "CREATE TRIGGER");
  p.expect("ON");
  if (p.at("DATABASE") || p.atAll("ALL", "SERVER")) restIsUnsupported(p, "DDL and logon triggers");
  const table = p.objectName();
  if (p.accept("WITH")) {
    p.list(() => {
      if (p.expectOne("ENCRYPTION", "EXECUTE", "NATIVE_COMPILATION", "SCHEMABINDING") !== "EXECUTE") return;
      p.expect("AS");
      if (p.token.kind === "string") p.advance();
      else p.identifier();
    });
  }
  const insteadOf = p.acceptAll("INSTEAD", "OF");
  if (!insteadOf) p.expectOne("FOR", "AFTER");
  const events = p.list(() => p.expectOne("INSERT", "UPDATE", "DELETE").toLowerCase() as Trigger["events"][number]);
  p.acceptAll("WITH", "APPEND");
  p.acceptAll("NOT", "FOR", "REPLICATION");
  p.expect("AS");
  if (p.at("EXTERNAL")) restIsUnsupported(p, "CREATE TRIGGER … AS EXTERNAL");
  const body = statementList(p, undefined);
  checkControl(body, false);
  if (body.length === 0 || !p.atEnd) p.fail();
  const statement: Trigger = { line, kind: "create_trigger", name, table, insteadOf, events, body, orAlter };
  statement.text = p.sourceFrom(p.tokens[start]!);
  if (mustExist) statement.mustExist = true;
  return statement;
}

/** A trigger takes the rest of the batch, whether it is understood or not. */
function restIsUnsupported(p: TokenReader, what: string): never {
  while (!p.atEnd) p.advance();
  throw new UnsupportedSyntax(what);
}

/** `DISABLE TRIGGER a, b ON t`, `ENABLE TRIGGER ALL ON t`. */
export function switchTriggers(p: TokenReader, line: number): Statement {
  const enable = p.expectOne("ENABLE", "DISABLE") === "ENABLE";
  p.expect("TRIGGER");
  const names = triggerNames(p);
  p.expect("ON");
  if (p.at("DATABASE") || p.atAll("ALL", "SERVER")) throw new UnsupportedSyntax("DDL and logon triggers");
  return { line, kind: "switch_triggers", enable, names, table: p.objectName() };
}

/** None for ALL. */
export function triggerNames(p: TokenReader): ObjectName[] {
  return p.accept("ALL") ? [] : p.list(() => p.objectName());
}
