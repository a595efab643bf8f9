import type { Cond, Expr, Query } from "./ast.ts";
import { additive, expression, startsQuery } from "./parser-expressions.ts";
import { query } from "./parser-queries.ts";
import { SqlSyntaxError, UnsupportedSyntax } from "./syntax-error.ts";
import type { TokenReader } from "./token-reader.ts";

type CompareOp = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** Every spelling of a comparison; `!<` means "not less than". */
const COMPARISONS: Record<string, CompareOp> = {
  "=": "=",
  "<>": "<>",
  "!=": "<>",
  "<": "<",
  "<=": "<=",
  "!>": "<=",
  ">": ">",
  ">=": ">=",
  "!<": ">=",
};

const CONDITIONS: ReadonlySet<string> = new Set<Cond["kind"]>([
  "and",
  "or",
  "not",
  "compare",
  "quantified",
  "is_null",
  "is_distinct",
  "like",
  "between",
  "in_list",
  "in_query",
  "exists",
  "updated",
]);

export function isCondition(node: Expr | Cond): node is Cond {
  return CONDITIONS.has(node.kind);
}

/** https://learn.microsoft.com/sql/t-sql/queries/search-condition-transact-sql; error 4145 for a value in its place. */
export function condition(p: TokenReader): Cond {
  return required(p, predicate(p));
}

function required(p: TokenReader, node: Expr | Cond): Cond {
  if (isCondition(node)) return node;
  // What cannot go on is a plain syntax error before it is a condition missing.
  if (p.token.kind === "symbol" && p.token.key !== ")" && p.token.key !== ";" && p.token.key !== ",") p.fail();
  throw new SqlSyntaxError(
    4145,
    `An expression of non-boolean type specified in a context where a condition is expected, near '${p.near()}'.`,
    p.token.line,
  );
}

/** A condition, or the expression that turned out to stand in its place: what a parenthesis may hold. */
export function predicate(p: TokenReader): Expr | Cond {
  return chain(p, "OR", "or", conjunction);
}

function conjunction(p: TokenReader): Expr | Cond {
  return chain(p, "AND", "and", negation);
}

function chain(
  p: TokenReader,
  word: "AND" | "OR",
  kind: "and" | "or",
  operand: (p: TokenReader) => Expr | Cond,
): Expr | Cond {
  const first = operand(p);
  if (!p.at(word)) return first;
  const operands = [required(p, first)];
  while (p.accept(word)) operands.push(required(p, operand(p)));
  return joined(kind, operands);
}

/** What a chain of AND or OR may hold before it is halved. */
const LONG_CHAIN = 100;

/** Programs send thousands of `key = 1 OR key = 2 OR …`: halved, they are no deeper than others. */
function joined(kind: "and" | "or", operands: Cond[]): Cond {
  if (operands.length <= LONG_CHAIN) return operands.reduce((left, right) => ({ kind, left, right }));
  const half = operands.length >> 1;
  return { kind, left: joined(kind, operands.slice(0, half)), right: joined(kind, operands.slice(half)) };
}

function negation(p: TokenReader): Expr | Cond {
  if (!p.accept("NOT")) return comparison(p);
  p.enter();
  const operand = required(p, negation(p));
  p.leave();
  return { kind: "not", operand };
}

function comparison(p: TokenReader): Expr | Cond {
  if (p.at("UPDATE") && p.peek().key === "(") {
    p.seek(p.pos + 2);
    const column = p.identifier();
    p.expect(")");
    return { kind: "updated", column };
  }
  if (p.at("EXISTS")) {
    p.advance();
    return { kind: "exists", query: parenthesisedQuery(p) };
  }
  if (p.at("CONTAINS") || p.at("FREETEXT")) throw new UnsupportedSyntax(p.token.key);
  const left = additive(p, true);
  if (isCondition(left)) return left;

  const op = comparisonOperator(p);
  if (op !== undefined) {
    if (p.at("ALL") || p.at("ANY") || p.at("SOME")) {
      const quantifier = p.advance().key === "ALL" ? "all" : "any";
      return { kind: "quantified", op, left, quantifier, query: parenthesisedQuery(p) };
    }
    return { kind: "compare", op, left, right: expression(p) };
  }
  if (p.accept("IS")) {
    const not = p.accept("NOT");
    if (p.accept("NULL")) return { kind: "is_null", operand: left, not };
    p.expectAll("DISTINCT", "FROM");
    // IS NOT DISTINCT FROM: equal, with NULL equal to NULL.
    return { kind: "is_distinct", left, right: expression(p), not };
  }
  const negated = p.at("NOT");
  const word = negated ? p.peek().key : p.token.key;
  if (word !== "LIKE" && word !== "BETWEEN" && word !== "IN") return left;
  p.seek(p.pos + (negated ? 2 : 1));
  switch (word) {
    case "LIKE":
      return like(p, left, negated);
    case "BETWEEN": {
      const low = expression(p);
      p.expect("AND");
      return { kind: "between", operand: left, low, high: expression(p), not: negated };
    }
    default:
      if (startsQuery(p, p.pos)) return { kind: "in_query", operand: left, query: parenthesisedQuery(p), not: negated };
      return { kind: "in_list", operand: left, list: p.parenthesised(() => expression(p)), not: negated };
  }
}

function comparisonOperator(p: TokenReader): CompareOp | undefined {
  const key = p.token.key;
  const op = COMPARISONS[key];
  if (op === undefined) {
    if (key !== "!") return undefined;
    // `! =`
    const joined = COMPARISONS[key + p.peek().key];
    if (joined !== undefined) p.seek(p.pos + 2);
    return joined;
  }
  p.advance();
  // SQL Server lets blanks stand between the two signs: `> =`, `< >`.
  const joined = COMPARISONS[key + p.token.key];
  if (joined === undefined || p.token.key === "") return op;
  p.advance();
  return joined;
}

function like(p: TokenReader, operand: Expr, not: boolean): Cond {
  const result: Cond = { kind: "like", operand, pattern: expression(p), not };
  if (p.accept("ESCAPE")) {
    result.escape = expression(p);
  } else if (p.atAll("{", "ESCAPE")) {
    p.seek(p.pos + 2);
    result.escape = expression(p);
    p.expect("}");
  }
  return result;
}

function parenthesisedQuery(p: TokenReader): Query {
  if (!startsQuery(p, p.pos)) {
    p.expect("(");
    p.fail();
  }
  p.enter();
  p.expect("(");
  const result = query(p);
  p.expect(")");
  p.leave();
  return result;
}
