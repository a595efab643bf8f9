/**
 * Amazon SQS, ordered (FIFO) queues.
 *
 * - An entity is a queue; a topic is one as well, which its one subscription stands for.
 * - Order: the message group is the ordering key. Any number of routers share a queue.
 * - Repeats are dropped by deduplication id, for five minutes.
 */
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
} from "@aws-sdk/client-sqs";
import { TransportError } from "../../errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { BacklogReceiving } from "../backlog-receiving.ts";
import { describe } from "../entities.ts";
import type { BrokerEndpoint } from "../settings.ts";
import type { DeadLetters, Entity, Limits, Receiver, Sender, Traits, Transport } from "../transport.ts";
import { type Burying, bury, deadLettersOf } from "./dead-letters.ts";
import { isMissing, openLink, type SqsLink, sqsError } from "./link.ts";
import { deadLettersOf as deadLettersName, queueOf } from "./names.ts";
import { type SqsHandle, SqsSession } from "./receiver.ts";
import { SqsSender } from "./sender.ts";
import type { SqsSettings } from "./settings.ts";

/** Kept free of a message for what its attributes take besides. */
const ATTRIBUTE_ROOM = 4 * 1024;
/** Fourteen days: the longest there is. */
const RETENTION_SECONDS = 1_209_600;

export class SqsTransport implements Transport {
  readonly type = "sqs";
  readonly limits: Limits;
  readonly traits: Traits = { deduplicates: true, keepsOrder: true };
  readonly #link: SqsLink;
  readonly #settings: SqsSettings;
  readonly #reading = new Map<string, BacklogReceiving<SqsHandle>>();
  readonly #urls = new Map<string, string>();
  readonly #logger: Logger;

  constructor({ connectionString, settings }: BrokerEndpoint<"sqs">, logger: Logger) {
    this.#link = openLink(connectionString);
    this.#settings = settings;
    this.#logger = logger;
    const maxMessageBytes = settings.max_message_bytes - ATTRIBUTE_ROOM;
    this.limits = { maxMessageBytes, maxSendBytes: 4 * 1024 * 1024 };
  }

  async ensure(entity: Entity): Promise<void> {
    await this.#ask(`making ${describe(entity)}`, async () => {
      const url = await this.#url(queueOf(entity.name));
      if (url !== null) return await this.#look(url);
      await this.#make(queueOf(entity.name), {
        FifoQueue: "true",
        ContentBasedDeduplication: "false",
        // Each table has a throughput of its own ("high throughput for FIFO queues").
        DeduplicationScope: "messageGroup",
        FifoThroughputLimit: "perMessageGroupId",
        MessageRetentionPeriod: String(RETENTION_SECONDS),
        VisibilityTimeout: String(Math.ceil(this.#settings.visibility_timeout / 1000)),
        MaximumMessageSize: String(this.#settings.max_message_bytes),
      });
    });
  }

  async exists(entity: Entity): Promise<boolean> {
    return (await this.#ask(`looking for ${describe(entity)}`, () => this.#url(queueOf(entity.name)))) !== null;
  }

  async remove(entity: Entity): Promise<void> {
    await this.#ask(`removing ${describe(entity)}`, async () => {
      for (const name of [queueOf(entity.name), deadLettersName(entity.name)]) {
        const url = await this.#url(name);
        this.#urls.delete(name);
        if (url !== null) await this.#link.client.send(new DeleteQueueCommand({ QueueUrl: url }));
      }
    });
  }

  async sender(entity: Entity): Promise<Sender> {
    return new SqsSender({
      link: this.#link,
      what: describe(entity),
      url: await this.#known(entity),
      maxMessageBytes: this.limits.maxMessageBytes,
      maxBatchBytes: this.#settings.max_message_bytes,
      logger: this.#logger,
    });
  }

  async receiver(entity: Entity): Promise<Receiver> {
    const url = await this.#known(entity);
    let reading = this.#reading.get(url);
    if (reading === undefined) {
      const what = describe(entity);
      const burying = this.#burying(entity);
      const { visibility_timeout: visibilityMs, wait_time: waitMs } = this.#settings;
      reading = new BacklogReceiving<SqsHandle>({
        what,
        open: async (backlog) => new SqsSession({ link: this.#link, what, url, visibilityMs, waitMs }, backlog),
        bury: (message, reason) => bury(burying, message, reason),
      });
      this.#reading.set(url, reading);
    }
    return reading.receiver();
  }

  deadLetters(entity: Entity): DeadLetters {
    return deadLettersOf(this.#burying(entity));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#reading.values()].map((reading) => reading.close()));
    this.#link.client.destroy();
  }

  #burying(entity: Entity): Burying {
    const name = deadLettersName(entity.name);
    return {
      link: this.#link,
      what: describe(entity),
      home: () => this.#known(entity),
      url: async (make) => {
        const url = await this.#url(name);
        if (url !== null || !make) return url;
        await this.#make(name, { MessageRetentionPeriod: String(RETENTION_SECONDS) });
        return await this.#url(name);
      },
    };
  }

  async #make(name: string, attributes: Record<string, string>): Promise<void> {
    try {
      await this.#link.client.send(new CreateQueueCommand({ QueueName: name, Attributes: attributes }));
    } catch (error) {
      // Somebody else has just made it, with other attributes.
      if (!/QueueNameExists|QueueAlreadyExists/.test((error as Error).name)) throw error;
    }
  }

  /** What SQS would do behind our back with a queue that is there. */
  async #look(url: string): Promise<void> {
    const { Attributes = {} } = await this.#link.client.send(
      new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] }),
    );
    if (Attributes.RedrivePolicy !== undefined)
      this.#logger.warn(
        { queue: url, policy: Attributes.RedrivePolicy },
        "the queue's redrive policy moves messages away by itself",
      );
    const retention = Number(Attributes.MessageRetentionPeriod ?? RETENTION_SECONDS);
    if (retention < RETENTION_SECONDS)
      this.#logger.warn(
        { queue: url, seconds: retention },
        "the queue deletes messages by their age: what was not taken by then is lost",
      );
  }

  async #known(entity: Entity): Promise<string> {
    const url = await this.#ask(`looking for ${describe(entity)}`, () => this.#url(queueOf(entity.name)));
    if (url !== null) return url;
    throw new TransportError(
      "rejected",
      `There is no queue ${queueOf(entity.name)} for ${describe(entity)} at SQS ${this.#link.where}.`,
      {
        advice:
          "It is made when an ingester or a router that names it starts; look at its name, the region and the account.",
      },
    );
  }

  async #url(name: string): Promise<string | null> {
    const known = this.#urls.get(name);
    if (known !== undefined) return known;
    try {
      const { QueueUrl } = await this.#link.client.send(new GetQueueUrlCommand({ QueueName: name }));
      this.#urls.set(name, QueueUrl!);
      return QueueUrl!;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async #ask<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw sqsError(doing, this.#link, error);
    }
  }
}
