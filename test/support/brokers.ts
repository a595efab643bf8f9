/** Servers that tests, benchmarks and `npm run demo -- --queue <type>` start for themselves, by the type of their transport. */
import type { BrokerType } from "../../src/transports/settings.ts";
import { missingElasticMq, startElasticMq } from "./elasticmq.ts";
import { missingEventHubs, startEventHubs } from "./eventhubs.ts";
import { missingKafka, startKafka } from "./kafka.ts";
import { missingNats, startNats } from "./nats.ts";
import { TcpProxy } from "./proxy.ts";
import { missingRabbitMq, startRabbitMq } from "./rabbitmq.ts";
import { freePort, type TestServer } from "./server.ts";
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

/** A broker, and the proxy that its clients go through. */
export async function startBehindProxy(type: BrokerType): Promise<{ server: TestServer; proxy: TcpProxy }> {
  if (type !== "kafka") return await behindProxy(await brokers[type]!.start());
  // Kafka tells its clients where to go on.
  const port = await freePort();
  const proxy = await TcpProxy.start(port);
  const server = await startKafka({ port, advertisedPort: proxy.port }).catch(async (error: unknown) => {
    await proxy.close();
    throw error;
  });
  return { server: { ...server, url: proxy.through(server.url) }, proxy };
}

/** For servers that do not: the first port in the connection string is the proxy's then. */
export async function behindProxy(server: TestServer): Promise<{ server: TestServer; proxy: TcpProxy }> {
  const port = /:(\d{2,5})\b/.exec(server.url)![1]!;
  const proxy = await TcpProxy.start(Number(port));
  return { server: { ...server, url: proxy.through(server.url) }, proxy };
}
