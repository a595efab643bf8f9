/**
 * The transport contract on Event Hubs: on the broker of ours. Azure's shortest lease is 15
 * seconds: this takes two minutes.
 */
import { join } from "node:path";
import { after } from "node:test";
import { type EventHubsServer, missingEventHubs, startEventHubs } from "../../support/eventhubs.ts";
import { missingServer } from "../../support/server.ts";
import { transportContract } from "../contract.ts";
import { type EventHubsPlace, open } from "./eventhubs-opener.ts";

const lack = missingEventHubs();
if (lack !== null) missingServer("eventhubs keeps the transport contract", lack);
else {
  const server = await startEventHubs({ makesHubs: false });
  after(() => server.close());
  const module = join(import.meta.dirname, "eventhubs-opener.ts");
  let places = 0;
  const placeAt = (own: EventHubsServer): EventHubsPlace => ({
    connectionString: own.url,
    prefix: `test-${++places}-`,
    control: own.controlUrl,
    settings: { blob_connection_string: own.blobs },
  });

  transportContract({
    name: "eventhubs",
    shortLeaseMs: 15_000,
    place: async () => ({ module, options: placeAt(server) }),
    open: (options) => open(options as EventHubsPlace),
    server: async () => {
      const own = await startEventHubs({ makesHubs: false });
      return { server: own, opener: { module, options: placeAt(own) } };
    },
  });
}
