/** Values of small result sets as JavaScript has them, as tedious' public API gives them: only the types that our own queries ask for. */
import { checkDateTime } from "../rows/bounds.ts";
import { dateTimeEpoch } from "../rows/times.ts";
import { TYPE, type WireColumn } from "./types.ts";

/** `bytes`: the value's own, as its framing says. Undefined: a type that is not served. May throw ImpossibleValue. */
export function plainValue(column: WireColumn, bytes: Buffer): unknown {
  if (column.framing === "plp" || column.framing === "pointer") return undefined;
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
      if (bytes.length !== 8) return undefined;
      checkDateTime(column.name, bytes.readInt32LE(0), bytes.readUInt32LE(4));
      return new Date(dateTimeEpoch(bytes.readInt32LE(0), bytes.readUInt32LE(4)));
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
