/**
 * Where a change stands in its capture instance: (start LSN, command id, seqval, operation), totally ordered as change
 * tables of current servers are clustered. A reader continues with what is strictly greater than a position.
 */

/** Ten bytes in lower-case hexadecimal, 20 digits: text order is LSN order. */
export type Lsn = string;

export interface Position {
  readonly startLsn: Lsn;
  /** `__$command_id`; NULL, and a change table without the column, count as 0. */
  readonly commandId: number;
  readonly seqval: Lsn;
  /** 1 delete, 2 insert, 3 update before, 4 update after; 0 and 255 only in positions between changes. */
  readonly operation: number;
}

export const ZERO_LSN: Lsn = "00000000000000000000";
export const MAX_LSN: Lsn = "ffffffffffffffffffff";

/** Before every change of the transaction with this commit LSN: all of it is still to be read. */
export function beforeTransaction(lsn: Lsn): Position {
  return { startLsn: lsn, commandId: -1, seqval: ZERO_LSN, operation: 0 };
}

/** (lsn, +infinity): every change up to and including that LSN has been read. */
export function afterTransaction(lsn: Lsn): Position {
  return { startLsn: lsn, commandId: 2147483647, seqval: MAX_LSN, operation: 255 };
}

/** Negative, zero or positive, as for Array.sort. */
export function comparePositions(a: Position, b: Position): number {
  if (a.startLsn !== b.startLsn) return a.startLsn < b.startLsn ? -1 : 1;
  if (a.commandId !== b.commandId) return a.commandId - b.commandId;
  if (a.seqval !== b.seqval) return a.seqval < b.seqval ? -1 : 1;
  return a.operation - b.operation;
}

const LSN = /^(?:0x)?([0-9a-f]{20})$/i;
const LSN_WITH_COLONS = /^([0-9a-f]{8}):([0-9a-f]{8}):([0-9a-f]{4})$/i;

/** Reads `0x…` or bare hexadecimal of 20 digits, or `00000036:00000b20:0003`; null if it is neither. */
export function parseLsn(text: string): Lsn | null {
  const plain = LSN.exec(text);
  if (plain) return plain[1]!.toLowerCase();
  const colons = LSN_WITH_COLONS.exec(text);
  return colons ? (colons[1]! + colons[2]! + colons[3]!).toLowerCase() : null;
}

/** `00000036:00000b20:0003` */
export function formatLsnWithColons(lsn: Lsn): string {
  return `${lsn.slice(0, 8)}:${lsn.slice(8, 16)}:${lsn.slice(16)}`;
}
