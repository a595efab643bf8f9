/** What a provider prints to standard error: logged line by line, with the level that it names, and its end remembered. */
import type { Readable } from "node:stream";
import type { Logger } from "../telemetry/logger.ts";

const LAST = 10;
/** A longer line is logged in pieces. */
const LONGEST = 16 * 1024;

const LEVELS = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  fatal: "error",
} as const;
type Level = (typeof LEVELS)[keyof typeof LEVELS];
/** pino's numbers. */
const NUMBERS: Record<number, Level> = { 10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "error" };

export class LogLines {
  readonly logger: Logger;
  readonly last: string[] = [];
  #rest = "";

  constructor(stderr: Readable, logger: Logger) {
    this.logger = logger;
    stderr.setEncoding("utf8");
    stderr.on("data", (text: string) => this.#take(text));
    stderr.on("end", () => this.#line(this.#rest));
    stderr.on("error", () => {});
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split(/\r?\n/);
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(line);
    if (this.#rest.length > LONGEST) {
      this.#line(this.#rest);
      this.#rest = "";
    }
  }

  #line(line: string): void {
    if (line.trim() === "") return;
    this.last.push(line);
    if (this.last.length > LAST) this.last.shift();
    this.logger[levelOf(line)](line);
  }
}

/** Of a JSON line its `level`, else the first word that is one; `info` where there is none. */
export function levelOf(line: string): Level {
  if (line.startsWith("{")) {
    try {
      const { level } = JSON.parse(line) as { level?: string | number };
      const known =
        typeof level === "number" ? NUMBERS[level] : LEVELS[String(level).toLowerCase() as keyof typeof LEVELS];
      if (known !== undefined) return known;
    } catch {
      // It only looks like JSON.
    }
  }
  const word = /\b(TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL)\b/.exec(line.slice(0, 120))?.[1];
  return word === undefined ? "info" : LEVELS[word.toLowerCase() as keyof typeof LEVELS];
}
