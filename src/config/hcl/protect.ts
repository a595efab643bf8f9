/**
 * Finds `{{ env "X" }}` in HCL text and covers it, character for character, with something that is plain text to an HCL
 * parser. The quotes inside a template need no escaping thereby, positions stay what they were, and what the environment
 * holds is put in after parsing, where it can neither break nor inject anything.
 *
 * It walks the text as an HCL lexer would, in one of three modes:
 * - code: outside strings, and inside `${ }`. Comments are passed over with all that they hold; `"` enters a string, `<<X` a
 *   heredoc; the `}` that closes a `${` leaves.
 * - string: `"` leaves; `${` and `%{` enter code; `{{` is a template. A line's end leaves too, and is an error.
 * - heredoc: a line that holds only its word leaves; `${`, `%{` and `{{` as in a string.
 */
import { type Note, placeFinder } from "./document.ts";

export interface EnvTemplate {
  /** Offsets in the text. */
  start: number;
  end: number;
  variable: string;
  fallback: string | undefined;
}

export interface ProtectedText {
  /** As long as the original, line for line. */
  text: string;
  templates: EnvTemplate[];
  /** The outermost strings, heredocs and comments, in order. */
  spans: { start: number; end: number; kind: "text" | "comment" }[];
}

// "X", \"X\" or `X`: what Go's templates take, and what survives inside an HCL string.
const quoted = String.raw`(?:"([^"\\\n]*)"|\\"([^"\\\n]*)\\"|` + "`([^`\\n]*)`)";
const template = new RegExp(String.raw`\{\{\s*env\s*${quoted}\s*(?:\|\s*default\s*${quoted}\s*)?\}\}`, "y");

const understood =
  'Templates are {{ env "NAME" }} and {{ env "NAME" | default "value" }}; a value with quotes or backslashes stands in backticks.';

export function protectTemplates(source: string, note: Note): ProtectedText {
  const place = placeFinder(source);
  const templates: EnvTemplate[] = [];
  const spans: ProtectedText["spans"] = [];
  const characters = source.split("");

  function cover(start: number, end: number): void {
    characters.fill("_", start, end);
  }

  /** Reads on after a template that starts here. */
  function readTemplate(start: number): number {
    template.lastIndex = start;
    const found = template.exec(source);
    if (found !== null) {
      const end = template.lastIndex;
      const variable = found[1] ?? found[2] ?? found[3] ?? "";
      templates.push({ start, end, variable, fallback: found[4] ?? found[5] ?? found[6] });
      cover(start, end);
      return end;
    }
    const lineEnd = endOfLine(source, start);
    const close = source.indexOf("}}", start);
    const closed = close >= 0 && close < lineEnd;
    const end = closed ? close + 2 : start + 2;
    note(place(start), closed ? "this template is not understood" : "this {{ has no }} on its line", understood);
    cover(start, end);
    return end;
  }

  /** From inside `${` to behind its `}`, or, at the top, to the end. */
  function code(start: number, nested: boolean): number {
    let depth = 0;
    let at = start;
    while (at < source.length) {
      const two = source.slice(at, at + 2);
      const span = source[at] === '"' || two === "<<" ? "text" : /^(#|\/\/|\/\*)/.test(two) ? "comment" : undefined;
      if (span !== undefined) {
        const end = source[at] === '"' ? string(at) : two === "<<" ? heredoc(at) : comment(at);
        if (!nested) spans.push({ start: at, end, kind: span });
        at = end;
      } else if (two === "{{" && /^\{\{\s*env\b/.test(source.slice(at, at + 20))) {
        note(place(at), "a template stands inside a string", 'Write "{{ env … }}", in quotes.');
        at = readTemplate(at);
      } else {
        if (source[at] === "{") depth++;
        else if (source[at] === "}" && depth-- === 0 && nested) return at + 1;
        at++;
      }
    }
    return at;
  }

  function comment(start: number): number {
    if (!source.startsWith("/*", start)) return endOfLine(source, start);
    const end = source.indexOf("*/", start + 2);
    if (end >= 0) return end + 2;
    note(place(start), "this comment has no end: */ is missing");
    return source.length;
  }

  function string(start: number): number {
    let at = start + 1;
    while (at < source.length && source[at] !== "\n") {
      if (source[at] === '"') return at + 1;
      at = source[at] === "\\" ? escapeSequence(at) : textCharacter(at);
    }
    note(
      place(start),
      'this string has no end: " is missing on its line',
      "Text of several lines is written as a heredoc: <<EOT.",
    );
    // Closed for the parser, which then finds what else is wrong instead of reading all that follows as text.
    if (at - 1 > start) characters[at - 1] = '"';
    else characters.fill(" ", start, at);
    return at;
  }

  function escapeSequence(at: number): number {
    const known = /\\(?:[nrt"\\]|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})/y;
    known.lastIndex = at;
    if (known.test(source)) return known.lastIndex;
    note(place(at), "this backslash escapes nothing", "A backslash itself is written \\\\.");
    cover(at, at + 1);
    return at + 1;
  }

  /** One step within a string or heredoc. */
  function textCharacter(at: number): number {
    const two = source.slice(at, at + 2);
    if (/^(\$\$|%%)\{/.test(source.slice(at, at + 3))) return at + 3;
    if (two === "${" || two === "%{") return code(at + 2, true);
    if (two === "{{") return readTemplate(at);
    return at + 1;
  }

  function heredoc(start: number): number {
    const opening = /<<-?([\p{ID_Start}_][\p{ID_Continue}-]*)\r?\n/uy;
    opening.lastIndex = start;
    const word = opening.exec(source)?.[1];
    if (word === undefined) return start + 2;
    let at = opening.lastIndex;
    while (at < source.length) {
      const lineEnd = endOfLine(source, at);
      if (source.slice(at, lineEnd).trim() === word) return lineEnd;
      while (at < lineEnd) at = textCharacter(at);
      if (source[at] === "\n") at++;
    }
    note(place(start), `this heredoc has no end: a line that holds only ${word} is missing`);
    return at;
  }

  code(0, false);
  return { text: characters.join(""), templates, spans };
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}
