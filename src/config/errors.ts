import { DStreamError } from "../errors.ts";

/** One thing that is wrong in a configuration, where it stands, and how to put it right. */
export interface Problem {
  file: string;
  /** From 1. */
  line: number;
  /** From 1, in UTF-16 units, as editors count. */
  column: number;
  message: string;
  suggestion?: string | undefined;
}

/**
 * All that is wrong with a configuration, at once. Never holds the value of an environment variable, nor of a key that
 * holds a secret.
 */
export class ConfigError extends DStreamError {
  readonly code = "DSTREAM_CONFIG";
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(line).join("\n"));
    this.problems = problems;
  }
}

function line({ file, line, column, message, suggestion }: Problem): string {
  return `${file}:${line}:${column}: ${message}${suggestion === undefined ? "" : `\n    ${suggestion}`}`;
}
