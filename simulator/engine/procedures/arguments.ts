/** Arguments of the engine's own procedures, by name or place. */
import { SqlError } from "../session.ts";
import { type Argument, argumentValue } from "../statements/calls.ts";
import type { Session } from "../user-session.ts";
import type { SqlType, Value } from "../values.ts";

const NTEXT: SqlType = { id: "nvarchar", length: -1 };

export class Arguments {
  readonly #procedure: string;
  readonly #args: Argument[];
  readonly #names: string[];
  readonly #session: Session;

  /** `names` in order, without @, lower case. */
  constructor(procedure: string, names: string[], args: Argument[], session: Session) {
    this.#procedure = procedure;
    this.#names = names;
    this.#args = args;
    this.#session = session;
    for (const { name } of args)
      if (name !== undefined && !names.includes(name.slice(1).toLowerCase()))
        throw new SqlError(8145, `${name} is not a parameter for procedure ${procedure}.`, 16, 2);
    if (args.length > names.length)
      throw new SqlError(8144, `Procedure or function ${procedure} has too many arguments specified.`, 16, 2);
  }

  find(name: string): Argument | undefined {
    const place = this.#names.indexOf(name);
    const found = this.#args.find((arg, i) =>
      arg.name === undefined ? i === place : arg.name.slice(1).toLowerCase() === name,
    );
    return found?.default ? undefined : found;
  }

  value(name: string, type: SqlType, otherwise?: Value): Value {
    const found = this.find(name);
    if (found) return argumentValue(found, type, this.#session);
    if (otherwise !== undefined) return otherwise;
    throw new SqlError(
      201,
      `Procedure or function '${this.#procedure}' expects parameter '@${name}', which was not supplied.`,
      16,
      4,
    );
  }

  text(name: string, otherwise?: string | null): string | null {
    return this.value(name, NTEXT, otherwise) as string | null;
  }
}
