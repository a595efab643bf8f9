/** https://learn.microsoft.com/sql/t-sql/language-elements/cursors-transact-sql */
import type { CursorReference, Query, Statement } from "./ast.ts";
import { unsupported } from "./parser-ddl.ts";
import { simpleValue } from "./parser-expressions.ts";
import { wholeQuery } from "./parser-queries.ts";
import type { TokenReader } from "./token-reader.ts";

const OPTIONS: ReadonlySet<string> = new Set(
  `LOCAL GLOBAL FORWARD_ONLY SCROLL STATIC KEYSET DYNAMIC FAST_FORWARD READ_ONLY SCROLL_LOCKS OPTIMISTIC TYPE_WARNING`.split(
    " ",
  ),
);

/** Both the form of ISO (`INSENSITIVE SCROLL CURSOR`) and that of T-SQL. */
export function declareCursor(p: TokenReader, line: number): Statement {
  const name = p.identifier();
  const leading: string[] = [];
  while (p.at("INSENSITIVE") || p.at("SCROLL")) leading.push(p.advance().key);
  p.expect("CURSOR");
  const { query, options } = cursorBody(p);
  return { line, kind: "declare_cursor", name, query, options: [...leading, ...options] };
}

function cursorBody(p: TokenReader): { query: Query; options: string[] } {
  const options: string[] = [];
  while (OPTIONS.has(p.token.key)) options.push(p.advance().key);
  p.expect("FOR");
  const query = wholeQuery(p);
  if (p.acceptAll("FOR", "READ", "ONLY") || p.acceptAll("READ", "ONLY")) options.push("READ_ONLY");
  else if (p.acceptAll("FOR", "UPDATE"))
    options.push(p.accept("OF") ? `FOR UPDATE OF ${p.list(() => p.nameParts().at(-1)!).join(", ")}` : "FOR UPDATE");
  return { query, options };
}

/** `SET @c = CURSOR …`, or a cursor's name. */
export function setCursor(p: TokenReader, line: number, name: string): Statement {
  if (p.accept("CURSOR")) return { line, kind: "set_cursor", name, source: cursorBody(p) };
  return { line, kind: "set_cursor", name, source: { cursor: cursorReference(p) } };
}

/** Whether a bare word stands alone, which no expression is. */
export function namesCursor(p: TokenReader): boolean {
  const next = p.peek();
  return p.atIdentifier() && (next.kind === "end" || next.key === ";");
}

export function cursorStatement(p: TokenReader, line: number): Statement {
  const start = p.pos;
  const action = p.expectOne("OPEN", "CLOSE", "DEALLOCATE").toLowerCase() as "open" | "close" | "deallocate";
  if (["SYMMETRIC", "MASTER", "ALL"].includes(p.token.key) && p.peek().kind !== "end" && p.peek().key !== ";") {
    return unsupported(p, line, start, 3);
  }
  return { line, kind: "cursor", action, cursor: cursorReference(p) };
}

export function cursorReference(p: TokenReader): CursorReference {
  const next = p.peek().kind;
  const global = p.at("GLOBAL") && (next === "word" || next === "quoted");
  if (global) p.advance();
  return { name: p.token.kind === "variable" ? p.variable() : p.identifier(), global };
}

type Fetch = Statement & { kind: "fetch" };

export function fetch(p: TokenReader, line: number): Statement {
  p.expect("FETCH");
  let direction: Fetch["direction"] = "next";
  let n: Fetch["n"];
  if (["NEXT", "PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE"].includes(p.token.key)) {
    direction = p.advance().key.toLowerCase() as Fetch["direction"];
    if (direction === "absolute" || direction === "relative") n = distance(p);
    p.expect("FROM");
  } else p.accept("FROM");
  const cursor = cursorReference(p);
  const into = p.accept("INTO") ? p.list(() => p.variable()) : [];
  return { line, kind: "fetch", cursor, direction, ...(n ? { n } : {}), into };
}

function distance(p: TokenReader): NonNullable<Fetch["n"]> {
  if (p.accept("-")) return { kind: "unary", op: "-", operand: simpleValue(p) };
  return simpleValue(p);
}
