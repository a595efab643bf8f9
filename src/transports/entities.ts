/** What entities are called: in errors, and in systems that do not take every name. */
import { createHash } from "node:crypto";
import type { Entity } from "./transport.ts";

/** The subscription that every destination is made with, so that what is sent before a reader comes is kept. */
export const SUBSCRIPTION = "sub1";

/** As in "while sending to <…>". */
export function describe(entity: Entity): string {
  return entity.kind === "queue"
    ? `queue "${entity.name}"`
    : `topic "${entity.name}" (subscription "${entity.subscription}")`;
}

/** The name as it is, or, where it has other characters or is too long, what is left of it and its digest. */
export function legalName(name: string, longest: number): string {
  const legal = name.replace(/[^A-Za-z0-9._-]/g, "_");
  if (legal === name && name.length <= longest && name !== "." && name !== "..") return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 12);
  return `${legal.slice(0, longest - 13)}-${digest}`;
}
