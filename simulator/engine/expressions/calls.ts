/** Which function a call means: a built-in one, or one that the catalogue or CDC registered. */
import type { ObjectName } from "../../sql/ast.ts";
import { unsupported } from "../errors.ts";
import { bitFunctions } from "../functions/bits.ts";
import { type Builtins, checkCount } from "../functions/builtin.ts";
import { dateCall, dateFunctions } from "../functions/dates.ts";
import { formatFunctions } from "../functions/format.ts";
import { logicFunctions } from "../functions/logic.ts";
import { mathFunctions } from "../functions/math.ts";
import { parseFunctions } from "../functions/parse.ts";
import { sessionFunctions } from "../functions/session-info.ts";
import { stringFunctions } from "../functions/strings.ts";
import { jsonFunctions } from "../json/functions.ts";
import { SqlError } from "../session.ts";
import { CLR_TYPES, isText } from "../types/types.ts";
import type { Value } from "../values.ts";
import { cast } from "./arithmetic.ts";
import type { Compiled, Frame } from "./compiled.ts";
import type { Compiler } from "./compiler.ts";

const BUILTINS: Builtins = {
  ...stringFunctions,
  ...mathFunctions,
  ...dateFunctions,
  ...logicFunctions,
  ...sessionFunctions,
  ...jsonFunctions,
  ...formatFunctions,
  ...bitFunctions,
  ...parseFunctions,
};

/** Known to SQL Server, not here. */
const MISSING = new Set(["newsequentialid", "grouping", "grouping_id"]);

export const compileDateCall = dateCall;

export function compileCall(name: ObjectName | string, args: Compiled[], compiler: Compiler): Compiled {
  const parts = typeof name === "string" ? [name] : name.parts;
  const last = parts[parts.length - 1]!;
  if (parts.length === 1) {
    const found = Object.hasOwn(BUILTINS, last.toLowerCase()) ? BUILTINS[last.toLowerCase()] : undefined;
    if (found) {
      checkCount(last.toLowerCase(), found, args.length);
      return found.build(args, compiler);
    }
  }
  return registered(parts, args, compiler);
}

function registered(parts: string[], args: Compiled[], compiler: Compiler): Compiled {
  const name = parts[parts.length - 1]!;
  const { engine } = compiler.session;
  const database = parts.length === 3 && parts[0] !== "" ? engine.database(parts[0]!) : compiler.database;
  const schema = parts.length === 1 ? "" : parts[parts.length - 2]! || "dbo";
  const fn = database?.systemObjects.function(schema, name) ?? engine.systemObjects.function(schema, name);
  if (!fn || !database) {
    if (parts.length > 1)
      throw new SqlError(
        4121,
        `Cannot find either column "${parts[0]}" or the user-defined function or aggregate "${parts.join(".")}", or the name is ambiguous.`,
        16,
        1,
      );
    // A static method: hierarchyid::GetRoot().
    const [type] = name.toLowerCase().split("::");
    if (CLR_TYPES.has(type!)) throw unsupported(`the type ${type}`);
    if (MISSING.has(name.toLowerCase())) throw unsupported(name.toUpperCase());
    throw new SqlError(195, `'${name}' is not a recognized built-in function name.`, 15, 10);
  }
  const least = fn.minimum ?? fn.parameters.length;
  if (args.length < least || args.length > fn.parameters.length) {
    if (parts.length > 1 && args.length < least)
      throw new SqlError(
        313,
        `An insufficient number of arguments were supplied for the procedure or function ${parts.join(".")}.`,
        16,
        2,
      );
    if (parts.length > 1)
      throw new SqlError(8144, `Procedure or function ${parts.join(".")} has too many arguments specified.`, 16, 2);
    throw new SqlError(174, `The ${name.toLowerCase()} function requires ${fn.parameters.length} argument(s).`, 15, 1);
  }
  const converted = args.map((arg, i) => cast(arg, fn.parameters[i]!));
  const call = (frame: Frame) =>
    fn.call(
      frame.run.in(database),
      converted.map((arg) => arg.evaluate(frame)),
    );
  const constant = converted.every((arg) => arg.constant === true);
  const key = {};
  return {
    type: fn.returns,
    nullable: true,
    constant,
    ...(isText(fn.returns) ? { collation: { name: compiler.collation, label: "default" as const } } : {}),
    evaluate: constant ? (frame) => remembered(frame.run.cache, key, () => call(frame)) : call,
  };
}

/** What does not change while a statement runs is asked for once. */
function remembered(cache: Map<object, unknown>, key: object, make: () => Value): Value {
  if (!cache.has(key)) cache.set(key, make());
  return cache.get(key) as Value;
}
