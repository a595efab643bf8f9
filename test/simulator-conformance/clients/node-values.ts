/** Between scenario texts and the JavaScript values of tedious, which mssql passes on. */

/** tedious counts a time's hundred nanoseconds beside the Date, as seconds. */
type ExactDate = Date & { nanosecondsDelta?: number; nanosecondDelta?: number };

export function textOf(value: unknown, type: string, scale: number): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean") return value ? "1" : "0";
  if (Buffer.isBuffer(value)) return `0x${value.toString("hex").toUpperCase()}`;
  if (value instanceof Date) return dateText(value, type.toLowerCase(), scale);
  return String(value);
}

function dateText(value: ExactDate, type: string, scale: number): string {
  const iso = value.toISOString();
  const [, day, time, millis] = /^(.+)T(.{8})\.(\d{3})Z$/.exec(iso)!;
  const delta = value.nanosecondsDelta ?? value.nanosecondDelta ?? 0;
  // The part below a millisecond, in units of 100 ns.
  const below = String(Math.round(delta * 1e7)).padStart(4, "0");
  const fraction = (digits: number): string => (digits === 0 ? "" : `.${(millis + below).slice(0, digits)}`);
  if (type === "date") return day!;
  if (type === "time") return time + fraction(scale);
  if (type.startsWith("smalldatetime")) return `${day}T${time}`;
  if (type === "datetime2") return `${day}T${time}${fraction(scale)}`;
  if (type === "datetimeoffset") return `${day}T${time}${fraction(scale)}Z`;
  return `${day}T${time}.${millis}`;
}

/** What a parameter of a type takes. */
export function parameterValue(text: string | null, type: string): unknown {
  if (text === null) return null;
  const base = /^\w+/.exec(type)![0];
  switch (base) {
    case "bit":
      return text === "1";
    case "tinyint":
    case "smallint":
    case "int":
    case "decimal":
    case "numeric":
    case "money":
    case "smallmoney":
    case "float":
    case "real":
      return Number(text);
    case "bigint":
      return BigInt(text);
    case "binary":
    case "varbinary":
    case "image":
      return Buffer.from(text.slice(2), "hex");
    case "time":
      return exactDate(`1970-01-01T${text}`, text);
    case "date":
      return new Date(`${text}T00:00:00Z`);
    case "datetime":
    case "smalldatetime":
    case "datetime2":
      return exactDate(text, text);
    case "datetimeoffset":
      return exactDate(text, text);
    default:
      return text;
  }
}

function exactDate(iso: string, text: string): Date {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  const zone = /(Z|[+-]\d\d:\d\d)$/.exec(iso)?.[0] ?? "Z";
  const whole = iso.replace(/\.\d+/, "").replace(/(Z|[+-]\d\d:\d\d)$/, "");
  const date: ExactDate = new Date(`${whole}.${fraction.padEnd(3, "0").slice(0, 3)}${zone}`);
  date.nanosecondDelta = Number(fraction.slice(3).padEnd(4, "0")) / 1e7;
  return date;
}

/** tedious reads datetimeoffset as an instant and drops the offset. */
export function instantOf(text: string): string {
  const fraction = /\.\d+/.exec(text)?.[0] ?? "";
  const date = new Date(text.replace(/\.\d+/, ""));
  return `${date.toISOString().slice(0, 19)}${fraction}Z`;
}

/** tedious computes decimals and money as doubles. */
export function doubleOf(text: string): string {
  return String(Number(text));
}

/** Fifteen digits go through a double unharmed. */
export function isDoubleExact(text: string): boolean {
  return text.replace(/^-?0*\.?0*|[.-]/g, "").length <= 15;
}
