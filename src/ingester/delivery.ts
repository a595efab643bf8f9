/**
 * Brings one table's batches into the ingest queue, one send at a time: the next begins when the last was acknowledged.
 *
 * A message that the queue cannot take is looked at alone: the batch that holds it is answered with a smaller number of
 * rows to read again. So what stands before it is delivered and its checkpoint saved before the policy is asked.
 */
import { type Message, messageSize } from "../change/message.ts";
import type { MessageRun } from "../change/message-run.ts";
import type { Position } from "../change/position.ts";
import { DStreamError, TransportError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Limits, Sender } from "../transports/transport.ts";
import { fullName, type TableName } from "./checkpoint.ts";
import type { Outage } from "./outage.ts";
import type { ChangeBatch } from "./source.ts";

/** Where messages go that no queue takes. */
export interface DeadLetterBin {
  /** Resolves when the message is durable; throws TransportError where it cannot be. The same message may come twice. */
  append(letter: { table: TableName; position: Position; reason: string; message: Message }): Promise<void>;
}

/** A message is above the hard limit of the queue, and the policy is to stop. */
export class OversizeError extends DStreamError {
  readonly code = "DSTREAM_OVERSIZE";
}

export interface DeliveryParts {
  sender: Sender;
  limits: Limits;
  messages: "row" | "batch";
  onOversize: "stop" | "dead_letter";
  deadLetters: DeadLetterBin;
  queue: Outage;
  deadLetterStore: Outage;
  logger: Logger;
}

export class Delivery {
  #table: TableName;
  #parts: DeliveryParts;
  #sending: Promise<void> = Promise.resolve();
  /** How often the table is asked about at present, in ms. */
  interval: { readonly current: number } = { current: 0 };

  constructor(table: TableName, parts: DeliveryParts) {
    this.#table = table;
    this.#parts = parts;
  }

  /** Resolves when no send is on its way any more, not even one that was left to itself. Never rejects. */
  settled(): Promise<void> {
    return this.#sending;
  }

  /**
   * `delivered`: all is durable in the queue, by `sender`; `put aside`: the one change is in the dead letters. Otherwise nothing
   * is sure, and as many rows are to be read again. Rejects when `stop` aborts while the queue cannot be reached, or `cut` at any time.
   */
  async deliver(
    batch: ChangeBatch,
    stop: AbortSignal,
    cut: AbortSignal,
    sender: Pick<Sender, "send" | "sendRun"> = this.#parts.sender,
  ): Promise<"delivered" | "put aside" | { rows: number }> {
    const { changes } = batch;
    const index = firstAbove(changes, this.#parts.limits.maxMessageBytes);
    if (index >= 0) return this.#refused(batch, index, stop, cut);
    try {
      await this.#send(changes, sender, stop, cut);
      // Everything is durable elsewhere.
      changes.release();
      return "delivered";
    } catch (error) {
      if (!(error instanceof TransportError && error.reason === "too_large")) throw error;
      const refused = changes.messages().findIndex(({ id }) => id === error.messageId);
      return this.#refused(batch, refused, stop, cut);
    }
  }

  async #send(
    changes: MessageRun,
    sender: Pick<Sender, "send" | "sendRun">,
    stop: AbortSignal,
    cut: AbortSignal,
  ): Promise<void> {
    if (changes.count === 0) return;
    const { limits, queue } = this.#parts;
    const packed =
      sender.sendRun !== undefined
        ? []
        : this.#parts.messages === "batch"
          ? changes.batches(limits.batchBytes ?? limits.maxMessageBytes)
          : changes.messages();
    await queue.ride(
      () => {
        const sent =
          sender.sendRun?.(changes, { table: this.#table, pollIntervalMs: this.interval.current }) ??
          sender.send(packed);
        this.#sending = sent.catch(() => {});
        return sent;
      },
      stop,
      cut,
    );
  }

  /** `index`: of the message at fault, below zero where the queue did not say. */
  async #refused(
    batch: ChangeBatch,
    index: number,
    stop: AbortSignal,
    cut: AbortSignal,
  ): Promise<"put aside" | { rows: number }> {
    const { count } = batch.changes;
    if (count > 1) return { rows: index < 0 ? Math.ceil(count / 2) : Math.max(1, index) };
    const message = batch.changes.message(0);
    const table = fullName(this.#table);
    const limit = this.#parts.limits.maxMessageBytes;
    const bytes = messageSize(message);
    const reason =
      `A change of ${table} at LSN ${message.properties.LSN} (message ${message.id}) makes a message of ${bytes} bytes; ` +
      `the ingest queue takes ${limit} at most`;
    if (this.#parts.onOversize === "stop") {
      throw new OversizeError(`${reason}.`, {
        advice:
          'Set on_oversize = "dead_letter" to put such changes aside, leave large columns out with columns_exclude, ' +
          "or take a queue that allows larger messages.",
      });
    }
    const letter = { table: this.#table, position: batch.position, reason, message };
    await this.#parts.deadLetterStore.ride(() => this.#parts.deadLetters.append(letter), stop, cut);
    this.#parts.logger.warn({ lsn: message.properties.LSN, bytes }, `${reason}: put into the dead letters`);
    return "put aside";
  }
}

/** The first message that is larger; -1: none is. */
function firstAbove(changes: MessageRun, maxBytes: number): number {
  if (changes.bytes <= maxBytes) return -1;
  for (let index = 0; index < changes.count; index++) if (changes.size(index) > maxBytes) return index;
  return -1;
}
