/**
 * Azure Event Hubs, over AMQP.
 *
 * - Each entity is a hub, which somebody has made; a topic's subscription is a consumer group.
 * - Order: a key's messages are in one partition, which one router reads.
 * - Repeats are not dropped: messages keep their ids.
 * - What Event Hubs does not keep, readers do, in Blob Storage: how far they have read, who reads what, dead letters.
 * - Event Hubs deletes by age, whoever has read what: a router that finds a gap stops, and says so.
 */
import type { ContainerClient } from "@azure/storage-blob";
import { openContainer } from "../../azure/blob-storage.ts";
import { TransportError } from "../../errors.ts";
import type { LockStore } from "../../locks/lock.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { BacklogReceiving } from "../backlog-receiving.ts";
import { describe } from "../entities.ts";
import type { BrokerEndpoint } from "../settings.ts";
import type { DeadLetters, Entity, Limits, Receiver, Sender, Traits, Transport } from "../transport.ts";
import { type Burying, bury, deadLettersOf } from "./dead-letters.ts";
import { EventHubsLink, eventHubsError, isMissing, missingAdvice } from "./link.ts";
import { consumerGroupOf, folderOf, hubOf } from "./names.ts";
import type { EventHubsHandle } from "./partition.ts";
import { EventHubsSession } from "./receiver.ts";
import { EventHubsSender } from "./sender.ts";
import type { EventHubsSettings } from "./settings.ts";

/** Kept free of a message for what its properties take besides, and for the batch that it goes in. */
const PROPERTY_ROOM = 8 * 1024;
const BATCH_BYTES = 512 * 1024;

/** Locks with leases in the same storage account. */
export type OpenLocks = (connectionString: string, containerName: string) => Promise<LockStore>;

export class EventHubsTransport implements Transport {
  readonly type = "eventhubs";
  readonly limits: Limits;
  readonly traits: Traits = { deduplicates: false, keepsOrder: true };
  readonly #link: EventHubsLink;
  readonly #settings: EventHubsSettings;
  readonly #openLocks: OpenLocks;
  readonly #logger: Logger;
  readonly #reading = new Map<string, BacklogReceiving<EventHubsHandle>>();
  #container: Promise<ContainerClient> | null = null;
  #locks: Promise<LockStore> | null = null;
  #said = false;

  constructor(
    { connectionString, settings }: BrokerEndpoint<"eventhubs">,
    { openLocks, logger }: { openLocks: OpenLocks; logger: Logger },
  ) {
    this.#link = new EventHubsLink(connectionString);
    this.#settings = settings;
    this.#openLocks = openLocks;
    this.#logger = logger;
    const maxMessageBytes = settings.max_message_bytes - PROPERTY_ROOM;
    this.limits = {
      maxMessageBytes,
      maxSendBytes: 16 * 1024 * 1024,
      batchBytes: Math.min(BATCH_BYTES, maxMessageBytes),
    };
  }

  /** Hubs are made by others: this says so where one is missing. */
  async ensure(entity: Entity): Promise<void> {
    await this.#mustExist(entity);
    if (entity.kind !== "queue" || this.#said) return;
    this.#said = true;
    this.#logger.info(
      { hub: hubOf(entity.name) },
      "the ingest queue is an event hub: it deletes messages by their age (see its retention), whoever has read them; it drops no repeats; " +
        "one message that is not settled keeps the checkpoint of its partition; dead letters are blobs",
    );
  }

  async exists(entity: Entity): Promise<boolean> {
    const hub = hubOf(entity.name);
    try {
      await this.#link.producer(hub).getEventHubProperties();
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw eventHubsError(`looking for ${describe(entity)}`, this.#link, error, { hub });
    }
  }

  howToMake(entity: Entity): string {
    return this.#link.howToMake(hubOf(entity.name));
  }

  async sender(entity: Entity): Promise<Sender> {
    await this.#mustExist(entity);
    return this.#sender(entity);
  }

  async receiver(entity: Entity): Promise<Receiver> {
    await this.#mustExist(entity);
    const what = describe(entity);
    const burying = await this.#burying(entity);
    let reading = this.#reading.get(burying.folder);
    if (reading === undefined) {
      reading = new BacklogReceiving<EventHubsHandle>({
        what,
        // What is sent together may come in several frames.
        gatherMs: 5,
        open: async (backlog) => {
          const parts = {
            link: this.#link,
            locks: await this.#lockStore(),
            container: burying.container,
            what,
            hub: hubOf(entity.name),
            consumerGroup: consumerGroupOf(entity, this.#settings.consumer_group),
            folder: burying.folder,
            checkpointIntervalMs: this.#settings.checkpoint_interval,
            logger: this.#logger,
          };
          return new EventHubsSession(parts, backlog);
        },
        bury: (message, reason) => bury(burying, message, reason),
      });
      this.#reading.set(burying.folder, reading);
    }
    return reading.receiver();
  }

  deadLetters(entity: Entity): DeadLetters {
    const letters = async () => deadLettersOf(await this.#burying(entity));
    return {
      list: async (limit) => (await letters()).list(limit),
      get: async (id) => (await letters()).get(id),
      replay: async (id) => (await letters()).replay(id),
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#reading.values()].map((reading) => reading.close()));
    await (await this.#locks?.catch(() => null))?.close();
    await this.#link.close();
  }

  #sender(entity: Entity): Sender {
    const hub = hubOf(entity.name);
    return new EventHubsSender({
      link: this.#link,
      producer: this.#link.producer(hub),
      hub,
      what: describe(entity),
      maxMessageBytes: this.limits.maxMessageBytes,
    });
  }

  async #burying(entity: Entity): Promise<Burying> {
    const group = consumerGroupOf(entity, this.#settings.consumer_group);
    return {
      container: await this.#blobs(),
      what: describe(entity),
      folder: folderOf(this.#link.where, hubOf(entity.name), group),
      sender: async () => this.#sender(entity),
    };
  }

  async #blobs(): Promise<ContainerClient> {
    const { blob_container: containerName } = this.#settings;
    this.#container ??= openContainer({ ...this.#storage(), containerName, whose: "eventhubs" }).catch(
      (error: unknown) => {
        this.#container = null;
        throw error;
      },
    );
    return await this.#container;
  }

  async #lockStore(): Promise<LockStore> {
    this.#locks ??= this.#openLocks(this.#storage().connectionString, this.#settings.blob_container).catch(
      (error: unknown) => {
        this.#locks = null;
        throw error;
      },
    );
    return await this.#locks;
  }

  #storage(): { connectionString: string } {
    const { blob_connection_string: connectionString } = this.#settings;
    if (connectionString !== undefined) return { connectionString };
    throw new TransportError("rejected", "Event Hubs cannot be read without blob_connection_string.", {
      advice:
        "Event Hubs does not keep how far it was read: name a storage account for that in the block eventhubs { … }, or set " +
        "DSTREAM_BLOB_CONNECTION_STRING.",
    });
  }

  async #mustExist(entity: Entity): Promise<void> {
    if (await this.exists(entity)) return;
    const hub = hubOf(entity.name);
    throw new TransportError(
      "rejected",
      `There is no hub ${hub} for ${describe(entity)} at Event Hubs ${this.#link.where}.`,
      { advice: missingAdvice(this.#link, hub) },
    );
  }
}
