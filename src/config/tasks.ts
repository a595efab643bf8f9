/**
 * The `task` blocks of dstream.hcl: an input provider and an output provider, wired together by `dstream run`. What stands in `config`
 * is a provider's own affair: it is passed on as JSON, with its types.
 */
import { dirname, resolve } from "node:path";
import { z } from "zod";
import type { LogLevel } from "../telemetry/logger.ts";
import { closest } from "../text/closest.ts";
import { ConfigError } from "./errors.ts";
import { count, duration, flag, listOf, oneOf, size, text } from "./fields.ts";
import type { Attribute, Block, Body, Environment, Note, Value } from "./hcl/document.ts";
import { readConfigFile, readHcl } from "./load.ts";
import { logLevelOf } from "./resolve.ts";
import { logSchema } from "./schema.ts";
import { type Partly, readBlock } from "./settings.ts";

const side = (what: string) =>
  z
    .strictObject({
      provider: text("a name").optional().describe("A provider that dstream brings: docs/providers.md lists them."),
      provider_path: text("a path")
        .optional()
        .describe(
          "A program. Relative paths start at the configuration file's folder; `.js`, `.mjs`, `.ts` and `.mts` run on dstream's own Node.",
        ),
      provider_ref: text("a reference")
        .optional()
        .describe("An OCI artifact, `ghcr.io/acme/provider:v1` or `…@sha256:…`: pulled when it is not in the cache."),
      args: listOf(text("an argument"), "a list of arguments").optional().describe("Put behind the program's name."),
      handshake: flag()
        .optional()
        .describe(
          "`false`: the provider is an older one, which says nothing when it is ready, and is not waited for. `true`: it has to.",
        )
        .meta({ otherwise: "is found out" }),
      handshake_timeout: duration().prefault("30s").describe("How long is waited for it to say that it is ready."),
    })
    .describe(
      `The ${what} provider. Its block \`config\` is passed on as JSON, nested blocks as objects, with all types.`,
    );

const restart = z
  .strictObject({
    max: count(0)
      .prefault(5)
      .describe("Starts after failures, one behind the other; after that `dstream run` ends with 1."),
    min_wait: duration().prefault("1s").describe("Before the first of them; it doubles with each."),
    max_wait: duration().prefault("1m").describe("Where the wait stops growing."),
    reset_after: duration().prefault("1m").describe("A task that ran for so long begins to count anew."),
  })
  .describe(
    "Both providers are started again when one fails. Without this block the first failure ends `dstream run`.",
  );

export const taskSchema = z
  .strictObject({
    type: oneOf("providers").prefault("providers").describe("Two providers."),
    input: side("input"),
    output: side("output"),
    grace: duration()
      .prefault("8s")
      .describe("How long a provider that was told to end (SIGTERM) may take, before SIGKILL."),
    max_line: size()
      .prefault("64MB")
      .describe("A longer line of the input's ends the task: what it prints is taken for no messages."),
    restart: restart.optional(),
  })
  .describe(
    '`task "name" { … }`, any number of them: `dstream run name` runs one. They need no `ingester` beside them.',
  );

type TaskSettings = z.output<typeof taskSchema>;

export interface ProviderConfig {
  /** One of the three. Paths are absolute. */
  program: { builtIn: string } | { path: string } | { ref: string };
  args: string[];
  /** Undefined: found out. */
  handshake: boolean | undefined;
  handshakeTimeoutMs: number;
  /** A secret, as it may hold some. */
  config: Record<string, unknown>;
}

export interface LogConfig {
  level: LogLevel;
  format: "auto" | "pretty" | "json";
}

export interface TaskConfig {
  name: string;
  input: ProviderConfig;
  output: ProviderConfig;
  graceMs: number;
  maxLineBytes: number;
  restart: { max: number; minWaitMs: number; maxWaitMs: number; resetAfterMs: number } | null;
}

export interface Tasks {
  tasks: TaskConfig[];
  log: LogConfig;
}

/** All tasks; of other blocks only `log` is looked at. Throws ConfigError. */
export async function loadTasks(path: string, env: Environment, wanted?: string): Promise<Tasks> {
  return await parseTasks(await readConfigFile(path), path, env, wanted);
}

/** The names alone, whatever else may be wrong or not set. */
export async function listTasks(path: string): Promise<Tasks> {
  const everything = new Proxy({ DSTREAM_LOG_LEVEL: "" }, { get: (known, name) => Reflect.get(known, name) ?? "…" });
  return await loadTasks(path, everything);
}

/** Throws ConfigError, also where there is no such task. */
export async function loadTask(
  path: string,
  env: Environment,
  name: string,
): Promise<{ task: TaskConfig; log: LogConfig }> {
  const { tasks, log } = await loadTasks(path, env, name);
  if (tasks[0] !== undefined) return { task: tasks[0], log };
  const names = (await listTasks(path)).tasks.map((each) => each.name);
  const meant = closest(name, names);
  const message = names.length === 0 ? "there is no task in it" : `there is no task "${name}"`;
  let suggestion = 'Write task "name" { input { … } output { … } }; docs/providers.md has an example.';
  if (names.length > 0) suggestion = meant ? `Did you mean "${meant}"?` : `There are ${names.join(", ")}.`;
  throw new ConfigError([{ file: path, line: 1, column: 1, message, suggestion }]);
}

