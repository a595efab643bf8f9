/** The settings of each messaging system that is reached over a network, by its type; each folder has its own. */
import type { z } from "zod";
import { eventHubsSettings } from "./eventhubs/settings.ts";
import { kafkaSettings } from "./kafka/settings.ts";
import { natsSettings } from "./nats/settings.ts";
import { rabbitMqSettings } from "./rabbitmq/settings.ts";
import { serviceBusSettings } from "./servicebus/settings.ts";
import { sqsSettings } from "./sqs/settings.ts";

export const brokerSettings = {
  servicebus: serviceBusSettings,
  eventhubs: eventHubsSettings,
  kafka: kafkaSettings,
  nats: natsSettings,
  rabbitmq: rabbitMqSettings,
  sqs: sqsSettings,
} as const;

export type BrokerType = keyof typeof brokerSettings;

export type SettingsOf<T extends BrokerType> = z.output<(typeof brokerSettings)[T]>;

/** One messaging system of a network, and how it is reached. */
export type BrokerEndpoint<T extends BrokerType = BrokerType> = {
  [K in T]: {
    type: K;
    /** A secret. */
    connectionString: string;
    settings: SettingsOf<K>;
  };
}[T];

/** One messaging system, and how it is reached. */
export type Endpoint = { type: "embedded"; path: string } | { type: "console" } | BrokerEndpoint;
