/**
 * Azure Service Bus, tiers Standard and Premium.
 *
 * - Queues demand sessions: a session is an ordering key, which one router holds at a time, so order is kept and keys run in parallel.
 * - Repeats are dropped by message id within the entity's window (duplicate detection).
 * - The service gives no message up by itself, as far as settings allow: entities are made with the highest delivery count, and nothing
 *   is abandoned; what an existing entity would lose by itself is warned about.
 */
import type { QueueProperties } from "@azure/service-bus";
import { TransportError } from "../../errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { BacklogReceiving } from "../backlog-receiving.ts";
import { describe } from "../entities.ts";
import type { BrokerEndpoint } from "../settings.ts";
import type { DeadLetters, Entity, Limits, Receiver, Sender, Traits, Transport } from "../transport.ts";
import { deadLettersOf } from "./dead-letters.ts";
import { isMissing, isThere, openLink, type ServiceBusLink, serviceBusError } from "./link.ts";
import { type ServiceBusHandle, type ServiceBusReading, ServiceBusSession } from "./receiver.ts";
import { ServiceBusQueueSender } from "./sender.ts";
import type { ServiceBusSettings } from "./settings.ts";

/** Kept free of a message for what its properties take besides. */
const PROPERTY_ROOM = 8 * 1024;
/** The service's highest: each delivery that a router did not settle counts, as when it is killed. */
const MOST_DELIVERIES = 2_000;

export class ServiceBusTransport implements Transport {
  readonly type = "servicebus";
  readonly limits: Limits;
  readonly traits: Traits = { deduplicates: true, keepsOrder: true };
  readonly #link: ServiceBusLink;
  readonly #settings: ServiceBusSettings;
  readonly #reading = new Map<string, BacklogReceiving<ServiceBusHandle>>();
  readonly #logger: Logger;

  constructor({ connectionString, settings }: BrokerEndpoint<"servicebus">, logger: Logger) {
    this.#link = openLink(connectionString, settings.administration_url);
    this.#settings = settings;
    this.#logger = logger;
    this.limits = {
      maxMessageBytes: settings.max_message_bytes - PROPERTY_ROOM,
      maxSendBytes: 4 * 1024 * 1024,
    };
  }

