import { silent } from "../../../src/telemetry/logger.ts";
import { natsSettings } from "../../../src/transports/nats/settings.ts";
import { NatsTransport } from "../../../src/transports/nats/transport.ts";
import { prefixed } from "../prefixed.ts";

export interface NatsPlace {
  connectionString: string;
  prefix: string;
  leaseMs: number;
  settings?: object;
}

export const open = async ({ connectionString, prefix, leaseMs, settings = {} }: NatsPlace) => {
  const endpoint = { type: "nats", connectionString, settings: natsSettings.parse(settings) } as const;
  return prefixed(await NatsTransport.open(endpoint, silent, { leaseMs, leases: `test-${prefix}readers` }), prefix);
};
