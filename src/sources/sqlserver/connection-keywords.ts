/**
 * From the text of a connection string, in either form, to keywords and values. What a keyword means is not known here.
 *
 * ADO form: `keyword=value;…`, by the rules of
 * https://learn.microsoft.com/dotnet/api/microsoft.data.sqlclient.sqlconnection.connectionstring (quotes are " or ', doubled
 * inside; `==` in a keyword is `=`; the last of equal keywords wins). URL form: `sqlserver://user:password@host:port/instance
 * ?keyword=value`, by https://learn.microsoft.com/sql/connect/golang/connection-strings. `@tediousjs/connection-string` is not
 * used: it reads `user id=;password=x` as a user named `;password=x`, who would then stand in logs.
 */
export interface Keyword {
  /** Lower case, without blanks and underscores: `trustservercertificate`. */
  name: string;
  /** As written; undefined where it could be a piece of a password that holds an unquoted `;`. */
  shown: string | undefined;
  value: string;
  /** Counted from 1. */
  part: number;
}

/** Problems never hold anything that could be a piece of a password. */
export interface Scan {
  form: "ado" | "url";
  keywords: Keyword[];
  problems: string[];
}

export function scanConnectionString(text: string): Scan {
  const scheme = /^\s*([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return scanAdo(text);
  if (scheme === "sqlserver") return scanUrl(text.trim());
  return { form: "url", keywords: [], problems: ["a connection URL starts with sqlserver://"] };
}

export function plainName(keyword: string): string {
  return keyword.toLowerCase().replace(/[\s_]/g, "");
}

function scanAdo(text: string): Scan {
  const scan: Scan = { form: "ado", keywords: [], problems: [] };
  let at = 0;
  let part = 0;
  while ((at = afterBlanks(text, at, /[\s;]*/y)) < text.length) {
    part++;
    const name = /((?:[^=;]|==)*)=/y;
    name.lastIndex = at;
    const found = name.exec(text);
    if (found === null || found[1]!.trim() === "") {
      scan.problems.push(
        `part ${part} is not keyword=value (a value that holds ; or starts with = or a quote is written in double quotes)`,
      );
      at = nextPart(text, at);
      continue;
    }
    const value = readValue(text, afterBlanks(text, name.lastIndex, /\s*/y));
    if (typeof value.text === "string") {
      const shown = found[1]!.replaceAll("==", "=").trim();
      scan.keywords.push({ name: plainName(shown), shown, value: value.text, part });
    } else {
      scan.problems.push(`part ${part}: its quotes do not end where its value ends (a quote inside quotes is doubled)`);
    }
    at = value.end;
  }
  return scan;
}

function afterBlanks(text: string, at: number, blanks: RegExp): number {
  blanks.lastIndex = at;
  blanks.exec(text);
  return blanks.lastIndex;
}

function nextPart(text: string, at: number): number {
  const end = text.indexOf(";", at);
  return end < 0 ? text.length : end + 1;
}

function readValue(text: string, start: number): { text: string | undefined; end: number } {
  const quote = text[start];
  if (quote !== '"' && quote !== "'") {
    const end = nextPart(text, start);
    return { text: text.slice(start, end).replace(/;$/, "").trim(), end };
  }
  let at = start + 1;
  let value = "";
  for (; at < text.length; at++) {
    if (text[at] !== quote) value += text[at];
    else if (text[at + 1] === quote) value += text[at++];
    else break;
  }
  const after = afterBlanks(text, at + 1, /\s*/y);
  if (at >= text.length) return { text: undefined, end: text.length };
  if (after < text.length && text[after] !== ";") return { text: undefined, end: nextPart(text, after) };
  return { text: value, end: after };
}

function scanUrl(text: string): Scan {
  const scan: Scan = { form: "url", keywords: [], problems: [] };
  const afterAuthority = text.slice(text.indexOf("://") + 3).replace(/^[^/?#]*/, "");
  if (/[\p{Cc}\s#]/u.test(text) || afterAuthority.includes("@")) {
    scan.problems.push(
      "characters such as / ? # @ % and blanks are percent-encoded in a URL's user, password and values (a @ is %40, a / is %2F)",
    );
    return scan;
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    scan.problems.push("this is no URL: sqlserver://user:password@host:port/instance?database=name");
    return scan;
  }
  const add = (shown: string, value: string) =>
    scan.keywords.push({ name: plainName(shown), shown, value, part: scan.keywords.length + 1 });
  try {
    if (url.hostname !== "") add("server", decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1"));
    if (url.port !== "") add("port", url.port);
    const path = url.pathname.replace(/^\/|\/$/g, "");
    if (path.includes("/")) scan.problems.push("a URL's path is one instance name; the database is ?database=name");
    else if (path !== "") add("instance", decodeURIComponent(path));
    if (url.username !== "") add("user id", decodeURIComponent(url.username));
    if (url.password !== "") add("password", decodeURIComponent(url.password));
  } catch {
    scan.problems.push("a % in a URL's user, password or instance starts a code of two digits (a % itself is %25)");
  }
  for (const [name, value] of url.searchParams) add(name, value);
  return scan;
}
