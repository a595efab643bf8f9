/** A folder with provider scripts and a task of them, for tests of `dstream run`. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Workplace } from "../cli/dstream.ts";

export const READY = `echo '{"status":"ready"}'`;

export interface Sides {
  input: string;
  output: string;
  rest?: string;
}

/** A folder with scripts and one task, "it". Sides are shell scripts, or the inside of a block where they hold `=`. */
export function place(
  t: TestContext,
  { input, output, rest = "" }: Sides,
  env: Record<string, string> = {},
): Workplace {
  const work = new Workplace(t, null, env);
  const side = (name: string, text: string) => {
    if (/^\s*provider\w* =/.test(text)) return text;
    script(work, `${name}.sh`, text);
    return `provider_path = "./${name}.sh"\nhandshake_timeout = "20s"`;
  };
  work.configure(
    `task "it" {\ninput {\n${side("input", input)}\n}\noutput {\n${side("output", output)}\n}\n${rest}\n}\n`,
  );
  return work;
}

export function script(work: Workplace, name: string, text: string): void {
  writeFileSync(work.path(name), `#!/bin/sh\n${text}\n`);
  chmodSync(work.path(name), 0o755);
}

export const keeping = `read -r envelope\n${READY}\ncat > kept.jsonl\nsleep 0.2\necho done > finished`;
export const counting = (count: number) => `provider = "counter"\nconfig {\ninterval = "0s"\nmax_count = ${count}\n}`;
export const kept = (work: Workplace) => readFileSync(work.path("kept.jsonl"), "utf8");

export async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(20);
  }
}

export async function appears(path: string): Promise<string> {
  while (!existsSync(path) || readFileSync(path, "utf8").trim() === "") await sleep(20);
  return readFileSync(path, "utf8").trim();
}
