import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { configurationReference, example } from "../../src/config/reference.ts";
import { database, read } from "./harness.ts";

test("docs/configuration.md is up to date", async () => {
  const written = await readFile(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  assert.ok(written === configurationReference(), "it is stale: run `npm run docs`");
});

test("the example at its top is a configuration", async () => {
  const config = await read(example, { DSTREAM_DB_CONNECTION_STRING: database });
  assert.deepEqual(
    config.ingester.tables.map(({ text }) => text),
    ["Persons", "sales.Orders", "stock.*"],
  );
  assert.deepEqual(config.router.output, { type: "embedded", path: "/etc/shop/topics.db" });
});

test("every key has a text and says what it takes", () => {
  const keys = configurationReference().split("## Blocks and keys")[1]!;
  for (const row of keys.matchAll(/^\| `(\w+)` \|(.*)\|(.*)\|(.*)\|$/gm)) {
    assert.ok(row[2]!.trim() !== "", `${row[1]} has no kind`);
    assert.ok(row[4]!.trim() !== "", `${row[1]} has no text`);
  }
});
