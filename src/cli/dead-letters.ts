/**
 * `dstream dead-letters`: two places in one list. What the ingester could not send for good stands in the dead-letter store,
 * what a destination refused for good in the ingest queue's own dead letters. Both go back into the ingest queue.
 */
import { existsSync } from "node:fs";
import type { Message } from "../change/message.ts";
import type { Config } from "../config/config.ts";
import { silent } from "../telemetry/logger.ts";
import type { DeadLetters } from "../transports/transport.ts";
import { UsageError } from "./usage-error.ts";
import { type CommonOptions, configure, openDeadLetterStore, openEndpoint, queueEntity } from "./wiring.ts";

interface Listed {
  place: "ingester" | "queue";
  id: string;
  since: Date;
  reason: string;
  message: Message;
}

/** More than anyone lists or replays at once. */
const EVERY = 1_000_000;

export async function list(options: CommonOptions & { limit: number }): Promise<number> {
  await using places = await Places.open(options);
  const letters = await places.list(options.limit);
  for (const { place, id, since, reason, message } of letters) {
    const { Destination: destination = "?", OperationType: operation = "?" } = message.properties;
    process.stdout.write(`${id}  ${since.toISOString()}  ${place}  ${destination}  ${operation}  ${reason}\n`);
  }
  if (letters.length === 0) process.stderr.write("There are no dead letters.\n");
  return 0;
}

export async function show(id: string, options: CommonOptions): Promise<number> {
  await using places = await Places.open(options);
  const { place, since, reason, message } = await places.find(id);
  const { key, properties } = message;
  const body = readable(message.body);
  process.stdout.write(
    `${JSON.stringify({ id, place, since, reason, message: { id: message.id, key, properties, body } }, null, 2)}\n`,
  );
  return 0;
}

export async function replay(ids: string[], options: CommonOptions & { all?: boolean }): Promise<number> {
  if (ids.length > 0 === (options.all === true)) throw new UsageError("Name the dead letters to replay, or say --all.");
  await using places = await Places.open(options);
  const letters = options.all ? await places.list(EVERY) : [];
  // One after the other: RabbitMQ and SQS show what they show to one at a time.
  for (const id of ids) letters.push(await places.find(id));
  for (const letter of letters) {
    await places.replay(letter);
    process.stdout.write(`${letter.id}  sent again to the ingest queue\n`);
  }
  process.stderr.write(`${letters.length} replayed.\n`);
  return 0;
}

class Places implements AsyncDisposable {
  readonly #config: Config;
  readonly #stack = new AsyncDisposableStack();

  private constructor(config: Config) {
    this.#config = config;
  }

  static async open(options: CommonOptions): Promise<Places> {
    return new Places((await configure(options)).config);
  }

  async list(limit: number): Promise<Listed[]> {
    const stored = await openDeadLetterStore(this.#config).list(limit);
    const queued = (await (await this.#queueLetters())?.list(limit)) ?? [];
    return [
      ...stored.map(
        ({ id, time, reason, message }): Listed => ({ place: "ingester", id, since: time, reason, message }),
      ),
      ...queued.map(({ id, since, reason, message }): Listed => ({ place: "queue", id, since, reason, message })),
    ];
  }

  async find(id: string): Promise<Listed> {
    const stored = await openDeadLetterStore(this.#config).get(id);
    if (stored) return { place: "ingester", id, since: stored.time, reason: stored.reason, message: stored.message };
    const queued = await (await this.#queueLetters())?.get(id);
    if (queued) return { place: "queue", id, since: queued.since, reason: queued.reason, message: queued.message };
    throw new UsageError(`There is no dead letter ${id}: dstream dead-letters list shows those that are there.`);
  }

  /** Sent first, forgotten after: killed in between, it may be sent again, under the same id. */
  async replay({ place, id, message }: Listed): Promise<void> {
    if (place === "queue") {
      if (!(await (await this.#queueLetters())!.replay(id)))
        throw new UsageError(`The dead letter ${id} has gone meanwhile.`);
      return;
    }
    const { endpoint, name } = this.#config.ingester.queue;
    const transport = await openEndpoint(endpoint, silent, this.#stack);
    await transport.ensure(queueEntity(name));
    const sender = await transport.sender(queueEntity(name));
    await sender.send([message]);
    await sender.close();
    await openDeadLetterStore(this.#config).remove(id);
  }

  async #queueLetters(): Promise<DeadLetters | undefined> {
    const { endpoint, name } = this.#config.router.source;
    if (endpoint.type === "embedded" && !existsSync(endpoint.path)) return undefined;
    return (await openEndpoint(endpoint, silent, this.#stack)).deadLetters?.(queueEntity(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** As JSON where it is JSON, so that it can be read; as text else. */
function readable(body: Buffer): unknown {
  const text = body.toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
