/** https://learn.microsoft.com/sql/t-sql/functions/string-functions-transact-sql */
import { decodeText, encodeText } from "../codepages.ts";
import { collationOf } from "../collations.ts";
import { unsupported } from "../errors.ts";
import { cast } from "../expressions/arithmetic.ts";
import type { Compiled } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { likeSource } from "../expressions/like.ts";
import { SqlError } from "../session.ts";
import { foldCharacters, trimBlanks } from "../types/comparison.ts";
import { fromFloat, rescale } from "../types/decimals.ts";
import { isBinary, isMax, isText, isUnicode } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";
import { type Builtins, builtin, float, int, strict, text, textFunction, textResult } from "./builtin.ts";

function collationFor(compiler: Compiler, ...args: Compiled[]) {
  const label = args.map((arg) => arg.collation).find((found) => found !== undefined);
  return collationOf(label?.name ?? compiler.collation);
}

function invalidLength(name: string): SqlError {
  return new SqlError(537, `Invalid length parameter passed to the ${name} function.`, 16, 2);
}

/** A place in text or bytes: int, or bigint where the text is of a max type. */
function placeType(arg: Compiled): SqlType {
  return isMax(arg.type) ? { id: "bigint" } : { id: "int" };
}

function place(type: SqlType, value: number): Value {
  return type.id === "bigint" ? BigInt(value) : value;
}

/**
 * Tells where what is looked for begins, at a place or behind it, from 0; -1 where it is not. Folding may change lengths, so it is done
 * piece by piece if it does.
 */
function finder(haystack: string, needle: string, fold: (part: string) => string): (from: number) => number {
  const folded = fold(haystack);
  const wanted = fold(needle);
  if (folded.length === haystack.length) return (from) => folded.indexOf(wanted, from);
  return (from) => {
    for (let i = from; i <= haystack.length; i++) if (fold(haystack.slice(i)).startsWith(wanted)) return i;
    return -1;
  };
}

