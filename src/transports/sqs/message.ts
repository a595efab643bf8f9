/**
 * A message as SQS carries it: the ordering key as the message group, the id as the deduplication id, and the properties as message
 * attributes. Bodies and attributes are text without control characters and are never empty; groups and ids have 128 characters of ASCII at
 * most; there are ten attributes at most. What does not fit that stands in one more attribute, `dstream-more`, as JSON in ASCII; a body,
 * in base64, with `dstream-encoding`.
 */
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { MessageAttributeValue, Message as SqsMessage } from "@aws-sdk/client-sqs";
import type { Message } from "../../change/message.ts";

const MORE = "dstream-more";
const ENCODING = "dstream-encoding";

interface More {
  id?: string;
  key?: string;
  properties?: Record<string, string>;
  /** Of a dead letter. */
  letter?: { id: string; reason: string };
}

export interface Outgoing {
  MessageBody: string;
  MessageAttributes: Record<string, MessageAttributeValue>;
  MessageGroupId: string;
  MessageDeduplicationId: string;
}

/** `deduplication`: the id that the queue knows the message by, where that is not its own. */
export function outgoing(
  message: Message,
  { deduplication = message.id, letter }: { deduplication?: string; letter?: More["letter"] } = {},
): Outgoing {
  const { id, key, properties } = message;
  const [MessageGroupId, MessageDeduplicationId] = [fitting(key), fitting(deduplication)];
  const more: More = {
    ...(MessageDeduplicationId !== id && { id }),
    ...(MessageGroupId !== key && { key }),
    ...(letter !== undefined && { letter }),
  };
  const attributes: Record<string, MessageAttributeValue> = {};
  let room = MOST_ATTRIBUTES;
  for (const name in properties) {
    const value = properties[name]!;
    if (room > 0 && NAME.test(name) && !/^(AWS|Amazon)\./i.test(name) && value !== "" && isText(value)) {
      attributes[name] = text(value);
      room--;
    } else (more.properties ??= {})[name] = value;
  }
  if (Object.keys(more).length > 0) attributes[MORE] = text(ascii(JSON.stringify(more)));
  const body = isUtf8(message.body) ? message.body.toString() : "";
  const plain = body !== "" && isText(body);
  if (!plain) attributes[ENCODING] = text("base64");
  // Nothing at all is no body.
  const encoded = message.body.toString("base64");
  return {
    MessageBody: plain ? body : encoded || "=",
    MessageAttributes: attributes,
    MessageGroupId,
    MessageDeduplicationId,
  };
}

export function incoming({
  Body = "",
  MessageAttributes = {},
  Attributes = {},
  MessageId,
}: SqsMessage): Message & { letter: More["letter"] } {
  const more = JSON.parse(MessageAttributes[MORE]?.StringValue ?? "{}") as More;
  const properties: Record<string, string> = {};
  for (const [name, { StringValue }] of Object.entries(MessageAttributes))
    if (name !== MORE && name !== ENCODING) properties[name] = StringValue ?? "";
  return {
    id: more.id ?? Attributes.MessageDeduplicationId ?? MessageId ?? "",
    key: more.key ?? Attributes.MessageGroupId ?? "",
    body: Buffer.from(Body, MessageAttributes[ENCODING] === undefined ? "utf8" : "base64"),
    properties: Object.assign(properties, more.properties),
    letter: more.letter,
  };
}

/** Two are ours. */
const MOST_ATTRIBUTES = 8;
const NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

function text(StringValue: string): MessageAttributeValue {
  return { DataType: "String", StringValue };
}

/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html: what a body may hold. */
function isText(value: string): boolean {
  return !/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u.test(value);
}

function ascii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function fitting(value: string): string {
  return /^[!-~]{1,128}$/.test(value) ? value : createHash("sha256").update(value).digest("hex");
}
