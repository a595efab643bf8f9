/**
 * Checkpoints in a compacted topic of the ingest queue's Kafka, each written in one transaction with the messages that it stands for:
 * who reads what is committed finds every change once, whoever was killed when. Transactions fence a former owner off; which token
 * counts is read in the topic.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Producer } from "@platformatic/kafka";
import type { Message } from "../../../change/message.ts";
import { FencedError, TransportError } from "../../../errors.ts";
import {
  type Checkpoint,
  type CheckpointStore,
  type Failure,
  fullName,
  type StoredCheckpoint,
  type TableName,
} from "../../../ingester/checkpoint.ts";
import type { FencingToken } from "../../../locks/lock.ts";
import { describe } from "../../entities.ts";
import type { BrokerEndpoint } from "../../settings.ts";
import type { Entity } from "../../transport.ts";
import { type KafkaConnection, kafkaConnection, kafkaError } from "../connection.ts";
import { largestMessage } from "../message.ts";
import { topicOf } from "../names.ts";
import { KafkaSender } from "../sender.ts";
import type { KafkaSettings } from "../settings.ts";
import { KafkaTopics } from "../topics.ts";
import {
  checkpointOf,
  checkpointValue,
  failureOf,
  failureValue,
  ownerValue,
  recordKey,
  type TableRecords,
  tableKey,
} from "./records.ts";
import { CheckpointTopic } from "./topic.ts";
import { isContended, isFencedOff, TableTransactions } from "./transactions.ts";

export interface KafkaCheckpoints {
  /** Of the ingest queue. */
  endpoint: BrokerEndpoint<"kafka">;
  queue: Entity;
  /** Holds the checkpoints. */
  topic: string;
  /** Server and database: others of the same topic are none of this store's business. */
  scope: string;
}

interface Owned {
  token: FencingToken;
  transactions: TableTransactions;
}

const QUIET_AT_ONCE = 16;
const MOST_CLAIMS = 50;
/** The checkpoint topic is read at every start: small segments are compacted soon, and so are the markers of transactions. */
const CONFIGS = {
  "cleanup.policy": "compact",
  "segment.bytes": String(16 * 1024 * 1024),
  "segment.ms": String(3_600_000),
  "min.cleanable.dirty.ratio": "0.1",
  "delete.retention.ms": String(3_600_000),
};

export class KafkaCheckpointStore implements CheckpointStore {
  readonly #of: KafkaCheckpoints;
  readonly #settings: KafkaSettings;
  readonly #connection: KafkaConnection;
  readonly #name: string;
  readonly #topics: KafkaTopics;
  readonly #topic: CheckpointTopic;
  readonly #owned = new Map<string, Owned>();
  /** Of what is sent outside of transactions. */
  #producer: Producer<Buffer, Buffer, Buffer, Buffer> | null = null;

  constructor(of: KafkaCheckpoints) {
    const { connectionString, settings } = of.endpoint;
    this.#of = of;
    this.#settings = settings;
    this.#connection = kafkaConnection(connectionString, settings);
    this.#name = topicOf(of.topic);
    this.#topics = new KafkaTopics(this.#connection, settings);
    this.#topic = new CheckpointTopic(this.#connection, this.#name);
  }

