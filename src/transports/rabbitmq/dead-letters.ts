/**
 * An entity's dead letters: a queue of its own, `<queue>.dead-letters`, made with the first of them. They are looked at by taking
 * them without acknowledging: closing the channel puts them back to their places.
 */
import { randomUUID } from "node:crypto";
import type { ConfirmChannel, GetMessage } from "amqplib";
import type { Message } from "../../change/message.ts";
import { describe } from "../entities.ts";
import type { DeadLetter, DeadLetters, Entity } from "../transport.ts";
import type { Link } from "./link.ts";
import { letterOf, messageOf, publishOptions } from "./message.ts";
import { deadLetterQueueOf, queueOf, unlimitedDeliveries } from "./names.ts";

/** Each look counts as a delivery of what was looked at: without a limit of deliveries none is ever dropped for it. */
async function make(link: Link, channel: ConfirmChannel, queue: string): Promise<void> {
  const quorum = { "x-queue-type": "quorum", ...unlimitedDeliveries(await link.version()) };
  await link.answered(channel.assertQueue(queue, { durable: true, arguments: quorum }));
}

/** Durable once it resolves. */
export async function bury(link: Link, entity: Entity, message: Message, reason: string): Promise<void> {
  const queue = deadLetterQueueOf(entity);
  await link.during(`dead-lettering a message of ${describe(entity)}`, async (channel) => {
    await make(link, channel, queue);
    const letter = { id: randomUUID(), reason, since: new Date() };
    channel.sendToQueue(queue, message.body, publishOptions(message, letter));
    await link.answered(channel.waitForConfirms());
  });
}

export function deadLettersOf(link: Link, entity: Entity): DeadLetters {
  const queue = deadLetterQueueOf(entity);
  const looking = <T>(look: (channel: ConfirmChannel) => Promise<T>) =>
    link.during(`looking at the dead letters of ${describe(entity)}`, async (channel) => {
      await make(link, channel, queue);
      return await look(channel);
    });
  const next = (channel: ConfirmChannel) => link.answered(channel.get(queue));
  const find = async (channel: ConfirmChannel, id: string): Promise<GetMessage | null> => {
    for (let found = await next(channel); found !== false; found = await next(channel))
      if (letterOf(found).id === id) return found;
    return null;
  };
  return {
    list: (limit) =>
      looking(async (channel) => {
        const letters: DeadLetter[] = [];
        while (letters.length < limit) {
          const found = await next(channel);
          if (found === false) break;
          letters.push(asLetter(found));
        }
        return letters;
      }),
    get: (id) =>
      looking(async (channel) => {
        const found = await find(channel, id);
        return found === null ? null : asLetter(found);
      }),
    // Killed between the two, the message is in both places: the copy that comes again has the same id.
    replay: (id) =>
      looking(async (channel) => {
        const found = await find(channel, id);
        if (found === null) return false;
        const message = messageOf(found);
        channel.sendToQueue(queueOf(entity), message.body, publishOptions(message));
        await link.answered(channel.waitForConfirms());
        channel.ack(found);
        await link.answered(channel.checkQueue(queue));
        return true;
      }),
  };
}

function asLetter(found: GetMessage): DeadLetter {
  const { id, reason, since } = letterOf(found);
  return { id, reason, since, message: messageOf(found) };
}
