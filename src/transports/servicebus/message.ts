/**
 * A message as Service Bus carries it: the ordering key as the session, the id as its message id, which duplicate detection goes by,
 * and the properties as application properties. Session and message ids have 128 characters at most: what is longer goes by its
 * digest, and stands whole in a property.
 */
import { createHash } from "node:crypto";
import type { ServiceBusMessage, ServiceBusReceivedMessage } from "@azure/service-bus";
import type { Message } from "../../change/message.ts";

const ID = "dstream-id";
const KEY = "dstream-key";
const LONGEST = 128;

/** `deduplication`: the id that the entity knows the message by, where that is not its own. */
export function outgoing(message: Message, deduplication: string = message.id): ServiceBusMessage {
  const { id, key, body, properties } = message;
  const messageId = fitting(deduplication);
  // Nothing is no session.
  const sessionId = key === "" ? "-" : fitting(key);
  return {
    body,
    messageId,
    sessionId,
    contentType: "application/json",
    applicationProperties: {
      ...properties,
      ...(messageId !== id && { [ID]: id }),
      ...(sessionId !== key && { [KEY]: key }),
    },
  };
}

/** What others sent without a session keeps its order as a whole. */
export function incoming(received: ServiceBusReceivedMessage): Message {
  const { [ID]: id, [KEY]: key, ...rest } = received.applicationProperties ?? {};
  const properties: Record<string, string> = {};
  for (const name in rest) if (!DEAD_LETTER.has(name)) properties[name] = text(rest[name]);
  return {
    id: id === undefined ? String(received.messageId ?? received.sequenceNumber) : text(id),
    key: key === undefined ? (received.sessionId ?? "") : text(key),
    body: bytes(received.body),
    properties,
  };
}

/** Of a dead letter, beside its own. */
const DEAD_LETTER = new Set(["DeadLetterReason", "DeadLetterErrorDescription"]);

function fitting(text: string): string {
  return text.length <= LONGEST ? text : createHash("sha256").update(text).digest("hex");
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Others may send values instead of bytes. */
function bytes(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body ?? null));
}
