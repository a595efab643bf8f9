/** Aggregates: how each is typed, fed and finished. https://learn.microsoft.com/sql/t-sql/functions/aggregate-functions-transact-sql */

import { cast, overflow } from "../expressions/arithmetic.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import { SqlError } from "../session.ts";
import { comparerOf, type HashKey, hashKeyOf } from "../types/comparison.ts";
import { decimalArithmetic, fits, toNumber } from "../types/decimals.ts";
import {
  asDecimal,
  isApproximate,
  isDecimal,
  isInteger,
  isMax,
  isMoney,
  isNumber,
  isText,
  isUnicode,
} from "../types/types.ts";
import { Decimal, type SqlType, type Value } from "../values.ts";

export const aggregateNames = new Set([
  "count",
  "count_big",
  "sum",
  "avg",
  "min",
  "max",
  "string_agg",
  "stdev",
  "stdevp",
  "var",
  "varp",
  "checksum_agg",
  "approx_count_distinct",
]);

export interface Accumulator {
  add(frame: Frame): void;
  result(): Value;
}

export interface Aggregate {
  type: SqlType;
  nullable: boolean;
  start(): Accumulator;
}

export interface AggregateCall {
  name: string;
  star: boolean;
  distinct: boolean;
  args: Compiled[];
  /** STRING_AGG … WITHIN GROUP (ORDER BY …) */
  order: { compiled: Compiled; descending: boolean }[];
}

export function aggregate(call: AggregateCall): Aggregate {
  const made = make(call);
  // The exact number is within the error that the approximate one may have.
  const distinct = call.distinct || call.name === "approx_count_distinct";
  if (!distinct || call.name === "min" || call.name === "max") return made;
  const operand = call.args[0]!;
  const keyOf = hashKeyOf(operand.type, operand.collation?.name);
  return {
    ...made,
    start() {
      const inner = made.start();
      const seen = new Set<HashKey>();
      return {
        add(frame) {
          const value = operand.evaluate(frame);
          if (value === null) return;
          const key = keyOf(value);
          if (seen.has(key)) return;
          seen.add(key);
          inner.add(frame);
        },
        result: () => inner.result(),
      };
    },
  };
}

function make(call: AggregateCall): Aggregate {
  const { name, args } = call;
  if (name === "count" || name === "count_big") return count(call);
  if (name === "approx_count_distinct" && args.length === 1) return count({ ...call, name: "count_big" });
  const operand = args[0];
  if (!operand) throw new SqlError(174, `The ${name} function requires 1 argument(s).`, 15, 1);
  switch (name) {
    case "sum":
    case "avg":
      return sumOrAverage(name, operand);
    case "min":
    case "max":
      return extreme(name, operand);
    case "string_agg":
      return stringAggregate(call);
    case "checksum_agg":
      return fold(
        cast(operand, { id: "int" }),
        { id: "int" },
        (so, value) => ((so as number) ^ (value as number)) | 0,
        0,
      );
    default:
      return deviation(name, cast(operand, { id: "float" }));
  }
}

function count({ name, star, args }: AggregateCall): Aggregate {
  const type: SqlType = { id: name === "count" ? "int" : "bigint" };
  const operand = star ? undefined : args[0];
  return {
    type,
    nullable: false,
    start() {
      let n = 0;
      return {
        add(frame) {
          if (!operand || operand.evaluate(frame) !== null) n++;
        },
        result: () => (type.id === "int" ? n : BigInt(n)),
      };
    },
  };
}

function fold(
  operand: Compiled,
  type: SqlType,
  apply: (so: NonNullable<Value>, value: NonNullable<Value>) => Value,
  zero: NonNullable<Value>,
): Aggregate {
  return {
    type,
    nullable: true,
    start() {
      let so: Value = null;
      return {
        add(frame) {
          const value = operand.evaluate(frame);
          if (value !== null) so = apply(so ?? zero, value);
        },
        result: () => so,
      };
    },
  };
}

function sumOrAverage(name: "sum" | "avg", operand: Compiled): Aggregate {
  const { type } = operand;
  if (!isNumber(type) || type.id === "bit")
    throw new SqlError(8117, `Operand data type ${type.id} is invalid for ${name} operator.`, 16, 1);
  if (isApproximate(type)) {
    const float: SqlType = { id: "float" };
    return averaged(
      name,
      operand,
      float,
      0,
      (a, b) => (a as number) + (b as number),
      (sum, n) => (sum as number) / n,
    );
  }
  if (isInteger(type)) {
    const result: SqlType = { id: type.id === "bigint" ? "bigint" : "int" };
    const [low, high] = result.id === "int" ? [-2147483648n, 2147483647n] : [-(2n ** 63n), 2n ** 63n - 1n];
    const finish = (sum: bigint): Value => {
      if (sum < low || sum > high) throw overflow(result);
      return result.id === "int" ? Number(sum) : sum;
    };
    return averaged(
      name,
      operand,
      result,
      0n,
      (a, b) => (a as bigint) + BigInt(b as number | bigint),
      (sum, n) => finish((sum as bigint) / BigInt(n)),
      (sum) => finish(sum as bigint),
    );
  }
  const { scale } = asDecimal(type);
  const result: SqlType = isMoney(type)
    ? { id: "money" }
    : { id: type.id as "decimal", precision: 38, scale: name === "sum" ? scale : Math.max(scale, 6) };
  const check = (value: Decimal): Decimal => {
    if (isDecimal(result) ? !fits(value, 38) : value.unscaled >= 2n ** 63n || value.unscaled < -(2n ** 63n))
      throw overflow(result);
    return value;
  };
  return averaged(
    name,
    operand,
    result,
    new Decimal(0n, scale),
    (a, b) => new Decimal((a as Decimal).unscaled + (b as Decimal).unscaled, scale),
    (sum, n) => check(decimalArithmetic["/"](sum as Decimal, new Decimal(BigInt(n), 0), result.scale ?? 4)),
    (sum) => check(sum as Decimal),
  );
}

