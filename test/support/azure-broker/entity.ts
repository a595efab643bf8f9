/**
 * A queue or subscription, and its dead letters: who holds which messages and sessions, for how long.
 * https://learn.microsoft.com/azure/service-bus-messaging/message-transfers-locks-settlement and …/message-sessions.
 */
import type { Store, StoredMessage } from "./store.ts";

/** A link that messages are delivered over. */
export interface Consumer {
  /** Messages that it takes now. */
  credit(): number;
  deliver(message: Held): void;
  /** Its session's lock has ended. */
  sessionLost(): void;
}

export interface Held extends StoredMessage {
  lock: { consumer: Consumer; until: number } | null;
}

export interface EntitySettings {
  sessions: boolean;
  lockMs: number;
  maxDeliveryCount: number;
}

interface SessionLock {
  consumer: Consumer;
  until: number;
}

interface SessionWaiter {
  /** Undefined: any that has messages. */
  session: string | undefined;
  consumer: Consumer;
  granted: (session: string, until: number) => void;
}

export class Entity {
  readonly path: string;
  readonly settings: EntitySettings;
  readonly #store: Store;
  readonly #deadLetters: Entity | null;
  /** In order of their sequence numbers. */
  #messages: Held[] = [];
  #consumers = new Set<Consumer>();
  #sessions = new Map<string, SessionLock>();
  #sessionOf = new Map<Consumer, string>();
  #waiters: SessionWaiter[] = [];

  constructor(path: string, settings: EntitySettings, store: Store, deadLetters: Entity | null) {
    this.path = path;
    this.settings = settings;
    this.#store = store;
    this.#deadLetters = deadLetters;
  }

  put(message: StoredMessage): void {
    this.#messages.push({ ...message, lock: null });
  }

  counts(): number {
    return this.#messages.length;
  }

  peek(from: number, count: number): Held[] {
    return this.#messages.filter(({ seq }) => seq >= from).slice(0, count);
  }

  attach(consumer: Consumer): void {
    this.#consumers.add(consumer);
    this.pump();
  }

  /** Waits for a session of its own; `granted` is called once. */
  attachSession(session: string | undefined, consumer: Consumer, granted: SessionWaiter["granted"]): void {
    this.#waiters.push({ session, consumer, granted });
    this.pump();
  }

  isWaiting(consumer: Consumer): boolean {
    return this.#waiters.some((waiter) => waiter.consumer === consumer);
  }

  /** What it holds is free again. */
  detach(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    this.#waiters = this.#waiters.filter((waiter) => waiter.consumer !== consumer);
    const session = this.#sessionOf.get(consumer);
    if (session !== undefined) {
      this.#sessions.delete(session);
      this.#sessionOf.delete(consumer);
    }
    this.#free((message) => message.lock?.consumer === consumer);
    this.pump();
  }

  renewSession(session: string): number | null {
    const lock = this.#sessions.get(session);
    if (lock === undefined) return null;
    lock.until = Date.now() + this.settings.lockMs;
    for (const message of this.#messages) if (message.lock?.consumer === lock.consumer) message.lock.until = lock.until;
    return lock.until;
  }

  renew(seq: number): number | null {
    const message = this.#messages.find((each) => each.seq === seq && each.lock !== null);
    if (message === undefined) return null;
    message.lock!.until = Date.now() + this.settings.lockMs;
    return message.lock!.until;
  }

  /** False: the consumer has no lock on it any more. */
  complete(consumer: Consumer, message: Held): boolean {
    if (!this.#holds(consumer, message)) return false;
    this.#store.remove(message.seq);
    this.#drop(message);
    return true;
  }

  abandon(consumer: Consumer, message: Held): boolean {
    if (!this.#holds(consumer, message)) return false;
    this.#free((each) => each === message);
    this.pump();
    return true;
  }

  deadLetter(consumer: Consumer, message: Held, reason: string | null, description: string | null): boolean {
    if (!this.#holds(consumer, message)) return false;
    this.#bury(message, reason, description);
    return true;
  }

  /** What has expired is free; what is free goes to who takes it. */
  pump(): void {
    this.#expire();
    for (const waiter of [...this.#waiters]) this.#grant(waiter);
    if (!this.settings.sessions) {
      for (const consumer of this.#consumers) this.#feed(consumer, (message) => message.lock === null);
      return;
    }
    for (const [consumer, session] of this.#sessionOf)
      this.#feed(consumer, (message) => message.lock === null && message.session === session);
  }

  #grant(waiter: SessionWaiter): void {
    const wanted =
      waiter.session ??
      this.#messages.find(({ session, lock }) => lock === null && !this.#sessions.has(session ?? ""))?.session;
    if (wanted === undefined || wanted === null || this.#sessions.has(wanted)) return;
    const until = Date.now() + this.settings.lockMs;
    this.#sessions.set(wanted, { consumer: waiter.consumer, until });
    this.#sessionOf.set(waiter.consumer, wanted);
    this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
    waiter.granted(wanted, until);
  }

  #feed(consumer: Consumer, fits: (message: Held) => boolean): void {
    for (let credit = consumer.credit(), i = 0; credit > 0 && i < this.#messages.length; i++) {
      const message = this.#messages[i]!;
      if (!fits(message)) continue;
      const session = this.#sessionOf.get(consumer);
      const until = session === undefined ? Date.now() + this.settings.lockMs : this.#sessions.get(session)!.until;
      message.lock = { consumer, until };
      consumer.deliver(message);
      message.deliveries++;
      this.#store.delivered(message.seq, message.deliveries);
      credit--;
    }
  }

  #expire(): void {
    const now = Date.now();
    for (const [session, { consumer, until }] of this.#sessions) {
      if (until > now) continue;
      this.#sessions.delete(session);
      this.#sessionOf.delete(consumer);
      this.#free((message) => message.lock?.consumer === consumer);
      consumer.sessionLost();
    }
    if (!this.settings.sessions) this.#free((message) => message.lock !== null && message.lock.until <= now);
  }

  #free(which: (message: Held) => boolean): void {
    for (const message of this.#messages.filter(which)) {
      message.lock = null;
      if (message.deliveries >= this.settings.maxDeliveryCount && this.#deadLetters !== null)
        this.#bury(
          message,
          "MaxDeliveryCountExceeded",
          `Message could not be consumed after ${message.deliveries} delivery attempts.`,
        );
    }
  }

  #bury(message: Held, reason: string | null, description: string | null): void {
    const letters = this.#deadLetters;
    if (letters === null) return;
    this.#store.transaction(() => {
      this.#store.remove(message.seq);
      const letter = { ...message, entity: letters.path, reason, description, deliveries: 0 };
      letters.put({ ...letter, seq: this.#store.add(letter) });
    });
    this.#drop(message);
    letters.pump();
  }

  #holds(consumer: Consumer, message: Held): boolean {
    this.#expire();
    return message.lock?.consumer === consumer && this.#messages.includes(message);
  }

  #drop(message: Held): void {
    const at = this.#messages.indexOf(message);
    if (at >= 0) this.#messages.splice(at, 1);
  }
}
