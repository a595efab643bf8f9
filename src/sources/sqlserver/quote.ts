/** `[name]`, safe to stand in a statement. */
export function quoteName(name: string): string {
  return `[${name.replaceAll("]", "]]")}]`;
}

/** `N'text'`, safe to stand in a statement. */
export function quoteText(text: string): string {
  return `N'${text.replaceAll("'", "''")}'`;
}
