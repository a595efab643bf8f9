/**
 * Everything that goes to one destination, in order: never more than one unacknowledged send.
 *
 *     opening   the destination is made where it is missing      → idle; waiting; stopped
 *     idle      nothing to send                                  → sending (something was put); ended (draining)
 *     sending   one send under way                               → idle or sending (acknowledged); waiting; sifting; stopped
 *     waiting   the destination is unavailable: a pause, then    → sending the same again; ended (draining)
 *     sifting   under on_poison = "dead_letter", after a refusal → sending without the refused message, or one by one
 *     stopped   it refuses for good: holds what it has, reminds  → ended (draining)
 *     ended     takes and sends nothing more
 *
 * A draining lane sends what it has; one that waits or is stopped ends at once. Its parcels have had no answer then, so that their
 * deliveries are given back.
 */
import { Backoff, waitFor } from "../backoff.ts";
import { describeError, TransportError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { SUBSCRIPTION } from "../transports/entities.ts";
import type { Sender, Transport } from "../transports/transport.ts";
import type { Parcel } from "./consignment.ts";

export interface LaneOptions {
  destination: string;
  output: Transport;
  onPoison: "stop" | "dead_letter";
  logger: Logger;
  /** Aborts when the router is to end: send what there is, wait for nothing. */
  draining: AbortSignal;
  onDelivered: (count: number, bytes: number) => void;
  /** For tests. */
  retryMs?: { initial: number; max: number };
}

const RETRY_MS = { initial: 250, max: 30_000 };
const REMINDER_MS = 10 * 60_000;
const ROWS_A_SEND = 4_000;
const BYTES_A_SEND = 4 * 1024 * 1024;
/**
 * So many messages refused in a row, without a word that it is the message and with none accepted in between, mean that
 * the destination refuses everything (a revoked permission, say): dead-lettering the whole queue would help nobody.
 */
const SUSPICIOUS_REFUSALS = 10;

/** Ends the lane's loop where it stands; nobody sees it. */
class Ended extends Error {}

export class Lane {
  readonly destination: string;
  /** Resolves when the lane has ended. */
  readonly ended: Promise<void>;
  #options: LaneOptions;
  #logger: Logger;
  #backoff: Backoff;
  #queue: Parcel[] = [];
  /** Parcels without an answer: those in the queue, and those being sent. */
  #held = 0;
  #wake: () => void = () => {};
  #waitingSince: number | null = null;
  #refusedInARow = 0;

  constructor(options: LaneOptions) {
    this.destination = options.destination;
    this.#options = options;
    this.#logger = options.logger.child({ destination: options.destination });
    this.#backoff = new Backoff(options.retryMs ?? RETRY_MS);
    options.draining.addEventListener("abort", () => this.#wake(), { once: true });
    this.ended = this.#run();
  }

  /** Parcels that it has given no answer to. */
  get held(): number {
    return this.#held;
  }

  put(parcel: Parcel): void {
    this.#queue.push(parcel);
    this.#held++;
    this.#wake();
  }

  async #run(): Promise<void> {
    let sender: Sender | undefined;
    try {
      sender = await this.#persist(() => this.#openSender());
      for (let batch = await this.#next(); batch !== null; batch = await this.#next()) await this.#send(sender, batch);
    } catch (error) {
      if (!this.#isEnd(error)) await this.#stop(error);
    }
    await sender?.close().catch(() => {
      // What it sent was acknowledged or will be sent again: nothing hangs on a clean goodbye.
    });
  }

  async #openSender(): Promise<Sender> {
    const entity = { kind: "topic", name: this.destination, subscription: SUBSCRIPTION } as const;
    await this.#options.output.ensure(entity);
    return await this.#options.output.sender(entity);
  }

  /** What one send may hold of what waits; null: draining, and nothing waits. */
  async #next(): Promise<Parcel[] | null> {
    while (this.#queue.length === 0) {
      if (this.#options.draining.aborted) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const most = Math.min(BYTES_A_SEND, this.#options.output.limits.maxSendBytes);
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && count < ROWS_A_SEND) {
      bytes += this.#queue[count]!.size;
      if (count > 0 && bytes > most) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  /** Until each of them was acknowledged or refused. */
  async #send(sender: Sender, batch: readonly Parcel[]): Promise<void> {
    let rest = batch;
    while (rest.length > 0) {
      try {
        await this.#persist(() => sender.send(rest.map((parcel) => parcel.message)));
        this.#acknowledged(rest);
        return;
      } catch (error) {
        if (!isRefusal(error) || this.#options.onPoison === "stop" || this.#isEnd(error)) throw error;
        const poison = rest.length === 1 ? rest[0] : rest.find(({ message }) => message.id === error.messageId);
        if (poison === undefined) {
          for (const parcel of rest) await this.#send(sender, [parcel]);
          return;
        }
        this.#refuse(poison, error);
        rest = rest.filter((parcel) => parcel !== poison);
      }
    }
  }

  #acknowledged(parcels: readonly Parcel[]): void {
    let bytes = 0;
    for (const parcel of parcels) {
      bytes += parcel.size;
      parcel.delivered();
    }
    this.#held -= parcels.length;
    this.#refusedInARow = 0;
    this.#options.onDelivered(parcels.length, bytes);
  }

  #refuse(parcel: Parcel, error: TransportError): void {
    const aboutTheMessage = error.reason === "too_large" || error.messageId === parcel.message.id;
    if (!aboutTheMessage && ++this.#refusedInARow >= SUSPICIOUS_REFUSALS) {
      throw new TransportError(
        "rejected",
        `${this.destination} has refused ${this.#refusedInARow} messages in a row: ${error.message}`,
        { advice: "It seems to refuse all of them: look at its permissions and limits, then restart.", cause: error },
      );
    }
    this.#held--;
    parcel.refused(`refused by ${this.destination}: ${describeError(error)}`);
  }

  /** Calls until the destination answers, yes or no. */
  async #persist<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const answer = await call();
        this.#isBack();
        return answer;
      } catch (error) {
        if (!(error instanceof TransportError) || error.reason !== "unavailable") throw error;
        this.#isAway(error);
      }
      await waitFor(this.#backoff.next(), this.#options.draining);
      if (this.#options.draining.aborted) throw new Ended();
    }
  }

  #isAway(error: TransportError): void {
    if (this.#waitingSince !== null) return;
    this.#waitingSince = performance.now();
    this.#logger.warn({ error, advice: error.advice }, `waiting for ${this.destination}`);
  }

  #isBack(): void {
    this.#backoff.reset();
    if (this.#waitingSince === null) return;
    const seconds = Math.round((performance.now() - this.#waitingSince) / 1000);
    this.#waitingSince = null;
    this.#logger.info(`${this.destination} is back after ${seconds} s`);
  }

  /** Holds what it has, so that nothing of it is lost or overtaken, and says so from time to time. */
  async #stop(error: unknown): Promise<void> {
    const advice =
      (error instanceof TransportError ? error.advice : undefined) ??
      'Remove the cause and restart the router, or set on_poison = "dead_letter".';
    while (!this.#options.draining.aborted) {
      this.#logger.error({ error, advice, count: this.#held }, `stopped: nothing more goes to ${this.destination}`);
      await waitFor(REMINDER_MS, this.#options.draining);
    }
  }

  #isEnd(error: unknown): boolean {
    return error instanceof Ended || this.#options.output.ended?.aborted === true;
  }
}

function isRefusal(error: unknown): error is TransportError {
  return error instanceof TransportError && error.reason !== "unavailable";
}
