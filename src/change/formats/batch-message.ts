/**
 * The batch message: `{"messages":[…row messages…]}`. Only neighbours of one origin, destination and set of properties are put
 * together, so that everything about a row can be had from the batch again, byte for byte:
 * - body: the slice of the batch's body (never parsed and written anew, which would lose the digits of large numbers);
 * - id: the batch's property `Origin` and the position that the row's metadata states;
 * - key: the batch's key, which is the table's; where its property `KeyColumns` names columns, their values in the row's data;
 * - properties: Destination, TableName, OperationType and LSN from the row's metadata, all others as the batch has them.
 */
import type { TableName } from "../../ingester/checkpoint.ts";
import { type Message, messageSize } from "../message.ts";
import { batchId, originOfId, rowId } from "../message-id.ts";
import { rowKey, tableKey } from "../ordering-key.ts";
import type { Position } from "../position.ts";
import { endOfValue } from "./json-scan.ts";
import { KEY_COLUMNS, rowTemplate } from "./row-message.ts";
import { RowReader } from "./row-reader.ts";

const BATCH = "Batch";
/** What stands before and behind the bodies of a batch. */
export const OPEN = Buffer.from('{"messages":[');
export const CLOSE = Buffer.from("]}");
const COMMA = Buffer.from(",");
/** Where a row message's `data` object begins: behind `{"data":`. */
const DATA_START = 8;

/** Properties that a row has of its own; all others are common to a batch. */
const OWN = new Set(["OperationType", "LSN"]);

export function isBatch(message: Message): boolean {
  return message.properties.OperationType === BATCH;
}

/**
 * Puts row messages of one table together, in order, none of the result above `maxBytes` (as messageSize counts) but a single
 * row message that is larger by itself, which stays as it is.
 */
export function packBatches(messages: readonly Message[], maxBytes: number): Message[] {
  const result: Message[] = [];
  let run: Message[] = [];
  let bytes = 0;
  let shared = "";
  for (const message of messages) {
    const common = commonOf(message);
    const size = message.body.length + COMMA.length;
    if (run.length > 0 && (common !== shared || bytes + size > maxBytes)) {
      result.push(pack(run));
      run = [];
    }
    if (run.length === 0) {
      shared = common;
      bytes = batchOverhead(message, message.key);
    }
    run.push(message);
    bytes += size;
    if (bytes > maxBytes) {
      result.push({ ...message, key: batchKey(message) });
      run = [];
    }
  }
  if (run.length > 0) result.push(pack(run));
  return result;
}

/** The row messages of a batch; a row message is answered alone. Throws where the batch is not one of ours. */
export function unpackBatch(batch: Message): Message[] {
  if (!isBatch(batch)) return [withOwnKey(batch)];
  const { body } = batch;
  const { Origin, ...common } = batch.properties;
  if (Origin === undefined) throw new Error(`Batch message ${batch.id} has no property Origin.`);
  if (!body.subarray(0, OPEN.length).equals(OPEN)) throw new Error(`Batch message ${batch.id} does not begin as one.`);
  const read = rowsOf(Origin, common);
  const rows: Message[] = [];
  let at = OPEN.length;
  while (body[at] !== 0x5d) {
    if (rows.length > 0) {
      if (body[at] !== 0x2c) throw new Error(`Batch message ${batch.id} is broken at byte ${at}.`);
      at++;
    }
    const row = read(body, at);
    rows.push(row);
    at += row.body.length;
  }
  if (!body.subarray(at).equals(CLOSE)) throw new Error(`Batch message ${batch.id} does not end as one.`);
  return rows;
}

/** Reads one row after the other. The first is parsed; those that repeat its text but for their own places need not be. */
function rowsOf(origin: string, common: Record<string, string>): (json: Buffer, start: number) => Message {
  let first: { row: Row; reader: RowReader } | undefined;
  return (json, start) => {
    const reading = first?.reader.read(json, start);
    if (first && reading) {
      return toMessage(json.subarray(start, reading.end), { ...first.row, ...reading }, origin, common);
    }
    const body = json.subarray(start, endOfValue(json, start));
    const row = parseRow(body);
    first ??= { row, reader: new RowReader(rowTemplate(row)) };
    return toMessage(body, row, origin, common);
  };
}

