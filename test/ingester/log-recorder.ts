/** A logger whose lines a test can read. */
import { Writable } from "node:stream";
import pino from "pino";
import { describeError } from "../../src/errors.ts";
import type { Logger } from "../../src/telemetry/logger.ts";

export interface Recorder {
  logger: Logger;
  entries: { level: string; text: string }[];
}

export function recorder(): Recorder {
  const entries: Recorder["entries"] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const text = chunk.toString();
      entries.push({ level: (JSON.parse(text) as { level: string }).level, text });
      done();
    },
  });
  const formatters = { level: (label: string) => ({ level: label }) };
  return { logger: pino({ level: "debug", formatters, serializers: { error: describeError } }, stream), entries };
}

/** As they were written, one JSON object each. */
export function lines({ entries }: Recorder, level: string): string[] {
  return entries.filter((entry) => entry.level === level).map(({ text }) => text);
}
