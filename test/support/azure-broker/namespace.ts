/** The broker's entities, by their addresses. */
import { Entity } from "./entity.ts";
import { type EntityRow, Store, type StoredMessage } from "./store.ts";

const DEAD_LETTERS = "/$DeadLetterQueue";

export class Namespace {
  readonly store: Store;
  readonly #rows = new Map<string, EntityRow>();
  readonly #entities = new Map<string, Entity>();

  constructor(file: string) {
    this.store = new Store(file);
    for (const row of this.store.entities()) this.#add(row);
    for (const message of this.store.messages()) this.#entities.get(message.entity.toLowerCase())?.put(message);
    // Locks end by time.
    setInterval(() => {
      for (const entity of this.#entities.values()) entity.pump();
    }, 100).unref();
  }

  row(path: string): EntityRow | undefined {
    return this.#rows.get(path.toLowerCase());
  }

  /** False: there is one. */
  create(row: EntityRow): boolean {
    if (this.#rows.has(row.path.toLowerCase())) return false;
    this.store.putEntity(row);
    this.#add(row);
    return true;
  }

  /** With its subscriptions and all that is in them. False: there is none. */
  remove(path: string): boolean {
    const row = this.row(path);
    if (row === undefined) return false;
    if (row.kind === "TopicDescription") for (const { path: each } of this.subscriptionsOf(path)) this.remove(each);
    this.store.transaction(() => this.store.removeEntity(row.path));
    const key = path.toLowerCase();
    this.#rows.delete(key);
    for (const address of [key, `${key}${DEAD_LETTERS.toLowerCase()}`]) this.#entities.delete(address);
    return true;
  }

  /** What may be received from: a queue, a subscription, or the dead letters of one. */
  receivable(address: string): Entity | undefined {
    return this.#entities.get(address.toLowerCase());
  }

  /** Durable once it returns. Returns what is wrong, as a condition and its description. */
  send(address: string, messages: readonly Incoming[]): [condition: string, description: string] | null {
    const row = this.row(address);
    if (row === undefined || row.kind === "SubscriptionDescription")
      return ["amqp:not-found", `The messaging entity '${address}' could not be found.`];
    const targets = row.kind === "QueueDescription" ? [row] : this.subscriptionsOf(row.path);
    const needsSession = targets.some(({ properties }) => properties["RequiresSession"] === "true");
    if (needsSession && messages.some(({ session }) => session === null)) {
      return [
        "amqp:not-allowed",
        `The SessionId was not set on a message, and it cannot be sent to the entity. Entities that have session support enabled can only receive messages that have the SessionId set to a valid value.`,
      ];
    }
    const now = Date.now();
    const windowMs = durationMs(row.properties["DuplicateDetectionHistoryTimeWindow"] ?? "PT10M");
    const stored: StoredMessage[] = [];
    this.store.transaction(() => {
      for (const { session, messageId, raw } of messages) {
        if (row.properties["RequiresDuplicateDetection"] === "true" && messageId !== null) {
          if (!this.store.firstSeen(row.path, messageId, now, windowMs)) continue;
        }
        for (const { path } of targets) {
          const message = {
            entity: path,
            session,
            messageId,
            raw,
            deliveries: 0,
            enqueued: now,
            reason: null,
            description: null,
          };
          stored.push({ ...message, seq: this.store.add(message) });
        }
      }
    });
    const touched = new Set<Entity>();
    for (const message of stored) {
      const entity = this.receivable(message.entity)!;
      entity.put(message);
      touched.add(entity);
    }
    for (const entity of touched) entity.pump();
    return null;
  }

  subscriptionsOf(topic: string): EntityRow[] {
    const prefix = `${topic.toLowerCase()}/subscriptions/`;
    return [...this.#rows].filter(([path]) => path.startsWith(prefix)).map(([, row]) => row);
  }

  #add(row: EntityRow): void {
    this.#rows.set(row.path.toLowerCase(), row);
    if (row.kind === "TopicDescription") return;
    const { properties, path } = row;
    const lockMs = durationMs(properties["LockDuration"] ?? "PT1M");
    const letters = new Entity(
      path + DEAD_LETTERS,
      { sessions: false, lockMs, maxDeliveryCount: Infinity },
      this.store,
      null,
    );
    const settings = {
      sessions: properties["RequiresSession"] === "true",
      lockMs,
      maxDeliveryCount: Number(properties["MaxDeliveryCount"] ?? 10),
    };
    this.#entities.set(letters.path.toLowerCase(), letters);
    this.#entities.set(path.toLowerCase(), new Entity(path, settings, this.store, letters));
  }
}

export interface Incoming {
  session: string | null;
  messageId: string | null;
  raw: Buffer;
}

/** ISO 8601, as the administration API has it: PT30S, PT1M, P7D, P10675199DT2H48M5.4775807S. */
export function durationMs(text: string): number {
  const found = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(text);
  if (found === null) throw new Error(`not a duration: ${text}`);
  const [days, hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}
