import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const examples = [...readme.matchAll(/```hcl\n([\s\S]*?)```/g)].map((match) => match[1]!);
const env = {
  DSTREAM_DB_CONNECTION_STRING: "sqlserver://user:password@host:1433?database=TestDB",
  DSTREAM_INGEST_CONNECTION_STRING: "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=s",
  DSTREAM_BLOB_CONNECTION_STRING: "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k",
  DSTREAM_PUBLISHER_CONNECTION_STRING:
    "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=s",
};

test("README's first configuration is good as it is", async () => {
  const config = await parseConfig(examples[0]!, "/etc/dstream/dstream.hcl", env);
  assert.equal(config.ingester.queue.endpoint.type, "embedded");
  assert.equal(config.router.output.type, "console");
});

test("README's Service Bus configuration reads well", async () => {
  const config = await parseConfig(examples[1]!, "/etc/dstream/dstream.hcl", env);
  assert.equal(config.ingester.queue.endpoint.type, "servicebus");
  assert.equal(config.ingester.locks.type, "azure_blob");
});
