/** The transport contract on Service Bus: on the broker of ours, or on a namespace or emulator that TEST_SERVICEBUS_URL names. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { ServiceBusAdministrationClient } from "@azure/service-bus";
import type { TestServer } from "../../support/server.ts";
import { startServiceBus } from "../../support/servicebus.ts";
import { ids, message, transportContract } from "../contract.ts";
import { open, type ServiceBusPlace } from "./servicebus-opener.ts";

const given = process.env["TEST_SERVICEBUS_URL"];
const server = given ? null : await startServiceBus();
after(() => server?.close());
const module = join(import.meta.dirname, "servicebus-opener.ts");
const run = Date.now().toString(36);
let places = 0;

const administrationOf = ({ block }: TestServer) => /"(.*)"/.exec(block!)![1];

function placeAt(own: TestServer | null, lock: string): ServiceBusPlace {
  const administration = own === null ? process.env["TEST_SERVICEBUS_ADMINISTRATION_URL"] : administrationOf(own);
  return {
    connectionString: own?.url ?? given!,
    prefix: `test-${run}-${++places}-`,
    settings: { lock_duration: lock, ...(administration && { administration_url: administration }) },
  };
}

transportContract({
  name: "servicebus",
  shortLeaseMs: 5_000,
  place: async (lease) => ({ module, options: placeAt(server, lease === "short" ? "5s" : "1m") }),
  open: (options) => open(options as ServiceBusPlace),
  server: async () => {
    const own = await startServiceBus();
    return { server: own, opener: { module, options: placeAt(own, "5s") } };
  },
});

if (server !== null) {
  const queue = { kind: "queue", name: "ingest-queue" } as const;

  test("a namespace that throttles is waited for, and what was refused can be sent again", async () => {
    const transport = await open(placeAt(server, "1m"));
    await transport.ensure(queue);
    const sender = await transport.sender(queue);
    await server.control("busy=1000");
    await assert.rejects(sender.send([message("m-1")]), { reason: "unavailable", message: /throttled/ });
    await server.control("busy=0");
    await sender.send([message("m-1")]);
    assert.deepEqual(await ids(await transport.receiver(queue), 1), ["m-1"]);
    await transport.close();
  });

  test("connections that are dropped are made again: a send that failed is sent again, and taken once", async () => {
    const transport = await open(placeAt(server, "1m"));
    await transport.ensure(queue);
    const sender = await transport.sender(queue);
    const sent: string[] = [];
    for (let n = 0; n < 20; n++) {
      if (n % 5 === 4) await server.control("drop=1");
      for (let taken = false; !taken; )
        taken = await sender.send([message(`m-${n}`)]).then(
          () => true,
          () => false,
        );
      sent.push(`m-${n}`);
    }
    assert.deepEqual(await ids(await transport.receiver(queue), sent.length), sent);
    await transport.close();
  });

  test("a queue that is there without sessions is refused, with what to do", async () => {
    const place = placeAt(server, "1m");
    const administration = new ServiceBusAdministrationClient(server.url);
    administration.pipeline.addPolicy({
      name: "to the broker",
      sendRequest: (request, next) => {
        const url = new URL(request.url);
        request.url = `${administrationOf(server)}${url.pathname}${url.search}`;
        request.allowInsecureConnection = true;
        return next(request);
      },
    });
    await administration.createQueue(`${place.prefix}ingest-queue`);
    const transport = await open(place);
    await assert.rejects(transport.ensure(queue), {
      reason: "rejected",
      message: /no sessions/,
      advice: /Delete it once it is empty/,
    });
    await transport.close();
  });
}
