/** FOR XML and FOR JSON: a query's rows as one text. */
import type { Query } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { jsonFormatter } from "../json/for-json.ts";
import { PAUSE } from "../run.ts";
import type { SqlType } from "../values.ts";
import { xmlFormatter } from "../xml/for-xml.ts";
import type { Plan } from "./plan.ts";

type ForClause = NonNullable<Query["forClause"]>;

/** What the rows become; null: NULL, or for a client no row at all. */
export interface Formatter {
  column: { name: string; type: SqlType; json?: true };
  text(rows: Row[]): string | null;
}

/** A text that goes to the client comes in rows of so many characters. */
const PIECE = 2033;

/** `client`: the result is sent rather than used in an expression. */
export function formatted(
  plan: Plan,
  clause: ForClause,
  client: boolean,
  namespaces: [prefix: string, uri: string][],
): Plan {
  const formatter =
    clause.kind === "json" ? jsonFormatter(plan, clause) : xmlFormatter(plan, clause, client, namespaces);
  const { name, type, json } = formatter.column;
  const whole = !client || type.id === "xml";
  return {
    columns: [{ name, type, nullable: true, ...(json ? { json } : {}) }],
    reach: plan.reach,
    *open(outer, run) {
      const rows: Row[] = [];
      for (const row of plan.open(outer, run)) {
        if (row === PAUSE) yield row;
        else rows.push(row);
      }
      const text = formatter.text(rows);
      if (whole) yield [text];
      else if (text !== null) for (let at = 0; at < text.length; at += PIECE) yield [text.slice(at, at + PIECE)];
    },
  };
}

/** One element or object of the AUTO modes: a table of the FROM clause, and which columns are its. */
export interface Level {
  name: string;
  columns: number[];
}

/** The tables in the order in which the select list names them; what is of none belongs to the table before it. */
export function levelsOf(plan: Plan): Level[] {
  const levels: (Level & { slot: number })[] = [];
  const early: number[] = [];
  for (const [i, table] of (plan.tables ?? []).entries()) {
    const known = table && levels.find((level) => level.slot === table.slot);
    if (known) known.columns.push(i);
    else if (table) levels.push({ slot: table.slot, name: table.name, columns: [...early.splice(0), i] });
    else (levels[levels.length - 1]?.columns ?? early).push(i);
  }
  return levels;
}

/** `ROOT`, `ROOT('name')`: the name; undefined where there is no such option. */
export function rootOf(options: string[], usual: string): string | undefined {
  for (const option of options) {
    const found = /^ROOT(?: \( N?'((?:[^']|'')*)' \))?$/i.exec(option);
    if (found) return found[1]?.replaceAll("''", "'") ?? usual;
  }
  return undefined;
}
