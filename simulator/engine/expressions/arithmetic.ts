/**
 * + - * / % & | ^ and the signs, on every pair of types.
 * https://learn.microsoft.com/sql/t-sql/data-types/precision-scale-and-length-transact-sql
 */
import { SqlError } from "../session.ts";
import { converter, convertValue } from "../types/conversion.ts";
import { decimalArithmetic, fits } from "../types/decimals.ts";
import { DAYS_1900, fitTemporal, normalise } from "../types/temporal.ts";
import {
  asDecimal,
  isApproximate,
  isBinary,
  isDecimal,
  isInteger,
  isMax,
  isMoney,
  isNumber,
  isTemporal,
  isText,
  isUnicode,
  rank,
} from "../types/types.ts";
import { Decimal, type SqlType, type Temporal, type Value } from "../values.ts";
import { mixCollations } from "./collation-rules.ts";
import type { Compiled, Frame } from "./compiled.ts";

export type Operator = "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^";

const OPERATOR_NAMES: Record<Operator, string> = {
  "+": "add",
  "-": "subtract",
  "*": "multiply",
  "/": "divide",
  "%": "modulo",
  "&": "'&'",
  "|": "'|'",
  "^": "'^'",
};

function divideByZero(): SqlError {
  return new SqlError(8134, "Divide by zero error encountered.", 16, 1);
}

export function overflow(type: SqlType): SqlError {
  const name = type.id === "decimal" ? "numeric" : type.id;
  return new SqlError(8115, `Arithmetic overflow error converting expression to data type ${name}.`, 16, 2);
}

function invalid(type: SqlType, op: Operator): SqlError {
  return new SqlError(8117, `Operand data type ${type.id} is invalid for ${OPERATOR_NAMES[op]} operator.`, 16, 1);
}

/**
 * NULL in, NULL out. What is computed from columns counts as nullable even where they are not, "because possible underflows or
 * overflows will produce null results as well":
 * https://learn.microsoft.com/sql/t-sql/statements/alter-table-computed-column-definition-transact-sql
 */
function strict(
  left: Compiled,
  right: Compiled,
  type: SqlType,
  apply: (a: NonNullable<Value>, b: NonNullable<Value>) => Value,
): Compiled {
  const constant = left.constant === true && right.constant === true;
  return {
    type,
    nullable: left.nullable || right.nullable || (!constant && !isText(type) && type.id !== "varbinary"),
    constant,
    evaluate: (frame: Frame) => {
      const a = left.evaluate(frame);
      if (a === null) return null;
      const b = right.evaluate(frame);
      return b === null ? null : apply(a, b);
    },
  };
}

/** The operand as another type. */
export function cast(operand: Compiled, type: SqlType, dateFormat?: string): Compiled {
  const convert = converter(operand.type, type, { implicit: true, ...(dateFormat ? { dateFormat } : {}) });
  if (!convert) return operand.type.id === "null" ? { ...operand, type } : operand;
  return {
    type,
    nullable: operand.nullable,
    constant: operand.constant === true,
    ...(operand.collation ? { collation: operand.collation } : {}),
    evaluate: (frame) => {
      const value = operand.evaluate(frame);
      return value === null ? null : convert(value);
    },
  };
}

export function binary(op: Operator, left: Compiled, right: Compiled): Compiled {
  if (op === "&" || op === "|" || op === "^") return bitwise(op, left, right);
  const a = left.type;
  const b = right.type;
  if (a.id === "null" && b.id === "null") return strict(left, right, { id: "int" }, () => null);
  if (op === "+" && (isText(a) || a.id === "null") && (isText(b) || b.id === "null")) return concatenate(left, right);
  if (op === "+" && (isBinary(a) || a.id === "null") && (isBinary(b) || b.id === "null"))
    return concatenateBinary(left, right);
  if (isTemporal(a) || isTemporal(b)) return temporalArithmetic(op, left, right);
  const winner = a.id === "null" ? b : b.id === "null" ? a : rank(a) <= rank(b) ? a : b;
  if (!isNumber(winner)) throw invalid(isNumber(a) ? b : a, op);
  if (winner.id === "bit" && a.id === b.id) throw invalid(winner, op);
  if (op === "%" && isApproximate(winner)) throw invalid(winner, op);
  if (isApproximate(winner)) return floatArithmetic(op, left, right, winner);
  if (isDecimal(winner)) return exactArithmetic(op, left, right);
  if (isMoney(winner)) return moneyArithmetic(op, left, right, winner);
  return integerArithmetic(op, left, right, winner);
}

