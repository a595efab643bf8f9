/** Bytes as base64, hexadecimal digits and GUIDs, written at `at` of `to`, an array or a view of it; each answers where the next byte goes. */

const BASE64 = new Uint8Array(64);
const DASH = 0x2d;
/** Two hexadecimal digits of a byte, as 16 bits are stored little-endian. */
const LOWER = new Uint16Array(256);
const UPPER = new Uint16Array(256);
for (let i = 0; i < 64; i++) {
  BASE64[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(i);
}
for (let i = 0; i < 256; i++) {
  const digits = i.toString(16).padStart(2, "0");
  LOWER[i] = Buffer.from(digits).readUInt16LE();
  UPPER[i] = Buffer.from(digits.toUpperCase()).readUInt16LE();
}

export function writeBase64(to: Uint8Array, at: number, from: Uint8Array, p: number, end: number): number {
  let o = at;
  let i = p;
  for (; i + 2 < end; i += 3, o += 4) {
    const three = (from[i]! << 16) | (from[i + 1]! << 8) | from[i + 2]!;
    to[o] = BASE64[three >> 18]!;
    to[o + 1] = BASE64[(three >> 12) & 63]!;
    to[o + 2] = BASE64[(three >> 6) & 63]!;
    to[o + 3] = BASE64[three & 63]!;
  }
  if (i === end) return o;
  const two = (from[i]! << 16) | (i + 1 < end ? from[i + 1]! << 8 : 0);
  to[o] = BASE64[two >> 18]!;
  to[o + 1] = BASE64[(two >> 12) & 63]!;
  to[o + 2] = i + 1 < end ? BASE64[(two >> 6) & 63]! : 0x3d;
  to[o + 3] = 0x3d;
  return o + 4;
}

export function writeHex(to: DataView, at: number, from: Uint8Array, p: number, end: number): number {
  let o = at;
  for (let i = p; i < end; i++, o += 2) to.setUint16(o, LOWER[from[i]!]!, true);
  return o;
}

/** `0000003600000b200003` */
export function writeLsn(to: DataView, at: number, from: Uint8Array, p: number): number {
  for (let i = 0; i < 10; i++) to.setUint16(at + i * 2, LOWER[from[p + i]!]!, true);
  return at + 20;
}

/** `00000036:00000b20:0003` */
export function writeLsnParts(to: DataView, at: number, from: Uint8Array, p: number): number {
  writeHex(to, at, from, p, p + 4);
  to.setUint8(at + 8, 0x3a);
  writeHex(to, at + 9, from, p + 4, p + 8);
  to.setUint8(at + 17, 0x3a);
  return writeHex(to, at + 18, from, p + 8, p + 10);
}

/** The first three groups are little-endian on the wire (MS-DTYP 2.3.4). */
export function writeGuid(to: DataView, at: number, from: Uint8Array, p: number): number {
  to.setUint16(at, UPPER[from[p + 3]!]!, true);
  to.setUint16(at + 2, UPPER[from[p + 2]!]!, true);
  to.setUint16(at + 4, UPPER[from[p + 1]!]!, true);
  to.setUint16(at + 6, UPPER[from[p]!]!, true);
  to.setUint8(at + 8, DASH);
  to.setUint16(at + 9, UPPER[from[p + 5]!]!, true);
  to.setUint16(at + 11, UPPER[from[p + 4]!]!, true);
  to.setUint8(at + 13, DASH);
  to.setUint16(at + 14, UPPER[from[p + 7]!]!, true);
  to.setUint16(at + 16, UPPER[from[p + 6]!]!, true);
  to.setUint8(at + 18, DASH);
  to.setUint16(at + 19, UPPER[from[p + 8]!]!, true);
  to.setUint16(at + 21, UPPER[from[p + 9]!]!, true);
  to.setUint8(at + 23, DASH);
  for (let i = 0; i < 6; i++) to.setUint16(at + 24 + i * 2, UPPER[from[p + 10 + i]!]!, true);
  return at + 36;
}
