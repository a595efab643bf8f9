/**
 * The provider's configuration, a JSON object, as the program uses it: what dstream.hcl's ingester block takes, by the provider's
 * names. `poll_interval` and `max_poll_interval` stand at the top, `lock_config` is the block `locks`, and `output` says what is
 * written: `"envelopes"` or `"rows"`.
 */

import type { Config } from "../../config/config.ts";
import type { Attribute, Block, Body, Environment, Place, Value } from "../../config/hcl/document.ts";
import { configOf } from "../../config/load.ts";
import { ProviderConfigError } from "../sdk/provider.ts";

export interface ProviderConfig {
  config: Config;
  output: "envelopes" | "rows";
}

/** JSON has no places. */
const AT: Place = { line: 1, column: 1 };

/** Relative paths start at the working directory. Throws what is wrong with it. */
export function providerConfig(json: unknown, env: Environment): ProviderConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ProviderConfigError("The configuration on standard input is no JSON object.", {
      advice: 'Write {"db_connection_string":"…","tables":["dbo.customers"],…}; docs/providers.md has more.',
    });
  }
  const {
    output = "envelopes",
    poll_interval,
    max_poll_interval,
    lock_config,
    log,
    dead_letters,
    ...rest
  } = json as Record<string, unknown>;
  if (output !== "envelopes" && output !== "rows")
    throw new ProviderConfigError(`output is ${JSON.stringify(output)}.`, { advice: 'It is "envelopes" or "rows".' });
  const ingester = {
    ...rest,
    ...((poll_interval !== undefined || max_poll_interval !== undefined) && {
      poll_interval_defaults: {
        ...(poll_interval !== undefined && { poll_interval }),
        ...(max_poll_interval !== undefined && { max_poll_interval }),
      },
    }),
    ...(lock_config !== undefined && { locks: lock_config }),
  };
  const top: Record<string, unknown> = {
    ingester,
    ...(log !== undefined && { log }),
    ...(dead_letters !== undefined && { dead_letters }),
  };
  return { config: configOf(bodyOf(top), { file: "stdin", env }), output };
}

/** Objects are blocks, and lists of objects blocks that stand several times. */
function bodyOf(object: Record<string, unknown>): Body {
  const attributes: Attribute[] = [];
  const blocks: Block[] = [];
  for (const [name, value] of Object.entries(object)) {
    const many =
      Array.isArray(value) && value.length > 0 && value.every(isObject) ? value : isObject(value) ? [value] : null;
    if (many === null) attributes.push({ name, at: AT, value: hclValue(value) });
    else
      for (const each of many)
        blocks.push({ type: name, at: AT, labels: [], body: bodyOf(each as Record<string, unknown>) });
  }
  return { attributes, blocks };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hclValue(value: unknown): Value {
  const place = { at: AT, secret: false };
  switch (typeof value) {
    case "string":
      return { ...place, kind: "string", value };
    case "number":
      return { ...place, kind: "number", value };
    case "boolean":
      return { ...place, kind: "boolean", value };
  }
  if (Array.isArray(value)) return { ...place, kind: "list", items: value.map(hclValue) };
  return { ...place, kind: "null" };
}
