/** https://learn.microsoft.com/sql/t-sql/functions/mathematical-functions-transact-sql */
import { cast, overflow } from "../expressions/arithmetic.ts";
import type { Compiled } from "../expressions/compiled.ts";
import { SqlError } from "../session.ts";
import { convertValue } from "../types/conversion.ts";
import { fits, power, rescale } from "../types/decimals.ts";
import { isApproximate, isDecimal, isInteger, isMoney, isNumber } from "../types/types.ts";
import { Decimal, type SqlType, type Value } from "../values.ts";
import { type Builtins, builtin, float, int, strict } from "./builtin.ts";

const FLOAT: SqlType = { id: "float" };

/** Numbers keep their type (the small integers become int); text is taken for a float. */
function number(arg: Compiled): Compiled {
  if (arg.type.id === "null") return cast(arg, { id: "int" });
  if (!isNumber(arg.type)) return float(arg);
  if (arg.type.id === "bit") return float(arg);
  if (arg.type.id === "smallint" || arg.type.id === "tinyint") return int(arg);
  if (arg.type.id === "smallmoney") return cast(arg, { id: "money" });
  if (arg.type.id === "real") return float(arg);
  return arg;
}

function ofFloat(apply: (value: number) => number) {
  return builtin(1, 1, ([arg]) =>
    strict([float(arg!)], FLOAT, ([value]) => {
      const result = apply(value as number);
      if (Number.isNaN(result)) throw new SqlError(3623, "An invalid floating point operation occurred.", 16, 1);
      if (!Number.isFinite(result)) throw overflow(FLOAT);
      return result;
    }),
  );
}

export const mathFunctions: Builtins = {
  abs: builtin(1, 1, ([arg]) => {
    const operand = number(arg!);
    return strict([operand], operand.type, ([value]) => {
      if (value instanceof Decimal) return value.unscaled < 0n ? new Decimal(-value.unscaled, value.scale) : value;
      if (typeof value === "bigint") {
        if (value === -(2n ** 63n)) throw overflow(operand.type);
        return value < 0n ? -value : value;
      }
      if (operand.type.id === "int" && value === -2147483648) throw overflow(operand.type);
      return Math.abs(value as number);
    });
  }),
  sign: builtin(1, 1, ([arg]) => {
    const operand = number(arg!);
    return strict([operand], operand.type, ([value]) => {
      if (value instanceof Decimal)
        return new Decimal(
          (value.unscaled > 0n ? 1n : value.unscaled < 0n ? -1n : 0n) * power(value.scale),
          value.scale,
        );
      if (typeof value === "bigint") return value > 0n ? 1n : value < 0n ? -1n : 0n;
      return Math.sign(value as number);
    });
  }),
  ceiling: builtin(1, 1, ([arg]) =>
    whole(arg!, Math.ceil, (value, unit) => value / unit + (value > 0n && value % unit !== 0n ? 1n : 0n)),
  ),
  floor: builtin(1, 1, ([arg]) =>
    whole(arg!, Math.floor, (value, unit) => value / unit - (value < 0n && value % unit !== 0n ? 1n : 0n)),
  ),
  round: builtin(2, 3, ([arg, length, cut]) => {
    const operand = number(arg!);
    const args = cut ? [operand, int(length!), int(cut)] : [operand, int(length!)];
    const { type } = operand;
    return strict(args, type, ([value, places, truncate = 0]) => {
      const digits = places as number;
      const chop = truncate !== 0;
      if (isApproximate(type)) return roundFloat(value as number, digits, chop);
      const exact = value instanceof Decimal ? value : new Decimal(BigInt(value as number | bigint), 0);
      if (digits >= exact.scale) return value!;
      const rounded = roundExact(exact, digits, chop);
      if (isDecimal(type) && !fits(rounded, type.precision!)) throw overflow(type);
      if (value instanceof Decimal) return rounded;
      const { min, max } =
        type.id === "bigint" ? { min: -(2n ** 63n), max: 2n ** 63n - 1n } : { min: -2147483648n, max: 2147483647n };
      if (rounded.unscaled < min || rounded.unscaled > max) throw overflow(type);
      return type.id === "bigint" ? rounded.unscaled : Number(rounded.unscaled);
    });
  }),
  power: builtin(2, 2, ([base, exponent]) => {
    const operand = number(base!);
    const { type } = operand;
    return strict([operand, float(exponent!)], type, ([value, by]) => {
      if (isInteger(type) && Number.isInteger(by) && (by as number) >= 0) {
        const result = BigInt(value as number | bigint) ** BigInt(by as number);
        const limit = type.id === "bigint" ? 2n ** 63n : 2n ** 31n;
        if (result >= limit || result < -limit)
          throw new SqlError(
            232,
            `Arithmetic overflow error for type ${type.id}, value = ${Number(result).toFixed(6)}.`,
            16,
            3,
          );
        return type.id === "bigint" ? result : Number(result);
      }
      const result = (convertValue(value!, type, FLOAT) as number) ** (by as number);
      if (!Number.isFinite(result)) throw new SqlError(3623, "An invalid floating point operation occurred.", 16, 1);
      return convertValue(result, FLOAT, type);
    });
  }),
  sqrt: ofFloat(Math.sqrt),
  square: ofFloat((value) => value * value),
  exp: ofFloat(Math.exp),
  log10: ofFloat(Math.log10),
  log: builtin(1, 2, ([value, base]) =>
    strict(base ? [float(value!), float(base)] : [float(value!)], FLOAT, ([x, b]) => {
      if ((x as number) <= 0) throw new SqlError(3623, "An invalid floating point operation occurred.", 16, 1);
      return b === undefined ? Math.log(x as number) : Math.log(x as number) / Math.log(b as number);
    }),
  ),
  sin: ofFloat(Math.sin),
  cos: ofFloat(Math.cos),
  tan: ofFloat(Math.tan),
  cot: ofFloat((value) => 1 / Math.tan(value)),
  asin: ofFloat(Math.asin),
  acos: ofFloat(Math.acos),
  atan: ofFloat(Math.atan),
  atn2: builtin(2, 2, ([y, x]) =>
    strict([float(y!), float(x!)], FLOAT, ([a, b]) => Math.atan2(a as number, b as number)),
  ),
  degrees: ofFloat((value) => (value * 180) / Math.PI),
  radians: ofFloat((value) => (value * Math.PI) / 180),
  pi: builtin(0, 0, () => strict([], FLOAT, () => Math.PI)),
  rand: builtin(0, 1, ([seed], compiler) => {
    const { engine } = compiler.session;
    // Once for a whole statement: https://learn.microsoft.com/sql/t-sql/functions/rand-transact-sql
    const key = {};
    return {
      type: FLOAT,
      nullable: false,
      constant: true,
      evaluate: (frame) => {
        const { cache } = frame.run;
        if (!cache.has(key)) {
          const given = seed ? int(seed).evaluate(frame) : null;
          cache.set(key, given === null ? engine.random() : seeded(given as number));
        }
        return cache.get(key) as Value;
      },
    };
  }),
};

