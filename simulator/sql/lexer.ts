/**
 * Cuts the text of a batch into tokens, in one pass over its character codes.
 * Constants: https://learn.microsoft.com/sql/t-sql/data-types/constants-transact-sql
 * Identifiers: https://learn.microsoft.com/sql/relational-databases/databases/database-identifiers
 */

import { RESERVED } from "./keywords.ts";
import { SqlSyntaxError } from "./syntax-error.ts";

export type LiteralKind = "int" | "decimal" | "float" | "money" | "string" | "nstring" | "binary";

/** `word` is a bare word that may be an identifier, `reserved` one that may not, `quoted` is `[x]` or `"x"`. */
export type TokenKind = LiteralKind | "word" | "reserved" | "quoted" | "variable" | "global" | "symbol" | "end";

export class Token {
  readonly kind: TokenKind;
  /** A word in upper case, or a symbol: what the parser compares with. "" for all others, so that none is a keyword. */
  readonly key: string;
  /** A word as written, a name without its quotes, a string's value, a number's digits (money without its sign). */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly line: number;

  constructor(kind: TokenKind, key: string, text: string, start: number, end: number, line: number) {
    this.kind = kind;
    this.key = key;
    this.text = text;
    this.start = start;
    this.end = end;
    this.line = line;
  }
}

const IDENTIFIER_PART = 1;
const DIGIT = 2;
const SPACE = 4;

/** What an ASCII character may be; others go through `classify`. */
const CLASS = new Uint8Array(128);
for (let c = 0; c <= 32; c++) CLASS[c] = SPACE;
for (let c = 48; c <= 57; c++) CLASS[c] = DIGIT | IDENTIFIER_PART;
for (let c = 65; c <= 90; c++) CLASS[c] = CLASS[c + 32] = IDENTIFIER_PART;
for (const sign of "_@#$") CLASS[sign.charCodeAt(0)] = IDENTIFIER_PART;

const LETTER = /[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}]/u;
const BLANK = /[\s\u200b\ufeff]/u;
const CURRENCY = /\p{Sc}/u;

function classify(code: number): number {
  if (code < 128) return CLASS[code]!;
  const character = String.fromCharCode(code);
  if (LETTER.test(character)) return IDENTIFIER_PART;
  return BLANK.test(character) ? SPACE : 0;
}

/** The symbols of two characters, by their first. `< =`, with a blank, is put together by the parser. */
const SECOND: Record<string, string> = {
  "<": "=><",
  ">": "=>",
  "!": "=<>",
  "+": "=",
  "-": "=",
  "*": "=",
  "/": "=",
  "%": "=",
  "&": "=",
  "|": "=",
  "^": "=",
  ":": ":",
};

const QUOTE = 39;
const MAX_INT = "2147483647";

/**
 * All tokens of a text, the last of kind `end`. Text in double quotes is a name, or a string where QUOTED_IDENTIFIER is OFF.
 * Throws SqlSyntaxError 105 and 113 for what is never closed.
 */
