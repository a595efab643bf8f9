/** Measuring several things fairly on a machine that others use too: in turn, several times, and the median of each. */
import { parseArgs } from "node:util";

/** Runs every case `runs` times, in turn; before that each once to warm up. Gives the samples of each case. */
export async function interleaved<T>(cases: readonly (() => Promise<T>)[], runs: number): Promise<T[][]> {
  const samples: T[][] = cases.map(() => []);
  for (let round = -1; round < runs; round++)
    for (const [i, measure] of cases.entries()) {
      const sample = await measure();
      if (round >= 0) samples[i]!.push(sample);
    }
  return samples;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Whole numbers given as `--rows 1000`, by name, with their defaults. */
export function numbersOf<K extends string>(args: string[], defaults: Record<K, number>): Record<K, number> {
  const options = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: "string" as const }]));
  const { values } = parseArgs({ args, options });
  const numbers = { ...defaults };
  for (const name of Object.keys(defaults) as K[]) {
    if (values[name] === undefined) continue;
    numbers[name] = Number(values[name]);
    if (!Number.isInteger(numbers[name]) || numbers[name] < 1)
      throw new Error(`--${name} takes a whole number from 1 on`);
  }
  return numbers;
}

/** Those that are measured: all, or the one that `--only` names, which is taken out of the arguments. */
export function onlyOf<T extends string>(args: string[], all: readonly T[]): readonly T[] {
  const at = args.indexOf("--only");
  if (at < 0) return all;
  const [, name] = args.splice(at, 2);
  if (!all.includes(name as T)) throw new Error(`--only takes one of ${all.join(", ")}`);
  return [name as T];
}

/** 1,234,567 */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
