import { AzureBlobLockStore } from "../../../src/locks/azure-blob.ts";
import { silent } from "../../../src/telemetry/logger.ts";
import { eventHubsSettings } from "../../../src/transports/eventhubs/settings.ts";
import { EventHubsTransport } from "../../../src/transports/eventhubs/transport.ts";
import type { Entity } from "../../../src/transports/transport.ts";
import { prefixed } from "../prefixed.ts";

export interface EventHubsPlace {
  connectionString: string;
  prefix: string;
  /** Where hubs are made, as Azure Resource Manager makes them. */
  control: string;
  settings: object;
}

export const open = async ({ connectionString, prefix, control, settings }: EventHubsPlace) => {
  const endpoint = { type: "eventhubs", connectionString, settings: eventHubsSettings.parse(settings) } as const;
  const openLocks = (storage: string, containerName: string) =>
    AzureBlobLockStore.open({ connectionString: storage, containerName, logger: silent });
  const transport = new EventHubsTransport(endpoint, { openLocks, logger: silent });
  // The contract wants entities made; the transport wants them to be there.
  const made = new Proxy(transport, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (name !== "ensure") return typeof value === "function" ? (value.bind(target) as unknown) : value;
      return async (entity: Entity) => {
        const group = entity.kind === "topic" ? `&group=${entity.subscription}` : "";
        await fetch(`${control}/?make=${encodeURIComponent(entity.name)}${group}`);
        await target.ensure(entity);
      };
    },
  });
  return prefixed(made, prefix);
};
