/**
 * One delivery of the ingest queue on its way: it may go to several destinations, and is settled once, when each of its
 * messages has arrived or was refused for good.
 *
 * Nothing is settled before: a message is dead-lettered, and the delivery completed, only after every row of it has an answer.
 * Killed at any point before the last step, the whole delivery comes again, and what had arrived is repeated with the same ids.
 */
import { Backoff, waitFor } from "../backoff.ts";
import { type Message, messageSize } from "../change/message.ts";
import { describeError, TransportError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Delivery } from "../transports/transport.ts";
import { route } from "./route.ts";

/** A row message for one lane, and what its answer means to the delivery. */
export interface Parcel {
  readonly message: Message;
  readonly size: number;
  readonly destination: string;
  delivered(): void;
  refused(reason: string): void;
}

/** A message of the delivery: itself, or a batch of many rows. */
interface Part {
  message: Message;
  unanswered: number;
  refusals: string[];
}

const RETRY_MS = { initial: 100, max: 5_000 };
/** Half a second to a second after the first: what is throttled for a moment is no news. */
const TOLD_AT_ATTEMPT = 4;
/** What a batch's reason for the dead letters quotes. */
const QUOTED_REFUSALS = 5;

export class Consignment {
  /** What it holds in memory. */
  readonly bytes: number;
  readonly parcels: readonly Parcel[];
  readonly #delivery: Delivery;
  readonly #logger: Logger;
  readonly #cut: AbortSignal;
  readonly #onEnd: () => void;
  #open: number;
  #settling: Promise<void> = Promise.resolve();
  #ended = false;

  /** `cut`: when it aborts, a settlement that could not be made is given up. `onEnd`: called once, settled or not. */
  constructor(delivery: Delivery, options: { logger: Logger; cut: AbortSignal; onEnd: () => void }) {
    this.#delivery = delivery;
    this.#logger = options.logger;
    this.#cut = options.cut;
    this.#onEnd = options.onEnd;
    this.#open = delivery.messages.length;
    this.bytes = delivery.messages.reduce((sum, message) => sum + messageSize(message), 0);
    this.parcels = delivery.messages.flatMap((message) => this.#unpack(message));
  }

  /** Resolves when what could be settled by now is. */
  settled(): Promise<void> {
    return this.#settling;
  }

  /** Gives it back, unless it is settled: it is delivered again, to somebody. */
  async abandon(): Promise<void> {
    if (this.#ended) return;
    this.#end();
    await this.#settling;
    await this.#delivery.abandon().catch((error: unknown) => {
      this.#logger.debug(
        { key: this.#delivery.key, error },
        "could not give a delivery back; its lease ends by itself",
      );
    });
  }

  #unpack(message: Message): Parcel[] {
    const part: Part = { message, unanswered: 0, refusals: [] };
    try {
      const parcels = route(message).map((routed) => this.#parcel(part, routed.message, routed.destination));
      part.unanswered = parcels.length;
      if (parcels.length === 0) this.#answered(part);
      return parcels;
    } catch (error) {
      part.refusals.push(describeError(error));
      this.#answered(part);
      return [];
    }
  }

  #parcel(part: Part, message: Message, destination: string): Parcel {
    const answer = () => {
      if (--part.unanswered === 0) this.#answered(part);
    };
    return {
      message,
      destination,
      size: messageSize(message),
      delivered: answer,
      refused: (reason) => {
        part.refusals.push(message === part.message ? reason : `row ${message.id}: ${reason}`);
        answer();
      },
    };
  }

  /** One settlement after the other: dead letters first, the rest of the delivery last. */
  #answered(part: Part): void {
    const last = --this.#open === 0;
    if (part.refusals.length === 0 && !last) return;
    this.#settling = this.#settling.then(async () => {
      if (part.refusals.length > 0) await this.#settle(() => this.#deadLetter(part));
      if (last) await this.#settle(() => this.#delivery.complete());
      if (last) this.#end();
    });
  }

  async #deadLetter({ message, refusals }: Part): Promise<void> {
    const more = refusals.length > QUOTED_REFUSALS ? ` (and ${refusals.length - QUOTED_REFUSALS} more)` : "";
    const reason = refusals.slice(0, QUOTED_REFUSALS).join("; ") + more;
    await this.#delivery.deadLetter(message, reason);
    this.#logger.warn({ message: message.id, key: message.key, reason }, "message moved to the dead letters");
  }

  /** An unavailable queue is waited for; a lost lease means that all of it comes again, so there is nothing left to do. */
  async #settle(settlement: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(RETRY_MS);
    for (let attempt = 1; !this.#ended; attempt++) {
      try {
        await settlement();
        return;
      } catch (error) {
        const { key } = this.#delivery;
        if (!(error instanceof TransportError) || error.reason !== "unavailable") {
          this.#logger.warn({ key, error }, "could not settle a delivery; its messages come again");
          this.#end();
          return;
        }
        if (attempt === TOLD_AT_ATTEMPT)
          this.#logger.warn({ key, error, advice: error.advice }, "a delivery cannot be settled yet; its key waits");
        else this.#logger.debug({ key, error }, "could not settle a delivery yet");
      }
      await waitFor(backoff.next(), this.#cut);
      if (this.#cut.aborted) this.#end();
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
  }
}
