/** An entity's dead letters: its own sub-queue. Sequence numbers name them. */
import type { ServiceBusReceivedMessage, ServiceBusReceiver } from "@azure/service-bus";
import Long from "long";
import type { DeadLetter, DeadLetters } from "../transport.ts";
import { serviceBusError } from "./link.ts";
import { incoming, outgoing } from "./message.ts";
import type { ServiceBusReading } from "./receiver.ts";

/** How long looking for a letter that is locked by somebody else, or gone, takes. */
const LOOK_MS = 2_000;
const AT_ONCE = 100;

export function deadLettersOf(reading: ServiceBusReading): DeadLetters {
  const { client, queue, subscription, what, where } = reading;
  const looking = async <T>(look: (receiver: ServiceBusReceiver) => Promise<T>): Promise<T> => {
    const options = { subQueueType: "deadLetter", receiveMode: "peekLock", skipParsingBodyAsJson: true } as const;
    const receiver =
      subscription === undefined
        ? client.createReceiver(queue, options)
        : client.createReceiver(queue, subscription, options);
    try {
      return await look(receiver);
    } catch (error) {
      throw serviceBusError(`looking at the dead letters of ${what}`, where, error);
    } finally {
      await receiver.close().catch(() => {});
    }
  };
  return {
    list: (limit) => looking((receiver) => peek(receiver, limit)),
    get: (id) =>
      looking(async (receiver) => {
        if (!/^\d{1,19}$/.test(id)) return null;
        const [letter] = await peek(receiver, 1, Long.fromString(id));
        return letter?.id === id ? letter : null;
      }),
    // Killed between the two, the message is in both places: the copy that comes again has the same id.
    replay: (id) =>
      looking(async (receiver) => {
        for (;;) {
          const found = await receiver.receiveMessages(AT_ONCE, { maxWaitTimeInMs: LOOK_MS });
          const letter = found.find(({ sequenceNumber }) => String(sequenceNumber) === id);
          if (letter === undefined && found.length > 0) continue;
          if (letter === undefined) return false;
          const sender = client.createSender(queue);
          // Duplicate detection may still know the message by its own id.
          await sender.sendMessages(outgoing(incoming(letter), `${letter.messageId}/replay/${id}`.slice(-128)));
          await receiver.completeMessage(letter);
          await sender.close();
          return true;
        }
      }),
  };
}

/** From the first on, or from a sequence number. The client would go on where it looked last. */
async function peek(receiver: ServiceBusReceiver, limit: number, from: Long = Long.ONE): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (let next = from; letters.length < limit; ) {
    const found = await receiver.peekMessages(Math.min(AT_ONCE, limit - letters.length), { fromSequenceNumber: next });
    if (found.length === 0) break;
    letters.push(...found.map(letterOf));
    next = found.at(-1)!.sequenceNumber!.add(1);
  }
  return letters;
}

function letterOf(found: ServiceBusReceivedMessage): DeadLetter {
  return {
    id: String(found.sequenceNumber),
    reason: found.deadLetterReason ?? "",
    since: found.enqueuedTimeUtc ?? new Date(0),
    message: incoming(found),
  };
}
