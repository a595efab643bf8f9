/** A message as Kafka carries it: the ordering key as the record's key, and id and properties as headers. */
import type { MessageToProduce, Message as Record } from "@platformatic/kafka";
import type { Message } from "../../change/message.ts";
import type { KafkaSettings } from "./settings.ts";

/** Kept free of a message for what a record and its batch take besides. */
const RECORD_ROOM = 2 * 1024;

/** The hard limit of one message. */
export function largestMessage(settings: KafkaSettings): number {
  return settings.max_message_bytes - RECORD_ROOM;
}

const ID = "dstream-id";
const REASON = "dstream-reason";

export type Outgoing = MessageToProduce<Buffer, Buffer, Buffer, Buffer>;
export type Incoming = Record<Buffer, Buffer, Buffer, Buffer>;

export function recordOf(topic: string, message: Message, more: { key?: string; reason?: string } = {}): Outgoing {
  const { id, key, body, properties } = message;
  const headers = new Map<Buffer, Buffer>([[name(ID), Buffer.from(id)]]);
  for (const property in properties) headers.set(name(property), Buffer.from(properties[property]!));
  if (more.reason !== undefined) headers.set(name(REASON), Buffer.from(more.reason)).set(name(KEY), Buffer.from(key));
  return { topic, key: Buffer.from(more.key ?? key), value: body, headers };
}

/** Of a dead letter, whose record's key is its own. */
const KEY = "dstream-key";

export function messageOf(record: Incoming): Message & { reason: string } {
  const properties: { [name: string]: string } = {};
  let id: string | undefined;
  let key: string | undefined;
  let reason = "";
  for (const [name, value] of record.headers) {
    const [is, text] = [name.toString(), value?.toString() ?? ""];
    if (is === ID) id = text;
    else if (is === REASON) reason = text;
    else if (is === KEY) key = text;
    else properties[is] = text;
  }
  return {
    // What others sent has no id of ours: where it stands is one.
    id: id ?? `${record.partition}-${record.offset}`,
    key: key ?? record.key?.toString() ?? "",
    body: record.value ?? Buffer.alloc(0),
    properties,
    reason,
  };
}

const names = new Map<string, Buffer>();

/** Names come again with each message. */
function name(text: string): Buffer {
  let bytes = names.get(text);
  if (bytes === undefined) {
    bytes = Buffer.from(text);
    if (names.size < 1_000) names.set(text, bytes);
  }
  return bytes;
}
