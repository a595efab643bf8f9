/**
 * How messages stand in the file: neighbours of one lane together in one row, a block. A thousand messages are then a few rows
 * to write, to read and to delete instead of a thousand, which is most of what they cost otherwise.
 */
import type { Message } from "../../change/message.ts";

/** Columns of table `message`, but for its numbers. */
export interface Block {
  count: number;
  /** JSON: the ids. */
  ids: string;
  /** JSON: `[name, value of all]` or `[name, [value of each]]` for each property. */
  properties: string;
  /** JSON: the length of each body. */
  lengths: string;
  /** One behind the other. */
  bodies: Uint8Array;
}

/** Numbered in the order of sending. */
export interface StoredMessage extends Message {
  readonly seq: number;
}

type Columns = [name: string, values: string | string[]][];

/** Small beside a delivery, so that it is filled well with whole blocks. */
const ROWS = 250;
const BYTES = 256 * 1024;

/** In order; those of one block have the same properties by name. */
export function cutIntoBlocks(messages: readonly Message[]): Message[][] {
  const blocks: Message[][] = [];
  let block: Message[] = [];
  let names: string[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = message.body.length;
    const own = Object.keys(message.properties);
    if (block.length === 0 || block.length === ROWS || bytes + size > BYTES || !equal(names, own)) {
      blocks.push((block = []));
      names = own;
      bytes = 0;
    }
    block.push(message);
    bytes += size;
  }
  return blocks;
}

export function packBlock(messages: readonly Message[]): Block {
  const columns = Object.entries(messages[0]!.properties).map(([name, first]): Columns[number] => {
    const same = messages.every(({ properties }) => properties[name] === first);
    return [name, same ? first : messages.map(({ properties }) => properties[name]!)];
  });
  return {
    count: messages.length,
    ids: JSON.stringify(messages.map(({ id }) => id)),
    properties: JSON.stringify(columns),
    lengths: JSON.stringify(messages.map(({ body }) => body.length)),
    bodies: messages.length === 1 ? messages[0]!.body : Buffer.concat(messages.map(({ body }) => body)),
  };
}

export function unpackBlock(row: Readonly<Record<string, unknown>>, key: string): StoredMessage[] {
  const seq = Number(row["seq"]);
  const ids = JSON.parse(String(row["ids"])) as string[];
  const columns = JSON.parse(String(row["properties"])) as Columns;
  const lengths = JSON.parse(String(row["lengths"])) as number[];
  const bytes = row["bodies"] as Uint8Array;
  const bodies = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = 0;
  return ids.map((id, index) => ({
    seq: seq + index,
    id,
    key,
    properties: propertiesAt(columns, index),
    body: bodies.subarray(end, (end += lengths[index]!)),
  }));
}

function propertiesAt(columns: Columns, index: number): Record<string, string> {
  const properties: Record<string, string> = {};
  for (const [name, values] of columns) {
    const value = typeof values === "string" ? values : values[index]!;
    // The one name that an assignment does not make a property of.
    if (name === "__proto__") Object.defineProperty(properties, name, { value, enumerable: true });
    else properties[name] = value;
  }
  return properties;
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}