/** The same number for the same seed. */
function seeded(seed: number): number {
  let mixed = Math.imul((seed >>> 0) ^ 0x9e3779b9, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 4294967296;
}

function whole(
  arg: Compiled,
  ofFloats: (value: number) => number,
  ofUnits: (value: bigint, unit: bigint) => bigint,
): Compiled {
  const operand = number(arg);
  const { type } = operand;
  if (isInteger(type)) return operand;
  if (isApproximate(type)) return strict([operand], type, ([value]) => ofFloats(value as number));
  const result: SqlType = isMoney(type) ? type : { ...type, scale: 0 };
  return strict([operand], result, ([value]) => {
    const { unscaled, scale } = value as Decimal;
    const units = scale === 0 ? unscaled : ofUnits(unscaled, power(scale));
    return isMoney(type) ? new Decimal(units * 10_000n, 4) : new Decimal(units, 0);
  });
}

/** Keeps the scale: 123.4545 rounded to two places is 123.4500. */
function roundExact(value: Decimal, places: number, truncate: boolean): Decimal {
  if (places >= 0) return rescale(rescale(value, places, truncate), value.scale);
  const shifted = new Decimal(value.unscaled, value.scale - places);
  return new Decimal(rescale(shifted, 0, truncate).unscaled * power(-places) * power(value.scale), value.scale);
}

function roundFloat(value: number, places: number, truncate: boolean): number {
  const factor = 10 ** places;
  const scaled = value * factor;
  const rounded = truncate ? Math.trunc(scaled) : Math.sign(scaled) * Math.round(Math.abs(scaled));
  return places > 300 ? value : rounded / factor;
}
