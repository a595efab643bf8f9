/** One message as one line of a terminal: time, table, operation, then the row's columns as far as the width allows. */
import type { Message } from "../../change/message.ts";

const COLOURS: Readonly<Record<string, number>> = { Insert: 32, Update: 33, Delete: 31, Read: 36 };

interface Row {
  data: Record<string, unknown>;
  metadata: { TableName?: string; Schema?: string; OperationType?: string; CommitTime?: string };
}

export function prettyLine(message: Message, width: number, colours: boolean): string {
  const row = parse(message.body);
  if (row === null) return cutTo(visible(message.body.toString()), width);
  const { CommitTime = "", Schema = "dbo", TableName = "", OperationType = "" } = row.metadata;
  const paint = (code: number, text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  const time = visible(CommitTime.slice(11, 23)).padEnd(12);
  const table = visible(Schema === "dbo" ? TableName : `${Schema}.${TableName}`).padEnd(16);
  const operation = visible(OperationType).padEnd(6);
  const columns = Object.entries(row.data).map(([name, value]) => `${visible(name)}=${visible(String(value))}`);
  const used = time.length + table.length + operation.length + 3;
  const rest = cutTo(columns.join(" "), Math.max(20, width - used));
  return `${paint(2, time)} ${paint(1, table)} ${paint(COLOURS[OperationType] ?? 0, operation)} ${rest}`;
}

/** Values as JSON text, so that numbers keep all their digits. Null: not a row message. */
function parse(body: Buffer): Row | null {
  const keepText = ((_name: string, value: unknown, context: { source?: string }) => {
    if (typeof value === "number") return context.source ?? value;
    return value;
  }) as (name: string, value: unknown) => unknown;
  try {
    const row = JSON.parse(body.toString(), keepText) as Row | null;
    return typeof row?.data === "object" && row.data !== null && typeof row.metadata === "object" ? row : null;
  } catch {
    return null;
  }
}

/** Control characters as escapes: a value from a database must not steer the terminal. */
function visible(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function cutTo(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join("")}…`;
}
