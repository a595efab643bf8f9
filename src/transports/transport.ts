/**
 * The contract between dstream and one messaging system. Everything here throws TransportError: `unavailable` while the
 * system cannot be reached (the caller waits and calls again), `rejected` or `too_large` for what will never work as it is.
 */
import type { Message } from "../change/message.ts";
import type { MessageRun } from "../change/message-run.ts";
import type { TableName } from "../ingester/checkpoint.ts";

export interface Transport {
  readonly type: string;
  readonly limits: Limits;
  readonly traits: Traits;
  /** Aborts when the output has gone for good (a pipe whose reader left): who sends should end. Undefined: never does. */
  readonly ended?: AbortSignal;
  /** Creates the entity where it is missing; safe from several processes at once. Leaves an existing one as it is. */
  ensure(entity: Entity): Promise<void>;
  /** Where entities are made by others: how this one is made. Undefined: `ensure` makes them. */
  howToMake?(entity: Entity): string;
  /** Looks, changes nothing: false where the entity is missing. For `dstream check`. */
  exists(entity: Entity): Promise<boolean>;
  /**
   * Removes the entity, its dead letters, and all that is in them, for good, while nobody sends to it or receives from it; one that is
   * missing is no error. A topic stays where it has other subscriptions, as far as the system tells. Undefined where `howToMake` is not.
   */
  remove?(entity: Entity): Promise<void>;
  sender(entity: Entity): Promise<Sender>;
  /** A topic is received from through its subscription. */
  receiver(entity: Entity): Promise<Receiver>;
  /** Counts, for status and the demo; undefined where the system does not tell. */
  inspect?(entity: Entity): Promise<EntityCounts>;
  /** The entity's dead letters; undefined where the system has none. */
  deadLetters?(entity: Entity): DeadLetters;
  /** Ends all senders and receivers. What was not acknowledged is not durable; what was not settled comes again. */
  close(): Promise<void>;
}

/** `subscription` is what the seed calls "sub1": made with its topic, so that nothing sent before a reader came is lost. */
export type Entity = { kind: "queue"; name: string } | { kind: "topic"; name: string; subscription: string };

export interface Limits {
  /** The hard limit of one message, counted by messageSize. */
  maxMessageBytes: number;
  /** What batch messages are cut to, where the system is the better for smaller ones than it takes. */
  batchBytes?: number;
  /** What one send may hold; a sender cuts a larger one by itself, in order. */
  maxSendBytes: number;
}

export interface Traits {
  /** A message sent twice with one id is delivered once (within the system's window). */
  deduplicates: boolean;
  /** One key's messages are delivered in the order in which they were sent, one delivery at a time. */
  keepsOrder: boolean;
}

export interface Sender {
  /**
   * Resolves when all are durable. Rejects when any is not: then any part may have been accepted, and the caller sends
   * the same messages again, in the same order, before any later one of their keys. One call at a time per key. Once it
   * has resolved, the bodies may be written over: whoever needs them longer has copied them.
   */
  send(messages: readonly Message[]): Promise<void>;
  /** The same for one table's changes as they were encoded, where that is what is wanted; then `send` is not called for them. */
  sendRun?(run: MessageRun, of: RunSource): Promise<void>;
  close(): Promise<void>;
}

/** Where a run of changes comes from. */
export interface RunSource {
  table: TableName;
  /** How often the table is asked about at present. */
  pollIntervalMs: number;
}

export interface Receiver {
  /**
   * Deliveries until the signal aborts (then it ends without error). What was delivered may still be settled until the
   * receiver or its transport is closed; what was not settled by then comes again to somebody. A key
   * with an unsettled delivery yields no other one, so one key's order survives several receivers. What the system does
   * against slow consumers (lease or lock expiry) is renewed behind the scenes while a delivery is unsettled.
   */
  deliveries(signal: AbortSignal): AsyncIterable<Delivery>;
  close(): Promise<void>;
}

/** Messages of one ordering key, in order. Settled once, as a whole, after single messages may have been dead-lettered. */
export interface Delivery {
  readonly key: string;
  readonly messages: readonly Message[];
  /**
   * All that was not dead-lettered is done with. Rejects as `unavailable` where it can be called again; else the lease was lost, and
   * the messages come again.
   */
  complete(): Promise<void>;
  /** Gives everything unsettled back, to be delivered again, in order. */
  abandon(): Promise<void>;
  /** Moves one of the messages to the entity's dead letters, for good. */
  deadLetter(message: Message, reason: string): Promise<void>;
}

export interface EntityCounts {
  /** Waiting or being delivered. */
  pending: number;
  deadLettered: number;
  /** Sends that deduplication swallowed, ever. */
  repeats: number;
}

export interface DeadLetter {
  /** Names it within its entity. */
  id: string;
  message: Message;
  reason: string;
  /** UTC. */
  since: Date;
}

export interface DeadLetters {
  list(limit: number): Promise<DeadLetter[]>;
  get(id: string): Promise<DeadLetter | null>;
  /** Puts it back at the end of its entity and removes it here, in one step where the system can. False: no such letter. */
  replay(id: string): Promise<boolean>;
}
