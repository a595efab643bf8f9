/**
 * Takes deliveries from one queue of the file and holds their keys until they are settled.
 *
 * A delivery is `open` until it is settled, which makes it `settled`, or until somebody else has taken its key, which makes
 * it `lost` (the lease ended unrenewed: this process was stopped or starved). A settlement that fails because the file is
 * busy or the disk is full leaves it `open`: it may be settled again, or comes again when the process ends.
 */
import { pauseAfter, waitFor } from "../../backoff.ts";
import type { Message } from "../../change/message.ts";
import { TransportError } from "../../errors.ts";
import type { SqliteFile } from "../../sqlite/file.ts";
import type { Delivery, Receiver } from "../transport.ts";
import type { StoredMessage } from "./block.ts";
import { speaking } from "./speaking.ts";
import type { ClaimLimit, Held, QueueStore } from "./store.ts";

/** The keys that this process holds, renewed together. */
export class Leases {
  readonly leaseMs: number;
  readonly holder: number;
  #file: SqliteFile;
  #store: QueueStore;
  #held = new Set<Held>();
  #timer: NodeJS.Timeout;
  #renewed = moment();

  constructor(file: SqliteFile, store: QueueStore, holder: number, leaseMs: number) {
    this.#file = file;
    this.#store = store;
    this.holder = holder;
    this.leaseMs = leaseMs;
    this.#timer = setInterval(() => void this.#renew(), leaseMs / 3);
  }

  add(held: Held): void {
    this.#held.add(held);
  }

  delete(held: Held): void {
    this.#held.delete(held);
  }

