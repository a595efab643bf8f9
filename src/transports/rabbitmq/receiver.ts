/**
 * Receives from one queue, for all receivers of this process together. The queue has a single active consumer: of several
 * processes one receives, and the others wait until its channel ends (https://www.rabbitmq.com/docs/consumers#single-active-consumer).
 *
 *     closed    nobody receives
 *       → open      somebody asks for a delivery: a channel, and a consumer on it
 *     open      messages come into the backlog, `prefetch` of them at most unacknowledged, and go out as deliveries
 *       → closed    nobody asks any more and no delivery is out: the channel is closed, the broker takes back what waits
 *       → lost      the channel or the connection ended, or the broker has cancelled the consumer
 *     lost      deliveries that are out cannot be settled; their messages are delivered again, to somebody
 *       → closed
 *
 * An acknowledgement has no answer in AMQP 0-9-1, so a question is asked behind it on the same channel: its answer says that the
 * broker has had the acknowledgement, and had not given the messages to somebody else before.
 */
import type { Channel, ConsumeMessage } from "amqplib";
import type { Message } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import { type KeyBatch, KeyedBacklog, type Received } from "../keyed-backlog.ts";
import type { Delivery, Entity, Receiver } from "../transport.ts";
import { closeQuietly, type Link } from "./link.ts";
import { messageOf } from "./message.ts";
import { describe, queueOf } from "./names.ts";

/** Puts a message into the dead letters, durably. */
export type Bury = (message: Message, reason: string) => Promise<void>;

export class QueueReceiving {
  readonly #link: Link;
  readonly #entity: Entity;
  readonly #prefetch: number;
  readonly #bury: Bury;
  #opening: Promise<Session> | null = null;
  #askers = 0;

  constructor(link: Link, entity: Entity, prefetch: number, bury: Bury) {
    this.#link = link;
    this.#entity = entity;
    this.#prefetch = prefetch;
    this.#bury = bury;
  }

  receiver(): Receiver {
    const closing = new AbortController();
    return {
      deliveries: (signal) => this.#deliveries(AbortSignal.any([signal, closing.signal])),
      close: async () => closing.abort(),
    };
  }

  async *#deliveries(signal: AbortSignal): AsyncGenerator<Delivery> {
    if (signal.aborted) return;
    this.#askers++;
    try {
      const session = await this.#open();
      for (let batch = await session.backlog.next(signal); batch !== null; batch = await session.backlog.next(signal)) {
        yield new RabbitMqDelivery(session, batch, this.#entity, this.#link, this.#bury, () => this.#rest());
      }
    } finally {
      this.#askers--;
      await this.#rest();
    }
  }

  /** Gives up the queue once nobody needs it: then another process may have it. */
  async #rest(): Promise<void> {
    const session = await this.#opening?.catch(() => null);
    if (!session || this.#askers > 0 || session.backlog.out > 0) return;
    this.#opening = null;
    await session.close();
  }

  #open(): Promise<Session> {
    this.#opening ??= this.#openAnew().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #openAnew(): Promise<Session> {
    const session = new Session(this.#link, this.#entity, () => {
      this.#opening = null;
    });
    await session.open(this.#prefetch);
    return session;
  }
}

/** A channel with a consumer, and what has come over it. */
class Session {
  readonly backlog = new KeyedBacklog<ConsumeMessage>();
  readonly #link: Link;
  readonly #entity: Entity;
  readonly #onLost: () => void;
  #channel: Channel | null = null;
  #lost: TransportError | null = null;
  #asking: Promise<void> | null = null;
  #asked: Promise<void> | null = null;

  constructor(link: Link, entity: Entity, onLost: () => void) {
    this.#link = link;
    this.#entity = entity;
    this.#onLost = onLost;
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
  async acknowledge(received: readonly Received<ConsumeMessage>[]): Promise<void> {
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
    this.#onLost();
  }
}

class RabbitMqDelivery implements Delivery {
  readonly key: string;
  readonly messages: readonly Message[];
  readonly #session: Session;
  readonly #batch: KeyBatch<ConsumeMessage>;
  readonly #entity: Entity;
  readonly #link: Link;
  readonly #bury: Bury;
  readonly #onSettled: () => Promise<void>;
  #left: Received<ConsumeMessage>[];

  constructor(
    session: Session,
    batch: KeyBatch<ConsumeMessage>,
    entity: Entity,
    link: Link,
    bury: Bury,
    onSettled: () => Promise<void>,
  ) {
    this.#session = session;
    this.#batch = batch;
    this.#entity = entity;
    this.#link = link;
    this.#bury = bury;
    this.#onSettled = onSettled;
    this.#left = [...batch.received];
    this.key = batch.key;
    this.messages = batch.received.map(({ message }) => message);
  }

  async complete(): Promise<void> {
    await this.#settle("completing", this.#left);
    this.#left = [];
    this.#session.backlog.done(this.#batch);
    await this.#onSettled();
  }

  /** The broker need not hear of it: the messages are still this process's, and go out again from here, or with its end. */
  async abandon(): Promise<void> {
    this.#session.backlog.giveBack(this.#batch, this.#left);
    this.#left = [];
    await this.#onSettled();
  }

  async deadLetter(message: Message, reason: string): Promise<void> {
    const at = this.#left.find((received) => received.message === message);
    if (at === undefined)
      throw this.#lost("dead-lettering", new Error("the message is not one of it, or was settled before"));
    await this.#bury(message, reason);
    await this.#settle("dead-lettering a message of", [at]);
    this.#left = this.#left.filter((received) => received !== at);
  }

  async #settle(doing: string, received: readonly Received<ConsumeMessage>[]): Promise<void> {
    try {
      await this.#session.acknowledge(received);
    } catch (error) {
      throw this.#lost(doing, error);
    }
  }

  #lost(doing: string, cause: unknown): TransportError {
    const what = `a delivery of ${this.messages.length} messages of key "${this.key}" from ${describe(this.#entity)}`;
    const said = this.#link.error(`${doing} ${what}`, cause);
    return new TransportError("rejected", `${said.message}; what was not settled comes again.`, { cause });
  }
}
