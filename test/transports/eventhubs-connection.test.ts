/** How a reader of Event Hubs hears that its connection is over: a service that closes it is not told as one that is gone. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionConfig } from "@azure/core-amqp";
import rhea, { type Connection, type EventContext } from "rhea";
import type { EventHubsLink } from "../../src/transports/eventhubs/link.ts";
import { HubConnection } from "../../src/transports/eventhubs/partition-link.ts";

/** rhea leaves timers running where the other side closed: for two minutes nothing would end. */
const setTimer = globalThis.setTimeout;
globalThis.setTimeout = Object.assign((work: () => void, ms?: number, ...rest: []) => {
  const timer = setTimer(work, ms, ...rest);
  return ms !== undefined && ms >= 10_000 ? timer.unref() : timer;
}, setTimer) as typeof setTimeout;

/** Takes every claim, and lets everybody read. */
async function startService() {
  const container = rhea.create_container();
  const connections: Connection[] = [];
  const answers = new Map<Connection, EventContext["sender"]>();
  container.on("connection_open", ({ connection }) => void connections.push(connection));
  container.on("sender_open", ({ sender, connection }) => {
    if (sender!.source.address === "$cbs") answers.set(connection, sender);
  });
  container.on("message", ({ message, connection }) => {
    const properties = { "status-code": 202, "status-description": "Accepted" };
    answers
      .get(connection)!
      .send({ correlation_id: message!.message_id!, application_properties: properties, body: "" });
  });
  for (const event of ["disconnected", "connection_close", "connection_error"]) container.on(event, () => {});
  const server = container.listen({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  return { server, connections, port: (server.address() as AddressInfo).port };
}

const goodbyes: Record<string, (connection: Connection) => void> = {
  "a connection that breaks": (connection) =>
    (connection as unknown as { socket: { destroy(): void } }).socket.destroy(),
  "a connection that the service closes": (connection) => connection.close(),
  "a connection that the service closes by force": (connection) =>
    connection.close({ condition: "amqp:connection:forced", description: "idle" }),
  "a connection that the service closes with an error": (connection) =>
    connection.close({ condition: "amqp:internal-error", description: "restarting" }),
};

for (const [what, end] of Object.entries(goodbyes)) {
  test(`${what} ends what is read over it, and the next reader has a new one`, async () => {
    const { server, connections, port } = await startService();
    const connectionString = `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true`;
    const link = {
      config: (hub: string) =>
        Object.assign(ConnectionConfig.create(connectionString, hub), { host: "127.0.0.1", port }),
      claim: async () => ({ token: "t", type: "servicebus.windows.net:sastoken", renewInMs: 3_600_000 }),
    } as unknown as EventHubsLink;
    const hub = new HubConnection(link, "hub", "reader");
    const position = { partition: "0", consumerGroup: "$Default", after: null };
    const first = await hub.read({ ...position, epoch: 1 }, () => {});
    end(connections[0]!);
    const why = await Promise.race([first.over, sleep(5_000, "nothing in five seconds")]);
    assert.match(String(why), /connection/);
    await first.close();
    const second = await hub.read({ ...position, epoch: 2 }, () => {});
    assert.equal(connections.length, 2);
    await second.close();
    await hub.close();
    server.close();
  });
}
