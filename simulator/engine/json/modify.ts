/**
 * JSON_MODIFY: the text with one value put in, replaced or taken out; all else keeps its spelling.
 * https://learn.microsoft.com/sql/t-sql/functions/json-modify-transact-sql
 */
import { SqlError } from "../session.ts";
import { type JsonNode, parseJson } from "./parse.ts";
import { find, type JsonPath, member, notFound } from "./path.ts";
import { quoted } from "./write.ts";

/** `value`: JSON; null: NULL, which takes a member out in lax mode. */
export function modified(text: string, path: JsonPath, value: string | null): string {
  const root = parseJson(text);
  if (path.append) return appended(text, root, path, value);
  const { strict, steps } = path;
  const last = steps[steps.length - 1];
  if (!last) throw new SqlError(13619, "Unsupported JSON path found in argument 2 of JSON_MODIFY.", 16, 1);
  const parent = find(root, steps.slice(0, -1));
  if ("index" in last) {
    const item = parent?.kind === "array" ? parent.items[last.index] : undefined;
    if (item) return spliced(text, item.start, item.end, value ?? "null");
    if (strict) throw notFound(2);
    return text;
  }
  if (parent?.kind !== "object") {
    if (strict) throw notFound(2);
    return text;
  }
  const found = member(parent, last.key);
  if (found && value === null && !strict) return without(text, parent, last.key);
  if (found) return spliced(text, found.start, found.end, value ?? "null");
  if (strict) throw notFound(2);
  return value === null ? text : withMember(text, parent, last.key, value);
}

function appended(text: string, root: JsonNode, { strict, steps }: JsonPath, value: string | null): string {
  const target = find(root, steps);
  if (target?.kind === "array") {
    const before = target.items.length > 0 ? "," : "";
    return spliced(text, target.end - 1, target.end - 1, `${before}${value ?? "null"}`);
  }
  if (target) {
    if (strict) throw new SqlError(13621, "Array cannot be found in the specified JSON path.", 16, 1);
    return text;
  }
  if (strict) throw notFound(2);
  const last = steps[steps.length - 1];
  const parent = find(root, steps.slice(0, -1));
  if (!last || !("key" in last) || parent?.kind !== "object") return text;
  return withMember(text, parent, last.key, `[${value ?? "null"}]`);
}

function spliced(text: string, start: number, end: number, middle: string): string {
  return text.slice(0, start) + middle + text.slice(end);
}

function withMember(text: string, object: JsonNode & { kind: "object" }, key: string, value: string): string {
  const { members } = object;
  const at = members.length > 0 ? members[members.length - 1]!.value.end : object.start + 1;
  return spliced(text, at, at, `${members.length > 0 ? "," : ""}${quoted(key)}:${value}`);
}

/** The member goes with one of the commas around it. */
function without(text: string, object: JsonNode & { kind: "object" }, key: string): string {
  const { members } = object;
  const at = members.findIndex((candidate) => candidate.key === key);
  const gone = members[at]!;
  const next = members[at + 1];
  if (next) return spliced(text, gone.start, next.start, "");
  const before = members[at - 1];
  return spliced(text, before ? before.value.end : gone.start, gone.value.end, "");
}
