/**
 * An entity's dead letters: a compacted topic of its own, made with the first of them. A letter's record has its id as the key; one
 * without a value says that the letter is gone.
 */
import { randomUUID } from "node:crypto";
import { Admin, Consumer } from "@platformatic/kafka";
import type { Message } from "../../change/message.ts";
import type { DeadLetter, DeadLetters } from "../transport.ts";
import { isMissingTopic, type KafkaConnection, kafkaError } from "./connection.ts";
import { messageOf, recordOf } from "./message.ts";
import type { KafkaSending } from "./sender.ts";

export interface Burying {
  connection: KafkaConnection;
  producer: KafkaSending["producer"];
  /** As in "queue …". */
  what: string;
  /** Of the dead letters. */
  topic: string;
  /** Where a letter goes that is replayed. */
  home: string;
  make: () => Promise<void>;
}

/** Durable once it resolves. */
export async function bury(
  { connection, producer, what, topic, make }: Burying,
  message: Message,
  reason: string,
): Promise<void> {
  try {
    await make();
    await producer.send({ messages: [recordOf(topic, message, { key: randomUUID(), reason })] });
  } catch (error) {
    throw kafkaError(`dead-lettering a message of ${what}`, connection.where, error);
  }
}

export function deadLettersOf(burying: Burying): DeadLetters {
  const { connection, producer, what, topic, home } = burying;
  const looking = async <T>(look: (letters: Map<string, DeadLetter>) => T | Promise<T>): Promise<T> => {
    try {
      return await look(await all(burying));
    } catch (error) {
      throw kafkaError(`looking at the dead letters of ${what}`, connection.where, error);
    }
  };
  return {
    list: (limit) => looking((letters) => [...letters.values()].slice(0, limit)),
    get: (id) => looking((letters) => letters.get(id) ?? null),
    // Killed between the two, the message is in both places: the copy that comes again has the same id.
    replay: (id) =>
      looking(async (letters) => {
        const letter = letters.get(id);
        if (letter === undefined) return false;
        await producer.send({ messages: [recordOf(home, letter.message)] });
        await producer.send({ messages: [{ topic, key: Buffer.from(id), value: undefined }] } as never);
        return true;
      }),
  };
}

/** Reads the topic from its beginning to what was its end a moment ago. */
async function all({ connection, topic }: Burying): Promise<Map<string, DeadLetter>> {
  const letters = new Map<string, DeadLetter>();
  const groupId = `dstream-dead-letters-${randomUUID()}`;
  const consumer = new Consumer<Buffer, Buffer, Buffer, Buffer>({
    ...connection.options,
    groupId,
    autocommit: false,
    maxWaitTime: 100,
  });
  try {
    const ends = await endsOf(consumer, topic);
    if (ends === null || ends.every((end) => end === 0n)) return letters;
    const left = new Set(ends.flatMap((end, partition) => (end > 0n ? [partition] : [])));
    const earliest = (await consumer.listOffsets({ topics: [topic], timestamp: -2n })).get(topic) ?? [];
    for (const partition of left) if ((earliest[partition] ?? 0n) >= ends[partition]!) left.delete(partition);
    if (left.size === 0) return letters;
    const stream = await consumer.consume({ topics: [topic], mode: "earliest" } as never);
    for await (const record of stream) {
      const id = record.key.toString();
      if (
        record.value === null ||
        record.value === undefined ||
        (record.value.length === 0 && record.headers.size === 0)
      )
        letters.delete(id);
      else {
        const { reason, ...message } = messageOf(record);
        letters.set(id, { id, reason, since: new Date(Number(record.timestamp)), message });
      }
      if (record.offset + 1n >= ends[record.partition]!) left.delete(record.partition);
      if (left.size === 0) break;
    }
    return letters;
  } finally {
    await consumer.close(true).catch(() => {});
    const admin = new Admin(connection.options);
    await admin.deleteGroups({ groups: [groupId] }).catch(() => {});
    await admin.close().catch(() => {});
  }
}

/** Null where there is no such topic: there was no letter yet. */
async function endsOf(consumer: Consumer<Buffer, Buffer, Buffer, Buffer>, topic: string): Promise<bigint[] | null> {
  try {
    return (await consumer.listOffsets({ topics: [topic] })).get(topic) ?? null;
  } catch (error) {
    if (isMissingTopic(error)) return null;
    throw error;
  }
}
