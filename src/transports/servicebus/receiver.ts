/**
 * Takes sessions of an entity, each of which holds one ordering key's messages, and receives from them.
 *
 * - A session is one receiver's at a time: so a key keeps its order whatever number of routers there is, and keys run in parallel.
 * - Its lock is renewed while it is held, and it is held while something of it waits or is out, and for a moment afterwards.
 * - Nothing is given back by abandoning it: that counts as a delivery, and after so many the service dead-letters a message by itself.
 *   What is abandoned stays here, and goes out again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceBusClient, ServiceBusReceivedMessage, ServiceBusSessionReceiver } from "@azure/service-bus";
import { unlessAborted } from "../../abort.ts";
import { Backoff, waitFor } from "../../backoff.ts";
import { TransportError } from "../../errors.ts";
import type { Session } from "../backlog-receiving.ts";
import type { KeyedBacklog, Received } from "../keyed-backlog.ts";
import { codeOf, serviceBusError } from "./link.ts";
import { incoming } from "./message.ts";

export interface ServiceBusReading {
  client: ServiceBusClient;
  where: string;
  /** As in "queue …". */
  what: string;
  queue: string;
  /** Of a topic. */
  subscription: string | undefined;
  maxSessions: number;
}

/** A message, and the session that it was received in. */
export interface ServiceBusHandle {
  received: ServiceBusReceivedMessage;
  holder: SessionHolder;
}

/** Received and not settled, of one session, at most. */
const PREFETCH = 500;
/** How long a session is held that has nothing more. */
const IDLE_MS = 1_000;
const CLOSE_WITHIN_MS = 1_000;
/**
 * How long a session is held on to that something of it could not be settled in. Each time that it comes again counts as a delivery of
 * its messages: where taking works and settling does not, they would use up their deliveries in seconds.
 */
const UNSETTLED_MS = { initial: 1_000, max: 30_000 };
/** https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues: 4 KB of UTF-16. */
const LONGEST_REASON = 2_000;
/** A renewal of a session's lock ends after so long: longer than anything is out. */
const RENEWED_MS = 365 * 24 * 3600 * 1000;

export class ServiceBusSession implements Session<ServiceBusHandle> {
  readonly backlog: KeyedBacklog<ServiceBusHandle>;
  readonly #reading: ServiceBusReading;
  readonly #closing = new AbortController();
  readonly #holders = new Set<SessionHolder>();
  readonly #unsettled = new Backoff(UNSETTLED_MS);
  #failure: TransportError | null = null;
  #room: (() => void) | null = null;

  constructor(reading: ServiceBusReading, backlog: KeyedBacklog<ServiceBusHandle>) {
    this.#reading = reading;
    this.backlog = backlog;
    void this.#run();
  }

  get lost(): boolean {
    return this.#failure !== null;
  }

