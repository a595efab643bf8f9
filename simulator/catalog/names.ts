/** Names written as text: `[db].[dbo].[a b]`, `"dbo".t`, `db..t`. */
export function parseName(text: string): string[] {
  const parts: string[] = [];
  let at = 0;
  const source = text.trim();
  for (;;) {
    const open = source[at];
    const close = open === "[" ? "]" : open === '"' ? '"' : undefined;
    let part = "";
    if (close) {
      at++;
      while (at < source.length && (source[at] !== close || source[at + 1] === close)) {
        if (source[at] === close) at++;
        part += source[at++];
      }
      at++;
    } else while (at < source.length && source[at] !== ".") part += source[at++];
    parts.push(close ? part : part.trim());
    if (source[at] !== ".") return parts;
    at++;
  }
}

/** `[a]]b]` */
export function bracketed(name: string): string {
  return `[${name.replaceAll("]", "]]")}]`;
}
