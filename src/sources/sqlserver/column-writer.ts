/**
 * How each SQL Server type is asked for in a query and written as JSON, so that no digit is lost on the way (formats.md,
 * "Values"). tedious reads most types exactly; what it does not, the server converts:
 * - decimal, numeric, money and smallmoney, which it makes doubles, and datetimeoffset, whose offset it drops, come as text
 *   (https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql#date-and-time-styles: 121; money: 2);
 * - char, varchar and text come as UTF-16: the server knows its code pages, iconv-lite maps some bytes otherwise and drops a
 *   byte order mark;
 * - sql_variant comes as its base type's name, its scale and text that is exact for that type;
 * - CLR types come as their bytes.
 */
import { binaryText, doubleText, singleText, type ValueOptions } from "../../change/values.ts";
import { SourceError } from "../../errors.ts";
import { quoteName } from "./quote.ts";

export interface ColumnType {
  /** The system type's name, as in sys.types: `decimal`, `nvarchar`; `clr` for every CLR type. */
  readonly type: string;
  /** Bytes; -1 for max types. */
  readonly maxLength: number;
  /** Digits after the point, of decimals and of seconds. */
  readonly scale: number;
}

/** `type`, `maxLength` and `scale` as sys.columns has them, the first by its name in sys.types. */
export function columnType(type: unknown, maxLength: unknown, scale: unknown): ColumnType {
  // CLR types share one system type that has no row of its own in sys.types.
  return {
    type: (type as string | null)?.toLowerCase() ?? "clr",
    maxLength: maxLength as number,
    scale: scale as number,
  };
}

/** Writes one value, given as tedious reads the column's expressions; never called with NULL. */
export type ValueWriter = (values: readonly unknown[], at: number) => string;

export interface ColumnWriter {
  /** Select expressions, over a row source called `alias`; the first is NULL exactly where the column is. */
  readonly expressions: readonly string[];
  /** Answers JSON text for the values that begin at `at`; `null` for NULL. */
  readonly write: ValueWriter;
}

export function columnWriter(name: string, type: ColumnType, options: ValueOptions, alias: string): ColumnWriter {
  const column = `${alias}.${quoteName(name)}`;
  const { expressions, write } = native(column, type, options);
  return {
    expressions,
    write:
      options.values === "string"
        ? (values, at) => asString(nullOr(write, values, at))
        : (values, at) => nullOr(write, values, at),
  };
}

function nullOr(write: ValueWriter, values: readonly unknown[], at: number): string {
  return values[at] === null || values[at] === undefined ? "null" : write(values, at);
}

/** A JSON string is one already, and null stays null. */
function asString(json: string): string {
  return json === "null" || json.startsWith('"') ? json : `"${json}"`;
}

function native(column: string, type: ColumnType, options: ValueOptions): ColumnWriter {
  const as = (write: ValueWriter, expression = column): ColumnWriter => ({ expressions: [expression], write });
  switch (type.type) {
    case "bit":
    case "tinyint":
    case "smallint":
    case "int":
      return as(plain);
    case "bigint":
      return as(options.bigints === "string" ? quoted : plain);
    case "decimal":
    case "numeric":
      return as(options.decimals === "string" ? quoted : plain, `CONVERT(varchar(41), ${column})`);
    case "money":
    case "smallmoney":
      return as(options.decimals === "string" ? quoted : plain, `CONVERT(varchar(41), ${column}, 2)`);
    case "float":
      return as((values, at) => doubleText(values[at] as number));
    case "real":
      return as((values, at) => singleText(values[at] as number));
    case "date":
      return as((values, at) => `"${(values[at] as Date).toISOString().slice(0, 10)}"`);
    case "time":
      return as((values, at) => `"${timestamp(values[at] as PreciseDate, type.scale).slice(11)}"`);
    case "datetime":
      return as((values, at) => `"${timestamp(values[at] as Date, 3)}"`);
    case "smalldatetime":
      return as((values, at) => `"${timestamp(values[at] as Date, 0)}"`);
    case "datetime2":
      return as((values, at) => `"${timestamp(values[at] as PreciseDate, type.scale)}"`);
    case "datetimeoffset":
      return as((values, at) => `"${offsetTime(values[at] as string)}"`, `CONVERT(varchar(34), ${column}, 121)`);
    case "char":
    case "varchar":
    case "text":
      return as(text, `CONVERT(${unicodeType(type)}, ${column})`);
    case "nchar":
    case "nvarchar":
    case "ntext":
    case "xml":
      return as(text);
    case "uniqueidentifier":
      return as(quoted);
    case "binary":
    case "varbinary":
    case "image":
    case "timestamp":
      return as(bytes(options));
    case "clr":
      return as(bytes(options), `CONVERT(varbinary(max), ${column})`);
    case "sql_variant":
      return variant(column, options);
    default:
      throw new SourceError("table", `The column ${column} has the type ${type.type}, which is not known.`, {
        advice: "Leave it out with columns_exclude, and please report it.",
      });
  }
}

