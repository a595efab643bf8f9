/**
 * The server's time zone, and those that AT TIME ZONE names. Windows names are what SQL Server knows; the more common ones are
 * mapped to IANA's (CLDR's windowsZones), and IANA's own names are accepted too.
 */
import { SqlError } from "./session.ts";

const WINDOWS_ZONES: Record<string, string> = {
  UTC: "Etc/UTC",
  "GMT Standard Time": "Europe/London",
  "Greenwich Standard Time": "Atlantic/Reykjavik",
  "W. Europe Standard Time": "Europe/Berlin",
  "Central Europe Standard Time": "Europe/Budapest",
  "Romance Standard Time": "Europe/Paris",
  "Central European Standard Time": "Europe/Warsaw",
  "E. Europe Standard Time": "Europe/Chisinau",
  "FLE Standard Time": "Europe/Kiev",
  "GTB Standard Time": "Europe/Bucharest",
  "Russian Standard Time": "Europe/Moscow",
  "Turkey Standard Time": "Europe/Istanbul",
  "Israel Standard Time": "Asia/Jerusalem",
  "Arab Standard Time": "Asia/Riyadh",
  "Arabian Standard Time": "Asia/Dubai",
  "India Standard Time": "Asia/Kolkata",
  "China Standard Time": "Asia/Shanghai",
  "Singapore Standard Time": "Asia/Singapore",
  "Tokyo Standard Time": "Asia/Tokyo",
  "Korea Standard Time": "Asia/Seoul",
  "AUS Eastern Standard Time": "Australia/Sydney",
  "New Zealand Standard Time": "Pacific/Auckland",
  "E. South America Standard Time": "America/Sao_Paulo",
  "Eastern Standard Time": "America/New_York",
  "Central Standard Time": "America/Chicago",
  "Mountain Standard Time": "America/Denver",
  "US Mountain Standard Time": "America/Phoenix",
  "Pacific Standard Time": "America/Los_Angeles",
  "Alaskan Standard Time": "America/Anchorage",
  "Hawaiian Standard Time": "Pacific/Honolulu",
  "South Africa Standard Time": "Africa/Johannesburg",
};

const windowsNames = new Map(Object.keys(WINDOWS_ZONES).map((name) => [name.toLowerCase(), name]));

export class TimeZone {
  /** As CURRENT_TIMEZONE_ID() says it. */
  readonly id: string;
  readonly #fixed: number | undefined;
  readonly #format: Intl.DateTimeFormat | undefined;
  #cached = { hour: Number.NaN, offset: 0 };

  /** Minutes east of UTC, or a Windows or IANA name. */
  constructor(zone: string | number) {
    if (typeof zone === "number") {
      this.#fixed = zone;
      this.id = zone === 0 ? "UTC" : `UTC${offsetText(zone)}`;
      return;
    }
    const windows = windowsNames.get(zone.toLowerCase());
    const iana = windows ? WINDOWS_ZONES[windows]! : zone;
    this.id = windows ?? Object.keys(WINDOWS_ZONES).find((name) => WINDOWS_ZONES[name] === zone) ?? zone;
    if (iana === "Etc/UTC" || iana === "UTC") this.#fixed = 0;
    else
      this.#format = new Intl.DateTimeFormat("en-US", {
        timeZone: iana,
        hourCycle: "h23",
        year: "numeric",
        month: "numeric",
        day: "numeric",
        hour: "numeric",
        minute: "numeric",
        second: "numeric",
      });
  }

  /** Error 9820 if there is none of that name. */
  static named(name: string): TimeZone {
    try {
      return new TimeZone(name);
    } catch {
      throw new SqlError(9820, `The time zone parameter '${name}' provided to AT TIME ZONE clause is invalid.`, 16, 1);
    }
  }

  /** Minutes east of UTC at an instant (milliseconds since 1970, UTC). */
  offsetAt(instant: number): number {
    if (this.#fixed !== undefined) return this.#fixed;
    const quarter = Math.floor(instant / 900_000);
    if (quarter === this.#cached.hour) return this.#cached.offset;
    const parts: Record<string, number> = {};
    for (const { type, value } of this.#format!.formatToParts(quarter * 900_000)) parts[type] = Number(value);
    const { year, month, day, hour, minute, second } = parts as Record<
      "year" | "month" | "day" | "hour" | "minute" | "second",
      number
    >;
    const offset = Math.round((Date.UTC(year, month - 1, day, hour, minute, second) - quarter * 900_000) / 60_000);
    this.#cached = { hour: quarter, offset };
    return offset;
  }

  /**
   * The offset of a local time (milliseconds as if it were UTC). In the hour that is skipped in spring the offset before the
   * change counts, in the one repeated in autumn the one after it.
   * https://learn.microsoft.com/sql/t-sql/queries/at-time-zone-transact-sql
   */
  offsetOfLocal(local: number): number {
    const before = this.offsetAt(local - 86_400_000);
    const after = this.offsetAt(local + 86_400_000);
    const fits = (offset: number) => this.offsetAt(local - offset * 60_000) === offset;
    if (before === after) return before;
    if (fits(after)) return after;
    return before;
  }
}

/** "+05:30" */
export function offsetText(minutes: number): string {
  const absolute = Math.abs(minutes);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
}
