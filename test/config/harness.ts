import assert from "node:assert/strict";
import type { Config } from "../../src/config/config.ts";
import { ConfigError } from "../../src/config/errors.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Built } from "../../src/config/types.ts";

export const database = "sqlserver://user:pass@localhost:1433?database=TestDB";

export const everythingBuilt: { built: Built } = { built: () => true };

type Env = Record<string, string | undefined>;

export function read(text: string, env: Env = {}, options: { built?: Built } = {}): Promise<Config> {
  return parseConfig(text, "/etc/shop/dstream.hcl", env, options);
}

/** A configuration of which only the ingester's body is of interest. */
export function readIngester(body: string, env: Env = {}, options: { built?: Built } = {}): Promise<Config> {
  return read(ingester(body), env, options);
}

export function ingester(body: string): string {
  return `ingester {\n  db_connection_string = "${database}"\n  tables = ["Persons"]\n${body}\n}\n`;
}

/** The error's lines without the file's name: "3:5: message" and, indented, suggestions. */
export async function problems(text: string, env: Env = {}, options: { built?: Built } = {}): Promise<string[]> {
  try {
    await parseConfig(text, "f", env, options);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.code, "DSTREAM_CONFIG");
    return error.message.split("\n").map((line) => line.replace(/^f:/, "").replace(/^ {4}/, "  "));
  }
  assert.fail("the configuration was accepted");
}
