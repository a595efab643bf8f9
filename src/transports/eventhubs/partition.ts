/**
 * A partition while it is this router's, by a lock.
 *
 *     taking   its checkpoint is taken over, so that nobody before us can move it any more
 *       → reading
 *     reading  events come into the backlog, from behind the checkpoint; settled ones are checkpointed, up to the first that is not, and
 *              those beyond
 *       → leaving  another router is to have it
 *       → gone     the lock is lost, or somebody has the checkpoint or reads with a higher epoch, or the receiver is closed
 *     leaving  no more goes out; what is out may still be settled
 *       → gone     nothing is out any more
 *     gone     settling is refused: what is not settled comes again to whoever has the partition next
 *
 * A broken connection is no reason to leave: it is opened again, behind the last event that came.
 */
import { randomUUID } from "node:crypto";
import type { ContainerClient } from "@azure/storage-blob";
import { unlessAborted } from "../../abort.ts";
import { Backoff, pauseAfter, waitFor } from "../../backoff.ts";
import { messageSize } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import type { Owned } from "../../locks/sharing.ts";
import type { KeyedBacklog } from "../keyed-backlog.ts";
import { Settled } from "../settled.ts";
import { SharedWork } from "../shared-work.ts";
import { EARLIEST, PartitionCheckpoint } from "./checkpoints.ts";
import { codeOf, type EventHubsLink, eventHubsError } from "./link.ts";
import { messageOf, offsetOf, type ReceivedEvent, sequenceNumberOf } from "./message.ts";
import type { HubConnection, PartitionLink } from "./partition-link.ts";

export interface EventHubsHandle {
  partition: ReadPartition;
  sequenceNumber: number;
}

export interface PartitionParts {
  link: EventHubsLink;
  connection: HubConnection;
  container: ContainerClient;
  backlog: KeyedBacklog<EventHubsHandle>;
  /** As in "queue …". */
  what: string;
  hub: string;
  consumerGroup: string;
  /** Where its blobs are. */
  folder: string;
  partition: string;
  checkpointIntervalMs: number;
  /** Whether the backlog takes more. */
  hasRoom: () => boolean;
  /** Of what is tried again; null: it works. */
  onTrouble: (error: TransportError | null) => void;
}

/** More is not asked for while this much of a partition is on its way, by the size of its latest events. */
const BYTES_ON_THE_WAY = 4 * 1024 * 1024;
const MOST_ON_THE_WAY = 1_000;
const FIRST_GUESS_BYTES = 512 * 1024;
const RETRY_MS = { initial: 250, max: 5_000 };
const LEAVE_PAUSE_MS = { least: 20, most: 1_000 };
/** A link that was open so long was allowed to be: what ends it for want of a claim is a token that was not renewed in time. */
const ALLOWED_MS = 60_000;

export class ReadPartition {
  readonly #parts: PartitionParts;
  readonly #owned: Owned;
  readonly #closing: AbortSignal;
  /** Says that it is gone, and why. */
  readonly #gone = new AbortController();
  /** What waiting does not heal of its checkpoint. */
  #failure: unknown = null;
  readonly #saving = new SharedWork(() => this.#save());
  #checkpoint: PartitionCheckpoint | null = null;
  #settled = new Settled();
  /** Of events above the floor, in order; and of the floor. */
  #offsets: { sequenceNumber: number; offset: string }[] = [];
  #offset = EARLIEST;
  #savedAt = 0;
  #link: PartitionLink | null = null;
  #onTheWay = 0;
  #usualBytes = FIRST_GUESS_BYTES;
  /** The last event that came. */
  #last = -1;
  /** One that did not follow it, and was looked into. */
  #jump: number | null = null;

  /** `closing`: when it aborts, the partition is gone at once. */
  constructor(parts: PartitionParts, owned: Owned, closing: AbortSignal) {
    this.#parts = parts;
    this.#owned = owned;
    this.#closing = closing;
  }

