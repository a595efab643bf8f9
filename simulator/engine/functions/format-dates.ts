/** .NET's formats of dates and times. https://learn.microsoft.com/dotnet/standard/base-types/custom-date-and-time-format-strings */
import { civilFromDays, local } from "../types/temporal.ts";
import type { Temporal } from "../values.ts";
import { type Culture, nameIn } from "./cultures.ts";

/** null: the format is none. */
export function formatDate(value: Temporal, format: string, culture: Culture): string | null {
  if (format.length !== 1) return custom(value, format, culture);
  const { shortDate, longDate, shortTime, longTime, monthDay, yearMonth } = culture;
  const standard: Record<string, string> = {
    d: shortDate,
    D: longDate,
    f: `${longDate} ${shortTime}`,
    F: `${longDate} ${longTime}`,
    g: `${shortDate} ${shortTime}`,
    G: `${shortDate} ${longTime}`,
    m: monthDay,
    M: monthDay,
    o: "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK",
    O: "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK",
    r: "ddd', 'dd' 'MMM' 'yyyy' 'HH':'mm':'ss' GMT'",
    R: "ddd', 'dd' 'MMM' 'yyyy' 'HH':'mm':'ss' GMT'",
    s: "yyyy'-'MM'-'dd'T'HH':'mm':'ss",
    t: shortTime,
    T: longTime,
    u: "yyyy'-'MM'-'dd' 'HH':'mm':'ss'Z'",
    y: yearMonth,
    Y: yearMonth,
  };
  const pattern = Object.hasOwn(standard, format) ? standard[format] : undefined;
  return pattern === undefined ? null : custom(value, pattern, culture);
}

const two = (number: number) => String(number).padStart(2, "0");

function custom(given: Temporal, format: string, culture: Culture): string | null {
  const value = local(given);
  const { year, month, day } = civilFromDays(value.days);
  const seconds = Math.floor(value.ticks / 10_000_000);
  const hour = Math.floor(seconds / 3600);
  const minute = Math.floor(seconds / 60) % 60;
  const second = seconds % 60;
  const fraction = String(value.ticks % 10_000_000).padStart(7, "0");
  const weekday = ((value.days % 7) + 7) % 7;
  const offset = `${given.offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(given.offset) / 60))}`;
  let result = "";
  let valid = true;
  for (const [part] of format.matchAll(/\\.|'[^']*'?|"[^"]*"?|%.|([dfFghHKmMstyz])\1*|./gs)) {
    const token = part.startsWith("%") ? part.slice(1) : part;
    const count = token.length;
    switch (token[0]) {
      case "\\":
        result += token.slice(1);
        break;
      case "'":
      case '"':
        if (count < 2 || !token.endsWith(token[0])) valid = false;
        result += token.slice(1, -1);
        break;
      case "d":
        if (count <= 2) result += count === 1 ? day : two(day);
        else result += nameIn(culture, "weekday", weekday, count === 3);
        break;
      case "M":
        if (count <= 2) result += count === 1 ? month : two(month);
        else result += nameIn(culture, "month", month, count === 3);
        break;
      case "y":
        result += count <= 2 ? String(year % 100).padStart(count, "0") : String(year).padStart(count, "0");
        break;
      case "h":
        result += count === 1 ? hour % 12 || 12 : two(hour % 12 || 12);
        break;
      case "H":
        result += count === 1 ? hour : two(hour);
        break;
      case "m":
        result += count === 1 ? minute : two(minute);
        break;
      case "s":
        result += count === 1 ? second : two(second);
        break;
      case "f":
        if (count > 7) valid = false;
        result += fraction.slice(0, count);
        break;
      case "F": {
        if (count > 7) valid = false;
        const shown = fraction.slice(0, count).replace(/0+$/, "");
        if (shown === "" && result.endsWith(".")) result = result.slice(0, -1);
        result += shown;
        break;
      }
      case "t": {
        const half = /^(?:en|zh|ja)/.test(culture.name) ? (hour < 12 ? "AM" : "PM") : "";
        result += count === 1 ? half.slice(0, 1) : half;
        break;
      }
      case "z":
        result +=
          count === 1
            ? offset.replace(/0(?=\d)/, "")
            : count === 2
              ? offset
              : `${offset}:${two(Math.abs(given.offset) % 60)}`;
        break;
      case "K":
        break;
      case "g":
        result += "A.D.";
        break;
      case "/":
        result += culture.dateSeparator;
        break;
      default:
        result += token;
    }
  }
  return valid ? result : null;
}

/**
 * A time of day is a TimeSpan: what is between its parts must be escaped.
 * https://learn.microsoft.com/dotnet/standard/base-types/custom-timespan-format-strings
 */
export function formatTime({ ticks }: Temporal, format: string): string | null {
  const seconds = Math.floor(ticks / 10_000_000);
  const hour = Math.floor(seconds / 3600);
  const minute = Math.floor(seconds / 60) % 60;
  const second = seconds % 60;
  const fraction = String(ticks % 10_000_000).padStart(7, "0");
  const rest = fraction.replace(/0+$/, "");
  const clock = `${two(minute)}:${two(second)}`;
  if (/^[cTt]$/.test(format)) return `${two(hour)}:${clock}${rest === "" ? "" : `.${fraction}`}`;
  if (format === "g") return `${hour}:${clock}${rest === "" ? "" : `.${rest}`}`;
  if (format === "G") return `0:${two(hour)}:${clock}.${fraction}`;
  let result = "";
  for (const [part] of format.matchAll(/\\.|'[^']*'?|"[^"]*"?|%.|([dhmsfF])\1*|./gs)) {
    const token = part.startsWith("%") ? part.slice(1) : part;
    const count = token.length;
    switch (token[0]) {
      case "\\":
        result += token.slice(1);
        break;
      case "'":
      case '"':
        result += token.slice(1, -1);
        break;
      case "d":
        result += "0".padStart(count, "0");
        break;
      case "h":
        result += String(hour).padStart(count, "0");
        break;
      case "m":
        result += String(minute).padStart(count, "0");
        break;
      case "s":
        result += String(second).padStart(count, "0");
        break;
      case "f":
        result += fraction.slice(0, count);
        break;
      case "F":
        result += fraction.slice(0, count).replace(/0+$/, "");
        break;
      default:
        return null;
    }
  }
  return result;
}
