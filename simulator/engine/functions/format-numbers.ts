/** .NET's numeric formats. https://learn.microsoft.com/dotnet/standard/base-types/standard-numeric-format-strings */
import { parseDecimal, rescale } from "../types/decimals.ts";
import { Decimal } from "../values.ts";
import type { Culture } from "./cultures.ts";

/** A number in the digits that it has. `integral`: D and X are for these alone. */
export interface Formattable {
  value: Decimal;
  integral: boolean;
}

/** null: the format is none. */
export function formatNumber(number: Formattable, format: string, culture: Culture): string | null {
  const standard = /^([a-z])(\d{0,2})$/i.exec(format);
  if (!standard) return /^[a-z]\d*$/i.test(format) ? null : custom(number.value, format, culture);
  const digits = standard[2] === "" ? undefined : Number(standard[2]);
  const { value, integral } = number;
  const negative = value.unscaled < 0n;
  const absolute = new Decimal(negative ? -value.unscaled : value.unscaled, value.scale);
  switch (standard[1]!.toUpperCase()) {
    case "C": {
      const { positive, negative: minus, decimals } = culture.currency;
      return (negative ? minus : positive).replace("n", grouped(fixed(absolute, digits ?? decimals), culture));
    }
    case "D": {
      if (!integral) return null;
      return (negative ? "-" : "") + absolute.unscaled.toString().padStart(digits ?? 1, "0");
    }
    case "E":
      return exponential(absolute, negative, digits ?? 6, standard[1]!, 3, culture);
    case "F":
      return signed(negative, fixed(absolute, digits ?? 2).replace(".", culture.decimal));
    case "N":
      return signed(negative, grouped(fixed(absolute, digits ?? 2), culture));
    case "P": {
      const hundredfold = new Decimal(absolute.unscaled * 100n, absolute.scale);
      return signed(negative, culture.percent.replace("n", grouped(fixed(hundredfold, digits ?? 2), culture)));
    }
    case "G":
    case "R":
      return general(absolute, negative, digits, culture);
    case "X": {
      if (!integral) return null;
      const bits = negative ? BigInt.asUintN(value.unscaled < -(2n ** 31n) ? 64 : 32, value.unscaled) : value.unscaled;
      const hex = bits.toString(16).padStart(digits ?? 1, "0");
      return standard[1] === "X" ? hex.toUpperCase() : hex;
    }
    default:
      return null;
  }
}

function signed(negative: boolean, text: string): string {
  return negative && /[1-9]/.test(text) ? `-${text}` : text;
}

function fixed(value: Decimal, digits: number): string {
  return rescale(value, digits).toString();
}

function grouped(text: string, culture: Culture): string {
  const [integral = "", fraction] = text.split(".");
  const groups = integral.replace(/(\d)(?=(\d{3})+$)/g, `$1${culture.group}`);
  return fraction === undefined ? groups : groups + culture.decimal + fraction;
}

function general(value: Decimal, negative: boolean, digits: number | undefined, culture: Culture): string {
  let shown = value;
  if (digits !== undefined && digits > 0) {
    const integral = value.unscaled.toString().length - value.scale;
    shown = rescale(value, Math.max(0, digits - integral));
    if (integral > digits) return exponential(value, negative, digits - 1, "E", 2, culture);
  }
  const text =
    digits === undefined
      ? shown.toString()
      : shown
          .toString()
          .replace(/(\.\d*?)0+$/, "$1")
          .replace(/\.$/, "");
  return (negative ? "-" : "") + text.replace(".", culture.decimal);
}

function exponential(
  value: Decimal,
  negative: boolean,
  digits: number,
  letter: string,
  width: number,
  culture: Culture,
): string {
  const all = value.unscaled.toString();
  const exponent = value.unscaled === 0n ? 0 : all.length - 1 - value.scale;
  let mantissa = rescale(new Decimal(value.unscaled, all.length - 1), digits);
  let power = exponent;
  if (mantissa.toString().startsWith("10")) {
    mantissa = rescale(new Decimal(1n, 0), digits);
    power++;
  }
  const sign = power < 0 ? "-" : "+";
  const shown = mantissa.toString().replace(".", culture.decimal);
  return `${negative ? "-" : ""}${shown}${letter}${sign}${String(Math.abs(power)).padStart(width, "0")}`;
}

// ---------------------------------------------------------------- custom formats

type Token =
  | { kind: "digit"; sign: "0" | "#" }
  | { kind: "point" }
  | { kind: "comma" }
  | { kind: "text"; text: string };

/** https://learn.microsoft.com/dotnet/standard/base-types/custom-numeric-format-strings */
function custom(value: Decimal, format: string, culture: Culture): string | null {
  const sections = split(format);
  const negative = value.unscaled < 0n;
  let section = sections[0]!;
  let minus = negative;
  if (negative && sections[1] !== undefined && sections[1] !== "") {
    section = sections[1];
    minus = false;
  } else if (value.unscaled === 0n && sections[2] !== undefined && sections[2] !== "") section = sections[2];
  const absolute = new Decimal(negative ? -value.unscaled : value.unscaled, value.scale);
  const tokens = tokensOf(section);
  if (!tokens) return null;
  return (minus ? "-" : "") + filled(absolute, tokens, section, culture);
}

