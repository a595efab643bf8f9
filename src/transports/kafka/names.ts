/** What entities are called in Kafka: as they are, as far as a topic may be (letters, digits, `.`, `_`, `-`; 249 at most). */
import { createHash } from "node:crypto";
import type { Entity } from "../transport.ts";

const LONGEST = 249;

export function topicOf(name: string): string {
  const legal = name.replace(/[^A-Za-z0-9._-]/g, "_");
  if (legal === name && name.length <= LONGEST && name !== "." && name !== "..") return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 12);
  return `${legal.slice(0, LONGEST - 13)}-${digest}`;
}

/** The consumer group that receives an entity for dstream. */
export function groupOf(entity: Entity): string {
  return entity.kind === "queue" ? `dstream-${topicOf(entity.name)}` : `${topicOf(entity.name)}-${entity.subscription}`;
}

export function deadLettersOf(entity: Entity): string {
  return topicOf(`${entity.name}${entity.kind === "queue" ? "" : `.${entity.subscription}`}.dead-letters`);
}
