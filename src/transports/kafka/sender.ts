/**
 * Sends one request at a time for each topic, with all that waits by then, and waits for all in-sync replicas. A second request under
 * way could be taken where the first one is tried again, and so change places with it.
 */
import type { Producer } from "@platformatic/kafka";
import { type Message, messageSize } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import type { Sender } from "../transport.ts";
import { isProtocolError, kafkaError } from "./connection.ts";
import { type Outgoing, recordOf } from "./message.ts";

export interface KafkaSending {
  producer: Pick<Producer<Buffer, Buffer, Buffer, Buffer>, "send">;
  where: string;
  /** As in "queue …". */
  what: string;
  topic: string;
  maxMessageBytes: number;
}

interface Send {
  messages: readonly Message[];
  /** Of its messages, those that are acknowledged. */
  done: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class KafkaSender implements Sender {
  readonly #sending: KafkaSending;
  #waiting: Send[] = [];
  #pumping = false;

  constructor(sending: KafkaSending) {
    this.#sending = sending;
  }

  async send(messages: readonly Message[]): Promise<void> {
    const { maxMessageBytes } = this.#sending;
    for (const message of messages) if (messageSize(message) > maxMessageBytes) throw this.#tooLarge(message);
    if (messages.length === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ messages, done: 0, resolve, reject });
    void this.#pump();
    await promise;
  }

  async close(): Promise<void> {}

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#waiting.length > 0) await this.#one();
    this.#pumping = false;
  }

  /** One request. A send of which a part failed is over: its caller sends all of it again. */
  async #one(): Promise<void> {
    const { records, parts } = this.#next();
    const { producer, what, where } = this.#sending;
    try {
      await producer.send({ messages: records });
    } catch (error) {
      const failure = isProtocolError(error, "MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE")
        ? this.#refused(parts, error)
        : kafkaError(`sending to ${what}`, where, error);
      for (const { send } of parts) {
        this.#waiting.splice(this.#waiting.indexOf(send), 1);
        send.reject(failure);
      }
      return;
    }
    for (const { send, count } of parts) {
      send.done += count;
      if (send.done < send.messages.length) continue;
      this.#waiting.splice(this.#waiting.indexOf(send), 1);
      send.resolve();
    }
  }

  /** As much as one request takes, from those that wait, in their order. */
  #next(): { records: Outgoing[]; parts: { send: Send; count: number }[] } {
    const { topic, maxMessageBytes } = this.#sending;
    const records: Outgoing[] = [];
    const parts: { send: Send; count: number }[] = [];
    let bytes = 0;
    for (const send of this.#waiting) {
      const before = records.length;
      for (let i = send.done; i < send.messages.length; i++) {
        const message = send.messages[i]!;
        bytes += messageSize(message) + RECORD_BYTES;
        if (records.length > 0 && bytes > maxMessageBytes) break;
        records.push(recordOf(topic, message));
      }
      if (records.length > before) parts.push({ send, count: records.length - before });
      if (bytes > maxMessageBytes) break;
    }
    return { records, parts };
  }

  #refused(parts: readonly { send: Send; count: number }[], cause: unknown): TransportError {
    const { send } = parts[0]!;
    const message = send.messages[send.done]!;
    if (parts.length === 1 && parts[0]!.count === 1) return this.#tooLarge(message, cause);
    const { what, where } = this.#sending;
    return new TransportError(
      "rejected",
      `Kafka ${where} refuses ${what} a batch of ${this.#sending.maxMessageBytes} bytes: it is too large.`,
      {
        cause,
        advice: "Set max_message_bytes to the topic's max.message.bytes.",
      },
    );
  }

  #tooLarge(message: Message, cause?: unknown): TransportError {
    const { what, maxMessageBytes } = this.#sending;
    return new TransportError(
      "too_large",
      `Cannot send message ${message.id} to ${what}: it has ${messageSize(message)} bytes, Kafka takes ${maxMessageBytes} at most here.`,
      {
        messageId: message.id,
        cause,
        advice:
          "Leave the table's largest columns out, set on_oversize, or raise max.message.bytes of the topic and max_message_bytes.",
      },
    );
  }
}

/** What a record takes besides what it holds, at most, with five headers. */
const RECORD_BYTES = 128;
