/**
 * A member of an entity's consumer group, and what it reads of the partitions that it is assigned.
 *
 *     joining   asks for partitions
 *       → reading   has been assigned some, or none: reads each from its committed offset
 *     reading   messages come into the backlog, and settled ones are committed, up to the first of a partition that is not
 *       → leaving   somebody joins or leaves the group
 *     leaving   nothing goes out any more; what is out may still be settled, for a while
 *       → joining   all is settled, or the time is over: then what is out cannot be settled, and comes again to somebody; and somebody
 *                   asks for messages
 *     lost      the broker cannot be reached, or has given our partitions away
 *
 * What is settled behind an unsettled message of its partition comes again after a crash: a commit is one offset a partition.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ConsumerGroupJoinPayload, MessagesStream } from "@platformatic/kafka";
import { unlessAborted } from "../../abort.ts";
import { TransportError } from "../../errors.ts";
import type { Session } from "../backlog-receiving.ts";
import type { KeyedBacklog, Received } from "../keyed-backlog.ts";
import { Settled } from "../settled.ts";
import { SharedWork } from "../shared-work.ts";
import { CommittedConsumer } from "./committed-consumer.ts";
import { isMissingTopic, type KafkaConnection, kafkaError } from "./connection.ts";
import { messageOf } from "./message.ts";

export interface KafkaReading {
  connection: KafkaConnection;
  /** As in "queue …". */
  what: string;
  topic: string;
  group: string;
  sessionTimeoutMs: number;
}

/** Where a message stands, and under which assignment it was read. */
export interface KafkaHandle {
  assignment: number;
  partition: number;
  offset: number;
}

type Stream = MessagesStream<Buffer, Buffer, Buffer, Buffer>;

/** More is not asked for while this much waits here. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024;
const MOST_WAITING = 20_000;
const FETCH_BYTES = 4 * 1024 * 1024;
/** How long a broker holds a question for which there is nothing yet. */
const FETCH_WAIT_MS = 500;
const REBALANCE_WITHIN_MS = 30_000;
/** How long what is out may be settled before the group goes on without. */
const LEAVE_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 1_000;

export class KafkaSession implements Session<KafkaHandle> {
  readonly backlog: KeyedBacklog<KafkaHandle>;
  readonly #reading: KafkaReading;
  readonly #consumer: CommittedConsumer;
  #stream: Stream | null = null;
  /** Counts the assignments; -1 between two. */
  #assignment = -1;
  #assignments = 0;
  #settled = new Map<number, Settled>();
  /** Partitions whose floor has risen since the last commit. */
  #risen = new Set<number>();
  #failure: TransportError | null = null;
  #closed = false;
  readonly #closing = new AbortController();
  /** When we last asked the broker as a member, and were answered, besides heartbeats. */
  #heard = 0;
  readonly #committing = new SharedWork(() => this.#commit());
  #room: (() => void) | null = null;

