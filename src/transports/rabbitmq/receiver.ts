/**
 * A channel with a consumer on one queue, and what has come over it. The queue has a single active consumer: of several
 * processes one receives, and the others wait until its channel ends (https://www.rabbitmq.com/docs/consumers#single-active-consumer).
 * It is lost when the channel or the connection ends, or the broker cancels the consumer.
 *
 * An acknowledgement has no answer in AMQP 0-9-1, so a question is asked behind it on the same channel: its answer says that the
 * broker has had the acknowledgement, and had not given the messages to somebody else before.
 */
import type { Channel, ConsumeMessage } from "amqplib";
import { TransportError } from "../../errors.ts";
import type { Session } from "../backlog-receiving.ts";
import { describe } from "../entities.ts";
import type { KeyedBacklog, Received } from "../keyed-backlog.ts";
import type { Entity } from "../transport.ts";
import { closeQuietly, type Link } from "./link.ts";
import { messageOf } from "./message.ts";
import { queueOf } from "./names.ts";

export class RabbitMqSession implements Session<ConsumeMessage> {
  readonly backlog: KeyedBacklog<ConsumeMessage>;
  readonly #link: Link;
  readonly #entity: Entity;
  #channel: Channel | null = null;
  #lost: TransportError | null = null;
  #asking: Promise<void> | null = null;
  #asked: Promise<void> | null = null;

  constructor(link: Link, entity: Entity, backlog: KeyedBacklog<ConsumeMessage>) {
    this.#link = link;
    this.#entity = entity;
    this.backlog = backlog;
  }

  get lost(): boolean {
    return this.#lost !== null;
  }

  async open(prefetch: number): Promise<void> {
    const doing = `receiving from ${describe(this.#entity)}`;
    const channel = await this.#link.channel((error) => this.#lose(error));
    try {
      await this.#link.answered(channel.prefetch(prefetch));
      const consuming = channel.consume(queueOf(this.#entity), (received) => {
        if (received !== null) this.backlog.put({ message: messageOf(received), handle: received });
        else
          this.#lose(
            this.#link.error(doing, new Error("the broker has cancelled the consumer; was the queue deleted?")),
          );
      });
      await this.#link.answered(consuming);
    } catch (error) {
      throw this.#link.error(doing, error);
    }
    this.#channel = channel;
  }

  /** Resolves when the broker has had the acknowledgements. */
  async settle(received: readonly Received<ConsumeMessage>[]): Promise<void> {
    if (this.#lost !== null) throw this.#lost;
    for (const { handle } of received) this.#channel!.ack(handle);
    await this.#settledSoFar();
  }

  async close(): Promise<void> {
    const channel = this.#channel;
    this.#lost ??= new TransportError("rejected", `The receiver of ${describe(this.#entity)} was closed.`);
    await closeQuietly(channel);
  }

  /** One question for all who wait, and one more for those who came while it was under way. */
  #settledSoFar(): Promise<void> {
    if (this.#asking === null) {
      this.#asking = this.#ask().finally(() => {
        this.#asking = null;
      });
      return this.#asking;
    }
    const before = this.#asking;
    this.#asked ??= before
      .catch(() => {})
      .then(() => {
        this.#asked = null;
        return this.#settledSoFar();
      });
    return this.#asked;
  }

  async #ask(): Promise<void> {
    await this.#link.answered(this.#channel!.checkQueue(queueOf(this.#entity)));
  }

  #lose(error: TransportError): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    this.backlog.fail(error);
  }
}
