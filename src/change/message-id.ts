/**
 * Message ids: a pure function of where a change came from and of its position, so that a repeat is recognisable.
 * Row: `<origin>-<position>`, 75 characters. Batch: `<id of its first row>-<hash of its last row's id and the count>`, 92.
 */
import { createHash } from "node:crypto";
import type { Position } from "./position.ts";

/** 24 hexadecimal digits that stand for (server, database, recovery fork, capture instance). */
export type Origin = string;

export interface OriginParts {
  server: string;
  database: string;
  /** Null where it cannot be read. */
  recoveryFork: string | null;
  captureInstance: string;
}

const ORIGIN_LENGTH = 24;
/** Origin, a dash, and a position in hexadecimal. */
export const ROW_ID_LENGTH = ORIGIN_LENGTH + 1 + 50;

export function originOf({ server, database, recoveryFork, captureInstance }: OriginParts): Origin {
  const parts = [server.toLowerCase(), database, recoveryFork?.toLowerCase() ?? null, captureInstance];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, ORIGIN_LENGTH);
}

/** start LSN, command id, seqval, operation: 50 hexadecimal digits; text order is position order. */
export function positionHex({ startLsn, commandId, seqval, operation }: Position): string {
  const command = (commandId >>> 0).toString(16).padStart(8, "0");
  return startLsn + command + seqval + operation.toString(16).padStart(2, "0");
}

export function rowId(origin: Origin, position: Position): string {
  return `${origin}-${positionHex(position)}`;
}

export function originOfId(id: string): Origin {
  return id.slice(0, ORIGIN_LENGTH);
}

export function batchId(firstId: string, lastId: string, count: number): string {
  const content = createHash("sha256").update(`${lastId}:${count}`).digest("hex").slice(0, 16);
  return `${firstId}-${content}`;
}
