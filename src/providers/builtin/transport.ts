/**
 * Every transport as an output provider: what comes is sent to a queue or a topic, and acknowledged when that has it durably.
 *
 * - Row messages (`dstream provider mssql` with output = "rows") go to their own destination where neither queue nor topic is given. Their
 *   ids are functions of where they came from and of their position: systems that drop repeats drop them.
 * - Of all others nobody knows whether two with the same text are one: each line has an id of its own, and a repeat is delivered twice.
 */
import { createHash, randomUUID } from "node:crypto";
import { z } from "zod";
import { waitFor } from "../../backoff.ts";
import { positionOf, type RowMetadata } from "../../change/formats/batch-message.ts";
import type { Message } from "../../change/message.ts";
import { rowId } from "../../change/message-id.ts";
import { tableKey } from "../../change/ordering-key.ts";
import { DStreamError } from "../../errors.ts";
import { systemClock } from "../../ingester/clock.ts";
import { Outage } from "../../ingester/outage.ts";
import { createLogger, type Logger } from "../../telemetry/logger.ts";
import { describe, SUBSCRIPTION } from "../../transports/entities.ts";
import { openTransport } from "../../transports/registry.ts";
import { type BrokerType, brokerSettings, type Endpoint } from "../../transports/settings.ts";
import type { Entity, Sender, Transport } from "../../transports/transport.ts";
import type { LineBatch, Output, OutputProvider } from "../sdk/output.ts";
import type { Context } from "../sdk/provider.ts";

const target = {
  queue: z.string().min(1).optional().describe("The queue that everything is sent to; made where it is missing."),
  topic: z.string().min(1).optional().describe("Or the topic. Neither: row messages go to their own destinations."),
  subscription: z
    .string()
    .min(1)
    .prefault(SUBSCRIPTION)
    .describe("Made with a topic, so that nothing is lost before a reader comes."),
};

interface Target {
  queue?: string | undefined;
  topic?: string | undefined;
  subscription: string;
}

export class DestinationError extends DStreamError {
  readonly code = "DSTREAM_DESTINATION";
}

function schemaOf(type: BrokerType | "embedded"): z.ZodType {
  if (type === "embedded") return z.strictObject({ ...target, path: z.string().min(1).describe("The queue's file.") });
  return z.strictObject({
    ...target,
    connection_string: z
      .string()
      .min(1)
      .optional()
      .describe("How the system is reached. Without it: `DSTREAM_PUBLISHER_CONNECTION_STRING`."),
    [type]: brokerSettings[type].optional().describe("The settings of its block in configuration.md."),
  });
}

export function transportOutput(type: BrokerType | "embedded"): OutputProvider<z.ZodType> {
  type Ours = Context<Target & Record<string, unknown>>;
  const over = (work: (transport: Transport, entity: Entity, what: string) => AsyncIterable<string>) =>
    async function* (context: Context<unknown>) {
      const { config } = context as Ours;
      const entity = entityOf(config);
      if (entity === null) {
        yield "There is nothing to do: each message goes to a destination of its own, which is made when it comes.";
        return;
      }
      const transport = await openTransport(endpointOf(type, config), createLogger("warn", "pretty"));
      try {
        yield* work(transport, entity, describe(entity));
      } finally {
        await transport.close();
      }
    };
  return {
    config: schemaOf(type).refine(
      (config) => (config as Target).queue === undefined || (config as Target).topic === undefined,
      {
        message: "queue and topic exclude each other",
      },
    ),
    open: async (context) => {
      const { config } = context as Ours;
      const logger = createLogger("info", "pretty");
      const transport = await openTransport(endpointOf(type, config), logger);
      const entity = entityOf(config);
      const output = new TransportOutput(transport, entity, config.subscription, { logger, signal: context.signal });
      if (entity !== null) await output.sender(entity);
      return output;
    },
    lifecycle: {
      plan: over(async function* (transport, entity, what) {
        const [exists, how] = [await transport.exists(entity), transport.howToMake?.(entity)];
        if (exists) yield `  ${what} is there: nothing will be made`;
        else yield how === undefined ? `+ ${what} will be made` : `! ${what} is missing: ${how}`;
      }),
      init: over(async function* (transport, entity, what) {
        const exists = await transport.exists(entity);
        await transport.ensure(entity);
        yield exists ? `  ${what} is there` : `+ ${what} was made`;
      }),
      status: over(async function* (transport, entity, what) {
        if (!(await transport.exists(entity))) return yield `- ${what} is missing: dstream init makes it`;
        const counts = await transport.inspect?.(entity);
        const told = counts === undefined ? "" : `: ${counts.pending} waiting, ${counts.deadLettered} dead letters`;
        yield `  ${what} is there${told}`;
      }),
      destroy: over(async function* (transport, entity, what) {
        if (!(await transport.exists(entity))) return yield `  ${what} is not there`;
        if (transport.remove === undefined)
          throw new DestinationError(`A transport of type ${type} cannot remove ${what}.`, {
            advice: "Remove it where it was made.",
          });
        await transport.remove(entity);
        yield `- ${what} was removed, with what was in it`;
      }),
    },
  };
}

