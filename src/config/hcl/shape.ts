/**
 * Checks the outline of HCL text line by line: every line of a body is `name = value`, `name {` or `}`, and every bracket has
 * its partner. The grammar would notice as well, but could not say what is wrong, and would take what follows for wrong too.
 */
import { type Note, placeFinder } from "./document.ts";
import type { ProtectedText } from "./protect.ts";

interface Bracket {
  open: string;
  offset: number;
  /** A block's body, where lines are definitions; else a list, an object, a call. */
  body: boolean;
}

const partner: Readonly<Record<string, string>> = { "}": "{", "]": "[", ")": "(" };
const definition = /^(?:[\p{ID_Start}_][\p{ID_Continue}-]*|"[^"]*")\s*(?:=(?!=)\s*(?<value>\S?)|[\p{ID_Start}_"{])/u;

export interface Shape {
  /** The text for the grammar: wrong lines are blanks, all else stands where it stood. */
  text: string;
  /** All brackets have partners: what the grammar finds wrong is no mere consequence of one that has none. */
  balanced: boolean;
}

export function checkShape({ text, spans }: ProtectedText, note: Note): Shape {
  const place = placeFinder(text);
  const outline = text.split("");
  for (const { start, end, kind } of spans) {
    outline.fill(kind === "text" ? "s" : " ", start, end);
    if (kind === "text") outline[start] = outline[end - 1] = '"';
  }
  const code = outline.join("");
  const characters = text.split("");
  const open: Bracket[] = [];
  let balanced = true;

  function wrongLine(start: number, end: number): void {
    const line = code.slice(start, end).trimEnd();
    const at = place(start);
    const name = /^[\p{ID_Start}_][\p{ID_Continue}-]*(?=\s*(=|:))/u.exec(line)?.[0];
    if (/^[^=]*==/.test(line)) note(at, "a value is given with a single =", name && `Write ${name} = …`);
    else if (name !== undefined && /^[^:]*:/.test(line))
      note(at, "a value is given with =, not with :", `Write ${name} = …`);
    else if (name !== undefined) note(at, `${name} has no value`);
    else note(at, "this is neither name = value, nor name { … }");
    if (/[[\](){}]/.test(line)) balanced = false;
    else characters.fill(" ", start, end);
  }

  function close(bracket: string, offset: number): void {
    const top = open.at(-1);
    if (top === undefined) {
      note(place(offset), `this ${bracket} closes nothing`);
      balanced = false;
    } else if (top.open === partner[bracket]) {
      open.pop();
    } else {
      note(place(top.offset), `this ${top.open} is not closed`);
      balanced = false;
      // The bracket belongs to one further out, if there is one: those in between were all forgotten.
      const match = open.findLastIndex((candidate) => candidate.open === partner[bracket]);
      if (match >= 0) open.length = match;
    }
  }

  let previous = "\n";
  for (let at = 0; at < code.length; at++) {
    const character = code[at]!;
    if (/[^\S\n]/.test(character)) continue;
    if (previous === "\n" && character !== "\n" && character !== "}" && (open.at(-1)?.body ?? true)) {
      const lineEnd = endOfLine(code, at);
      const found = definition.exec(code.slice(at, lineEnd));
      if (found === null || found.groups?.["value"] === "") {
        wrongLine(at, lineEnd);
        at = lineEnd - 1;
        continue;
      }
    }
    if (character in partner) close(character, at);
    else if ("{[(".includes(character)) {
      open.push({ open: character, offset: at, body: character === "{" && /[\p{ID_Continue}"]/u.test(previous) });
    }
    previous = character;
  }
  for (const { open: bracket, offset } of open) note(place(offset), `this ${bracket} is not closed`);
  return { text: characters.join(""), balanced: balanced && open.length === 0 };
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}
