/** Exact numbers: reading, rescaling, arithmetic. */
import { Decimal } from "../values.ts";

const POWERS: bigint[] = Array.from({ length: 80 }, (_, i) => 10n ** BigInt(i));

export function power(n: number): bigint {
  return POWERS[n] ?? 10n ** BigInt(n);
}

/** Rounds half away from zero, or cuts off. */
export function rescale(value: Decimal, scale: number, truncate = false): Decimal {
  if (value.scale === scale) return value;
  if (value.scale < scale) return new Decimal(value.unscaled * power(scale - value.scale), scale);
  return new Decimal(divide(value.unscaled, power(value.scale - scale), truncate), scale);
}

function divide(numerator: bigint, denominator: bigint, truncate: boolean): bigint {
  const quotient = numerator / denominator;
  if (truncate) return quotient;
  const rest = numerator % denominator;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  const size = denominator < 0n ? -denominator : denominator;
  if (twice < size) return quotient;
  return numerator < 0n === denominator < 0n ? quotient + 1n : quotient - 1n;
}

/** Whether it has no more digits than the type takes. */
export function fits(value: Decimal, precision: number): boolean {
  const limit = power(precision);
  return value.unscaled < limit && value.unscaled > -limit;
}

/** "-12.50", "1e3" is not one. Undefined where the text is no exact number. */
export function parseDecimal(text: string): Decimal | undefined {
  const found = /^\s*([+-]?)\s*(\d*)(?:\.(\d*))?\s*$/.exec(text);
  if (!found || (!found[2] && !found[3])) return undefined;
  const fraction = found[3] ?? "";
  const unscaled = BigInt((found[2] ?? "") + fraction);
  return new Decimal(found[1] === "-" ? -unscaled : unscaled, fraction.length);
}

/** A double's exact value has more digits than it means: SQL Server takes 17 significant ones. */
export function fromFloat(value: number, scale: number): Decimal {
  const [mantissa = "0", exponent = "0"] = value.toExponential(16).split("e");
  const digits = mantissa.replace(".", "");
  const shift = Number(exponent) - 16;
  const unscaled = BigInt(digits);
  const wanted = shift + scale;
  return new Decimal(wanted >= 0 ? unscaled * power(wanted) : divide(unscaled, power(-wanted), false), scale);
}

export function toNumber(value: Decimal): number {
  return Number(value.toString());
}

/** The integral part. */
export function truncate(value: Decimal): bigint {
  return value.scale === 0 ? value.unscaled : value.unscaled / power(value.scale);
}

export function round(value: Decimal): bigint {
  return rescale(value, 0).unscaled;
}

export const decimalArithmetic: Record<
  "+" | "-" | "*" | "/" | "%",
  (a: Decimal, b: Decimal, scale: number) => Decimal
> = {
  "+": (a, b, scale) => sum(a, b, scale, 1n),
  "-": (a, b, scale) => sum(a, b, scale, -1n),
  "*": (a, b, scale) => rescale(new Decimal(a.unscaled * b.unscaled, a.scale + b.scale), scale),
  // Quotients are cut off, not rounded.
  "/": (a, b, scale) => {
    const shift = scale + b.scale - a.scale;
    const numerator = shift >= 0 ? a.unscaled * power(shift) : a.unscaled;
    const denominator = shift >= 0 ? b.unscaled : b.unscaled * power(-shift);
    return new Decimal(numerator / denominator, scale);
  },
  "%": (a, b, scale) => {
    const common = Math.max(a.scale, b.scale);
    return rescale(new Decimal(rescale(a, common).unscaled % rescale(b, common).unscaled, common), scale);
  },
};

function sum(a: Decimal, b: Decimal, scale: number, sign: bigint): Decimal {
  const common = Math.max(a.scale, b.scale);
  return rescale(new Decimal(rescale(a, common).unscaled + sign * rescale(b, common).unscaled, common), scale);
}
