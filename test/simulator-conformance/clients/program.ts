/** A client's program in another language: one request a line to its standard input, one answer a line from its standard output. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Target } from "../client.ts";
import type { Played, Scenario } from "../scenario.ts";

/** Longer than any scenario takes, also on a busy machine. */
const ANSWER_MS = 120_000;

export class Program {
  readonly #command: string;
  readonly #args: string[];
  #child: ChildProcess | null = null;
  #lines: Interface | null = null;
  #complaints = "";

  constructor(command: string, args: string[]) {
    this.#command = command;
    this.#args = args;
  }

  async play(scenario: Scenario, target: Target): Promise<Played> {
    const child = (this.#child ??= this.#start());
    const request = JSON.stringify({ target, scenario: { steps: scenario.steps.map(withoutExpected) } });
    const answer = new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => child.kill(), ANSWER_MS);
      const ended = (): void => {
        clearTimeout(timer);
        reject(new Error(`${this.#command} ended without an answer. ${this.#complaints}`));
      };
      child.once("close", ended);
      this.#lines!.once("line", (line) => {
        clearTimeout(timer);
        child.off("close", ended);
        resolve(line);
      });
    });
    child.stdin!.write(request + "\n");
    return JSON.parse(await answer) as Played;
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    const closed = new Promise((resolve) => child.once("close", resolve));
    child.stdin!.end();
    await closed;
  }

  #start(): ChildProcess {
    const child = spawn(this.#command, this.#args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#lines = createInterface({ input: child.stdout! });
    child.stderr!.on("data", (chunk) => (this.#complaints += chunk));
    child.stdin!.on("error", () => {});
    child.on("error", (error) => (this.#complaints += error.message));
    child.on("close", () => {
      this.#child = null;
    });
    return child;
  }
}

/** The programs are not told what to see. */
function withoutExpected(step: Scenario["steps"][number]): object {
  if (step.do === "prepared") return { ...step, runs: step.runs.map(({ parameters }) => ({ parameters })) };
  return { ...step, expect: undefined };
}
