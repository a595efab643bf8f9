/** Topics: made where they are missing, and looked at. Everything here throws TransportError. */
import { Admin, ConfigResourceTypes } from "@platformatic/kafka";
import { isMissingTopic, isProtocolError, type KafkaConnection, kafkaError } from "./connection.ts";

export interface NewTopic {
  partitions: number;
  configs: Readonly<Record<string, string>>;
}

export class KafkaTopics {
  readonly #admin: Admin;
  readonly #where: string;
  readonly #replicas: number | undefined;

  constructor(
    connection: KafkaConnection,
    { replication_factor: replicas }: { replication_factor?: number | undefined },
  ) {
    this.#admin = new Admin(connection.options);
    this.#where = connection.where;
    this.#replicas = replicas;
  }

  /** Leaves an existing one as it is. Safe from several processes at once. `what` as in "making <what>". */
  async make(what: string, topic: string, { partitions, configs }: NewTopic): Promise<void> {
    const replicas = this.#replicas;
    // Without it an acknowledgement means one copy, however many there should be.
    const safe = replicas !== undefined && replicas >= 3 ? { "min.insync.replicas": "2" } : {};
    await this.#ask(`making ${what}`, async () => {
      if ((await this.#count(topic)) > 0) return;
      try {
        await this.#admin.createTopics({
          topics: [topic],
          partitions,
          replicas: replicas ?? -1,
          configs: Object.entries({ ...configs, ...safe }).map(([name, value]) => ({ name, value })),
        });
      } catch (error) {
        if (!isProtocolError(error, "TOPIC_ALREADY_EXISTS")) throw error;
      }
      // Its leaders are elected a moment later.
      while ((await this.#count(topic)) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    });
  }

  /** Resolves when it is gone. One that is missing is no error. */
  async remove(what: string, topic: string): Promise<void> {
    await this.#ask(`removing ${what}`, async () => {
      try {
        await this.#admin.deleteTopics({ topics: [topic] });
      } catch (error) {
        if (!isMissingTopic(error)) throw error;
      }
      while ((await this.#count(topic)) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    });
  }

  /** 0 where there is no such topic. `what` as in "looking for <what>". */
  async partitions(what: string, topic: string): Promise<number> {
    return await this.#ask(`looking for ${what}`, () => this.#count(topic));
  }

  /** Those of the settings that the brokers tell; none where they do not let us ask. */
  async settings(topic: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const resource = {
      resourceType: ConfigResourceTypes.TOPIC,
      resourceName: topic,
      configurationKeys: [...names],
    };
    const [found] = await this.#admin.describeConfigs({ resources: [resource] }).catch(() => []);
    return new Map((found?.configs ?? []).flatMap(({ name, value }) => (value ? [[name, value] as const] : [])));
  }

  async close(): Promise<void> {
    await this.#admin.close().catch(() => {});
  }

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
      throw kafkaError(doing, this.#where, error);
    }
  }
}
