/** Every transport by its type. To add one: a folder, and a line here (and in config/types.ts, which names it to users). */
import { DStreamError } from "../errors.ts";
import { openLockStore } from "../locks/registry.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Endpoint } from "./settings.ts";
import type { Transport } from "./transport.ts";

type Openers = {
  [T in Endpoint["type"]]?: (endpoint: Extract<Endpoint, { type: T }>, logger: Logger) => Promise<Transport>;
};

/** Loaded when first named, so that what is not used costs no start-up time. */
const transports: Openers = {
  embedded: async ({ path }) => (await import("./embedded/transport.ts")).EmbeddedTransport.open({ path }),
  rabbitmq: async (endpoint, logger) =>
    new (await import("./rabbitmq/transport.ts")).RabbitMqTransport(endpoint, logger),
  kafka: async (endpoint, logger) => new (await import("./kafka/transport.ts")).KafkaTransport(endpoint, logger),
  nats: async (endpoint, logger) => (await import("./nats/transport.ts")).NatsTransport.open(endpoint, logger),
  servicebus: async (endpoint, logger) =>
    new (await import("./servicebus/transport.ts")).ServiceBusTransport(endpoint, logger),
  sqs: async (endpoint, logger) => new (await import("./sqs/transport.ts")).SqsTransport(endpoint, logger),
  eventhubs: async (endpoint, logger) => {
    const openLocks = (connectionString: string, containerName: string) =>
      openLockStore({ type: "azure_blob", connectionString, containerName }, logger);
    return new (await import("./eventhubs/transport.ts")).EventHubsTransport(endpoint, { openLocks, logger });
  },
  console: async () => new (await import("./console/transport.ts")).ConsoleTransport(process.stdout),
};

/** Connects, and makes a file where there is none. Throws TransportError where the system does not let us in. */
export async function openTransport(endpoint: Endpoint, logger: Logger): Promise<Transport> {
  const open = transports[endpoint.type] as ((endpoint: Endpoint, logger: Logger) => Promise<Transport>) | undefined;
  if (open === undefined) throw new UnknownTransport(endpoint.type);
  return await open(endpoint, logger);
}

class UnknownTransport extends DStreamError {
  readonly code = "DSTREAM_UNKNOWN_TRANSPORT";
  constructor(type: string) {
    super(`There is no transport of type "${type}".`, { advice: `Use one of ${Object.keys(transports).join(", ")}.` });
  }
}