function endpointOf(type: BrokerType | "embedded", config: Record<string, unknown>): Endpoint {
  if (type === "embedded") return { type, path: config["path"] as string };
  const variable = "DSTREAM_PUBLISHER_CONNECTION_STRING";
  const connectionString = (config["connection_string"] as string | undefined) ?? process.env[variable]?.trim();
  if (!connectionString)
    throw new DestinationError("The configuration has no connection_string.", {
      advice: `Give it, or set ${variable}.`,
    });
  return { type, connectionString, settings: config[type] ?? brokerSettings[type].parse({}) } as Endpoint;
}

function entityOf({ queue, topic, subscription }: Target): Entity | null {
  if (queue !== undefined) return { kind: "queue", name: queue };
  return topic === undefined ? null : { kind: "topic", name: topic, subscription };
}

class TransportOutput implements Output {
  readonly #transport: Transport;
  readonly #entity: Entity | null;
  readonly #subscription: string;
  readonly #signal: AbortSignal;
  readonly #outage: Outage;
  readonly #senders = new Map<string, Promise<Sender>>();
  /** Of ids that are nobody else's. */
  readonly #run = randomUUID();
  #count = 0;

  constructor(
    transport: Transport,
    entity: Entity | null,
    subscription: string,
    { logger, signal }: { logger: Logger; signal: AbortSignal },
  ) {
    this.#transport = transport;
    this.#entity = entity;
    this.#subscription = subscription;
    this.#signal = signal;
    this.#outage = new Outage(`the ${transport.type} output`, { logger, clock: systemClock, random: Math.random });
  }

  async deliver(batch: LineBatch): Promise<void> {
    const byEntity = new Map<string, { entity: Entity; messages: Message[] }>();
    for (const line of batch.lines()) {
      const { entity, message } = this.#addressed(line);
      const found = byEntity.get(entity.name) ?? { entity, messages: [] };
      byEntity.set(entity.name, found);
      found.messages.push(message);
    }
    // Told to end, it finishes what it has begun, as long as it is let.
    const never = new AbortController().signal;
    const sends = [...byEntity.values()].map(async ({ entity, messages }) => {
      const sender = await this.#outage.ride(() => this.sender(entity), this.#signal);
      await this.#outage.ride(() => sender.send(messages), this.#signal, never);
    });
    const results = await Promise.allSettled(sends);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async sender(entity: Entity): Promise<Sender> {
    let sender = this.#senders.get(entity.name);
    if (sender === undefined) {
      sender = this.#transport.ensure(entity).then(() => this.#transport.sender(entity));
      this.#senders.set(entity.name, sender);
      sender.catch(() => this.#senders.delete(entity.name));
    }
    return await sender;
  }

  async close(): Promise<void> {
    await Promise.race([this.#transport.close(), waitFor(3_000)]);
  }

  #addressed(line: string): { entity: Entity; message: Message } {
    const json = JSON.parse(line) as Partial<RowMessage & Envelope> | null;
    const body = Buffer.from(line);
    const row = json?.metadata;
    if (row?.Destination !== undefined && row.LSN !== undefined && row.Seq !== undefined) {
      const { Destination, LSN, Schema, TableName, OperationType } = row as RowMetadata;
      const entity = this.#entity ?? { kind: "topic" as const, name: Destination, subscription: this.#subscription };
      const properties = { Destination, TableName, OperationType, LSN };
      const key = tableKey({ schema: Schema, table: TableName });
      return { entity, message: { id: idOf(row as RowMetadata), key, body, properties } };
    }
    const entity = this.#entity;
    if (entity === null)
      throw new DestinationError("A message names no destination: it is no row message.", {
        advice:
          "Give queue or topic in the output's config, or, for dstream's own input, output = \"rows\" in that one's.",
      });
    const key = typeof json?.table_name === "string" ? json.table_name : entity.name;
    const properties = { Destination: entity.name, ...(json?.table_name && { TableName: json.table_name }) };
    return { entity, message: { id: `${this.#run}-${++this.#count}`, key, body, properties } };
  }
}

interface RowMessage {
  metadata: Partial<RowMetadata>;
}

interface Envelope {
  table_name: string;
}

/** As the ingester's ids, but for their beginning: what that is made of does not stand in a row message. */
function idOf(metadata: RowMetadata): string {
  const { Destination, Schema, TableName } = metadata;
  const origin = createHash("sha256")
    .update(JSON.stringify([Destination, Schema, TableName]))
    .digest("hex")
    .slice(0, 24);
  return rowId(origin, positionOf(metadata));
}
