/**
 * The demo's verdict, independent of dstream's own bookkeeping and code: what arrived at the destinations is held against
 * the change tables and the source tables, which are read straight from the simulator's memory and formatted here, by
 * the rules of the documented message format.
 *
 * - lost: changes in the change tables that no message told of (or told otherwise);
 * - duplicated: messages with different ids that tell of one change, and messages that tell of none;
 * - reordered: messages that arrived behind a later change of their table;
 * - repeats: messages that came again with the same id, which a consumer drops by it;
 * - replayed: whether the received changes, applied in order of arrival to empty tables, give the source tables.
 */
import type { ResultColumn } from "../../simulator/engine/session.ts";
import { Decimal, type SqlType, type Temporal, type Value } from "../../simulator/engine/values.ts";
import type { DemoTable } from "./tables.ts";

export interface Verdict {
  committed: number;
  delivered: number;
  lost: number;
  duplicated: number;
  reordered: number;
  repeats: number;
  replayed: boolean;
  /** The first few findings in words. */
  findings: string[];
}

export interface Received {
  id: string;
  body: string;
}

/** Reads a query's result from the simulator's memory. */
export type ReadRows = (sql: string) => Promise<{ columns: ResultColumn[]; rows: (readonly Value[])[] }>;

type Columns = Map<string, string>;

interface ReceivedChange {
  table: string;
  /** (start LSN, command id, seqval, operation) as text that sorts as they do. */
  position: string;
  operation: number;
  columns: Columns;
}

export async function judge(received: Received[], tables: readonly DemoTable[], read: ReadRows): Promise<Verdict> {
  const findings: string[] = [];
  const note = (text: string): void => {
    if (findings.length < 10) findings.push(text);
  };
  const ids = new Set<string>();
  const changes: ReceivedChange[] = [];
  let repeats = 0;
  for (const message of received) {
    if (ids.has(message.id)) repeats++;
    else {
      ids.add(message.id);
      changes.push(parseChange(message.body));
    }
  }

  const expected = new Map<string, { columns: Columns; mayLack: Set<string> }>();
  for (const table of tables) await collectExpected(table, read, expected);

  const seen = new Set<string>();
  const last = new Map<string, string>();
  let duplicated = 0;
  let reordered = 0;
  let delivered = 0;
  for (const change of changes) {
    const name = `${change.table} ${change.position}`;
    const want = expected.get(name);
    if (seen.has(name) || !want) {
      duplicated++;
      note(`${seen.has(name) ? "delivered twice" : "not in the change table"}: ${name}`);
      continue;
    }
    const difference = compareColumns(change.columns, want.columns, want.mayLack);
    if (difference) {
      note(`other values: ${name}: ${difference}`);
      continue;
    }
    seen.add(name);
    delivered++;
    const previous = last.get(change.table);
    if (previous !== undefined && change.position < previous) {
      reordered++;
      note(`out of order: ${name} arrived behind ${previous}`);
    } else last.set(change.table, change.position);
  }
  const lost = expected.size - seen.size;
  if (lost > 0) for (const name of expected.keys()) if (!seen.has(name)) note(`missing: ${name}`);

  let replayed = true;
  for (const table of tables) {
    const difference = await replay(table, changes, read);
    if (!difference) continue;
    replayed = false;
    note(`${table.schema}.${table.table}: the replayed changes do not give the source table: ${difference}`);
  }
  return { committed: expected.size, delivered, lost, duplicated, reordered, repeats, replayed, findings };
}

/** The verdict as the demo's last line. */
export function verdictLine(verdict: Verdict, kills?: number): string {
  const { committed, delivered, lost, duplicated, reordered, repeats } = verdict;
  const line = `committed=${committed} delivered=${delivered} lost=${lost} duplicated=${duplicated} reordered=${reordered}`;
  return kills === undefined ? line : `${line} kills=${kills} repeats=${repeats}`;
}

export function passed({ lost, duplicated, reordered, replayed }: Verdict): boolean {
  return lost === 0 && duplicated === 0 && reordered === 0 && replayed;
}

/** Numbers keep the digits they were written with: JSON.parse alone would round a bigint. */
function parseChange(body: string): ReceivedChange {
  const message = JSON.parse(body, ((_key: string, value: unknown, context: { source?: string }) =>
    typeof value === "number" ? { number: context.source } : value) as (key: string, value: unknown) => unknown) as {
    data: Record<string, unknown>;
    metadata: Record<string, unknown> & { Schema: string; TableName: string; LSN: string; Seq: string };
  };
  const { metadata } = message;
  const command = Number((metadata["CommandID"] as { number: string }).number);
  const operation = Number((metadata["OperationID"] as { number: string }).number);
  const columns: Columns = new Map();
  for (const [name, value] of Object.entries(message.data)) columns.set(name, canonicalReceived(value));
  return {
    table: `${metadata.Schema}.${metadata.TableName}`,
    position: positionText(metadata.LSN, command, metadata.Seq, operation),
    operation,
    columns,
  };
}

function positionText(lsn: string, command: number, seqval: string, operation: number): string {
  return `${lsn} ${String(command).padStart(10, "0")} ${seqval} ${operation}`;
}

function canonicalReceived(value: unknown): string {
  if (value !== null && typeof value === "object") return canonicalNumber((value as { number: string }).number);
  return JSON.stringify(value);
}

