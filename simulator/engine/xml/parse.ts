/**
 * Text to an XML tree. Errors are those of SQL Server's parser, with the line and character where it stopped.
 * https://learn.microsoft.com/sql/relational-databases/xml/create-instances-of-xml-data
 */
import { SqlError } from "../session.ts";
import type { Child, Document, Element, Parent } from "./tree.ts";

const NAME = /[\p{L}_][\p{L}\p{N}\p{M}_.\-·]*(?::[\p{L}_][\p{L}\p{N}\p{M}_.\-·]*)?/uy;
const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const XML_URI = "http://www.w3.org/XML/1998/namespace";

export interface ParseOptions {
  /** CONVERT(xml, x, 1): blanks between elements stay. */
  keepBlanks?: boolean;
  /** What the text comes in: its declaration must not name another encoding. */
  encoding?: "utf-16" | "single";
}

export function parseXml(text: string, options: ParseOptions = {}): Document {
  let at = 0;
  const root: Document = { kind: "document", children: [] };
  if (text.charCodeAt(0) === 0xfeff) at++;
  declaration();
  content(root, new Map([["xml", XML_URI]]), options.keepBlanks === true);
  return root;

  function fail(number: number, what: string): never {
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const character = at - (before.lastIndexOf("\n") + 1) + 1;
    throw new SqlError(number, `XML parsing: line ${line}, character ${character}, ${what}`, 16, 1);
  }

  function end(): never {
    at = text.length;
    return fail(9400, "unexpected end of input");
  }

  function declaration(): void {
    const found = /<\?xml(?=\s)(.*?)\?>\s*/sy;
    found.lastIndex = at;
    const match = found.exec(text);
    if (!match) return;
    const named = /encoding\s*=\s*["']([^"']*)["']/.exec(match[1]!)?.[1]?.toLowerCase();
    const wide = named === "utf-16" || named === "ucs-2";
    if (named !== undefined && options.encoding !== undefined && wide !== (options.encoding === "utf-16")) {
      at += match[0].trimEnd().length;
      fail(9402, "unable to switch the encoding");
    }
    at += match[0].length;
  }

  function content(parent: Parent, scope: Map<string, string>, blanks: boolean): void {
    let pending = "";
    let significant = false;
    const flush = (): void => {
      if (pending !== "" && (blanks || significant || pending.trim() !== ""))
        parent.children.push({ kind: "text", value: pending, parent });
      pending = "";
      significant = false;
    };
    while (at < text.length) {
      const next = text.indexOf("<", at);
      const stop = next < 0 ? text.length : next;
      if (stop > at) {
        const raw = text.slice(at, stop);
        const resolved = entities(raw.replace(/\r\n?/g, "\n"));
        if (/&#/.test(raw)) significant = true;
        pending += resolved;
        at = stop;
        continue;
      }
      if (text.startsWith("<![CDATA[", at)) {
        const close = text.indexOf("]]>", at);
        if (close < 0) end();
        pending += text.slice(at + 9, close);
        significant = true;
        at = close + 3;
        continue;
      }
      flush();
      if (text.startsWith("</", at)) {
        if (parent.kind === "document") {
          at += 2;
          fail(9436, "end tag does not match start tag");
        }
        return;
      }
      parent.children.push(markup(parent, scope, blanks));
    }
    flush();
    if (parent.kind === "element") end();
  }

  function markup(parent: Parent, scope: Map<string, string>, blanks: boolean): Child {
    if (text.startsWith("<!--", at)) {
      const close = text.indexOf("-->", at + 4);
      if (close < 0) end();
      const value = text.slice(at + 4, close);
      at = close + 3;
      return { kind: "comment", value, parent };
    }
    if (text.startsWith("<?", at)) {
      const close = text.indexOf("?>", at);
      if (close < 0) end();
      const [, target = "", value = ""] = /^(\S+)\s*(.*)$/s.exec(text.slice(at + 2, close)) ?? [];
      if (target.toLowerCase() === "xml") fail(9438, "text/xmldecl not at the beginning of input");
      at = close + 2;
      return { kind: "instruction", target, value, parent };
    }
    if (text.startsWith("<!DOCTYPE", at))
      throw new SqlError(
        6359,
        "Parsing XML with internal subset DTDs not allowed. Use CONVERT with style option 2 to enable limited internal subset DTD support.",
        16,
        1,
      );
    return element(parent, scope, blanks);
  }

  function element(parent: Parent, outer: Map<string, string>, blanks: boolean): Element {
    at++;
    const written = name();
    const namespaces = new Map<string, string>();
    const attributes: { name: string; value: string }[] = [];
    for (;;) {
      const spaced = skipBlanks();
      if (at >= text.length) end();
      if (text[at] === ">" || text.startsWith("/>", at)) break;
      if (!spaced) fail(9414, "equal expected");
      const key = name();
      skipBlanks();
      if (text[at] !== "=") fail(9414, "equal expected");
      at++;
      skipBlanks();
      const value = attributeValue();
      if (key === "xmlns") namespaces.set("", value);
      else if (key.startsWith("xmlns:")) namespaces.set(key.slice(6), value);
      else {
        if (attributes.some((other) => other.name === key)) fail(9437, "duplicate attribute");
        attributes.push({ name: key, value });
      }
    }
    const scope = namespaces.size > 0 ? new Map([...outer, ...namespaces]) : outer;
    const made: Element = {
      kind: "element",
      ...resolve(written, scope, true),
      attributes: [],
      namespaces,
      children: [],
      parent,
    };
    let keep = blanks;
    for (const { name: key, value } of attributes) {
      made.attributes.push({ kind: "attribute", ...resolve(key, scope, false), value, parent: made });
      if (key === "xml:space") keep = value === "preserve";
    }
    if (text.startsWith("/>", at)) {
      at += 2;
      return made;
    }
    at++;
    content(made, scope, keep);
    at += 2;
    const closing = name();
    if (closing !== written) fail(9436, "end tag does not match start tag");
    skipBlanks();
    if (text[at] !== ">") fail(9422, "incorrect document syntax");
    at++;
    return made;
  }

  function name(): string {
    NAME.lastIndex = at;
    const found = NAME.exec(text)?.[0];
    if (found === undefined) {
      if (at >= text.length) end();
      at++;
      fail(9455, "illegal qualified name character");
    }
    at += found.length;
    return found;
  }

  function resolve(written: string, scope: Map<string, string>, usesDefault: boolean) {
    const colon = written.indexOf(":");
    const prefix = colon < 0 ? "" : written.slice(0, colon);
    const local = written.slice(colon + 1);
    if (prefix === "" && !usesDefault) return { prefix, local, uri: "" };
    const uri = scope.get(prefix) ?? (prefix === "" ? "" : fail(9459, "undeclared prefix"));
    return { prefix, local, uri };
  }

  function skipBlanks(): boolean {
    const from = at;
    while (text[at] === " " || text[at] === "\t" || text[at] === "\n" || text[at] === "\r") at++;
    return at > from;
  }

  function attributeValue(): string {
    const quote = text[at];
    if (quote !== '"' && quote !== "'") fail(9413, "A string literal was expected");
    const close = text.indexOf(quote!, at + 1);
    if (close < 0) end();
    const raw = text.slice(at + 1, close);
    at++;
    if (raw.includes("<")) {
      at += raw.indexOf("<");
      fail(9410, "whitespace expected");
    }
    const value = entities(raw.replace(/\r\n?|[\n\t]/g, " "));
    at = close + 1;
    return value;
  }

  function entities(raw: string): string {
    return raw.replace(/&(?:#x([\da-fA-F]+);|#(\d+);|(\w+);|)/g, (whole, hex, decimal, named, offset: number) => {
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
      const found = named === undefined ? undefined : ENTITIES[named];
      if (found !== undefined) return found;
      at += offset + whole.length + (named === undefined ? 1 : 0);
      return named === undefined
        ? fail(9421, "illegal name character")
        : fail(9448, "well formed check: undeclared entity");
    });
  }
}