export const stringFunctions: Builtins = {
  len: builtin(1, 1, ([arg]) => {
    const operand = isBinary(arg!.type) ? arg! : text(arg!);
    const type = placeType(operand);
    return strict([operand], type, ([value]) =>
      place(type, typeof value === "string" ? trimBlanks(value).length : (value as Buffer).length),
    );
  }),
  datalength: builtin(1, 1, ([arg], compiler) => {
    const type = placeType(arg!);
    const measure = byteLength(arg!.type, compiler.collation);
    return strict([arg!], type, ([value]) => place(type, measure(value!)));
  }),
  left: builtin(2, 2, ([source, count]) =>
    textFunction(
      [text(source!), int(count!)],
      ([value, length]) => {
        if ((length as number) < 0) throw invalidLength("LEFT");
        return (value as string).slice(0, length as number);
      },
      literalLength(count!),
    ),
  ),
  right: builtin(2, 2, ([source, count]) =>
    textFunction(
      [text(source!), int(count!)],
      ([value, length]) => {
        if ((length as number) < 0) throw invalidLength("RIGHT");
        return length === 0 ? "" : (value as string).slice(-(length as number));
      },
      literalLength(count!),
    ),
  ),
  substring: builtin(2, 3, ([source, start, length]) => {
    const count = length ? int(length) : undefined;
    const args = count ? [int(start!), count] : [int(start!)];
    const range = (values: Value[]): [number, number] => {
      const first = (values[0] as number) - 1;
      const size = values[1] === undefined ? Number.MAX_SAFE_INTEGER : (values[1] as number);
      if (size < 0) throw invalidLength("substring");
      return [Math.max(0, first), Math.max(0, first + size)];
    };
    if (isBinary(source!.type)) {
      const size = length?.literal as number | undefined;
      const type: SqlType = {
        id: "varbinary",
        length: size && size > 0 && size <= 8000 ? size : isMax(source!.type) ? -1 : (source!.type.length ?? 8000),
      };
      return strict([source!, ...args], type, ([value, ...rest]) => (value as Buffer).subarray(...range(rest)));
    }
    return textFunction(
      [text(source!), ...args],
      ([value, ...rest]) => (value as string).slice(...range(rest)),
      length ? literalLength(length) : undefined,
    );
  }),
  charindex: builtin(2, 3, ([needle, haystack, start], compiler) => {
    const [a, b] = [text(needle!), text(haystack!)];
    const fold = foldCharacters(collationFor(compiler, b, a));
    const type = placeType(b);
    return strict(start ? [a, b, int(start)] : [a, b], type, ([wanted, within, from]) => {
      if (wanted === "") return place(type, 0);
      const begin = Math.max(0, ((from as number | undefined) ?? 1) - 1);
      return place(type, finder(within as string, wanted as string, fold)(begin) + 1);
    });
  }),
  patindex: builtin(2, 2, ([pattern, source], compiler) => {
    const [a, b] = [text(pattern!), text(source!)];
    const collation = collationFor(compiler, b, a);
    const fold = foldCharacters(collation);
    const type = placeType(b);
    return strict([a, b], type, ([wanted, within]) => {
      const folded = fold(wanted as string);
      const open = folded.startsWith("%");
      const core = open ? folded.replace(/^%+/, "") : folded;
      const end = core.endsWith("%") ? core.replace(/%+$/, "") : core;
      const tail = end === core ? "$" : "";
      if (end === "" && open) return place(type, (within as string).length > 0 || core !== end ? 1 : 0);
      const found = new RegExp(`${open ? "" : "^"}${likeSource(end, "", collation)}${tail}`, "su").exec(
        fold(within as string),
      );
      return place(type, found ? found.index + 1 : 0);
    });
  }),
  replace: builtin(3, 3, ([source, needle, by], compiler) => {
    const args = [text(source!), text(needle!), text(by!)];
    const fold = foldCharacters(collationFor(compiler, ...args));
    const unicode = args.some((arg) => isUnicode(arg.type));
    const base =
      unicode && !isUnicode(args[0]!.type)
        ? cast(args[0]!, { id: "nvarchar", length: isMax(args[0]!.type) ? -1 : 4000 })
        : args[0]!;
    const length = isMax(base.type) ? -1 : unicode ? 4000 : 8000;
    return textFunction(
      [base, args[1]!, args[2]!],
      ([within, wanted, instead]) => {
        if (wanted === "") return within as string;
        const next = finder(within as string, wanted as string, fold);
        let result = "";
        let at = 0;
        for (;;) {
          const found = next(at);
          if (found < 0) return result + (within as string).slice(at);
          result += (within as string).slice(at, found) + (instead as string);
          at = found + (wanted as string).length;
        }
      },
      length,
    );
  }),
  upper: builtin(1, 1, ([arg]) => textFunction([text(arg!)], ([value]) => mapCase(value as string, "toUpperCase"))),
  lower: builtin(1, 1, ([arg]) => textFunction([text(arg!)], ([value]) => mapCase(value as string, "toLowerCase"))),
  ltrim: builtin(1, 2, ([arg, set]) => trimmer(arg!, set, true, false)),
  rtrim: builtin(1, 2, ([arg, set]) => trimmer(arg!, set, false, true)),
  trim: builtin(1, 2, ([arg, set]) => trimmer(arg!, set, true, true)),
  concat: builtin(2, 254, (args) => joined(args.map(text), null)),
  concat_ws: builtin(3, 254, ([separator, ...args]) => joined(args.map(text), text(separator!))),
  stuff: builtin(4, 4, ([source, start, length, by]) => {
    const args = [text(source!), int(start!), int(length!)];
    const insert = text(by!);
    const { type, collation } = textResult(
      args[0]!,
      isMax(args[0]!.type) || isMax(insert.type) ? -1 : isUnicode(args[0]!.type) ? 4000 : 8000,
    );
    const result: Compiled = {
      type,
      nullable: true,
      evaluate: (frame) => {
        const [value, first, count] = args.map((arg) => arg.evaluate(frame)) as [
          string | null,
          number | null,
          number | null,
        ];
        if (value === null || first === null || count === null) return null;
        if (first < 1 || first > value.length || count < 0) return null;
        return (
          value.slice(0, first - 1) + ((insert.evaluate(frame) as string | null) ?? "") + value.slice(first - 1 + count)
        );
      },
    };
    return collation ? { ...result, collation } : result;
  }),
  replicate: builtin(2, 2, ([source, count]) => {
    const operand = text(source!);
    const length = isMax(operand.type) ? -1 : isUnicode(operand.type) ? 4000 : 8000;
    return textFunction(
      [operand, int(count!)],
      ([value, times]) => {
        if ((times as number) < 0) return null;
        // Never much more than can be kept.
        const most = length === -1 ? (times as number) : Math.ceil(length / Math.max(1, (value as string).length));
        return (value as string).repeat(Math.min(times as number, most));
      },
      length,
    );
  }),
  reverse: builtin(1, 1, ([arg]) =>
    textFunction([text(arg!)], ([value]) => (value as string).split("").reverse().join("")),
  ),
  space: builtin(1, 1, ([count]) =>
    orNull([int(count!)], { id: "varchar", length: 8000 }, ([times]) =>
      (times as number) < 0 ? null : " ".repeat(Math.min(8000, times as number)),
    ),
  ),
  str: builtin(1, 3, ([value, length, decimals]) => {
    const args = [float(value!), ...(length ? [int(length)] : []), ...(decimals ? [int(decimals)] : [])];
    return strict(args, { id: "varchar", length: 8000 }, ([number, width = 10, places = 0]) => {
      const written = rescale(fromFloat(number as number, 20), Math.min(16, places as number)).toString();
      const whole = written.split(".")[0]!.length;
      if (whole > (width as number)) return "*".repeat(width as number);
      const room = Math.max(0, (width as number) - whole - 1);
      const fitted = rescale(fromFloat(number as number, 20), Math.min(16, places as number, room)).toString();
      return fitted.padStart(width as number, " ");
    });
  }),
  char: builtin(1, 1, ([code], compiler) =>
    orNull([int(code!)], { id: "char", length: 1 }, ([value]) =>
      (value as number) < 0 || (value as number) > 255
        ? null
        : decodeText(Buffer.of(value as number), collationOf(compiler.collation)),
    ),
  ),
  nchar: builtin(1, 1, ([code]) =>
    orNull([int(code!)], { id: "nchar", length: 1 }, ([value]) =>
      (value as number) < 0 || (value as number) > 65535 ? null : String.fromCharCode(value as number),
    ),
  ),
  ascii: builtin(1, 1, ([arg], compiler) =>
    orNull([text(arg!)], { id: "int" }, ([value]) =>
      value === "" ? null : encodeText((value as string).slice(0, 1), collationOf(compiler.collation))[0]!,
    ),
  ),
  unicode: builtin(1, 1, ([arg]) =>
    orNull([text(arg!)], { id: "int" }, ([value]) => (value === "" ? null : (value as string).charCodeAt(0))),
  ),
  quotename: builtin(1, 2, ([name, quote]) =>
    orNull(
      quote
        ? [cast(text(name!), { id: "nvarchar", length: -1 }), text(quote)]
        : [cast(text(name!), { id: "nvarchar", length: -1 })],
      { id: "nvarchar", length: 258 },
      ([value, sign = "["]) => {
        if ((value as string).length > 128) return null;
        const pairs: Record<string, [string, string]> = {
          "[": ["[", "]"],
          "]": ["[", "]"],
          "'": ["'", "'"],
          '"': ['"', '"'],
          "(": ["(", ")"],
          ")": ["(", ")"],
          "<": ["<", ">"],
          ">": ["<", ">"],
          "{": ["{", "}"],
          "}": ["{", "}"],
          "`": ["`", "`"],
        };
        const pair = pairs[(sign as string).charAt(0)];
        return pair ? pair[0] + (value as string).split(pair[1]).join(pair[1] + pair[1]) + pair[1] : null;
      },
    ),
  ),
  parsename: builtin(2, 2, ([name, part]) =>
    orNull([text(name!), int(part!)], { id: "nvarchar", length: 128 }, ([value, wanted]) => {
      const parts = [
        ...(value as string).matchAll(/\[((?:[^\]]|\]\])*)\]|"((?:[^"]|"")*)"|([^.]+)|(?<=^|\.)(?=\.|$)/g),
      ].map((found) => found[1]?.replace(/\]\]/g, "]") ?? found[2]?.replace(/""/g, '"') ?? found[3] ?? "");
      if (parts.length > 4) return null;
      return parts[parts.length - (wanted as number)] || null;
    }),
  ),
  // UPDATE … SET column.WRITE (…): https://learn.microsoft.com/sql/t-sql/queries/update-transact-sql
  $write: builtin(4, 4, ([column, put, offset, length]) => {
    const { type } = column!;
    if (type.length !== -1) throw new SqlError(258, `Cannot call methods on ${type.id}.`, 15, 1);
    const [value, from, count] = [cast(put!, type), cast(offset!, { id: "bigint" }), cast(length!, { id: "bigint" })];
    return {
      type,
      nullable: true,
      ...(column!.collation ? { collation: column!.collation } : {}),
      evaluate: (frame) => {
        const now = column!.evaluate(frame) as string | Buffer | null;
        if (now === null) throw unsupported(".WRITE() of a column that is NULL");
        const given = value.evaluate(frame) as string | Buffer | null;
        const at = Number(from.evaluate(frame) ?? now.length);
        if (at < 0 || at > now.length)
          throw new SqlError(7116, `Offset ${at} is not in the range of available LOB data.`, 16, 4);
        // NULL cuts the value off where it would be put in.
        const size = given === null ? null : count.evaluate(frame);
        const end = size === null ? now.length : Math.min(now.length, at + Number(size));
        if (typeof now === "string") return now.slice(0, at) + ((given as string | null) ?? "") + now.slice(end);
        return Buffer.concat([now.subarray(0, at), (given as Buffer | null) ?? Buffer.alloc(0), now.subarray(end)]);
      },
    };
  }),
  translate: builtin(3, 3, ([source, from, to]) =>
    textFunction([text(source!), text(from!), text(to!)], ([value, characters, instead]) => {
      if ((characters as string).length !== (instead as string).length)
        throw new SqlError(
          9828,
          "The second and third arguments of the TRANSLATE built-in function must contain an equal number of characters.",
          16,
          1,
        );
      return [...(value as string)].map((c) => (instead as string)[(characters as string).indexOf(c)] ?? c).join("");
    }),
  ),
  soundex: builtin(1, 1, ([arg]) =>
    strict([text(arg!)], { id: "varchar", length: 4 }, ([value]) => soundex(value as string)),
  ),
  difference: builtin(2, 2, ([a, b]) =>
    strict([text(a!), text(b!)], { id: "int" }, ([x, y]) => {
      const left = soundex(x as string);
      const right = soundex(y as string);
      return [...left].filter((c, i) => c === right[i]).length;
    }),
  ),
};

