/** What generated row code calls. */
import { singleText } from "../../../change/values.ts";
import {
  beyondDay,
  checkDateTime,
  checkDays,
  checkLocal,
  checkMinutes,
  checkOffset,
  finite,
  impossible,
} from "./bounds.ts";
import { writeBase64, writeGuid, writeHex, writeLsn, writeLsnParts } from "./bytes.ts";
import { writeAscii, writeDecimal, writeFloat, writeInt, writeInt64, writeMoney } from "./numbers.ts";
import { writeSingleByte, writeString, writeUtf8, writeUtf16 } from "./text.ts";
import {
  readDays,
  writeDate,
  writeDateTime,
  writeDateTime2,
  writeDateTimeOffset,
  writeSmallDateTime,
  writeTime,
} from "./times.ts";
import { writeVariant } from "./variant.ts";

/** Bit (ordinal - 1), counted from the lowest bit of the last byte. */
function isMarked(s: Uint8Array, maskAt: number, maskLength: number, ordinal: number): boolean {
  const byte = (ordinal - 1) >> 3;
  return byte < maskLength && (s[maskAt + maskLength - 1 - byte]! & (1 << ((ordinal - 1) & 7))) !== 0;
}

export const runtime = {
  impossible,
  beyondDay,
  finite,
  checkDays,
  checkLocal,
  checkOffset,
  checkDateTime,
  checkMinutes,
  isMarked,
  singleText,
  readDays,
  writeAscii,
  writeBase64,
  writeDate,
  writeDateTime,
  writeDateTime2,
  writeDateTimeOffset,
  writeDecimal,
  writeFloat,
  writeGuid,
  writeHex,
  writeInt,
  writeInt64,
  writeLsn,
  writeLsnParts,
  writeMoney,
  writeSingleByte,
  writeSmallDateTime,
  writeString,
  writeTime,
  writeUtf16,
  writeUtf8,
  writeVariant,
};
