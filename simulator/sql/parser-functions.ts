import type { Expr, FrameBound, ObjectName, OrderItem, TypeName, Window } from "./ast.ts";
import { condition } from "./parser-conditions.ts";
import { expression } from "./parser-expressions.ts";
import { typeName } from "./parser-types.ts";
import type { TokenReader } from "./token-reader.ts";

/** Reserved words that are functions when a parenthesis follows. */
const RESERVED_FUNCTIONS: ReadonlySet<string> = new Set(["COALESCE", "NULLIF", "LEFT", "RIGHT", "USER"]);
/** Functions that are called without parentheses. */
const NILADIC: ReadonlySet<string> = new Set([
  "CURRENT_TIMESTAMP",
  "CURRENT_DATE",
  "CURRENT_USER",
  "SESSION_USER",
  "SYSTEM_USER",
  "USER",
]);

type SpecialForm = (p: TokenReader, name: string) => Expr;

/** Functions whose arguments are more than a list of expressions; called behind the opening parenthesis. */
const SPECIAL: ReadonlyMap<string, SpecialForm> = new Map<string, SpecialForm>([
  ["CAST", (p) => cast(p, false)],
  ["TRY_CAST", (p) => cast(p, true)],
  ["CONVERT", (p) => convert(p, false)],
  ["TRY_CONVERT", (p) => convert(p, true)],
  ["PARSE", parse],
  ["TRY_PARSE", parse],
  ["IIF", iif],
  ["TRIM", trim],
  ["IDENTITY", identityFunction],
  ["ISJSON", isJson],
  ["JSON_OBJECT", jsonObject],
  ["JSON_ARRAY", jsonArray],
  ["DATEPART", dateCall],
  ["DATENAME", dateCall],
  ["DATEADD", dateCall],
  ["DATEDIFF", dateCall],
  ["DATEDIFF_BIG", dateCall],
  ["DATETRUNC", dateCall],
  ["DATE_BUCKET", dateCall],
]);

/** Whether a reserved word is the name of a function. */
export function reservedFunction(key: string): boolean {
  return SPECIAL.has(key) || RESERVED_FUNCTIONS.has(key) || NILADIC.has(key);
}

/** A function with a form of its own, or one whose name is a reserved word; undefined when it is an ordinary one. */
export function functionCall(p: TokenReader): Expr | undefined {
  const special = SPECIAL.get(p.token.key);
  if (special !== undefined) {
    p.enter();
    const name = p.advance().text;
    p.expect("(");
    const result = special(p, name);
    p.expect(")");
    p.leave();
    return result;
  }
  if (RESERVED_FUNCTIONS.has(p.token.key)) return call(p, { parts: [p.advance().text] });
  return undefined;
}

/** CURRENT_TIMESTAMP and its like. */
export function niladicFunction(p: TokenReader): Expr | undefined {
  if (!NILADIC.has(p.token.key)) return undefined;
  return { kind: "call", name: { parts: [p.advance().text] }, args: [] };
}

/** The arguments of an ordinary function, and what may follow: WITHIN GROUP, OVER. */
export function call(p: TokenReader, name: ObjectName): Expr {
  p.enter();
  p.expect("(");
  const result: Expr & { kind: "call" } = { kind: "call", name, args: [] };
  if (p.accept("DISTINCT")) result.distinct = true;
  else p.accept("ALL");
  if (p.at("*")) {
    p.advance();
    result.star = true;
  } else if (!p.at(")")) {
    result.args = p.list(() => argument(p));
  }
  p.expect(")");
  if (p.at("WITHIN") && p.acceptAll("WITHIN", "GROUP")) {
    p.expect("(");
    result.withinGroup = orderBy(p);
    p.expect(")");
  }
  if (p.acceptAll("IGNORE", "NULLS")) result.ignoreNulls = true;
  // The default, in words.
  p.acceptAll("RESPECT", "NULLS");
  if (p.accept("OVER")) result.over = window(p);
  p.leave();
  return result;
}

/** DEFAULT as an argument of a table function is NULL to those that SQL Server itself has. */
function argument(p: TokenReader): Expr {
  if (!p.at("DEFAULT")) return expression(p);
  p.advance();
  return { kind: "literal", type: "null", text: "DEFAULT" };
}

/** `ORDER BY a, b DESC` */
export function orderBy(p: TokenReader): OrderItem[] {
  p.expectAll("ORDER", "BY");
  return p.list(() => {
    const expr = expression(p);
    const descending = p.accept("DESC");
    if (!descending) p.accept("ASC");
    return { expr, descending };
  });
}

/** Behind OVER: a window in parentheses, or the name of one. https://learn.microsoft.com/sql/t-sql/queries/select-over-clause-transact-sql */
export function window(p: TokenReader): Window {
  if (p.atIdentifier()) return { base: p.identifier(), partitionBy: [], orderBy: [] };
  p.expect("(");
  const result: Window = { partitionBy: [], orderBy: [] };
  const words = ["PARTITION", "ORDER", "ROWS", "RANGE"];
  if (p.atIdentifier() && !(words.includes(p.token.key) && p.token.kind === "word")) result.base = p.identifier();
  if (p.accept("PARTITION")) {
    p.expect("BY");
    result.partitionBy = p.list(() => expression(p));
  }
  if (p.at("ORDER")) result.orderBy = orderBy(p);
  if (p.at("ROWS") || p.at("RANGE")) {
    const unit = p.advance().key === "ROWS" ? "rows" : "range";
    let from: FrameBound;
    let to: FrameBound = { kind: "current_row" };
    if (p.accept("BETWEEN")) {
      from = frameBound(p);
      p.expect("AND");
      to = frameBound(p);
    } else {
      from = frameBound(p);
    }
    result.frame = { unit, from, to };
  }
  p.expect(")");
  return result;
}

