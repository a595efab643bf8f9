/**
 * What .NET's cultures say of dates and numbers, as far as FORMAT needs it. Names of months and days come from the runtime.
 * https://learn.microsoft.com/sql/t-sql/functions/format-transact-sql
 */
import { unsupported } from "../errors.ts";
import { SqlError } from "../session.ts";

export interface Culture {
  name: string;
  shortDate: string;
  longDate: string;
  shortTime: string;
  longTime: string;
  monthDay: string;
  yearMonth: string;
  dateSeparator: string;
  decimal: string;
  group: string;
  /** n stands for the number. */
  currency: { positive: string; negative: string; decimals: number };
  percent: string;
}

type Spec = [
  shortDate: string,
  longDate: string,
  time: string,
  separator: string,
  decimal: string,
  group: string,
  currency: string,
];

const NBSP = "\u00a0";

const SPECS: Record<string, Spec> = {
  "en-US": ["M/d/yyyy", "dddd, MMMM d, yyyy", "h:mm:ss tt", "/", ".", ",", "$n"],
  "en-GB": ["dd/MM/yyyy", "dd MMMM yyyy", "HH:mm:ss", "/", ".", ",", "£n"],
  "de-DE": ["dd.MM.yyyy", "dddd, d. MMMM yyyy", "HH:mm:ss", ".", ",", ".", "n €"],
  "fr-FR": ["dd/MM/yyyy", "dddd d MMMM yyyy", "HH:mm:ss", "/", ",", NBSP, "n €"],
  "es-ES": ["dd/MM/yyyy", "dddd, d' de 'MMMM' de 'yyyy", "H:mm:ss", "/", ",", ".", "n €"],
  "it-IT": ["dd/MM/yyyy", "dddd d MMMM yyyy", "HH:mm:ss", "/", ",", ".", "n €"],
  "nl-NL": ["d-M-yyyy", "dddd d MMMM yyyy", "HH:mm:ss", "-", ",", ".", "€ n"],
  "pt-BR": ["dd/MM/yyyy", "dddd, d' de 'MMMM' de 'yyyy", "HH:mm:ss", "/", ",", ".", "R$ n"],
  "sv-SE": ["yyyy-MM-dd", "'den 'd MMMM yyyy", "HH:mm:ss", "-", ",", NBSP, "n kr"],
  "ja-JP": ["yyyy/MM/dd", "yyyy'年'M'月'd'日'", "H:mm:ss", "/", ".", ",", "¥n"],
  "zh-CN": ["yyyy/M/d", "yyyy'年'M'月'd'日'", "H:mm:ss", "/", ".", ",", "¥n"],
};

const known = new Map<string, Culture>();

/** Error 9818 for what is no culture's name. */
export function cultureOf(name: string): Culture {
  const key = Object.keys(SPECS).find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  if (key === undefined) {
    if (/^[a-z]{2,3}(-[a-z0-9]+)*$/i.test(name)) throw unsupported(`the culture ${name}`);
    throw new SqlError(9818, `The culture parameter '${name}' provided in the function call is not supported.`, 16, 1);
  }
  let culture = known.get(key);
  if (!culture) known.set(key, (culture = made(key, SPECS[key]!)));
  return culture;
}

function made(name: string, [shortDate, longDate, longTime, dateSeparator, decimal, group, currency]: Spec): Culture {
  return {
    name,
    shortDate,
    longDate,
    longTime,
    shortTime: longTime.replace(":ss", ""),
    monthDay: /^(?:ja|zh)/.test(name)
      ? "M'月'd'日'"
      : name === "en-US"
        ? "MMMM d"
        : name === "de-DE"
          ? "d. MMMM"
          : "d MMMM",
    yearMonth: /^(?:ja|zh)/.test(name) ? "yyyy'年'M'月'" : "MMMM yyyy",
    dateSeparator,
    decimal,
    group,
    currency: {
      positive: currency,
      negative: name === "en-US" ? "($n)" : `-${currency}`,
      decimals: name === "ja-JP" ? 0 : 2,
    },
    percent: name === "en-US" || name === "fr-FR" || name === "de-DE" || name === "sv-SE" ? "n %" : "n%",
  };
}

/** Of a month (1 to 12) or a day of the week (0 is Monday). */
export function nameIn(culture: Culture, kind: "month" | "weekday", index: number, short: boolean): string {
  const date = kind === "month" ? new Date(Date.UTC(2024, index - 1, 1)) : new Date(Date.UTC(2024, 0, 1 + index));
  const format = new Intl.DateTimeFormat(culture.name, { [kind]: short ? "short" : "long", timeZone: "UTC" });
  return format.format(date).replace(/\.$/, "");
}
