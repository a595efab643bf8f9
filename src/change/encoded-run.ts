/**
 * Row messages of one table as a decoder wrote them: their bodies one behind the other, a comma between them, in what is the
 * body of one batch message of them all.
 */
import type { TableName } from "../ingester/checkpoint.ts";
import { batchOf, batchOverhead, CLOSE, OPEN } from "./formats/batch-message.ts";
import { KEY_COLUMNS, operationTypes } from "./formats/row-message.ts";
import { type Message, messageSize } from "./message.ts";
import { type Origin, ROW_ID_LENGTH } from "./message-id.ts";
import type { MessageRun } from "./message-run.ts";
import { rowKey, tableKey } from "./ordering-key.ts";
import type { Position } from "./position.ts";

/** What all messages of a table have in common. */
export interface RowLabels {
  table: TableName;
  destination: string;
  origin: Origin;
  /** The columns of the ordering key; null: the whole table keeps its order. */
  keyColumns: readonly string[] | null;
}

/** LSN (10 bytes), command id (4), seqval (10), operation (1): big-endian, as their hexadecimal digits stand in message ids. */
export const POSITION_BYTES = 25;

/** Where the first body begins: before it is what begins a batch message. */
export const BODIES_START = OPEN.length;
/** Room to be left behind the last body. */
export const BODIES_TAIL = CLOSE.length;

export interface EncodedRows {
  /**
   * Body `i` lies between BODIES_START, or behind the comma of the one before it, and `ends[i]`. Behind the
   * last there are BODIES_TAIL bytes more.
   */
  bytes: Uint8Array;
  ends: Uint32Array;
  count: number;
  /** POSITION_BYTES for each. */
  positions: Buffer;
  /** JSON text of each row's key values, where the labels have key columns; else null. */
  keys: readonly (readonly string[])[] | null;
  /** Sum of messageSize. */
  size: number;
}

export class EncodedRun implements MessageRun {
  readonly #rows: EncodedRows;
  readonly #labels: RowLabels;
  readonly #bytes: Buffer;
  readonly #extra: Readonly<Record<string, string>>;
  readonly #overhead: number;
  #release: () => void;

  constructor(rows: EncodedRows, labels: RowLabels, release: () => void = () => {}) {
    this.#rows = rows;
    this.#labels = labels;
    this.#bytes = Buffer.from(rows.bytes.buffer, rows.bytes.byteOffset, rows.bytes.byteLength);
    this.#extra = extraProperties(labels);
    this.#overhead = rowOverhead(labels);
    this.#release = release;
  }

  get count(): number {
    return this.#rows.count;
  }

  get bytes(): number {
    return this.#rows.size;
  }

  size(index: number): number {
    const key = this.#rows.keys === null ? 0 : this.#key(index).length;
    return this.#rows.ends[index]! - this.#start(index) + this.#overhead + key;
  }

  /** All bodies, a comma between them. */
  get bodies(): Buffer {
    return this.#bytes.subarray(BODIES_START, this.count === 0 ? BODIES_START : this.#rows.ends[this.count - 1]);
  }

  message(index: number): Message {
    const { table, destination, origin } = this.#labels;
    const { positions, ends } = this.#rows;
    const at = index * POSITION_BYTES;
    const place = positions.toString("hex", at, at + POSITION_BYTES);
    return {
      id: `${origin}-${place}`,
      key: this.#key(index),
      body: this.#bytes.subarray(this.#start(index), ends[index]),
      properties: {
        Destination: destination,
        TableName: table.table,
        OperationType: operationTypes[positions[at + POSITION_BYTES - 1]!]!,
        LSN: place.slice(0, 20),
        ...this.#extra,
      },
    };
  }

  messages(): Message[] {
    return Array.from({ length: this.count }, (_, index) => this.message(index));
  }

  batches(maxBytes: number): Message[] {
    const { count, ends } = this.#rows;
    const result: Message[] = [];
    if (count === 0) return result;
    const room = maxBytes - batchOverhead(this.message(0), tableKey(this.#labels.table));
    for (let first = 0; first < count; ) {
      const start = this.#start(first);
      let last = first;
      while (last + 1 < count && ends[last + 1]! + 1 - start <= room) last++;
      const one = this.message(first);
      if (last === first && ends[first]! + 1 - start > room) {
        result.push({ ...one, key: tableKey(this.#labels.table) });
      } else {
        const body = this.#batchBody(first, last);
        result.push(batchOf(body, one, this.message(last).id, last - first + 1, tableKey(this.#labels.table)));
      }
      first = last + 1;
    }
    return result;
  }

  release(): void {
    const release = this.#release;
    // Given back twice, the buffer would be two readers' at once.
    this.#release = () => {};
    release();
  }

  /** Without a copy where it is a batch of all. */
  #batchBody(first: number, last: number): Buffer {
    const end = this.#rows.ends[last]!;
    if (first > 0 || last < this.count - 1)
      return Buffer.concat([OPEN, this.#bytes.subarray(this.#start(first), end), CLOSE]);
    OPEN.copy(this.#bytes, 0);
    CLOSE.copy(this.#bytes, end);
    return this.#bytes.subarray(0, end + CLOSE.length);
  }

  #start(index: number): number {
    return index === 0 ? BODIES_START : this.#rows.ends[index - 1]! + 1;
  }

  #key(index: number): string {
    const { keys } = this.#rows;
    const { table } = this.#labels;
    return keys === null ? tableKey(table) : rowKey(table, keys[index]!);
  }
}

/** messageSize of a message but for its body, and for its key where each row has one of its own. */
export function rowOverhead(labels: RowLabels): number {
  const { table, destination, keyColumns } = labels;
  const properties = {
    Destination: destination,
    TableName: table.table,
    // All types are as long as this one, but for the shorter Read.
    OperationType: "Insert",
    LSN: "00000000000000000000",
    ...extraProperties(labels),
  };
  const key = keyColumns === null ? tableKey(table) : "";
  return messageSize({ id: " ".repeat(ROW_ID_LENGTH), key, body: Buffer.alloc(0), properties });
}

function extraProperties({ keyColumns }: RowLabels): Record<string, string> {
  return keyColumns === null ? {} : { [KEY_COLUMNS]: JSON.stringify(keyColumns) };
}

export function readPosition(positions: Buffer, index: number): Position {
  const at = index * POSITION_BYTES;
  return {
    startLsn: positions.toString("hex", at, at + 10),
    commandId: positions.readInt32BE(at + 10),
    seqval: positions.toString("hex", at + 14, at + 24),
    operation: positions[at + 24]!,
  };
}
