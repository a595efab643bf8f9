/**
 * Queues and topics in one SQLite file, for everything that runs on one machine: at least once, in order per key, without
 * a server. Several processes may use the file at once; a file on a network share may not be used (SQLite's write-ahead
 * log needs shared memory, https://www.sqlite.org/wal.html).
 *
 * - An acknowledged send is on disk (fsync). Claims and settlements are not synced one by one: a power cut may undo the
 *   last of them, and the messages come again.
 * - A message whose id was sent before is swallowed and counted: ids are remembered for seven days or the file's last
 *   million sends, whichever is less, and at most for twice as long.
 * - A delivery holds its key for `leaseMs`, renewed at a third of it. When its process is killed, the key is free at once
 *   where the system can tell (Linux), else when the lease ends. A stopped process loses its keys when the lease ends;
 *   settling then rejects and changes nothing.
 */

import type { Message } from "../../change/message.ts";
import { messageSize } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import { thisProcess } from "../../process-identity.ts";
import { SqliteFile } from "../../sqlite/file.ts";
import { describe } from "../entities.ts";
import type { DeadLetters, Entity, EntityCounts, Limits, Receiver, Sender, Traits, Transport } from "../transport.ts";
import { EmbeddedReceiver, Leases } from "./receiver.ts";
import { queueSchema } from "./schema.ts";
import { speaking } from "./speaking.ts";
import { QueueStore } from "./store.ts";

export interface EmbeddedOptions {
  /** The file; made, with its folder, where it is missing. */
  path: string;
  leaseMs?: number;
  /** One delivery holds at most this much (one message where it alone is larger). */
  deliveryRows?: number;
  deliveryBytes?: number;
  maxMessageBytes?: number;
  rememberMs?: number;
  rememberIds?: number;
  /** How long a write lock that other processes hold is waited for, before it counts as unavailable. */
  busyMs?: number;
}

/** A send is cut into transactions of this size, so that a large one does not hold up everybody else. */
const ROWS_A_WRITE = 4_000;
const BYTES_A_WRITE = 4 * 1024 * 1024;

export class EmbeddedTransport implements Transport {
  readonly type = "embedded";
  readonly limits: Limits;
  readonly traits: Traits = { deduplicates: true, keepsOrder: true };
  #file: SqliteFile;
  #store: QueueStore;
  /** Made with the first receiver: who only sends or looks holds nothing, and leaves the file as it is. */
  #leases: Promise<Leases> | null = null;
  #leaseMs: number;
  #receivers = new Set<EmbeddedReceiver>();
  #delivery: { rows: number; bytes: number };
  #closed = false;

  private constructor(file: SqliteFile, store: QueueStore, leaseMs: number, options: EmbeddedOptions) {
    this.#file = file;
    this.#store = store;
    this.#leaseMs = leaseMs;
    this.#delivery = { rows: options.deliveryRows ?? 1_000, bytes: options.deliveryBytes ?? 1024 * 1024 };
    const maxMessageBytes = options.maxMessageBytes ?? 64 * 1024 * 1024;
    this.limits = { maxMessageBytes, maxSendBytes: maxMessageBytes };
  }

  static async open(options: EmbeddedOptions): Promise<EmbeddedTransport> {
    const { leaseMs = 15_000, rememberMs = 7 * 86_400_000, rememberIds = 1_000_000, busyMs } = options;
    return await speaking(async () => {
      const file = await SqliteFile.open(options.path, queueSchema, busyMs === undefined ? {} : { busyMs });
      const store = new QueueStore(file, { leaseMs, rememberMs, rememberIds });
      return new EmbeddedTransport(file, store, leaseMs, options);
    });
  }

