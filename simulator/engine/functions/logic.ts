/** NULLs, choices, identifiers and hashes. */
import { createHash } from "node:crypto";
import { encodeText } from "../codepages.ts";
import { collationOf } from "../collations.ts";
import { unsupported } from "../errors.ts";
import { cast } from "../expressions/arithmetic.ts";
import type { Compiled } from "../expressions/compiled.ts";
import { choose } from "../expressions/compiler.ts";
import { comparison } from "../expressions/conditions.ts";
import { SqlError } from "../session.ts";
import { foldOf } from "../types/comparison.ts";
import { guidFromBytes } from "../types/conversion.ts";
import { INT, isBinary, isInteger, isNumber, isText, isUnicode, unify } from "../types/types.ts";
import { Decimal, type SqlType, Temporal, type Value, Variant } from "../values.ts";
import { type Builtins, builtin, int, strict, text } from "./builtin.ts";

/**
 * ISNUMERIC: what converts to one of the numeric types. Money is one, to which signs, currency symbols and a point alone are 0.
 * https://learn.microsoft.com/sql/t-sql/functions/isnumeric-transact-sql
 */
const MONEY_TEXT = /^\s*(?:[+-]?\s*[$£€¥]?|[$£€¥]\s*[+-]?)\s*[\d,]*\.?\d*\s*$/;
const FLOAT_TEXT = /^\s*[+-]?\s*(?:\d+\.?\d*|\.\d+)(?:[ed][+-]?\d*)?\s*$/i;

function isNumericText(text: string): boolean {
  return text.trim() !== "" && (MONEY_TEXT.test(text) || FLOAT_TEXT.test(text));
}

const DIGESTS: Record<string, string> = {
  md5: "md5",
  sha: "sha1",
  sha1: "sha1",
  sha2_256: "sha256",
  sha2_512: "sha512",
};

export const logicFunctions: Builtins = {
  coalesce: builtin(2, 254, (args) => {
    const type = args.reduce((common, arg) => unify(common, arg.type), { id: "null" } as SqlType);
    if (type.id === "null")
      throw new SqlError(
        4127,
        "At least one of the arguments to COALESCE must be an expression that is not the NULL constant.",
        16,
        1,
      );
    const ready = args.map((arg) => cast(arg, type));
    const collation = args.map((arg) => arg.collation).find((label) => label !== undefined);
    return {
      type: collation && isText(type) ? { ...type, collation: collation.name } : type,
      nullable: args.every((arg) => arg.nullable),
      constant: args.every((arg) => arg.constant === true),
      ...(collation && isText(type) ? { collation } : {}),
      evaluate: (frame) => {
        for (const arg of ready) {
          const value = arg.evaluate(frame);
          if (value !== null) return value;
        }
        return null;
      },
    };
  }),
  // The result has the first argument's type: https://learn.microsoft.com/sql/t-sql/functions/isnull-transact-sql
  isnull: builtin(2, 2, ([first, second]) => {
    const type = first!.type.id === "null" ? (second!.type.id === "null" ? INT : second!.type) : first!.type;
    const [a, b] = [cast(first!, type), cast(second!, type)];
    return {
      type,
      nullable: first!.nullable && second!.nullable,
      constant: first!.constant === true && second!.constant === true,
      ...(first!.collation ? { collation: first!.collation } : {}),
      ...(a === first && first.column ? { unlessNull: first.column } : {}),
      evaluate: (frame) => a.evaluate(frame) ?? b.evaluate(frame),
    };
  }),
  nullif: builtin(2, 2, ([first, second]) => {
    if (first!.type.id === "null")
      throw new SqlError(
        4151,
        "The type of the first argument to NULLIF cannot be the NULL constant because the type of the first argument has to be known.",
        16,
        1,
      );
    const equal = comparison("=", first!, second!);
    const { column: _, unlessNull: __, literalDigits: ___, literal: ____, ...rest } = first!;
    return { ...rest, nullable: true, evaluate: (frame) => (equal(frame) === true ? null : first!.evaluate(frame)) };
  }),
  choose: builtin(2, 254, ([index, ...values]) => {
    const place = int(index!);
    return choose(
      values.map((value, i) => ({ when: (frame) => place.evaluate(frame) === i + 1, value })),
      undefined,
    );
  }),
  greatest: builtin(1, 254, (args) => extreme(args, 1)),
  least: builtin(1, 254, (args) => extreme(args, -1)),
  newid: builtin(0, 0, (_args, compiler) => ({
    type: { id: "uniqueidentifier" },
    nullable: false,
    evaluate: () => {
      const bytes = compiler.session.engine.randomBytes(16);
      // Version 4, variant 1, at their places in the stored form.
      bytes[7] = (bytes[7]! & 0x0f) | 0x40;
      bytes[8] = (bytes[8]! & 0x3f) | 0x80;
      return guidFromBytes(bytes);
    },
  })),
  // https://learn.microsoft.com/sql/t-sql/functions/newsequentialid-transact-sql
  newsequentialid: builtin(0, 0, (_args, compiler) => {
    if (!compiler.forDefault)
      throw new SqlError(
        302,
        "The newsequentialid() built-in function can only be used in a DEFAULT expression for a column of type 'uniqueidentifier' in a CREATE TABLE or ALTER TABLE statement. It cannot be combined with other operators to form a complex scalar expression.",
        16,
        0,
      );
    return {
      type: { id: "uniqueidentifier" },
      nullable: false,
      evaluate: ({ run }) => guidFromBytes(run.engine.nextSequentialId()),
    };
  }),
  isnumeric: builtin(1, 1, ([arg]) => {
    if (isNumber(arg!.type))
      return { type: INT, nullable: false, evaluate: (frame) => (arg!.evaluate(frame) === null ? 0 : 1) };
    if (!isText(arg!.type)) return { type: INT, nullable: false, evaluate: () => 0 };
    return {
      type: INT,
      nullable: false,
      evaluate: (frame) => {
        const value = arg!.evaluate(frame) as string | null;
        return value !== null && isNumericText(value) ? 1 : 0;
      },
    };
  }),
  hashbytes: builtin(2, 2, ([algorithm, input], compiler) => {
    const page = collationOf(input!.type.collation ?? compiler.collation);
    if (!isText(input!.type) && !isBinary(input!.type))
      throw new SqlError(
        8116,
        `Argument data type ${input!.type.id} is invalid for argument 2 of hashbytes function.`,
        16,
        1,
      );
    const unicode = isUnicode(input!.type);
    return strict([text(algorithm!), input!], { id: "varbinary", length: 8000 }, ([name, value]) => {
      const digest = DIGESTS[(name as string).toLowerCase()];
      if (!digest) {
        // What there is no such algorithm for is NULL; these two are only not here.
        if (/^md[24]$/i.test(name as string)) throw unsupported(`HASHBYTES with ${name}`);
        return null;
      }
      const bytes =
        typeof value === "string"
          ? unicode
            ? Buffer.from(value, "utf16le")
            : encodeText(value, page)
          : (value as Buffer);
      return createHash(digest).update(bytes).digest();
    });
  }),
  // The same for equal lists, as SQL Server promises. The numbers are its own for int and shorter, and in BINARY_CHECKSUM for varchar.
  checksum: builtin(1, 254, (args, compiler) => checksum(args, compiler.collation, true)),
  binary_checksum: builtin(1, 254, (args, compiler) => checksum(args, compiler.collation, false)),
  sql_variant_property: builtin(2, 2, ([value, property]) => {
    const asVariant = cast(value!, { id: "sql_variant" });
    return strict([asVariant, text(property!)], { id: "sql_variant" }, ([variant, name]) =>
      variantProperty(variant as Variant, name as string),
    );
  }),
};

