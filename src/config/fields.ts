/** The kinds of values that settings take: how each is read, and how errors and the reference name it. */
import { z } from "zod";
import { closest } from "../text/closest.ts";
import { parseTableName, type TablePattern } from "./tables.ts";
import { canonicalType, type LockType, lockTypes, type TransportType, transportTypes } from "./types.ts";
import { parseDuration, parseSize, parseStart, type Start, suggestDuration } from "./units.ts";

/** What a field's `meta` may hold besides zod's own. */
export interface FieldMeta {
  description?: string;
  /** What values are called: "a duration". */
  kind?: string;
  /** The environment variable that stands in where the key is left out. */
  env?: string;
  /** Never shown. */
  secret?: boolean;
  /** What holds where the key is left out, in words, where it is no fixed value. */
  otherwise?: string;
}

/** A value that is read from text. `read` answers undefined for what it is not, or what is wrong as a Wrong. */
class Wrong {
  readonly message: string;
  readonly suggestion: string | undefined;
  constructor(message: string, suggestion?: string) {
    this.message = message;
    this.suggestion = suggestion;
  }
}

function written<T>(kind: string, read: (text: string) => T | Wrong) {
  return z
    .string()
    .transform((text, context): T => {
      const value = read(text);
      if (!(value instanceof Wrong)) return value;
      context.addIssue({ code: "custom", message: value.message, params: { suggestion: value.suggestion } });
      return z.NEVER;
    })
    .meta({ kind });
}

export const duration = () =>
  written("a duration", (text): number | Wrong => {
    const value = parseDuration(text);
    if (value !== undefined && value > 0) return value;
    if (value === 0) return new Wrong("must be longer than nothing");
    const meant = suggestDuration(text);
    return new Wrong(
      "is not a duration",
      meant === undefined ? 'Durations are written "500ms", "5s", "1m30s", "2h" or "1d".' : `Try "${meant}".`,
    );
  });

export const start = () =>
  written("a start", (text): Start | Wrong => {
    const value = parseStart(text);
    if (value !== undefined) return value;
    const meant = closest(text, ["low_watermark", "now"]);
    return new Wrong(
      "is no place to start",
      meant === undefined
        ? 'Write "low_watermark", "now", an LSN ("0x" and 20 hexadecimal digits) or a time ("2026-11-21T10:00:00Z").'
        : `Did you mean "${meant}"?`,
    );
  });

export const tableName = () =>
  written("a table name", (text): TablePattern | Wrong => {
    const table = parseTableName(text);
    return typeof table === "string"
      ? new Wrong(table, 'Tables are written "Persons", "sales.Orders" or "sales.*".')
      : table;
  });

const placeholders = ["server", "database", "schema", "table"];

export const destination = () =>
  written("a template", (text): string | Wrong => {
    for (const [, name] of text.matchAll(/\{([^{}]*)\}/g)) {
      if (placeholders.includes(name!)) continue;
      const meant = closest(name!, placeholders);
      const suggestion = `Placeholders are {server}, {database}, {schema} and {table}.`;
      return new Wrong(
        "has a placeholder that nobody fills",
        meant === undefined ? suggestion : `Did you mean {${meant}}? ${suggestion}`,
      );
    }
    const rest = text.replace(/\{[^{}]*\}/g, "");
    if (/[{}]/.test(rest)) return new Wrong("has a brace without its partner");
    return text.trim() === "" ? new Wrong("is empty") : text;
  });

/** Text that says something. */
export const text = (kind = "text") =>
  written(kind, (value): string | Wrong => (value.trim() === "" ? new Wrong("is empty") : value));

export const secret = (env: string) => text("a connection string").meta({ env, secret: true });

export const oneOf = <const T extends string>(...options: T[]) =>
  written(options.map((option) => `"${option}"`).join(" or "), (value): T | Wrong => {
    const found = options.find((option) => option === value);
    if (found !== undefined) return found;
    const meant = options.find((option) => option === value.toLowerCase()) ?? closest(value, options);
    return new Wrong(
      `is not one of ${options.map((option) => `"${option}"`).join(", ")}`,
      meant === undefined ? undefined : `Did you mean "${meant}"?`,
    );
  });

export const onGap = () =>
  written('"fail" or "skip"', (value): "fail" | "skip" | Wrong => {
    if (value === "fail" || value === "skip") return value;
    const meant = closest(value, ["fail", "skip"]);
    if (value === "resnapshot") return new Wrong("is not built yet", 'Built are "fail" and "skip".');
    return new Wrong('is not one of "fail", "skip"', meant === undefined ? undefined : `Did you mean "${meant}"?`);
  });

function typeName<T extends string>(types: Readonly<Record<T, { aliases: readonly string[] }>>) {
  const names = Object.keys(types) as T[];
  const everyName = names.flatMap((name) => [name, ...types[name].aliases]);
  return written("a type", (value): T | Wrong => {
    const found = canonicalType(types, value);
    if (found !== undefined) return found;
    const meant = closest(value, everyName);
    return new Wrong(
      "is no type that is known",
      `${meant === undefined ? "" : `Did you mean "${meant}"? `}Known are ${names.join(", ")}.`,
    );
  });
}

export const transportType = () => typeName<TransportType>(transportTypes);
export const lockType = () => typeName<LockType>(lockTypes);

// HCL turns text into numbers and booleans where these are expected, and what comes from the environment is text.

export const count = (least: number) =>
  z
    .union([z.number(), z.string()])
    .transform((value, context): number => {
      const number = typeof value === "number" ? value : /^\d+$/.test(value.trim()) ? Number(value) : Number.NaN;
      if (Number.isSafeInteger(number) && number >= least) return number;
      context.addIssue({ code: "custom", message: `is not a whole number from ${least}` });
      return z.NEVER;
    })
    .meta({ kind: "a whole number" });

export const size = () =>
  z
    .union([z.number(), z.string()])
    .transform((value, context): number => {
      const bytes = parseSize(String(value));
      if (bytes !== undefined && bytes > 0) return bytes;
      context.addIssue({
        code: "custom",
        message: "is not a size",
        params: { suggestion: 'Sizes are numbers of bytes, or written "256KB", "1MB" or "2GB".' },
      });
      return z.NEVER;
    })
    .meta({ kind: "a size" });

export const flag = () =>
  z
    .union([z.boolean(), z.string()])
    .transform((value, context): boolean => {
      if (typeof value === "boolean") return value;
      if (value === "true" || value === "false") return value === "true";
      context.addIssue({ code: "custom", message: "is neither true nor false" });
      return z.NEVER;
    })
    .meta({ kind: "true or false" });

export const listOf = <T extends z.ZodType>(item: T, kind: string) => z.array(item).meta({ kind });
