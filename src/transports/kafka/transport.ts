/**
 * Kafka, from 2.4 on, and what speaks its protocol (Event Hubs, Confluent Cloud, Redpanda).
 *
 * - Each entity is a topic; a topic's subscription, and the ingest queue's router, is a consumer group.
 * - Order: a key's messages are in one partition, which one member of the group reads.
 * - Repeats are not dropped: messages keep their ids. (The idempotent producer drops those of its own retries alone.)
 * - Kafka deletes by age, whoever has read what: a router that finds a gap stops, and says so.
 */
import { Producer } from "@platformatic/kafka";
import { TransportError } from "../../errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { BacklogReceiving } from "../backlog-receiving.ts";
import { describe } from "../entities.ts";
import type { BrokerEndpoint } from "../settings.ts";
import type { DeadLetters, Entity, Limits, Receiver, Sender, Traits, Transport } from "../transport.ts";
import { type KafkaConnection, kafkaConnection } from "./connection.ts";
import { type Burying, bury, deadLettersOf } from "./dead-letters.ts";
import { largestMessage } from "./message.ts";
import { deadLettersOf as deadLettersTopic, groupOf, topicOf } from "./names.ts";
import { type KafkaHandle, KafkaSession } from "./receiver.ts";
import { KafkaSender } from "./sender.ts";
import type { KafkaSettings } from "./settings.ts";
import { KafkaTopics } from "./topics.ts";

const BATCH_BYTES = 512 * 1024;
const DAY_MS = 24 * 3600 * 1000;

export class KafkaTransport implements Transport {
  readonly type = "kafka";
  readonly limits: Limits;
  readonly traits: Traits = { deduplicates: false, keepsOrder: true };
  readonly #settings: KafkaSettings;
  readonly #connection: KafkaConnection;
  readonly #topics: KafkaTopics;
  readonly #producer: Producer<Buffer, Buffer, Buffer, Buffer>;
  readonly #reading = new Map<string, BacklogReceiving<KafkaHandle>>();
  readonly #logger: Logger;

  constructor({ connectionString, settings }: BrokerEndpoint<"kafka">, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
    this.#connection = kafkaConnection(connectionString, settings);
    this.#topics = new KafkaTopics(this.#connection, settings);
    this.#producer = new Producer({
      ...this.#connection.options,
      idempotent: true,
      acks: -1,
      compression: this.#connection.compression,
    });
    const maxMessageBytes = largestMessage(settings);
    this.limits = {
      maxMessageBytes,
      maxSendBytes: 16 * 1024 * 1024,
      batchBytes: Math.min(BATCH_BYTES, maxMessageBytes),
    };
  }

  async ensure(entity: Entity): Promise<void> {
    const topic = topicOf(entity.name);
    const { partitions, retention, max_message_bytes: largest } = this.#settings;
    await this.#topics.make(describe(entity), topic, {
      partitions,
      configs: {
        "max.message.bytes": String(largest),
        ...(retention !== undefined && { "retention.ms": String(retention) }),
      },
    });
    await this.#lookAt(entity, topic);
  }

  async exists(entity: Entity): Promise<boolean> {
    return (await this.#topics.partitions(describe(entity), topicOf(entity.name))) > 0;
  }

  /** The topic, whoever else reads it: Kafka knows its groups, and not what they are to it. */
  async remove(entity: Entity): Promise<void> {
    for (const topic of [topicOf(entity.name), deadLettersTopic(entity)])
      await this.#topics.remove(describe(entity), topic);
  }

  async sender(entity: Entity): Promise<Sender> {
    await this.#mustExist(entity);
    return new KafkaSender({
      producer: this.#producer,
      where: this.#connection.where,
      what: describe(entity),
      topic: topicOf(entity.name),
      maxMessageBytes: this.limits.maxMessageBytes,
    });
  }

  async receiver(entity: Entity): Promise<Receiver> {
    await this.#mustExist(entity);
    const group = groupOf(entity);
    let reading = this.#reading.get(group);
    if (reading === undefined) {
      const what = describe(entity);
      const burying = this.#burying(entity);
      reading = new BacklogReceiving<KafkaHandle>({
        what,
        open: async (backlog) => {
          const { session_timeout: sessionTimeoutMs } = this.#settings;
          return new KafkaSession(
            { connection: this.#connection, what, topic: topicOf(entity.name), group, sessionTimeoutMs },
            backlog,
          );
        },
        bury: (message, reason) => bury(burying, message, reason),
      });
      this.#reading.set(group, reading);
    }
    return reading.receiver();
  }

  deadLetters(entity: Entity): DeadLetters {
    return deadLettersOf(this.#burying(entity));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#reading.values()].map((reading) => reading.close()));
    await Promise.allSettled([this.#producer.close(), this.#topics.close()]);
  }

  #burying(entity: Entity): Burying {
    const topic = deadLettersTopic(entity);
    const what = describe(entity);
    return {
      connection: this.#connection,
      producer: this.#producer,
      what,
      topic,
      home: topicOf(entity.name),
      make: () =>
        this.#topics.make(`the dead letters of ${what}`, topic, {
          partitions: 1,
          configs: { "cleanup.policy": "compact", "max.message.bytes": String(this.#settings.max_message_bytes) },
        }),
    };
  }

  /** What Kafka deletes before it was routed is lost; what it does not take stops a table or a lane. */
  async #lookAt(entity: Entity, topic: string): Promise<void> {
    const settings = await this.#topics.settings(topic, ["retention.ms", "retention.bytes", "max.message.bytes"]);
    const value = (name: string) => Number(settings.get(name) ?? -1);
    const [ms, bytes, largest] = [value("retention.ms"), value("retention.bytes"), value("max.message.bytes")];
    if (entity.kind === "queue" && ((ms >= 0 && ms < DAY_MS) || bytes >= 0))
      this.#logger.warn(
        { topic, "retention.ms": ms, "retention.bytes": bytes },
        "Kafka deletes messages of the ingest queue by their age or size: what no router has taken by then is lost, and stops the router",
      );
    const ours = this.#settings.max_message_bytes;
    if (largest >= 0 && largest < ours)
      this.#logger.warn(
        { topic, "max.message.bytes": largest, max_message_bytes: ours },
        "the topic takes smaller messages than max_message_bytes says: lower the one or raise the other",
      );
  }

  async #mustExist(entity: Entity): Promise<void> {
    if (await this.exists(entity)) return;
    throw new TransportError(
      "rejected",
      `There is no topic ${topicOf(entity.name)} for ${describe(entity)} at Kafka ${this.#connection.where}.`,
      {
        advice: "It is made when an ingester or a router that names it starts; look at its name.",
      },
    );
  }
}