function pack(rows: readonly Message[]): Message {
  const first = rows[0]!;
  const parts: Buffer[] = [OPEN];
  for (const [index, row] of rows.entries()) {
    if (index > 0) parts.push(COMMA);
    parts.push(row.body);
  }
  parts.push(CLOSE);
  return batchOf(Buffer.concat(parts), first, rows.at(-1)!.id, rows.length, batchKey(first));
}

/** The batch of `count` row messages, from `first` to the one with id `lastId`. */
export function batchOf(body: Buffer, first: Message, lastId: string, count: number, key: string): Message {
  return { id: batchId(first.id, lastId, count), key, body, properties: batchProperties(first) };
}

/** What a batch that begins with this row takes besides the bodies and their commas, at most. */
export function batchOverhead(first: Message, key: string): number {
  const body = Buffer.alloc(0);
  const properties = batchProperties(first);
  return messageSize({ id: batchId(first.id, first.id, 1), key, body, properties }) + OPEN.length + CLOSE.length;
}

function batchProperties(first: Message): Record<string, string> {
  return { ...first.properties, OperationType: BATCH, Origin: originOfId(first.id) };
}

/** Rows ordered by key carry `<table>/<values>`: the batch of them keeps the table's order. */
function batchKey(row: Message): string {
  if (row.properties[KEY_COLUMNS] === undefined) return row.key;
  const { metadata } = JSON.parse(row.body.toString()) as { metadata: RowMetadata };
  return tableKey({ schema: metadata.Schema, table: metadata.TableName });
}

function commonOf(row: Message): string {
  const parts = Object.entries(row.properties).filter(([name]) => !OWN.has(name));
  if (row.properties[KEY_COLUMNS] === undefined) parts.push(["", row.key]);
  return JSON.stringify([originOfId(row.id), ...parts]);
}

/** A row too large for a batch travelled under its table's key, behind the batches before it. */
function withOwnKey(row: Message): Message {
  if (row.properties[KEY_COLUMNS] === undefined || row.key !== batchKey(row)) return row;
  return { ...row, key: toMessage(row.body, parseRow(row.body), originOfId(row.id), row.properties).key };
}

/** What a row message says of itself, by its own names. */
export interface RowMetadata {
  Destination: string;
  IngestQueue: string;
  LSN: string;
  OperationID: number;
  OperationType: string;
  TableName: string;
  Schema: string;
  CommandID: number;
  Seq: string;
}

/** The same as the program has it. */
interface Row {
  table: TableName;
  destination: string;
  ingestQueue: string;
  position: Position;
  operationType: string;
  /** Where its values end. */
  dataEnd: number;
}

export function positionOf({ LSN, CommandID, Seq, OperationID }: RowMetadata): Position {
  return { startLsn: LSN, commandId: CommandID, seqval: Seq, operation: OperationID };
}

function parseRow(body: Buffer): Row {
  const dataEnd = endOfValue(body, DATA_START);
  const { metadata } = JSON.parse(`{${body.toString("utf8", dataEnd + 1)}`) as { metadata: RowMetadata };
  return {
    table: { schema: metadata.Schema, table: metadata.TableName },
    destination: metadata.Destination,
    ingestQueue: metadata.IngestQueue,
    position: positionOf(metadata),
    operationType: metadata.OperationType,
    dataEnd,
  };
}

function toMessage(body: Buffer, row: Row, origin: string, common: Record<string, string>): Message {
  const { table, destination, position, operationType, dataEnd } = row;
  const keyColumns = common[KEY_COLUMNS];
  const key =
    keyColumns === undefined
      ? tableKey(table)
      : rowKey(table, valuesOf(body.toString("utf8", DATA_START, dataEnd), JSON.parse(keyColumns) as string[]));
  return {
    id: rowId(origin, position),
    key,
    body,
    properties: {
      ...common,
      Destination: destination,
      TableName: table.table,
      OperationType: operationType,
      LSN: position.startLsn,
    },
  };
}

/** JSON text of some members of a flat object, with all digits. */
function valuesOf(data: string, names: readonly string[]): string[] {
  const sources = new Map<string, string>();
  JSON.parse(data, ((name: string, value: unknown, context: { source?: string }) => {
    if (context.source !== undefined) sources.set(name, context.source);
    return value;
  }) as (name: string, value: unknown) => unknown);
  return names.map((name) => sources.get(name) ?? "null");
}
