/**
 * Numbers of the wire as decimal digits, written at `at` of `to`; each answers where the next byte goes. The caller has made
 * room. Values are little-endian at `p` (MS-TDS 2.2.5.5).
 */

import { doubleText } from "../../../change/values.ts";

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;
const BILLION = 1_000_000_000;
const TWO_32 = 4_294_967_296;
/** Below it a double holds every integer. */
const EXACT = 2 ** 53;

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

/** Exactly `length` digits, at most 9, of an integer below 10^length, with leading zeros. */
export function writePadded(to: Uint8Array, at: number, value: number, length: number): number {
  const end = at + length;
  let rest = value | 0;
  let place = end;
  while (place - at >= 2) {
    const next = (rest / 100) | 0;
    const pair = (rest - next * 100) * 2;
    to[place - 2] = PAIRS[pair]!;
    to[place - 1] = PAIRS[pair + 1]!;
    rest = next;
    place -= 2;
  }
  if (place > at) to[at] = ZERO + rest;
  return end;
}

/** An integer from 0 up to 999,999,999, without leading zeros. */
function writeSmall(to: Uint8Array, at: number, value: number): number {
  if (value < 10_000) {
    if (value < 10) {
      to[at] = ZERO + value;
      return at + 1;
    }
    return writePadded(to, at, value, value < 100 ? 2 : value < 1_000 ? 3 : 4);
  }
  const length = value < 1_000_000 ? (value < 100_000 ? 5 : 6) : value < 100_000_000 ? (value < 10_000_000 ? 7 : 8) : 9;
  return writePadded(to, at, value, length);
}

/** An integer from 0 up to 2^32 - 1, without leading zeros. */
export function writeUnsigned(to: Uint8Array, at: number, value: number): number {
  if (value < BILLION) return writeSmall(to, at, value);
  const billions = Math.floor(value / BILLION);
  return writePadded(to, writeSmall(to, at, billions), value - billions * BILLION, 9);
}

/** A signed integer of 32 bits. */
export function writeInt(to: Uint8Array, at: number, value: number): number {
  if (value >= 0) return writeUnsigned(to, at, value);
  to[at] = MINUS;
  return writeUnsigned(to, at + 1, -value);
}

/** An integer from 0 up to 2^53. */
function writeExact(to: Uint8Array, at: number, value: number): number {
  if (value < BILLION) return writeSmall(to, at, value);
  const high = Math.floor(value / BILLION);
  return writePadded(to, writeUnsigned(to, at, high), value - high * BILLION, 9);
}

/** The number high × 2^32 + low, both unsigned. */
function writeUnsigned64(to: Uint8Array, at: number, high: number, low: number): number {
  const value = high * TWO_32 + low;
  if (value < EXACT) return writeExact(to, at, value);
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
  const negative = from.getUint8(p) === 0;
  if (length <= 9) {
    const low = from.getUint32(p + 1, true);
    const value = length === 5 ? low : from.getUint32(p + 5, true) * TWO_32 + low;
    if (value < EXACT && scale <= 9) return writeScaled(to, at, negative, value, scale);
  }
  const limbs = (length - 1) >> 1;
  let zero = true;
  for (let i = 0; i < limbs; i++) {
    LIMBS[i] = from.getUint16(p + 1 + i * 2, true);
    if (LIMBS[i] !== 0) zero = false;
  }
  let start = at;
  if (negative && !zero) to[start++] = MINUS;
  return withPoint(to, start, writeLimbs(to, start, limbs), scale);
}

/** MONEY: the upper half first (2.2.5.5.1.2), ten thousandths. SMALLMONEY: 32 bits. */
export function writeMoney(to: Uint8Array, at: number, from: DataView, p: number, length: number): number {
  if (length === 4) {
    const value = from.getInt32(p, true);
    return writeScaled(to, at, value < 0, Math.abs(value), 4);
  }
  const high = from.getInt32(p, true);
  const low = from.getUint32(p + 4, true);
  const value = high * TWO_32 + low;
  if (value > -EXACT && value < EXACT) return writeScaled(to, at, value < 0, Math.abs(value), 4);
  const end = writeInt64(to, at, high, low);
  return withPoint(to, high < 0 ? at + 1 : at, end, 4);
}

/** 10^0 to 10^9. */
export const POWERS_OF_TEN = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, BILLION];

/** An integer below 2^53 with the point before its last `scale` digits, at most 9. A zero has no sign. */
function writeScaled(to: Uint8Array, at: number, negative: boolean, value: number, scale: number): number {
  let start = at;
  if (negative && value !== 0) to[start++] = MINUS;
  if (scale === 0) return writeExact(to, start, value);
  const power = POWERS_OF_TEN[scale]!;
  const whole = Math.floor(value / power);
  const end = writeExact(to, start, whole);
  to[end] = POINT;
  return writePadded(to, end + 1, value - whole * power, scale);
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

/**
 * The shortest digits that read back as the same double. Most doubles in tables are short decimals: where the value is the
 * double nearest to an integer of up to ten digits over 10,000, that decimal is the shortest, since no two decimals of up to
 * 15 digits have the same double.
 */
export function writeFloat(to: Uint8Array, at: number, value: number): number {
  const scaled = Math.round(value * 10_000);
  if (scaled < 1e10 && scaled > -1e10 && scaled / 10_000 === value && scaled !== 0) {
    let end = writeScaled(to, at, value < 0, Math.abs(scaled), 4);
    while (to[end - 1] === ZERO) end--;
    return to[end - 1] === POINT ? end - 1 : end;
  }
  return writeAscii(to, at, doubleText(value));
}

export function writeAscii(to: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) to[at + i] = text.charCodeAt(i);
  return at + text.length;
}
