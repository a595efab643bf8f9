/**
 * Reads a checkpoint topic from its beginning, and on from there whenever it is asked: what has been committed, whatever else is
 * under way. A reader that the broker serves with what is committed only would be held up by the first undecided transaction, of whatever
 * table, until it times out (https://kafka.apache.org/documentation/#consumerconfigs_isolation.level): so everything is read here,
 * and what a transaction has written is kept apart until its marker comes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Consumer, FetchIsolationLevels, IS_CONTROL, IS_TRANSACTIONAL } from "@platformatic/kafka";
import { SharedWork } from "../../shared-work.ts";
import type { FetchedBatch } from "../committed-consumer.ts";
import { isMissingTopic, isProtocolError, type KafkaConnection } from "../connection.ts";
import { type TableRecords, takeIn } from "./records.ts";

interface Found {
  key: Buffer | null;
  value: Buffer | null;
  offset: bigint;
}

const FETCH_BYTES = 4 * 1024 * 1024;
/** How long who looks waits for what is just being committed. A transaction of a dead process is not waited for. */
const DECIDED_WITHIN_MS = 1_000;
const COMMIT = 1;
/** As a question about offsets has them (https://kafka.apache.org/protocol.html#The_Messages_ListOffsets). */
const LATEST = -1n;
const EARLIEST = -2n;
const FETCH_AGAIN_MS = 5;

export class CheckpointTopic {
  readonly name: string;
  readonly #consumer: Consumer<Buffer, Buffer, Buffer, Buffer>;
  readonly #reading = new SharedWork(() => this.#read());
  #tables = new Map<string, TableRecords>();
  /** Of transactions that are neither committed nor aborted yet, by their producers. */
  #undecided = new Map<bigint, Found[]>();
  /** The next offset to read; null: from the beginning. */
  #next: bigint | null = null;
  /** The partition may have moved. */
  #stale = false;
  /** As the broker said when reading began. */
  #end = 0n;

  constructor(connection: KafkaConnection, name: string) {
    this.name = name;
    this.#consumer = new Consumer<Buffer, Buffer, Buffer, Buffer>({
      ...connection.options,
      // No group is joined: one's own place in the topic is enough.
      groupId: `dstream-${name}`,
      autocommit: false,
      isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
    });
    this.#consumer.topics.track(name);
  }

  /** As of now, with all that is committed for good: its markers are written. */
  async current(): Promise<ReadonlyMap<string, TableRecords>> {
    await this.#reading.done();
    return this.#tables;
  }

  /** The same for who was told of a commit a moment ago, before its markers are. No tables where there is no such topic. */
  async settled(): Promise<ReadonlyMap<string, TableRecords>> {
    try {
      const deadline = performance.now() + DECIDED_WITHIN_MS;
      await this.current();
      const end = this.#end;
      while (this.#isUndecidedBefore(end) && performance.now() < deadline) {
        await sleep(5);
        await this.current();
      }
    } catch (error) {
      if (!isMissingTopic(error)) throw error;
      this.#startOver();
    }
    return this.#tables;
  }

  async close(): Promise<void> {
    await this.#consumer.close(true).catch(() => {});
  }

  #isUndecidedBefore(end: bigint): boolean {
    return [...this.#undecided.values()].some(([first]) => first !== undefined && first.offset < end);
  }

  async #read(): Promise<void> {
    try {
      // What a fetch says of the end may be old after the partition has moved; this question waits for that (KIP-207).
      const { end, first } = await this.#bounds();
      this.#next ??= first;
      this.#end = end;
      while (this.#next < end) if (!(await this.#fetch())) await sleep(FETCH_AGAIN_MS);
    } catch (error) {
      // It was deleted, and maybe made again.
      if (isMissingTopic(error) || isProtocolError(error, "OFFSET_OUT_OF_RANGE", "UNKNOWN_TOPIC_ID")) this.#startOver();
      this.#stale = true;
      throw error;
    }
  }

  #startOver(): void {
    this.#tables = new Map();
    this.#undecided = new Map();
    this.#next = null;
    this.#end = 0n;
  }

  async #bounds(): Promise<{ first: bigint; end: bigint }> {
    await this.#consumer.metadata({ topics: [this.name], forceUpdate: this.#stale });
    this.#stale = false;
    const ask = async (timestamp: bigint) =>
      (await this.#consumer.listOffsets({ topics: [this.name], timestamp })).get(this.name)?.[0] ?? 0n;
    return { end: await ask(LATEST), first: this.#next ?? (await ask(EARLIEST)) };
  }

  /** Answers whether there was anything. */
  async #fetch(): Promise<boolean> {
    const { topics } = await this.#consumer.metadata({ topics: [this.name] });
    const { id, partitions } = topics.get(this.name)!;
    const before = this.#next!;
    const { responses } = await this.#consumer.fetch({
      node: partitions[0]!.leader,
      topics: [
        {
          topicId: id,
          partitions: [
            {
              partition: 0,
              fetchOffset: before,
              currentLeaderEpoch: -1,
              lastFetchedEpoch: -1,
              partitionMaxBytes: FETCH_BYTES,
            },
          ],
        },
      ],
      isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
      minBytes: 0,
      maxBytes: FETCH_BYTES,
      maxWaitTime: 0,
    });
    for (const { records } of responses.flatMap((topic) => topic.partitions))
      for (const batch of (records ?? []) as FetchedBatch[]) this.#takeIn(batch);
    return this.#next! > before;
  }

  #takeIn(batch: FetchedBatch): void {
    const { firstOffset, lastOffsetDelta, attributes, producerId, records } = batch;
    const after = firstOffset + BigInt(lastOffsetDelta) + 1n;
    if (after <= this.#next!) return;
    if (attributes & IS_CONTROL) {
      // A marker's key: version and type (https://kafka.apache.org/documentation/#controlbatch).
      const type = records[0]?.key?.readInt16BE(2);
      if (type === COMMIT) for (const record of this.#undecided.get(producerId) ?? []) takeIn(this.#tables, record);
      this.#undecided.delete(producerId);
    } else {
      const found = records
        .map(({ key, value, offsetDelta }) => ({ key, value, offset: firstOffset + BigInt(offsetDelta) }))
        // A batch is sent whole, also to who asks for what is in its middle.
        .filter(({ offset }) => offset >= this.#next!);
      if (!(attributes & IS_TRANSACTIONAL)) for (const record of found) takeIn(this.#tables, record);
      else this.#undecided.set(producerId, [...(this.#undecided.get(producerId) ?? []), ...found]);
    }
    this.#next = after;
  }
}
