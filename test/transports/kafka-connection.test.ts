/** How a connection string of Kafka is read, and how tokens are asked for; no broker is connected to. */
import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import { test } from "node:test";
import type { TransportError } from "../../src/errors.ts";
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

test("a token endpoint is an https address without user and password, and is not printed where it may hold a secret", () => {
  const at = (oauth_token_url: string) =>
    connection("kafkas://id:secret@one", { sasl: "OAUTHBEARER", oauth_token_url });
  for (const bad of ["http://tokens.example.com/token?key=hidden", "https://id:hidden@tokens.example.com/", "hidden"])
    assert.throws(
      () => at(bad),
      (error: TransportError) => error.reason === "rejected" && !/hidden/.test(`${error.message} ${error.advice}`),
    );
  for (const good of ["https://tokens.example.com/token", "http://localhost:8080/token", "http://[::1]:8080/token"])
    at(good);
});

test("what a token endpoint says is told apart: a token, not now, never", async () => {
  let answer = (_: ServerResponse) => {};
  const server = createServer((request, response) => {
    request.resume();
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const settings = { sasl: "OAUTHBEARER", oauth_token_url: `http://127.0.0.1:${port}/token?key=hidden` };
  const { token } = connection("kafkas://id:secret@one", settings).sasl as { token: () => Promise<string> };
  const says = (status: number, body: string) => (response: ServerResponse) => response.writeHead(status).end(body);
  try {
    answer = says(200, '{"access_token":"a.b.c"}');
    assert.equal(await token(), "a.b.c");
    const never = [
      says(200, "null"),
      says(200, '{"access_token":""}'),
      says(200, '{"access_token":7}'),
      says(200, "<html>"),
      says(401, '{"error":"invalid_client"}'),
      says(400, '{"error":{"code":7}}'),
    ];
    const notNow = [
      says(503, "<html>"),
      says(429, ""),
      says(400, '{"error":"temporarily_unavailable"}'),
      (response: ServerResponse) => {
        response.writeHead(200, { "content-length": "100" }).write('{"access_token":"a.b');
        setImmediate(() => response.destroy());
      },
    ];
    for (const [reason, answers] of Object.entries({ rejected: never, unavailable: notNow }))
      for (const each of answers) {
        answer = each;
        await assert.rejects(token(), (error: TransportError) => {
          assert.equal(error.reason, reason, error.message);
          assert.match(error.message, /^http:\/\/127\.0\.0\.1:\d+\/token gave no token: /);
          return true;
        });
      }
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