  /** Resolves when it is gone and its lock free. Rejects with what waiting does not heal. */
  async run(): Promise<void> {
    const { backlog } = this.#parts;
    const { lock, handOver } = this.#owned;
    const isOurs = ({ partition }: EventHubsHandle) => partition === this;
    const lose = () => this.#lose(lock.lost.aborted ? lock.lost.reason : "the receiver was closed");
    for (const signal of [lock.lost, this.#closing]) {
      if (signal.aborted) lose();
      else signal.addEventListener("abort", lose, { once: true });
    }
    try {
      const stop = AbortSignal.any([handOver, this.#gone.signal]);
      await this.#patiently(() => this.#take(), stop);
      await this.#patiently(() => this.#read(stop), stop);
      const since = performance.now();
      while (backlog.withhold(isOurs) && !this.#gone.signal.aborted)
        await waitFor(pauseAfter(performance.now() - since, LEAVE_PAUSE_MS), this.#gone.signal);
      if (this.#failure !== null) throw this.#failure;
    } finally {
      this.#lose("the partition was given up");
      this.#closing.removeEventListener("abort", lose);
      backlog.forgetAll(isOurs);
      await this.#saving.idle();
      await lock.release().catch(() => {});
    }
  }

  /** Durable once it resolves. */
  async settle(sequenceNumbers: readonly number[]): Promise<void> {
    this.#mustBeOurs();
    this.#settled.settle(sequenceNumbers);
    while (this.#offsets.length > 0 && this.#offsets[0]!.sequenceNumber <= this.#settled.floor)
      this.#offset = this.#offsets.shift()!.offset;
    await this.#saving.done();
  }

  /** Asks for more, if there is room. */
  grant(): void {
    if (this.#link === null || !this.#parts.hasRoom()) return;
    const wanted = Math.min(Math.max(Math.floor(BYTES_ON_THE_WAY / this.#usualBytes), 1), MOST_ON_THE_WAY);
    if (this.#onTheWay > wanted / 2) return;
    const more = wanted - this.#onTheWay;
    this.#onTheWay += more;
    this.#link.grant(more);
  }

  async #take(): Promise<void> {
    const { container, folder, partition } = this.#parts;
    const name = `${folder}checkpoint/${partition}`;
    const { begin, last } = await this.#bounds();
    const first = { state: { floor: begin - 1, beyond: [] }, offset: EARLIEST };
    const { store, found } = await PartitionCheckpoint.take(container, name, randomUUID(), first);
    const { floor } = found.state;
    this.#refuseGap(floor, begin);
    if (floor > last) {
      throw new TransportError(
        "rejected",
        `Partition ${partition} of ${this.#parts.what} is settled up to event ${floor}, and Event Hubs ${this.#parts.link.where} has events ` +
          `up to ${last} only: the hub ${this.#parts.hub} was made anew.`,
        { advice: `To read it from its beginning, delete the blobs ${folder}checkpoint/… in the container.` },
      );
    }
    this.#checkpoint = store;
    this.#settled = new Settled(found.state);
    this.#offset = found.offset;
    this.#last = floor;
  }

  /** Of the first event that is kept, and of the last one that ever came. */
  async #bounds(): Promise<{ begin: number; last: number }> {
    const { link, hub, partition } = this.#parts;
    const { beginningSequenceNumber, lastEnqueuedSequenceNumber, isEmpty } = await link
      .producer(hub)
      .getPartitionProperties(partition);
    const last = Number(lastEnqueuedSequenceNumber);
    return { begin: isEmpty ? last + 1 : Number(beginningSequenceNumber), last };
  }

  /** A gap is never silent: the service would go on at the first event that there is. */
  #refuseGap(after: number, begin: number): void {
    if (begin <= after + 1) return;
    const { what, link, partition, folder } = this.#parts;
    throw new TransportError(
      "rejected",
      `Messages of ${what} are gone: partition ${partition} was read up to event ${after}, and Event Hubs ${link.where} has deleted what was ` +
        `before ${begin} (retention).`,
      {
        advice:
          "What they held is in the source still, if its own clean-up has left it: set the table's checkpoint back (dstream checkpoints " +
          `set), and go on behind the gap by deleting the blob ${folder}checkpoint/${partition}. ` +
          "Set the hub's retention to more than the longest time that no router runs.",
      },
    );
  }

  /** Until `stop` aborts. Rejects when the link is over for another reason. */
  async #read(stop: AbortSignal): Promise<void> {
    const { connection, partition, consumerGroup, onTrouble } = this.#parts;
    while (!stop.aborted) {
      if (this.#jump !== null) this.#refuseGap(this.#last, (await this.#bounds()).begin);
      const position = { partition, consumerGroup, after: this.#last < 0 ? null : this.#last };
      const link = await connection.read({ ...position, epoch: this.#owned.lock.token }, (event) => this.#came(event));
      try {
        this.#link = link;
        this.#onTheWay = 0;
        this.grant();
        onTrouble(null);
        const opened = performance.now();
        const why = await unlessAborted(link.over, stop).catch(() => null);
        const expired = codeOf(why ?? {}) === "UnauthorizedError" && performance.now() - opened > ALLOWED_MS;
        if (why !== null && !expired) throw why;
      } finally {
        this.#link = null;
        await link.close();
      }
    }
  }

  #came(event: ReceivedEvent): void {
    const sequenceNumber = sequenceNumberOf(event);
    const { partition, backlog } = this.#parts;
    this.#onTheWay--;
    if (sequenceNumber > this.#last + 1 && sequenceNumber !== this.#jump) {
      this.#jump = sequenceNumber;
      void this.#link?.close();
      return;
    }
    this.#jump = null;
    this.#last = sequenceNumber;
    const message = messageOf(event, partition);
    this.#usualBytes = (this.#usualBytes * 7 + messageSize(message)) / 8;
    this.#offsets.push({ sequenceNumber, offset: offsetOf(event) });
    if (this.#settled.receive(sequenceNumber)) backlog.put({ message, handle: { partition: this, sequenceNumber } });
    this.grant();
  }

  /** As long as it is ours, a storage account that is away is waited for. */
  async #save(): Promise<void> {
    const pause = this.#savedAt + this.#parts.checkpointIntervalMs - performance.now();
    if (pause > 0) await waitFor(pause, this.#gone.signal);
    let saved = false;
    const saving = this.#patiently(async () => {
      this.#savedAt = performance.now();
      saved = await this.#checkpoint!.save({ state: this.#settled.state(), offset: this.#offset });
      if (!saved) this.#lose("another router has taken its checkpoint");
    }, this.#gone.signal);
    await saving.catch((error: unknown) => {
      this.#failure = error;
      this.#lose(error);
      throw error;
    });
    if (!saved) this.#mustBeOurs();
  }

  /** Calls until it works or the signal aborts. */
  async #patiently(call: () => Promise<void>, stop: AbortSignal): Promise<void> {
    const { link, what, partition, onTrouble } = this.#parts;
    const backoff = new Backoff(RETRY_MS);
    while (!stop.aborted) {
      const began = performance.now();
      try {
        await call();
        return;
      } catch (error) {
        if (codeOf(error) === "ReceiverDisconnectedError") return this.#lose("another reader has taken it");
        const trouble = eventHubsError(`receiving partition ${partition} of ${what}`, link, error, this.#parts);
        if (!trouble.transient) throw trouble;
        if (stop.aborted) return;
        if (performance.now() - began > RETRY_MS.max) backoff.reset();
        onTrouble(trouble);
      }
      await waitFor(backoff.next(), stop);
    }
  }

  #lose(why: unknown): void {
    this.#gone.abort(why instanceof Error ? why : new Error(String(why)));
  }

  #mustBeOurs(): void {
    if (this.#owned.lock.lost.aborted) this.#lose(this.#owned.lock.lost.reason);
    if (!this.#gone.signal.aborted) return;
    const { partition } = this.#parts;
    throw new TransportError(
      "rejected",
      `partition ${partition} is not this router's any more: ${(this.#gone.signal.reason as Error).message}`,
    );
  }
}
