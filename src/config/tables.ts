/** Tables as a configuration names them: `Persons` is `dbo.Persons`; `sales.*` is a pattern; `[my.schema].[my table]` quotes. */
import type { TableName } from "../ingester/checkpoint.ts";

export interface TablePattern extends TableName {
  /** As it was written. */
  readonly text: string;
  /** True if `*` in schema or table stands for any characters. Bracketed parts hold no wildcard. */
  readonly pattern: boolean;
  readonly expression: RegExp;
}

const part = /\s*(?:\[((?:[^\]]|\]\])+)\]|([^[\].]+))\s*(\.|$)/y;

/** Answers what is wrong with the name, as a string, if something is. */
export function parseTableName(text: string): TablePattern | string {
  const parts: { name: string; pattern: boolean; source: string }[] = [];
  part.lastIndex = 0;
  for (let open = true; open; ) {
    const found = part.exec(text);
    if (found === null) return "is not a table name";
    const quoted = found[1]?.replaceAll("]]", "]");
    const name = quoted ?? found[2]!.trim();
    if (name === "") return "is not a table name";
    const wild = quoted === undefined && name.includes("*");
    const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    parts.push({ name, pattern: wild, source: wild ? escaped.replaceAll("\\*", ".*") : escaped });
    open = found[3] === ".";
  }
  if (parts.length > 2) return "has more than two parts: the connection string names server and database";
  const table = parts.at(-1)!;
  const schema = parts.length === 2 ? parts[0]! : { name: "dbo", pattern: false, source: "dbo" };
  return {
    text,
    schema: schema.name,
    table: table.name,
    pattern: schema.pattern || table.pattern,
    expression: new RegExp(`^${schema.source}\0${table.source}$`, "isu"),
  };
}

/** Ignores case, as most databases' collations do; the catalogue decides the rest. */
export function matches(pattern: TablePattern, { schema, table }: TableName): boolean {
  return pattern.expression.test(`${schema}\0${table}`);
}

/** Whether two configured names can mean one table. */
export function overlaps(a: TablePattern, b: TablePattern): boolean {
  return matches(a, b) || matches(b, a);
}
