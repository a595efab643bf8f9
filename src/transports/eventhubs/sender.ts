/**
 * Sends in batches as large as the link takes, each of one key, of one key one after the other: a batch is taken as a whole or not at
 * all, so what is sent again after a failure follows what was taken.
 */
import type { EventDataBatch, EventHubProducerClient } from "@azure/event-hubs";
import { type Message, messageSize } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import type { Sender } from "../transport.ts";
import { codeOf, type EventHubsLink, eventHubsError } from "./link.ts";
import { eventOf, partitionKeyOf } from "./message.ts";

export interface EventHubsSending {
  link: EventHubsLink;
  producer: EventHubProducerClient;
  hub: string;
  /** As in "queue …". */
  what: string;
  maxMessageBytes: number;
}

/** The service gives a link 300 credits at first; more keys than this at once gain nothing. */
const MOST_AT_ONCE = 64;

export class EventHubsSender implements Sender {
  readonly #sending: EventHubsSending;

  constructor(sending: EventHubsSending) {
    this.#sending = sending;
  }

  async send(messages: readonly Message[]): Promise<void> {
    for (const message of messages)
      if (messageSize(message) > this.#sending.maxMessageBytes) throw this.#tooLarge(message);
    const keys = [...Map.groupBy(messages, ({ key }) => key).values()].values();
    const lines = Array.from({ length: MOST_AT_ONCE }, async () => {
      for (const ofKey of keys) await this.#sendKey(ofKey);
    });
    // None is under way any more when the caller hears of a failure.
    const outcomes = await Promise.allSettled(lines);
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async close(): Promise<void> {}

  async #sendKey(messages: readonly Message[]): Promise<void> {
    const { producer, link, hub, what } = this.#sending;
    const partitionKey = partitionKeyOf(messages[0]!.key);
    let batch: EventDataBatch | null = null;
    let only = messages[0]!;
    const flush = async (full: EventDataBatch) => {
      try {
        await producer.sendBatch(full);
      } catch (error) {
        if (codeOf(error) === "MessageTooLargeError" && full.count === 1) throw this.#tooLarge(only, error);
        throw eventHubsError(`sending to ${what}`, link, error, { hub });
      }
    };
    const fresh = async () => {
      try {
        return await producer.createBatch({ partitionKey });
      } catch (error) {
        throw eventHubsError(`sending to ${what}`, link, error, { hub });
      }
    };
    for (const message of messages) {
      const event = eventOf(message);
      if (batch?.tryAdd(event)) continue;
      if (batch !== null) await flush(batch);
      batch = await fresh();
      only = message;
      if (!batch.tryAdd(event)) throw this.#tooLarge(message, undefined, batch.maxSizeInBytes);
    }
    if (batch !== null) await flush(batch);
  }

  #tooLarge(message: Message, cause?: unknown, linkBytes?: number): TransportError {
    const { what, maxMessageBytes } = this.#sending;
    const most = linkBytes === undefined ? `${maxMessageBytes}` : `${linkBytes} with all that goes with it`;
    return new TransportError(
      "too_large",
      `Cannot send message ${message.id} to ${what}: it has ${messageSize(message)} bytes, Event Hubs takes ${most} at most here.`,
      {
        messageId: message.id,
        cause,
        advice:
          "Leave the table's largest columns out, set on_oversize, or use a tier that takes more; max_message_bytes is to agree with it.",
      },
    );
  }
}
