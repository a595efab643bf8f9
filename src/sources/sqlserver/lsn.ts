/** LSNs between the wire (binary(10)) and the program (20 hexadecimal digits). */
import type { Lsn } from "../../change/position.ts";

export function lsnBytes(lsn: Lsn): Buffer {
  return Buffer.from(lsn, "hex");
}

export function lsnOf(bytes: unknown): Lsn {
  return (bytes as Buffer).toString("hex");
}

export function lsnOrNull(bytes: unknown): Lsn | null {
  return bytes === null || bytes === undefined ? null : lsnOf(bytes);
}

/** The LSN just below: what is greater than it is `lsn` or above. Zero stays zero. */
export function lsnBefore(lsn: Lsn): Lsn {
  const value = BigInt(`0x${lsn}`);
  return (value === 0n ? 0n : value - 1n).toString(16).padStart(20, "0");
}
