import type { Expr, SelectCore } from "./ast.ts";
import { expression } from "./parser-expressions.ts";
import type { TokenReader } from "./token-reader.ts";

/** The sets of expressions by which a GROUP BY element groups; one set for a plain expression. */
type Sets = Expr[][];

/**
 * GROUP BY, after its two words. Several elements multiply: `a, ROLLUP (b)` groups by (a, b) and by (a).
 * https://learn.microsoft.com/sql/t-sql/queries/select-group-by-transact-sql
 */
export function groupBy(p: TokenReader): Pick<SelectCore, "groupBy" | "groupingSets"> {
  p.accept("ALL");
  let simple = true;
  const elements = p.list(() => {
    if (atSets(p)) simple = false;
    return element(p);
  });
  const old = p.at("WITH") && (p.peek().key === "ROLLUP" || p.peek().key === "CUBE");
  if (old) {
    p.advance();
    const parts = elements.map((sets) => sets[0]!);
    const sets = p.advance().key === "CUBE" ? cube(parts) : rollup(parts);
    return { groupBy: parts.flat(), groupingSets: sets };
  }
  const sets = elements.reduce(product);
  return simple ? { groupBy: sets[0]! } : { groupBy: [...new Set(sets.flat())], groupingSets: sets };
}

function atSets(p: TokenReader): boolean {
  if (p.atAll("(", ")") || p.atAll("GROUPING", "SETS", "(")) return true;
  return (p.at("ROLLUP") || p.at("CUBE")) && p.peek().key === "(";
}

function element(p: TokenReader): Sets {
  if (p.acceptAll("(", ")")) return [[]];
  if (p.atAll("GROUPING", "SETS", "(")) {
    p.seek(p.pos + 2);
    return p.parenthesised(() => (atSets(p) ? element(p) : [composite(p)])).flat();
  }
  if ((p.at("ROLLUP") || p.at("CUBE")) && p.peek().key === "(") {
    const combine = p.advance().key === "CUBE" ? cube : rollup;
    return combine(p.parenthesised(() => composite(p)));
  }
  return [[expression(p)]];
}

/** `a`, or `(a, b)`, which stays together. */
function composite(p: TokenReader): Expr[] {
  if (!p.at("(")) return [expression(p)];
  // `(a + b) * 2` is an expression, `(a, b)` a list.
  const end = p.closingOf(p.pos);
  const next = p.tokens[end + 1]!.key;
  if (next !== "," && next !== ")") return [expression(p)];
  return p.parenthesised(() => expression(p));
}

/** The whole list, then without its last part, and so on down to nothing. */
function rollup(parts: Expr[][]): Sets {
  return Array.from({ length: parts.length + 1 }, (_, left) => parts.slice(0, parts.length - left).flat());
}

/** Every choice among the parts. */
function cube(parts: Expr[][]): Sets {
  const sets: Sets = [];
  for (let choice = 2 ** parts.length - 1; choice >= 0; choice--)
    sets.push(parts.filter((_, i) => choice & (1 << (parts.length - 1 - i))).flat());
  return sets;
}

function product(left: Sets, right: Sets): Sets {
  return left.flatMap((a) => right.map((b) => [...a, ...b]));
}
