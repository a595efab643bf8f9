import type { AssignOp, CommonTable, Expr, ObjectName, Query, QueryBody, SelectCore, SelectItem, Top } from "./ast.ts";
import { condition } from "./parser-conditions.ts";
import { expression, startsQuery } from "./parser-expressions.ts";
import { orderBy, window } from "./parser-functions.ts";
import { groupBy } from "./parser-group-by.ts";
import { tableSource } from "./parser-tables.ts";
import { UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

/** A query without common tables: its body, ORDER BY, OFFSET … FETCH, and FOR XML or FOR JSON. */
export function query(p: TokenReader): Query {
  p.enter();
  const result: Query = { ctes: [], body: unionBody(p), orderBy: [], options: [] };
  if (p.at("ORDER")) result.orderBy = orderBy(p);
  if (result.orderBy.length > 0 && p.accept("OFFSET")) {
    result.offset = expression(p);
    p.expectOne("ROW", "ROWS");
    if (p.accept("FETCH")) {
      p.expectOne("FIRST", "NEXT");
      result.fetch = expression(p);
      p.expectOne("ROW", "ROWS");
      p.expect("ONLY");
    }
  }
  if (p.at("FOR")) forClause(p, result);
  p.leave();
  return result;
}

/** A query as a statement, or as what a view or a cursor holds: with common tables before it and OPTION behind. */
export function wholeQuery(p: TokenReader, { ctes, namespaces }: WithClause = withClause(p)): Query {
  if (!p.at("SELECT") && !p.at("(")) p.fail();
  const result = query(p);
  result.ctes = ctes;
  if (namespaces) result.namespaces = namespaces;
  result.options = optionClause(p);
  return result;
}

export type WithClause = Pick<Query, "ctes" | "namespaces">;

/** `WITH XMLNAMESPACES (…), a AS (…), b (x) AS (…)`, or nothing. */
export function withClause(p: TokenReader): WithClause {
  if (!p.accept("WITH")) return { ctes: [] };
  if (p.atAll("CHANGE_TRACKING_CONTEXT", "(")) throw new UnsupportedSyntax("WITH CHANGE_TRACKING_CONTEXT");
  if (!p.atAll("XMLNAMESPACES", "(")) return { ctes: commonTables(p) };
  p.advance();
  const namespaces = p.parenthesised((): [string, string] => {
    if (p.accept("DEFAULT")) return ["", p.string()];
    const uri = p.string();
    p.expect("AS");
    return [p.identifier(), uri];
  });
  return { ctes: p.accept(",") ? commonTables(p) : [], namespaces };
}

function commonTables(p: TokenReader): CommonTable[] {
  return p.list(() => {
    const name = p.identifier();
    const columns = p.at("(") ? p.columnNames() : [];
    p.expect("AS");
    if (!startsQuery(p, p.pos)) {
      p.expect("(");
      p.fail();
    }
    p.expect("(");
    const table = { name, columns, query: query(p) };
    p.expect(")");
    return table;
  });
}

/** `OPTION (RECOMPILE, MAXRECURSION 0)`: each hint's words, upper case, with single blanks between. */
export function optionClause(p: TokenReader): string[] {
  if (!p.accept("OPTION")) return [];
  return p.parenthesised(() => {
    const from = p.pos;
    while (!p.at(",") && !p.at(")")) {
      if (p.at("(")) p.skipParenthesised();
      else if (p.atEnd || p.at(";")) p.fail();
      else p.advance();
    }
    if (p.pos === from) p.fail();
    return p.rawFrom(from);
  });
}

function unionBody(p: TokenReader): QueryBody {
  let left = intersectBody(p);
  while (p.at("UNION") || p.at("EXCEPT")) {
    const op = p.advance().key === "EXCEPT" ? "except" : p.accept("ALL") ? "union_all" : "union";
    left = { kind: "set", op, left, right: intersectBody(p) };
  }
  return left;
}

function intersectBody(p: TokenReader): QueryBody {
  let left = bodyTerm(p);
  while (p.accept("INTERSECT")) left = { kind: "set", op: "intersect", left, right: bodyTerm(p) };
  return left;
}

function bodyTerm(p: TokenReader): QueryBody {
  if (!p.at("(")) return selectCore(p);
  p.expect("(");
  const nested = query(p);
  p.expect(")");
  return { kind: "nested", query: nested };
}

function selectCore(p: TokenReader): SelectCore {
  p.expect("SELECT");
  const distinct = p.accept("DISTINCT");
  if (!distinct) p.accept("ALL");
  const top = topClause(p);
  const items = p.list(() => selectItem(p));
  let into: ObjectName | undefined;
  if (p.accept("INTO")) {
    into = p.objectName();
    if (p.accept("ON")) p.identifier();
  }
  const core: SelectCore = { kind: "select", distinct, items, from: fromClause(p), groupBy: [] };
  if (top !== undefined) core.top = top;
  if (into !== undefined) core.into = into;
  if (p.accept("WHERE")) core.where = condition(p);
  if (p.accept("GROUP")) {
    p.expect("BY");
    Object.assign(core, groupBy(p));
  }
  if (p.accept("HAVING")) core.having = condition(p);
  if (windowFollows(p)) {
    p.advance();
    core.windows = p.list(() => {
      const name = p.identifier();
      p.expect("AS");
      return { name, window: window(p) };
    });
  }
  return core;
}

/** `FROM a JOIN b ON …, c`, or nothing. */
export function fromClause(p: TokenReader): SelectCore["from"] {
  return p.accept("FROM") ? p.list(() => tableSource(p)) : [];
}

/** `TOP (n) PERCENT WITH TIES`; without parentheses only a constant may stand there. */
export function topClause(p: TokenReader): Top | undefined {
  if (!p.accept("TOP")) return undefined;
  let count: Expr;
  if (p.accept("(")) {
    count = p.at("SELECT") ? { kind: "subquery", query: query(p) } : expression(p);
    p.expect(")");
  } else {
    const { kind, text } = p.token;
    if (kind !== "int" && kind !== "decimal" && kind !== "float") p.fail();
    p.advance();
    count = { kind: "literal", type: kind, text };
  }
  return { count, percent: p.accept("PERCENT"), ties: p.acceptAll("WITH", "TIES") };
}

const ASSIGNMENTS: ReadonlySet<string> = new Set(["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="]);

export function atAssignment(key: string): key is AssignOp {
  return ASSIGNMENTS.has(key);
}

export function assignOp(p: TokenReader): AssignOp {
  const op = p.token.key;
  if (!atAssignment(op)) p.fail();
  p.advance();
  return op;
}

/** One item of a select list or of OUTPUT. */
export function selectItem(p: TokenReader): SelectItem {
  if (p.accept("*")) return { kind: "star" };
  const { kind, text } = p.token;
  const next = p.peek().key;
  if (kind === "variable" && atAssignment(next)) {
    p.advance();
    return { kind: "assign", variable: text, op: assignOp(p), expr: expression(p) };
  }
  if (next === "=" && (kind === "word" || kind === "quoted" || kind === "string" || kind === "nstring")) {
    p.seek(p.pos + 2);
    return { kind: "expr", expr: expression(p), alias: text };
  }
  const expr = expression(p);
  if (expr.kind === "column" && p.at(".") && p.peek().key === "*") {
    p.seek(p.pos + 2);
    return { kind: "star", qualifier: expr.parts };
  }
  const alias = columnAlias(p);
  return alias === undefined ? { kind: "expr", expr } : { kind: "expr", expr, alias };
}

/** `WINDOW w AS (`: the word is an alias where anything else follows. https://learn.microsoft.com/sql/t-sql/queries/select-window-transact-sql */
export function windowFollows(p: TokenReader): boolean {
  return p.at("WINDOW") && p.token.kind === "word" && p.peek(2).key === "AS" && p.peek(3).key === "(";
}

function columnAlias(p: TokenReader): string | undefined {
  const { kind } = p.token;
  if (windowFollows(p)) return undefined;
  if (p.accept("AS")) return atString(p) ? p.string() : p.identifier();
  if (kind === "quoted" || atString(p)) return p.advance().text;
  // A word before a colon is a label, the next statement.
  if (kind === "word" && p.peek().key !== ":") return p.advance().text;
  return undefined;
}

function atString(p: TokenReader): boolean {
  return p.token.kind === "string" || p.token.kind === "nstring";
}

/** FOR XML and FOR JSON; FOR BROWSE asks for more metadata and changes no result; others belong to cursors. */
function forClause(p: TokenReader, result: Query): void {
  const word = p.peek().key;
  if (word === "BROWSE") {
    p.seek(p.pos + 2);
    return;
  }
  if (word !== "XML" && word !== "JSON") return;
  p.seek(p.pos + 2);
  const kind = word === "XML" ? "xml" : "json";
  const mode = kind === "xml" ? p.expectOne("RAW", "AUTO", "PATH", "EXPLICIT") : p.expectOne("AUTO", "PATH");
  result.forClause = { kind, mode, options: [] };
  if (p.accept("(")) {
    result.forClause.name = p.string();
    p.expect(")");
  }
  while (p.accept(",")) {
    const from = p.pos;
    while (p.token.kind === "word") p.advance();
    if (p.pos === from) p.fail();
    if (p.at("(")) p.skipParenthesised();
    result.forClause.options.push(p.rawFrom(from));
  }
}
