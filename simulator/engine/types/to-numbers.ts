/** Conversions to bit, the integers, decimal, money and float. */
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";
import { Decimal, type SqlType, type Temporal, type Value } from "../values.ts";
import { trimBlanks } from "./comparison.ts";
import { type Converter, overflow, type Present } from "./conversion-rules.ts";
import { fits, fromFloat, parseDecimal, power, rescale, round, toNumber, truncate } from "./decimals.ts";
import { DAYS_1900, TICKS_PER_DAY } from "./temporal.ts";
import { asDecimal, isApproximate, isBinary, isDecimal, isInteger, isMoney, isNumber, isText } from "./types.ts";

const INTEGER_RANGE: Record<string, readonly [bigint, bigint]> = {
  tinyint: [0n, 255n],
  smallint: [-32768n, 32767n],
  int: [-2147483648n, 2147483647n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
};
const MONEY_LIMIT: Record<string, bigint> = { money: 2n ** 63n, smallmoney: 2n ** 31n };

export function toBit(from: SqlType): Converter {
  if (isText(from)) {
    return (value) => {
      const text = (value as string).trim().toLowerCase();
      if (text === "true") return true;
      if (text === "false" || text === "") return false;
      if (!/^[+-]?\d+$/.test(text))
        throw new SqlError(
          245,
          `Conversion failed when converting the ${from.id} value '${value as string}' to data type bit.`,
          16,
          1,
        );
      return BigInt(text) !== 0n;
    };
  }
  if (isBinary(from))
    return (value) => (value as Buffer).length > 0 && (value as Buffer)[(value as Buffer).length - 1] !== 0;
  return (value) => (value instanceof Decimal ? value.unscaled !== 0n : Number(value) !== 0);
}

export function toInteger(from: SqlType, to: SqlType): Converter {
  const [least, most] = INTEGER_RANGE[to.id]!;
  const make = (value: bigint): Value => (to.id === "bigint" ? value : Number(value));
  const checked = (value: bigint, shown: Present): Value => {
    if (value >= least && value <= most) return make(value);
    if (to.id === "tinyint" || to.id === "smallint") {
      if (isInteger(from))
        throw new SqlError(220, `Arithmetic overflow error for data type ${to.id}, value = ${String(shown)}.`, 16, 2);
      throw overflow(to, from);
    }
    throw isInteger(from) ? overflow(to) : overflow(to, from);
  };
  if (from.id === "bit") return (value) => make(value ? 1n : 0n);
  if (isInteger(from)) {
    if (to.id === "bigint") return (value) => BigInt(value as number | bigint);
    const low = Number(least);
    const high = Number(most);
    return (value) => {
      const number = Number(value);
      return number >= low && number <= high ? number : checked(BigInt(value as number | bigint), value);
    };
  }
  if (isMoney(from)) return (value) => checked(round(value as Decimal), value);
  if (isDecimal(from)) return (value) => checked(truncate(value as Decimal), value);
  if (isApproximate(from)) {
    return (value) => {
      const number = Math.trunc(value as number);
      if (!Number.isFinite(number)) throw overflow(to);
      return checked(BigInt(number), value);
    };
  }
  if (isText(from)) {
    return (value) => {
      const text = (value as string).trim();
      if (text === "") return make(0n);
      if (!/^[+-]?\s*\d+$/.test(text)) {
        if (to.id === "bigint") throw new SqlError(8114, `Error converting data type ${from.id} to bigint.`, 16, 5);
        throw new SqlError(
          245,
          `Conversion failed when converting the ${from.id} value '${trimBlanks(value as string)}' to data type ${to.id}.`,
          16,
          1,
        );
      }
      const number = BigInt(text.replace(/[+\s]/g, ""));
      if (number >= least && number <= most) return make(number);
      if (to.id === "int")
        throw new SqlError(248, `The conversion of the ${from.id} value '${text}' overflowed an int column.`, 16, 1);
      if (to.id === "bigint") throw overflow(to, from);
      throw new SqlError(
        244,
        `The conversion of the ${from.id} value '${text}' overflowed an ${to.id === "tinyint" ? "INT1" : "INT2"} column. Use a larger integer column.`,
        16,
        1,
      );
    };
  }
  if (isBinary(from)) {
    const bytes = to.id === "bigint" ? 8 : to.id === "int" ? 4 : to.id === "smallint" ? 2 : 1;
    return (value) => {
      const tail = Buffer.alloc(bytes);
      const source = (value as Buffer).subarray(Math.max(0, (value as Buffer).length - bytes));
      source.copy(tail, bytes - source.length);
      if (to.id === "bigint") return tail.readBigInt64BE();
      return to.id === "tinyint" ? tail[0]! : tail.readIntBE(0, bytes);
    };
  }
  if (from.id === "datetime" || from.id === "smalldatetime") {
    return (value) => checked(BigInt(Math.round(daysSince1900(value as Temporal))), value);
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

function daysSince1900(value: Temporal): number {
  return value.days - DAYS_1900 + value.ticks / TICKS_PER_DAY;
}

/** Any number as an exact one of the scale. */
function exactOf(from: SqlType, scale: number): ((value: Present) => Decimal) | undefined {
  if (isDecimal(from) || isMoney(from)) return (value) => rescale(value as Decimal, scale);
  if (from.id === "bigint") return (value) => new Decimal((value as bigint) * power(scale), scale);
  if (isInteger(from)) return (value) => new Decimal(BigInt(Number(value)) * power(scale), scale);
  if (isApproximate(from)) return (value) => fromFloat(value as number, scale);
  if (from.id === "datetime" || from.id === "smalldatetime")
    return (value) => fromFloat(daysSince1900(value as Temporal), scale);
  return undefined;
}

export function toDecimal(from: SqlType, to: SqlType): Converter {
  const { precision, scale } = asDecimal(to);
  const finish = (value: Decimal): Decimal => {
    if (!fits(value, precision)) throw overflow(to, from);
    return value;
  };
  const exact = exactOf(from, scale);
  if (exact) return (value) => finish(exact(value));
  if (isText(from)) {
    return (value) => {
      const parsed = parseDecimal(value as string);
      if (!parsed) throw new SqlError(8114, `Error converting data type ${from.id} to numeric.`, 16, 5);
      return finish(rescale(parsed, scale));
    };
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

export function toMoney(from: SqlType, to: SqlType): Converter {
  const limit = MONEY_LIMIT[to.id]!;
  const finish = (value: Decimal): Decimal => {
    if (value.unscaled >= limit || value.unscaled < -limit) throw overflow(to, from);
    return value;
  };
  const exact = exactOf(from, 4);
  if (exact) return (value) => finish(exact(value));
  if (isText(from)) {
    return (value) => {
      const text = (value as string).trim();
      const parsed =
        text === "" ? new Decimal(0n, 0) : parseDecimal(text.replace(/^([+-]?)\s*[$£€¥]\s*/, "$1").replace(/,/g, ""));
      if (!parsed)
        throw new SqlError(235, "Cannot convert a char value to money. The char value has incorrect syntax.", 16, 0);
      return finish(rescale(parsed, 4));
    };
  }
  if (isBinary(from)) {
    const asBigint = toInteger(from, { id: "bigint" });
    return (value) => new Decimal(asBigint(value) as bigint, 4);
  }
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}

export function toFloat(from: SqlType, to: SqlType): Converter {
  const finish = (number: number): number => {
    const result = to.id === "real" ? Math.fround(number) : number;
    if (!Number.isFinite(result)) throw overflow(to);
    return result;
  };
  if (isDecimal(from) || isMoney(from)) return (value) => finish(toNumber(value as Decimal));
  if (isNumber(from)) return (value) => finish(Number(value));
  if (isText(from)) {
    return (value) => {
      const text = (value as string).trim();
      if (text === "") return 0;
      if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d*)?$/i.test(text))
        throw new SqlError(8114, `Error converting data type ${from.id} to ${to.id}.`, 16, 5);
      return finish(Number(text.replace(/e[+-]?$/i, "")));
    };
  }
  if (from.id === "datetime" || from.id === "smalldatetime") return (value) => finish(daysSince1900(value as Temporal));
  throw unsupported(`a conversion from ${from.id} to ${to.id}`);
}
