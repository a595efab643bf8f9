import type { Cond, Expr } from "./ast.ts";
import { condition, isCondition, predicate } from "./parser-conditions.ts";
import { escapeClause } from "./parser-escapes.ts";
import { call, functionCall, niladicFunction, reservedFunction, window } from "./parser-functions.ts";
import { query } from "./parser-queries.ts";
import type { TokenReader } from "./token-reader.ts";

/**
 * Expressions, by precedence: `~`, COLLATE and AT TIME ZONE; `*` `/` `%`; `+` `-` `&` `^` `|` `<<` `>>`.
 * https://learn.microsoft.com/sql/t-sql/language-elements/operator-precedence-transact-sql
 *
 * A parenthesis may hold an expression or a condition, and only its end tells: where a condition may stand, these
 * functions are called with `orCondition` and may return one, behind which no arithmetic goes on.
 */
export function expression(p: TokenReader): Expr {
  return additive(p, false) as Expr;
}

export function additive(p: TokenReader, orCondition: boolean): Expr | Cond {
  let left = multiplicative(p, orCondition);
  for (;;) {
    const op = p.token.key;
    const shift = SHIFTS[op];
    if (op !== "+" && op !== "-" && op !== "&" && op !== "|" && op !== "^" && !shift) return left;
    if (orCondition && isCondition(left)) return left;
    p.advance();
    const operands = [left as Expr, multiplicative(p, false) as Expr] as const;
    left = shift
      ? { kind: "call", name: { parts: [shift] }, args: [...operands] }
      : { kind: "binary", op: op as "+", left: operands[0], right: operands[1] };
  }
}

/** "The LEFT_SHIFT function is also accessible through the << operator": https://learn.microsoft.com/sql/t-sql/functions/left-shift-transact-sql */
const SHIFTS: Record<string, string> = { "<<": "left_shift", ">>": "right_shift" };

function multiplicative(p: TokenReader, orCondition: boolean): Expr | Cond {
  let left = unary(p, orCondition);
  for (;;) {
    const op = p.token.key;
    if (op !== "*" && op !== "/" && op !== "%") return left;
    if (orCondition && isCondition(left)) return left;
    p.advance();
    left = { kind: "binary", op, left: left as Expr, right: unary(p, false) as Expr };
  }
}

function unary(p: TokenReader, orCondition: boolean): Expr | Cond {
  const op = p.token.key;
  if (op !== "-" && op !== "+" && op !== "~") return postfix(p, primary(p, orCondition));
  p.enter();
  p.advance();
  // A sign binds less than multiplication: -100.0/-100.0*10.0 is -(100.0/-(100.0*10.0)), as the precedence table has it.
  const operand = (op === "~" ? unary(p, false) : multiplicative(p, false)) as Expr;
  p.leave();
  return { kind: "unary", op, operand };
}

function postfix(p: TokenReader, operand: Expr | Cond): Expr | Cond {
  let result = operand;
  for (;;) {
    if (p.at("COLLATE")) {
      if (isCondition(result)) return result;
      p.advance();
      result = { kind: "collate", operand: result, collation: p.identifier() };
    } else if (p.at("AT") && p.atAll("AT", "TIME", "ZONE")) {
      if (isCondition(result)) return result;
      p.seek(p.pos + 3);
      result = { kind: "at_time_zone", operand: result, zone: primary(p, false) as Expr };
    } else if (p.at(".") && p.peek(2).key === "(" && !isCondition(result)) {
      p.advance();
      result = method(p, result);
    } else {
      return result;
    }
  }
}

/** `value('…', 'int')`, behind the dot. */
function method(p: TokenReader, operand: Expr): Expr {
  const name = p.identifier();
  const made = call(p, { parts: [name] });
  return { kind: "method", operand, name, args: made.kind === "call" ? made.args : [] };
}

function primary(p: TokenReader, orCondition: boolean): Expr | Cond {
  const token = p.token;
  switch (token.kind) {
    case "int":
    case "decimal":
    case "float":
    case "money":
    case "string":
    case "nstring":
    case "binary":
      p.advance();
      return { kind: "literal", type: token.kind, text: token.text };
    case "variable":
      p.advance();
      return { kind: "variable", name: token.text };
    case "global":
      p.advance();
      return { kind: "global", name: token.text };
    case "word":
    case "quoted":
      return named(p);
    case "reserved":
      return keyword(p);
    case "symbol":
      if (token.key === "(") return parenthesis(p, orCondition);
      if (token.key === "{") return escapeClause(p);
      if (token.key === "?") return marker(p);
      return p.fail();
    default:
      return p.fail();
  }
}