  async settle(received: readonly Received<ServiceBusHandle>[]): Promise<void> {
    const outcomes = await Promise.allSettled(received.map(({ handle }) => handle.holder.complete(handle.received)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw this.#error("settling", outcome.reason);
  }

  async deadLetter({ handle }: Received<ServiceBusHandle>, reason: string): Promise<void> {
    try {
      await handle.holder.deadLetter(handle.received, reason);
    } catch (error) {
      throw this.#error("dead-lettering", error);
    }
  }

  #error(doing: string, error: unknown): TransportError {
    return serviceBusError(`${doing} messages of ${this.#reading.what}`, this.#reading.where, error);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#failure ??= new TransportError("rejected", `The receiver of ${this.#reading.what} was closed.`);
    this.#room?.();
    // The client does not end its waiting for a session before its time; one that it is given then is given back at once.
    await Promise.all([...this.#holders].map((holder) => holder.close()));
  }

  /** Takes one session after the other, as long as somebody waits for one and there is room. */
  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if (this.#holders.size >= this.#reading.maxSessions) {
        await new Promise<void>((resolve) => (this.#room = resolve));
        continue;
      }
      try {
        await unlessAborted(this.backlog.untilAsked(), signal);
        const receiver = await this.#accept(signal);
        // What nobody waits for any more is left to others.
        if (signal.aborted || !this.backlog.asked) await receiver.close();
        else this.#hold(receiver);
      } catch (error) {
        if (signal.aborted) return;
        // There was nothing to be had for a while.
        if (["ServiceTimeout", "SessionCannotBeLocked"].includes(codeOf(error))) continue;
        this.#lose(error);
        return;
      }
    }
  }

  #accept(abortSignal: AbortSignal): Promise<ServiceBusSessionReceiver> {
    const { client, queue, subscription } = this.#reading;
    // A body is bytes: the client would make doubles of its numbers.
    const options = { maxAutoLockRenewalDurationInMs: RENEWED_MS, skipParsingBodyAsJson: true, abortSignal };
    if (subscription === undefined) return client.acceptNextSession(queue, options);
    return client.acceptNextSession(queue, subscription, options);
  }

  #hold(receiver: ServiceBusSessionReceiver): void {
    const holder = new SessionHolder(receiver, this.backlog, this.#unsettled, (error) => {
      this.#holders.delete(holder);
      this.#room?.();
      // A session that is lost is somebody else's; anything else concerns all.
      if (error !== null && codeOf(error) !== "SessionLockLost") this.#lose(error);
    });
    this.#holders.add(holder);
  }

  #lose(error: unknown): void {
    if (this.#failure !== null) return;
    const { what, where } = this.#reading;
    this.#failure = serviceBusError(`receiving from ${what}`, where, error);
    this.backlog.fail(this.#failure);
    this.#room?.();
    for (const holder of this.#holders) void holder.close();
  }
}

/** One session, from when it is taken until it is given up or lost. */
export class SessionHolder {
  readonly #receiver: ServiceBusSessionReceiver;
  readonly #backlog: KeyedBacklog<ServiceBusHandle>;
  readonly #pauses: Backoff;
  readonly #onEnd: (error: unknown) => void;
  readonly #keys = new Set<string>();
  /** What came and is not settled; the client asks for more as they are. */
  readonly #unsettled = new Map<ServiceBusReceivedMessage, () => void>();
  #idle: NodeJS.Timeout | undefined;
  readonly #ending = new AbortController();
  /** Settlements under way, which end with the session: the client waits for a lost answer for a minute. */
  readonly #settling = new Set<(over: TransportError) => void>();
  #givingUp: Promise<void> | null = null;

  /** `pauses`: of all sessions, before one is given up that could not be settled in. `onEnd`: null if it was given up. */
  constructor(
    receiver: ServiceBusSessionReceiver,
    backlog: KeyedBacklog<ServiceBusHandle>,
    pauses: Backoff,
    onEnd: (error: unknown) => void,
  ) {
    this.#receiver = receiver;
    this.#backlog = backlog;
    this.#pauses = pauses;
    this.#onEnd = onEnd;
    receiver.subscribe(
      {
        processMessage: (received) => this.#take(received),
        processError: async ({ error }) => this.#end(error),
      },
      { autoCompleteMessages: false, maxConcurrentCalls: PREFETCH },
    );
    this.#rest();
  }

  async complete(received: ServiceBusReceivedMessage): Promise<void> {
    await this.#settle(received, () => this.#receiver.completeMessage(received));
  }

  async deadLetter(received: ServiceBusReceivedMessage, reason: string): Promise<void> {
    const told = {
      deadLetterReason: reason.slice(0, LONGEST_REASON),
      deadLetterErrorDescription: "dead-lettered by dstream",
    };
    await this.#settle(received, () => this.#receiver.deadLetterMessage(received, told));
  }

  async #settle(received: ServiceBusReceivedMessage, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#ending;
    if (signal.aborted) throw this.#over();
    const { promise, reject } = Promise.withResolvers<never>();
    this.#settling.add(reject);
    try {
      await Promise.race([work(), promise]);
    } catch (error) {
      // The client has tried again by itself. What is not settled comes again with its session, to somebody; held on to, it never would.
      await (this.#givingUp ??= this.#giveUp());
      throw error;
    } finally {
      this.#settling.delete(reject);
    }
    this.#pauses.reset();
    this.#unsettled.get(received)?.();
    this.#unsettled.delete(received);
    if (this.#unsettled.size === 0) this.#rest();
  }

  async #giveUp(): Promise<void> {
    await waitFor(this.#pauses.next(), this.#ending.signal);
    await this.#end(null);
  }

  async close(): Promise<void> {
    await this.#end(null);
  }

  #take(received: ServiceBusReceivedMessage): Promise<void> {
    if (this.#ending.signal.aborted) return Promise.resolve();
    clearTimeout(this.#idle);
    const message = incoming(received);
    this.#keys.add(message.key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#unsettled.set(received, resolve);
    this.#backlog.put({ message, handle: { received, holder: this } });
    return promise;
  }

  #over(): TransportError {
    return new TransportError("rejected", `The session "${this.#receiver.sessionId}" is no longer held.`);
  }

  #rest(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#unsettled.size === 0) void this.#end(null);
    }, IDLE_MS);
  }

  async #end(error: unknown): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    for (const over of this.#settling) over(this.#over());
    clearTimeout(this.#idle);
    for (const key of this.#keys) this.#backlog.forget(key);
    for (const settled of this.#unsettled.values()) settled();
    this.#unsettled.clear();
    // On a connection that is lost the client waits for an answer for a minute.
    await Promise.race([this.#receiver.close().catch(() => {}), sleep(CLOSE_WITHIN_MS, undefined, { ref: false })]);
    this.#onEnd(error);
  }
}
