/** How built-in functions are written down: a name, how many arguments, and what makes the closure. */
import { cast } from "../expressions/arithmetic.ts";
import type { Compiled, Frame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { SqlError } from "../session.ts";
import { isMax, isText, isUnicode } from "../types/types.ts";
import type { SqlType, Value } from "../values.ts";

export interface Builtin {
  minimum: number;
  maximum: number;
  build(args: Compiled[], compiler: Compiler): Compiled;
}

export type Builtins = Record<string, Builtin>;

export function builtin(minimum: number, maximum: number, build: Builtin["build"]): Builtin {
  return { minimum, maximum, build };
}

export function checkCount(name: string, { minimum, maximum }: Builtin, given: number): void {
  if (given >= minimum && given <= maximum) return;
  if (minimum === maximum) throw new SqlError(174, `The ${name} function requires ${minimum} argument(s).`, 15, 1);
  throw new SqlError(189, `The ${name} function requires ${minimum} to ${maximum} arguments.`, 15, 1);
}

/** NULL if any argument is NULL. */
export function strict(
  args: Compiled[],
  type: SqlType,
  apply: (values: NonNullable<Value>[], frame: Frame) => Value,
  volatile = false,
): Compiled {
  return {
    type,
    nullable: args.length === 0 ? false : args.some((arg) => arg.nullable),
    constant: !volatile && args.every((arg) => arg.constant === true),
    evaluate: (frame) => {
      const values: NonNullable<Value>[] = [];
      for (const arg of args) {
        const value = arg.evaluate(frame);
        if (value === null) return null;
        values.push(value);
      }
      return apply(values, frame);
    },
  };
}

/** As text: numbers and dates are converted as they would be implicitly. */
export function text(arg: Compiled): Compiled {
  if (isText(arg.type)) return arg;
  return cast(arg, { id: "varchar", length: 8000 });
}

export function int(arg: Compiled): Compiled {
  return cast(arg, { id: "int" });
}

export function bigint(arg: Compiled): Compiled {
  return cast(arg, { id: "bigint" });
}

export function float(arg: Compiled): Compiled {
  return cast(arg, { id: "float" });
}

/** The variable-length type of a text argument, with another length if given; and its collation. */
export function textResult(
  arg: Compiled,
  length?: number,
): { type: SqlType; collation?: Compiled["collation"] & object } {
  const unicode = isUnicode(arg.type);
  const limit = unicode ? 4000 : 8000;
  const wanted = length ?? (isMax(arg.type) ? -1 : (arg.type.length ?? limit));
  const type: SqlType = {
    id: unicode ? "nvarchar" : "varchar",
    length: wanted === -1 ? -1 : Math.max(1, Math.min(limit, wanted)),
    ...(arg.type.collation === undefined ? {} : { collation: arg.type.collation }),
  };
  return arg.collation ? { type, collation: arg.collation } : { type };
}

/** A strict function on text that gives text of the argument's kind. */
export function textFunction(
  args: Compiled[],
  apply: (values: NonNullable<Value>[], frame: Frame) => string | null,
  length?: number,
): Compiled {
  const { type, collation } = textResult(args[0]!, length);
  const limit = type.length === -1 ? Number.POSITIVE_INFINITY : isUnicode(type) ? 4000 : 8000;
  const result = strict(args, type, (values, frame) => {
    const made = apply(values, frame);
    return made !== null && made.length > limit ? made.slice(0, limit) : made;
  });
  return collation ? { ...result, collation } : result;
}
