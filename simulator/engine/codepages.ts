/** Text of char, varchar and text columns as bytes of their collation's code page, and back. */
import iconv from "iconv-lite";
import { bestFits } from "./best-fit.ts";
import type { Collation } from "./collations.ts";

interface SingleBytePage {
  /** Byte to UTF-16 unit. */
  readonly decode: Uint16Array;
  /** UTF-16 unit to byte; 0x3f ("?") where the page lacks it and has nothing like it. */
  readonly encode: Uint8Array;
}

const DOUBLE_BYTE = new Set([932, 936, 949, 950]);
const pages = new Map<number, SingleBytePage>();

function singleByte(codePage: number): SingleBytePage {
  let page = pages.get(codePage);
  if (!page) {
    const decode = new Uint16Array(256);
    const encode = new Uint8Array(65536).fill(0x3f);
    for (let byte = 255; byte >= 0; byte--) {
      const unit = iconv.decode(Buffer.of(byte), `cp${codePage}`).charCodeAt(0);
      // Windows maps the bytes that a page leaves undefined to the C1 control of the same number, or to private use.
      decode[byte] = unit !== 0xfffd ? unit : byte < 0xa0 ? byte : 0xf8c1 + (byte - 0xa0);
      encode[decode[byte]!] = byte;
    }
    for (const [unit, fit] of bestFits(codePage)) encode[unit] = encode[fit]!;
    page = { decode, encode };
    pages.set(codePage, page);
  }
  return page;
}

/** Lone surrogates and characters that the page lacks become "?" (page 1252 has a best fit for many; SQL Server tries that on all). */
export function encodeText(text: string, collation: Collation): Buffer {
  const { codePage } = collation;
  if (codePage === 65001) return Buffer.from(text, "utf8");
  if (codePage === 0) return Buffer.from(text.replace(/[^\0-\x7f]/g, "?"), "latin1");
  if (DOUBLE_BYTE.has(codePage)) return iconv.encode(text, `cp${codePage}`);
  const { encode } = singleByte(codePage);
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes[length++] = unit < 0x80 ? unit : encode[unit]!;
  }
  return bytes;
}

export function decodeText(bytes: Buffer, collation: Collation): string {
  const { codePage } = collation;
  if (codePage === 65001) return bytes.toString("utf8");
  if (codePage === 0) return bytes.toString("latin1");
  if (DOUBLE_BYTE.has(codePage)) return iconv.decode(bytes, `cp${codePage}`);
  const { decode } = singleByte(codePage);
  const units = new Uint16Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) units[i] = decode[bytes[i]!]!;
  return Buffer.from(units.buffer).toString("utf16le");
}