function integerArithmetic(op: Operator, left: Compiled, right: Compiled, type: SqlType): Compiled {
  const a = cast(left, type);
  const b = cast(right, type);
  if (type.id === "bigint") {
    const limit = 2n ** 63n;
    const check = (value: bigint): bigint => {
      if (value >= limit || value < -limit) throw overflow(type);
      return value;
    };
    return strict(a, b, type, (x, y) => {
      const m = x as bigint;
      const n = y as bigint;
      if (op === "+") return check(m + n);
      if (op === "-") return check(m - n);
      if (op === "*") return check(m * n);
      if (n === 0n) throw divideByZero();
      return op === "/" ? check(m / n) : m % n;
    });
  }
  const [low, high] =
    type.id === "tinyint" ? [0, 255] : type.id === "smallint" ? [-32768, 32767] : [-2147483648, 2147483647];
  const check = (value: number): number => {
    if (value > high || value < low) throw overflow(type);
    return value;
  };
  switch (op) {
    case "+":
      return strict(a, b, type, (x, y) => check((x as number) + (y as number)));
    case "-":
      return strict(a, b, type, (x, y) => check((x as number) - (y as number)));
    case "*":
      return strict(a, b, type, (x, y) => check((x as number) * (y as number)));
    default:
      return strict(a, b, type, (x, y) => {
        if (y === 0) throw divideByZero();
        const result = op === "/" ? Math.trunc((x as number) / (y as number)) : (x as number) % (y as number);
        return check(result === 0 ? 0 : result);
      });
  }
}

function floatArithmetic(op: Operator, left: Compiled, right: Compiled, type: SqlType): Compiled {
  const a = cast(left, type);
  const b = cast(right, type);
  const finish = (value: number): number => {
    const result = type.id === "real" ? Math.fround(value) : value;
    if (!Number.isFinite(result)) throw overflow(type);
    return result;
  };
  return strict(a, b, type, (x, y) => {
    const m = x as number;
    const n = y as number;
    if (op === "+") return finish(m + n);
    if (op === "-") return finish(m - n);
    if (op === "*") return finish(m * n);
    if (n === 0) throw divideByZero();
    return finish(m / n);
  });
}

/** Of a constant integer, the digits that it has count, not those that its type could have. */
function decimalShape(operand: Compiled): { precision: number; scale: number } {
  if (operand.literalDigits !== undefined) return { precision: operand.literalDigits, scale: 0 };
  return asDecimal(operand.type);
}

/** The result's precision and scale, brought down to 38 digits. */
export function decimalResult(
  op: "+" | "-" | "*" | "/" | "%",
  a: { precision: number; scale: number },
  b: { precision: number; scale: number },
): { precision: number; scale: number } {
  const [p1, s1, p2, s2] = [a.precision, a.scale, b.precision, b.scale];
  if (op === "%") return { precision: Math.min(p1 - s1, p2 - s2) + Math.max(s1, s2), scale: Math.max(s1, s2) };
  if (op === "+" || op === "-") {
    const integral = Math.max(p1 - s1, p2 - s2);
    const scale = Math.max(s1, s2);
    const precision = integral + scale + 1;
    return precision <= 38 ? { precision, scale } : { precision: 38, scale: Math.min(scale, 38 - integral) };
  }
  const scale = op === "*" ? s1 + s2 : Math.max(6, s1 + p2 + 1);
  const precision = op === "*" ? p1 + p2 + 1 : p1 - s1 + s2 + scale;
  if (precision <= 38) return { precision, scale };
  const integral = precision - scale;
  return { precision: 38, scale: integral < 32 ? Math.min(scale, 38 - integral) : Math.min(scale, 6) };
}