  /**
   * Part of a write. A process that was stopped for longer than its leases keeps what nobody has taken meanwhile; it must
   * say so before it looks for expired keys, or one of its receivers would take what another one is working on. A suspended
   * machine stops the monotonic clock, so the wall clock counts as well.
   */
  renewOverdue(): void {
    const { wall, monotonic } = moment();
    const passed = Math.max(wall - this.#renewed.wall, monotonic - this.#renewed.monotonic);
    if (passed > this.leaseMs / 2) this.#renewAll();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#file
      .write(() => this.#store.leave(this.holder), { announce: true })
      .catch(() => {
        // The file cannot be written to: the leases end by themselves.
      });
  }

  async #renew(): Promise<void> {
    if (this.#held.size === 0) {
      this.#renewed = moment();
      return;
    }
    await this.#file
      .write(() => this.#renewAll())
      .catch(() => {
        // Tried again at the next third. A lease that ends meanwhile is lost, and its settlement says so.
      });
  }

  #renewAll(): void {
    for (const held of this.#held) if (!this.#store.renew(held)) this.#held.delete(held);
    this.#renewed = moment();
  }
}

function moment(): { wall: number; monotonic: number } {
  return { wall: Date.now(), monotonic: performance.now() };
}

/** Between two looks at what other processes have written: after work, and when nothing has come for a while. */
const LOOK_PAUSE_MS = { least: 2, most: 100 };
/** How often a receiver looks although nobody has written: leases end and processes die silently. */
const SILENT_LOOK_MS = 250;

/** Rings when the file has changed since `reset`, at once for a write of this process, by looking for one of another; and at the end. */
class ChangeBell {
  #file: SqliteFile;
  #ringing = new AbortController();
  #seen = 0;
  #quietSince = performance.now();
  readonly silence: () => void;

  constructor(file: SqliteFile, end: AbortSignal) {
    this.#file = file;
    const ring = () => this.#ringing.abort();
    const unheard = file.onChange(ring);
    end.addEventListener("abort", ring);
    this.silence = () => {
      unheard();
      end.removeEventListener("abort", ring);
    };
  }

  /** Before looking at the file, so that no change falls between looking and waiting. */
  async reset(): Promise<void> {
    if (this.#ringing.signal.aborted) this.#ringing = new AbortController();
    this.#seen = await this.#file.read(() => this.#file.foreignChanges());
  }

  busy(): void {
    this.#quietSince = performance.now();
  }

  /** False: nothing has changed for a while. */
  async rings(): Promise<boolean> {
    const until = performance.now() + SILENT_LOOK_MS;
    for (let now = performance.now(); now < until; now = performance.now()) {
      const { signal } = this.#ringing;
      if (signal.aborted || (await this.#file.read(() => this.#file.foreignChanges())) !== this.#seen) return true;
      await waitFor(pauseAfter(now - this.#quietSince, LOOK_PAUSE_MS), signal);
    }
    return false;
  }
}

export class EmbeddedReceiver implements Receiver {
  #file: SqliteFile;
  #store: QueueStore;
  #leases: Leases;
  #queue: number;
  #name: string;
  #limit: ClaimLimit;
  #closing = new AbortController();

  constructor(file: SqliteFile, store: QueueStore, leases: Leases, queue: number, name: string, limit: ClaimLimit) {
    this.#file = file;
    this.#store = store;
    this.#leases = leases;
    this.#queue = queue;
    this.#name = name;
    this.#limit = limit;
  }

  async *deliveries(signal: AbortSignal): AsyncGenerator<Delivery> {
    const end = AbortSignal.any([signal, this.#closing.signal]);
    const bell = new ChangeBell(this.#file, end);
    const claimed: Held[] = [];
    try {
      while (!end.aborted) {
        if (claimed.length === 0) await speaking(() => this.#refill(claimed, bell, end));
        if (claimed.length > 0 && !end.aborted) yield this.#delivery(claimed.shift()!);
      }
    } finally {
      bell.silence();
      // What was taken ahead but not handed out goes back. Where that fails, it does when the process ends.
      await Promise.allSettled(claimed.map((held) => this.#settle(held, "give back", () => this.#store.abandon(held))));
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  /** Claims what is there, or waits until there may be something. */
  async #refill(claimed: Held[], bell: ChangeBell, end: AbortSignal): Promise<void> {
    await bell.reset();
    claimed.push(...(await this.#claim(end)));
    if (claimed.length > 0) bell.busy();
    else if (!(await bell.rings()) && !end.aborted) await this.#file.shrink();
  }

  async #claim(end: AbortSignal): Promise<Held[]> {
    const ended = await this.#file.read(() => this.#store.ended());
    if (ended.length === 0 && !(await this.#file.read(() => this.#store.hasWork(this.#queue)))) return [];
    const held = await this.#file.write(() => {
      if (end.aborted) return []; // a transport that closes has given up what it holds, and takes nothing more
      this.#leases.renewOverdue();
      this.#store.bury(ended);
      return this.#store.claim(this.#queue, this.#leases.holder, this.#limit);
    });
    for (const each of held) this.#leases.add(each);
    return held;
  }

  #delivery(held: Held): Delivery {
    const deadLetter = (message: Message, reason: string) =>
      this.#store.deadLetter(this.#queue, held, message as StoredMessage, reason);
    return {
      key: held.key,
      messages: held.messages,
      complete: () => this.#settle(held, "complete", () => this.#store.complete(this.#queue, held)),
      abandon: () => this.#settle(held, "give back", () => this.#store.abandon(held)),
      deadLetter: async (message, reason) => {
        const done = await speaking(() => this.#file.write(() => deadLetter(message, reason), { durable: true }));
        if (!done) throw this.#lost(held, "dead-letter a message of");
      },
    };
  }

  async #settle(held: Held, doing: string, settle: () => boolean): Promise<void> {
    const done = await speaking(() => this.#file.write(settle, { announce: true }));
    this.#leases.delete(held);
    if (!done) throw this.#lost(held, doing);
  }

  #lost(held: Held, doing: string): TransportError {
    return new TransportError(
      "rejected",
      `Cannot ${doing} a delivery of ${held.messages.length} messages of key "${held.key}" from ${this.#name}: its lease ` +
        "ended or it was settled before; if it was not settled, the messages come again.",
      { advice: "If this happens often, the machine is overloaded or was suspended." },
    );
  }
}
