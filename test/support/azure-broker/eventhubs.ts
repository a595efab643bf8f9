/**
 * Event Hubs over the common wire: hubs of partitions that are sent to by key, or by number, and read from any position by one
 * receiver with an epoch, or by several without.
 * https://learn.microsoft.com/azure/event-hubs/event-hubs-features, …/archive/blogs/gyan/event-hubs-receiver-epoch
 */
import { createHash, createHmac } from "node:crypto";
import rhea, { type Message, type Receiver, type Sender } from "rhea";
import { type Condition, refuseLink, type Service } from "./amqp.ts";
import type { EventLog, PartitionRow, StoredEvent } from "./event-log.ts";
import { PartitionReader, type Position } from "./partition-reader.ts";
import { cut } from "./sections.ts";

export const POLICY = { name: "RootManageSharedAccessKey", key: "SAS_KEY_VALUE" };

export interface EventHubsOptions {
  /** 1 MB in the tiers Standard and above, 256 KB in Basic (https://learn.microsoft.com/azure/event-hubs/event-hubs-quotas). */
  maxBytes: number;
  partitions: number;
  /** As if somebody had made every hub and consumer group that is asked for. */
  makesHubs: boolean;
}

interface Hub {
  name: string;
  created: number;
  partitions: Partition[];
  /** In small letters. */
  groups: Set<string>;
  /** Where what has no key goes next. */
  turn: number;
}

export interface Partition {
  row: PartitionRow;
  /** By consumer group, in small letters. */
  readers: Map<string, Set<PartitionReader>>;
}

export class EventHubs implements Service {
  readonly #log: EventLog;
  readonly #options: EventHubsOptions;
  readonly #hubs = new Map<string, Hub>();
  /** Sends to refuse, for want of capacity. */
  busy = 0;

  constructor(log: EventLog, options: EventHubsOptions) {
    this.#log = log;
    this.#options = options;
    for (const { name, created } of log.hubs()) this.#add(name, created);
  }

  make(name: string, group = "$Default"): void {
    if (!this.#hubs.has(name.toLowerCase())) {
      const created = Date.now();
      this.#log.makeHub(name, created, this.#options.partitions);
      this.#add(name, created);
    }
    this.#log.makeGroup(name, group.toLowerCase());
    this.#hubs.get(name.toLowerCase())!.groups.add(group.toLowerCase());
  }

  /** As when retention has passed: the events before that one are gone, of every partition that has come so far. */
  trim(name: string, before: number): void {
    for (const { row } of this.#hub(name)?.partitions ?? []) {
      row.begin = Math.max(row.begin, Math.min(before, row.last + 1));
      this.#log.trim(row);
    }
  }

