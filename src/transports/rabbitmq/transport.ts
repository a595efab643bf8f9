/**
 * RabbitMQ, from 3.10 on: quorum queues, publisher confirms, and a single active consumer for each queue.
 *
 * - A topic is a fanout exchange of its name; its subscription is a queue `<topic>.<subscription>` that is bound to it.
 * - Order: one process at a time receives from a queue; within it, keys go their own ways.
 * - Repeats are not dropped by the broker: messages keep their ids.
 * - The broker gives no message up: quorum queues are made without a delivery limit, which RabbitMQ 4 would set to 20.
 */
import type { Channel, ConsumeMessage } from "amqplib";
import type { Logger } from "../../telemetry/logger.ts";
import { BacklogReceiving } from "../backlog-receiving.ts";
import { describe } from "../entities.ts";
import type { BrokerEndpoint } from "../settings.ts";
import type { DeadLetters, Entity, Limits, Receiver, Sender, Traits, Transport } from "../transport.ts";
import { bury, deadLettersOf } from "./dead-letters.ts";
import { Link } from "./link.ts";
import { deadLetterQueueOf, exchangeOf, queueOf, unlimitedDeliveries } from "./names.ts";
import { RabbitMqSession } from "./receiver.ts";
import { RabbitMqSender } from "./sender.ts";

/** What a batch message is cut to: a router holds `prefetch` of them. */
const BATCH_BYTES = 256 * 1024;

export class RabbitMqTransport implements Transport {
  readonly type = "rabbitmq";
  readonly limits: Limits;
  readonly traits: Traits = { deduplicates: false, keepsOrder: true };
  readonly #sending: Link;
  /** Its own: a broker that holds back publishers for want of memory must go on delivering. */
  readonly #receiving: Link;
  readonly #prefetch: number;
  readonly #queues = new Map<string, BacklogReceiving<ConsumeMessage>>();
  readonly #logger: Logger;

  constructor({ connectionString, settings }: BrokerEndpoint<"rabbitmq">, logger: Logger) {
    this.#sending = new Link(connectionString);
    this.#receiving = new Link(connectionString);
    this.#prefetch = settings.prefetch;
    this.#logger = logger;
    const { max_message_bytes: maxMessageBytes } = settings;
    this.limits = {
      maxMessageBytes,
      maxSendBytes: 16 * 1024 * 1024,
      batchBytes: Math.min(BATCH_BYTES, maxMessageBytes),
    };
  }

  async ensure(entity: Entity): Promise<void> {
    const unlimited = unlimitedDeliveries(await this.#sending.version());
    await this.#sending.ask(`making ${describe(entity)}`, async (channel) => {
      await channel.assertQueue(queueOf(entity), {
        durable: true,
        arguments: { "x-queue-type": "quorum", "x-single-active-consumer": true, ...unlimited },
      });
      if (entity.kind === "queue") return;
      await channel.assertExchange(exchangeOf(entity.name), "fanout", { durable: true });
      await channel.bindQueue(queueOf(entity), exchangeOf(entity.name), "");
    });
  }

  async exists(entity: Entity): Promise<boolean> {
    try {
      await this.#sending.ask(`looking for ${describe(entity)}`, (channel) => this.#check(channel, entity));
      return true;
    } catch (error) {
      if ((error as { cause?: { code?: number } }).cause?.code === 404) return false;
      throw error;
    }
  }

  async remove(entity: Entity): Promise<void> {
    await this.#sending.ask(`removing ${describe(entity)}`, async (channel) => {
      // Of what is missing, RabbitMQ says that it is gone now.
      await channel.deleteQueue(queueOf(entity));
      await channel.deleteQueue(deadLetterQueueOf(entity));
    });
    if (entity.kind === "queue") return;
    try {
      await this.#sending.ask(`removing ${describe(entity)}`, (channel) =>
        channel.deleteExchange(exchangeOf(entity.name), { ifUnused: true }),
      );
    } catch (error) {
      // In use: by other subscriptions. https://www.rabbitmq.com/amqp-0-9-1-reference#exchange.delete.if-unused
      if ((error as { cause?: { code?: number } }).cause?.code !== 406) throw error;
    }
  }

  async sender(entity: Entity): Promise<Sender> {
    await this.#sending.ask(`looking for ${describe(entity)}`, (channel) => this.#check(channel, entity));
    return new RabbitMqSender(this.#sending, entity, this.limits.maxMessageBytes);
  }

  async receiver(entity: Entity): Promise<Receiver> {
    await this.#sending.ask(`looking for ${describe(entity)}`, (channel) => channel.checkQueue(queueOf(entity)));
    const name = queueOf(entity);
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new BacklogReceiving<ConsumeMessage>({
        what: describe(entity),
        open: async (backlog) => {
          const session = new RabbitMqSession(this.#receiving, entity, backlog);
          await session.open(this.#prefetch);
          return session;
        },
        bury: (message, reason) => bury(this.#sending, entity, message, reason),
      });
      this.#queues.set(name, queue);
      this.#logger.debug({ queue: name, prefetch: this.#prefetch }, "received by one process at a time");
    }
    return queue.receiver();
  }

  deadLetters(entity: Entity): DeadLetters {
    return deadLettersOf(this.#sending, entity);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    await Promise.all([this.#sending.close(), this.#receiving.close()]);
  }

  async #check(channel: Channel, entity: Entity): Promise<void> {
    if (entity.kind === "topic") await channel.checkExchange(exchangeOf(entity.name));
    else await channel.checkQueue(queueOf(entity));
  }
}
