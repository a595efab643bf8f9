/** Waiting without holding anything up; ended by the request's end. */
import { Cancelled } from "../errors.ts";
import { SqlError } from "../session.ts";
import { convertValue } from "../types/conversion.ts";
import { Temporal } from "../values.ts";
import type { Kind } from "./changes.ts";
import type { Executor } from "./executor.ts";

/** Milliseconds. Throws Cancelled when the request is aborted. */
export async function pause(executor: Pick<Executor, "signal">, milliseconds: number): Promise<void> {
  const { signal } = executor;
  if (signal.aborted) throw new Cancelled();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new Cancelled());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** WAITFOR DELAY and WAITFOR TIME. */
export async function waitFor(executor: Executor, statement: Kind<"waitfor">): Promise<void> {
  const expr = statement.delay ?? statement.time;
  const value = expr ? await executor.value(expr) : null;
  const text =
    value instanceof Temporal ? value : convertValue(value, { id: "nvarchar", length: 4000 }, { id: "time", scale: 7 });
  if (!(text instanceof Temporal))
    throw new SqlError(148, `Incorrect time syntax in time string '${String(value)}' used with WAITFOR.`, 15, 1);
  let milliseconds = text.ticks / 10_000;
  if (statement.time) {
    const now = executor.session.engine.now();
    const local = now.getTime() + executor.session.engine.timeZone.offsetAt(now.getTime()) * 60_000;
    milliseconds = (milliseconds - (local % 86_400_000) + 86_400_000) % 86_400_000;
  }
  await pause(executor, milliseconds);
  executor.sink.statementDone({});
}
