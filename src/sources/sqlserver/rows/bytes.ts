/** Bytes as base64, hexadecimal digits and GUIDs, written at `at` of `to`; each answers where the next byte goes. */

const BASE64 = new Uint8Array(64);
const LOWER = new Uint8Array(512);
const UPPER = new Uint8Array(512);
for (let i = 0; i < 64; i++) {
  BASE64[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(i);
}
for (let i = 0; i < 256; i++) {
  const digits = i.toString(16).padStart(2, "0");
  for (let k = 0; k < 2; k++) {
    LOWER[i * 2 + k] = digits.charCodeAt(k);
    UPPER[i * 2 + k] = digits.toUpperCase().charCodeAt(k);
  }
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

export function writeHex(to: Uint8Array, at: number, from: Uint8Array, p: number, end: number): number {
  let o = at;
  for (let i = p; i < end; i++, o += 2) {
    const digit = from[i]! * 2;
    to[o] = LOWER[digit]!;
    to[o + 1] = LOWER[digit + 1]!;
  }
  return o;
}

/** `00000036:00000b20:0003` */
export function writeLsnParts(to: Uint8Array, at: number, from: Uint8Array, p: number): number {
  writeHex(to, at, from, p, p + 4);
  to[at + 8] = 0x3a;
  writeHex(to, at + 9, from, p + 4, p + 8);
  to[at + 17] = 0x3a;
  return writeHex(to, at + 18, from, p + 8, p + 10);
}

/** The first three groups are little-endian on the wire (MS-DTYP 2.3.4). */
const GUID_ORDER = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15];

export function writeGuid(to: Uint8Array, at: number, from: Uint8Array, p: number): number {
  let o = at;
  for (let i = 0; i < 20; i++) {
    const place = GUID_ORDER[i]!;
    if (place < 0) to[o++] = 0x2d;
    else {
      const digit = from[p + place]! * 2;
      to[o++] = UPPER[digit]!;
      to[o++] = UPPER[digit + 1]!;
    }
  }
  return o;
}