function exactArithmetic(op: Operator, left: Compiled, right: Compiled): Compiled {
  const sign = op as "+" | "-" | "*" | "/" | "%";
  const shapeA = left.type.id === "null" || isText(left.type) ? asDecimal(right.type) : decimalShape(left);
  const shapeB = right.type.id === "null" || isText(right.type) ? asDecimal(left.type) : decimalShape(right);
  const result = decimalResult(sign, shapeA, shapeB);
  const type: SqlType = {
    id: left.type.id === "decimal" || right.type.id === "decimal" ? "decimal" : "numeric",
    ...result,
  };
  const a = cast(left, { id: "decimal", ...shapeA });
  const b = cast(right, { id: "decimal", ...shapeB });
  const compute = decimalArithmetic[sign];
  return strict(a, b, type, (x, y) => {
    if ((sign === "/" || sign === "%") && (y as Decimal).unscaled === 0n) throw divideByZero();
    const value = compute(x as Decimal, y as Decimal, result.scale);
    if (!fits(value, result.precision)) throw overflow(type);
    return value;
  });
}

function moneyArithmetic(op: Operator, left: Compiled, right: Compiled, type: SqlType): Compiled {
  const sign = op as "+" | "-" | "*" | "/" | "%";
  const a = cast(left, type);
  const b = cast(right, type);
  const limit = type.id === "money" ? 2n ** 63n : 2n ** 31n;
  const compute = decimalArithmetic[sign];
  return strict(a, b, type, (x, y) => {
    if ((sign === "/" || sign === "%") && (y as Decimal).unscaled === 0n) throw divideByZero();
    const value = compute(x as Decimal, y as Decimal, 4);
    if (value.unscaled >= limit || value.unscaled < -limit) throw overflow(type);
    return value;
  });
}

/** datetime and smalldatetime count days as numbers; the newer types take no arithmetic. */
function temporalArithmetic(op: Operator, left: Compiled, right: Compiled): Compiled {
  const old = (type: SqlType) => type.id === "datetime" || type.id === "smalldatetime";
  if (op !== "+" && op !== "-") throw invalid(isTemporal(left.type) ? left.type : right.type, op);
  for (const [side, other] of [
    [left, right],
    [right, left],
  ] as const)
    if (isTemporal(side.type) && !old(side.type)) {
      if (isTemporal(other.type) || isText(other.type)) throw invalid(side.type, op);
      throw new SqlError(206, `Operand type clash: ${side.type.id} is incompatible with ${other.type.id}`, 16, 2);
    }
  const type: SqlType = left.type.id === "smalldatetime" && !isTemporal(right.type) ? left.type : { id: "datetime" };
  const a = cast(left, { id: "datetime" });
  const b = cast(right, { id: "datetime" });
  return strict(a, b, type, (x, y) => {
    const m = x as Temporal;
    const n = y as Temporal;
    const sign = op === "+" ? 1 : -1;
    const moved = normalise(m.days + sign * (n.days - DAYS_1900), m.ticks + sign * n.ticks);
    const fitted = fitTemporal(moved, type);
    if (!fitted) throw overflow({ id: "datetime" });
    return fitted;
  });
}

function concatenate(left: Compiled, right: Compiled): Compiled {
  const collation = mixCollations(left, right, "add operator");
  const unicode = isUnicode(left.type) || isUnicode(right.type);
  const limit = unicode ? 4000 : 8000;
  const max = isMax(left.type) || isMax(right.type);
  const length = max ? -1 : Math.max(1, Math.min(limit, (left.type.length ?? 0) + (right.type.length ?? 0)));
  const type: SqlType = {
    id: unicode ? "nvarchar" : "varchar",
    length,
    ...(collation ? { collation: collation.name } : {}),
  };
  const result = strict(left, right, type, (a, b) => {
    const text = (a as string) + (b as string);
    return !max && text.length > limit ? text.slice(0, limit) : text;
  });
  return collation ? { ...result, collation } : result;
}

