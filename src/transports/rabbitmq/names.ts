/** What entities are called in RabbitMQ: as they are, as far as it takes that. */
import { createHash } from "node:crypto";
import type { Entity } from "../transport.ts";

/** Of a short string of AMQP 0-9-1, less room for what dead-letter queues add. */
const LONGEST = 230;

/** The queue that an entity is received from. */
export function queueOf(entity: Entity): string {
  return fitting(entity.kind === "queue" ? entity.name : `${entity.name}.${entity.subscription}`);
}

export function exchangeOf(topic: string): string {
  return fitting(topic);
}

export function deadLetterQueueOf(entity: Entity): string {
  return `${queueOf(entity)}.dead-letters`;
}

/** `amq.` is the broker's own. Names that are too long keep their beginning, and a digest of all of it that tells them apart. */
function fitting(name: string): string {
  const own = name.startsWith("amq.") ? `_${name}` : name;
  const bytes = Buffer.from(own);
  if (bytes.length <= LONGEST) return own;
  const digest = createHash("sha256").update(own).digest("hex").slice(0, 16);
  return `${bytes
    .subarray(0, LONGEST - 17)
    .toString()
    .replace(/\uFFFD+$/, "")}-${digest}`;
}

/** https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling: none before 4.0 unless set, then 20 unless -1. */
export function unlimitedDeliveries(version: number): Record<string, number> {
  return version >= 4 ? { "x-delivery-limit": -1 } : {};
}