  /** How many events its readers have room for by their own account, all together. */
  credit(name: string): number {
    const readers = (this.#hub(name)?.partitions ?? []).flatMap(({ readers }) => [...readers.values()]);
    return readers.flatMap((group) => [...group]).reduce((sum, reader) => sum + reader.credit, 0);
  }

  /** https://learn.microsoft.com/azure/event-hubs/authenticate-shared-access-signature */
  authorize(audience: string, token: string): Condition | null {
    const path = audience.replace(/^\w+:\/\/[^/]*\//, "").split("/")[0]!;
    const field = (name: string) => new RegExp(`[ &]${name}=([^&]*)`).exec(token)?.[1] ?? "";
    const signed = createHmac("sha256", POLICY.key)
      .update(`${field("sr")}\n${field("se")}`)
      .digest("base64");
    if (decodeURIComponent(field("skn")) !== POLICY.name || decodeURIComponent(field("sig")) !== signed)
      return ["amqp:unauthorized-access", "InvalidSignature: The token has an invalid signature."];
    // Seen of the service: a token for what is not there is refused with 404.
    return this.#hub(path) === undefined ? notFound(audience) : null;
  }

  openForSending(address: string): number | Condition {
    const place = this.#place(address);
    return Array.isArray(place) ? (place as Condition) : this.#options.maxBytes;
  }

  accept(address: string, messages: readonly Buffer[], _link: Receiver): Condition | null {
    if (this.busy > 0) {
      this.busy--;
      return [
        "com.microsoft:server-busy",
        "The request was terminated because the entity is being throttled. Error code: 50002. Please wait 4 seconds and try again.",
      ];
    }
    const bytes = messages.reduce((sum, raw) => sum + raw.length, 0);
    if (bytes > this.#options.maxBytes) {
      return [
        "amqp:link:message-size-exceeded",
        `The received message (delivery-id:0, size:${bytes} bytes) exceeds the limit (${this.#options.maxBytes} bytes) currently allowed on the link.`,
      ];
    }
    const place = this.#place(address);
    if (Array.isArray(place)) return place as Condition;
    const { hub, partition } = place as { hub: Hub; partition?: Partition };
    const cuts = messages.map(cut);
    const key = cuts[0]!.annotations["x-opt-partition-key"];
    const target = partition ?? hub.partitions[placeOf(hub, key)]!;
    const enqueued = Date.now();
    const { row } = target;
    const events = cuts.map(({ annotations, bare }): StoredEvent => {
      const offset = String(row.nextOffset);
      row.nextOffset += bare.length + 64;
      row.last++;
      row.lastOffset = offset;
      row.lastEnqueued = enqueued;
      const own = annotations["x-opt-partition-key"];
      return { seq: row.last, offset, enqueued, key: own === undefined ? null : String(own), bare };
    });
    this.#log.append(row, events);
    for (const readers of target.readers.values()) for (const reader of readers) reader.pump();
    return null;
  }

  openForReceiving(address: string, link: Sender): void {
    const place = this.#place(address);
    if (Array.isArray(place)) return void refuseLink(link, place as Condition);
    const { hub, partition, group } = place as { hub: Hub; partition?: Partition; group?: string };
    if (this.#options.makesHubs && group !== undefined) this.make(hub.name, group);
    if (partition === undefined || group === undefined || !hub.groups.has(group))
      return void refuseLink(link, notFound(address));
    const position = positionOf(link);
    if (position === null) {
      const why = "The supplied filter is no position: x-opt-offset, x-opt-sequence-number or x-opt-enqueued-time.";
      return void refuseLink(link, ["amqp:invalid-field", why]);
    }
    PartitionReader.open(link, position, partition, group, this.#log);
  }

  /** https://learn.microsoft.com/azure/event-hubs/event-hubs-management-libraries; the wire as Azure's clients ask and read it. */
  answer(_address: string, request: Message): ReturnType<Service["answer"]> {
    const asked = request.application_properties as Record<string, unknown>;
    const hub = this.#hub(String(asked["name"]));
    if (hub === undefined) return { status: 404, description: notFound(String(asked["name"]))[1] };
    if (asked["operation"] !== "READ") return { status: 501, description: "Not implemented." };
    if (asked["type"] === "com.microsoft:eventhub") {
      return {
        status: 200,
        description: "OK",
        body: {
          name: hub.name,
          created_at: rhea.types.wrap_timestamp(hub.created),
          partition_count: hub.partitions.length,
          partition_ids: hub.partitions.map(({ row }) => String(row.partition)),
          georeplication_factor: 1,
        },
      };
    }
    const partition = hub.partitions[Number(asked["partition"])];
    if (partition === undefined) return { status: 400, description: outOfRange(hub)[1] };
    const { begin, last, lastOffset, lastEnqueued } = partition.row;
    return {
      status: 200,
      description: "OK",
      body: {
        name: hub.name,
        partition: String(partition.row.partition),
        begin_sequence_number: rhea.types.wrap_long(begin),
        last_enqueued_sequence_number: rhea.types.wrap_long(last),
        last_enqueued_offset: lastOffset,
        last_enqueued_time_utc: rhea.types.wrap_timestamp(lastEnqueued),
        is_partition_empty: begin > last,
      },
    };
  }

  /** `hub`, `hub/Partitions/0`, `hub/ConsumerGroups/$Default/Partitions/0`. */
  #place(address: string): { hub: Hub; partition?: Partition; group?: string } | Condition {
    const found = /^([^/]+)(?:\/ConsumerGroups\/([^/]+))?(?:\/Partitions\/([^/]+))?$/i.exec(address);
    const hub = found === null ? undefined : this.#hub(found[1]!);
    if (hub === undefined) return notFound(address);
    const [, , group, id] = found!;
    if (id === undefined) return { hub };
    const partition = /^\d+$/.test(id) ? hub.partitions[Number(id)] : undefined;
    if (partition === undefined) return outOfRange(hub);
    return { hub, partition, ...(group !== undefined && { group: group.toLowerCase() }) };
  }

  #hub(name: string): Hub | undefined {
    if (this.#options.makesHubs && name !== "") this.make(name);
    return this.#hubs.get(name.toLowerCase());
  }

  #add(name: string, created: number): void {
    const partitions = this.#log.partitions(name).map((row): Partition => ({ row: { ...row }, readers: new Map() }));
    const groups = new Set(["$default", ...this.#log.groups(name)]);
    this.#hubs.set(name.toLowerCase(), { name, created, partitions, groups, turn: 0 });
  }
}

/** One key, one partition; which one is the service's own affair. What has none goes round. */
function placeOf(hub: Hub, key: unknown): number {
  if (key === undefined || key === null) return hub.turn++ % hub.partitions.length;
  return createHash("sha256").update(String(key)).digest().readUInt32BE() % hub.partitions.length;
}

/** `amqp.annotation.x-opt-offset > '123'`: the filter is a selector. */
function positionOf(link: Sender): Position | null {
  const { filter } = link.source as unknown as { filter?: Record<string, unknown> };
  const given = filter?.["apache.org:selector-filter:string"];
  const text = String((given as { value?: unknown } | undefined)?.value ?? given ?? "");
  const found = /^amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time) (>=?) '([^']*)'$/.exec(text);
  if (found === null) return null;
  return { by: found[1] as Position["by"], inclusive: found[2] === ">=", value: found[3]! };
}

function notFound(address: string): Condition {
  return ["amqp:not-found", `The messaging entity '${address}' could not be found.`];
}

function outOfRange(hub: Hub): Condition {
  const last = hub.partitions.length - 1;
  return [
    "com.microsoft:argument-out-of-range",
    `The specified partition is invalid for an EventHub partition sender or receiver. It should be between 0 and ${last}.`,
  ];
}
