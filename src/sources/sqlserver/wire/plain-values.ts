/** Values of small result sets as JavaScript has them, as tedious' public API gives them: only the types that our own queries ask for. */
import { dateTimeEpoch } from "../rows/times.ts";
import { TYPE, type WireColumn } from "./types.ts";

/** Reads what a value's framing says of it; `bytes` are the value's own. Undefined: a type that is not served. */
export function plainValue(column: WireColumn, bytes: Buffer): unknown {
  switch (column.type) {
    case TYPE.bit:
    case TYPE.bitn:
      return bytes[0] !== 0;
    case TYPE.tinyint:
    case TYPE.smallint:
    case TYPE.int:
    case TYPE.intn:
      if (bytes.length === 1) return bytes[0];
      if (bytes.length === 8) return bytes.readBigInt64LE().toString();
      return bytes.length === 2 ? bytes.readInt16LE() : bytes.readInt32LE();
    case TYPE.datetime:
    case TYPE.datetimen:
      return bytes.length === 8 ? new Date(dateTimeEpoch(bytes.readInt32LE(0), bytes.readUInt32LE(4))) : undefined;
    case TYPE.bigbinary:
    case TYPE.bigvarbinary:
      return Buffer.from(bytes);
    case TYPE.nchar:
    case TYPE.nvarchar:
      return bytes.toString("utf16le");
    default:
      return undefined;
  }
}
