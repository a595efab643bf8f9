/** The transport contract on Service Bus: on the broker of ours, or on a namespace or emulator that TEST_SERVICEBUS_URL names. */
import { join } from "node:path";
import { after } from "node:test";
import type { TestServer } from "../../support/server.ts";
import { startServiceBus } from "../../support/servicebus.ts";
import { transportContract } from "../contract.ts";
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
