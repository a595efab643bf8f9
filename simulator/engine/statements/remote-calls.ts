/** Procedure calls of clients (RPC): the same procedures, called with typed values instead of text. */
import { Activation } from "../run.ts";
import { type ResultSink, type RpcParameter, SqlError } from "../session.ts";
import { convertValue } from "../types/conversion.ts";
import type { Session } from "../user-session.ts";
import type { Value } from "../values.ts";
import { type Argument, callProcedure, parseName } from "./calls.ts";
import { BatchAborted, Executor, ScopeAborted } from "./executor.ts";

/** What sp_prepare made. */
export interface Prepared {
  declarations: string;
  text: string;
}

/** MS-TDS 2.2.6.6 */
const NUMBERED: Record<number, string> = {
  1: "sp_cursor",
  2: "sp_cursoropen",
  3: "sp_cursorprepare",
  4: "sp_cursorexecute",
  5: "sp_cursorprepexec",
  6: "sp_cursorunprepare",
  7: "sp_cursorfetch",
  8: "sp_cursoroption",
  9: "sp_cursorclose",
  10: "sp_executesql",
  11: "sp_prepare",
  12: "sp_execute",
  13: "sp_prepexec",
  14: "sp_prepexecrpc",
  15: "sp_unprepare",
};

/** Procedures whose statements are the client's own: those count, not the call. */
const RUN_TEXTS = new Set(["sp_executesql", "sp_prepare", "sp_execute", "sp_prepexec", "sp_unprepare"]);

/** The statement that a call runs, where it has one, or the procedure's name. */
function textOf(name: string, args: Argument[]): string {
  const text = args[{ sp_executesql: 0, sp_prepare: 2, sp_prepexec: 2 }[name.toLowerCase()] ?? -1]?.value;
  return typeof text === "string" ? text : name;
}

export async function callByRpc(
  session: Session,
  procedure: string | number,
  parameters: RpcParameter[],
  sink: ResultSink,
  signal: AbortSignal,
): Promise<void> {
  const name = typeof procedure === "number" ? NUMBERED[procedure] : procedure;
  if (name === undefined) throw new SqlError(2812, `Could not find stored procedure '${procedure}'.`, 16, 62);
  const outputs: { parameter: RpcParameter; value: Value }[] = [];
  const args = parameters.map((parameter): Argument => {
    const output = { parameter, value: parameter.value };
    if (parameter.output) outputs.push(output);
    return {
      name: parameter.name === "" ? undefined : parameter.name,
      type: parameter.type,
      value: parameter.value,
      default: parameter.default === true,
      ...(parameter.table && { table: parameter.table }),
      give: parameter.output
        ? (value, type) => {
            output.value = convertValue(value, type, parameter.type);
          }
        : null,
    };
  });
  const activation = new Activation(null);
  const executor = new Executor(session, activation, sink, signal);
  let status = 0;
  try {
    session.requestText = textOf(name, args);
    if (!RUN_TEXTS.has(name.toLowerCase())) await session.engine.beforeStatement?.(session, "execute");
    status = await callProcedure(executor, parseName(name), args);
  } catch (error) {
    if (error instanceof SqlError) {
      report(executor, error);
      status = -6;
    } else if (error instanceof ScopeAborted || error instanceof BatchAborted) status = -6;
    else throw error;
  } finally {
    if (!RUN_TEXTS.has(name.toLowerCase())) session.definitionsChanged();
  }
  sink.returnStatus(status);
  for (const { parameter, value } of outputs) sink.output(parameter.name, parameter.type, value);
}

function report(executor: Executor, error: SqlError): void {
  try {
    executor.report(error);
  } catch (ended) {
    if (!(ended instanceof BatchAborted) && !(ended instanceof ScopeAborted)) throw ended;
  }
}
