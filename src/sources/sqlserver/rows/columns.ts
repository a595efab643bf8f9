/**
 * The columns of a change table that are sent, and how each is asked for: as it is, but for types whose bytes the server
 * had better convert:
 * - char, varchar and text of code pages that readers map differently (code-pages.ts) come as UTF-16;
 * - CLR types come as their bytes.
 *
 * A column that the change table does not hold for a row is left out, so that null always means NULL
 * (https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql):
 * - computed columns are never captured;
 * - text, ntext and image are NULL on operations 1 and 3;
 * - max types, and other types kept as large objects, are NULL on operation 3 unless the update changed them;
 * - a delete was seen with NULL for a bit column that allows none.
 */
import { SourceError } from "../../../errors.ts";
import { fullName, type TableName } from "../../../ingester/checkpoint.ts";
import type { CapturedColumn, CaptureInstance } from "../capture-instance.ts";
import { quoteName } from "../quote.ts";
import { isExact } from "./code-pages.ts";
import type { RowField } from "./row-code.ts";

export interface ColumnChoice {
  include?: readonly string[] | undefined;
  exclude?: readonly string[] | undefined;
  /** Sent, but with something else in place of their values. */
  mask?: readonly string[] | undefined;
}

/**
 * The captured columns of an instance that are sent. Throws SourceError for a name that is none. `newer`: instances that will
 * take its place. What is to become of a new column has to be said before they do, and so before the column is there.
 */
export function chosenColumns(
  table: TableName,
  instance: CaptureInstance,
  newer: readonly CaptureInstance[],
  choice: ColumnChoice,
): CapturedColumn[] {
  const captured = lowerCase([instance, ...newer].flatMap(({ columns }) => columns.map((column) => column.name)));
  for (const name of [...(choice.include ?? []), ...(choice.exclude ?? []), ...(choice.mask ?? [])])
    if (!captured.has(name.toLowerCase()))
      throw new SourceError("table", `${fullName(table)} has no captured column ${name}.`, {
        advice: `Captured are: ${instance.columns.map((column) => column.name).join(", ")}.`,
      });
  const include = choice.include && lowerCase(choice.include);
  const exclude = lowerCase(choice.exclude ?? []);
  return instance.columns.filter((column) => {
    const name = column.name.toLowerCase();
    return !column.computed && (include?.has(name) ?? true) && !exclude.has(name);
  });
}

export function rowFields(
  columns: readonly CapturedColumn[],
  keyColumns: readonly string[],
  choice: ColumnChoice,
): RowField[] {
  const mask = lowerCase(choice.mask ?? []);
  return columns.map((column) => ({
    name: column.name,
    ordinal: column.ordinal,
    unknown: unknownOf(column),
    masked: mask.has(column.name.toLowerCase()),
    key: keyColumns.indexOf(column.name),
  }));
}

function lowerCase(names: readonly string[]): Set<string> {
  return new Set(names.map((name) => name.toLowerCase()));
}

const OLD_LARGE_TYPES = new Set(["text", "ntext", "image"]);
const ALWAYS_LARGE_TYPES = new Set(["xml", "clr"]);

function unknownOf(column: CapturedColumn): RowField["unknown"] {
  if (OLD_LARGE_TYPES.has(column.type)) return "delete and before";
  if (column.maxLength === -1 || ALWAYS_LARGE_TYPES.has(column.type)) return "unmarked before";
  return column.type === "bit" && column.sourceNullable === false ? "delete" : "never";
}

const AS_THEY_ARE = new Set([
  "bit",
  "tinyint",
  "smallint",
  "int",
  "bigint",
  "decimal",
  "numeric",
  "money",
  "smallmoney",
  "float",
  "real",
  "date",
  "time",
  "datetime",
  "smalldatetime",
  "datetime2",
  "datetimeoffset",
  "nchar",
  "nvarchar",
  "ntext",
  "xml",
  "uniqueidentifier",
  "binary",
  "varbinary",
  "image",
  "timestamp",
  "sql_variant",
]);

/** The select expression over a row source called `alias`. */
export function selectExpression(column: CapturedColumn, alias: string): string {
  const name = `${alias}.${quoteName(column.name)}`;
  const { type } = column;
  if (AS_THEY_ARE.has(type)) return name;
  if (type === "char" || type === "varchar" || type === "text")
    return column.codePage !== null && isExact(column.codePage) ? name : `CONVERT(${unicodeType(column)}, ${name})`;
  if (type === "clr") return `CONVERT(varbinary(max), ${name})`;
  throw new SourceError("table", `The column ${name} has the type ${type}, which is not known.`, {
    advice: "Leave it out with columns_exclude, and please report it.",
  });
}

/** A char or varchar of n bytes is at most n UTF-16 units in every code page. */
function unicodeType(column: CapturedColumn): string {
  const fits = column.type !== "text" && column.maxLength > 0 && column.maxLength <= 4000;
  return fits ? `nvarchar(${column.maxLength})` : "nvarchar(max)";
}
