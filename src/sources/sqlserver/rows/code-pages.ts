/**
 * Code pages of char, varchar and text columns. Those of EXACT have one meaning for each byte, which everybody agrees on: the
 * tables of the Encoding Standard, which map undefined bytes to controls as Windows does
 * (https://encoding.spec.whatwg.org/#legacy-single-byte-encodings), and of the two DOS pages. Columns of the others
 * come from the server as UTF-16: it knows its own tables, and readers' tables differ in places. In a sql_variant, which has a
 * code page a value, iconv-lite has to do for them.
 */
import iconv from "iconv-lite";

export const UTF8 = 65001;
const EXACT: ReadonlySet<number> = new Set([437, 850, 1250, 1251, 1252, 1254, 1256, 1258]);

/** The bytes of a column of this code page can be read as they are. */
export function isExact(codePage: number): boolean {
  return codePage === UTF8 || EXACT.has(codePage);
}

const tables = new Map<number, Uint16Array>();

/** What each byte stands for; null: the page has characters of two bytes. */
export function singleByteTable(codePage: number): Uint16Array | null {
  const known = tables.get(codePage);
  if (known) return known;
  if (codePage !== 874 && (codePage < 1250 || codePage > 1258) && codePage !== 437 && codePage !== 850) return null;
  const table = new Uint16Array(256);
  const windows = codePage === 437 || codePage === 850 ? null : new TextDecoder(`windows-${codePage}`);
  for (let byte = 0; byte < 256; byte++) {
    const one = Buffer.of(byte);
    table[byte] = (windows ? windows.decode(one) : iconv.decode(one, `cp${codePage}`)).charCodeAt(0);
  }
  tables.set(codePage, table);
  return table;
}

/** Off the fast path. */
export function decodeWith(codePage: number, bytes: Buffer): string {
  return iconv.decode(bytes, `cp${codePage}`, { stripBOM: false });
}