export function tokenize(text: string, quotedIdentifier = true): Token[] {
  const tokens: Token[] = [];
  const length = text.length;
  let at = 0;
  let line = 1;

  let quoted = quotedIdentifier;
  let scanned = 0;

  /**
   * "As the batch is parsed any occurrence of SET QUOTED_IDENTIFIER will change the parsing behavior from that point on."
   * https://learn.microsoft.com/sql/t-sql/statements/set-quoted-identifier-transact-sql
   */
  function quotesNames(): boolean {
    for (; scanned + 2 < tokens.length; scanned++) {
      if (tokens[scanned]!.key !== "SET" || tokens[scanned + 1]!.key !== "QUOTED_IDENTIFIER") continue;
      const { key } = tokens[scanned + 2]!;
      if (key === "ON" || key === "OFF") quoted = key === "ON";
    }
    return quoted;
  }

  /** Reads up to the closing quote, which is doubled inside; `at` stands on the opening one and ends behind the closing. */
  function delimited(close: number): string {
    const openLine = line;
    let from = at + 1;
    let value = "";
    for (let i = from; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code === 10) line++;
      else if (code === close) {
        if (text.charCodeAt(i + 1) === close) {
          value += text.slice(from, ++i);
          from = i + 1;
        } else {
          at = i + 1;
          return value + text.slice(from, i);
        }
      }
    }
    const rest = value + text.slice(from);
    throw new SqlSyntaxError(105, `Unclosed quotation mark after the character string '${rest}'.`, openLine);
  }

  /** A backslash at the end of a line continues the string on the next, without either. */
  function joined(value: string): string {
    return value.includes("\\") ? value.replace(/\\\r?\n/g, "") : value;
  }

  function skipBlockComment(): void {
    const openLine = line;
    let depth = 0;
    while (at < length) {
      const code = text.charCodeAt(at);
      if (code === 47 && text.charCodeAt(at + 1) === 42) {
        depth++;
        at += 2;
      } else if (code === 42 && text.charCodeAt(at + 1) === 47) {
        at += 2;
        if (--depth === 0) return;
      } else {
        if (code === 10) line++;
        at++;
      }
    }
    throw new SqlSyntaxError(113, "Missing end comment mark '*/'.", openLine);
  }

  function digitsFrom(from: number): number {
    let i = from;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code < 48 || code > 57) break;
    }
    return i;
  }

  function hexDigitsFrom(from: number): number {
    let i = from;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      const letter = code | 32;
      if ((code < 48 || code > 57) && (letter < 97 || letter > 102)) break;
    }
    return i;
  }

  /** The end of a number that begins at `from`, and its kind. `1.`, `.5` and `1e` are numbers. */
  function number(from: number): LiteralKind {
    let kind: LiteralKind = "int";
    let i = digitsFrom(from);
    if (text.charCodeAt(i) === 46) {
      kind = "decimal";
      i = digitsFrom(i + 1);
    }
    if ((text.charCodeAt(i) | 32) === 101) {
      kind = "float";
      i++;
      const sign = text.charCodeAt(i);
      if (sign === 43 || sign === 45) i++;
      i = digitsFrom(i);
    }
    at = i;
    // An integer that does not fit int is a decimal, as SQL Server has it.
    if (kind === "int" && i - from >= MAX_INT.length) {
      const digits = text.slice(from, i).replace(/^0+/, "");
      if (digits.length > MAX_INT.length || (digits.length === MAX_INT.length && digits > MAX_INT)) return "decimal";
    }
    return kind;
  }

  function wordEnd(from: number): number {
    let i = from;
    while (i < length && classify(text.charCodeAt(i)) & IDENTIFIER_PART) i++;
    return i;
  }

  while (at < length) {
    const code = text.charCodeAt(at);
    const type = classify(code);
    if (type === SPACE) {
      if (code === 10) line++;
      at++;
      continue;
    }
    const start = at;
    const startLine = line;
    const next = text.charCodeAt(at + 1);

    if (type & DIGIT) {
      if (code === 48 && (next | 32) === 120) {
        at = hexDigitsFrom(at + 2);
        tokens.push(new Token("binary", "", text.slice(start, at), start, at, startLine));
      } else {
        const kind = number(start);
        tokens.push(new Token(kind, "", text.slice(start, at), start, at, startLine));
      }
      continue;
    }
    if (code === QUOTE || (code === 34 && !quotesNames())) {
      const value = joined(delimited(code));
      tokens.push(new Token("string", "", value, start, at, startLine));
      continue;
    }
    if (code === 64) {
      at = wordEnd(at + 1);
      const kind = next === 64 ? "global" : "variable";
      tokens.push(new Token(kind, "", text.slice(start, at), start, at, startLine));
      continue;
    }
    if (code === 36 && !(classify(next) === IDENTIFIER_PART && next !== 36)) {
      at++;
      if ((next >= 48 && next <= 57) || next === 46) number(at);
      tokens.push(new Token("money", "", text.slice(start + 1, at) || "0", start, at, startLine));
      continue;
    }
    if (type & IDENTIFIER_PART) {
      if ((code | 32) === 110 && next === QUOTE) {
        at++;
        const value = joined(delimited(QUOTE));
        tokens.push(new Token("nstring", "", value, start, at, startLine));
        continue;
      }
      at = wordEnd(at + 1);
      const word = text.slice(start, at);
      const key = word.toUpperCase();
      tokens.push(new Token(RESERVED.has(key) ? "reserved" : "word", key, word, start, at, startLine));
      continue;
    }
    if (code === 91 || code === 34) {
      const value = delimited(code === 91 ? 93 : 34);
      tokens.push(new Token("quoted", "", value, start, at, startLine));
      continue;
    }
    if (code === 45 && next === 45) {
      const eol = text.indexOf("\n", at);
      at = eol < 0 ? length : eol;
      continue;
    }
    if (code === 47 && next === 42) {
      skipBlockComment();
      continue;
    }
    if (code === 46 && next >= 48 && next <= 57) {
      const kind = number(start);
      tokens.push(new Token(kind, "", text.slice(start, at), start, at, startLine));
      continue;
    }
    if (code > 128 && CURRENCY.test(text[at]!) && ((next >= 48 && next <= 57) || next === 46)) {
      number(++at);
      tokens.push(new Token("money", "", text.slice(start + 1, at), start, at, startLine));
      continue;
    }
    const first = text[at]!;
    at += at + 1 < length && SECOND[first]?.includes(text[at + 1]!) ? 2 : 1;
    const symbol = text.slice(start, at);
    tokens.push(new Token("symbol", symbol, symbol, start, at, startLine));
  }
  tokens.push(new Token("end", "", "", length, length, tokens.at(-1)?.line ?? 1));
  return tokens;
}