export async function parseTasks(source: string, file: string, env: Environment, wanted?: string): Promise<Tasks> {
  const isWanted = (type: string, [name]: readonly string[]) =>
    type === "log" || (type === "task" && (wanted === undefined || name === wanted));
  return await readHcl(source, { file, env, isWanted }, ({ blocks: all }, note) => {
    const blocks = all.filter(({ type }) => type === "task");
    const logBlock = all.find(({ type }) => type === "log");
    const tasks = blocks.map((block) => taskOf(block, dirname(resolve(file)), note));
    for (const [index, { labels, at }] of blocks.entries()) {
      const first = blocks.findIndex((other) => other.labels[0] === labels[0]);
      if (first < index)
        note(at, `there is a second task "${labels[0]}": the first stands in line ${blocks[first]!.at.line}`);
    }
    const { level, format = "auto" } = logBlock === undefined ? {} : readBlock(logSchema, logBlock, note);
    const place = logBlock?.at ?? { line: 1, column: 1 };
    const log = { level: logLevelOf(level, env, (message, advice) => note(place, message, advice)), format };
    // Where one is missing, something was noted.
    return { tasks: tasks as TaskConfig[], log };
  });
}

/** Null where something was noted. */
function taskOf(block: Block, dir: string, note: Note): TaskConfig | null {
  const [name, second] = block.labels;
  if (name === undefined || second !== undefined) note(block.at, "a task has one name", 'Write task "name" { … }.');
  const configs = new Map<string, Record<string, unknown>>();
  const without = block.body.blocks.map((each) => {
    if (each.type !== "input" && each.type !== "output") return each;
    const [rest, config] = takeConfig(each, note);
    configs.set(each.type, config);
    return rest;
  });
  const settings = readBlock(taskSchema, { ...block, body: { ...block.body, blocks: without } }, note);
  for (const type of ["input", "output"] as const) {
    const found = block.body.blocks.find((each) => each.type === type);
    if (found === undefined) continue;
    const given = ["provider", "provider_path", "provider_ref"].filter((key) =>
      found.body.attributes.some((attribute) => attribute.name === key),
    );
    if (given.length !== 1)
      note(
        found.at,
        given.length === 0
          ? `${type} names no provider`
          : `${type} names ${given.length} providers: ${given.join(" and ")}`,
        'Give one of provider = "mssql", provider_path = "./program" and provider_ref = "registry/name:tag".',
      );
  }
  const { input, output, grace, max_line, restart: again } = settings as Partly<TaskSettings>;
  if (name === undefined || input === undefined || output === undefined) return null;
  return {
    name,
    input: providerOf(input, configs.get("input") ?? {}, dir),
    output: providerOf(output, configs.get("output") ?? {}, dir),
    graceMs: grace!,
    maxLineBytes: max_line!,
    restart: again
      ? {
          max: again.max!,
          minWaitMs: again.min_wait!,
          maxWaitMs: again.max_wait!,
          resetAfterMs: again.reset_after!,
        }
      : null,
  };
}

function providerOf(from: Partly<TaskSettings["input"]>, config: Record<string, unknown>, dir: string): ProviderConfig {
  const { provider, provider_path: path, provider_ref: ref } = from;
  let program: ProviderConfig["program"] = { builtIn: provider ?? "" };
  if (path !== undefined) program = { path: resolve(dir, path) };
  else if (ref !== undefined) program = { ref };
  const { args = [], handshake, handshake_timeout } = from;
  return { program, args, handshake, handshakeTimeoutMs: handshake_timeout!, config };
}

/** `config { … }`, or `config = { … }`. */
function takeConfig(block: Block, note: Note): [rest: Block, config: Record<string, unknown>] {
  const { attributes, blocks } = block.body;
  const attribute = attributes.find(({ name, value }) => name === "config" && value.kind === "object");
  const [first, second] = blocks.filter(({ type }) => type === "config");
  if (second !== undefined || (first !== undefined && attribute !== undefined))
    note((second ?? attribute)!.at, `there is a second config: the first stands in line ${first!.at.line}`);
  const rest = {
    attributes: attributes.filter((each) => each !== attribute),
    blocks: blocks.filter(({ type }) => type !== "config"),
  };
  const config = first !== undefined ? jsonOfBody(first.body, note) : attribute ? jsonOf(attribute.value) : {};
  return [{ ...block, body: rest }, config as Record<string, unknown>];
}

/** Blocks of one name that stand several times are a list of objects. */
function jsonOfBody({ attributes, blocks }: Body, note: Note): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  const put = (name: string, at: Attribute["at"], value: unknown) => {
    if (Object.hasOwn(json, name)) note(at, `${name} is given twice in config`);
    // As a key of its own, whatever it is called.
    else Object.defineProperty(json, name, { value, enumerable: true, configurable: true, writable: true });
  };
  for (const { name, at, value } of attributes) put(name, at, jsonOf(value));
  const byType = Map.groupBy(blocks, ({ type }) => type);
  for (const [type, same] of byType) {
    for (const { at, labels } of same)
      if (labels.length > 0) note(at, `${type} has a name in config, where blocks are objects`, `Write ${type} { … }.`);
    const objects = same.map(({ body }) => jsonOfBody(body, note));
    put(type, same[0]!.at, objects.length === 1 ? objects[0] : objects);
  }
  return json;
}

function jsonOf(value: Value): unknown {
  switch (value.kind) {
    case "list":
      return value.items.map(jsonOf);
    case "object":
      return Object.fromEntries([...value.entries].map(([name, each]) => [name, jsonOf(each)]));
    case "null":
    case "unknown":
      return null;
    default:
      return value.value;
  }
}
