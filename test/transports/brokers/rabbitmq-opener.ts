import { silent } from "../../../src/telemetry/logger.ts";
import { rabbitMqSettings } from "../../../src/transports/rabbitmq/settings.ts";
import { RabbitMqTransport } from "../../../src/transports/rabbitmq/transport.ts";
import { prefixed } from "../prefixed.ts";

export interface RabbitMqPlace {
  connectionString: string;
  prefix: string;
}

export const open = async ({ connectionString, prefix }: RabbitMqPlace) => {
  const settings = rabbitMqSettings.parse({ max_message_bytes: "4MB" });
  return prefixed(new RabbitMqTransport({ type: "rabbitmq", connectionString, settings }, silent), prefix);
};
