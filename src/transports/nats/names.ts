/**
 * What entities are called in NATS: a stream, and one subject in it, which is the entity's own name as far as a subject may be it
 * (https://docs.nats.io/nats-concepts/subjects#characters-allowed-and-recommended-for-subject-names).
 */
import type { Entity } from "../transport.ts";

export function subjectOf(name: string): string {
  return name
    .split(".")
    .map((token) =>
      token === "" ? "%" : token.replace(/[\s*>%\p{Cc}]/gu, (c) => encodeURIComponent(c).padStart(2, "%")),
    )
    .join(".");
}

/** Stream names have no dots, wildcards, blanks or slashes. */
export function streamOf(name: string): string {
  return subjectOf(name)
    .replace(/[./\\]/g, "_")
    .replaceAll("%", "-");
}

/** What the position of an entity's receivers is kept under. */
export function readerOf(entity: Entity): string {
  return entity.kind === "queue" ? entity.name : `${entity.name}/${entity.subscription}`;
}

export function deadLettersOf(entity: Entity): string {
  return `${entity.kind === "queue" ? entity.name : `${entity.name}.${entity.subscription}`}.dead-letters`;
}
