/** A message as RabbitMQ carries it: the id as its message id, properties as headers, and the ordering key as one more. */
import type { Options, Message as RabbitMessage } from "amqplib";
import type { Message } from "../../change/message.ts";

const KEY = "dstream-key";
/** Of a message in the dead letters. */
const LETTER = "dstream-dead-letter";
const REASON = "dstream-reason";

export interface Letter {
  id: string;
  reason: string;
  since: Date;
}

export function publishOptions(message: Message, letter?: Letter): Options.Publish {
  const headers: Record<string, string> = { ...message.properties, [KEY]: message.key };
  if (letter !== undefined) Object.assign(headers, { [LETTER]: letter.id, [REASON]: letter.reason });
  return {
    persistent: true,
    mandatory: true,
    messageId: message.id,
    contentType: "application/json",
    headers,
    ...(letter === undefined ? {} : { timestamp: letter.since.getTime() }),
  };
}

/** What others sent has no ordering key: it keeps its order as a whole. */
export function messageOf({ content, properties, fields }: RabbitMessage): Message {
  const { [KEY]: key, [LETTER]: _letter, [REASON]: _reason, ...rest } = properties.headers ?? {};
  const own: Record<string, string> = {};
  // The broker adds headers of its own, such as x-delivery-count and x-death.
  for (const [name, value] of Object.entries(rest)) if (!name.startsWith("x-")) own[name] = text(value);
  return {
    id: properties.messageId === undefined ? `${fields.deliveryTag}` : String(properties.messageId),
    key: key === undefined ? "" : text(key),
    body: content,
    properties: own,
  };
}

export function letterOf({ properties }: RabbitMessage): Letter {
  const { [LETTER]: id, [REASON]: reason } = properties.headers ?? {};
  return { id: text(id), reason: text(reason), since: new Date(Number(properties.timestamp ?? 0)) };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}