function averaged(
  name: "sum" | "avg",
  operand: Compiled,
  type: SqlType,
  zero: NonNullable<Value>,
  add: (sum: NonNullable<Value>, value: NonNullable<Value>) => NonNullable<Value>,
  divide: (sum: NonNullable<Value>, count: number) => Value,
  finish: (sum: NonNullable<Value>) => Value = (sum) => sum,
): Aggregate {
  return {
    type,
    nullable: true,
    start() {
      let sum = zero;
      let n = 0;
      return {
        add(frame) {
          const value = operand.evaluate(frame);
          if (value === null) return;
          sum = add(sum, value);
          n++;
        },
        result: () => (n === 0 ? null : name === "sum" ? finish(sum) : divide(sum, n)),
      };
    },
  };
}

function extreme(name: "min" | "max", operand: Compiled): Aggregate {
  const { type } = operand;
  if (type.id === "bit") throw new SqlError(8117, `Operand data type bit is invalid for ${name} operator.`, 16, 1);
  const compare = comparerOf(type, operand.collation?.name);
  const sign = name === "min" ? 1 : -1;
  return {
    type,
    nullable: true,
    start() {
      let best: Value = null;
      return {
        add(frame) {
          const value = operand.evaluate(frame);
          if (value !== null && (best === null || compare(value, best) * sign < 0)) best = value;
        },
        result: () => best,
      };
    },
  };
}

function stringAggregate({ args, order }: AggregateCall): Aggregate {
  const [operand, separator] = args;
  if (!operand || !separator) throw new SqlError(174, "The string_agg function requires 2 argument(s).", 15, 1);
  const unicode = isUnicode(operand.type);
  const text = isText(operand.type) ? operand : cast(operand, { id: "nvarchar", length: 4000 });
  const type: SqlType = {
    id: unicode || !isText(operand.type) ? "nvarchar" : "varchar",
    length: isMax(operand.type) ? -1 : unicode || !isText(operand.type) ? 4000 : 8000,
  };
  const comparers = order.map(({ compiled, descending }) => {
    const compare = comparerOf(compiled.type, compiled.collation?.name);
    return (a: Value, b: Value) => {
      const result = a === null ? (b === null ? 0 : -1) : b === null ? 1 : compare(a, b);
      return descending ? -result : result;
    };
  });
  return {
    type,
    nullable: true,
    start() {
      const parts: { text: string; keys: Value[] }[] = [];
      let between = "";
      return {
        add(frame) {
          const value = text.evaluate(frame);
          if (value === null) return;
          between = (separator.evaluate(frame) as string | null) ?? "";
          parts.push({ text: value as string, keys: order.map(({ compiled }) => compiled.evaluate(frame)) });
        },
        result: () => {
          if (parts.length === 0) return null;
          if (order.length > 0)
            parts.sort((a, b) => {
              for (const [i, compare] of comparers.entries()) {
                const result = compare(a.keys[i]!, b.keys[i]!);
                if (result !== 0) return result;
              }
              return 0;
            });
          const joined = parts.map((part) => part.text).join(between);
          if (type.length !== -1 && joined.length > type.length!)
            throw new SqlError(
              9829,
              "STRING_AGG aggregation result exceeded the limit of 8000 bytes. Use LOB types to avoid result truncation.",
              16,
              1,
            );
          return joined;
        },
      };
    },
  };
}

function deviation(name: string, operand: Compiled): Aggregate {
  const population = name.endsWith("p");
  return {
    type: { id: "float" },
    nullable: true,
    start() {
      let n = 0;
      let mean = 0;
      let squares = 0;
      return {
        add(frame) {
          const value = operand.evaluate(frame);
          if (value === null) return;
          const number = value instanceof Decimal ? toNumber(value) : (value as number);
          n++;
          const delta = number - mean;
          mean += delta / n;
          squares += delta * (number - mean);
        },
        result: () => {
          const divisor = population ? n : n - 1;
          if (divisor <= 0) return null;
          const variance = squares / divisor;
          return name.startsWith("var") ? variance : Math.sqrt(variance);
        },
      };
    },
  };
}