/** NULL also where no argument is. */
function orNull(...args: Parameters<typeof strict>): Compiled {
  return { ...strict(...args), nullable: true };
}

function soundex(value: string): string {
  const codes: Record<string, string> = {};
  for (const [digit, letters] of Object.entries({ 1: "BFPV", 2: "CGJKQSXZ", 3: "DT", 4: "L", 5: "MN", 6: "R" }))
    for (const letter of letters) codes[letter] = digit;
  const letters = value.toUpperCase();
  if (!/^[A-Z]/.test(letters)) return "0000";
  let result = letters[0]!;
  let last = codes[letters[0]!] ?? "";
  for (const letter of letters.slice(1)) {
    if (!/[A-Z]/.test(letter)) break;
    const code = codes[letter] ?? "";
    if (code !== "" && code !== last) result += code;
    if (letter !== "H" && letter !== "W") last = code;
  }
  return result.padEnd(4, "0").slice(0, 4);
}

/** Only letters whose other case is one letter too: the length stays. */
function mapCase(value: string, way: "toUpperCase" | "toLowerCase"): string {
  const mapped = value[way]();
  if (mapped.length === value.length) return mapped;
  return [...value].map((c) => (c[way]().length === c.length ? c[way]() : c)).join("");
}

function literalLength(count: Compiled): number | undefined {
  const { literal } = count;
  return typeof literal === "number" && literal > 0 && literal <= 4000 ? literal : undefined;
}