function split(format: string): string[] {
  const sections = [""];
  for (const [part] of format.matchAll(/\\.|'[^']*'?|"[^"]*"?|./gs))
    if (part === ";") sections.push("");
    else sections[sections.length - 1] += part;
  return sections;
}

function tokensOf(section: string): Token[] | null {
  const tokens: Token[] = [];
  for (const [part] of section.matchAll(/\\.|'[^']*'?|"[^"]*"?|[eE][+-]?0+|./gs)) {
    if (part === "0" || part === "#") tokens.push({ kind: "digit", sign: part });
    else if (part === ".") tokens.push({ kind: "point" });
    else if (part === ",") tokens.push({ kind: "comma" });
    else if (/^[eE]/.test(part) && part.length > 1) return null;
    else if (part.startsWith("\\")) tokens.push({ kind: "text", text: part.slice(1) });
    else if (part.startsWith("'") || part.startsWith('"'))
      tokens.push({ kind: "text", text: part.replace(/['"]/g, "") });
    else tokens.push({ kind: "text", text: part });
  }
  return tokens;
}

function filled(absolute: Decimal, tokens: Token[], section: string, culture: Culture): string {
  const point = tokens.findIndex(({ kind }) => kind === "point");
  const end = point < 0 ? tokens.length : point;
  const digits = (from: number, to: number) =>
    tokens.slice(from, to).filter(({ kind }) => kind === "digit") as (Token & { kind: "digit" })[];
  const before = digits(0, end);
  const after = point < 0 ? [] : digits(point + 1, tokens.length);
  // Commas right before the point divide by a thousand, commas between digits group.
  let scaling = 0;
  for (let i = end - 1; i >= 0 && tokens[i]!.kind === "comma"; i--) scaling++;
  const firstDigit = tokens.findIndex(({ kind }) => kind === "digit");
  const lastDigit = tokens.slice(0, end).findLastIndex(({ kind }) => kind === "digit");
  const groups = tokens.some(({ kind }, i) => kind === "comma" && i > firstDigit && i < lastDigit);
  let shown = new Decimal(absolute.unscaled, absolute.scale + scaling * 3);
  const plain = section.replace(/\\.|'[^']*'?|"[^"]*"?/gs, "");
  if (plain.includes("%")) shown = new Decimal(shown.unscaled * 100n, shown.scale);
  if (plain.includes("‰")) shown = new Decimal(shown.unscaled * 1000n, shown.scale);
  const [whole = "0", fraction = ""] = rescale(shown, after.length).toString().split(".");
  const leastWhole = before.length - before.findIndex(({ sign }) => sign === "0");
  const wanted = before.some(({ sign }) => sign === "0") ? leastWhole : 0;
  const integral = (whole === "0" ? "" : whole).padStart(wanted, "0");
  const leastFraction = after.findLastIndex(({ sign }) => sign === "0") + 1;
  let decimals = fraction;
  while (decimals.length > leastFraction && decimals.endsWith("0")) decimals = decimals.slice(0, -1);
  return laidOut(tokens, integral, decimals, before.length, groups, culture);
}

function laidOut(
  tokens: Token[],
  integral: string,
  decimals: string,
  places: number,
  groups: boolean,
  culture: Culture,
): string {
  let result = "";
  let place = 0;
  let fractional = false;
  let taken = 0;
  const put = (digit: string, left: number): void => {
    result += digit;
    if (groups && left > 0 && left % 3 === 0) result += culture.group;
  };
  for (const token of tokens) {
    if (token.kind === "text") result += token.text;
    else if (token.kind === "point") {
      fractional = true;
      if (decimals.length > 0) result += culture.decimal;
    } else if (token.kind === "digit" && !fractional) {
      // The first place takes all digits that there is no place for.
      const count = place === 0 ? Math.max(0, integral.length - places + 1) : integral.length >= places - place ? 1 : 0;
      for (let i = 0; i < count; i++) {
        put(integral[taken]!, integral.length - taken - 1);
        taken++;
      }
      place++;
    } else if (token.kind === "digit") {
      result += decimals[0] ?? "";
      decimals = decimals.slice(1);
    }
  }
  return result;
}

/** A float in the fewest digits that are it. */
export function decimalOf(value: number): Decimal | null {
  if (!Number.isFinite(value)) return null;
  const [mantissa = "0", power = "0"] = value.toExponential().split("e");
  const parsed = parseDecimal(mantissa)!;
  const scale = parsed.scale - Number(power);
  return scale >= 0 ? new Decimal(parsed.unscaled, scale) : new Decimal(parsed.unscaled * 10n ** BigInt(-scale), 0);
}