  async prepare(): Promise<void> {
    await this.#topics.make(`the checkpoint topic ${this.#name}`, this.#name, { partitions: 1, configs: CONFIGS });
    const policy = (await this.#topics.settings(this.#name, ["cleanup.policy"])).get("cleanup.policy");
    if (policy === undefined || policy === "compact") return;
    throw new TransportError(
      "rejected",
      `The topic ${this.#name} cannot keep checkpoints: Kafka ${this.#connection.where} deletes what is in it (cleanup.policy = ${policy}).`,
      {
        advice: `Name another topic, or have this one compacted: kafka-configs --alter --topic ${this.#name} --add-config cleanup.policy=compact.`,
      },
    );
  }

  async claim(
    table: TableName,
    atLeast: FencingToken,
  ): Promise<{ token: FencingToken; checkpoint: Checkpoint | null }> {
    const owned = this.#ownedBy(table);
    // What waits to be saved for the owner before is refused.
    owned.token = 0;
    const claimed = await this.#takeOver(table, owned.transactions, (records) => ({ atLeast, records }));
    owned.token = claimed.token;
    const { checkpoint } = claimed.records;
    if (checkpoint === undefined) return { token: owned.token, checkpoint: null };
    return {
      token: owned.token,
      checkpoint: { position: checkpoint.position, commitTime: checkpoint.commitTime },
    };
  }

  async save(table: TableName, checkpoint: Checkpoint, token: FencingToken): Promise<void> {
    await this.sendAndSave([], table, checkpoint, token);
  }

  async saveAll(entries: { table: TableName; checkpoint: Checkpoint; token: FencingToken }[]): Promise<TableName[]> {
    const refused: TableName[] = [];
    const left = entries[Symbol.iterator]();
    const work = async () => {
      for (const { table, checkpoint, token } of left) {
        try {
          await this.save(table, checkpoint, token);
        } catch (error) {
          if (!(error instanceof FencedError)) throw error;
          refused.push(table);
        }
      }
    };
    await Promise.all(Array.from({ length: QUIET_AT_ONCE }, work));
    return refused;
  }

  async sendAndSave(
    messages: readonly Message[],
    table: TableName,
    checkpoint: Checkpoint,
    token: FencingToken,
  ): Promise<void> {
    const owned = this.#owned.get(this.#key(table));
    if (owned === undefined) throw fenced(table, token);
    const { transactions } = owned;
    await transactions.alone(async () => {
      if (owned.token !== token) throw fenced(table, token);
      if (transactions.unsure) {
        // Who was fenced off leaves the next owner in peace.
        await this.#mustOwn(table, token);
        await this.#asking(table, () => transactions.beginAnew());
        const { checkpoint: stored } = await this.#mustOwn(table, token);
        if (stored?.token === token && isSame(stored, checkpoint)) return;
      }
      try {
        await transactions.run(async (producer) => {
          const { queue } = this.#of;
          const sending = {
            producer,
            where: this.#connection.where,
            what: describe(queue),
            topic: topicOf(queue.name),
            maxMessageBytes: largestMessage(this.#settings),
          };
          await new KafkaSender(sending).send(messages);
          const record = {
            key: recordKey("checkpoint", this.#key(table)),
            value: checkpointValue(table, checkpoint, token),
          };
          await producer.send({ messages: [{ topic: this.#name, partition: 0, ...record }] });
        });
      } catch (error) {
        if (isFencedOff(error)) await this.#mustOwn(table, token);
        throw this.#error(`saving the checkpoint of ${fullName(table)}`, error);
      }
    });
  }

  async load(table: TableName): Promise<StoredCheckpoint | null> {
    return checkpointOf((await this.#settled("loading")).get(this.#key(table)) ?? {});
  }

  async list(): Promise<StoredCheckpoint[]> {
    return this.#mine(await this.#settled("listing")).flatMap((records) => checkpointOf(records) ?? []);
  }

  async noteFailure(table: TableName, error: string | null): Promise<void> {
    const records = (await this.#settled("looking at")).get(this.#key(table));
    if (records === undefined || (error === null && failureOf(records) === null)) return;
    const key = recordKey("failure", this.#key(table));
    const value = error === null ? undefined : failureValue(table, error);
    this.#producer ??= new Producer({ ...this.#connection.options, idempotent: true, acks: -1 });
    const message = { topic: this.#name, partition: 0, key, value } as { topic: string; value: Buffer };
    await this.#asking(table, () => this.#producer!.send({ messages: [message] }), "noting what stops");
  }

  async failures(): Promise<Failure[]> {
    return this.#mine(await this.#settled("listing")).flatMap((records) => failureOf(records) ?? []);
  }

  async force(table: TableName, checkpoint: Checkpoint): Promise<void> {
    const transactions = this.#transactionsOf(table);
    try {
      await this.#takeOver(table, transactions, (records) => ({ atLeast: 1, records, checkpoint }));
    } finally {
      await transactions.close();
    }
  }

  async close(): Promise<void> {
    const all = [...this.#owned.values()].map(({ transactions }) => transactions.close());
    this.#owned.clear();
    await Promise.all([...all, this.#topic.close(), this.#topics.close(), this.#producer?.close().catch(() => {})]);
  }

  /**
   * Begins anew, so that nobody else can write about the table, and then reads what there is: nothing comes in between, or the
   * token could not be written.
   */
  async #takeOver(
    table: TableName,
    transactions: TableTransactions,
    wanted: (records: TableRecords) => { atLeast: FencingToken; records: TableRecords; checkpoint?: Checkpoint },
  ): Promise<{ token: FencingToken; records: TableRecords }> {
    const key = this.#key(table);
    return await transactions.alone(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          await transactions.beginAnew();
          const { atLeast, records, checkpoint } = wanted({ ...(await this.#topic.current()).get(key) });
          const token = Math.max(atLeast, (records.owner?.token ?? 0) + 1);
          const values: { key: Buffer; value: Buffer }[] = [
            { key: recordKey("owner", key), value: ownerValue(table, token) },
          ];
          if (checkpoint !== undefined)
            values.push({ key: recordKey("checkpoint", key), value: checkpointValue(table, checkpoint, token) });
          await transactions.run(async (producer) => {
            await producer.send({ messages: values.map((each) => ({ topic: this.#name, partition: 0, ...each })) });
          });
          return { token, records };
        } catch (error) {
          // Another one claims it at this very moment.
          if (!isContended(error) || attempt >= MOST_CLAIMS) throw this.#error(`claiming ${fullName(table)}`, error);
          await sleep(Math.random() * 20);
        }
      }
    });
  }

  async #mustOwn(table: TableName, token: FencingToken): Promise<TableRecords> {
    const tables = await this.#asking(table, () => this.#topic.current());
    const records = tables.get(this.#key(table)) ?? {};
    if ((records.owner?.token ?? 0) !== token) throw fenced(table, token);
    return records;
  }

  #ownedBy(table: TableName): Owned {
    const key = this.#key(table);
    const owned = this.#owned.get(key) ?? { token: 0, transactions: this.#transactionsOf(table) };
    this.#owned.set(key, owned);
    return owned;
  }

  #transactionsOf(table: TableName): TableTransactions {
    const id = `dstream-${this.#name}-${this.#key(table)}`;
    return new TableTransactions(id, this.#connection);
  }

  #key(table: TableName): string {
    return tableKey(this.#of.scope, table);
  }

  #mine(tables: ReadonlyMap<string, TableRecords>): TableRecords[] {
    const prefix = tableKey(this.#of.scope, { schema: "dbo", table: "" });
    return [...tables.keys()]
      .filter((key) => key.startsWith(prefix))
      .sort()
      .map((key) => tables.get(key)!);
  }

  async #settled(doing: string): Promise<ReadonlyMap<string, TableRecords>> {
    try {
      return await this.#topic.settled();
    } catch (error) {
      throw this.#error(`${doing} the checkpoints`, error);
    }
  }

  async #asking<T>(table: TableName, ask: () => Promise<T>, doing = "saving the checkpoint of"): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw this.#error(`${doing} ${fullName(table)}`, error);
    }
  }

  #error(doing: string, error: unknown): Error {
    if (error instanceof FencedError) return error;
    return kafkaError(`${doing} in the topic ${this.#name}`, this.#connection.where, error);
  }
}

function isSame(a: Checkpoint, b: Checkpoint): boolean {
  return a.commitTime === b.commitTime && JSON.stringify(a.position) === JSON.stringify(b.position);
}

function fenced(table: TableName, token: FencingToken): FencedError {
  return new FencedError(
    `The checkpoint of ${fullName(table)} has a newer owner than token ${token}: nothing was saved.`,
  );
}
