/**
 * A message as Event Hubs carries it: the ordering key as the partition key, the id as the AMQP message id, and the properties as
 * application properties. Both have 128 characters at most: what is longer goes by its digest, and stands whole in a property.
 */
import { createHash } from "node:crypto";
import type { EventData } from "@azure/event-hubs";
import type { Message } from "../../change/message.ts";

const ID = "dstream-id";
const KEY = "dstream-key";
const LONGEST = 128;

/** Nothing is no key: what has none is spread over all partitions. */
export function partitionKeyOf(key: string): string {
  return key === "" ? "-" : fitting(key);
}

export function eventOf({ id, key, body, properties }: Message): EventData {
  const messageId = fitting(id);
  const more = { ...(messageId !== id && { [ID]: id }), ...(partitionKeyOf(key) !== key && { [KEY]: key }) };
  return { body, messageId, contentType: "application/json", properties: { ...properties, ...more } };
}

/** As rhea has decoded it. */
export interface ReceivedEvent {
  message_id?: unknown;
  message_annotations?: Record<string, unknown>;
  application_properties?: Record<string, unknown>;
  body?: unknown;
}

export function sequenceNumberOf(event: ReceivedEvent): number {
  return Number(event.message_annotations?.["x-opt-sequence-number"]);
}

export function offsetOf(event: ReceivedEvent): string {
  return String(event.message_annotations?.["x-opt-offset"]);
}

/** What others sent without a partition key keeps its order within its partition. */
export function messageOf(event: ReceivedEvent, partition: string): Message {
  const { [ID]: id, [KEY]: key, ...rest } = event.application_properties ?? {};
  const properties: Record<string, string> = {};
  for (const name in rest) properties[name] = text(rest[name]);
  const partitionKey = event.message_annotations?.["x-opt-partition-key"];
  return {
    id: text(id ?? event.message_id ?? `${partition}-${sequenceNumberOf(event)}`),
    key: text(key ?? partitionKey ?? `partition ${partition}`),
    body: bytes(event.body),
    properties,
  };
}

function fitting(text: string): string {
  return text.length <= LONGEST ? text : createHash("sha256").update(text).digest("hex");
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const DATA = 0x75;

/** Others may send values instead of bytes, and bytes in several sections. */
function bytes(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  const section = body as { typecode?: number; content?: unknown } | null | undefined;
  if (section?.typecode === DATA) {
    const { content } = section;
    return Array.isArray(content) ? Buffer.concat(content as Buffer[]) : (content as Buffer);
  }
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body ?? null));
}