function extreme(args: Compiled[], sign: 1 | -1): Compiled {
  const type = args.reduce((common, arg) => unify(common, arg.type), { id: "null" } as SqlType);
  const ready = args.map((arg) => cast(arg, type));
  let left: Value = null;
  let right: Value = null;
  const side = (read: () => Value): Compiled => ({
    type,
    nullable: true,
    evaluate: read,
    ...(args[0]!.collation ? { collation: args[0]!.collation } : {}),
  });
  const better = comparison(
    sign === 1 ? ">" : "<",
    side(() => left),
    side(() => right),
  );
  return {
    type,
    nullable: args.every((arg) => arg.nullable),
    ...(args[0]!.collation ? { collation: args[0]!.collation } : {}),
    evaluate: (frame) => {
      let best: Value = null;
      for (const arg of ready) {
        left = arg.evaluate(frame);
        right = best;
        if (left !== null && (best === null || better(frame) === true)) best = left;
      }
      return best;
    },
  };
}

/** Every part is put in after a turn by four bits. */
function turned(sum: number, part: number): number {
  return ((sum << 4) | (sum >>> 28)) ^ part;
}

function checksum(args: Compiled[], collation: string, folded: boolean): Compiled {
  return {
    type: INT,
    nullable: false,
    evaluate: (frame) => {
      let sum = 0;
      for (const arg of args) {
        const value = arg.evaluate(frame);
        let part = 0x7fffffff;
        if (value !== null && isInteger(arg.type)) {
          const number = BigInt(value as number | bigint | boolean);
          part = Number(BigInt.asIntN(32, number ^ (arg.type.id === "bigint" ? number >> 32n : 0n)));
        } else if (value !== null) {
          const fold =
            typeof value === "string" && folded ? foldOf(collationOf(arg.type.collation ?? collation)) : null;
          const shown = fold ? fold(value as string) : printed(value);
          part = 0;
          for (let i = 0; i < shown.length; i++) part = turned(part, shown.charCodeAt(i));
        }
        sum = turned(sum, part);
      }
      return sum | 0;
    },
  };
}

function printed(value: Value): string {
  if (value === null) return "\0";
  if (Buffer.isBuffer(value)) return value.toString("latin1");
  if (value instanceof Temporal) return `${value.days}:${value.ticks}:${value.offset}`;
  if (value instanceof Variant) return printed(value.value);
  return value instanceof Decimal ? value.toString() : String(value);
}

function variantProperty({ type, value }: Variant, property: string): Variant | null {
  const name = (text: string) => new Variant({ id: "nvarchar", length: 128 }, text);
  const number = (n: number) => new Variant(INT, n);
  switch (property.toLowerCase()) {
    case "basetype":
      return name(type.id);
    case "precision":
      return number(
        type.precision ??
          (type.id === "int"
            ? 10
            : type.id === "bigint"
              ? 19
              : type.id === "smallint"
                ? 5
                : type.id === "tinyint"
                  ? 3
                  : 0),
      );
    case "scale":
      return number(type.scale ?? 0);
    case "collation":
      return type.collation ? name(type.collation) : null;
    case "maxlength":
      return number((type.length ?? 0) * (isUnicode(type) ? 2 : 1));
    case "totalbytes":
      return number(typeof value === "string" ? value.length * (isUnicode(type) ? 2 : 1) + 8 : 12);
    default:
      return null;
  }
}
