/**
 * Takes deliveries from the ingest queue and sees that each message reaches its destination, in order, before it is settled.
 *
 * starting: the ingest queue is made where it is missing (an unavailable one is waited for), and a lane for every destination.
 * routing:  deliveries are taken while there is room in memory; their messages go to the lanes.
 * draining: after the signal, or when the output has gone: no more are taken, the lanes send what they have, for eight
 *           seconds at most; what is unsettled then is given back, and comes again to somebody.
 */
import { Backoff, waitFor } from "../backoff.ts";
import { TransportError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Delivery, Entity, Receiver, Transport } from "../transports/transport.ts";
import { Consignment } from "./consignment.ts";
import { Lane } from "./lane.ts";

export interface RouterOptions {
  source: Transport;
  sourceEntity: Entity;
  output: Transport;
  /** Made at start; others when a message first names them. */
  destinations: readonly string[];
  /** What becomes of a message that its destination refuses for good. */
  onPoison: "stop" | "dead_letter";
  /** No delivery is taken while this much is unsettled; so at most one delivery more is held. */
  maxInFlightBytes: number;
  logger: Logger;
  /** After each acknowledged send. */
  onDelivered?: (count: number, bytes: number) => void;
  drainMs?: number;
  /** For tests: how long an unavailable system is left alone. */
  retryMs?: { initial: number; max: number };
}

const DRAIN_MS = 8_000;
const GIVE_BACK_MS = 1_000;
/** So long without room is worth a word. */
const FULL_MS = 30_000;
const RETRY_MS = { initial: 250, max: 30_000 };

export class Router {
  #options: RouterOptions;
  #lanes = new Map<string, Lane>();
  #consignments = new Set<Consignment>();
  #bytes = 0;
  #onRoom: () => void = () => {};
  #draining = new AbortController();
  #cut = new AbortController();

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Resolves when it has drained after the signal. Rejects when the ingest queue cannot be used. Runs once. */
  async run(signal: AbortSignal): Promise<void> {
    const { source, output, logger } = this.#options;
    const stop = output.ended === undefined ? signal : AbortSignal.any([signal, output.ended]);
    for (const destination of this.#options.destinations) this.#lane(destination);
    let receiver: Receiver | undefined;
    try {
      receiver = await this.#start(source, stop);
      if (receiver !== undefined) await this.#route(receiver, stop);
      if (output.ended?.aborted) logger.info("the output's reader has gone; ending");
    } finally {
      await this.#drain();
      await receiver?.close();
    }
  }

  async #start(source: Transport, stop: AbortSignal): Promise<Receiver | undefined> {
    return await this.#persist(stop, async () => {
      await source.ensure(this.#options.sourceEntity);
      return await source.receiver(this.#options.sourceEntity);
    });
  }

  async #route(receiver: Receiver, stop: AbortSignal): Promise<void> {
    await this.#persist(stop, async (works) => {
      for await (const delivery of receiver.deliveries(stop)) {
        works();
        this.#accept(delivery);
        await this.#room(stop);
      }
    });
  }

  #accept(delivery: Delivery): void {
    const consignment: Consignment = new Consignment(delivery, {
      logger: this.#options.logger,
      cut: this.#cut.signal,
      onEnd: () => {
        this.#bytes -= consignment.bytes;
        this.#consignments.delete(consignment);
        this.#onRoom();
      },
    });
    this.#bytes += consignment.bytes;
    this.#consignments.add(consignment);
    for (const parcel of consignment.parcels) this.#lane(parcel.destination).put(parcel);
  }

  async #room(stop: AbortSignal): Promise<void> {
    const wake = () => this.#onRoom();
    stop.addEventListener("abort", wake);
    const full = setTimeout(() => this.#sayFull(), FULL_MS);
    while (this.#bytes >= this.#options.maxInFlightBytes && !stop.aborted) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
    clearTimeout(full);
    stop.removeEventListener("abort", wake);
  }

  /** Lanes that wait or are stopped keep what they hold in memory; when it is all of it, they keep the others waiting too. */
  #sayFull(): void {
    const destinations = [...this.#lanes.values()].filter((lane) => lane.held > 0).map((lane) => lane.destination);
    this.#options.logger.warn(
      { bytes: this.#bytes, count: this.#consignments.size, destinations: destinations.slice(0, 20) },
      "nothing more is taken from the ingest queue: all that may be in flight waits for its destinations",
    );
  }

  #lane(destination: string): Lane {
    let lane = this.#lanes.get(destination);
    if (lane === undefined) {
      const { output, onPoison, logger, onDelivered = () => {}, retryMs } = this.#options;
      const draining = this.#draining.signal;
      const retry = retryMs === undefined ? {} : { retryMs };
      lane = new Lane({ destination, output, onPoison, logger, draining, onDelivered, ...retry });
      this.#lanes.set(destination, lane);
    }
    return lane;
  }

  async #drain(): Promise<void> {
    this.#draining.abort();
    const deadline = setTimeout(() => this.#cut.abort(), this.#options.drainMs ?? DRAIN_MS);
    const cut = new Promise<void>((resolve) => {
      this.#cut.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([Promise.all([...this.#lanes.values()].map((lane) => lane.ended)), cut]);
    await Promise.race([this.#settled(), cut]);
    clearTimeout(deadline);
    this.#cut.abort();
    const left = [...this.#consignments];
    if (left.length === 0) return;
    this.#options.logger.info({ count: left.length }, "deliveries given back: they come again");
    await Promise.race([Promise.all(left.map((consignment) => consignment.abandon())), waitFor(GIVE_BACK_MS)]);
  }

  /** Until every consignment whose messages all have their answers is settled. */
  async #settled(): Promise<void> {
    await Promise.all([...this.#consignments].map((consignment) => consignment.settled()));
  }

  /** Calls until the ingest queue can be reached. Undefined: stopped before. `works` says that it does, while a call lasts. */
  async #persist<T>(stop: AbortSignal, call: (works: () => void) => Promise<T>): Promise<T | undefined> {
    const backoff = new Backoff(this.#options.retryMs ?? RETRY_MS);
    const { logger, sourceEntity } = this.#options;
    let since: number | null = null;
    const works = () => {
      backoff.reset();
      if (since !== null) {
        logger.info(`queue ${sourceEntity.name} is back after ${Math.round((performance.now() - since) / 1000)} s`);
      }
      since = null;
    };
    while (!stop.aborted) {
      try {
        const answer = await call(works);
        works();
        return answer;
      } catch (error) {
        if (!(error instanceof TransportError) || error.reason !== "unavailable") throw error;
        if (since === null) logger.warn({ error, advice: error.advice }, `waiting for queue ${sourceEntity.name}`);
        since ??= performance.now();
      }
      await waitFor(backoff.next(), stop);
    }
    return undefined;
  }
}
