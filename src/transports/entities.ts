/** What entities are called in errors. */
import type { Entity } from "./transport.ts";

/** As in "while sending to <…>". */
export function describe(entity: Entity): string {
  return entity.kind === "queue"
    ? `queue "${entity.name}"`
    : `topic "${entity.name}" (subscription "${entity.subscription}")`;
}
