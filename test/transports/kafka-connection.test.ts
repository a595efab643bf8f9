/** How a connection string of Kafka is read; nothing is connected to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { kafkaConnection } from "../../src/transports/kafka/connection.ts";
import { kafkaSettings } from "../../src/transports/kafka/settings.ts";

function connection(text: string, settings: object = {}) {
  const { options, compression } = kafkaConnection(text, kafkaSettings.parse(settings));
  const { bootstrapBrokers, tls, sasl } = options as { bootstrapBrokers: string[]; tls?: object; sasl?: object };
  return { bootstrapBrokers, tls, sasl, compression };
}

test("brokers with and without ports, user and password, TLS", () => {
  const plain = { tls: undefined, sasl: undefined, compression: "zstd" };
  assert.deepEqual(connection("one,two:9094"), { ...plain, bootstrapBrokers: ["one:9092", "two:9094"] });
  assert.deepEqual(connection("kafka://one:9092,two"), { ...plain, bootstrapBrokers: ["one:9092", "two:9092"] });
  assert.deepEqual(connection("kafkas://ada:p%40ss@one:9093", { sasl: "SCRAM-SHA-256", compression: "none" }), {
    bootstrapBrokers: ["one:9093"],
    tls: {},
    sasl: { mechanism: "SCRAM-SHA-256", username: "ada", password: "p@ss" },
    compression: "none",
  });
});

test("an Event Hubs namespace is reached at its Kafka endpoint, and sent nothing compressed", () => {
  const text = "Endpoint=sb://space.servicebus.windows.net/;SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0";
  assert.deepEqual(connection(text), {
    bootstrapBrokers: ["space.servicebus.windows.net:9093"],
    tls: {},
    sasl: { mechanism: "PLAIN", username: "$ConnectionString", password: text },
    compression: "none",
  });
  const user = `%24ConnectionString:${encodeURIComponent(text)}`;
  assert.deepEqual(connection(`kafkas://${user}@space.servicebus.windows.net:9093`), connection(text));
});

test("OAUTHBEARER's extensions are read as names and values, and refused where they are none", () => {
  const settings = { sasl: "OAUTHBEARER", oauth_token_url: "https://tokens.example.com/token" };
  const at = (oauth_extensions: string) => connection("kafkas://id:secret@one", { ...settings, oauth_extensions });
  const { sasl } = at("logicalCluster=lkc-1, identityPoolId=pool-2");
  assert.deepEqual((sasl as { oauthBearerExtensions: object }).oauthBearerExtensions, {
    logicalCluster: "lkc-1",
    identityPoolId: "pool-2",
  });
  for (const bad of ["logicalCluster", "auth=me", "a b=c"])
    assert.throws(() => at(bad), { reason: "rejected", message: /is no name=value/ });
});
