/** The code page that a collation's five bytes on the wire stand for (MS-TDS 2.2.5.1.2), by tedious' tables. */
import { Collation } from "tedious/lib/collation.js";

/** 1252, 932, …; 65001 for the _UTF8 collations. Throws where the collation is none that is known. */
export function codePageOf(collation: Uint8Array): number {
  const bytes = Buffer.from(collation);
  const { codepage } = Collation.fromBuffer(bytes);
  if (codepage === undefined)
    throw new Error(`The code page of the collation 0x${bytes.toString("hex")} is not known.`);
  return codepage === "utf-8" ? 65001 : Number(codepage.slice(2));
}
