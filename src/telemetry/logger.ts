/** pino, one vocabulary: `table`, `lsn`, `count`, `bytes`, `destination`, `error`. Logs go to standard error. */
import { writeSync } from "node:fs";
import pino from "pino";
import { prettyFactory } from "pino-pretty";
import { describeError } from "../errors.ts";

export type Logger = pino.Logger;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Pretty on a terminal, JSON lines elsewhere, unless `format` says which. `prefix`: before each pretty line. */
export function createLogger(
  level: LogLevel,
  format: "auto" | "pretty" | "json" = "auto",
  prefix: string | undefined = undefined,
): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: (error: unknown) => describeError(error) },
    redact: {
      paths: [
        "password",
        "connectionString",
        "connection_string",
        "db_connection_string",
        "*.password",
        "*.connectionString",
      ],
      censor: "[hidden]",
    },
  };
  const pretty = format === "pretty" || (format === "auto" && process.stderr.isTTY);
  if (!pretty) return pino(options, pino.destination({ dest: 2, sync: true }));
  if (prefix !== undefined) return pino(options, prefixed(prefix));
  return pino({
    ...options,
    transport: {
      target: "pino-pretty",
      options: { destination: 2, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l", sync: true },
    },
  });
}

/** Pretty lines to standard error, whole, each behind the prefix. */
function prefixed(prefix: string): pino.DestinationStream {
  const pretty = prettyFactory({
    colorize: false,
    ignore: "pid,hostname",
    translateTime: "UTC:yyyy-mm-dd'T'HH:MM:ss.l'Z'",
  });
  return {
    write: (json) => {
      const lines = (pretty(json) ?? "").trimEnd().split("\n");
      writeSync(2, lines.map((line) => `${prefix} ${line}\n`).join(""));
    },
  };
}

/** Says nothing: for tests and for commands that print for themselves. */
export const silent: Logger = pino({ level: "silent" });
