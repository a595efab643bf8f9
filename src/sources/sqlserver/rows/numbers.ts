/**
 * Numbers of the wire as decimal digits, written at `at` of `to`; each answers where the next byte goes. The caller has made
 * room. Values are little-endian at `p` (MS-TDS 2.2.5.5).
 */

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;

/** "00" to "99". */
const PAIRS = new Uint8Array(200);
for (let i = 0; i < 100; i++) {
  PAIRS[i * 2] = ZERO + Math.floor(i / 10);
  PAIRS[i * 2 + 1] = ZERO + (i % 10);
}

/** Exactly two digits. */
export function writePair(to: Uint8Array, at: number, value: number): number {
  to[at] = PAIRS[value * 2]!;
  to[at + 1] = PAIRS[value * 2 + 1]!;
  return at + 2;
}

/** An integer from 0 up to 2^32 - 1, without leading zeros. */
export function writeUnsigned(to: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    to[at] = ZERO + value;
    return at + 1;
  }
  let length = 2;
  for (let bound = 100; value >= bound; bound *= 10) length++;
  return writePadded(to, at, value, length);
}

/** Exactly `length` digits of an integer from 0 up to 2^32 - 1, with leading zeros. */
export function writePadded(to: Uint8Array, at: number, value: number, length: number): number {
  const end = at + length;
  let rest = value;
  let place = end;
  while (place - at >= 2) {
    const next = Math.floor(rest / 100);
    writePair(to, place - 2, rest - next * 100);
    rest = next;
    place -= 2;
  }
  if (place > at) to[at] = ZERO + (rest % 10);
  return end;
}

/** A signed integer of 32 bits. */
export function writeInt(to: Uint8Array, at: number, value: number): number {
  if (value >= 0) return writeUnsigned(to, at, value);
  to[at] = MINUS;
  return writeUnsigned(to, at + 1, -value);
}

const BILLION = 1_000_000_000;
const TWO_32 = 4_294_967_296;
/** Below it a double holds every integer. */
const EXACT = 2 ** 53;

/** An integer from 0 up to 2^53. */
function writeDouble(to: Uint8Array, at: number, value: number): number {
  if (value < TWO_32) return writeUnsigned(to, at, value);
  const high = Math.floor(value / BILLION);
  return writePadded(to, writeUnsigned(to, at, high), value - high * BILLION, 9);
}

/** The number high × 2^32 + low, both unsigned. */
export function writeUnsigned64(to: Uint8Array, at: number, high: number, low: number): number {
  const value = high * TWO_32 + low;
  if (value < EXACT) return writeDouble(to, at, value);
  LIMBS[0] = low & 0xffff;
  LIMBS[1] = low >>> 16;
  LIMBS[2] = high & 0xffff;
  LIMBS[3] = high >>> 16;
  return writeLimbs(to, at, 4);
}

/** A signed integer of 64 bits, by its signed upper half and its unsigned lower one. */
export function writeInt64(to: Uint8Array, at: number, high: number, low: number): number {
  if (high >= 0) return writeUnsigned64(to, at, high, low);
  to[at] = MINUS;
  // Two's complement.
  const lower = low === 0 ? 0 : TWO_32 - low;
  const upper = (low === 0 ? -high : ~high) >>> 0;
  return writeUnsigned64(to, at + 1, upper, lower);
}

/** A number in limbs of 16 bits, the lowest first: small enough that a limb and a remainder below a billion stay exact. */
const LIMBS = new Float64Array(8);
const CHUNKS = new Float64Array(5);

/** Writes LIMBS, which it uses up. */
function writeLimbs(to: Uint8Array, at: number, count: number): number {
  let top = count - 1;
  while (top > 0 && LIMBS[top] === 0) top--;
  let chunks = 0;
  for (;;) {
    let remainder = 0;
    for (let i = top; i >= 0; i--) {
      const value = remainder * 65536 + LIMBS[i]!;
      const quotient = Math.floor(value / BILLION);
      LIMBS[i] = quotient;
      remainder = value - quotient * BILLION;
    }
    CHUNKS[chunks++] = remainder;
    while (top > 0 && LIMBS[top] === 0) top--;
    if (top === 0 && LIMBS[0] === 0) break;
  }
  let place = writeUnsigned(to, at, CHUNKS[chunks - 1]!);
  for (let i = chunks - 2; i >= 0; i--) place = writePadded(to, place, CHUNKS[i]!, 9);
  return place;
}

/** What a decimal takes at most: a sign, 38 digits, a point and the zero before it. */
export const LONGEST_DECIMAL = 41;

/** DECIMALN and NUMERICN: a byte of sign (1 is positive), then `length - 1` bytes of the unscaled number. */
export function writeDecimal(
  to: Uint8Array,
  at: number,
  from: DataView,
  p: number,
  length: number,
  scale: number,
): number {
  const start = from.getUint8(p) === 0 ? at + 1 : at;
  let end: number;
  if (length <= 5) end = writeUnsigned(to, start, from.getUint32(p + 1, true));
  else if (length <= 9) end = writeUnsigned64(to, start, from.getUint32(p + 5, true), from.getUint32(p + 1, true));
  else {
    const limbs = (length - 1) >> 1;
    for (let i = 0; i < limbs; i++) LIMBS[i] = from.getUint16(p + 1 + i * 2, true);
    end = writeLimbs(to, start, limbs);
  }
  // A zero that the server sent with a sign is a zero.
  if (start > at) {
    if (end === start + 1 && to[start] === ZERO) {
      to[at] = ZERO;
      return withPoint(to, at, at + 1, scale);
    }
    to[at] = MINUS;
  }
  return withPoint(to, start, end, scale);
}

/** MONEY: the upper half first (2.2.5.5.1.2), ten thousandths. SMALLMONEY: 32 bits. */
export function writeMoney(to: Uint8Array, at: number, from: DataView, p: number, length: number): number {
  const high = length === 8 ? from.getInt32(p, true) : from.getInt32(p, true) < 0 ? -1 : 0;
  const low = from.getUint32(length === 8 ? p + 4 : p, true);
  const end = writeInt64(to, at, high, low);
  return withPoint(to, high < 0 ? at + 1 : at, end, 4);
}

/** Puts the point before the last `scale` of the digits between `start` and `end`, with zeros where there are too few. */
function withPoint(to: Uint8Array, start: number, end: number, scale: number): number {
  if (scale === 0) return end;
  let last = end;
  const missing = scale + 1 - (end - start);
  if (missing > 0) {
    for (let i = end - 1; i >= start; i--) to[i + missing] = to[i]!;
    for (let i = 0; i < missing; i++) to[start + i] = ZERO;
    last += missing;
  }
  for (let i = last; i > last - scale; i--) to[i] = to[i - 1]!;
  to[last - scale] = POINT;
  return last + 1;
}

/** What a double takes at most, as in -1.2345678901234567e-308. */
export const LONGEST_DOUBLE = 25;

export function writeAscii(to: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) to[at + i] = text.charCodeAt(i);
  return at + text.length;
}
