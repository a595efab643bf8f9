/** The code page that a collation's five bytes on the wire stand for (MS-TDS 2.2.5.1.2), by tedious' tables. */
import { Collation } from "tedious/lib/collation.js";
import { ImpossibleValue } from "../rows/row-sink.ts";

/** 1252, 932, …; 65001 for the _UTF8 collations. Throws ImpossibleValue where the column's collation is none that is known. */
export function codePageOf(collation: Uint8Array, column: string): number {
  const bytes = Buffer.from(collation);
  const { codepage } = Collation.fromBuffer(bytes);
  if (codepage === undefined)
    throw new ImpossibleValue(column, `a known collation instead of 0x${bytes.toString("hex")}`);
  return codepage === "utf-8" ? 65001 : Number(codepage.slice(2));
}