  constructor(reading: KafkaReading, backlog: KeyedBacklog<KafkaHandle>) {
    this.#reading = reading;
    this.backlog = backlog;
    backlog.onRoom = () => this.#room?.();
    const { connection, group, sessionTimeoutMs } = reading;
    this.#consumer = new CommittedConsumer({
      ...connection.options,
      groupId: group,
      autocommit: false,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.ceil(sessionTimeoutMs / 5),
      rebalanceTimeout: REBALANCE_WITHIN_MS,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      maxWaitTime: FETCH_WAIT_MS,
      // What one fetch brings is more than this: the next one waits until it is used up.
      highWaterMark: 16,
      // Called before each question to join the group: who is asked for nothing would take partitions from those who are.
      protocolsMetadata: async () => {
        await this.#leave();
        await unlessAborted(this.backlog.untilAsked(), this.#closing.signal).catch(() => {});
        return Buffer.alloc(0);
      },
    });
    // The stream of an assignment ends with it, and takes its topic out of the subscription: this one stays.
    this.#consumer.topics.track(reading.topic);
    this.#consumer.on("consumer:group:join", (joined) => void this.#read(joined));
    this.#consumer.on("error", (error) => this.#lose(error));
    this.#consumer.joinGroup({}).catch((error: unknown) => this.#lose(error));
  }

  get lost(): boolean {
    return this.#failure !== null;
  }

  async settle(received: readonly Received<KafkaHandle>[]): Promise<void> {
    if (received.length === 0) return;
    this.#mustHave(received[0]!.handle.assignment);
    for (const { handle } of received) {
      const { partition, offset } = handle;
      if (this.#settled.get(partition)!.settle([offset])) this.#risen.add(partition);
    }
    await this.#committing.done();
    this.#mustHave(received[0]!.handle.assignment);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing.abort();
    await this.#committing.done().catch(() => {});
    this.#failure ??= new TransportError("rejected", `The receiver of ${this.#reading.what} was closed.`);
    this.#assignment = -1;
    this.#room?.();
    // While the group waits for others, the broker does not answer.
    await Promise.race([this.#consumer.close(true).catch(() => {}), sleep(CLOSE_WITHIN_MS, undefined, { ref: false })]);
  }

  /** Before each joining: ends what was read under the assignment before. */
  async #leave(): Promise<void> {
    const stream = this.#stream;
    if (stream === null || this.#closed) return;
    this.backlog.hold();
    const deadline = performance.now() + LEAVE_WITHIN_MS;
    // No heartbeat is sent meanwhile: a commit is one
    // (OffsetMetadataManager: "the offset commits maintain the session if the group is in Stable or PreparingRebalance state").
    for (let next = 0; this.backlog.out > 0 && performance.now() < deadline && this.#isMember() && !this.lost; ) {
      if (performance.now() > next) {
        for (const partition of this.#settled.keys()) this.#risen.add(partition);
        await this.#committing.done().catch(() => {});
        next = performance.now() + this.#reading.sessionTimeoutMs / 5;
      }
      await sleep(20);
    }
    if (this.#isMember()) await Promise.race([this.#committing.done().catch(() => {}), sleep(LEAVE_WITHIN_MS)]);
    this.#assignment = -1;
    this.#stream = null;
    this.backlog.clear();
    this.#settled.clear();
    this.#risen.clear();
    this.#room?.();
    stream.destroy();
  }

  /** While the broker has heard of us within the session. */
  #isMember(): boolean {
    const heard = Math.max(this.#consumer.lastHeartbeat?.getTime() ?? 0, this.#heard);
    return Date.now() - heard < this.#reading.sessionTimeoutMs;
  }

  async #read(joined: ConsumerGroupJoinPayload): Promise<void> {
    const { topic, group } = this.#reading;
    if (this.#closed) return;
    const assignment = ++this.#assignments;
    this.#assignment = assignment;
    this.#heard = Date.now();
    const partitions = joined.assignments?.find((each) => each.topic === topic)?.partitions ?? [];
    try {
      if (partitions.length > 0) await this.#checkRetention(partitions);
      const stream = await this.#consumer.consume({
        topics: [topic],
        groupId: group,
        mode: "committed",
        fallbackMode: "earliest",
      } as never);
      if (this.#assignment !== assignment || this.#closed) return void stream.destroy();
      this.#stream = stream;
      this.backlog.release();
      for await (const record of stream) {
        if (this.#assignment !== assignment) return;
        const { partition } = record;
        const offset = Number(record.offset);
        let settled = this.#settled.get(partition);
        if (settled === undefined) {
          settled = new Settled({ floor: offset - 1, beyond: [] });
          this.#settled.set(partition, settled);
        }
        if (settled.receive(offset))
          this.backlog.put({ message: messageOf(record), handle: { assignment, partition, offset } });
        while (this.backlog.bytes > MOST_WAITING_BYTES || this.backlog.count > MOST_WAITING) {
          if (this.#assignment !== assignment || this.#failure !== null) return;
          await new Promise<void>((resolve) => (this.#room = resolve));
        }
      }
      if (this.#assignment === assignment) throw new Error("reading has ended");
    } catch (error) {
      if (this.#assignment === assignment) this.#lose(error);
    }
  }

  /** A gap is never silent: reading would go on at the earliest message there is. */
  async #checkRetention(partitions: number[]): Promise<void> {
    const { topic, group, what, connection } = this.#reading;
    const committed = (await this.#consumer.listCommittedOffsets({ topics: [{ topic, partitions }] })).get(topic) ?? [];
    const earliest =
      (await this.#consumer.listOffsets({ topics: [topic], partitions: { [topic]: partitions }, timestamp: -2n })).get(
        topic,
      ) ?? [];
    for (const partition of partitions) {
      const [from, first] = [committed[partition] ?? -1n, earliest[partition] ?? 0n];
      if (from < 0n || from >= first) continue;
      throw new TransportError(
        "rejected",
        `Messages of ${what} are gone: group ${group} has settled partition ${partition} up to offset ${from}, and Kafka ` +
          `${connection.where} has deleted what was before ${first} (retention).`,
        {
          advice:
            "What they held is in the source still, if its own clean-up has left it: set the table's checkpoint back (dstream checkpoints " +
            `set), and go on behind the gap with kafka-consumer-groups --group ${group} --topic ${topic} --reset-offsets --to-earliest --execute. ` +
            "Set retention to more than the longest time that no router runs.",
        },
      );
    }
  }

  async #commit(): Promise<void> {
    if (this.#risen.size === 0) return;
    const { topic, what, connection } = this.#reading;
    const offsets = [...this.#risen].map((partition) => ({
      topic,
      partition,
      offset: BigInt(this.#settled.get(partition)!.floor + 1),
      leaderEpoch: -1,
    }));
    this.#risen.clear();
    const asked = Date.now();
    try {
      await this.#consumer.commit({ offsets });
      this.#heard = asked;
    } catch (error) {
      // What was settled is settled: with the next commit the broker hears of it.
      for (const { partition } of offsets) if (this.#settled.has(partition)) this.#risen.add(partition);
      let failure = kafkaError(`committing offsets of ${what}`, connection.where, error);
      // A coordinator that has just started may not know the topic yet; one that is gone is missed in reading.
      if (isMissingTopic(error)) failure = new TransportError("unavailable", failure.message, { cause: error });
      // What waiting does not heal concerns all, and is told to who receives.
      if (!failure.transient) this.#lose(failure);
      throw failure;
    }
  }

  #mustHave(assignment: number): void {
    if (this.#failure !== null) throw this.#failure;
    if (assignment !== this.#assignment)
      throw new TransportError("rejected", "its partition was given to another member of the group");
    // By the clock, or by a coordinator that is away. With the next heartbeat it is known: ours still, or another assignment.
    if (!this.#isMember())
      throw new TransportError("unavailable", "the group's coordinator has not been heard of for a session's time");
  }

  #lose(error: unknown): void {
    if (this.#failure !== null) return;
    const { what, connection } = this.#reading;
    this.#failure = kafkaError(`receiving from ${what}`, connection.where, error);
    this.#assignment = -1;
    this.backlog.fail(this.#failure);
    this.#room?.();
    this.#stream?.destroy();
  }
}
