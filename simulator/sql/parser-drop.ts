import type { ObjectName, Statement } from "./ast.ts";
import { storageOptions } from "./parser-columns.ts";
import { unsupported } from "./parser-ddl.ts";
import { UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

type Droppable = (Statement & { kind: "drop" })["object"];

const OBJECTS: ReadonlyMap<string, Droppable> = new Map([
  ["TABLE", "table"],
  ["VIEW", "view"],
  ["PROC", "procedure"],
  ["PROCEDURE", "procedure"],
  ["FUNCTION", "function"],
  ["SCHEMA", "schema"],
  ["DATABASE", "database"],
  ["INDEX", "index"],
  ["USER", "user"],
  ["ROLE", "role"],
  ["LOGIN", "login"],
  ["TYPE", "type"],
  ["SEQUENCE", "sequence"],
  ["SYNONYM", "synonym"],
  ["TRIGGER", "trigger"],
]);

/** What begins with DROP. */
export function drop(p: TokenReader, line: number): Statement {
  const start = p.pos;
  p.expect("DROP");
  const object = OBJECTS.get(p.token.key);
  const next = p.peek().key;
  if (object === undefined || (object === "database" && ["AUDIT", "ENCRYPTION", "SCOPED"].includes(next))) {
    return unsupported(p, line, start, 2);
  }
  p.advance();
  const ifExists = p.acceptAll("IF", "EXISTS");
  if (object === "index") return dropIndexes(p, line, ifExists);
  const names = p.list(() => p.objectName());
  if (object === "trigger" && p.at("ON")) throw new UnsupportedSyntax("DROP TRIGGER … ON");
  return { line, kind: "drop", object, names, ifExists };
}

/** `DROP INDEX ix ON t, …` or the old `DROP INDEX t.ix`; indexes of several tables become a block. */
function dropIndexes(p: TokenReader, line: number, ifExists: boolean): Statement {
  const drops = p.list((): Statement => {
    const { parts } = p.objectName();
    const name: ObjectName = { parts: [parts.at(-1)!] };
    if (parts.length === 1) p.expect("ON");
    const on = parts.length === 1 ? p.objectName() : { parts: parts.slice(0, -1) };
    if (p.at("WITH")) storageOptions(p);
    return { line, kind: "drop", object: "index", names: [name], ifExists, on };
  });
  return drops.length === 1 ? drops[0]! : { line, kind: "block", body: drops };
}
