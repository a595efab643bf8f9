/**
 * Each messaging system by its client library alone, sending as fast as that can while the same is promised: acknowledged by the broker,
 * in order within a key. What `npm run bench -- transports` holds ours against. `describe` says how.
 */
import { SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";
import { EventHubProducerClient } from "@azure/event-hubs";
import { ServiceBusClient } from "@azure/service-bus";
import { jetstream } from "@nats-io/jetstream";
import { connect as connectNats, headers } from "@nats-io/transport-node";
import { Producer } from "@platformatic/kafka";
import { connect as connectRabbit } from "amqplib";
import type { Message } from "../src/change/message.ts";
import type { BrokerType } from "../src/transports/settings.ts";

export interface BareSender {
  describe: string;
  /** Resolves when all are acknowledged. */
  send(messages: readonly Message[]): Promise<void>;
  close(): Promise<void>;
}

/** `name`: the entity's name, as the system has it. */
export const bareSenders: Readonly<Record<BrokerType, (url: string, name: string) => Promise<BareSender>>> = {
  eventhubs: async (url, name) => {
    const producer = new EventHubProducerClient(url, name);
    return {
      describe: "full batches of one partition key, one after the other",
      send: async (messages) => {
        for (const [partitionKey, ofKey] of Map.groupBy(messages, ({ key }) => key)) {
          let batch = await producer.createBatch({ partitionKey });
          for (const { id, body, properties } of ofKey) {
            const event = { body, messageId: id, properties };
            if (batch.tryAdd(event)) continue;
            await producer.sendBatch(batch);
            batch = await producer.createBatch({ partitionKey });
            batch.tryAdd(event);
          }
          await producer.sendBatch(batch);
        }
      },
      close: () => producer.close(),
    };
  },
  kafka: async (url, name) => {
    const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({
      clientId: "bare",
      bootstrapBrokers: [url.replace("kafka://", "")],
      idempotent: true,
      acks: -1,
      // As dstream's does.
      compression: "zstd",
    });
    return {
      describe: "idempotent, acks=all, zstd, requests of up to 1 MB, one after the other",
      send: async (messages) => {
        for (const part of parts(messages, Number.POSITIVE_INFINITY, 900_000)) {
          const records = part.map(({ key, body, properties, id }) => ({
            topic: name,
            key: Buffer.from(key),
            value: body,
            headers: new Map(
              [...Object.entries(properties), ["id", id]].map(([k, v]) => [Buffer.from(k!), Buffer.from(v!)]),
            ),
          }));
          await producer.send({ messages: records });
        }
      },
      close: async () => void (await producer.close()),
    };
  },
  nats: async (url, name) => {
    const nc = await connectNats({ servers: [url.replace("nats://", "")] });
    const js = jetstream(nc);
    return {
      describe: "all publishes of a send at once",
      send: async (messages) => {
        await Promise.all(
          messages.map(({ id, key, body, properties }) => {
            const found = headers();
            found.append("Nats-Msg-Id", id);
            found.append("key", key);
            for (const each in properties) found.append(each, properties[each]!);
            return js.publish(name, body, { headers: found });
          }),
        );
      },
      close: () => nc.close(),
    };
  },
  rabbitmq: async (url, name) => {
    const connection = await connectRabbit(url);
    const channel = await connection.createConfirmChannel();
    return {
      describe: "all publishes of a send at once, on one confirm channel",
      send: async (messages) => {
        for (const { id, key, body, properties } of messages)
          channel.sendToQueue(name, body, { persistent: true, messageId: id, headers: { ...properties, key } });
        await channel.waitForConfirms();
      },
      close: () => connection.close(),
    };
  },
  servicebus: async (url, name) => {
    const client = new ServiceBusClient(url);
    const sender = client.createSender(name);
    return {
      describe: "full batches, one after the other",
      send: async (messages) => {
        let batch = await sender.createMessageBatch();
        for (const { id, key, body, properties } of messages) {
          const message = { body, messageId: id, sessionId: key, applicationProperties: properties };
          if (batch.tryAddMessage(message)) continue;
          await sender.sendMessages(batch);
          batch = await sender.createMessageBatch();
          batch.tryAddMessage(message);
        }
        await sender.sendMessages(batch);
      },
      close: () => client.close(),
    };
  },
  sqs: async (url, name) => {
    const { username, password, host, searchParams } = new URL(url);
    const credentials = { accessKeyId: username, secretAccessKey: password };
    const client = new SQSClient({ endpoint: `http://${host}`, region: searchParams.get("region")!, credentials });
    return {
      describe: "batches of ten, one after the other",
      send: async (messages) => {
        for (const part of parts(messages, 10, 250_000)) {
          const Entries = part.map(({ id, key, body, properties }, index) => ({
            Id: String(index),
            MessageBody: body.toString(),
            MessageGroupId: key,
            MessageDeduplicationId: id,
            MessageAttributes: Object.fromEntries(
              Object.entries(properties).map(([k, v]) => [k, { DataType: "String", StringValue: v }]),
            ),
          }));
          await client.send(new SendMessageBatchCommand({ QueueUrl: `http://${host}/000000000000/${name}`, Entries }));
        }
      },
      close: async () => client.destroy(),
    };
  },
};

function* parts(messages: readonly Message[], most: number, mostBytes: number): Generator<readonly Message[]> {
  let [from, bytes] = [0, 0];
  for (const [at, { body }] of messages.entries()) {
    bytes += body.length + 300;
    if (at === from || (at - from < most && bytes <= mostBytes)) continue;
    yield messages.slice(from, at);
    [from, bytes] = [at, body.length + 300];
  }
  yield messages.slice(from);
}
