/**
 * Sends in batches as large as the link takes, of one key one after the other: a batch is taken as a whole or not at all, so what is
 * sent again after a failure follows what was taken.
 */
import type { ServiceBusMessage, ServiceBusMessageBatch, ServiceBusSender } from "@azure/service-bus";
import { type Message, messageSize } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import type { Sender } from "../transport.ts";
import { codeOf, serviceBusError } from "./link.ts";
import { outgoing } from "./message.ts";

export interface ServiceBusSending {
  sender: ServiceBusSender;
  where: string;
  /** As in "queue …". */
  what: string;
  maxMessageBytes: number;
}

export class ServiceBusQueueSender implements Sender {
  readonly #sending: ServiceBusSending;

  constructor(sending: ServiceBusSending) {
    this.#sending = sending;
  }

  async send(messages: readonly Message[]): Promise<void> {
    for (const message of messages)
      if (messageSize(message) > this.#sending.maxMessageBytes) throw this.#tooLarge(message);
    const { sender } = this.#sending;
    let batch: ServiceBusMessageBatch | null = null;
    for (const message of messages) {
      const out = outgoing(message);
      if (batch?.tryAddMessage(out)) continue;
      if (batch !== null) await this.#hand(batch, message);
      batch = await this.#asking(() => sender.createMessageBatch());
      if (batch.tryAddMessage(out)) continue;
      // Premium takes larger messages than batches.
      await this.#hand(out, message);
      batch = null;
    }
    if (batch !== null) await this.#hand(batch, messages.at(-1)!);
  }

  async close(): Promise<void> {
    await this.#sending.sender.close();
  }

  async #hand(out: ServiceBusMessage | ServiceBusMessageBatch, message: Message): Promise<void> {
    try {
      await this.#sending.sender.sendMessages(out);
    } catch (error) {
      if (codeOf(error) === "MessageSizeExceeded") throw this.#tooLarge(message, error);
      throw serviceBusError(`sending to ${this.#sending.what}`, this.#sending.where, error);
    }
  }

  async #asking<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw serviceBusError(`sending to ${this.#sending.what}`, this.#sending.where, error);
    }
  }

  #tooLarge(message: Message, cause?: unknown): TransportError {
    const { what, maxMessageBytes } = this.#sending;
    return new TransportError(
      "too_large",
      `Cannot send message ${message.id} to ${what}: it has ${messageSize(message)} bytes, Service Bus takes ${maxMessageBytes} at most here.`,
      {
        messageId: message.id,
        cause,
        advice:
          "Leave the table's largest columns out, set on_oversize, or use the tier Premium with max_message_bytes as its entities allow.",
      },
    );
  }
}
