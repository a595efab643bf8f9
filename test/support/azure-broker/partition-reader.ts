/**
 * One client's link to a partition. With an epoch it is the only one of its consumer group: a later one with the same epoch or a higher
 * one ends it, one with a lower one is refused; without, there may be five
 * (https://learn.microsoft.com/archive/blogs/gyan/event-hubs-receiver-epoch, …/event-hubs-quotas).
 */
import rhea, { type Sender } from "rhea";
import { closeLink, openLink, refuseLink } from "./amqp.ts";
import type { EventLog, StoredEvent } from "./event-log.ts";
import type { Partition } from "./eventhubs.ts";
import { dressed } from "./sections.ts";

export interface Position {
  by: "offset" | "sequence-number" | "enqueued-time";
  inclusive: boolean;
  value: string;
}

const MOST_WITHOUT_EPOCH = 5;
const EVENTS_A_READ = 200;

export class PartitionReader {
  readonly #link: Sender;
  readonly #partition: Partition;
  readonly #log: EventLog;
  readonly #epoch: number | null;
  readonly #group: Set<PartitionReader>;
  /** Of the last event that was sent, or of the one before the position. */
  #after: number;
  #ahead: StoredEvent[] = [];
  #ended = false;

  private constructor(
    link: Sender,
    after: number,
    epoch: number | null,
    partition: Partition,
    group: Set<PartitionReader>,
    log: EventLog,
  ) {
    this.#link = link;
    this.#after = after;
    this.#epoch = epoch;
    this.#partition = partition;
    this.#group = group;
    this.#log = log;
  }

  static open(link: Sender, position: Position, partition: Partition, group: string, log: EventLog): void {
    const { properties } = (link as unknown as { remote: { attach: { properties?: Record<string, unknown> } } }).remote
      .attach;
    const given = properties?.["com.microsoft:epoch"];
    const epoch = given === undefined || given === null ? null : Number(given);
    const readers = partition.readers.get(group) ?? new Set<PartitionReader>();
    partition.readers.set(group, readers);
    const highest = Math.max(-1, ...[...readers].map((reader) => reader.#epoch ?? -1));
    if (highest >= 0 && (epoch === null || epoch < highest)) {
      return void refuseLink(link, [
        "amqp:link:stolen",
        `At least one receiver for the endpoint is created with epoch of '${highest}', and so ${epoch === null ? "non-epoch receiver" : "receiver with a lower epoch"} is not allowed. ` +
          "Either reconnect with a higher epoch, or make sure all epoch receivers are closed or disconnected.",
      ]);
    }
    if (epoch === null && readers.size >= MOST_WITHOUT_EPOCH) {
      return void refuseLink(link, [
        "amqp:resource-limit-exceeded",
        `Exceeded the maximum number of allowed receivers per partition in a consumer group which is ${MOST_WITHOUT_EPOCH}.`,
      ]);
    }
    if (epoch !== null) for (const reader of readers) reader.#end(epoch);
    const reader = new PartitionReader(link, startOf(position, partition, log), epoch, partition, readers, log);
    readers.add(reader);
    reader.#serve();
  }

  /** What the client has given, less what is written but not out yet. */
  get credit(): number {
    const { outgoing } = this.#link.session as unknown as {
      outgoing: { next_delivery_id: number; next_pending_delivery: number };
    };
    const waiting = outgoing.next_delivery_id - outgoing.next_pending_delivery;
    return (this.#link as unknown as { credit: number }).credit - waiting;
  }

  pump(): void {
    const { row } = this.#partition;
    while (!this.#ended && this.credit > 0 && this.#link.sendable()) {
      if (this.#ahead.length === 0) {
        if (this.#after >= row.last) return;
        this.#ahead = this.#log.after(row.hub, row.partition, this.#after, EVENTS_A_READ);
        if (this.#ahead.length === 0) return;
      }
      const { seq, offset, enqueued, key, bare } = this.#ahead.shift()!;
      this.#after = seq;
      const annotations = {
        "x-opt-sequence-number": rhea.types.wrap_long(seq),
        "x-opt-offset": offset,
        "x-opt-enqueued-time": rhea.types.wrap_timestamp(enqueued),
        ...(key !== null && { "x-opt-partition-key": key }),
      };
      // Format 0, encoded already.
      this.#link.send(dressed(annotations, Buffer.from(bare)) as never, undefined, 0);
    }
  }

  /** The service sends settled: nothing of a partition is acknowledged one by one. */
  #serve(): void {
    const link = this.#link;
    (link as unknown as { local: { attach: { snd_settle_mode: number } } }).local.attach.snd_settle_mode = 1;
    openLink(link);
    const gone = () => this.#gone();
    link.on("sender_flow", () => this.pump());
    link.on("sendable", () => this.pump());
    for (const event of ["sender_close", "session_close"]) link.on(event, gone);
    link.session.on("session_close", gone);
    link.connection.on("disconnected", gone);
    link.connection.on("connection_close", gone);
  }

  #end(epoch: number): void {
    this.#gone();
    closeLink(this.#link, [
      "amqp:link:stolen",
      `New receiver 'nil' with higher epoch of '${epoch}' is created hence current receiver 'nil' with epoch '${this.#epoch}' is getting disconnected. ` +
        "If you are recreating the receiver, make sure a higher epoch is used.",
    ]);
  }

  #gone(): void {
    this.#ended = true;
    this.#group.delete(this);
  }
}

/** The number of the event before the first one that is to be read. */
function startOf({ by, inclusive, value }: Position, { row }: Partition, log: EventLog): number {
  if (by === "sequence-number") return Math.max(row.begin - 1, Number(value) - (inclusive ? 1 : 0));
  if (by === "offset" && value === "-1") return row.begin - 1;
  if (by === "offset" && value === "@latest") return row.last;
  const reached = ({ offset, enqueued }: StoredEvent) => {
    const at = by === "offset" ? Number(offset) : enqueued;
    return at > Number(value) || (inclusive && at === Number(value));
  };
  for (let after = row.begin - 1; after < row.last; ) {
    const events = log.after(row.hub, row.partition, after, EVENTS_A_READ);
    if (events.length === 0) break;
    const first = events.find(reached);
    if (first !== undefined) return first.seq - 1;
    after = events.at(-1)!.seq;
  }
  return row.last;
}
