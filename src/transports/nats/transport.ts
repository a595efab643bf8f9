/**
 * NATS JetStream, from server 2.9 on.
 *
 * - Each entity is a stream in files with one subject. A queue's stream keeps a message until it is settled, a topic's for `max_age`,
 *   whoever reads it: other programs read it with consumers of their own.
 * - Order: one process at a time reads an entity for dstream; within it, keys go their own ways.
 * - Repeats are dropped by `Nats-Msg-Id` within `duplicate_window`.
 */
import { DiscardPolicy, JetStreamApiCodes, JetStreamApiError, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { nanos } from "@nats-io/transport-node";
import { TransportError } from "../../errors.ts";
import { NatsLockStore } from "../../locks/nats.ts";
import { readBucket } from "../../nats/bucket.ts";
import { type Connected, NatsLink } from "../../nats/link.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { BacklogReceiving } from "../backlog-receiving.ts";
import { describe } from "../entities.ts";
import type { BrokerEndpoint } from "../settings.ts";
import type { DeadLetters, Entity, Limits, Receiver, Sender, Traits, Transport } from "../transport.ts";
import { type Burying, bury, deadLettersOf } from "./dead-letters.ts";
import { deadLettersOf as deadLettersName, readerOf, streamOf, subjectOf } from "./names.ts";
import { keyOf, NatsSession, POSITIONS } from "./receiver.ts";
import { NatsSender } from "./sender.ts";
import type { NatsSettings } from "./settings.ts";

/** Kept free of a payload for what headers take besides what they hold. */
const HEADER_ROOM = 4 * 1024;
const BATCH_BYTES = 512 * 1024;

interface Parts {
  link: NatsLink;
  leases: NatsLockStore;
  settings: NatsSettings;
  maxPayload: number;
  logger: Logger;
}

export class NatsTransport implements Transport {
  readonly type = "nats";
  readonly limits: Limits;
  readonly traits: Traits = { deduplicates: true, keepsOrder: true };
  readonly #parts: Parts;
  readonly #reading = new Map<string, BacklogReceiving<number>>();

  private constructor(parts: Parts) {
    this.#parts = parts;
    const maxMessageBytes = parts.maxPayload - HEADER_ROOM;
    this.limits = {
      maxMessageBytes,
      maxSendBytes: 8 * 1024 * 1024,
      batchBytes: Math.min(BATCH_BYTES, maxMessageBytes),
    };
  }

  /** `leaseMs`: how long a killed reader keeps its stream. */
  static async open(
    { connectionString, settings }: BrokerEndpoint<"nats">,
    logger: Logger,
    { leaseMs = 15_000, leases: bucket = "dstream-readers" } = {},
  ): Promise<NatsTransport> {
    const { replicas } = settings;
    const link = new NatsLink({
      connectionString,
      credentialsFile: settings.credentials_file,
      caFile: settings.ca_file,
      certFile: settings.cert_file,
      keyFile: settings.key_file,
    });
    try {
      const leases = await NatsLockStore.open({ link, ownsLink: false, logger, bucket, leaseMs, replicas });
      const maxPayload = await link.ask(`making the bucket ${POSITIONS}`, async ({ nc, js }) => {
        await new Kvm(js).create(POSITIONS, {
          history: 1,
          replicas,
          description: "dstream: how far streams are settled",
        });
        return nc.info!.max_payload;
      });
      return new NatsTransport({ link, leases, settings, maxPayload, logger });
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  async ensure(entity: Entity): Promise<void> {
    const [stream, subject] = [streamOf(entity.name), subjectOf(entity.name)];
    await this.#parts.link.ask(`making ${describe(entity)}`, (connected) =>
      this.#make(connected, stream, subject, entity),
    );
  }

  async exists(entity: Entity): Promise<boolean> {
    return (await this.#info(entity)) !== null;
  }

  async remove(entity: Entity): Promise<void> {
    await this.#parts.link.ask(`removing ${describe(entity)}`, async (connected) => {
      const { js, jsm } = connected;
      const positions = await new Kvm(js).open(POSITIONS);
      const unlessMissing = (error: unknown) => {
        if (!(error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)) throw error;
      };
      await jsm.streams.delete(streamOf(deadLettersName(entity))).catch(unlessMissing);
      await positions.purge(keyOf(readerOf(entity)));
      if (entity.kind === "topic") {
        // Another subscription is a position of its own, and its reader's alone.
        const prefix = `${entity.name}/`;
        for (const { key } of await readBucket(connected, POSITIONS))
          if (Buffer.from(key, "base64url").toString().startsWith(prefix)) return;
      }
      await jsm.streams.delete(streamOf(entity.name)).catch(unlessMissing);
    });
  }

  async sender(entity: Entity): Promise<Sender> {
    const { config } = await this.#found(entity);
    const sending = {
      link: this.#parts.link,
      what: describe(entity),
      stream: streamOf(entity.name),
      subject: subjectOf(entity.name),
      maxMessageBytes: this.limits.maxMessageBytes,
      maxPayload: this.#parts.maxPayload,
    };
    return new NatsSender(sending, { oneByOne: config.num_replicas > 1 });
  }

  async receiver(entity: Entity): Promise<Receiver> {
    const { config } = await this.#found(entity);
    if (config.retention !== RetentionPolicy.Limits) {
      throw new TransportError(
        "rejected",
        `The stream ${config.name} of ${describe(entity)} has the retention "${config.retention}", dstream reads streams with "limits".`,
        { advice: "Name another queue, or delete the stream once it is empty: it is made again as it has to be." },
      );
    }
    const reader = readerOf(entity);
    let reading = this.#reading.get(reader);
    if (reading === undefined) {
      const { link, leases } = this.#parts;
      const what = describe(entity);
      const stream = streamOf(entity.name);
      const burying = this.#burying(entity);
      reading = new BacklogReceiving<number>({
        what,
        open: async (backlog) =>
          new NatsSession({ link, leases, what, stream, reader, deletes: entity.kind === "queue" }, backlog),
        bury: (message, reason) => bury(burying, message, reason),
      });
      this.#reading.set(reader, reading);
    }
    return reading.receiver();
  }

  deadLetters(entity: Entity): DeadLetters {
    return deadLettersOf(this.#burying(entity));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#reading.values()].map((reading) => reading.close()));
    await this.#parts.leases.close();
    await this.#parts.link.close();
  }

  #burying(entity: Entity): Burying {
    return {
      link: this.#parts.link,
      what: describe(entity),
      name: deadLettersName(entity),
      subject: subjectOf(entity.name),
      make: (connected, stream, subject) => this.#make(connected, stream, subject),
    };
  }

  async #make({ jsm }: Connected, stream: string, subject: string, entity?: Entity): Promise<void> {
    const { replicas, duplicate_window, max_age } = this.#parts.settings;
    const age = entity?.kind === "topic" ? max_age : 0;
    try {
      const { config } = await jsm.streams.info(stream);
      this.#look(config, subject, entity);
      return;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    try {
      await jsm.streams.add({
        name: stream,
        subjects: [subject],
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.New,
        num_replicas: replicas,
        max_age: nanos(age),
        duplicate_window: nanos(age === 0 ? duplicate_window : Math.min(duplicate_window, age)),
        description: `dstream: ${entity?.kind ?? "dead letters"}`,
      });
    } catch (error) {
      // Somebody else has just made it, with other settings.
      if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NAME_IN_USE) throw error;
    }
  }

  /** What is there already stays as it is, and is used if it can be. */
  #look(
    config: { name: string; subjects: string[]; max_age: number; max_msgs: number; max_bytes: number },
    subject: string,
    entity?: Entity,
  ): void {
    if (!config.subjects.includes(subject)) {
      throw new TransportError(
        "rejected",
        `The stream ${config.name} has not the subject ${subject}, but ${config.subjects.join(", ")}.`,
        {
          advice: "It belongs to something else: rename the entity, or add the subject to the stream.",
        },
      );
    }
    if (entity?.kind !== "queue" || (config.max_age === 0 && config.max_msgs <= 0 && config.max_bytes <= 0)) return;
    this.#parts.logger.warn(
      { stream: config.name, max_age: config.max_age, max_msgs: config.max_msgs, max_bytes: config.max_bytes },
      "the stream of the ingest queue has limits: what they delete before it was routed is lost",
    );
  }

  async #found(entity: Entity) {
    const found = await this.#info(entity);
    if (found !== null) return found;
    throw new TransportError("rejected", `There is no stream ${streamOf(entity.name)} for ${describe(entity)}.`, {
      advice: "It is made when an ingester or a router that names it starts; look at its name and the account.",
    });
  }

  async #info(entity: Entity) {
    return await this.#parts.link.ask(`looking for ${describe(entity)}`, async ({ jsm }) => {
      try {
        return await jsm.streams.info(streamOf(entity.name));
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    });
  }
}

/** server/errors.json of nats-server: JSStreamNameExistErr. */
const STREAM_NAME_IN_USE = 10058;

function isMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;
}