/** Whole numbers by their digits, others by their double. */
function canonicalNumber(source: string): string {
  if (/^-?\d+$/.test(source) && source !== "-0") return BigInt(source).toString();
  return Object.is(Number(source), -0) ? "-0" : String(Number(source));
}

async function collectExpected(
  table: DemoTable,
  read: ReadRows,
  into: Map<string, { columns: Columns; mayLack: Set<string> }>,
): Promise<void> {
  const { columns, rows } = await read(`SELECT * FROM cdc.${table.schema}_${table.table}_CT`);
  const at = (name: string): number => columns.findIndex((c) => c.name === name);
  const [lsn, command, seqval, operation] = [
    at("__$start_lsn"),
    at("__$command_id"),
    at("__$seqval"),
    at("__$operation"),
  ];
  for (const row of rows) {
    const op = row[operation] as number;
    if (op === 3) continue;
    const held: Columns = new Map();
    const mayLack = new Set<string>();
    columns.forEach((column, i) => {
      if (column.name.startsWith("__$")) return;
      held.set(column.name, canonicalStored(column.type, row[i]!));
      // A large value that the change table does not hold is left out of the message, never told as null.
      if (row[i] === null && isLarge(column.type)) mayLack.add(column.name);
    });
    const position = positionText(hex(row[lsn]!), (row[command] as number | null) ?? 0, hex(row[seqval]!), op);
    into.set(`${table.schema}.${table.table} ${position}`, { columns: held, mayLack });
  }
}

function compareColumns(got: Columns, want: Columns, mayLack: Set<string>): string | null {
  for (const [name, value] of want) {
    const received = got.get(name);
    if (received === undefined && mayLack.has(name)) continue;
    if (received !== value) return `${name} is ${received ?? "left out"}, not ${value}`;
  }
  for (const name of got.keys()) if (!want.has(name)) return `${name} is no captured column`;
  return null;
}

async function replay(table: DemoTable, changes: ReceivedChange[], read: ReadRows): Promise<string | null> {
  const replayed = new Map<string, Columns>();
  for (const change of changes) {
    if (change.table !== `${table.schema}.${table.table}`) continue;
    const key = change.columns.get(table.key)!;
    if (change.operation === 1) replayed.delete(key);
    else replayed.set(key, change.columns);
  }
  const { columns, rows } = await read(`SELECT * FROM ${table.schema}.${table.table}`);
  const keyAt = columns.findIndex((c) => c.name === table.key);
  for (const row of rows) {
    const key = canonicalStored(columns[keyAt]!.type, row[keyAt]!);
    const got = replayed.get(key);
    if (!got) return `row ${key} is missing`;
    const want: Columns = new Map(columns.map((c, i) => [c.name, canonicalStored(c.type, row[i]!)]));
    const difference = compareColumns(got, want, new Set());
    if (difference) return `row ${key}: ${difference}`;
    replayed.delete(key);
  }
  for (const key of replayed.keys()) return `row ${key} should be gone`;
  return null;
}

function isLarge(type: SqlType): boolean {
  return type.length === -1 || ["text", "ntext", "image", "xml"].includes(type.id);
}

function hex(value: Value): string {
  return (value as Buffer).toString("hex");
}

/** A stored value as the message format documents it, in canonical text. */
function canonicalStored(type: SqlType, value: Value): string {
  if (value === null) return "null";
  if (value instanceof Decimal) return JSON.stringify(value.toString());
  if (Buffer.isBuffer(value)) return JSON.stringify(value.toString("base64"));
  switch (type.id) {
    case "bigint":
      return String(value);
    case "real":
      return canonicalNumber(shortestSingle(value as number));
    case "float":
    case "int":
    case "smallint":
    case "tinyint":
      return Object.is(value, -0) ? "-0" : canonicalNumber(String(value));
    case "date":
    case "time":
    case "datetime":
    case "smalldatetime":
    case "datetime2":
    case "datetimeoffset":
      return JSON.stringify(temporalText(type, value as Temporal));
    default:
      return JSON.stringify(value);
  }
}

/** The fewest digits that read back as the same single-precision number. */
function shortestSingle(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toPrecision(9);
}

function temporalText(type: SqlType, { days, ticks, offset }: Temporal): string {
  const local = type.id === "datetimeoffset" ? ticks + offset * 600_000_000 : ticks;
  const day = days + Math.floor(local / 864_000_000_000);
  const date = new Date(Date.UTC(1970, 0, 1) + (day - 719162) * 86_400_000);
  const dateText = `${String(date.getUTCFullYear()).padStart(4, "0")}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
  if (type.id === "date") return dateText;
  let tick = ((local % 864_000_000_000) + 864_000_000_000) % 864_000_000_000;
  // datetime keeps 1/300 s, shown in whole milliseconds: .000, .003, .007.
  if (type.id === "datetime") tick = Math.round(tick / 10_000) * 10_000;
  const seconds = Math.floor(tick / 10_000_000);
  let time = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const digits = type.id === "smalldatetime" ? 0 : type.id === "datetime" ? 3 : (type.scale ?? 7);
  if (digits > 0)
    time += `.${String(tick % 10_000_000)
      .padStart(7, "0")
      .slice(0, digits)}`;
  if (type.id === "time") return time;
  if (type.id !== "datetimeoffset") return `${dateText}T${time}`;
  const sign = offset < 0 ? "-" : "+";
  return `${dateText}T${time}${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}
