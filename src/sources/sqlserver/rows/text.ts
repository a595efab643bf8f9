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

/** Four bytes of ASCII that all stand for themselves: none below 0x20, no quote, no backslash. */
function allPlain(four: number): boolean {
  const quote = four ^ 0x22222222;
  const backslash = four ^ 0x5c5c5c5c;
  const below = (four - 0x20202020) & ~four;
  const isQuote = (quote - 0x01010101) & ~quote;
  const isBackslash = (backslash - 0x01010101) & ~backslash;
  return ((below | isQuote | isBackslash | four) & 0x80808080) === 0;
}

/** UTF-16, little-endian, from `p` up to `end`; an odd byte at the end is none of it. `tv` and `fv` are views of `to` and `from`. */
export function writeUtf16(
  to: Uint8Array,
  tv: DataView,
  at: number,
  from: Uint8Array,
  fv: DataView,
  p: number,
  end: number,
): number {
  let o = at;
  let i = p;
  while (i + 1 < end) {
    if (i + 8 <= end) {
      const first = fv.getInt32(i, true);
      const second = fv.getInt32(i + 4, true);
      if (((first | second) & 0xff80ff80) === 0) {
        const four = (first & 0x7f) | ((first >> 8) & 0x7f00) | ((second & 0x7f) << 16) | ((second << 8) & 0x7f000000);
        if (allPlain(four)) {
          tv.setInt32(o, four, true);
          o += 4;
          i += 8;
          continue;
        }
      }
    }
    const low = from[i]!;
    const high = from[i + 1]!;
    i += 2;
    if (high === 0 && PLAIN[low] === 1) {
      to[o++] = low;
      continue;
    }
    const unit = low | (high << 8);
    if (unit < 0x80) o = writeEscape(to, o, unit);
    else if (unit < 0xd800 || unit > 0xdfff) o = writeUnit(to, o, unit);
    else {
      const next = i + 1 < end && unit < 0xdc00 ? from[i]! | (from[i + 1]! << 8) : 0;
      if (next >= 0xdc00 && next <= 0xdfff) {
        o = writePair(to, o, unit, next);
        i += 2;
      } else o = writeEscape(to, o, unit);
    }
  }
  return o;
}

/** A high and a low surrogate. */
function writePair(to: Uint8Array, at: number, high: number, low: number): number {
  const point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  to[at] = 0xf0 | (point >> 18);
  to[at + 1] = 0x80 | ((point >> 12) & 63);
  to[at + 2] = 0x80 | ((point >> 6) & 63);
  to[at + 3] = 0x80 | (point & 63);
  return at + 4;
}

/** Bytes of a code page that has one unit for each byte, by its table. */
export function writeSingleByte(
  to: Uint8Array,
  tv: DataView,
  at: number,
  from: Uint8Array,
  fv: DataView,
  p: number,
  end: number,
  page: Uint16Array,
): number {
  let o = at;
  let i = p;
  while (i < end) {
    if (i + 4 <= end) {
      const four = fv.getInt32(i, true);
      if (allPlain(four)) {
        tv.setInt32(o, four, true);
        o += 4;
        i += 4;
        continue;
      }
    }
    const byte = from[i++]!;
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
export function writeUtf8(
  to: Uint8Array,
  tv: DataView,
  at: number,
  from: Uint8Array,
  fv: DataView,
  p: number,
  end: number,
): number {
  let o = at;
  let i = p;
  while (i < end) {
    if (i + 4 <= end) {
      const four = fv.getInt32(i, true);
      if (allPlain(four)) {
        tv.setInt32(o, four, true);
        o += 4;
        i += 4;
        continue;
      }
    }
    const byte = from[i]!;
    if (PLAIN[byte] === 1) {
      to[o++] = byte;
      i++;
    } else if (byte < 0x80) {
      o = writeEscape(to, o, byte);
      i++;
    } else {
      const length = sequenceLength(from, i, end);
      if (length === 0) return writeString(to, tv, o, decoder.decode(from.subarray(i, end)));
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
export function writeString(to: Uint8Array, tv: DataView, at: number, text: string): number {
  const bytes = Buffer.from(text, "utf16le");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return writeUtf16(to, tv, at, bytes, view, 0, bytes.length);
}
