/** Servers that tests, benchmarks and `npm run demo -- --queue <type>` start for themselves, by the type of their transport. */
import type { BrokerType } from "../../src/transports/settings.ts";
import { missingElasticMq, startElasticMq } from "./elasticmq.ts";
import { missingEventHubs, startEventHubs } from "./eventhubs.ts";
import { missingKafka, startKafka } from "./kafka.ts";
import { missingNats, startNats } from "./nats.ts";
import { missingRabbitMq, startRabbitMq } from "./rabbitmq.ts";
import type { TestServer } from "./server.ts";
import { startServiceBus } from "./servicebus.ts";

export interface StartableBroker {
  /** What is missing and how to get it, or null. */
  missing(): string | null;
  start(): Promise<TestServer>;
}

export const brokers: Readonly<Partial<Record<BrokerType, StartableBroker>>> = {
  eventhubs: { missing: missingEventHubs, start: startEventHubs },
  kafka: { missing: missingKafka, start: startKafka },
  nats: { missing: missingNats, start: startNats },
  rabbitmq: { missing: missingRabbitMq, start: startRabbitMq },
  servicebus: { missing: () => null, start: startServiceBus },
  sqs: { missing: missingElasticMq, start: startElasticMq },
};
