import { silent } from "../../../src/telemetry/logger.ts";
import { kafkaSettings } from "../../../src/transports/kafka/settings.ts";
import { KafkaTransport } from "../../../src/transports/kafka/transport.ts";
import { prefixed } from "../prefixed.ts";

export interface KafkaPlace {
  connectionString: string;
  prefix: string;
  settings: object;
}

export const open = async ({ connectionString, prefix, settings }: KafkaPlace) => {
  const endpoint = { type: "kafka", connectionString, settings: kafkaSettings.parse(settings) } as const;
  return prefixed(new KafkaTransport(endpoint, silent), prefix);
};
