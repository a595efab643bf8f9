/**
 * Publishes on one channel, all messages of a send at once and in order, and waits for the broker's confirms: of a quorum queue
 * they come once a majority of its nodes has the message on disk (https://www.rabbitmq.com/docs/confirms).
 *
 * When the channel is lost, every send under way rejects, and the next one opens a new one.
 */
import type { ConfirmChannel } from "amqplib";
import { type Message, messageSize } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import { describe } from "../entities.ts";
import type { Entity, Sender } from "../transport.ts";
import { ANSWER_WITHIN_MS, closeQuietly, type Link } from "./link.ts";
import { publishOptions } from "./message.ts";
import { exchangeOf, queueOf } from "./names.ts";

interface Opened {
  channel: ConfirmChannel;
  /** Aborts with what ended the channel. */
  lost: AbortSignal;
  /** Ids that the broker could route to no queue. */
  returned: Set<string>;
}

export class RabbitMqSender implements Sender {
  readonly #link: Link;
  readonly #entity: Entity;
  readonly #exchange: string;
  readonly #routingKey: string;
  readonly #maxMessageBytes: number;
  #opening: Promise<Opened> | null = null;

  constructor(link: Link, entity: Entity, maxMessageBytes: number) {
    this.#link = link;
    this.#entity = entity;
    this.#exchange = entity.kind === "queue" ? "" : exchangeOf(entity.name);
    this.#routingKey = entity.kind === "queue" ? queueOf(entity) : "";
    this.#maxMessageBytes = maxMessageBytes;
  }

  async send(messages: readonly Message[]): Promise<void> {
    for (const message of messages) this.#checkSize(message);
    if (messages.length === 0) return;
    const opened = await this.#open();
    await this.#publish(opened, messages);
    for (const { id } of messages) if (opened.returned.delete(id)) throw this.#unroutable(id);
  }

  async close(): Promise<void> {
    const opened = await this.#opening?.catch(() => null);
    await closeQuietly(opened?.channel);
  }

  async #publish({ channel, lost }: Opened, messages: readonly Message[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = () => reject(lost.reason);
    lost.addEventListener("abort", fail, { once: true });
    let unconfirmed = messages.length;
    let before = unconfirmed;
    const stalled = setInterval(() => {
      if (unconfirmed === before && !this.#link.blocked) this.#link.abandon();
      before = unconfirmed;
    }, ANSWER_WITHIN_MS);
    const confirmed = (error: unknown) => {
      if (error) reject(lost.aborted ? lost.reason : this.#link.error(`sending to ${describe(this.#entity)}`, error));
      else if (--unconfirmed === 0) resolve();
    };
    // Heard of below, once all is written.
    promise.catch(() => {});
    try {
      lost.throwIfAborted();
      for (const message of messages) {
        if (channel.publish(this.#exchange, this.#routingKey, message.body, publishOptions(message), confirmed))
          continue;
        await Promise.race([new Promise<void>((go) => channel.once("drain", () => go())), promise]);
      }
      await promise;
    } catch (error) {
      throw this.#link.error(`sending to ${describe(this.#entity)}`, error);
    } finally {
      clearInterval(stalled);
      lost.removeEventListener("abort", fail);
    }
  }

  #open(): Promise<Opened> {
    this.#opening ??= this.#openAnew().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #openAnew(): Promise<Opened> {
    const lost = new AbortController();
    const channel = await this.#link.confirmChannel((error) => {
      this.#opening = null;
      lost.abort(error);
    });
    const returned = new Set<string>();
    channel.on("return", ({ properties }) => returned.add(String(properties.messageId)));
    return { channel, lost: lost.signal, returned };
  }

  #checkSize(message: Message): void {
    const size = messageSize(message);
    if (size <= this.#maxMessageBytes) return;
    throw new TransportError(
      "too_large",
      `Cannot send message ${message.id} to ${describe(this.#entity)}: it has ${size} bytes, RabbitMQ takes ` +
        `${this.#maxMessageBytes} at most here.`,
      {
        messageId: message.id,
        advice:
          "Leave the table's largest columns out, set on_oversize, or raise max_message_size of the broker and max_message_bytes.",
      },
    );
  }

  #unroutable(id: string): TransportError {
    return new TransportError(
      "rejected",
      `No queue takes message ${id} of ${describe(this.#entity)}: it was returned.`,
      {
        messageId: id,
        advice:
          this.#entity.kind === "queue"
            ? "The queue was deleted. It is made when an ingester or a router that names it starts."
            : "No queue is bound to the exchange any more: bind one, or restart the router, which makes its own.",
      },
    );
  }
}
