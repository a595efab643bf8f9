/** LIKE and PATINDEX patterns: https://learn.microsoft.com/sql/t-sql/language-elements/like-transact-sql */
import type { Collation } from "../collations.ts";
import { comparerOf, foldCharacters, trimBlanks } from "../types/comparison.ts";

/** `padded`: trailing blanks of the text do not count (both sides are char or varchar). */
export function likeMatcher(
  pattern: string,
  escaping: string,
  collation: Collation,
  padded: boolean,
): (text: string) => boolean {
  const fold = foldCharacters(collation);
  const regex = new RegExp(`^${likeSource(fold(pattern), fold(escaping), collation)}$`, "su");
  return (text) => {
    const folded = fold(text);
    return regex.test(folded) || (padded && folded.endsWith(" ") && regex.test(trimBlanks(folded)));
  };
}

/** The source of a regular expression (with the flags s and u) for a pattern. */
export function likeSource(pattern: string, escaping: string, collation: Collation): string {
  let source = "";
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!;
    if (escaping !== "" && character === escaping && i + 1 < characters.length) source += quote(characters[++i]!);
    else if (character === "%") source += ".*";
    else if (character === "_") source += ".";
    else if (character === "[") {
      const set = characterSet(characters, i, escaping, collation);
      // A bracket that is never closed matches nothing.
      if (!set) return "(?!)";
      source += set.source;
      i = set.end;
    } else source += quote(character);
  }
  return source;
}

function characterSet(
  characters: string[],
  start: number,
  escaping: string,
  collation: Collation,
): { source: string; end: number } | undefined {
  let i = start + 1;
  let source = "[";
  if (characters[i] === "^") {
    source += "^";
    i++;
  }
  let first = true;
  for (; i < characters.length; i++) {
    let character = characters[i]!;
    if (character === "]" && !first) return { source: source === "[" ? "(?!)" : `${source}]`, end: i };
    first = false;
    if (escaping !== "" && character === escaping && i + 1 < characters.length) character = characters[++i]!;
    if (characters[i + 1] === "-" && i + 2 < characters.length && characters[i + 2] !== "]") {
      const last = characters[i + 2]!;
      source += range(character, last, collation);
      i += 2;
    } else source += inClass(character);
  }
  return undefined;
}

/** Up to here (Latin letters with accents, too) a range holds what sorts between its ends; beyond, what its code points lie between. */
const SORTED_END = 0x24f;

const ranges = new Map<string, string>();

/** "The characters included in the range may vary depending on the sorting rules of the collation": [a-z] has é, and ² lies in [0-9]. */
function range(first: string, last: string, collation: Collation): string {
  const [from, to] = [first.codePointAt(0)!, last.codePointAt(0)!];
  if (collation.binary) return from <= to ? `${inClass(first)}-${inClass(last)}` : "";
  const key = `${collation.name} ${first}${last}`;
  const known = ranges.get(key);
  if (known !== undefined) return known;
  const compare = comparerOf({ id: "nvarchar" }, collation.name);
  let source = "";
  for (let code = 0x20; code <= SORTED_END; code++) {
    const character = String.fromCharCode(code);
    if (compare(first, character) <= 0 && compare(character, last) <= 0) source += inClass(character);
  }
  if (to > SORTED_END && from <= to)
    source += `${inClass(String.fromCodePoint(Math.max(from, SORTED_END + 1)))}-${inClass(last)}`;
  ranges.set(key, source);
  return source;
}

function quote(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
}

function inClass(character: string): string {
  return character.replace(/[\\\]^[-]/, "\\$&");
}
