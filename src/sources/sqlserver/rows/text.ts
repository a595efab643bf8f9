/**
 * Text of the wire as the inside of a JSON string: UTF-8, escaped as JSON.stringify does (a lone surrogate becomes its \ud8xx
 * escape). Written at `at` of `to`; each answers where the next byte goes. The caller has made room: at most six bytes for
 * each UTF-16 unit, or for each byte of a code page.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
const HEX = "0123456789abcdef";
const LETTERS: Readonly<Record<number, string>> = { 8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 34: '"', 92: "\\" };

/** 1 for bytes of ASCII that stand for themselves; 0 for what is escaped, and above ASCII. */
const PLAIN = new Uint8Array(256);
for (let code = 0x20; code < 0x80; code++) PLAIN[code] = code === QUOTE || code === BACKSLASH ? 0 : 1;

/** A code unit below 0x80 that is not plain, or a lone surrogate. */
function writeEscape(to: Uint8Array, at: number, unit: number): number {
  to[at] = BACKSLASH;
  const letter = LETTERS[unit];
  if (letter !== undefined) {
    to[at + 1] = letter.charCodeAt(0);
    return at + 2;
  }
  to[at + 1] = LOWER_U;
  for (let i = 0; i < 4; i++) to[at + 2 + i] = HEX.charCodeAt((unit >> (12 - 4 * i)) & 15);
  return at + 6;
}

/** A unit from 0x80 on that is no surrogate. */
function writeUnit(to: Uint8Array, at: number, unit: number): number {
  if (unit < 0x800) {
    to[at] = 0xc0 | (unit >> 6);
    to[at + 1] = 0x80 | (unit & 63);
    return at + 2;
  }
  to[at] = 0xe0 | (unit >> 12);
  to[at + 1] = 0x80 | ((unit >> 6) & 63);
  to[at + 2] = 0x80 | (unit & 63);
  return at + 3;
}

/** UTF-16, little-endian, from `p` up to `end`; an odd byte at the end is none of it. */
export function writeUtf16(to: Uint8Array, at: number, from: Uint8Array, p: number, end: number): number {
  let o = at;
  for (let i = p; i + 1 < end; i += 2) {
    const low = from[i]!;
    const high = from[i + 1]!;
    if (high === 0 && PLAIN[low] === 1) {
      to[o++] = low;
      continue;
    }
    const unit = low | (high << 8);
    if (unit < 0x80) o = writeEscape(to, o, unit);
    else if (unit < 0xd800 || unit > 0xdfff) o = writeUnit(to, o, unit);
    else {
      const next = i + 3 < end && unit < 0xdc00 ? from[i + 2]! | (from[i + 3]! << 8) : 0;
      if (next >= 0xdc00 && next <= 0xdfff) {
        const point = 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00);
        to[o] = 0xf0 | (point >> 18);
        to[o + 1] = 0x80 | ((point >> 12) & 63);
        to[o + 2] = 0x80 | ((point >> 6) & 63);
        to[o + 3] = 0x80 | (point & 63);
        o += 4;
        i += 2;
      } else o = writeEscape(to, o, unit);
    }
  }
  return o;
}

/** Bytes of a code page that has one unit for each byte, by its table. */
export function writeSingleByte(
  to: Uint8Array,
  at: number,
  from: Uint8Array,
  p: number,
  end: number,
  page: Uint16Array,
): number {
  let o = at;
  for (let i = p; i < end; i++) {
    const byte = from[i]!;
    if (PLAIN[byte] === 1) to[o++] = byte;
    else if (byte < 0x80) o = writeEscape(to, o, byte);
    else {
      const unit = page[byte]!;
      if (unit >= 0x80) o = writeUnit(to, o, unit);
      else if (PLAIN[unit] === 1) to[o++] = unit;
      else o = writeEscape(to, o, unit);
    }
  }
  return o;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** UTF-8, of the _UTF8 collations. What is not UTF-8 becomes U+FFFD, as it does for every reader. */
export function writeUtf8(to: Uint8Array, at: number, from: Uint8Array, p: number, end: number): number {
  let o = at;
  let i = p;
  while (i < end) {
    const byte = from[i]!;
    if (PLAIN[byte] === 1) {
      to[o++] = byte;
      i++;
    } else if (byte < 0x80) {
      o = writeEscape(to, o, byte);
      i++;
    } else {
      const length = sequenceLength(from, i, end);
      if (length === 0) return writeString(to, o, decoder.decode(from.subarray(i, end)));
      for (let k = 0; k < length; k++) to[o++] = from[i++]!;
    }
  }
  return o;
}

/** Bytes of the well-formed sequence at `i` (Unicode 15, table 3-7); 0 where there is none. */
function sequenceLength(from: Uint8Array, i: number, end: number): number {
  const first = from[i]!;
  const length =
    first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length === 0 || i + length > end) return 0;
  const second = from[i + 1]!;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let k = 2; k < length; k++) if ((from[i + k]! & 0xc0) !== 0x80) return 0;
  return length;
}

/** Text that is a JavaScript string already. */
export function writeString(to: Uint8Array, at: number, text: string): number {
  const bytes = Buffer.from(text, "utf16le");
  return writeUtf16(to, at, bytes, 0, bytes.length);
}
