/** Waiting without holding anything up; ended by the request's end. */
import { Cancelled } from "../errors.ts";
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
