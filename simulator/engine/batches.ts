/** Parsed batches by their text: clients send the same few again and again. */
import type { Statement } from "../sql/ast.ts";
import { parseBatch, SqlSyntaxError } from "../sql/parser.ts";
import { SqlError } from "./session.ts";

const MOST = 500;
/** Longer texts are not kept: they do not come twice. */
const LONGEST = 20_000;

export class ParsedBatches {
  readonly #known = new Map<string, Statement[]>();

  /** Throws an SqlError for what cannot be parsed. The result is shared: it is not to be changed. */
  parse(text: string, quotedIdentifier: boolean): Statement[] {
    const key = quotedIdentifier ? text : `\0${text}`;
    const known = this.#known.get(key);
    if (known) {
      // The one used last goes last.
      this.#known.delete(key);
      this.#known.set(key, known);
      return known;
    }
    const statements = parse(text, quotedIdentifier);
    if (text.length <= LONGEST) {
      if (this.#known.size >= MOST) this.#known.delete(this.#known.keys().next().value!);
      this.#known.set(key, statements);
    }
    return statements;
  }
}

function parse(text: string, quotedIdentifier: boolean): Statement[] {
  try {
    return parseBatch(text, quotedIdentifier);
  } catch (error) {
    if (error instanceof SqlSyntaxError)
      throw new SqlError(error.number, error.message, error.severity, error.state, error.line);
    throw error;
  }
}
