/** Bits, and bytes that are packed. https://learn.microsoft.com/sql/t-sql/functions/bit-manipulation-functions-overview */
import { gunzipSync, gzipSync } from "node:zlib";
import { encodeText } from "../codepages.ts";
import { collationOf } from "../collations.ts";
import { unsupported } from "../errors.ts";
import type { Compiled } from "../expressions/compiled.ts";
import { SqlError } from "../session.ts";
import { isBinary, isInteger, isText, isUnicode } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";
import { type Builtins, bigint, builtin, int, strict } from "./builtin.ts";

const VARBINARY_MAX: SqlType = { id: "varbinary", length: -1 };
const WIDTHS: Partial<Record<SqlType["id"], number>> = { bit: 1, tinyint: 8, smallint: 16, int: 32, bigint: 64 };

/** A value as bits: how many, and which, lowest first. */
function bitsOf(value: NonNullable<Value>, type: SqlType): { bits: bigint; width: number } {
  if (Buffer.isBuffer(value)) return { bits: BigInt(`0x${value.toString("hex") || "0"}`), width: value.length * 8 };
  const width = WIDTHS[type.id]!;
  return { bits: BigInt.asUintN(width, BigInt(value as number | bigint | boolean)), width };
}

function packed(bits: bigint, width: number, type: SqlType): Value {
  const kept = BigInt.asUintN(width, bits);
  if (isBinary(type)) return Buffer.from(kept.toString(16).padStart(width / 4, "0"), "hex");
  if (type.id === "bit") return kept === 1n;
  const signed = type.id === "tinyint" ? kept : BigInt.asIntN(width, kept);
  return type.id === "bigint" ? signed : Number(signed);
}

function checked(arg: Compiled, name: string): SqlType {
  const { type } = arg;
  if (isInteger(type) || (isBinary(type) && type.length !== -1)) return type;
  throw new SqlError(8116, `Argument data type ${type.id} is invalid for argument 1 of ${name} function.`, 16, 1);
}

function shift(name: string, left: boolean) {
  return builtin(2, 2, ([value, count]) => {
    const type = checked(value!, name);
    return strict([value!, bigint(count!)], type, ([given, by]) => {
      const { bits, width } = bitsOf(given!, type);
      const places = (by as bigint) * (left ? 1n : -1n);
      if (places >= BigInt(width) || -places >= BigInt(width)) return packed(0n, width, type);
      return packed(places >= 0n ? bits << places : bits >> -places, width, type);
    });
  });
}

function place(offset: Value, width: number, name: string): bigint {
  const at = BigInt(offset as number);
  if (at >= 0n && at < BigInt(width)) return at;
  throw new SqlError(4199, `Argument value ${at} is invalid for argument 2 of ${name} function.`, 16, 1);
}

export const bitFunctions: Builtins = {
  left_shift: shift("left_shift", true),
  right_shift: shift("right_shift", false),
  bit_count: builtin(1, 1, ([value]) => {
    const type = checked(value!, "bit_count");
    return strict([value!], { id: "bigint" }, ([given]) =>
      BigInt(bitsOf(given!, type).bits.toString(2).replaceAll("0", "").length),
    );
  }),
  get_bit: builtin(2, 2, ([value, offset]) => {
    const type = checked(value!, "get_bit");
    return strict([value!, int(offset!)], { id: "bit" }, ([given, at]) => {
      const { bits, width } = bitsOf(given!, type);
      return ((bits >> place(at!, width, "get_bit")) & 1n) === 1n;
    });
  }),
  set_bit: builtin(2, 3, ([value, offset, bit]) => {
    const type = checked(value!, "set_bit");
    const args = bit ? [value!, int(offset!), int(bit)] : [value!, int(offset!)];
    return strict(args, type, ([given, at, to = 1]) => {
      const { bits, width } = bitsOf(given!, type);
      const mask = 1n << place(at!, width, "set_bit");
      return packed(to === 0 ? bits & ~mask : bits | mask, width, type);
    });
  }),
  // GZIP: https://learn.microsoft.com/sql/t-sql/functions/compress-transact-sql
  compress: builtin(1, 1, ([value], compiler) => {
    const { type } = value!;
    if (!isText(type) && !isBinary(type))
      throw new SqlError(8116, `Argument data type ${type.id} is invalid for argument 1 of Compress function.`, 16, 1);
    const page = collationOf(type.collation ?? compiler.collation);
    return strict([value!], VARBINARY_MAX, ([given]) => {
      if (Buffer.isBuffer(given)) return gzipSync(given);
      return gzipSync(isUnicode(type) ? Buffer.from(given as string, "utf16le") : encodeText(given as string, page));
    });
  }),
  decompress: builtin(1, 1, ([value]) => {
    if (!isBinary(value!.type))
      throw new SqlError(
        8116,
        `Argument data type ${value!.type.id} is invalid for argument 1 of Decompress function.`,
        16,
        1,
      );
    const made = strict([value!], VARBINARY_MAX, ([given]) => {
      try {
        return gunzipSync(given as Buffer);
      } catch {
        throw unsupported("DECOMPRESS of what is not in GZIP format");
      }
    });
    return { ...made, nullable: true };
  }),
};
