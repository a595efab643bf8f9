import type { ObjectName } from "./ast.ts";
import { STATEMENT_STARTS } from "./keywords.ts";
import { type Token, tokenize } from "./lexer.ts";
import { SqlSyntaxError } from "./syntax-error.ts";

/** Nesting of parentheses, CASE, IF … beyond which SQL Server gives up as well (error 191), though it goes deeper. */
const MAX_DEPTH = 500;

/** Words directly behind one of these continue a statement, even if they could begin one: `WITH ROLLBACK IMMEDIATE`. */
const CONTINUES: ReadonlySet<string> = new Set(["WITH", ",", "FOR", "ON", "TO", "=", "AS", "OF", "."]);

/** The tokens of one batch and the place the parser has come to. */
export class TokenReader {
  readonly text: string;
  readonly tokens: Token[];
  pos = 0;
  /** The token at `pos`. */
  token: Token;
  /** How deep the parser is inside nested constructs. */
  depth = 0;
  /** `?` markers met so far. */
  markers = 0;
  private closing: Int32Array | undefined;

  constructor(text: string, quotedIdentifier = true) {
    this.text = text;
    this.tokens = tokenize(text, quotedIdentifier);
    this.token = this.tokens[0]!;
  }

  get atEnd(): boolean {
    return this.token.kind === "end";
  }

  get previous(): Token {
    return this.tokens[Math.max(0, this.pos - 1)]!;
  }

  /** The token `ahead` places on; the end token when there are no more. */
  peek(ahead = 1): Token {
    return this.tokens[this.pos + ahead] ?? this.tokens[this.tokens.length - 1]!;
  }

  seek(pos: number): void {
    this.pos = pos;
    this.token = this.tokens[pos]!;
  }

  /** Steps over the present token and returns it; the end stays where it is. */
  advance(): Token {
    const token = this.token;
    if (token.kind !== "end") this.token = this.tokens[++this.pos]!;
    return token;
  }

  at(key: string): boolean {
    return this.token.key === key;
  }

  /** Whether these words or symbols come next, in this order. */
  atAll(...keys: string[]): boolean {
    return keys.every((key, i) => this.peek(i).key === key);
  }

  accept(key: string): boolean {
    if (this.token.key !== key) return false;
    this.advance();
    return true;
  }

  acceptAll(...keys: string[]): boolean {
    if (!this.atAll(...keys)) return false;
    this.seek(this.pos + keys.length);
    return true;
  }

  expect(key: string): Token {
    if (this.token.key !== key) this.fail();
    return this.advance();
  }

  expectAll(...keys: string[]): void {
    for (const key of keys) this.expect(key);
  }

  /** One of several words, which it returns. */
  expectOne(...keys: string[]): string {
    if (!keys.includes(this.token.key)) this.fail();
    return this.advance().key;
  }

  atIdentifier(): boolean {
    return this.token.kind === "word" || this.token.kind === "quoted";
  }

  /** An identifier, without its brackets or quotes. */
  identifier(): string {
    if (!this.atIdentifier()) this.fail();
    return this.advance().text;
  }

  variable(): string {
    if (this.token.kind !== "variable") this.fail();
    return this.advance().text;
  }

  /** The value of a string literal. */
  string(): string {
    if (this.token.kind !== "string" && this.token.kind !== "nstring") this.fail();
    return this.advance().text;
  }

  /** A dotted name; omitted middle parts (`db..t`) are "". Stops before `.*`. */
  nameParts(): string[] {
    const parts = [this.identifier()];
    while (this.token.key === "." && this.peek().key !== "*") {
      this.advance();
      parts.push(this.at(".") ? "" : this.identifier());
    }
    return parts;
  }

  /** A name of an object; bulk copy clients write `..sp_tablecollations_100`, where the leading dots say nothing. */
  objectName(): ObjectName {
    while (this.at(".")) this.advance();
    const parts = this.nameParts();
    if (parts.length > 4) {
      throw new SqlSyntaxError(
        117,
        `The object name '${parts.join(".")}' contains more than the maximum number of prefixes. The maximum is 3.`,
        this.previous.line,
      );
    }
    return { parts };
  }

  /** `item, item, …` */
  list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.accept(",")) items.push(item());
    return items;
  }

  /** `(item, item, …)` */
  parenthesised<T>(item: () => T): T[] {
    this.expect("(");
    const items = this.list(item);
    this.expect(")");
    return items;
  }

  columnNames(): string[] {
    return this.parenthesised(() => this.identifier());
  }

  /** The source text from a token on to the last one read. */
  sourceFrom(first: Token): string {
    return this.text.slice(first.start, this.previous.end);
  }

  /** The words and symbols from `first` up to here with single blanks between, bare words in upper case. */
  rawFrom(first: number): string {
    const words: string[] = [];
    for (let i = first; i < this.pos; i++) {
      const token = this.tokens[i]!;
      words.push(token.key || this.text.slice(token.start, token.end));
    }
    return words.join(" ");
  }

  /** Steps over everything up to the `)` that belongs to the `(` here. */
  skipParenthesised(): void {
    this.expect("(");
    for (let open = 1; open > 0; ) {
      if (this.atEnd) this.fail();
      const key = this.advance().key;
      if (key === "(") open++;
      else if (key === ")") open--;
    }
  }

  /** The place of the `)` that closes the `(` at `pos`; the end's when none does. */
  closingOf(pos: number): number {
    if (this.closing === undefined) {
      this.closing = new Int32Array(this.tokens.length).fill(this.tokens.length - 1);
      const open: number[] = [];
      for (let i = 0; i < this.tokens.length; i++) {
        const key = this.tokens[i]!.key;
        if (key === "(") open.push(i);
        else if (key === ")" && open.length > 0) this.closing[open.pop()!] = i;
      }
    }
    return this.closing[pos]!;
  }

  /**
   * Steps over what is left of a statement that began at `start`: to a semicolon, or to a word that begins another
   * statement outside parentheses. The token at `pos` may be any.
   */
  skipStatement(start: number): void {
    let open = 0;
    for (let i = start; i < this.pos; i++) {
      const key = this.tokens[i]!.key;
      if (key === "(") open++;
      else if (key === ")") open--;
    }
    for (; !this.atEnd; this.advance()) {
      const token = this.token;
      if (token.key === "(") open++;
      else if (token.key === ")") open--;
      else if (token.key === ";") return;
      else if (
        open <= 0 &&
        this.pos > start &&
        STATEMENT_STARTS.has(token.key) &&
        (token.key === "END" || !CONTINUES.has(this.previous.key)) &&
        !(token.key === "SET" && this.peek().key === "(")
      ) {
        return;
      }
    }
  }

  /** Counts a level of nesting; every `enter` has its `leave`, except on the way of an error. */
  enter(): void {
    if (++this.depth > MAX_DEPTH) {
      throw new SqlSyntaxError(
        191,
        "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries.",
        this.token.line,
      );
    }
  }

  leave(): void {
    this.depth--;
  }

  /** SQL Server's complaint about a token: 156 for a reserved word, else 102; the last token's when the text is over. */
  fail(token: Token = this.token): never {
    const near = this.near(token);
    if (token.kind === "reserved") {
      throw new SqlSyntaxError(156, `Incorrect syntax near the keyword '${near}'.`, token.line);
    }
    throw new SqlSyntaxError(102, `Incorrect syntax near '${near}'.`, token.line);
  }

  /** How an error names a token. */
  near(token: Token = this.token): string {
    return token.kind === "end" ? (this.tokens.at(-2)?.text ?? "") : token.text;
  }
}
