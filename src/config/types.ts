/**
 * Every messaging system and lock store that a configuration may name, by its canonical name: the other names it goes by,
 * and which of its parts are built. To build one is to change its line here.
 */
export type TransportRole = "queue" | "source" | "output";

export type TransportType = "embedded" | "console" | "servicebus" | "eventhubs" | "kafka" | "nats" | "rabbitmq" | "sqs";

export type LockType = "embedded" | "none" | "azure_blob" | "sqlserver" | "nats";

interface TransportEntry {
  aliases: readonly string[];
  roles: readonly TransportRole[];
  built: readonly TransportRole[];
}

const everywhere: readonly TransportRole[] = ["queue", "source", "output"];

export const transportTypes: Readonly<Record<TransportType, TransportEntry>> = {
  embedded: { aliases: [], roles: everywhere, built: everywhere },
  console: { aliases: [], roles: ["output"], built: ["output"] },
  servicebus: { aliases: ["azure_service_bus", "azure_servicebus"], roles: everywhere, built: everywhere },
  eventhubs: { aliases: ["eventhub", "azure_event_hubs", "azure_eventhubs"], roles: everywhere, built: everywhere },
  kafka: { aliases: [], roles: everywhere, built: everywhere },
  nats: { aliases: ["jetstream"], roles: everywhere, built: everywhere },
  rabbitmq: { aliases: ["amqp"], roles: everywhere, built: everywhere },
  sqs: { aliases: ["aws_sqs"], roles: everywhere, built: everywhere },
};

export const lockTypes: Readonly<Record<LockType, { aliases: readonly string[]; built: boolean }>> = {
  embedded: { aliases: [], built: true },
  none: { aliases: [], built: true },
  azure_blob: { aliases: ["azureblob", "blob"], built: true },
  sqlserver: { aliases: ["mssql"], built: true },
  nats: { aliases: ["jetstream"], built: true },
};

export type Built = (role: TransportRole | "locks", type: TransportType | LockType) => boolean;

/** What is built today. A test of the layers below may say that all is. */
export const builtToday: Built = (role, type) =>
  role === "locks" ? lockTypes[type as LockType].built : transportTypes[type as TransportType].built.includes(role);

/** The canonical name of a name or alias; undefined if nobody knows it. */
export function canonicalType<T extends string>(
  types: Readonly<Record<T, { aliases: readonly string[] }>>,
  name: string,
): T | undefined {
  const wanted = name.toLowerCase().replaceAll("-", "_");
  return (Object.keys(types) as T[]).find((type) => type === wanted || types[type].aliases.includes(wanted));
}
