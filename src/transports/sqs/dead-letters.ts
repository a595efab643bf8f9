/**
 * An entity's dead letters: a standard queue of its own, made with the first of them. SQS shows messages by handing them out: they are
 * made visible again as soon as they were looked at.
 */
import { randomUUID } from "node:crypto";
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  type Message as SqsMessage,
} from "@aws-sdk/client-sqs";
import type { Message } from "../../change/message.ts";
import type { DeadLetter, DeadLetters } from "../transport.ts";
import { type SqsLink, sqsError } from "./link.ts";
import { incoming, outgoing } from "./message.ts";

export interface Burying {
  link: SqsLink;
  /** As in "queue …". */
  what: string;
  /** Address of the dead letters; null where there are none yet and `make` is false. */
  url: (make: boolean) => Promise<string | null>;
  /** Address of where a letter goes that is replayed. */
  home: () => Promise<string>;
}

const LOOK_SECONDS = 30;

/** Durable once it resolves. */
export async function bury({ link, what, url }: Burying, message: Message, reason: string): Promise<void> {
  try {
    const { MessageBody, MessageAttributes } = outgoing(message, {
      letter: { id: randomUUID(), reason },
      deduplication: randomUUID(),
    });
    // It has no group: the letter tells its key.
    await link.client.send(
      new SendMessageCommand({
        QueueUrl: (await url(true))!,
        MessageBody,
        MessageAttributes: withKey(MessageAttributes, message),
      }),
    );
  } catch (error) {
    throw sqsError(`dead-lettering a message of ${what}`, link, error);
  }
}

export function deadLettersOf({ link, what, url, home }: Burying): DeadLetters {
  const looking = async <T>(
    none: T,
    look: (found: AsyncIterable<SqsMessage>, queue: string) => Promise<T>,
  ): Promise<T> => {
    try {
      const queue = await url(false);
      if (queue === null) return none;
      const seen: SqsMessage[] = [];
      try {
        return await look(handedOut(link, queue, seen), queue);
      } finally {
        for (const { ReceiptHandle } of seen) {
          const visible = new ChangeMessageVisibilityCommand({ QueueUrl: queue, ReceiptHandle, VisibilityTimeout: 0 });
          await link.client.send(visible).catch(() => {});
        }
      }
    } catch (error) {
      throw sqsError(`looking at the dead letters of ${what}`, link, error);
    }
  };
  return {
    list: (limit) =>
      looking<DeadLetter[]>([], async (found) => {
        const letters: DeadLetter[] = [];
        for await (const message of found) letters.push(letterOf(message));
        return letters.sort((a, b) => a.since.getTime() - b.since.getTime()).slice(0, limit);
      }),
    get: (id) =>
      looking<DeadLetter | null>(null, async (found) => {
        for await (const message of found) if (letterOf(message).id === id) return letterOf(message);
        return null;
      }),
    // Killed between the two, the message is in both places: the copy that comes again has the same id.
    replay: (id) =>
      looking(false, async (found, queue) => {
        for await (const message of found) {
          const letter = letterOf(message);
          if (letter.id !== id) continue;
          const again = outgoing(letter.message, { deduplication: `replay-${id}` });
          await link.client.send(new SendMessageCommand({ QueueUrl: await home(), ...again }));
          await link.client.send(new DeleteMessageCommand({ QueueUrl: queue, ReceiptHandle: message.ReceiptHandle }));
          return true;
        }
        return false;
      }),
  };
}

/** Until SQS has no more to hand out. */
async function* handedOut(link: SqsLink, url: string, seen: SqsMessage[]): AsyncGenerator<SqsMessage> {
  for (;;) {
    const { Messages = [] } = await link.client.send(
      new ReceiveMessageCommand({
        QueueUrl: url,
        MaxNumberOfMessages: 10,
        VisibilityTimeout: LOOK_SECONDS,
        WaitTimeSeconds: 1,
        MessageSystemAttributeNames: ["All"],
        MessageAttributeNames: ["All"],
      }),
    );
    if (Messages.length === 0) return;
    seen.push(...Messages);
    yield* Messages;
  }
}

function letterOf(found: SqsMessage): DeadLetter {
  const { letter, ...message } = incoming(found);
  const since = new Date(Number(found.Attributes?.SentTimestamp ?? 0));
  return { id: letter?.id ?? found.MessageId!, reason: letter?.reason ?? "", since, message };
}

/** Id and key always stand in the attribute for what has no other place. */
function withKey(
  attributes: ReturnType<typeof outgoing>["MessageAttributes"],
  { id, key }: Message,
): typeof attributes {
  const more = JSON.parse(attributes["dstream-more"]?.StringValue ?? "{}") as object;
  const StringValue = JSON.stringify({ ...more, id, key }).replace(
    /[^\x20-\x7e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return { ...attributes, "dstream-more": { DataType: "String", StringValue } };
}