function frameBound(p: TokenReader): FrameBound {
  if (p.accept("CURRENT")) {
    p.expect("ROW");
    return { kind: "current_row" };
  }
  if (p.accept("UNBOUNDED")) {
    return {
      kind: p.expectOne("PRECEDING", "FOLLOWING") === "PRECEDING" ? "unbounded_preceding" : "unbounded_following",
    };
  }
  const offset = expression(p);
  return { kind: p.expectOne("PRECEDING", "FOLLOWING") === "PRECEDING" ? "preceding" : "following", offset };
}

function cast(p: TokenReader, tries: boolean): Expr {
  const operand = expression(p);
  p.expect("AS");
  return { kind: "cast", operand, type: typeName(p), try: tries };
}

function convert(p: TokenReader, tries: boolean): Expr {
  const type = typeName(p);
  p.expect(",");
  const result: Expr = { kind: "convert", type, operand: expression(p), try: tries };
  if (p.accept(",")) result.style = expression(p);
  return result;
}

/** PARSE(x AS type USING culture) becomes a call: (x, 'type', culture). */
function parse(p: TokenReader, name: string): Expr {
  const operand = expression(p);
  p.expect("AS");
  const args = [operand, typeLiteral(p)];
  if (p.accept("USING")) args.push(expression(p));
  return { kind: "call", name: { parts: [name] }, args };
}

function iif(p: TokenReader): Expr {
  const test = condition(p);
  p.expect(",");
  const then = expression(p);
  p.expect(",");
  return { kind: "iif", test, then, else: expression(p) };
}

/**
 * TRIM(x); TRIM(characters FROM x) becomes TRIM(x, characters); with LEADING or TRAILING it is LTRIM or RTRIM, which
 * take the characters second as well. https://learn.microsoft.com/sql/t-sql/functions/trim-transact-sql
 */
function trim(p: TokenReader, name: string): Expr {
  let trimmer = name;
  if (p.peek().key !== ")" && p.peek().key !== "(") {
    if (p.accept("LEADING")) trimmer = "LTRIM";
    else if (p.accept("TRAILING")) trimmer = "RTRIM";
    else p.accept("BOTH");
  }
  const args = [expression(p)];
  if (p.accept("FROM")) args.unshift(expression(p));
  return { kind: "call", name: { parts: [trimmer] }, args };
}

/** IDENTITY(int, 1, 1) of SELECT INTO: the type comes as a string. */
function identityFunction(p: TokenReader, name: string): Expr {
  const args = [typeLiteral(p)];
  while (p.accept(",")) args.push(expression(p));
  return { kind: "call", name: { parts: [name] }, args };
}

/** ISJSON(x, OBJECT): the word becomes a literal. */
function isJson(p: TokenReader, name: string): Expr {
  const args = [expression(p)];
  if (p.accept(",")) {
    const text = p.expectOne("VALUE", "ARRAY", "OBJECT", "SCALAR");
    args.push({ kind: "literal", type: "string", text });
  }
  return { kind: "call", name: { parts: [name] }, args };
}

/**
 * JSON_OBJECT('a': 1, 'b': 2 NULL ON NULL): what becomes of NULLs comes first among the arguments, then keys and values in turn.
 * https://learn.microsoft.com/sql/t-sql/functions/json-object-transact-sql
 */
function jsonObject(p: TokenReader, name: string): Expr {
  const args: Expr[] = [];
  if (!p.at(")") && !onNullFollows(p))
    p.list(() => {
      args.push(expression(p));
      p.expect(":");
      args.push(expression(p));
    });
  return { kind: "call", name: { parts: [name] }, args: [onNull(p, "null"), ...args] };
}

/** https://learn.microsoft.com/sql/t-sql/functions/json-array-transact-sql */
function jsonArray(p: TokenReader, name: string): Expr {
  const args = p.at(")") || onNullFollows(p) ? [] : p.list(() => expression(p));
  return { kind: "call", name: { parts: [name] }, args: [onNull(p, "absent"), ...args] };
}

function onNullFollows(p: TokenReader): boolean {
  return p.atAll("NULL", "ON", "NULL") || p.atAll("ABSENT", "ON", "NULL");
}

function onNull(p: TokenReader, usual: "null" | "absent"): Expr {
  let text = usual;
  if (onNullFollows(p)) {
    text = p.advance().key === "NULL" ? "null" : "absent";
    p.expectAll("ON", "NULL");
  }
  return { kind: "literal", type: "string", text };
}

function dateCall(p: TokenReader, name: string): Expr {
  const part = p.identifier().toLowerCase();
  const args: Expr[] = [];
  while (p.accept(",")) args.push(expression(p));
  return { kind: "datecall", name, part, args };
}

function typeLiteral(p: TokenReader): Expr {
  const { schema, name, args }: TypeName = typeName(p);
  const list = args.length === 0 ? "" : `(${args.map((n) => (n < 0 ? "max" : n)).join(",")})`;
  return { kind: "literal", type: "string", text: `${schema === undefined ? "" : `${schema}.`}${name}${list}` };
}
