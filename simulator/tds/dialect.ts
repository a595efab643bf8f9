/** What of TDS 7.1 to 8.0 a connection speaks: the later versions changed layouts, not only added tokens. */
import { ProtocolError } from "./bytes.ts";

export interface Dialect {
  /** As LOGIN7 and LOGINACK have it, the first byte highest: 0x74000004. */
  readonly version: number;
  /** From 7.2: 64-bit counts, 32-bit lines and user types, ALL_HEADERS, PLP types and xml, transaction descriptors. */
  readonly atLeast72: boolean;
  /** From 7.3: date, time, datetime2, datetimeoffset. */
  readonly temporalTypes: boolean;
  /** From 7.3.B: rows with a bitmap of NULLs. */
  readonly nullBitmaps: boolean;
  /** The client asked for UTF8_SUPPORT: char columns of UTF-8 collations travel as they are. */
  readonly utf8: boolean;
}

/** The newest version that both sides know; LOGIN7 in MS-TDS 2.2.6.4 and its appendix list the numbers. */
export function dialectFor(requested: number, strict: boolean, utf8 = false): Dialect {
  if (strict && requested >>> 24 === 0x08) return dialect(0x08000000, 3, utf8);
  if (requested >= 0x74000000) return dialect(0x74000004, 3, utf8);
  if (requested >= 0x730b0000) return dialect(0x730b0003, 3);
  if (requested >= 0x73000000) return dialect(0x730a0003, 2);
  if (requested >= 0x72000000) return dialect(0x72090002, 1);
  // 7.1 Revision 1 and 7.1, which answers in the order of bytes that 7.0 had.
  if (requested > 0x71000000) return dialect(0x71000001, 0);
  if (requested === 0x71000000) return dialect(0x07010000, 0);
  throw new ProtocolError(
    `the client asks for TDS version 0x${requested.toString(16)}; 7.1 (0x71000000) is the oldest served`,
  );
}

function dialect(version: number, level: number, utf8 = false): Dialect {
  return {
    version,
    atLeast72: level >= 1,
    temporalTypes: level >= 2,
    nullBitmaps: level >= 3,
    utf8,
  };
}