const plain: ValueWriter = (values, at) => String(values[at]);
const quoted: ValueWriter = (values, at) => `"${values[at] as string}"`;
/** Lone surrogates become \ud8xx escapes: JSON.stringify is well-formed. */
const text: ValueWriter = (values, at) => JSON.stringify(values[at]);

function bytes(options: ValueOptions): ValueWriter {
  return (values, at) => `"${binaryText(values[at] as Buffer, options.binary)}"`;
}

/** tedious gives what is beyond the milliseconds in seconds. */
type PreciseDate = Date & { nanosecondsDelta?: number };

/** `2026-11-21T10:11:12.1234567`, with that many digits. The date was read as if it were UTC. */
function timestamp(date: PreciseDate, digits: number): string {
  const iso = date.toISOString();
  if (digits === 0) return iso.slice(0, 19);
  const ticks = Math.round((date.nanosecondsDelta ?? 0) * 1e7);
  return iso.slice(0, 20) + (iso.slice(20, 23) + String(ticks).padStart(4, "0")).slice(0, digits);
}

/** `2026-11-21 12:11:12.1234567 +02:00`, as style 121 writes it. */
function offsetTime(style121: string): string {
  return style121.replace(" ", "T").replace(" ", "");
}

/** A char or varchar of n bytes is at most n UTF-16 units in every code page, UTF-8 among them. */
function unicodeType(type: ColumnType): string {
  const fits = type.type !== "text" && type.maxLength > 0 && type.maxLength <= 4000;
  return fits ? `nvarchar(${type.maxLength})` : "nvarchar(max)";
}

/**
 * Base types of sql_variant: https://learn.microsoft.com/sql/t-sql/data-types/sql-variant-transact-sql. Times are widened to
 * seven digits and cut to the scale that the value has.
 */
function variant(column: string, options: ValueOptions): ColumnWriter {
  const base = `CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(${column}, 'BaseType'))`;
  const exact =
    `CASE ${base}` +
    ` WHEN N'float' THEN CONVERT(nvarchar(max), CONVERT(float, ${column}), 3)` +
    ` WHEN N'real' THEN CONVERT(nvarchar(max), CONVERT(real, ${column}), 3)` +
    ` WHEN N'money' THEN CONVERT(nvarchar(max), CONVERT(money, ${column}), 2)` +
    ` WHEN N'smallmoney' THEN CONVERT(nvarchar(max), CONVERT(smallmoney, ${column}), 2)` +
    ` WHEN N'date' THEN CONVERT(nvarchar(max), CONVERT(date, ${column}), 23)` +
    ` WHEN N'datetime' THEN CONVERT(nvarchar(max), CONVERT(datetime, ${column}), 121)` +
    ` WHEN N'smalldatetime' THEN CONVERT(nvarchar(max), CONVERT(smalldatetime, ${column}), 120)` +
    ` WHEN N'time' THEN CONVERT(nvarchar(max), CONVERT(time(7), ${column}), 121)` +
    ` WHEN N'datetime2' THEN CONVERT(nvarchar(max), CONVERT(datetime2(7), ${column}), 121)` +
    ` WHEN N'datetimeoffset' THEN CONVERT(nvarchar(max), CONVERT(datetimeoffset(7), ${column}), 121)` +
    ` WHEN N'binary' THEN CONVERT(nvarchar(max), CONVERT(varbinary(8000), ${column}), 2)` +
    ` WHEN N'varbinary' THEN CONVERT(nvarchar(max), CONVERT(varbinary(8000), ${column}), 2)` +
    ` ELSE CONVERT(nvarchar(max), ${column}) END`;
  return {
    expressions: [base, `CONVERT(int, SQL_VARIANT_PROPERTY(${column}, 'Scale'))`, exact],
    write: (values, at) =>
      variantText(values[at] as string, (values[at + 1] as number | null) ?? 0, values[at + 2] as string, options),
  };
}

function variantText(base: string, scale: number, value: string, options: ValueOptions): string {
  switch (base) {
    case "bit":
      return value === "1" ? "true" : "false";
    case "tinyint":
    case "smallint":
    case "int":
      return value;
    case "bigint":
      return options.bigints === "string" ? `"${value}"` : value;
    case "decimal":
    case "numeric":
    case "money":
    case "smallmoney":
      return options.decimals === "string" ? `"${value}"` : value;
    case "float":
      return doubleText(Number(value));
    case "real":
      return singleText(Math.fround(Number(value)));
    case "datetime":
    case "smalldatetime":
      return `"${value.replace(" ", "T")}"`;
    case "time":
    case "datetime2":
      return `"${cutFraction(value, scale).replace(" ", "T")}"`;
    case "datetimeoffset":
      return `"${offsetTime(cutFraction(value, scale))}"`;
    case "binary":
    case "varbinary":
      return `"${binaryText(Buffer.from(value, "hex"), options.binary)}"`;
    default:
      return JSON.stringify(value);
  }
}

function cutFraction(time: string, digits: number): string {
  return time.replace(/\.(\d+)/, (_, fraction: string) => (digits === 0 ? "" : `.${fraction.slice(0, digits)}`));
}