/** A literal, a variable or NULL, without any operator. */
export function simpleValue(p: TokenReader): Expr {
  const { kind, key } = p.token;
  if (kind === "word" || kind === "quoted" || key === "(" || (kind === "reserved" && key !== "NULL")) p.fail();
  return primary(p, false) as Expr;
}

/** A parameter marker of ODBC and JDBC; drivers replace them, so that the engine finds none declared. */
export function marker(p: TokenReader): Expr {
  p.expect("?");
  return { kind: "variable", name: `?${++p.markers}` };
}

function named(p: TokenReader): Expr {
  if (p.token.kind === "word") {
    if (p.peek().key === "(") {
      const special = functionCall(p);
      if (special !== undefined) return special;
    } else if (p.at("NEXT") && p.atAll("NEXT", "VALUE", "FOR")) {
      p.seek(p.pos + 3);
      const sequence = p.objectName();
      return p.accept("OVER") ? { kind: "next_value", sequence, over: window(p) } : { kind: "next_value", sequence };
    }
  }
  const parts = p.nameParts();
  if (p.at("(")) return call(p, { parts });
  // A static method of a CLR type: hierarchyid::Parse('/1/').
  if (p.at("::") && p.peek(2).key === "(") {
    p.advance();
    return call(p, { parts: [`${parts.join(".")}::${p.identifier()}`] });
  }
  return { kind: "column", parts };
}

function keyword(p: TokenReader): Expr {
  switch (p.token.key) {
    case "NULL":
      return { kind: "literal", type: "null", text: p.advance().text };
    case "CASE":
      return caseExpression(p);
    case "IDENTITYCOL":
      p.advance();
      return { kind: "column", parts: ["$identity"] };
    case "ROWGUIDCOL":
      p.advance();
      return { kind: "column", parts: ["$rowguid"] };
    default: {
      const result = p.peek().key === "(" ? functionCall(p) : niladicFunction(p);
      return result ?? p.fail();
    }
  }
}

function caseExpression(p: TokenReader): Expr {
  p.enter();
  p.expect("CASE");
  const operand = p.at("WHEN") ? undefined : expression(p);
  const whens: { when: Cond | Expr; then: Expr }[] = [];
  do {
    p.expect("WHEN");
    const when = operand === undefined ? condition(p) : expression(p);
    p.expect("THEN");
    const then = expression(p);
    whens.push({ when, then });
  } while (p.at("WHEN"));
  const otherwise = p.accept("ELSE") ? expression(p) : undefined;
  p.expect("END");
  p.leave();
  const result: Expr = { kind: "case", whens };
  if (operand !== undefined) result.operand = operand;
  if (otherwise !== undefined) result.else = otherwise;
  return result;
}

function parenthesis(p: TokenReader, orCondition: boolean): Expr | Cond {
  p.enter();
  let inner: Expr | Cond;
  const subquery = startsQuery(p, p.pos);
  p.expect("(");
  if (subquery) inner = { kind: "subquery", query: query(p) };
  else inner = orCondition ? predicate(p) : expression(p);
  p.expect(")");
  p.leave();
  return inner;
}

/** Whether the parenthesis at a place encloses a query; `((SELECT …) UNION …)` is one, `((SELECT …) + 1)` is not. */
export function startsQuery(p: TokenReader, pos: number): boolean {
  let at = pos;
  for (;;) {
    if (p.tokens[at]?.key !== "(") return false;
    const inner = p.tokens[at + 1]!.key;
    if (inner === "SELECT") return true;
    if (inner !== "(") return false;
    const after = p.tokens[p.closingOf(at + 1) + 1]?.key ?? "";
    if (!["UNION", "EXCEPT", "INTERSECT", "ORDER", ")"].includes(after)) return false;
    at++;
  }
}

/** Whether an expression could begin here: tells `RETURN` from `RETURN 1`. */
export function startsExpression(p: TokenReader): boolean {
  const { kind, key } = p.token;
  if (kind === "end") return false;
  if (kind === "symbol") return ["(", "-", "+", "~", "{"].includes(key);
  if (kind === "word" || kind === "quoted") return p.peek().key !== ":" && key !== "THROW";
  if (kind !== "reserved") return true;
  return key === "NULL" || key === "CASE" || reservedFunction(key);
}
