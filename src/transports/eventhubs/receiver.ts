/**
 * Reads a hub for one consumer group, together with other routers: they divide its partitions by locks, as ingesters divide tables.
 *
 *     aside    nobody asks for a delivery: others may have all partitions
 *       → sharing  somebody asks
 *     sharing  this router has its share of the partitions
 *       → aside    it has none, and nobody asks
 *       → lost     something is wrong that waiting does not heal
 *
 * Azure's own processor is not used: it takes a partition from another one in the middle of its work, asks nobody who has it whether it
 * is still theirs, and stands still for half a minute when its connection breaks (@azure/event-hubs 6.0, eventProcessor.js).
 */
import { randomUUID } from "node:crypto";
import type { ContainerClient } from "@azure/storage-blob";
import { unlessAborted } from "../../abort.ts";
import { Backoff, waitFor } from "../../backoff.ts";
import { TransportError } from "../../errors.ts";
import type { LockStore } from "../../locks/lock.ts";
import { Sharing } from "../../locks/sharing.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Session } from "../backlog-receiving.ts";
import type { KeyedBacklog, Received } from "../keyed-backlog.ts";
import { type EventHubsLink, eventHubsError } from "./link.ts";
import { type EventHubsHandle, ReadPartition } from "./partition.ts";
import { HubConnection } from "./partition-link.ts";

export interface EventHubsReading {
  link: EventHubsLink;
  locks: LockStore;
  container: ContainerClient;
  /** As in "queue …". */
  what: string;
  hub: string;
  consumerGroup: string;
  /** Where its blobs are. */
  folder: string;
  checkpointIntervalMs: number;
  logger: Logger;
}

const MOST_WAITING_BYTES = 8 * 1024 * 1024;
const MOST_WAITING = 20_000;
/** Between two looks at who else reads. */
const ROUND_MS = 4_000;
/** Hubs of the tier Premium may get more partitions. */
const LOOK_MS = 60_000;
const RETRY_MS = { initial: 250, max: 5_000 };
const LEAVE_WITHIN_MS = 2_000;
const ASIDE_MS = 50;

export class EventHubsSession implements Session<EventHubsHandle> {
  readonly backlog: KeyedBacklog<EventHubsHandle>;
  readonly #reading: EventHubsReading;
  readonly #connection: HubConnection;
  readonly #closing = new AbortController();
  /** From then on nobody is told any more. */
  readonly #cut = new AbortController();
  readonly #partitions = new Set<ReadPartition>();
  readonly #running: Promise<void>;
  #failure: TransportError | null = null;
  #troubled = false;

  constructor(reading: EventHubsReading, backlog: KeyedBacklog<EventHubsHandle>) {
    this.#reading = reading;
    this.backlog = backlog;
    backlog.onRoom = () => {
      for (const partition of this.#partitions) partition.grant();
    };
    this.#connection = new HubConnection(reading.link, reading.hub, randomUUID());
    this.#running = this.#run().catch((error: unknown) => this.#lose(error));
  }

  get lost(): boolean {
    return this.#failure !== null;
  }

  async settle(received: readonly Received<EventHubsHandle>[]): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const handles = received.map(({ handle }) => handle);
    const settling = [...Map.groupBy(handles, ({ partition }) => partition)].map(([partition, ofIt]) =>
      partition.settle(ofIt.map(({ sequenceNumber }) => sequenceNumber)),
    );
    await Promise.all(settling);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#failure ??= new TransportError("rejected", `The receiver of ${this.#reading.what} was closed.`);
    await Promise.race([this.#running, waitFor(LEAVE_WITHIN_MS)]);
    this.#cut.abort();
    await this.#connection.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await unlessAborted(this.backlog.untilAsked(), signal);
      await this.#share();
    }
  }

  async #share(): Promise<void> {
    const aside = new AbortController();
    const stop = AbortSignal.any([aside.signal, this.#closing.signal]);
    const sharing = new Sharing({
      locks: this.#reading.locks,
      lockStore: { ride: (call, signal) => this.#ride(call, signal) },
      requests: { during: (_amount, _signal, work) => work() },
      prefix: this.#reading.folder,
      group: "all",
      words: { members: "routers", things: `partitions of ${this.#reading.what}` },
      clock: { wait: waitFor },
      logger: this.#reading.logger,
      roundMs: ROUND_MS,
    });
    const lines = new Map<string, Promise<void>>();
    const failing = (error: unknown) => {
      if (!stop.aborted) this.#lose(error);
    };
    await Promise.all(
      [sharing.run(stop, this.#cut.signal), this.#look(sharing, lines, aside, stop)].map((each) => each.catch(failing)),
    );
    await Promise.all(lines.values());
  }

  /** Which partitions there are, now and then; and a line for each. */
  async #look(
    sharing: Sharing,
    lines: Map<string, Promise<void>>,
    aside: AbortController,
    stop: AbortSignal,
  ): Promise<void> {
    const { link, hub, what, folder } = this.#reading;
    while (!stop.aborted) {
      const ids = await this.#ride(async () => {
        try {
          return await link.producer(hub).getPartitionIds({ abortSignal: stop });
        } catch (error) {
          throw eventHubsError(`receiving from ${what}`, link, error, { hub });
        }
      }, stop);
      for (const id of ids) {
        if (lines.has(id)) continue;
        sharing.add(`${folder}${id}`);
        lines.set(id, this.#line(id, sharing, aside, stop));
      }
      await waitFor(LOOK_MS, stop);
    }
  }

  /** One partition, as often as it is this router's. Never rejects. */
  async #line(id: string, sharing: Sharing, aside: AbortController, stop: AbortSignal): Promise<void> {
    const { folder } = this.#reading;
    while (!stop.aborted) {
      try {
        await unlessAborted(this.backlog.untilAsked(), stop);
        const owned = await sharing.own(`${folder}${id}`, stop);
        const partition = new ReadPartition({ ...this.#parts(), partition: id }, owned, stop);
        this.#partitions.add(partition);
        try {
          await partition.run();
        } finally {
          this.#partitions.delete(partition);
        }
        // Who asks is woken now and then, and asks again at once.
        await waitFor(ASIDE_MS, stop);
        if (this.#partitions.size === 0 && !this.backlog.asked) aside.abort();
      } catch (error) {
        if (!stop.aborted) this.#lose(error);
      }
    }
  }

  #parts() {
    return {
      ...this.#reading,
      connection: this.#connection,
      backlog: this.backlog,
      hasRoom: () => this.backlog.bytes < MOST_WAITING_BYTES && this.backlog.count < MOST_WAITING,
      onTrouble: (error: TransportError | null) => this.#trouble(error),
    };
  }

  async #ride<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const backoff = new Backoff(RETRY_MS);
    for (;;) {
      signal.throwIfAborted();
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof TransportError) || !error.transient) throw error;
        this.#trouble(error);
      }
      await waitFor(backoff.next(), signal);
    }
  }

  /** Said once, until it works again. */
  #trouble(error: TransportError | null): void {
    const { logger, what } = this.#reading;
    if (error === null && this.#troubled) logger.info(`${what} is read again`);
    if (error !== null && !this.#troubled && !this.#closing.signal.aborted)
      logger.warn({ advice: error.advice }, error.message);
    this.#troubled = error !== null;
  }

  #lose(error: unknown): void {
    if (this.#failure !== null || this.#closing.signal.aborted) return;
    const { what, link, hub } = this.#reading;
    this.#failure = eventHubsError(`receiving from ${what}`, link, error, { hub });
    this.backlog.fail(this.#failure);
    this.#closing.abort();
  }
}
