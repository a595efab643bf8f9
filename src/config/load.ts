/** dstream.hcl, from its text to a configuration that has nothing wrong, or to everything that is wrong with it. */
import { readFile } from "node:fs/promises";
import { checkSettings } from "./checks.ts";
import type { Config } from "./config.ts";
import { ConfigError, type Problem } from "./errors.ts";
import type { Body, Environment, Note } from "./hcl/document.ts";
import { evaluateHcl } from "./hcl/evaluate.ts";
import { parseHcl } from "./hcl/parse.ts";
import { resolveConfig } from "./resolve.ts";
import { readSettings } from "./settings.ts";
import { type Built, builtToday } from "./types.ts";

/** Throws ConfigError. */
export async function loadConfig(path: string, env: Environment): Promise<Config> {
  return parseConfig(await readConfigFile(path), path, env);
}

/** Throws ConfigError. */
export async function readConfigFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const message = missing
      ? "there is no such configuration file"
      : `the configuration file cannot be read (${(error as NodeJS.ErrnoException).code})`;
    const suggestion = "Name the file with --config; docs/configuration.md begins with an example.";
    throw new ConfigError([{ file: path, line: 1, column: 1, message, suggestion: missing ? suggestion : undefined }]);
  }
}

/**
 * `file` is named in errors, and relative paths start at its folder. Throws ConfigError: with everything that is wrong with
 * the syntax, or else with everything that is wrong with the settings.
 */
export async function parseConfig(
  text: string,
  file: string,
  env: Environment,
  { built = builtToday }: { built?: Built } = {},
): Promise<Config> {
  const isOurs = (type: string) => type !== "task";
  return await readHcl(text, { file, env, isWanted: isOurs }, (body, note, problems) =>
    configOf(body, { file, env, built }, problems, note),
  );
}

/**
 * What `use` makes of a file's blocks, of which only those that are wanted are looked at. Throws ConfigError: with everything that is wrong
 * with the syntax, or else with everything that was noted by the end.
 */
export async function readHcl<T>(
  text: string,
  of: { file: string; env: Environment; isWanted: (type: string, labels: readonly string[]) => boolean },
  use: (body: Body, note: Note, problems: Problem[]) => T,
): Promise<T> {
  const problems: Problem[] = [];
  const note: Note = ({ line, column }, message, suggestion) => {
    problems.push({ file: of.file, line, column, message, suggestion });
  };
  const syntax = await parseHcl(text.replace(/^\ufeff/, ""), note);
  if (syntax === undefined) throw new ConfigError(inOrder(problems));
  try {
    const result = use(evaluateHcl(syntax, of.env, note, of.isWanted), note, problems);
    if (problems.length > 0) throw new ConfigError(inOrder(problems));
    return result;
  } finally {
    syntax.free();
  }
}

/** Of blocks and attributes, wherever they come from. Throws ConfigError, with what `problems` holds already as well. */
export function configOf(
  body: Body,
  surroundings: { file: string; env: Environment; built?: Built },
  problems: Problem[] = [],
  note: Note = ({ line, column }, message, suggestion) => {
    problems.push({ file: surroundings.file, line, column, message, suggestion });
  },
): Config {
  const settings = readSettings(body, note);
  checkSettings(settings, note);
  const { built = builtToday } = surroundings;
  const config = resolveConfig(settings, { ...surroundings, built }, note, () => problems.length > 0);
  if (config === undefined) throw new ConfigError(inOrder(problems));
  return config;
}

function inOrder(problems: Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}
