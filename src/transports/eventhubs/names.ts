/** What entities are called in Event Hubs: letters, digits, `.`, `_` and `-`, 256 at most (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules). */
import { legalName } from "../entities.ts";
import type { Entity } from "../transport.ts";

const LONGEST = 256;

export function hubOf(name: string): string {
  return legalName(name, LONGEST);
}

export function consumerGroupOf(entity: Entity, given: string | undefined): string {
  return given ?? (entity.kind === "queue" ? "$Default" : entity.subscription);
}

/**
 * Where in the container an entity's blobs are. Hubs and groups are the same in capitals and small letters; the SDK's own processors
 * and what watches them (KEDA) look there for checkpoints, too.
 */
export function folderOf(where: string, hub: string, consumerGroup: string): string {
  return `${where}/${hub}/${consumerGroup}/`.toLowerCase();
}
