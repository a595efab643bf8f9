/** https://learn.microsoft.com/sql/xquery/xquery-language-reference-sql-server */
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";
import type { Axis, ParsedQuery, Step, XQuery } from "./xquery-ast.ts";

const NAME = /[\p{L}_][\p{L}\p{N}_.-]*/uy;
const AXES: Record<string, Axis> = {
  child: "child",
  attribute: "attribute",
  self: "self",
  parent: "parent",
  "descendant-or-self": "descendant-or-self",
};
const COMPARISONS: Record<string, string> = { eq: "eq", ne: "ne", lt: "lt", le: "le", gt: "gt", ge: "ge" };
const NODE: Step["test"] = { kind: "node" };

/** `label`: how an error names the method: "value()", "t.c.value()". */
export function parseXQuery(
  text: string,
  label: string,
  namespaces: [prefix: string, uri: string][] = [],
): ParsedQuery {
  let at = 0;
  const sql: string[] = [];
  const prefixes = new Map<string, string>([
    ["xml", "http://www.w3.org/XML/1998/namespace"],
    ["xs", "http://www.w3.org/2001/XMLSchema"],
    ["fn", "http://www.w3.org/2005/xpath-functions"],
    ["sql", "urn:schemas-microsoft-com:xml-sql"],
  ]);
  let defaultUri = "";
  for (const [prefix, uri] of namespaces) {
    if (prefix === "") defaultUri = uri;
    else prefixes.set(prefix, uri);
  }
  prolog();
  const body = sequence();
  blanks();
  if (at < text.length) fail();
  return { body, sql };

  // ---------------------------------------------------------------- characters

  function fail(): never {
    blanks();
    const near = /^(?:[\p{L}\p{N}_.-]+|.)/su.exec(text.slice(at))?.[0] ?? "<eof>";
    throw new SqlError(2209, `XQuery [${label}]: Syntax error near '${near}'`, 16, 1);
  }

  function blanks(): void {
    const pattern = /(?:\s|\(:.*?:\))*/sy;
    pattern.lastIndex = at;
    at += pattern.exec(text)![0].length;
  }

  function sees(sign: string): boolean {
    blanks();
    return text.startsWith(sign, at);
  }

  function accept(sign: string): boolean {
    if (!sees(sign)) return false;
    at += sign.length;
    return true;
  }

  function expect(sign: string): void {
    if (!accept(sign)) fail();
  }

  function peekName(): string | undefined {
    blanks();
    NAME.lastIndex = at;
    return NAME.exec(text)?.[0];
  }

  /** A word that is an operator here. */
  function acceptWord(word: string): boolean {
    if (peekName() !== word) return false;
    at += word.length;
    return true;
  }

  function name(): string {
    const found = peekName() ?? fail();
    at += found.length;
    return found;
  }

  function string(): string {
    blanks();
    const quote = text[at];
    if (quote !== '"' && quote !== "'") fail();
    let result = "";
    at++;
    for (;;) {
      const close = text.indexOf(quote!, at);
      if (close < 0) {
        at = text.length;
        fail();
      }
      result += text.slice(at, close);
      at = close + 1;
      if (text[at] !== quote) break;
      result += quote;
      at++;
    }
    return result.replace(
      /&(lt|gt|amp|quot|apos);/g,
      (_, entity: string) => ({ lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" })[entity]!,
    );
  }

  // ---------------------------------------------------------------- prolog

  function prolog(): void {
    for (;;) {
      const before = at;
      if (!acceptWord("declare")) return;
      if (acceptWord("namespace")) {
        const prefix = name();
        expect("=");
        prefixes.set(prefix, string());
      } else if (acceptWord("default")) {
        if (!acceptWord("element")) fail();
        if (!acceptWord("namespace")) fail();
        defaultUri = string();
      } else {
        at = before;
        return;
      }
      expect(";");
    }
  }

  // ---------------------------------------------------------------- expressions

  function sequence(): XQuery {
    const first = expression();
    if (!sees(",")) return first;
    const items = [first];
    while (accept(",")) items.push(expression());
    return { kind: "sequence", items };
  }

  function expression(): XQuery {
    let left = conjunction();
    while (acceptWord("or")) left = { kind: "binary", op: "or", left, right: conjunction() };
    return left;
  }

  function conjunction(): XQuery {
    let left = comparison();
    while (acceptWord("and")) left = { kind: "binary", op: "and", left, right: comparison() };
    return left;
  }

  function comparison(): XQuery {
    const left = additive();
    for (const sign of ["!=", "<=", ">=", "=", "<", ">"])
      if (accept(sign)) return { kind: "binary", op: sign, left, right: additive() };
    const word = peekName();
    if (word !== undefined && Object.hasOwn(COMPARISONS, word)) {
      at += word.length;
      return { kind: "binary", op: word, left, right: additive() };
    }
    return left;
  }

  function additive(): XQuery {
    let left = multiplicative();
    for (;;) {
      if (accept("+")) left = { kind: "binary", op: "+", left, right: multiplicative() };
      else if (accept("-")) left = { kind: "binary", op: "-", left, right: multiplicative() };
      else return left;
    }
  }

  function multiplicative(): XQuery {
    let left = unary();
    for (;;) {
      if (accept("*")) left = { kind: "binary", op: "*", left, right: unary() };
      else if (acceptWord("div")) left = { kind: "binary", op: "div", left, right: unary() };
      else if (acceptWord("mod")) left = { kind: "binary", op: "mod", left, right: unary() };
      else if (sees("|")) throw unsupported("the union of paths in XQuery");
      else return left;
    }
  }

  function unary(): XQuery {
    if (accept("-")) return { kind: "negate", operand: unary() };
    return path();
  }

  // ---------------------------------------------------------------- paths

  function path(): XQuery {
    if (sees("//")) {
      at += 2;
      return { kind: "path", from: "root", steps: [anyDepth(), ...steps()] };
    }
    if (accept("/")) return { kind: "path", from: "root", steps: startsStep() ? steps() : [] };
    const first = primary();
    if (!first) return { kind: "path", from: "context", steps: steps() };
    const filtered = predicates();
    const base: XQuery = filtered.length > 0 ? { kind: "filter", base: first, predicates: filtered } : first;
    if (!sees("/")) return base;
    const more: Step[] = [];
    slash(more);
    return { kind: "path", from: base, steps: [...more, ...steps()] };
  }

  function anyDepth(): Step {
    return { axis: "descendant-or-self", test: NODE, predicates: [] };
  }

  function slash(into: Step[]): void {
    if (accept("//")) into.push(anyDepth());
    else expect("/");
  }

  function startsStep(): boolean {
    return sees("@") || sees(".") || sees("*") || peekName() !== undefined;
  }

  function steps(): Step[] {
    const result = [step()];
    while (sees("/")) {
      slash(result);
      result.push(step());
    }
    return result;
  }

  function step(): Step {
    if (accept("..")) return { axis: "parent", test: NODE, predicates: predicates() };
    if (accept(".")) return { axis: "self", test: NODE, predicates: predicates() };
    let axis: Axis = "child";
    if (accept("@")) axis = "attribute";
    else {
      const word = peekName();
      if (word !== undefined && text.startsWith("::", at + word.length)) {
        axis = (Object.hasOwn(AXES, word) ? AXES[word] : undefined) ?? unknownAxis(word);
        at += word.length + 2;
      }
    }
    const test = nodeTest(axis);
    return { axis, test, predicates: predicates() };
  }

  function unknownAxis(word: string): never {
    throw unsupported(`the XQuery axis ${word}`);
  }

  function nodeTest(axis: Axis): Step["test"] {
    if (accept("*")) {
      if (!accept(":")) return { kind: "name", uri: null, local: "*" };
      return { kind: "name", uri: null, local: name() };
    }
    const first = name();
    if (sees("(")) {
      const kinds: Record<string, Step["test"]["kind"]> = {
        node: "node",
        text: "text",
        comment: "comment",
        "processing-instruction": "instruction",
      };
      const kind = Object.hasOwn(kinds, first) ? kinds[first] : undefined;
      if (!kind || kind === "name") fail();
      at++;
      expect(")");
      return { kind: kind as "node" };
    }
    if (text[at] === ":" && text[at + 1] !== ":") {
      at++;
      const uri = uriOf(first);
      return { kind: "name", uri, local: accept("*") ? "*" : name() };
    }
    return { kind: "name", uri: axis === "attribute" ? "" : defaultUri, local: first };
  }

  function uriOf(prefix: string): string {
    const uri = prefixes.get(prefix);
    if (uri === undefined)
      throw new SqlError(2229, `XQuery [${label}]: The name "${prefix}" does not denote a namespace.`, 16, 1);
    return uri;
  }

  function predicates(): XQuery[] {
    const result: XQuery[] = [];
    while (accept("[")) {
      result.push(expression());
      expect("]");
    }
    return result;
  }

  // ---------------------------------------------------------------- primaries

  /** undefined: a step of a path begins here. */
  function primary(): XQuery | undefined {
    blanks();
    const sign = text[at] ?? "";
    if (sign === '"' || sign === "'") return { kind: "string", value: string() };
    if (/[\d]/.test(sign) || (sign === "." && /\d/.test(text[at + 1] ?? ""))) return number();
    if (sign === "(") {
      at++;
      if (accept(")")) return { kind: "sequence", items: [] };
      const inner = sequence();
      expect(")");
      return inner;
    }
    if (sign === "." && text[at + 1] !== ".") {
      at++;
      return { kind: "context" };
    }
    if (sign === "<") throw unsupported("constructors in XQuery");
    if (sign === "$") throw unsupported("variables in XQuery");
    return call();
  }

  function number(): XQuery {
    const pattern = /\d*\.?\d*(?:[eE][+-]?\d+)?/y;
    pattern.lastIndex = at;
    const found = pattern.exec(text)![0];
    at += found.length;
    return { kind: "number", value: Number(found) };
  }

  function call(): XQuery | undefined {
    const found = /[\p{L}_][\p{L}\p{N}_.-]*(?::[\p{L}_][\p{L}\p{N}_.-]*)?(?=\s*\()/uy;
    blanks();
    found.lastIndex = at;
    const written = found.exec(text)?.[0];
    if (written === undefined) {
      const word = peekName();
      if ((word === "for" || word === "let") && /^(?:for|let)\s+\$/.test(text.slice(at)))
        throw unsupported("FLWOR in XQuery");
      return undefined;
    }
    if (/^(?:node|text|comment|processing-instruction)$/.test(written)) return undefined;
    if (written === "if") throw unsupported("if in XQuery");
    at += written.length;
    expect("(");
    const args: XQuery[] = [];
    if (!sees(")")) {
      args.push(expression());
      while (accept(",")) args.push(expression());
    }
    expect(")");
    if (written === "sql:variable" || written === "sql:column") {
      const named = args[0];
      if (named?.kind !== "string") fail();
      return { kind: "sql", place: sql.push((named as { value: string }).value) - 1 };
    }
    return { kind: "call", name: written.replace(/^fn:/, ""), args };
  }
}