  async ensure(entity: Entity): Promise<void> {
    await this.#ask(`making ${describe(entity)}`, async () => {
      if (entity.kind === "queue") await this.#ensureQueue(entity.name);
      else await this.#ensureTopic(entity.name, entity.subscription);
    });
  }

  async exists(entity: Entity): Promise<boolean> {
    const { administration } = this.#link;
    return await this.#ask(`looking for ${describe(entity)}`, async () => {
      if (entity.kind === "queue") return (await found(() => administration.getQueue(entity.name))) !== null;
      return (await found(() => administration.getSubscription(entity.name, entity.subscription))) !== null;
    });
  }

  async remove(entity: Entity): Promise<void> {
    const { administration } = this.#link;
    await this.#ask(`removing ${describe(entity)}`, async () => {
      if (entity.kind === "queue") return void (await found(() => administration.deleteQueue(entity.name)));
      const { name, subscription } = entity;
      if ((await found(() => administration.getTopic(name))) === null) return;
      await found(() => administration.deleteSubscription(name, subscription));
      for await (const _other of administration.listSubscriptions(name)) return;
      await found(() => administration.deleteTopic(name));
    });
  }

  async sender(entity: Entity): Promise<Sender> {
    await this.#mustExist(entity);
    return new ServiceBusQueueSender({
      sender: this.#link.client.createSender(entity.name),
      where: this.#link.where,
      what: describe(entity),
      maxMessageBytes: this.limits.maxMessageBytes,
    });
  }

  async receiver(entity: Entity): Promise<Receiver> {
    await this.#mustExist(entity);
    const name = entity.kind === "queue" ? entity.name : `${entity.name}/${entity.subscription}`;
    let receiving = this.#reading.get(name);
    if (receiving === undefined) {
      const reading = this.#readingOf(entity);
      receiving = new BacklogReceiving<ServiceBusHandle>({
        what: reading.what,
        // The client hands out message by message.
        gatherMs: 5,
        open: async (backlog) => new ServiceBusSession(reading, backlog),
      });
      this.#reading.set(name, receiving);
    }
    return receiving.receiver();
  }

  deadLetters(entity: Entity): DeadLetters {
    return deadLettersOf(this.#readingOf(entity));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#reading.values()].map((receiving) => receiving.close()));
    await this.#link.client.close();
  }

  #readingOf(entity: Entity): ServiceBusReading {
    return {
      client: this.#link.client,
      where: this.#link.where,
      what: describe(entity),
      queue: entity.name,
      subscription: entity.kind === "topic" ? entity.subscription : undefined,
      maxSessions: this.#settings.max_sessions,
    };
  }

  async #ensureQueue(name: string): Promise<void> {
    const { administration } = this.#link;
    const there = await found(() => administration.getQueue(name));
    if (there !== null) return this.#lookAtQueue(there);
    await unlessThere(() =>
      administration.createQueue(name, {
        requiresSession: true,
        requiresDuplicateDetection: true,
        duplicateDetectionHistoryTimeWindow: iso(this.#settings.duplicate_window),
        lockDuration: iso(this.#settings.lock_duration),
        maxDeliveryCount: MOST_DELIVERIES,
        deadLetteringOnMessageExpiration: true,
      }),
    );
  }

  async #ensureTopic(name: string, subscription: string): Promise<void> {
    const { administration } = this.#link;
    const there = await found(() => administration.getTopic(name));
    if (there !== null) this.#warn(name, lossesOf(there));
    else {
      await unlessThere(() =>
        administration.createTopic(name, {
          requiresDuplicateDetection: true,
          duplicateDetectionHistoryTimeWindow: iso(this.#settings.duplicate_window),
          supportOrdering: true,
        }),
      );
    }
    const subscribed = await found(() => administration.getSubscription(name, subscription));
    if (subscribed !== null) return this.#warn(`${name}/${subscription}`, lossesOf(subscribed));
    await unlessThere(() =>
      administration.createSubscription(name, subscription, {
        requiresSession: this.#settings.subscription_sessions,
        lockDuration: iso(this.#settings.lock_duration),
        maxDeliveryCount: MOST_DELIVERIES,
        deadLetteringOnMessageExpiration: true,
      }),
    );
  }

  /** What is there already is used if it can be, and warned about where it weakens a promise. */
  #lookAtQueue(queue: QueueProperties): void {
    if (!queue.requiresSession) {
      throw new TransportError(
        "rejected",
        `The queue "${queue.name}" of Service Bus ${this.#link.where} has no sessions.`,
        {
          advice:
            "Without them a table's changes may overtake each other, and sessions cannot be added to a queue. Delete it once it is empty: it " +
            "is made again as it has to be; or name another one.",
        },
      );
    }
    const losses = lossesOf(queue);
    if (!queue.requiresDuplicateDetection) losses.push("it does not drop repeats (requiresDuplicateDetection)");
    if (queue.maxDeliveryCount < 100)
      losses.push(`it dead-letters a message that was delivered ${queue.maxDeliveryCount} times (maxDeliveryCount)`);
    this.#warn(queue.name, losses);
  }

  #warn(entity: string, losses: readonly string[]): void {
    for (const loss of losses) this.#logger.warn({ entity }, `Service Bus may do something behind our back: ${loss}`);
  }

  async #mustExist(entity: Entity): Promise<void> {
    if (await this.exists(entity)) return;
    throw new TransportError("rejected", `There is no ${describe(entity)} at Service Bus ${this.#link.where}.`, {
      advice: "It is made when an ingester or a router that names it starts; look at its name and the namespace.",
    });
  }

  async #ask<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw serviceBusError(doing, this.#link.where, error);
    }
  }
}

async function found<T>(get: () => Promise<T>): Promise<T | null> {
  try {
    return await get();
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Somebody else may have just made it. */
async function unlessThere(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (!isThere(error)) throw error;
  }
}

/** More than a year is for ever. */
function lossesOf(entity: {
  defaultMessageTimeToLive?: string;
  autoDeleteOnIdle?: string;
  forwardTo?: string | undefined;
}): string[] {
  const losses: string[] = [];
  const { defaultMessageTimeToLive: age, autoDeleteOnIdle: idle, forwardTo } = entity;
  if (age !== undefined && !isForEver(age)) losses.push(`it drops messages after ${age} (defaultMessageTimeToLive)`);
  if (idle !== undefined && !isForEver(idle))
    losses.push(`it is deleted when it was idle for ${idle} (autoDeleteOnIdle)`);
  if (forwardTo !== undefined) losses.push(`it forwards everything to ${forwardTo}`);
  return losses;
}

function isForEver(duration: string): boolean {
  return Number(/^P(\d+)D/.exec(duration)?.[1] ?? 0) > 366;
}

/** https://en.wikipedia.org/wiki/ISO_8601#Durations */
function iso(ms: number): string {
  return `PT${Math.round(ms / 1000)}S`;
}
