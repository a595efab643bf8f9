/** The code page that a collation's five bytes on the wire stand for (MS-TDS 2.2.5.1.2), by tedious' tables. */
import { Collation } from "tedious/lib/collation.js";
import { ImpossibleValue } from "../rows/row-sink.ts";

/**
 * Sort ids that tedious does not know, all of code page 1252: SQL_EBCDIC037_CP1_CS_AS to SQL_EBCDIC297_CP1_CS_AS
 * (https://learn.microsoft.com/sql/t-sql/statements/sql-server-collation-name-transact-sql).
 */
const EBCDIC = { first: 210, last: 217 };

/** 1252, 932, …; 65001 for the _UTF8 collations. Throws ImpossibleValue where the column's collation is none that is known. */
export function codePageOf(collation: Uint8Array, column: string): number {
  const bytes = Buffer.from(collation);
  const { codepage, sortId } = Collation.fromBuffer(bytes);
  if (codepage !== undefined) return codepage === "utf-8" ? 65001 : Number(codepage.slice(2));
  if (sortId >= EBCDIC.first && sortId <= EBCDIC.last) return 1252;
  throw new ImpossibleValue(column, `a known collation instead of 0x${bytes.toString("hex")}`);
}
