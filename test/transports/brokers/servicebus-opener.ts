import { silent } from "../../../src/telemetry/logger.ts";
import { serviceBusSettings } from "../../../src/transports/servicebus/settings.ts";
import { ServiceBusTransport } from "../../../src/transports/servicebus/transport.ts";
import { prefixed } from "../prefixed.ts";

export interface ServiceBusPlace {
  connectionString: string;
  prefix: string;
  settings: object;
}

export const open = async ({ connectionString, prefix, settings }: ServiceBusPlace) => {
  const endpoint = { type: "servicebus", connectionString, settings: serviceBusSettings.parse(settings) } as const;
  return prefixed(new ServiceBusTransport(endpoint, silent), prefix);
};
