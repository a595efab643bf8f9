/** Durations, sizes and starting points as a configuration writes them. Each reader answers undefined for what it is not. */
import { type Lsn, parseLsn } from "../change/position.ts";

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `5s`, `1m30s`, `1.5h`: as Go writes them, and days. Answers whole milliseconds. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g))
    total += Number(amount) * milliseconds[unit!]!;
  return Math.round(total);
}

const words: Readonly<Record<string, string>> = {
  millisecond: "ms",
  msec: "ms",
  second: "s",
  sec: "s",
  minute: "m",
  min: "m",
  hour: "h",
  hr: "h",
  day: "d",
};

/** What somebody who wrote `5 seconds` or `10` most likely meant. */
export function suggestDuration(text: string): string | undefined {
  const bare = text.trim().toLowerCase();
  if (/^\d+(\.\d+)?$/.test(bare)) return `${bare}s`;
  const guess = bare
    .replace(/([a-z]+)/g, (word) => words[word.replace(/s$/, "")] ?? words[word] ?? word)
    .replace(/[\s,]|and/g, "");
  return parseDuration(guess) === undefined ? undefined : guess;
}

const powers: Readonly<Record<string, number>> = { "": 0, K: 1, M: 2, G: 3 };

/** `262144`, `256KB`, `1MB`, `1 MiB`: units count in 1024, as brokers' limits do. Answers bytes. */
export function parseSize(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)\s*(?:([KMG]?)(?:i?B)?)$/i.exec(text.trim());
  if (found === null) return undefined;
  const bytes = Number(found[1]) * 1024 ** powers[found[2]!.toUpperCase()]!;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Where a table without a checkpoint begins. */
export type Start = { at: "low_watermark" } | { at: "now" } | { at: "lsn"; lsn: Lsn } | { at: "time"; time: Date };

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** `low_watermark`, `now`, an LSN (`0x` and 20 hexadecimal digits, or 8:8:4 with colons) or an RFC 3339 time. */
export function parseStart(text: string): Start | undefined {
  if (text === "low_watermark" || text === "now") return { at: text };
  const lsn = parseLsn(text);
  if (lsn !== null) return { at: "lsn", lsn };
  const [, year, month, day] = rfc3339.exec(text) ?? [];
  // Date takes the 31st of February for the 3rd of March.
  if (day === undefined || Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate())
    return undefined;
  const time = new Date(text.toUpperCase().replace(" ", "T"));
  return Number.isNaN(time.getTime()) ? undefined : { at: "time", time };
}

/** Milliseconds as a duration is written: `5s`, `1m30s`, `500ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1000 || ms % 1000 !== 0) return `${Math.round(ms)}ms`;
  const seconds = ms / 1000;
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return [h > 0 ? `${h}h` : "", m > 0 ? `${m}m` : "", s > 0 ? `${s}s` : ""].join("");
}