function concatenateBinary(left: Compiled, right: Compiled): Compiled {
  const max = isMax(left.type) || isMax(right.type);
  const length = max ? -1 : Math.max(1, Math.min(8000, (left.type.length ?? 8) + (right.type.length ?? 8)));
  return strict(left, right, { id: "varbinary", length }, (a, b) => {
    const bytes = Buffer.concat([a as Buffer, b as Buffer]);
    return max ? bytes : bytes.subarray(0, 8000);
  });
}

function bitwise(op: "&" | "|" | "^", left: Compiled, right: Compiled): Compiled {
  const numeric = (operand: Compiled) => isInteger(operand.type) || operand.type.id === "null";
  if (!numeric(left) && !numeric(right)) throw invalid(left.type, op);
  for (const side of [left, right]) if (!numeric(side) && !isBinary(side.type)) throw invalid(side.type, op);
  const winner = !numeric(left)
    ? right.type
    : !numeric(right)
      ? left.type
      : rank(left.type) <= rank(right.type)
        ? left.type
        : right.type;
  const type = winner.id === "null" ? ({ id: "int" } as const) : winner;
  const a = cast(left, type);
  const b = cast(right, type);
  return strict(a, b, type, (x, y) => {
    const m = BigInt(x as number | bigint | boolean);
    const n = BigInt(y as number | bigint | boolean);
    const value = op === "&" ? m & n : op === "|" ? m | n : m ^ n;
    return type.id === "bigint" ? value : type.id === "bit" ? value !== 0n : Number(value);
  });
}

export function unary(op: "-" | "+" | "~", operand: Compiled): Compiled {
  const { type } = operand;
  if (op === "+") return operand;
  if (op === "~") {
    if (!isInteger(type)) throw new SqlError(8117, `Operand data type ${type.id} is invalid for '~' operator.`, 16, 1);
    return mapped(operand, type, (value) =>
      typeof value === "bigint"
        ? ~value
        : typeof value === "boolean"
          ? !value
          : type.id === "tinyint"
            ? 255 - (value as number)
            : ~(value as number),
    );
  }
  if (isText(type)) throw new SqlError(8117, `Operand data type ${type.id} is invalid for minus operator.`, 16, 1);
  const negated = mapped(operand, type.id === "bit" || type.id === "tinyint" ? { id: "smallint" } : type, (value) => {
    if (value instanceof Decimal) return new Decimal(-value.unscaled, value.scale);
    if (typeof value === "bigint") return value === -(2n ** 63n) ? fail(type) : -value;
    const number = -Number(value);
    return number === 2147483648 && type.id === "int" ? fail(type) : number === 0 && !isApproximate(type) ? 0 : number;
  });
  return operand.literalDigits === undefined ? negated : { ...negated, literalDigits: operand.literalDigits };
}

function fail(type: SqlType): never {
  throw overflow(type);
}

function mapped(operand: Compiled, type: SqlType, apply: (value: NonNullable<Value>) => Value): Compiled {
  return {
    type,
    nullable: operand.nullable,
    constant: operand.constant === true,
    ...(operand.literal !== undefined && operand.literal !== null ? { literal: apply(operand.literal) } : {}),
    evaluate: (frame) => {
      const value = operand.evaluate(frame);
      return value === null ? null : apply(value);
    },
  };
}

/** `@x += 1` and its kin: the operator on two values of known types. */
export function assignOperator(
  op: Operator,
  target: SqlType,
  value: Compiled,
): (current: Value, frame: Frame) => Value {
  let current: Value = null;
  const left: Compiled = { type: target, nullable: true, evaluate: () => current };
  const combined = binary(op, left, value);
  return (now, frame) => {
    current = now;
    return convertValue(combined.evaluate(frame), combined.type, target, { implicit: true });
  };
}
