/**
 * @captured_column_list: names separated by commas, quoted with [] or "" where they hold a comma.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-enable-table-transact-sql
 */
import { cdcError } from "./errors.ts";

export function parseColumnList(text: string): string[] {
  const names: string[] = [];
  let at = 0;
  while (at < text.length) {
    while (text[at] === " " || text[at] === "\t" || text[at] === "\n" || text[at] === "\r") at++;
    const quote = text[at];
    const close = quote === "[" ? "]" : quote === '"' ? '"' : undefined;
    let name = "";
    if (close) {
      at++;
      for (;;) {
        if (at >= text.length) throw cdcError(22965);
        if (text[at] === close) {
          if (text[at + 1] !== close) break;
          at++;
        }
        name += text[at++];
      }
      at++;
      while (at < text.length && text[at] !== ",") at++;
    } else {
      while (at < text.length && text[at] !== ",") name += text[at++];
      name = name.trim();
    }
    if (name !== "") names.push(name);
    at++;
  }
  return names;
}
