/** JSON paths: `lax $.a."b c"[0]`. https://learn.microsoft.com/sql/relational-databases/json/json-path-expressions-sql-server */
import { SqlError } from "../session.ts";
import type { JsonNode } from "./parse.ts";

export type Step = { key: string } | { index: number };

export interface JsonPath {
  strict: boolean;
  /** JSON_MODIFY's: put the value at the array's end. */
  append: boolean;
  steps: Step[];
}

const NAME = /[\p{L}_][\p{L}\p{N}_$]*/uy;

/** Error 13607 where it is no path. */
export function parsePath(text: string, modifies = false): JsonPath {
  const path: JsonPath = { strict: false, append: false, steps: [] };
  let at = 0;
  const fail = (): never => {
    throw new SqlError(
      13607,
      `JSON path is not properly formatted. Unexpected character '${text[at] ?? "."}' is found at position ${at}.`,
      16,
      4,
    );
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  match(/\s*/y);
  if (modifies && match(/append(?=\s)\s*/y) !== undefined) path.append = true;
  const mode = match(/(?:lax|strict)(?=\s)\s*/y);
  if (mode?.startsWith("strict")) path.strict = true;
  if (text[at] !== "$") fail();
  at++;
  for (;;) {
    match(/\s*/y);
    if (at >= text.length) return path;
    if (text[at] === ".") {
      at++;
      path.steps.push({ key: key() });
    } else if (text[at] === "[") {
      at++;
      match(/\s*/y);
      const digits = match(/\d+/y) ?? fail();
      match(/\s*/y);
      if (text[at] !== "]") fail();
      at++;
      path.steps.push({ index: Number(digits) });
    } else fail();
  }

  function key(): string {
    if (text[at] !== '"') return match(NAME) ?? fail();
    const quoted = match(/"(?:[^"\\]|\\.)*"/sy);
    if (quoted === undefined) {
      at = text.length;
      fail();
    }
    return JSON.parse(quoted!) as string;
  }
}

/** What the path leads to; of several members with one key, the first. */
export function find(root: JsonNode, steps: Step[]): JsonNode | undefined {
  let node: JsonNode | undefined = root;
  for (const step of steps) {
    if ("key" in step) node = node?.kind === "object" ? member(node, step.key) : undefined;
    else node = node?.kind === "array" ? node.items[step.index] : undefined;
    if (!node) return undefined;
  }
  return node;
}

export function member(node: JsonNode & { kind: "object" }, key: string): JsonNode | undefined {
  return node.members.find((candidate) => candidate.key === key)?.value;
}

/** Paths that come again and again are parsed once. */
export function pathReader(modifies = false): (text: string) => JsonPath {
  const known = new Map<string, JsonPath>();
  return (text) => {
    let path = known.get(text);
    if (!path) {
      if (known.size > 1000) known.clear();
      known.set(text, (path = parsePath(text, modifies)));
    }
    return path;
  };
}

export function notFound(state = 1): SqlError {
  return new SqlError(13608, "Property cannot be found on the specified JSON path.", 16, state);
}
