/**
 * Kafka, from 2.4 on, and what speaks its protocol (Event Hubs, Confluent Cloud, Redpanda).
 *
 * - Each entity is a topic; a topic's subscription, and the ingest queue's router, is a consumer group.
 * - Order: a key's messages are in one partition, which one member of the group reads.
 * - Repeats are not dropped: messages keep their ids. (The idempotent producer drops those of its own retries alone.)
 * - Kafka deletes by age, whoever has read what: a router that finds a gap stops, and says so.
 */
import { Admin, ConfigResourceTypes, Producer } from "@platformatic/kafka";
import { TransportError } from "../../errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { BacklogReceiving } from "../backlog-receiving.ts";
import { describe } from "../entities.ts";
import type { BrokerEndpoint } from "../settings.ts";
import type { DeadLetters, Entity, Limits, Receiver, Sender, Traits, Transport } from "../transport.ts";
import { isMissingTopic, isProtocolError, type KafkaConnection, kafkaConnection, kafkaError } from "./connection.ts";
import { type Burying, bury, deadLettersOf } from "./dead-letters.ts";
import { deadLettersOf as deadLettersTopic, groupOf, topicOf } from "./names.ts";
import { type KafkaHandle, KafkaSession } from "./receiver.ts";
import { KafkaSender, type KafkaSending } from "./sender.ts";
import type { KafkaSettings } from "./settings.ts";

/** Kept free of a message for what a record and its batch take besides. */
const RECORD_ROOM = 2 * 1024;
const BATCH_BYTES = 512 * 1024;
const DAY_MS = 24 * 3600 * 1000;

export class KafkaTransport implements Transport {
  readonly type = "kafka";
  readonly limits: Limits;
  readonly traits: Traits = { deduplicates: false, keepsOrder: true };
  readonly #settings: KafkaSettings;
  readonly #connection: KafkaConnection;
  readonly #admin: Admin;
  readonly #producer: KafkaSending["producer"];
  readonly #reading = new Map<string, BacklogReceiving<KafkaHandle>>();
  readonly #logger: Logger;

  constructor({ connectionString, settings }: BrokerEndpoint<"kafka">, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
    this.#connection = kafkaConnection(connectionString, settings);
    this.#admin = new Admin(this.#connection.options);
    this.#producer = new Producer({
      ...this.#connection.options,
      idempotent: true,
      acks: -1,
      compression: settings.compression,
    });
    const maxMessageBytes = settings.max_message_bytes - RECORD_ROOM;
    this.limits = {
      maxMessageBytes,
      maxSendBytes: 16 * 1024 * 1024,
      batchBytes: Math.min(BATCH_BYTES, maxMessageBytes),
    };
  }

  async ensure(entity: Entity): Promise<void> {
    const topic = topicOf(entity.name);
    const { retention } = this.#settings;
    await this.#make(describe(entity), topic, {
      partitions: this.#settings.partitions,
      configs: [
        { name: "max.message.bytes", value: String(this.#settings.max_message_bytes) },
        ...(retention === undefined ? [] : [{ name: "retention.ms", value: String(retention) }]),
      ],
    });
    if (entity.kind === "queue") await this.#lookAtRetention(topic);
  }

  async exists(entity: Entity): Promise<boolean> {
    return (await this.#partitions(entity)) > 0;
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
    await Promise.allSettled([this.#producer.close(), this.#admin.close()]);
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
        this.#make(`the dead letters of ${what}`, topic, {
          partitions: 1,
          configs: [
            { name: "cleanup.policy", value: "compact" },
            { name: "max.message.bytes", value: String(this.#settings.max_message_bytes) },
          ],
        }),
    };
  }

  async #make(
    what: string,
    topic: string,
    { partitions, configs }: { partitions: number; configs: { name: string; value: string }[] },
  ): Promise<void> {
    const { replication_factor: replicas } = this.#settings;
    // Without it an acknowledgement means one copy, however many there should be.
    const safe = replicas !== undefined && replicas >= 3 ? [{ name: "min.insync.replicas", value: "2" }] : [];
    await this.#ask(`making ${what}`, async () => {
      if ((await this.#count(topic)) > 0) return;
      try {
        await this.#admin.createTopics({
          topics: [topic],
          partitions,
          replicas: replicas ?? -1,
          configs: [...configs, ...safe],
        });
      } catch (error) {
        if (!isProtocolError(error, "TOPIC_ALREADY_EXISTS")) throw error;
      }
      // Its leaders are elected a moment later.
      while ((await this.#count(topic)) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    });
  }

  /** What Kafka deletes before it was routed is lost. */
  async #lookAtRetention(topic: string): Promise<void> {
    const resource = {
      resourceType: ConfigResourceTypes.TOPIC,
      resourceName: topic,
      configurationKeys: ["retention.ms", "retention.bytes"],
    };
    const [found] = await this.#admin.describeConfigs({ resources: [resource] }).catch(() => []);
    const value = (name: string) => Number(found?.configs.find((config) => config.name === name)?.value ?? -1);
    const [ms, bytes] = [value("retention.ms"), value("retention.bytes")];
    const short = ms >= 0 && ms < DAY_MS;
    if (!short && bytes < 0) return;
    this.#logger.warn(
      { topic, "retention.ms": ms, "retention.bytes": bytes },
      "Kafka deletes messages of the ingest queue by their age or size: what no router has taken by then is lost, and stops the router",
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

  #partitions(entity: Entity): Promise<number> {
    return this.#ask(`looking for ${describe(entity)}`, () => this.#count(topicOf(entity.name)));
  }

  /** Partitions; 0 where there is no such topic. */
  async #count(topic: string): Promise<number> {
    try {
      const { topics } = await this.#admin.metadata({ topics: [topic], forceUpdate: true, retries: 0 });
      return topics.get(topic)?.partitionsCount ?? 0;
    } catch (error) {
      if (isMissingTopic(error) || isProtocolError(error, "LEADER_NOT_AVAILABLE")) return 0;
      throw error;
    }
  }

  async #ask<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw kafkaError(doing, this.#connection.where, error);
    }
  }
}