  async ensure(entity: Entity): Promise<void> {
    if (await this.exists(entity)) return;
    await speaking(() => this.#file.write(() => this.#store.ensure(entity), { durable: true }));
  }

  async exists(entity: Entity): Promise<boolean> {
    return (await speaking(() => this.#file.read(() => this.#store.queueOf(entity)))) !== null;
  }

  async remove(entity: Entity): Promise<void> {
    await speaking(() =>
      this.#file.write(
        () => {
          const queue = this.#store.queueOf(entity);
          if (queue !== null) this.#store.remove(queue);
        },
        { durable: true },
      ),
    );
  }

  async sender(entity: Entity): Promise<Sender> {
    await this.#queueOf(entity);
    return { send: (messages) => this.#send(entity, messages), close: async () => {} };
  }

  async receiver(entity: Entity): Promise<Receiver> {
    const queue = await this.#queueOf(entity);
    const leases = await this.#enter();
    const receiver = new EmbeddedReceiver(this.#file, this.#store, leases, queue, describe(entity), this.#delivery);
    this.#receivers.add(receiver);
    return receiver;
  }

  async inspect(entity: Entity): Promise<EntityCounts> {
    const queue = await this.#queueOf(entity);
    return await speaking(() => this.#file.read(() => this.#store.counts(queue)));
  }

  deadLetters(entity: Entity): DeadLetters {
    const reading = async <T>(work: (queue: number) => T): Promise<T> => {
      const queue = await this.#queueOf(entity);
      return await speaking(() => this.#file.read(() => work(queue)));
    };
    return {
      list: (limit) => reading((queue) => this.#store.deadLetters(queue, limit)),
      get: (id) => reading((queue) => this.#store.findDeadLetter(queue, Number(id))),
      replay: async (id) => {
        const queue = await this.#queueOf(entity);
        const replay = () => this.#store.replay(queue, Number(id));
        return await speaking(() => this.#file.write(replay, { durable: true, announce: true }));
      },
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const receiver of this.#receivers) await receiver.close();
    await (await this.#leases?.catch(() => null))?.close();
    await this.#file.close();
  }

  #enter(): Promise<Leases> {
    this.#leases ??= speaking(async () => {
      const holder = await this.#file.write(() => this.#store.enter(thisProcess()));
      return new Leases(this.#file, this.#store, holder, this.#leaseMs);
    }).catch((error: unknown) => {
      this.#leases = null;
      throw error;
    });
    return this.#leases;
  }

  async #send(entity: Entity, messages: readonly Message[]): Promise<void> {
    for (const message of messages) this.#checkSize(entity, message);
    // One after the other: where one fails, none behind it is stored, or it would be ahead of it when all is sent again.
    for (const part of cut(messages)) {
      const add = () => this.#store.add(this.#store.queuesOf(entity), part);
      await speaking(() => this.#file.write(add, { durable: true, announce: true }));
    }
  }

  #checkSize(entity: Entity, message: Message): void {
    const size = messageSize(message);
    if (size <= this.limits.maxMessageBytes) return;
    throw new TransportError(
      "too_large",
      `Cannot send message ${message.id} to ${describe(entity)}: it has ${size} bytes, the embedded queue takes ` +
        `${this.limits.maxMessageBytes} at most.`,
      { messageId: message.id, advice: "Leave the table's largest columns out, or set on_oversize." },
    );
  }

  async #queueOf(entity: Entity): Promise<number> {
    const queue = await speaking(() => this.#file.read(() => this.#store.queueOf(entity)));
    if (queue !== null) return queue;
    throw new TransportError("rejected", `There is no ${describe(entity)} in the embedded queue ${this.#file.path}.`, {
      advice: "It is made when an ingester or a router that names it starts; look at the name and the path.",
    });
  }
}

function* cut(messages: readonly Message[]): Iterable<readonly Message[]> {
  let start = 0;
  let bytes = 0;
  for (let end = 0; end < messages.length; end++) {
    const size = messages[end]!.body.length;
    if (end > start && (end - start === ROWS_A_WRITE || bytes + size > BYTES_A_WRITE)) {
      yield messages.slice(start, end);
      start = end;
      bytes = 0;
    }
    bytes += size;
  }
  if (start < messages.length) yield messages.slice(start);
}
