/**
 * Reads partitions of one hub over a connection of our own, made of the parts that Azure's client is made of. The client's reader is of no
 * use here: it grants the service more credit with every batch that it hands out, without counting what is open still (@azure/event-hubs
 * 6.0, partitionReceiver.js; measured: 14,950 after 150 single events with a prefetch of 100), so that what it may hold grows without
 * bound; and it waits 20 ms with each batch.
 */
import { ConnectionContextBase, translate } from "@azure/core-amqp";
import { type Receiver, types } from "rhea-promise";
import type { EventHubsLink } from "./link.ts";
import type { ReceivedEvent } from "./message.ts";

export interface PartitionLink {
  /** So many events more may come. */
  grant(count: number): void;
  /** Resolves with why it is over: the service ended it, or the connection is lost. Null: it was closed here. */
  readonly over: Promise<Error | null>;
  close(): Promise<void>;
}

export interface PartitionPosition {
  partition: string;
  consumerGroup: string;
  /** Of the event before; null: from the first one that there is. */
  after: number | null;
  /** The service ends a reader of the same group with a lower one, and refuses one when there is a higher one. */
  epoch: number;
}

const WITHIN_MS = 10_000;

export class HubConnection {
  readonly #link: EventHubsLink;
  readonly #hub: string;
  readonly #id: string;
  readonly #open = new Set<(why: Error | null) => void>();
  #connecting: Promise<ConnectionContextBase> | null = null;
  /** Aborts when the connection that is, or is being made, is lost: questions on it are given up at once. */
  #lost = new AbortController();

  /** `id`: names this reader to the service. */
  constructor(link: EventHubsLink, hub: string, id: string) {
    this.#link = link;
    this.#hub = hub;
    this.#id = id;
  }

  async read(position: PartitionPosition, onEvent: (event: ReceivedEvent) => void): Promise<PartitionLink> {
    const { partition, consumerGroup, after, epoch } = position;
    const context = await this.#connected();
    const address = `${this.#hub}/ConsumerGroups/${consumerGroup}/Partitions/${partition}`;
    const renewal = await this.#claim(context, `${context.config.endpoint}${address}`);
    const { promise: over, resolve } = Promise.withResolvers<Error | null>();
    const end = (why: Error | null) => {
      if (!this.#open.delete(end)) return;
      renewal.stop();
      resolve(why);
    };
    this.#open.add(end);
    const failed = (error: unknown) => end(translate((error ?? new Error("the service ended the link")) as Error));
    // https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide, and the selector as the client has it.
    const selector =
      after === null ? "amqp.annotation.x-opt-offset > '-1'" : `amqp.annotation.x-opt-sequence-number > '${after}'`;
    let receiver: Receiver;
    try {
      receiver = await context.connection.createReceiver({
        name: `${address}-${this.#id}-${epoch}`,
        autoaccept: true,
        credit_window: 0,
        target: this.#id as never,
        source: {
          address,
          filter: { "apache.org:selector-filter:string": types.wrap_described(selector, 0x468c00000004) },
        } as never,
        properties: { "com.microsoft:receiver-name": this.#id, "com.microsoft:epoch": types.wrap_long(epoch) },
        onMessage: ({ message }) => {
          if (message !== undefined && this.#open.has(end)) onEvent(message as unknown as ReceivedEvent);
        },
        onError: ({ receiver: ended }) => failed(ended?.error),
        onClose: () => failed(undefined),
        onSessionError: ({ session }) => failed(session?.error),
        onSessionClose: () => failed(undefined),
      });
    } catch (error) {
      end(null);
      throw translate(error as Error);
    }
    return {
      grant: (count) => receiver.addCredit(count),
      over,
      close: async () => {
        end(null);
        await receiver.close().catch(() => {});
      },
    };
  }

  async close(): Promise<void> {
    const context = await this.#connecting?.catch(() => null);
    this.#connecting = null;
    this.#lost.abort();
    for (const end of [...this.#open]) end(null);
    if (!context) return;
    await context.cbsSession.close().catch(() => {});
    await context.connection.close().catch(() => {});
  }

  async #connected(): Promise<ConnectionContextBase> {
    this.#connecting ??= this.#connect().catch((error: unknown) => {
      this.#connecting = null;
      throw translate(error as Error);
    });
    return await this.#connecting;
  }

  async #connect(): Promise<ConnectionContextBase> {
    const context = ConnectionContextBase.create({
      config: this.#link.config(this.#hub),
      connectionProperties: { product: "dstream", version: "1", userAgent: "dstream" },
      isEntityPathRequired: true,
      operationTimeoutInMs: WITHIN_MS,
    });
    const { connection } = context;
    const here = (this.#lost = new AbortController());
    // Errors are told to whoever waits for something.
    connection.on("connection_error" as never, () => {});
    const lost = (why: Error) => {
      if (here.signal.aborted) return;
      here.abort();
      if (this.#lost === here) this.#connecting = null;
      for (const end of [...this.#open]) end(translate(why));
    };
    // What a peer says that it may not say; nobody listening for it would end the process.
    connection.on("error" as never, () => lost(new Error("the connection is out of order")));
    connection.on("disconnected" as never, () => lost(new Error("the connection is lost")));
    // One that the service closes is not told as disconnected.
    connection.on("connection_close" as never, () => lost(new Error("the service closed the connection")));
    await context.cbsSession.init({ timeoutInMs: WITHIN_MS, abortSignal: here.signal });
    return context;
  }

  /** A token for the address, now and again before it ends. */
  async #claim(context: ConnectionContextBase, audience: string): Promise<{ stop(): void }> {
    let timer: NodeJS.Timeout | undefined;
    const { signal: abortSignal } = this.#lost;
    const claim = async () => {
      const { token, type, renewInMs } = await this.#link.claim(audience);
      await context.cbsSession.negotiateClaim(audience, token, type, { timeoutInMs: WITHIN_MS, abortSignal });
      timer = setTimeout(() => void claim().catch(() => {}), renewInMs).unref();
    };
    await claim();
    return { stop: () => clearTimeout(timer) };
  }
}
