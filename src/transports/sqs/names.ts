/** What entities are called in SQS: letters, digits, `-` and `_`, 80 at most with the `.fifo` at the end of an ordered one. */
import { createHash } from "node:crypto";

const LONGEST = 75;

export function queueOf(name: string): string {
  return `${fitting(name, LONGEST)}.fifo`;
}

/** No ordered one: of those only the first of a group can be looked at. */
export function deadLettersOf(name: string): string {
  return `${fitting(name, LONGEST - 8)}-dead-letters`;
}

/** Dots become hyphens; what is changed otherwise or cut keeps a digest of the whole, which tells names apart. */
function fitting(name: string, longest: number): string {
  const hyphened = name.replaceAll(".", "-");
  const legal = hyphened.replace(/[^A-Za-z0-9_-]/g, "_");
  if (legal === hyphened && legal.length <= longest) return legal;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 10);
  return `${legal.slice(0, longest - 11)}-${digest}`;
}
