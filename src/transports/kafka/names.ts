/** What entities are called in Kafka: as they are, as far as a topic may be (letters, digits, `.`, `_`, `-`; 249 at most). */
import { legalName } from "../entities.ts";
import type { Entity } from "../transport.ts";

const LONGEST = 249;

export function topicOf(name: string): string {
  return legalName(name, LONGEST);
}

/** The consumer group that receives an entity for dstream. */
export function groupOf(entity: Entity): string {
  return entity.kind === "queue" ? `dstream-${topicOf(entity.name)}` : `${topicOf(entity.name)}-${entity.subscription}`;
}

export function deadLettersOf(entity: Entity): string {
  return topicOf(`${entity.name}${entity.kind === "queue" ? "" : `.${entity.subscription}`}.dead-letters`);
}
