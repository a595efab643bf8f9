/** Reads every destination, as an application behind dstream would, and keeps what it got for the verdict. */
import { setTimeout as sleep } from "node:timers/promises";
import { TransportError } from "../errors.ts";
import type { Transport } from "../transports/transport.ts";
import type { Display } from "./display.ts";
import type { Received } from "./verdict.ts";

const RETRY_MS = 200;

export class Consumer {
  /** Everything that arrived, in order of arrival per destination, repeats included. */
  readonly received: Received[] = [];
  /** From commit in the source to arrival here, in milliseconds, of each change. */
  readonly latencies: number[] = [];
  readonly #transport: Transport;
  readonly #topics: readonly string[];
  readonly #display: Display;
  readonly #ids = new Set<string>();
  #last = performance.now();

  constructor(transport: Transport, topics: readonly string[], display: Display) {
    this.#transport = transport;
    this.#topics = topics;
    this.#display = display;
  }

  /** Changes that arrived, each counted once. */
  get distinct(): number {
    return this.#ids.size;
  }

  get lag(): number | null {
    return this.latencies.at(-1) ?? null;
  }

  /** Milliseconds since anything arrived. */
  get idle(): number {
    return performance.now() - this.#last;
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#topics.map((topic) => this.#receive(topic, signal)));
  }

  /** Resolves when nothing has arrived for a while: what is still to come would be a repeat. */
  async settle(): Promise<void> {
    while (this.idle < 300) await sleep(50);
  }

  /** As an application does: it takes what comes again after a broken connection, and knows a repeat by its id. */
  async #receive(topic: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#receiveOnce(topic, signal);
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #receiveOnce(topic: string, signal: AbortSignal): Promise<void> {
    const entity = { kind: "topic", name: topic, subscription: "sub1" } as const;
    await this.#transport.ensure(entity);
    const receiver = await this.#transport.receiver(entity);
    for await (const delivery of receiver.deliveries(signal)) {
      const now = Date.now();
      this.#last = performance.now();
      for (const { id, body } of delivery.messages) {
        const text = body.toString("utf8");
        this.received.push({ id, body: text });
        if (this.#ids.has(id)) continue;
        this.#ids.add(id);
        const time = /"CommitTime":"([^"]+)"/.exec(text)?.[1];
        if (time) this.latencies.push(now - Date.parse(time));
        this.#display.change(topic, text);
      }
      await delivery.complete();
    }
  }
}