function trimmer(arg: Compiled, set: Compiled | undefined, left: boolean, right: boolean): Compiled {
  const args = set ? [text(arg), text(set)] : [text(arg)];
  return textFunction(args, ([value, characters = " "]) => {
    const source = value as string;
    let start = 0;
    let end = source.length;
    while (left && start < end && (characters as string).includes(source[start]!)) start++;
    while (right && end > start && (characters as string).includes(source[end - 1]!)) end--;
    return source.slice(start, end);
  });
}

/** NULLs count as nothing. */
function joined(args: Compiled[], separator: Compiled | null): Compiled {
  const unicode = args.some((arg) => isUnicode(arg.type)) || (separator !== null && isUnicode(separator.type));
  const max = args.some((arg) => isMax(arg.type));
  const limit = unicode ? 4000 : 8000;
  const total =
    args.reduce((sum, arg) => sum + (arg.type.length ?? limit), 0) +
    (separator ? (separator.type.length ?? 1) * (args.length - 1) : 0);
  const collation = args.map((arg) => arg.collation).find((found) => found !== undefined);
  const type: SqlType = {
    id: unicode ? "nvarchar" : "varchar",
    length: max ? -1 : Math.max(1, Math.min(limit, total)),
  };
  return {
    type,
    nullable: false,
    ...(collation ? { collation } : {}),
    evaluate: (frame) => {
      const between = separator ? ((separator.evaluate(frame) as string | null) ?? "") : "";
      const parts: string[] = [];
      for (const arg of args) {
        const value = arg.evaluate(frame) as string | null;
        if (value !== null) parts.push(value);
        else if (!separator) parts.push("");
      }
      const result = parts.join(between);
      return max ? result : result.slice(0, limit);
    },
  };
}

/** Bytes that a value takes. https://learn.microsoft.com/sql/t-sql/functions/datalength-transact-sql */
export function byteLength(type: SqlType, collation: string): (value: NonNullable<Value>) => number {
  if (isUnicode(type)) return (value) => (value as string).length * 2;
  if (isText(type)) {
    const page = collationOf(type.collation ?? collation);
    return (value) => encodeText(value as string, page).length;
  }
  if (isBinary(type)) return (value) => (value as Buffer).length;
  const scale = type.scale ?? 7;
  const timeBytes = scale <= 2 ? 3 : scale <= 4 ? 4 : 5;
  const precision = type.precision ?? 18;
  const sizes: Partial<Record<SqlType["id"], number>> = {
    bit: 1,
    tinyint: 1,
    smallint: 2,
    int: 4,
    bigint: 8,
    decimal: precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17,
    numeric: precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17,
    money: 8,
    smallmoney: 4,
    float: 8,
    real: 4,
    date: 3,
    time: timeBytes,
    datetime: 8,
    smalldatetime: 4,
    datetime2: timeBytes + 3,
    datetimeoffset: timeBytes + 5,
    uniqueidentifier: 16,
  };
  const size = sizes[type.id] ?? 0;
  return () => size;
}
