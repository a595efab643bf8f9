/**
 * What a system delivers as one stream of messages with many keys, handed out as deliveries of one key each. For systems that do
 * not do that themselves (a partition of Kafka, a queue of RabbitMQ): one slow key does not hold up the others, as far as the
 * memory for what was received goes.
 *
 *     waiting    received, behind all earlier messages of its key
 *     handed out in a delivery; its key is busy, and yields no other delivery until it is free again
 *     gone       settled: the key's next messages may follow
 *     given back the same messages stand first in their key again
 */
import type { Message } from "../change/message.ts";
import { messageSize } from "../change/message.ts";

/** A message, and what its system knows it by. */
export interface Received<T> {
  readonly message: Message;
  readonly handle: T;
}

export interface KeyBatch<T> {
  readonly key: string;
  readonly received: readonly Received<T>[];
  /** The lane that it was taken from: another one of its key stands for what came later. */
  readonly lane: object;
}

/** One delivery holds at most this much (one message where it alone is larger). */
const MOST_MESSAGES = 1_000;
const MOST_BYTES = 1024 * 1024;

interface Lane<T> {
  waiting: Received<T>[];
  /** Handed out; its key yields nothing else meanwhile. */
  out: readonly Received<T>[] | null;
}

export class KeyedBacklog<T> {
  readonly #lanes = new Map<string, Lane<T>>();
  /** Keys with something waiting that are not busy, in the order in which they became so. */
  readonly #ready = new Set<string>();
  #wake = Promise.withResolvers<void>();
  #ringing = false;
  #asking = 0;
  #asked = Promise.withResolvers<void>();
  #failure: unknown;
  #bytes = 0;
  #count = 0;
  #out = 0;
  #held = false;
  readonly #gatherMs: number;

  /** Called whenever `bytes` and `count` have become less: who stopped putting for want of room may go on. */
  onRoom: () => void = () => {};

  /** `gatherMs`: how long what has come waits for more to go out with; 0 is until the event loop turns. */
  constructor({ gatherMs = 0 }: { gatherMs?: number | undefined } = {}) {
    this.#gatherMs = gatherMs;
  }

  /** Of what waits and what is handed out. */
  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** Deliveries that are not settled. */
  get out(): number {
    return this.#out;
  }

  put(received: Received<T>): void {
    const { key } = received.message;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { waiting: [], out: null };
      this.#lanes.set(key, lane);
    }
    lane.waiting.push(received);
    this.#bytes += messageSize(received.message);
    this.#count++;
    if (lane.out !== null) return;
    this.#ready.add(key);
    this.#ringSoon();
  }

  /** The next delivery; null once the signal aborts. Rejects, from now on and for everybody, with what `fail` was told. */
  async next(signal: AbortSignal): Promise<KeyBatch<T> | null> {
    const ring = () => this.#ring();
    signal.addEventListener("abort", ring);
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure;
        if (signal.aborted) return null;
        const batch = this.#take();
        if (batch !== null) return batch;
        this.#asking++;
        this.#asked.resolve();
        try {
          await this.#wake.promise;
        } finally {
          if (--this.#asking === 0) this.#asked = Promise.withResolvers();
        }
      }
    } finally {
      signal.removeEventListener("abort", ring);
    }
  }

  /** Whether somebody waits for a delivery that there is not. */
  get asked(): boolean {
    return this.#asking > 0;
  }

  /** Resolves when somebody does. */
  async untilAsked(): Promise<void> {
    await this.#asked.promise;
  }

  /** Nothing goes out until it is released; what is out may be settled. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#ring();
  }

  /** Forgets everything: deliveries that are out come from somebody else again. */
  clear(): void {
    this.#lanes.clear();
    this.#ready.clear();
    this.#bytes = 0;
    this.#count = 0;
    this.#out = 0;
    this.onRoom();
  }

  /** The same for one key. */
  forget(key: string): void {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return;
    this.#lanes.delete(key);
    this.#ready.delete(key);
    const gone = [...(lane.out ?? []), ...lane.waiting];
    for (const { message } of gone) this.#bytes -= messageSize(message);
    this.#count -= gone.length;
    if (lane.out !== null) this.#out--;
    this.onRoom();
  }

  /** What waits and is meant goes out no more, and is forgotten. True: some of it is out, and may still be settled. */
  withhold(meant: (handle: T) => boolean): boolean {
    let isOut = false;
    for (const [key, lane] of this.#lanes) {
      const gone = lane.waiting.filter(({ handle }) => meant(handle));
      for (const { message } of gone) this.#bytes -= messageSize(message);
      this.#count -= gone.length;
      if (gone.length > 0) lane.waiting = lane.waiting.filter(({ handle }) => !meant(handle));
      if (lane.out?.some(({ handle }) => meant(handle))) isOut = true;
      else if (lane.out === null && lane.waiting.length === 0) {
        this.#lanes.delete(key);
        this.#ready.delete(key);
      }
    }
    this.onRoom();
    return isOut;
  }

  /** The same for keys of which something is out: it comes from somebody else again. */
  forgetAll(meant: (handle: T) => boolean): void {
    this.withhold(meant);
    for (const [key, { waiting, out }] of this.#lanes) {
      if (!out?.some(({ handle }) => meant(handle))) continue;
      this.forget(key);
      // Of another source, as where a key has moved from one to the other.
      for (const received of waiting) this.put(received);
    }
  }

  /** The delivery was settled: its key is free. */
  done(batch: KeyBatch<T>): void {
    if (batch.lane !== this.#lanes.get(batch.key)) return;
    for (const { message } of batch.received) this.#bytes -= messageSize(message);
    this.#count -= batch.received.length;
    this.#free(batch.key, []);
    this.onRoom();
  }

  /** Those of the delivery that are not settled stand first in their key again. */
  giveBack(batch: KeyBatch<T>, left: readonly Received<T>[] = batch.received): void {
    if (batch.lane !== this.#lanes.get(batch.key)) return;
    const kept = new Set(left);
    for (const received of batch.received) {
      if (kept.has(received)) continue;
      this.#bytes -= messageSize(received.message);
      this.#count--;
    }
    this.#free(batch.key, left);
    this.onRoom();
  }

  /** Everybody who waits now or later hears of it. The first counts. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#ring();
  }

  #take(): KeyBatch<T> | null {
    const { value: key } = this.#ready.values().next();
    if (key === undefined || this.#held) return null;
    this.#ready.delete(key);
    const lane = this.#lanes.get(key)!;
    let bytes = 0;
    let count = 0;
    while (count < lane.waiting.length && count < MOST_MESSAGES) {
      bytes += messageSize(lane.waiting[count]!.message);
      if (count > 0 && bytes > MOST_BYTES) break;
      count++;
    }
    lane.out = lane.waiting.splice(0, count);
    this.#out++;
    return { key, received: lane.out, lane };
  }

  #free(key: string, left: readonly Received<T>[]): void {
    const lane = this.#lanes.get(key)!;
    this.#out--;
    lane.out = null;
    lane.waiting.unshift(...left);
    if (lane.waiting.length === 0) this.#lanes.delete(key);
    else {
      this.#ready.add(key);
      this.#ring();
    }
  }

  /** Once what has come together is here: it goes out together. */
  #ringSoon(): void {
    if (this.#ringing) return;
    this.#ringing = true;
    const ring = () => {
      this.#ringing = false;
      this.#ring();
    };
    if (this.#gatherMs === 0) setImmediate(ring);
    else setTimeout(ring, this.#gatherMs);
  }

  #ring(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
