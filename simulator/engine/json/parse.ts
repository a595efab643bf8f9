/** JSON text as a tree that knows where each value stands, so that numbers and fragments keep their spelling. */
import { SqlError } from "../session.ts";

interface Placed {
  /** The value is `text.slice(start, end)`. */
  start: number;
  end: number;
}

export interface Member {
  key: string;
  /** Where the key's own text begins. */
  start: number;
  value: JsonNode;
}

export type JsonNode = Placed &
  (
    | { kind: "object"; members: Member[] }
    | { kind: "array"; items: JsonNode[] }
    | { kind: "string"; value: string }
    | { kind: "number" | "true" | "false" | "null" }
  );

/** Error 13609 where the text is no JSON, with the character that is wrong and its place, from 0. */
export function parseJson(text: string): JsonNode {
  let at = 0;
  blanks();
  const result = value(0);
  blanks();
  if (at < text.length) fail();
  return result;

  function fail(): never {
    const found = text[at] ?? ".";
    throw new SqlError(
      13609,
      `JSON text is not properly formatted. Unexpected character '${found}' is found at position ${at}.`,
      16,
      4,
    );
  }

  function blanks(): void {
    while (text[at] === " " || text[at] === "\t" || text[at] === "\n" || text[at] === "\r") at++;
  }

  function value(depth: number): JsonNode {
    if (depth > 128)
      throw new SqlError(13606, "JSON text/path that has more than 128 nesting levels cannot be parsed.", 16, 1);
    const start = at;
    switch (text[at]) {
      case "{":
        return object(depth);
      case "[":
        return array(depth);
      case '"': {
        const content = string();
        return { kind: "string", value: content, start, end: at };
      }
      case "t":
        return word("true");
      case "f":
        return word("false");
      case "n":
        return word("null");
      default:
        return number();
    }
  }

  function word(kind: "true" | "false" | "null"): JsonNode {
    const start = at;
    for (const letter of kind) {
      if (text[at] !== letter) fail();
      at++;
    }
    return { kind, start, end: at };
  }

  function number(): JsonNode {
    const pattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) fail();
    const start = at;
    at += found![0].length;
    return { kind: "number", start, end: at };
  }

  function object(depth: number): JsonNode {
    const start = at++;
    const members: Member[] = [];
    blanks();
    if (text[at] !== "}")
      for (;;) {
        const keyStart = at;
        if (text[at] !== '"') fail();
        const key = string();
        blanks();
        if (text[at] !== ":") fail();
        at++;
        blanks();
        members.push({ key, start: keyStart, value: value(depth + 1) });
        blanks();
        if (text[at] !== ",") break;
        at++;
        blanks();
      }
    if (text[at] !== "}") fail();
    at++;
    return { kind: "object", members, start, end: at };
  }

  function array(depth: number): JsonNode {
    const start = at++;
    const items: JsonNode[] = [];
    blanks();
    if (text[at] !== "]")
      for (;;) {
        items.push(value(depth + 1));
        blanks();
        if (text[at] !== ",") break;
        at++;
        blanks();
      }
    if (text[at] !== "]") fail();
    at++;
    return { kind: "array", items, start, end: at };
  }

  function string(): string {
    at++;
    let result = "";
    for (;;) {
      const from = at;
      while (at < text.length && text[at] !== '"' && text[at] !== "\\" && text[at]! >= " ") at++;
      result += text.slice(from, at);
      if (text[at] === '"') {
        at++;
        return result;
      }
      if (text[at] !== "\\") fail();
      at++;
      result += escaped();
    }
  }

  function escaped(): string {
    const sign = text[at] ?? "";
    const simple = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }[sign];
    if (simple !== undefined) {
      at++;
      return simple;
    }
    if (sign !== "u") fail();
    const digits = text.slice(at + 1, at + 5);
    if (!/^[\da-fA-F]{4}$/.test(digits)) {
      at++;
      fail();
    }
    at += 5;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }
}
