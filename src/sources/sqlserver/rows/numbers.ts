/**
 * Numbers of the wire as decimal digits, written at `at` of `to`; each answers where the next byte goes. The caller has made
 * room. Values are little-endian at `p` (MS-TDS 2.2.5.5).
 *
 * What is larger than 31 bits is read where it is written, and passed on in parts that are not: such a number, passed from
 * function to function, is an object on the heap each time.
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

/** high × 10^9 + low: an integer from 0 up to 2^53 in two parts. */
function writeParts(to: Uint8Array, at: number, high: number, low: number): number {
  if (high === 0) return writeSmall(to, at, low);
  return writePadded(to, writeSmall(to, at, high), low, 9);
}

/** The integer of 64 bits at `p`, signed. */
export function writeInt64(to: Uint8Array, at: number, from: DataView, p: number): number {
  return writeHalves(to, at, from.getInt32(p + 4, true), from.getInt32(p, true));
}

/** A signed integer of 64 bits by its halves, of which the lower is to be read as unsigned. */
function writeHalves(to: Uint8Array, at: number, high: number, low: number): number {
  let start = at;
  let upper = high;
  let lower = low;
  if (high < 0) {
    to[start++] = MINUS;
    // Two's complement.
    lower = -low | 0;
    upper = low === 0 ? -high | 0 : ~high;
  }
  const value = (upper >>> 0) * TWO_32 + (lower >>> 0);
  if (value < EXACT) {
    const billions = Math.floor(value / BILLION);
    return writeParts(to, start, billions, value - billions * BILLION);
  }
  LIMBS[0] = lower & 0xffff;
  LIMBS[1] = lower >>> 16;
  LIMBS[2] = upper & 0xffff;
  LIMBS[3] = upper >>> 16;
  return writeLimbs(to, start, 4);
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
    if (value < EXACT && scale <= 9) {
      const power = POWERS_OF_TEN[scale]!;
      const whole = Math.floor(value / power);
      const billions = Math.floor(whole / BILLION);
      const start = signed(to, at, negative && value !== 0);
      return writeWithFraction(to, start, billions, whole - billions * BILLION, value - whole * power, scale);
    }
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
    const size = Math.abs(value);
    const whole = Math.floor(size / 10_000);
    return writeWithFraction(to, signed(to, at, value < 0), 0, whole, size - whole * 10_000, 4);
  }
  const high = from.getInt32(p, true);
  const value = high * TWO_32 + from.getUint32(p + 4, true);
  if (value > -EXACT && value < EXACT) {
    const size = Math.abs(value);
    const whole = Math.floor(size / 10_000);
    const billions = Math.floor(whole / BILLION);
    const start = signed(to, at, value < 0);
    return writeWithFraction(to, start, billions, whole - billions * BILLION, size - whole * 10_000, 4);
  }
  const end = writeHalves(to, at, high, from.getInt32(p + 4, true));
  return withPoint(to, high < 0 ? at + 1 : at, end, 4);
}

/** 10^0 to 10^9. */
export const POWERS_OF_TEN = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, BILLION];

function signed(to: Uint8Array, at: number, negative: boolean): number {
  if (!negative) return at;
  to[at] = MINUS;
  return at + 1;
}

/** The integer in two parts, and behind the point the fraction of `scale` digits, at most 9. */
function writeWithFraction(
  to: Uint8Array,
  at: number,
  high: number,
  low: number,
  fraction: number,
  scale: number,
): number {
  const end = writeParts(to, at, high, low);
  if (scale === 0) return end;
  to[end] = POINT;
  return writePadded(to, end + 1, fraction, scale);
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
 * 15 digits have the same double. -1: it is infinite, or no number.
 */
export function writeFloat(to: Uint8Array, at: number, from: DataView, p: number): number {
  const value = from.getFloat64(p, true);
  const scaled = Math.round(value * 10_000);
  if (scaled < 1e10 && scaled > -1e10 && scaled / 10_000 === value && scaled !== 0) {
    const size = Math.abs(scaled);
    const whole = Math.floor(size / 10_000);
    let end = writeWithFraction(to, signed(to, at, value < 0), 0, whole, size - whole * 10_000, 4);
    while (to[end - 1] === ZERO) end--;
    return to[end - 1] === POINT ? end - 1 : end;
  }
  return Number.isFinite(value) ? writeAscii(to, at, doubleText(value)) : -1;
}

export function writeAscii(to: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) to[at + i] = text.charCodeAt(i);
  return at + text.length;
}
